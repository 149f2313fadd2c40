"""Launches of conv.cu: convolution and its two gradients, as products whose columns are never stored."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from . import depthwise
from .conv_plan import Launch, batch_last, plan_of, vector_of
from .launch import ceil_div, ctype, launch, library
from .precision import tf32

__all__ = ["INSTANCES", "conv", "conv_grad_w", "conv_grad_x"]


class Tile(NamedTuple):
    """Rows and columns of a block's tile, those of a thread, and the speed of its sums."""

    rows: int
    columns: int
    down: int
    across: int
    speed: float

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.rows // self.down * (self.columns // self.across)


TILES = (
    Tile(128, 128, 8, 8, 1.0), Tile(64, 128, 8, 8, 0.9), Tile(64, 64, 8, 4, 0.7), Tile(32, 128, 8, 4, 0.7),
    Tile(16, 256, 4, 8, 0.55),
)  # fmt: skip
SCALAR = TILES[2]  # for batches that are no multiple of 16 bytes
PROCESSORS = 132  # of an H100; others have about as many, and the choice of tiles is rough
MODES = (("float", 4, "false"), ("float", 4, "true"), ("__half", 8, "true"), ("__nv_bfloat16", 8, "true"))
INSTANCES = tuple(
    f"{kernel}<{t}, {v}, {tensor}, {tile.rows}, {tile.columns}, {tile.down}, {tile.across}>"
    for kernel in ("conv_gather", "conv_weights")
    for t, vector, tensor in MODES
    for v, tiles in ((vector, TILES), (1, (SCALAR,)))
    for tile in tiles
) + tuple(f"conv_sum_shares<{t}>" for t in ("float", "__half", "__nv_bfloat16"))


def conv(
    x: Any, w: Any, bias: Any = None, *, stride: tuple, padding: Any, dilation: tuple, groups: int
) -> Any:
    """x (N, C, ...) with filters w (O, C / groups, ...) and bias (O,) -> (N, O, ...)."""
    plan = plan_of(x.shape, w.shape, stride, padding, dilation, groups)
    if plan is None or not _alike(x, w) or not (bias is None or _alike(x, bias)):
        return NotImplemented
    if bias is not None and bias.shape != w.shape[:1]:
        return NotImplemented
    return _gather(x, w, bias, plan.y[1:], (plan.forward,))


def conv_grad_x(
    gy: Any, w: Any, *, x_shape: tuple, stride: tuple, padding: Any, dilation: tuple, groups: int
) -> Any:
    """The gradient of conv in x."""
    plan = plan_of(x_shape, w.shape, stride, padding, dilation, groups)
    if plan is None or not _alike(gy, w) or gy.shape != plan.y:
        return NotImplemented
    return _gather(gy, w, None, x_shape[1:], plan.backward)


def conv_grad_w(
    gy: Any, x: Any, *, w_shape: tuple, stride: tuple, padding: Any, dilation: tuple, groups: int
) -> Any:
    """The gradient of conv in w: see ops/conv.py."""
    plan = plan_of(x.shape, w_shape, stride, padding, dilation, groups)
    if plan is None or not _alike(gy, x) or gy.shape != plan.y:
        return NotImplemented
    lib, gy, x, job = library(x), batch_last(gy), batch_last(x), plan.forward
    vector = vector_of(gy, x)
    if _direct(w_shape, groups):
        share = depthwise.share_of(job)
        sums = lib.empty((ceil_div(job.columns, share), *w_shape), np.float32)
        depthwise.weights(gy, x, sums, job, share, vector)
        return _summed(sums, x.dtype)
    tile = _tile(vector == 1, job.rows, job.depth, job.groups * ceil_div(job.columns, 2048))
    tiles = ceil_div(job.rows, tile.rows) * ceil_div(job.depth, tile.columns)
    share = _share(job.columns, tiles * groups)
    sums = lib.empty((ceil_div(job.columns, share), *w_shape), np.float32)
    name = _instance("conv_weights", x, vector, tile)
    grid = (tiles, groups, len(sums))
    launch("conv", name, grid, tile.threads, (gy, x, sums, job.field, share))
    return _summed(sums, x.dtype)


def _summed(sums: Any, dtype: Any) -> Any:
    """The sum of all shares, rounded once."""
    if len(sums) == 1 and dtype == np.float32:
        return sums[0]
    y = library(sums).empty(sums.shape[1:], dtype)
    name = f"conv_sum_shares<{ctype(dtype)}>"
    launch("conv", name, ceil_div(y.size, 32), 256, (sums, y, y.size, len(sums)))
    return y


def _direct(w_shape: tuple, groups: int) -> bool:
    """Whether groups are so small that there is no product of matrices to speak of."""
    return w_shape[1] == 1 and w_shape[0] <= depthwise.MOST_FILTERS * groups and w_shape[0] <= 65535


def _gather(x: Any, w: Any, bias: Any, shape: tuple, jobs: tuple[Launch, ...]) -> Any:
    """conv_gather on batch-last memory; the result is a batch-first view, as the op's own is."""
    lib, x = library(x), batch_last(x)
    w, bias = lib.ascontiguousarray(w), bias if bias is None else lib.ascontiguousarray(bias)
    y, vector = lib.empty((*shape, x.shape[-1]), x.dtype), vector_of(x)
    for job in jobs:
        if _direct(w.shape, job.groups):
            depthwise.gather(x, w, bias, y, job, vector)
            continue
        tile = _tile(vector == 1, job.rows, job.columns, job.groups)
        grid = (ceil_div(job.rows, tile.rows) * ceil_div(job.columns, tile.columns), job.groups)
        name = _instance("conv_gather", x, vector, tile)
        launch("conv", name, grid, tile.threads, (x, w, bias, y, job.field))
    return y.transpose(-1, *range(y.ndim - 1))


def _alike(*arrays: Any) -> bool:
    """Whether all are of one dtype."""
    return all(a.dtype == arrays[0].dtype for a in arrays)


@functools.lru_cache(maxsize=1024)
def _tile(scalar: bool, rows: int, columns: int, others: int) -> Tile:
    """The tile whose blocks are done first. `others`: how many such matrices are made side by side.

    Blocks run side by side, one to a processor; a tile that is half empty takes as long as a full one.
    """
    if scalar:
        return SCALAR

    def time(tile: Tile) -> float:
        blocks = ceil_div(rows, tile.rows) * ceil_div(columns, tile.columns) * others
        return ceil_div(blocks, PROCESSORS) * tile.rows * tile.columns / tile.speed

    return min(TILES, key=time)


def _share(depth: int, blocks: int) -> int:
    """How much of the depth a block sums: so little that all processors have some, yet 256 or more."""
    shares = max(1, min(4 * PROCESSORS // blocks, depth // 256))
    return ceil_div(ceil_div(depth, shares), 32) * 32


def _instance(kernel: str, x: Any, vector: int, tile: Tile) -> str:
    """The kernel with its template arguments: tensor cores for 16-bit numbers, and where TF32 will do."""
    tensor = "true" if x.dtype.itemsize == 2 or tf32() else "false"
    sizes = f"{tile.rows}, {tile.columns}, {tile.down}, {tile.across}"
    return f"{kernel}<{ctype(x.dtype)}, {vector}, {tensor}, {sizes}>"
