"""Convolution layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..engine.tensor import Tensor
from ..ops.conv import check_output_padding, conv_transposend, convnd, pad_pairs, transposed_length
from ..ops.windows import per_axis
from . import init
from .functional.pad import pad
from .module import Module
from .parameter import check_size, new_parameter

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
]

BORDERS = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


class _Filters(Module):
    """What convolutions and transposed ones share: sizes, weight, bias, repr."""

    _dims = 0
    output_padding: tuple[int, ...]
    padding: Any

    def _set_sizes(
        self, channels: tuple[int, int], kernel_size: Any, stride: Any, dilation: Any, groups: int
    ) -> None:
        name, dims = type(self).__name__, self._dims
        check_size(name, in_channels=channels[0], out_channels=channels[1], groups=groups)
        self.in_channels, self.out_channels = channels
        if self.in_channels % groups or self.out_channels % groups:
            raise ValueError(
                f"{name}: expected groups to divide the channels "
                f"(groups={groups}, in_channels={self.in_channels}, out_channels={self.out_channels})"
            )
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, dims)
        self.stride = per_axis(name, "stride", stride, dims)
        self.dilation = per_axis(name, "dilation", dilation, dims)
        self.groups = groups

    def _set_weights(self, rows: int, columns: int, bias: bool, device: Any, dtype: Any) -> None:
        self.weight = new_parameter(
            rows, columns // self.groups, *self.kernel_size, device=device, dtype=dtype
        )
        self.bias = new_parameter(self.out_channels, device=device, dtype=dtype) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again from uniform +-1/sqrt(fan_in), fan_in the elements of weight[0]."""
        init.layer_default_(self.weight, self.bias)

    def extra_repr(self) -> str:
        """PyTorch's: what differs from the default."""
        zeros, ones = (0,) * self._dims, (1,) * self._dims
        parts = [
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        ]
        parts += [f"padding={self.padding}"] * (self.padding != zeros)
        parts += [f"dilation={self.dilation}"] * (self.dilation != ones)
        parts += [f"output_padding={self.output_padding}"] * (self.output_padding != zeros)
        parts += [f"groups={self.groups}"] * (self.groups != 1)
        parts += ["bias=False"] * (self.bias is None)
        parts += [f"padding_mode={self.padding_mode}"] * (self.padding_mode != "zeros")
        return ", ".join(parts)


class _Conv(_Filters):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self._set_sizes((in_channels, out_channels), kernel_size, stride, dilation, groups)
        if padding_mode not in BORDERS:
            raise ValueError(f"{name}: expected one of {', '.join(BORDERS)} (padding_mode={padding_mode!r})")
        self._pairs = pad_pairs(name, padding, self.kernel_size, self.stride, self.dilation)
        self.padding = padding if isinstance(padding, str) else tuple(before for before, _ in self._pairs)
        self.padding_mode, self.output_padding = padding_mode, (0,) * self._dims
        self._set_weights(out_channels, in_channels, bias, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, after bordering x where padding_mode is not zeros."""
        padding = self.padding
        if self.padding_mode != "zeros" and any(a or b for a, b in self._pairs):
            widths = [w for pair in reversed(self._pairs) for w in pair]
            x, padding = pad(x, widths, BORDERS[self.padding_mode]), 0
        return convnd(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups, self._dims)


class Conv1d(_Conv):
    """(N, C, L) -> (N, O, L'), L' = floor((L + 2p - d(k - 1) - 1) / s) + 1; (C, L) -> (O, L').

    padding: a number, 'valid', 'same' (stride 1), and our own 'full' and 'causal': d(k - 1) before and
    nothing after, so that output t sees inputs up to s t (van den Oord et al. 2016, "WaveNet").
    padding_mode: zeros, reflect, replicate, circular.

    >>> from minigrad import nn
    >>> nn.Conv1d(1, 2, 3, padding="causal", dilation=4)
    Conv1d(1, 2, kernel_size=(3,), stride=(1,), padding=causal, dilation=(4,))
    """

    _dims = 1


class Conv2d(_Conv):
    """(N, C, H, W) -> (N, O, H', W'), H' = floor((H + 2p - d(k - 1) - 1) / s) + 1.

    padding: numbers, 'valid', 'same' (stride 1), or our own 'full'. groups = in_channels is depthwise.

    >>> from minigrad import nn
    >>> nn.Conv2d(1, 6, 5)
    Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))
    """

    _dims = 2


class Conv3d(_Conv):
    """(N, C, D, H, W) -> (N, O, D', H', W')."""

    _dims = 3


class _ConvTranspose(_Filters):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self._set_sizes((in_channels, out_channels), kernel_size, stride, dilation, groups)
        if padding_mode != "zeros":
            raise ValueError(f"{name}: expected zeros, the only border here (padding_mode={padding_mode!r})")
        self.padding = per_axis(name, "padding", padding, self._dims, least=0)
        self.output_padding = check_output_padding(name, output_padding, self.stride, self.dilation)
        self.padding_mode = padding_mode
        self._set_weights(in_channels, out_channels, bias, device, dtype)

    def forward(self, x: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Spread each element over its window; output_size says which of the possible lengths is meant."""
        extra = self.output_padding if output_size is None else self._extra(x, output_size)
        return conv_transposend(
            x,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            extra,
            self.groups,
            self.dilation,
            self._dims,
        )

    def _extra(self, x: Tensor, output_size: Sequence[int]) -> tuple[int, ...]:
        """The output_padding that makes output_size: (*lengths), or the whole shape."""
        name, lead = type(self).__name__, x.ndim - self._dims
        if not isinstance(output_size, tuple | list) or len(output_size) not in (self._dims, x.ndim):
            raise ValueError(
                f"{name}: expected {self._dims} lengths or {x.ndim} with batch and channels "
                f"(output_size={output_size!r})"
            )
        wanted = tuple(output_size)[-self._dims :]
        sizes = zip(x.shape[lead:], self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        least = [transposed_length(*size, 0) for size in sizes]
        if any(not n <= m < n + s for m, n, s in zip(wanted, least, self.stride, strict=True)):
            most = [n + s - 1 for n, s in zip(least, self.stride, strict=True)]
            raise ValueError(
                f"{name}: expected lengths from {least} to {most} for x of shape {x.shape} "
                f"(output_size={output_size!r})"
            )
        return tuple(m - n for m, n in zip(wanted, least, strict=True))


class ConvTranspose1d(_ConvTranspose):
    """(N, C, L) -> (N, O, L'), L' = s(L - 1) + d(k - 1) + 1 - 2p + output_padding; (C, L) -> (O, L').

    Conv1d's gradient in its input, so it takes the shapes of that Conv1d back; weight (C, O / groups, k).

    >>> from minigrad import nn
    >>> nn.ConvTranspose1d(4, 2, 3, stride=2, output_padding=1)
    ConvTranspose1d(4, 2, kernel_size=(3,), stride=(2,), output_padding=(1,))
    """

    _dims = 1


class ConvTranspose2d(_ConvTranspose):
    """(N, C, H, W) -> (N, O, H', W'), H' = s(H - 1) + d(k - 1) + 1 - 2p + output_padding.

    >>> import minigrad as mg
    >>> mg.nn.ConvTranspose2d(3, 8, 2, stride=2)(mg.ones(1, 3, 5, 5)).shape
    (1, 8, 10, 10)
    """

    _dims = 2


class ConvTranspose3d(_ConvTranspose):
    """(N, C, D, H, W) -> (N, O, D', H', W')."""

    _dims = 3
