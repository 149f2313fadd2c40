"""Pooling layers: a class for what 1, 2 and 3 dimensions share, and one line for each."""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from ..ops import pool as ops
from ..ops import pool_places as places
from ..ops.windows import per_axis
from .functional import pool as F
from .module import Module

__all__ = [
    *[f"{kind}Pool{d}d" for kind in ("Max", "Avg", "LP", "AdaptiveAvg", "AdaptiveMax") for d in (1, 2, 3)],
    *[f"MaxUnpool{d}d" for d in (1, 2, 3)],
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
]


class _Pool(Module):
    """Of a subclass: `_dims`, and `_shown`, the settings in its repr."""

    _dims = 0
    _shown: tuple[str, ...] = ()

    def extra_repr(self) -> str:
        """The settings."""
        return ", ".join(f"{name}={getattr(self, name)}" for name in self._shown)


class _MaxPool(_Pool):
    _shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

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
        ops.check_pool(type(self).__name__, kernel_size, stride, padding, self._dims, dilation)
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Tensor) -> Any:
        """The largest element of each window; with return_indices (values, indices)."""
        return ops.max_poolnd(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self._dims,
            self.return_indices,
        )  # fmt: skip


class MaxPool1d(_MaxPool):
    """Maxima over windows of (N, C, L)."""

    _dims = 1


class MaxPool2d(_MaxPool):
    """Maxima over windows of (N, C, H, W); the first of equals receives the gradient.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> x = mg.tensor([[[1.0, 3.0], [2.0, 0.0]]], requires_grad=True)
    >>> y, index = nn.MaxPool2d(2, return_indices=True)(x)
    >>> y.tolist(), index.tolist()
    ([[[3.0]]], [[[1]]])
    >>> y.sum().backward()
    >>> x.grad
    tensor([[[0., 1.],
             [0., 0.]]])
    """

    _dims = 2


class MaxPool3d(_MaxPool):
    """Maxima over windows of (N, C, D, H, W)."""

    _dims = 3


class _MaxUnpool(_Pool):
    _shown = ("kernel_size", "stride", "padding")

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        name, dims = type(self).__name__, self._dims
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, dims)
        self.stride = self.kernel_size if stride is None else per_axis(name, "stride", stride, dims)
        self.padding = per_axis(name, "padding", padding, dims, least=0)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        """Zeros with the input at the indices that MaxPool returned."""
        return places.max_unpoolnd(
            input, indices, self.kernel_size, self.stride, self.padding, output_size, self._dims
        )


class MaxUnpool1d(_MaxUnpool):
    """(N, C, L) back to where MaxPool1d found it."""

    _dims = 1


class MaxUnpool2d(_MaxUnpool):
    """(N, C, H, W) back to where MaxPool2d found it, zeros elsewhere.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> pool, back = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
    >>> back(*pool(mg.tensor([[[1.0, 3.0], [2.0, 0.0]]])))
    tensor([[[0., 3.],
             [0., 0.]]])
    """

    _dims = 2


class MaxUnpool3d(_MaxUnpool):
    """(N, C, D, H, W) back to where MaxPool3d found it."""

    _dims = 3


class _AvgPool(_Pool):
    _shown = ("kernel_size", "stride", "padding")

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
        name = type(self).__name__
        ops.check_pool(name, kernel_size, stride, padding, self._dims)
        ops.check_divisor(name, divisor_override)
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """The mean of each window."""
        return ops.avg_poolnd(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
            self.divisor_override, self._dims,
        )  # fmt: skip


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
        for name in self._shown:  # PyTorch's has no divisor, and keeps tuples
            setattr(self, name, per_axis("AvgPool1d", name, getattr(self, name), 1, least=0))
        del self.divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """The mean of each window."""
        return F.avg_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )


class AvgPool2d(_AvgPool):
    """Means over windows of (N, C, H, W); zeros of the padding count unless count_include_pad=False.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> x = mg.tensor([[[1.0, 3.0], [2.0, 0.0]]], requires_grad=True)
    >>> y = nn.AvgPool2d(2)(x)
    >>> y.item()
    1.5
    >>> y.backward()
    >>> x.grad
    tensor([[[0.25, 0.25],
             [0.25, 0.25]]])
    """

    _dims = 2


class AvgPool3d(_AvgPool):
    """Means over windows of (N, C, D, H, W)."""

    _dims = 3


class _LPPool(_Pool):
    _shown = ("norm_type", "kernel_size", "stride", "ceil_mode")

    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        ops.check_pool(type(self).__name__, kernel_size, stride, 0, self._dims)
        F.check_norm_type(type(self).__name__, norm_type)
        self.norm_type, self.kernel_size, self.stride = norm_type, kernel_size, stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        """(sum of x^p)^(1/p) of each window."""
        pool = (F.lp_pool1d, F.lp_pool2d, F.lp_pool3d)[self._dims - 1]
        return pool(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool1d(_LPPool):
    """(sum of x^p)^(1/p), p = norm_type, over windows of (N, C, L)."""

    _dims = 1


class LPPool2d(_LPPool):
    """(sum of x^p)^(1/p), p = norm_type, over windows of (N, C, H, W)."""

    _dims = 2


class LPPool3d(_LPPool):
    """(sum of x^p)^(1/p), p = norm_type, over windows of (N, C, D, H, W)."""

    _dims = 3


class _AdaptiveAvgPool(_Pool):
    _shown = ("output_size",)

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        places.check_output_size(type(self).__name__, output_size, self._dims)
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """Means over output_size bins per axis."""
        return ops.adaptive_avg_poolnd(input, self.output_size, self._dims)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means: (N, C, L) -> (N, C, output_size)."""

    _dims = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means: (N, C, H, W) -> (N, C, *output_size); None keeps a length, 1 is global average pooling.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> nn.AdaptiveAvgPool2d(1)(mg.tensor([[[1.0, 3.0], [2.0, 0.0]]])).item()
    1.5
    """

    _dims = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means: (N, C, D, H, W) -> (N, C, *output_size)."""

    _dims = 3


class _AdaptiveMaxPool(_Pool):
    _shown = ("output_size",)

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        places.check_output_size(type(self).__name__, output_size, self._dims)
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Tensor) -> Any:
        """Maxima over output_size bins per axis; with return_indices (values, indices)."""
        found = places.adaptive_max_poolnd(input, self.output_size, self._dims)
        return found if self.return_indices else found[0]


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima: (N, C, L) -> (N, C, output_size)."""

    _dims = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima: (N, C, H, W) -> (N, C, *output_size); None keeps a length, 1 is global max pooling."""

    _dims = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Maxima: (N, C, D, H, W) -> (N, C, *output_size)."""

    _dims = 3


class _FractionalMaxPool(_Pool):
    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, self._dims)
        self.output_size, self.output_ratio = places.check_ratio(name, output_size, output_ratio, self._dims)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)

    def forward(self, input: Tensor) -> Any:
        """Maxima over windows that start at random; with return_indices (values, indices)."""
        found = places.fractional_max_poolnd(
            input, self.kernel_size, self.output_size, self.output_ratio, self._random_samples, self._dims
        )
        return found if self.return_indices else found[0]


class FractionalMaxPool2d(_FractionalMaxPool):
    """Maxima over windows of (N, C, H, W) that start at random, anew on every call. Graham 2014."""

    _dims = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """Maxima over windows of (N, C, D, H, W) that start at random, anew on every call. Graham 2014."""

    _dims = 3
