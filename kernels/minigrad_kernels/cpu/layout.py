"""Batch-last memory, and where in it an index lies."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["batch_runs", "positions"]


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
