"""Arrays as runs of memory: what elementwise kernels work on, whatever the order of the axes."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["batch_runs", "dense_order", "like", "positions", "runs"]


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
    order = dense_order(x)
    flat = np.empty(x.size, x.dtype)
    back = tuple(np.argsort(order))
    return flat.reshape([x.shape[axis] for axis in order]).transpose(back), flat


def batch_runs(a: Any) -> tuple[Any, tuple]:
    """a (N, C, ...) as memory from its first number on, and in numbers the steps of (C, ...) but the last.

    The batch lies last and columns follow each other without gaps; no step is negative. A copy is made where
    it is not so, and of what is read-only: for that Numba would compile the kernel anew.
    """
    a = np.moveaxis(a, 0, -1)
    size, batch = a.itemsize, a.shape[-1]
    tight = batch == 1 or a.strides[-1] == size
    tight = tight and (a.shape[-2] == 1 or a.strides[-2] == size * batch)
    if not (tight and a.flags.writeable) or any(step % size or step < 0 for step in a.strides):
        a = a.copy()
    return a[(0,) * (a.ndim - 1)], tuple(step // size for step in a.strides[:-2])


def positions(sizes: Any, steps: Any) -> Any:
    """The sum of index times step for every index into `sizes`, in row-major order."""
    at = np.zeros(1, np.int64)
    for size, step in zip(sizes, steps, strict=True):
        at = (at[:, None] + np.arange(size) * step).reshape(-1)
    return at
