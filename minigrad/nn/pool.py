"""Pooling layers."""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from ..ops.pool import adaptive_avg_poolnd, avg_poolnd, max_poolnd
from ..ops.windows import per_axis
from .module import Module

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
]


class _MaxPool(Module):
    _dims = 0

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if return_indices:
            raise ValueError(f"{name}: indices are not offered yet (return_indices=True); leave it False")
        per_axis(name, "kernel_size", kernel_size, self._dims)
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.ceil_mode = padding, dilation, ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        """The largest element of each window."""
        return max_poolnd(
            x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self._dims
        )

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """Maxima over windows of (N, C, L)."""

    _dims = 1


class MaxPool2d(_MaxPool):
    """Maxima over windows of (N, C, H, W); the first of equals receives the gradient."""

    _dims = 2


class MaxPool3d(_MaxPool):
    """Maxima over windows of (N, C, D, H, W)."""

    _dims = 3


class _AvgPool(Module):
    _dims = 0

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        per_axis(type(self).__name__, "kernel_size", kernel_size, self._dims)
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, x: Tensor) -> Tensor:
        """The mean of each window."""
        return avg_poolnd(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
            self.divisor_override, self._dims,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """The settings."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """Means over windows of (N, C, L)."""

    _dims = 1

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        one = lambda v, what: per_axis("AvgPool1d", what, v, 1, least=0)
        self.kernel_size, self.stride = one(self.kernel_size, "kernel_size"), one(self.stride, "stride")
        self.padding = one(padding, "padding")


class AvgPool2d(_AvgPool):
    """Means over windows of (N, C, H, W)."""

    _dims = 2


class AvgPool3d(_AvgPool):
    """Means over windows of (N, C, D, H, W)."""

    _dims = 3


class _AdaptiveAvgPool(Module):
    _dims = 0

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        """Means over output_size bins per axis."""
        return adaptive_avg_poolnd(x, self.output_size, self._dims)

    def extra_repr(self) -> str:
        """The lengths."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """(N, C, L) -> (N, C, output_size)."""

    _dims = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """(N, C, H, W) -> (N, C, *output_size); None keeps a length, 1 is global average pooling."""

    _dims = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """(N, C, D, H, W) -> (N, C, *output_size)."""

    _dims = 3
