"""Launches of columns.cu: windows as columns, and columns added back to where they came from."""

from __future__ import annotations

import math
from typing import Any

from .conv_plan import batch_last, plan_of, vector_of
from .launch import ceil_div, ctype, launch, library

__all__ = ["INSTANCES", "col2im", "im2col"]

THREADS = 256
ROWS = 65535  # blocks that a launch may have on its second axis
FLOATS = (("float", 4), ("double", 2), ("__half", 8), ("__nv_bfloat16", 8))
INSTANCES = tuple(
    f"{name}<{t}, {v}>"
    for name in ("im2col_forward", "col2im_forward")
    for t, most in FLOATS
    for v in (most, 1)
)


def im2col(x: Any, *, kernel: tuple, stride: tuple, padding: Any, dilation: tuple) -> Any:
    """x (N, C, ...) -> (N, C prod(kernel), windows): see ops/fold.py."""
    plan = plan_of(x.shape, (1, x.shape[1], *kernel), stride, padding, dilation, 1)
    if plan is None:
        return NotImplemented
    x, job, windows = batch_last(x), plan.forward, math.prod(plan.y[2:])
    y = library(x).empty((job.depth, windows, x.shape[-1]), x.dtype)
    vector = vector_of(x)
    grid = (ceil_div(job.columns, THREADS * vector), min(job.depth, ROWS))
    launch("columns", f"im2col_forward<{ctype(x.dtype)}, {vector}>", grid, THREADS, (x, y, job.field))
    return y.transpose(2, 0, 1)


def col2im(x: Any, *, x_shape: tuple, kernel: tuple, stride: tuple, padding: Any, dilation: tuple) -> Any:
    """The adjoint of im2col: each number of a column is added to the place of x_shape that it came from."""
    plan = plan_of(x_shape, (1, x_shape[1], *kernel), stride, padding, dilation, 1)
    if plan is None or x.shape != (x_shape[0], plan.forward.depth, math.prod(plan.y[2:])):
        return NotImplemented
    x = batch_last(x)
    y = library(x).empty((*x_shape[1:], x_shape[0]), x.dtype)
    vector = vector_of(x)
    name = f"col2im_forward<{ctype(x.dtype)}, {vector}>"
    for job in plan.backward:
        grid = (ceil_div(job.columns, THREADS * vector), min(job.rows, ROWS))
        launch("columns", name, grid, THREADS, (x, y, job.field))
    return y.transpose(-1, *range(y.ndim - 1))
