"""Launches of conv.cu: convolution and its two gradients, as products whose columns are never stored."""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np

from . import depthwise
from .conv_plan import MOST, Launch, Plan, batch_last, plan_of, vector_of
from .launch import ceil_div, ctype, launch, library
from .linalg import matmul
from .precision import tf32

__all__ = ["INSTANCES", "conv", "conv_bias", "conv_grad_w", "conv_grad_x"]


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
STEP = 32  # shares of the depth are whole steps of every tile
# Of an H100; others are not far from it, and the choice of tiles is rough: its processors, the cycles that
# one more launch takes, bytes that the second cache moves in a cycle.
PROCESSORS, LAUNCH, BYTES = 132, 3000, 3000
PLAIN = 128  # products that a processor makes in a cycle without its tensor cores
MODES = (
    ("float", 4, "false"), ("float", 4, "true"), ("__half", 8, "true"), ("__nv_bfloat16", 8, "true"),
)  # fmt: skip
INSTANCES = (
    tuple(
        f"{kernel}<{t}, {v}, {tensor}, {tile.rows}, {tile.columns}, {tile.down}, {tile.across}>"
        for kernel in ("conv_gather", "conv_weights")
        for t, vector, tensor in MODES
        for v, tiles in ((vector, TILES), (1, (SCALAR,)))
        for tile in tiles
    )
    + tuple(
        f"{kernel}<{t}>"
        for kernel in ("conv_sum_shares", "conv_pack")
        for t in ("float", "__half", "__nv_bfloat16")
    )
    + tuple(f"conv_row_sums<{t}, {v}>" for t, most, _ in MODES[1:] for v in (most, 1))
)


def conv(
    x: Any, w: Any, bias: Any = None, *, stride: tuple, padding: Any, dilation: tuple, groups: int
) -> Any:
    """x (N, C, ...) with filters w (O, C / groups, ...) and bias (O,) -> (N, O, ...)."""
    plan = plan_of(x.shape, w.shape, stride, padding, dilation, groups)
    if plan is None or not _alike(x, w) or not (bias is None or _alike(x, bias)):
        return NotImplemented
    if bias is not None and bias.shape != w.shape[:1]:
        return NotImplemented
    return _gather(x, w, bias, plan.y[1:], plan, turned=False)


def conv_grad_x(
    gy: Any, w: Any, *, x_shape: tuple, stride: tuple, padding: Any, dilation: tuple, groups: int
) -> Any:
    """The gradient of conv in x."""
    plan = plan_of(x_shape, w.shape, stride, padding, dilation, groups)
    if plan is None or not _alike(gy, w) or gy.shape != plan.y:
        return NotImplemented
    return _gather(gy, w, None, x_shape[1:], plan, turned=True)


def conv_grad_w(
    gy: Any, x: Any, *, w_shape: tuple, stride: tuple, padding: Any, dilation: tuple, groups: int
) -> Any:
    """The gradient of conv in w: see ops/conv.py."""
    plan = plan_of(x.shape, w_shape, stride, padding, dilation, groups)
    if plan is None or not _alike(gy, x) or gy.shape != plan.y:
        return NotImplemented
    gy, x, job = batch_last(gy), batch_last(x), plan.forward
    vector = vector_of(gy, x)
    if _direct(w_shape, groups):
        tile, share = None, depthwise.share_of(job)
    else:
        tile, count = _choice(vector == 1, _rate(x), job.rows, job.depth, job.columns, groups)
        share = _share(job.columns, count)
    count = ceil_div(job.columns, share)
    gw = library(x).empty(w_shape, x.dtype)
    whole = count == 1 and x.dtype == np.float32
    sums = gw if whole else library(x).empty((count, *w_shape), np.float32)
    if tile is None:
        depthwise.weights(gy, x, sums, job, share, vector)
    else:
        grid = (_tiles(tile, job.rows, job.depth), groups, count)
        name = _instance("conv_weights", x, vector, tile)
        launch("conv", name, grid, tile.threads, (gy, x, sums, job.field, share))
    return gw if whole else _summed(sums, None, gw)


def conv_bias(g: Any) -> Any:
    """The gradient of conv in its bias: sums over all places of all images, in a fixed order."""
    memory = g.transpose(*range(1, g.ndim), 0)
    if not (g.size and memory.flags.c_contiguous and len(memory) <= 65535 and g.size <= MOST):
        return NotImplemented
    rows, vector = len(memory), vector_of(memory)
    columns = g.size // rows
    share = max(ceil_div(ceil_div(columns, ceil_div(4 * PROCESSORS, rows)), STEP) * STEP, 2048)
    count = ceil_div(columns, share)
    y = library(g).empty((rows,), g.dtype)
    whole = count == 1 and g.dtype == np.float32
    sums = y if whole else library(g).empty((count, rows), np.float32)
    name = f"conv_row_sums<{ctype(g.dtype)}, {vector}>"
    launch("conv", name, (count, rows), 256, (memory, sums, columns, share))
    return y if whole else _summed(sums, None, y)


def _gather(x: Any, w: Any, bias: Any, shape: tuple, plan: Plan, turned: bool) -> Any:
    """Sums over windows of batch-last memory; the result is a batch-first view, as the op's own is.

    turned: from y's channels to x's, else from x's to y's.
    """
    lib, x = library(x), batch_last(x)
    w, bias = lib.ascontiguousarray(w), bias if bias is None else lib.ascontiguousarray(bias)
    jobs, direct = plan.backward if turned else (plan.forward,), _direct(w.shape, plan.forward.groups)
    if plan.pointwise and bias is None and not direct:
        y = _pointwise(x, w, plan.forward.groups, turned)
        if y is not NotImplemented:
            return y.reshape(*shape, -1).transpose(-1, *range(len(shape)))
    y, vector = lib.empty((*shape, x.shape[-1]), x.dtype), vector_of(x)
    if direct:
        for job in jobs:
            depthwise.gather(x, w, bias, y, job, vector)
    else:
        _product(x, w, bias, y, jobs, vector)
    return y.transpose(-1, *range(len(shape)))


def _pointwise(x: Any, w: Any, groups: int, turned: bool) -> Any:
    """A kernel of one element is a plain product, x being its own columns: cuBLAS's, if it is there."""
    if groups == 1:
        left, right = w.reshape(len(w), -1), x.reshape(len(x), -1)
    else:
        left = w.reshape(groups, len(w) // groups, -1)
        right = x.reshape(groups, len(x) // groups, -1)
    return matmul(left.swapaxes(-1, -2) if turned else left, right)


def _product(x: Any, w: Any, bias: Any, y: Any, jobs: tuple[Launch, ...], vector: int) -> None:
    """Each launch as a product of matrices; all are cut into as many shares as suits the deepest."""
    deepest = max(jobs, key=lambda job: job.depth)
    rows, columns, depth, groups = deepest.rows, deepest.columns, deepest.depth, deepest.groups
    tile, count = _choice(vector == 1, _rate(x), rows, columns, depth, groups)
    share = _share(depth, count)
    count = max(ceil_div(depth, share), 1)
    sums = None if count == 1 else library(x).empty((count, *y.shape), np.float32)
    name = _instance("conv_gather", x, vector, tile)
    for job in jobs:
        grid = (_tiles(tile, job.rows, job.columns), groups, count)
        left = w if _rate(x) == PLAIN else _packed(w, job)
        launch("conv", name, grid, tile.threads, (x, left, bias, y, sums, job.field, share))
    if count > 1:
        _summed(sums, bias, y)


def _packed(w: Any, job: Launch) -> Any:
    """Weights in the order in which tensor cores take them: (group, depth, rows), rows by eights."""
    pitch = ceil_div(job.rows, 8) * 8
    packed = library(w).empty((job.groups, job.depth, pitch), w.dtype)
    grid = (ceil_div(job.depth * pitch, 256), job.groups)
    launch("conv", f"conv_pack<{ctype(w.dtype)}>", grid, 256, (w, packed, job.field, pitch))
    return packed


def _summed(sums: Any, bias: Any, y: Any) -> Any:
    """The sum of all shares and a bias to each row, rounded once."""
    count, lanes = len(sums), 8 if len(sums) > 16 else 1
    name, volume = f"conv_sum_shares<{ctype(y.dtype)}>", y.size // len(y)
    blocks = ceil_div(y.size * lanes, 256)
    launch("conv", name, blocks, 256, (sums, bias, y, y.size, count, lanes, volume))
    return y


def _alike(*arrays: Any) -> bool:
    """Whether all are of one dtype."""
    return all(a.dtype == arrays[0].dtype for a in arrays)


def _direct(w_shape: tuple, groups: int) -> bool:
    """Whether groups are so small that there is no product of matrices to speak of."""
    return w_shape[1] == 1 and w_shape[0] <= depthwise.MOST_FILTERS * groups and w_shape[0] <= 65535


def _rate(x: Any) -> int:
    """Products that a processor makes in a cycle, about: more on its tensor cores."""
    return 1024 if x.dtype.itemsize == 2 else 512 if tf32() else PLAIN


def _instance(kernel: str, x: Any, vector: int, tile: Tile) -> str:
    """The kernel with its template arguments: tensor cores for 16-bit numbers, and where TF32 will do."""
    tensor = "true" if _rate(x) > PLAIN else "false"
    sizes = f"{tile.rows}, {tile.columns}, {tile.down}, {tile.across}"
    return f"{kernel}<{ctype(x.dtype)}, {vector}, {tensor}, {sizes}>"


def _tiles(tile: Tile, rows: int, columns: int) -> int:
    """Tiles that cover a matrix of that size."""
    return ceil_div(rows, tile.rows) * ceil_div(columns, tile.columns)


def _share(depth: int, count: int) -> int:
    """How much of the depth goes to each of so many shares, in whole steps of a tile."""
    return max(ceil_div(ceil_div(depth, count), STEP) * STEP, STEP)


@functools.lru_cache(maxsize=1024)
def _choice(scalar: bool, rate: int, rows: int, columns: int, depth: int, groups: int) -> tuple[Tile, int]:
    """The tile, and the number of shares of the depth, that are done first by a rough account in cycles.

    A tile that is half empty takes as long as a full one, and a processor with fewer than 8 warps waits.
    Few tiles leave processors idle; shares of the depth keep them busy, but their sums are written and read.
    """

    def cycles(choice: tuple[Tile, int]) -> float:
        tile, count = choice
        here = max(ceil_div(_tiles(tile, rows, columns) * groups * count, PROCESSORS), 256 / tile.threads)
        products = here * tile.rows * tile.columns * ceil_div(depth, count) / (rate * tile.speed)
        sums = LAUNCH + count * groups * rows * columns * 8 / BYTES if count > 1 else 0
        return products + sums

    tiles = (SCALAR,) if scalar else TILES
    counts = [1 << i for i in range(11) if depth >> i >= 2 * STEP or i == 0]
    return min(itertools.product(tiles, counts), key=cycles)
