"""Arrays as runs of memory: what elementwise kernels work on, whatever the order of the axes."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

__all__ = ["dense_order", "library", "like", "on_gpu", "runs"]


def library(array: Any) -> Any:
    """The array library that `array` belongs to."""
    return np if type(array) is np.ndarray else sys.modules[type(array).__module__.partition(".")[0]]


def on_gpu(x: Any) -> bool:
    """Whether x is a GPU's array. Its class is asked: the attribute itself takes microseconds to work out."""
    return hasattr(type(x), "__cuda_array_interface__")


def dense_order(x: Any) -> tuple[int, ...] | None:
    """The order of axes in which x is one gapless run of memory; None if it is not one."""
    if x.flags.c_contiguous:
        return tuple(range(x.ndim))
    order = tuple(sorted(range(x.ndim), key=lambda axis: (-abs(x.strides[axis]), axis)))
    return order if x.transpose(order).flags.c_contiguous else None


def runs(*arrays: Any) -> list[Any] | None:
    """Arrays of one shape and one order of axes, each flat in memory order (views); None if they differ."""
    first = arrays[0]
    order = dense_order(first)
    if order is None or any(a.shape != first.shape for a in arrays):
        return None
    flat = [a.transpose(order) for a in arrays]
    return [a.reshape(-1) for a in flat] if all(a.flags.c_contiguous for a in flat) else None


def like(x: Any) -> tuple[Any, Any]:
    """A new array with the shape and the memory order of x (which must be dense), and the same flat."""
    order = dense_order(x) or ()
    flat = library(x).empty(x.size, x.dtype)
    back = sorted(range(x.ndim), key=order.__getitem__)
    return flat.reshape([x.shape[axis] for axis in order]).transpose(back), flat
