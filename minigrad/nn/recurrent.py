"""Recurrent layers: RNN, LSTM, GRU, over padded batches, single sequences and packed sequences.

A layer has two forms, which agree to the last digits. By default each layer and direction is one op
with a backward through time of its own (ops/recurrent.py): fast. With `layer.unrolled = True` it is
the graph that the textbook draws, every product of every time step a node of its own, for backprop
to be watched:

>>> import minigrad as mg
>>> from minigrad import nn
>>> layer = nn.RNN(1, 1)
>>> layer.unrolled = True
>>> _, last = layer(mg.ones(3, 1, 1))
>>> last.shape
(1, 1, 1)

Truncated backpropagation through time is `detach`: carry the state over from one piece of a long
sequence to the next, but not its history, and every backward stops where its piece began.

>>> layer = nn.LSTM(4, 8)
>>> state = None
>>> for piece in mg.chunk(mg.randn(100, 1, 4), 5):
...     y, state = layer(piece, state)
...     (y * y).mean().backward()
...     state = tuple(s.detach() for s in state)
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..engine.backend import constant, is_number
from ..engine.tensor import Tensor
from ..ops.create import zeros
from ..ops.index import take_index
from ..ops.recurrent import final_rows, gru_sequence, lstm_sequence, rnn_sequence
from ..ops.shape import concatenate, expand_dims, reshape, squeeze, stack, swapaxes
from . import functional as F
from . import init
from .cells import check_dtype, check_state
from .module import Module
from .parameter import Parameter, check_size, new_parameter
from .utils.rnn import PackedSequence

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "RNNBase",
]

GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


class RNNBase(Module):
    """What RNN, LSTM and GRU share: weights by PyTorch's names, checks, the way through the layers.

    Weights of layer k: weight_ih_lk (gates H, I or D R), weight_hh_lk (gates H, R), bias_ih_lk and
    bias_hh_lk (gates H), weight_hr_lk (R, H) if projected, the same with `_reverse`; H = hidden_size,
    R = proj_size or H, D = 2 if bidirectional. Raises ValueError for sizes and dropout out of range.
    """

    unrolled = False  # True: the graph in plain ops, step by step

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if mode not in GATES:
            raise ValueError(f"{name}: expected one of {', '.join(GATES)} (mode={mode!r})")
        check_size(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        for flag, value in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(value, bool):
                raise TypeError(f"{name}: expected a bool ({flag}={value!r})")
        if not is_number(dropout) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(f"{name}: expected a probability in [0, 1] (dropout={dropout!r})")
        if proj_size:
            check_size(name, proj_size=proj_size)
            if proj_size >= hidden_size or mode != "LSTM":
                told = f"proj_size={proj_size}, hidden_size={hidden_size}"
                raise ValueError(f"{name}: expected 0, or less than hidden_size in an LSTM ({told})")
        if dropout and num_layers == 1:
            warnings.warn(
                f"{name}: dropout acts between layers, here there is one (dropout={dropout}, num_layers=1)",
                stacklevel=2,
            )
        self.mode, self.num_layers = mode, num_layers
        self.input_size, self.hidden_size = input_size, hidden_size
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self._names = [
            self._make(k, side, device, dtype) for k in range(num_layers) for side in self._sides()
        ]
        self.reset_parameters()

    def _sides(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    def _make(self, layer: int, side: str, device: Any, dtype: Any) -> list[str]:
        """The weights of one layer and direction, set as attributes; their names."""
        gates, out = GATES[self.mode] * self.hidden_size, self._widths()[0]
        width = self.input_size if layer == 0 else out * len(self._sides())
        shapes: dict[str, tuple] = {"weight_ih": (gates, width), "weight_hh": (gates, out)}
        if self.bias:
            shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        for kind, shape in shapes.items():
            setattr(self, f"{kind}_l{layer}{side}", new_parameter(*shape, device=device, dtype=dtype))
        return [f"{kind}_l{layer}{side}" for kind in shapes]

    def reset_parameters(self) -> None:
        """Start again from uniform +-1/sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The weights of every layer and direction, a list each."""
        return [[getattr(self, name) for name in names] for names in self._names]

    def flatten_parameters(self) -> None:
        """Nothing to do: weights need not lie side by side here. There so that PyTorch's programs run."""

    # -- states: (h,) of RNN and GRU, (h, c) of LSTM, each (layers * directions, batch, width)

    def _widths(self) -> tuple[int, ...]:
        """The width of each state."""
        return (self.proj_size or self.hidden_size,)

    def _states(self, hx: Any) -> tuple:
        """What the user passed as initial states, as a tuple."""
        return (hx,)

    def _initial(self, hx: Any, x: Tensor, batch: int, batched: bool) -> list[Tensor]:
        """The initial states, checked; zeros where none are given."""
        name, count = type(self).__name__, len(self._names)
        if hx is None:
            shapes = [(count, batch, width) for width in self._widths()]
            return [zeros(shape, dtype=x.dtype, device=x.device) for shape in shapes]
        states = []
        for s, width in zip(self._states(hx), self._widths(), strict=True):
            wanted = (count, batch, width) if batched else (count, width)
            check_state(name, s, x, wanted)
            states.append(s if batched else expand_dims(s, 1))
        return states

    def _check_input(self, x: Any, dims: tuple[int, ...]) -> None:
        name = type(self).__name__
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: expected a Tensor or PackedSequence, got {type(x).__name__}")
        if x.ndim not in dims or x.shape[-1] != self.input_size:
            told = " or ".join(map(str, dims))
            raise ValueError(
                f"{name}: expected {told} axes, the last input_size={self.input_size}, got {x.shape}"
            )
        check_dtype(name, x, getattr(self, self._names[0][0]))

    # -- forward

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """(output of every step, last states) of (T, N, I), (N, T, I) if batch_first, (T, I), or packed."""
        if type(self) is RNNBase:
            raise TypeError("RNNBase: has no forward(); use RNN, LSTM or GRU")
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        self._check_input(input, (2, 3))
        batched = input.ndim == 3
        x = input if batched else expand_dims(input, 1)
        x = swapaxes(x, 0, 1) if batched and self.batch_first else x
        steps, batch = x.shape[:2]
        if not steps:
            raise ValueError(
                f"{type(self).__name__}: expected at least one time step, got shape {input.shape}"
            )
        states = self._initial(hx, input, batch, batched)
        y, last = self._layers(reshape(x, (steps * batch, self.input_size)), states, (batch,) * steps)
        y = reshape(y, (steps, batch, y.shape[-1]))
        if not batched:
            y, last = squeeze(y, 1), [squeeze(s, 1) for s in last]
        elif self.batch_first:
            y = swapaxes(y, 0, 1)
        return y, self._returned(last)

    def _forward_packed(self, packed: PackedSequence, hx: Any) -> tuple[Any, Any]:
        x, batch_sizes, order, back = packed
        self._check_input(x, (2,))
        sizes = tuple(int(n) for n in batch_sizes.tolist())
        states = self._initial(hx, x, sizes[0], True)
        if order is not None and hx is not None:
            states = [s[:, order] for s in states]
        y, last = self._layers(x, states, sizes)
        if back is not None:
            last = [s[:, back] for s in last]
        return PackedSequence(y, batch_sizes, order, back), self._returned(last)

    def _layers(self, x: Tensor, states: list[Tensor], sizes: tuple[int, ...]) -> tuple[Tensor, list[Tensor]]:
        """Layer upon layer, each in its directions: packed rows in, packed rows out, and the last states."""
        last: list[tuple] = []
        for layer in range(self.num_layers):
            if layer and self.training:
                x = F.dropout(x, self.dropout)
            outputs = []
            for side in self._sides():
                k = len(last)
                y, ended = self._sequence(x, [s[k] for s in states], self._weights(k), sizes, side != "")
                outputs.append(y)
                last.append(ended)
            x = outputs[0] if len(outputs) == 1 else concatenate(outputs, 1)
        return x, [stack(list(s)) for s in zip(*last, strict=True)]

    def _weights(self, k: int) -> list[Parameter | None]:
        """W_ih, W_hh, b_ih, b_hh, and W_hr of an LSTM, None where there is none."""
        kinds = (
            "weight_ih",
            "weight_hh",
            "bias_ih",
            "bias_hh",
            *(("weight_hr",) if self.mode == "LSTM" else ()),
        )
        _, _, tail = self._names[k][0].partition("weight_ih")
        return [getattr(self, kind + tail, None) for kind in kinds]

    def _run(self, op: Any, *arrays: Any, **how: Any) -> Tensor:
        """The op, or what it stands for."""
        return op.op.reference(*arrays, **how) if self.unrolled else op(*arrays, **how)

    def _sequence(
        self, x: Tensor, states: list, weights: list, sizes: tuple, reverse: bool
    ) -> tuple[Tensor, tuple]:
        """One layer in one direction: its outputs and last states."""
        if self.mode == "GRU":
            y = self._run(gru_sequence, x, *states, *weights, sizes=sizes, reverse=reverse)
        else:
            nonlinearity = self.mode.removeprefix("RNN_").lower()
            y = self._run(
                rnn_sequence, x, *states, *weights, sizes=sizes, reverse=reverse, nonlinearity=nonlinearity
            )
        return y, (take_index(y, index=_rows(y, sizes, reverse)),)

    def _returned(self, last: list[Tensor]) -> Any:
        """The last states as the user gets them."""
        return last[0]

    def extra_repr(self) -> str:
        """Sizes, and what differs from the defaults."""
        defaults = {
            "proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0,
            "bidirectional": False,
        }  # fmt: skip
        told = [f", {k}={getattr(self, k)}" for k, v in defaults.items() if getattr(self, k) != v]
        return f"{self.input_size}, {self.hidden_size}" + "".join(told)


def _rows(y: Tensor, sizes: tuple, reverse: bool) -> Any:
    index = final_rows(sizes, reverse)
    return constant(y.device.xp, index) if isinstance(index, np.ndarray) else index


class RNN(RNNBase):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), or relu of it, layer upon layer. Elman 1990.

    Input (T, N, I) (or (N, T, I) if batch_first, (T, I), or packed) and h_0 (D L, N, H), zeros by
    default; output (T, N, D H) of the last layer and h_n (D L, N, H), for L layers in D directions.
    Dropout acts between layers, in training. Raises ValueError for shapes, lengths or options that do
    not fit.

    >>> import minigrad as mg
    >>> layer = mg.nn.RNN(1, 1, nonlinearity="relu")
    >>> for p, value in zip(layer.parameters(), (1.0, 0.5, 0.0, 0.0)):
    ...     _ = mg.nn.init.constant_(p, value)
    >>> x = mg.tensor([[1.0], [0.0], [0.0]], requires_grad=True)
    >>> y, h = layer(x)
    >>> h.sum().backward()
    >>> y.detach().reshape(-1), x.grad.reshape(-1)
    (tensor([1.  , 0.5 , 0.25]), tensor([0.25, 0.5 , 1.  ]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: expected 'tanh' or 'relu' (nonlinearity={nonlinearity!r})")
        super().__init__(
            f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias, batch_first, dropout,
            bidirectional, device=device, dtype=dtype,
        )  # fmt: skip
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """c_t = f c_{t-1} + i g, h_t = o tanh(c_t); i, f, o sigmoid, g tanh of W_ih x + b_ih + W_hh h + b_hh.

    Input as for RNN; states (h_0, c_0) of (D L, N, R) and (D L, N, H), both or neither; output
    (T, N, D R) and (h_n, c_n). With proj_size = R the h are projected, W_hr h, else R = H. Hochreiter &
    Schmidhuber 1997, Gers et al. 2000; projection: Sak et al. 2014. Raises ValueError as RNN does.

    >>> import minigrad as mg
    >>> layer = mg.nn.LSTM(3, 8)
    >>> sum(p.size for p in layer.parameters())
    416
    >>> y, (h, c) = layer(mg.zeros(5, 2, 3))
    >>> y.shape, h.shape, c.shape
    ((5, 2, 8), (1, 2, 8), (1, 2, 8))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size,
            device, dtype,
        )  # fmt: skip

    def _widths(self) -> tuple[int, ...]:
        return (self.proj_size or self.hidden_size, self.hidden_size)

    def _states(self, hx: Any) -> tuple:
        if not isinstance(hx, tuple | list) or len(hx) != 2:
            raise TypeError(f"LSTM: expected the two states (h_0, c_0), got {type(hx).__name__}")
        return tuple(hx)

    def _sequence(
        self, x: Tensor, states: list, weights: list, sizes: tuple, reverse: bool
    ) -> tuple[Tensor, tuple]:
        both = self._run(lstm_sequence, x, *states, *weights, sizes=sizes, reverse=reverse)
        out, (batch, width) = self._widths()[0], states[1].shape
        y = reshape(both[: len(x) * out], (len(x), out))
        c = reshape(both[len(x) * out :], (batch, width))
        return y, (take_index(y, index=_rows(y, sizes, reverse)), c)

    def _returned(self, last: list[Tensor]) -> Any:
        return tuple(last)


class GRU(RNNBase):
    """h_t = (1 - z) n + z h_{t-1}, n = tanh(W_in x + b_in + r (W_hn h + b_hn)); gates r and z sigmoid.

    Input, state and output as for RNN. Cho et al. 2014. Raises ValueError as RNN does.

    >>> from minigrad import nn
    >>> sum(p.size for p in nn.GRU(3, 8).parameters())
    312
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            device=device, dtype=dtype,
        )  # fmt: skip
