"""Recurrent cells: one time step, in plain ops. Loop over time yourself; the layers do it in one op."""

from __future__ import annotations

import math
from typing import Any

from ..engine.backend import is_float
from ..engine.tensor import Tensor
from ..ops.create import zeros
from ..ops.recurrent import gru_step, lstm_step, rnn_step
from ..ops.shape import expand_dims, squeeze
from . import init
from .module import Module
from .parameter import check_size, new_parameter

__all__ = [
    "GRUCell",
    "LSTMCell",
    "RNNCell",
    "RNNCellBase",
]


def check_dtype(name: str, x: Tensor, weight: Tensor) -> None:
    """Input and weights must be of one dtype."""
    if x.dtype != weight.dtype:
        other = f" or module.to('{x.dtype}')" if is_float(x.dtype) else ""
        raise TypeError(
            f"{name}: expected input of the weights' dtype {weight.dtype}, got {x.dtype}; "
            f"use x.to('{weight.dtype}'){other}"
        )


def check_state(name: str, state: Any, x: Tensor, shape: tuple[int, ...]) -> None:
    """A state must be a Tensor of the input's dtype, and of the given shape."""
    if not isinstance(state, Tensor) or state.dtype != x.dtype:
        got = state.dtype if isinstance(state, Tensor) else type(state).__name__
        raise TypeError(f"{name}: expected a state Tensor of the input's dtype {x.dtype}, got {got}")
    if state.shape != shape:
        raise ValueError(f"{name}: expected a state of shape {shape}, got {state.shape}")


class RNNCellBase(Module):
    """What cells share: weight_ih (G H, I), weight_hh (G H, H), two biases (G H); G = num_chunks gates."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_size(type(self).__name__, input_size=input_size, hidden_size=hidden_size, num_chunks=num_chunks)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = num_chunks * hidden_size
        self.weight_ih = new_parameter(rows, input_size, device=device, dtype=dtype)
        self.weight_hh = new_parameter(rows, hidden_size, device=device, dtype=dtype)
        self.bias_ih = new_parameter(rows, device=device, dtype=dtype) if bias else None
        self.bias_hh = new_parameter(rows, device=device, dtype=dtype) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again from uniform +-1/sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def _weights(self) -> tuple[Any, Any, Any, Any]:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _batched(self, x: Any, states: tuple | None, count: int = 1) -> tuple[Tensor, list[Tensor]]:
        """Input and states with a batch axis, checked; zeros where no states are given."""
        name = type(self).__name__
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: expected a Tensor, got {type(x).__name__}")
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ValueError(f"{name}: expected (N, I) or (I,) with I = {self.input_size}, got {x.shape}")
        check_dtype(name, x, self.weight_ih)
        wanted = (*x.shape[:-1], self.hidden_size)
        if states is None:
            states = tuple(zeros(wanted, dtype=x.dtype, device=x.device) for _ in range(count))
        for s in states:
            check_state(name, s, x, wanted)
        if x.ndim == 2:
            return x, list(states)
        return expand_dims(x, 0), [expand_dims(s, 0) for s in states]

    def extra_repr(self) -> str:
        """Sizes, and what differs from the defaults."""
        told = f"{self.input_size}, {self.hidden_size}"
        told += "" if self.bias is True else f", bias={self.bias}"
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        return told if nonlinearity == "tanh" else f"{told}, nonlinearity={nonlinearity}"


class RNNCell(RNNCellBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it: x (N, I), h (N, H) -> (N, H). Elman 1990.

    Without a batch x (I,), h (H,). h is zeros unless given. Raises ValueError for other shapes.

    >>> import minigrad as mg
    >>> cell = mg.nn.RNNCell(1, 1, nonlinearity="relu")
    >>> for p, value in zip(cell.parameters(), (1.0, 0.5, 0.0, 0.0)):
    ...     _ = mg.nn.init.constant_(p, value)
    >>> h = mg.tensor([1.0], requires_grad=True)
    >>> y = cell(mg.tensor([0.0]), h)
    >>> y.sum().backward()
    >>> y.detach(), h.grad
    (tensor([0.5]), tensor([0.5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNNCell: expected 'tanh' or 'relu' (nonlinearity={nonlinearity!r})")
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state."""
        x, (h,) = self._batched(input, None if hx is None else (hx,))
        y = rnn_step(x, h, *self._weights(), nonlinearity=self.nonlinearity)
        return y if input.ndim == 2 else squeeze(y, 0)


class LSTMCell(RNNCellBase):
    """c' = f c + i g, h' = o tanh(c'), gates from W_ih x + b_ih + W_hh h + b_hh: -> (h', c'), each (N, H).

    i, f, o are sigmoids, g a tanh, in the order i, f, g, o. States (h, c) are zeros unless given.
    Hochreiter & Schmidhuber 1997, Gers et al. 2000. Raises ValueError for other shapes.
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """The next states."""
        if hx is not None and (not isinstance(hx, tuple | list) or len(hx) != 2):
            raise TypeError(f"LSTMCell: expected the two states (h, c), got {type(hx).__name__}")
        x, (h, c) = self._batched(input, None if hx is None else tuple(hx), 2)
        h, c = lstm_step(x, h, c, *self._weights())
        return (h, c) if input.ndim == 2 else (squeeze(h, 0), squeeze(c, 0))


class GRUCell(RNNCellBase):
    """h' = (1 - z) n + z h, n = tanh(W_in x + b_in + r (W_hn h + b_hn)), gates r, z: -> (N, H).

    Cho et al. 2014. h is zeros unless given. Raises ValueError for other shapes.
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state."""
        x, (h,) = self._batched(input, None if hx is None else (hx,))
        y = gru_step(x, h, *self._weights())
        return y if input.ndim == 2 else squeeze(y, 0)
