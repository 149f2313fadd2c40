"""Convolution layers."""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from ..ops.conv import convnd, pad_pairs
from ..ops.pad import pad
from ..ops.windows import per_axis
from . import init
from .linear import check_size, new_parameter
from .module import Module

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
]

BORDERS = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


class _Conv(Module):
    _dims = 0

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
        name, dims = type(self).__name__, self._dims
        check_size(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: expected groups to divide the channels "
                f"(groups={groups}, in_channels={in_channels}, out_channels={out_channels})"
            )
        if padding_mode not in BORDERS:
            raise ValueError(f"{name}: expected one of {', '.join(BORDERS)} (padding_mode={padding_mode!r})")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, dims)
        self.stride = per_axis(name, "stride", stride, dims)
        self.dilation = per_axis(name, "dilation", dilation, dims)
        self._pairs = pad_pairs(name, padding, self.kernel_size, self.stride, self.dilation)
        self.padding = (
            padding if isinstance(padding, str) else per_axis(name, "padding", padding, dims, least=0)
        )
        self.padding_mode = padding_mode
        new = lambda *shape: new_parameter(*shape, device=device, dtype=dtype)
        self.weight = new(out_channels, in_channels // groups, *self.kernel_size)
        self.bias = new(out_channels) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again from uniform +-1/sqrt(fan_in)."""
        init.layer_default_(self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, after bordering x where padding_mode is not zeros."""
        padding = self.padding
        if self.padding_mode != "zeros" and any(a or b for a, b in self._pairs):
            lead = [(0, 0)] * (x.ndim - self._dims)
            x, padding = pad(x, [*lead, *self._pairs], BORDERS[self.padding_mode]), 0
        return convnd(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups, self._dims)

    def extra_repr(self) -> str:
        """PyTorch's: what differs from the default."""
        parts = [
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        ]
        if self.padding != (0,) * self._dims:
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * self._dims:
            parts.append(f"dilation={self.dilation}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class Conv1d(_Conv):
    """(N, C, L) -> (N, O, L'), L' = floor((L + 2p - d(k - 1) - 1) / s) + 1."""

    _dims = 1


class Conv2d(_Conv):
    """(N, C, H, W) -> (N, O, H', W'), H' = floor((H + 2p - d(k - 1) - 1) / s) + 1.

    padding: numbers, 'valid', 'same' (stride 1), or our own 'full'.

    >>> from minigrad import nn
    >>> nn.Conv2d(1, 6, 5)
    Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))
    """

    _dims = 2


class Conv3d(_Conv):
    """(N, C, D, H, W) -> (N, O, D', H', W')."""

    _dims = 3
