"""The transformer: layers and stacks of encoder and decoder (Vaswani et al. 2017), post- or pre-norm."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.backend import as_dtype, default_dtype
from ..engine.tensor import Tensor
from ..ops.create import full
from ..ops.diagonal import triu
from . import functional as F
from . import init
from .attention import MultiheadAttention
from .containers import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .norm import LayerNorm
from .parameter import check_size

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]

Activation = str | Callable[[Tensor], Tensor]


def _activation(layer: str, activation: Activation) -> Callable[[Tensor], Tensor]:
    named = {"relu": F.relu, "gelu": F.gelu}
    if callable(activation):
        return activation
    if activation not in named:
        raise ValueError(f"{layer}: expected 'relu', 'gelu' or a callable (activation={activation!r})")
    return named[activation]


def _is_causal(mask: Tensor | None, hint: bool | None, steps: int) -> bool:
    """The hint, or without one, whether the mask is generate_square_subsequent_mask(steps)."""
    if hint is not None or mask is None:
        return bool(hint)
    if mask.shape != (steps, steps) or mask.device.kind != "cpu":  # a GPU is not asked: the mask is applied
        return False
    causal = _subsequent(steps, mask.device, np.float64)._data
    return bool((mask._data == (causal < 0 if mask.dtype == bool else causal)).all())


def _subsequent(sz: int, device: Any, dtype: Any) -> Tensor:
    return triu(full((sz, sz), -math.inf, dtype=dtype, device=device), 1)


class _Layer(Module):
    """What encoder and decoder layers share: self-attention, feed-forward, a norm and dropout around each."""

    _reads_memory = False  # a decoder attends to it between the two

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name, place = type(self).__name__, {"device": device, "dtype": dtype}
        check_size(name, d_model=d_model, nhead=nhead, dim_feedforward=dim_feedforward)
        function = _activation(name, activation)
        attend = lambda: MultiheadAttention(
            d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, **place
        )
        norm = lambda: LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **place)
        self.self_attn = attend()
        if self._reads_memory:
            self.multihead_attn = attend()
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **place)
        self.norm_first = norm_first
        self.norm1, self.norm2 = norm(), norm()
        if self._reads_memory:
            self.norm3 = norm()
        self.dropout1, self.dropout2 = Dropout(dropout), Dropout(dropout)
        if self._reads_memory:
            self.dropout3 = Dropout(dropout)
        self.activation = function

    def _attend(self, to: MultiheadAttention, x: Tensor, memory: Tensor, masks: tuple) -> Tensor:
        mask, padding, causal = masks
        return to(x, memory, memory, padding, False, mask, is_causal=causal)[0]

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def _residual(self, x: Tensor, block: Callable[[Tensor], Tensor], norm: Module, drop: Module) -> Tensor:
        """norm(x + block(x)), or with norm_first x + block(norm(x)): Xiong et al. 2020, figure 1."""
        if self.norm_first:
            return x + drop(block(norm(x)))
        return norm(x + drop(block(x)))


class TransformerEncoderLayer(_Layer):
    """Self-attention, then a two-layer net on each position, each with a residual and a norm.

    src (S, N, E), (N, S, E) with batch_first, or (S, E) -> the same shape. Masks: True where a key takes NO
    part, or additive, as in MultiheadAttention. Vaswani et al. 2017, section 3.1. Raises ValueError for
    sizes that do not fit.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> layer = nn.TransformerEncoderLayer(d_model=8, nhead=2, dim_feedforward=16, batch_first=True)
    >>> layer(mg.ones(3, 5, 8)).shape
    (3, 5, 8)
    """

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """The layer's output; is_causal is a hint that src_mask is the causal mask."""
        masks = (src_mask, src_key_padding_mask, is_causal)
        x = self._residual(
            src, lambda x: self._attend(self.self_attn, x, x, masks), self.norm1, self.dropout1
        )
        return self._residual(x, self._feed_forward, self.norm2, self.dropout2)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the encoder's memory, then a two-layer net on each position.

    tgt (T, N, E), memory (S, N, E) -> (T, N, E); N first with batch_first, or without N. Masks as in
    TransformerEncoderLayer. Raises ValueError for sizes that do not fit.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> layer = nn.TransformerDecoderLayer(d_model=8, nhead=2, dim_feedforward=16)
    >>> layer(mg.ones(4, 3, 8), mg.ones(5, 3, 8)).shape
    (4, 3, 8)
    """

    _reads_memory = True

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The layer's output; the is_causal arguments are hints that the mask of the name is causal."""
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        across = (memory_mask, memory_key_padding_mask, memory_is_causal)
        x = self._residual(tgt, lambda x: self._attend(self.self_attn, x, x, own), self.norm1, self.dropout1)
        look = lambda x: self._attend(self.multihead_attn, x, memory, across)
        x = self._residual(x, look, self.norm2, self.dropout2)
        return self._residual(x, self._feed_forward, self.norm3, self.dropout3)


# ---------------------------------------------------------------- stacks


class _Stack(Module):
    """num_layers copies of a layer, all beginning with its weights, and a norm at the end."""

    def __init__(self, layer: Module, num_layers: int, norm: Module | None) -> None:
        super().__init__()
        name = type(self).__name__
        for which, module in (("layer", layer), ("norm", norm)):
            if not isinstance(module, Module) and (module is not None or which == "layer"):
                raise TypeError(f"{name}: expected a Module ({which}), got {type(module).__name__}")
        check_size(name, num_layers=num_layers)
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm

    def _steps(self, x: Tensor) -> int:
        """The length of the sequence."""
        first = self.layers[0]
        return x.shape[1 if x.ndim == 3 and first.self_attn.batch_first else 0]

    def _finish(self, x: Tensor) -> Tensor:
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """A stack of encoder layers.

    `enable_nested_tensor` and `mask_check` are PyTorch's switches of an inference path that leaves padded
    positions out. Here every position is computed in every mode, as PyTorch does in training, so the two are
    kept as attributes and change no result. (That path returns zeros at padded positions; what stands there
    means nothing either way.)

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    >>> encoder, x = nn.TransformerEncoder(layer, num_layers=2), mg.randn(1, 3, 8)
    >>> causal = nn.Transformer.generate_square_subsequent_mask(3)
    >>> bool((encoder(x, causal)[:, :2] == encoder(x[:, :2], causal[:2, :2])).all())  # the future is not seen
    True
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__(encoder_layer, num_layers, norm)
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """All layers in turn; is_causal=None looks whether mask is the causal one."""
        causal = _is_causal(mask, is_causal, self._steps(src))
        for layer in self.layers:
            src = layer(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=causal)
        return self._finish(src)


class TransformerDecoder(_Stack):
    """A stack of decoder layers.

    An activation that is a Module stays itself in every copy; PyTorch 2.13's copies of such a layer compute
    relu in its place.
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """All layers in turn; tgt_is_causal=None looks whether tgt_mask is the causal one."""
        causal = _is_causal(tgt_mask, tgt_is_causal, self._steps(tgt))
        for layer in self.layers:
            tgt = layer(
                tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask, memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=causal, memory_is_causal=memory_is_causal,
            )  # fmt: skip
        return self._finish(tgt)


class Transformer(Module):
    """Encoder and decoder: src (S, N, E), tgt (T, N, E) -> (T, N, E). Vaswani et al. 2017.

    With batch_first N stands first; without a batch it is left out. custom_encoder and custom_decoder take
    the place of the stacks. Raises ValueError where batch or width of src and tgt do not fit.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> model = nn.Transformer(8, nhead=2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=16)
    >>> model(mg.ones(5, 3, 8), mg.ones(4, 3, 8)).shape
    (4, 3, 8)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_size("Transformer", d_model=d_model, nhead=nhead)
        place = {"device": device, "dtype": dtype}
        settings = (
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
        )
        norm = lambda: LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **place)
        if custom_encoder is None:
            layer: Module = TransformerEncoderLayer(*settings, **place)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm())
        if custom_decoder is None:
            layer = TransformerDecoderLayer(*settings, **place)
            custom_decoder = TransformerDecoder(layer, num_decoder_layers, norm())
        self.encoder, self.decoder = custom_encoder, custom_decoder
        self._reset_parameters()
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def _reset_parameters(self) -> None:
        """Every matrix from xavier_uniform_, each on its own."""
        for p in self.parameters():
            if p.ndim > 1:
                init.xavier_uniform_(p)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """decoder(tgt, encoder(src)); masks and hints as in the layers."""
        batch = 0 if self.batch_first else 1
        shapes = f"got {src.shape} and {tgt.shape}"
        if (
            src.ndim != tgt.ndim
            or src.ndim not in (2, 3)
            or (src.ndim == 3 and src.shape[batch] != tgt.shape[batch])
        ):
            raise ValueError(
                f"Transformer: expected src and tgt of one batch (batch_first={self.batch_first}), {shapes}"
            )
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise ValueError(f"Transformer: expected src and tgt of width d_model={self.d_model}, {shapes}")
        memory = self.encoder(
            src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal
        )
        return self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask, memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal, memory_is_causal=memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """The causal mask (sz, sz): -inf above the diagonal, else 0."""
        return _subsequent(sz, device, default_dtype() if dtype is None else as_dtype(dtype))
