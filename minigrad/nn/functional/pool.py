"""Pooling with PyTorch's signatures, made once for 1, 2 and 3 dimensions.

A maker returns the function and, where PyTorch has one, its `_with_indices` form, which always returns both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ...engine.tensor import Tensor
from ...ops import pool as ops
from ...ops import pool_places as places
from ...ops.elementwise import abs, where

__all__ = [
    *[f"max_pool{d}d{ending}" for d in (1, 2, 3) for ending in ("", "_with_indices")],
    *[f"adaptive_max_pool{d}d{ending}" for d in (1, 2, 3) for ending in ("", "_with_indices")],
    *[f"{kind}_pool{d}d" for kind in ("avg", "adaptive_avg", "lp") for d in (1, 2, 3)],
    *[f"fractional_max_pool{d}d{ending}" for d in (2, 3) for ending in ("", "_with_indices")],
    *[f"max_unpool{d}d" for d in (1, 2, 3)],
]  # fmt: skip


def _named(f: Callable, name: str, doc: str) -> Callable:
    f.__name__ = f.__qualname__ = name
    f.__doc__ = doc
    return f


def _with_indices(pool: Callable, always: Callable) -> tuple[Callable, Callable]:
    """A pooling, and its form that always returns (values, indices)."""
    doc = f"{pool.__name__} that always returns (values, indices)."
    return pool, _named(always, f"{pool.__name__}_with_indices", doc)


def _max_pool(dims: int) -> tuple[Callable, Callable]:
    def pool(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        return ops.max_poolnd(input, kernel_size, stride, padding, dilation, ceil_mode, dims, return_indices)

    def always(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        return ops.max_poolnd(input, kernel_size, stride, padding, dilation, ceil_mode, dims, True)

    doc = f"""The largest element of each window over the last {dims} axes: x (N, C, ...) or (C, ...).

    The first of equals, or the last NaN, receives the gradient. With return_indices also where it lies: a
    flat index into its plane. ValueError if a window does not fit or the padding is over half the kernel.
    """
    return _with_indices(_named(pool, f"max_pool{dims}d", doc), always)


def _adaptive_max_pool(dims: int) -> tuple[Callable, Callable]:
    def pool(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        found = places.adaptive_max_poolnd(input, output_size, dims)
        return found if return_indices else found[0]

    def always(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        return places.adaptive_max_poolnd(input, output_size, dims)

    doc = f"Maxima over output_size bins on each of the last {dims} axes, with their flat indices if asked."
    return _with_indices(_named(pool, f"adaptive_max_pool{dims}d", doc), always)


def _fractional_max_pool(dims: int) -> tuple[Callable, Callable]:
    def pool(
        input: Tensor,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> Any:
        found = places.fractional_max_poolnd(
            input, kernel_size, output_size, output_ratio, _random_samples, dims
        )
        return found if return_indices else found[0]

    def always(
        input: Tensor,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> Any:
        return places.fractional_max_poolnd(
            input, kernel_size, output_size, output_ratio, _random_samples, dims
        )

    doc = f"""Maxima over windows that start at random on the last {dims} axes. Graham 2014.

    Give output_size, or output_ratio in (0, 1). `_random_samples` (N, C, {dims}) in [0, 1) fixes the windows.
    """
    return _with_indices(_named(pool, f"fractional_max_pool{dims}d", doc), always)


def _avg_pool(dims: int) -> Callable:
    def pool(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Tensor:
        return ops.avg_poolnd(
            input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dims
        )

    doc = f"""The mean of each window over the last {dims} axes: x (N, C, ...) or (C, ...).

    Zeros of the padding count unless count_include_pad=False; divisor_override divides the sums instead.
    """
    return _named(pool, f"avg_pool{dims}d", doc)


def avg_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window over the last axis: x (N, C, L) or (C, L)."""
    return ops.avg_poolnd(input, kernel_size, stride, padding, ceil_mode, count_include_pad, None, 1)


def _adaptive_avg_pool(dims: int) -> Callable:
    def pool(input: Tensor, output_size: Any) -> Tensor:
        return ops.adaptive_avg_poolnd(input, output_size, dims)

    doc = f"""Means over output_size bins on each of the last {dims} axes: x (N, C, ...) or (C, ...).

    Bin i of m spans floor(i n / m) to ceil((i + 1) n / m) of the n elements. None keeps a length.
    """
    return _named(pool, f"adaptive_avg_pool{dims}d", doc)


def check_norm_type(name: str, norm_type: float) -> None:
    """The power of lp_pool may not be 0."""
    if isinstance(norm_type, bool) or not isinstance(norm_type, int | float) or not norm_type:
        raise ValueError(f"{name}: expected a number other than 0 (norm_type={norm_type!r})")


def _lp_pool(dims: int) -> Callable:
    name = f"lp_pool{dims}d"

    def pool(
        input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> Tensor:
        check_norm_type(name, norm_type)
        if math.isinf(norm_type):
            outer = 1.0 if norm_type > 0 else -1.0
            return outer * ops.max_poolnd(outer * abs(input), kernel_size, stride, 0, 1, ceil_mode, dims)
        kernel = ops.check_pool(name, kernel_size, stride, 0, dims)["kernel"]
        mean = ops.avg_poolnd(input**norm_type, kernel_size, stride, 0, ceil_mode, True, None, dims)
        mean = where(mean != 0, mean, 0.0)  # ends the gradient where the root has none
        return (mean * float(math.prod(kernel))) ** (1.0 / norm_type)

    doc = f"""(sum of x^p)^(1/p), p = norm_type, of windows over the last {dims} axes; inf: the largest |x|.

    A window that ceil_mode lets run over the end is scaled up to a full one, as in PyTorch.
    """
    return _named(pool, name, doc)


def _max_unpool(dims: int) -> Callable:
    def pool(
        input: Tensor,
        indices: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        output_size: Any = None,
    ) -> Tensor:
        return places.max_unpoolnd(input, indices, kernel_size, stride, padding, output_size, dims)

    doc = f"""Zeros with each x where max_pool{dims}d found it; output_size where several lengths pool alike.

    Of several at one index the last stays, and all receive its gradient, as in PyTorch. Zeiler & Fergus 2014.
    """
    return _named(pool, f"max_unpool{dims}d", doc)


max_pool1d, max_pool1d_with_indices = _max_pool(1)
max_pool2d, max_pool2d_with_indices = _max_pool(2)
max_pool3d, max_pool3d_with_indices = _max_pool(3)
adaptive_max_pool1d, adaptive_max_pool1d_with_indices = _adaptive_max_pool(1)
adaptive_max_pool2d, adaptive_max_pool2d_with_indices = _adaptive_max_pool(2)
adaptive_max_pool3d, adaptive_max_pool3d_with_indices = _adaptive_max_pool(3)
fractional_max_pool2d, fractional_max_pool2d_with_indices = _fractional_max_pool(2)
fractional_max_pool3d, fractional_max_pool3d_with_indices = _fractional_max_pool(3)
avg_pool2d, avg_pool3d = _avg_pool(2), _avg_pool(3)
adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = map(_adaptive_avg_pool, (1, 2, 3))
lp_pool1d, lp_pool2d, lp_pool3d = map(_lp_pool, (1, 2, 3))
max_unpool1d, max_unpool2d, max_unpool3d = map(_max_unpool, (1, 2, 3))
