"""Pooling with PyTorch's signatures."""

from __future__ import annotations

from typing import Any

from ...engine.tensor import Tensor
from ...ops.pool import adaptive_avg_poolnd, avg_poolnd, max_poolnd

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]


def _max_pool(dims: int) -> Any:
    def pool(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> Tensor:
        return max_poolnd(input, kernel_size, stride, padding, dilation, ceil_mode, dims)

    pool.__name__ = pool.__qualname__ = f"max_pool{dims}d"
    pool.__doc__ = f"The largest element of each window over the last {dims} axes."
    return pool


def _avg_pool(dims: int) -> Any:
    def pool(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Tensor:
        return avg_poolnd(
            input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dims
        )

    pool.__name__ = pool.__qualname__ = f"avg_pool{dims}d"
    pool.__doc__ = f"The mean of each window over the last {dims} axes."
    return pool


def _adaptive_avg_pool(dims: int) -> Any:
    def pool(input: Tensor, output_size: Any) -> Tensor:
        return adaptive_avg_poolnd(input, output_size, dims)

    pool.__name__ = pool.__qualname__ = f"adaptive_avg_pool{dims}d"
    pool.__doc__ = f"Means over output_size bins on each of the last {dims} axes."
    return pool


max_pool1d, max_pool2d, max_pool3d = _max_pool(1), _max_pool(2), _max_pool(3)
avg_pool1d, avg_pool2d, avg_pool3d = _avg_pool(1), _avg_pool(2), _avg_pool(3)
adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = map(_adaptive_avg_pool, (1, 2, 3))
