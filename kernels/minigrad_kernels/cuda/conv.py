"""Launches of conv.cu: convolution and its two gradients, as products whose columns are never stored."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from .launch import ceil_div, ctype, launch, library, packed
from .precision import tf32

__all__ = ["INSTANCES", "Plan", "conv", "conv_grad_w", "conv_grad_x", "plan_of"]


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
MOST = 1 << 30  # columns or depth: they are counted in 32 bits
LENGTHS = ("x", "y", "kernel", "stride", "before", "dilation")
RECORD = np.dtype(
    [(f"{length}{axis}", "i4") for axis in range(3) for length in LENGTHS]
    + [(name, "i4") for name in ("batch", "channels", "filters", "groups")]
)


class Plan(NamedTuple):
    """A convolution's sizes, always with three spatial axes, and the same as the kernels' Geometry."""

    x: tuple[int, ...]
    y: tuple[int, ...]
    taps: int
    batch: int
    channels: int
    filters: int
    groups: int
    kinds: int  # classes of places of x, which differ in the taps they meet
    largest: int  # places in the largest of them
    out: tuple[int, ...]  # lengths of y, as many as there are
    record: Any


@functools.lru_cache(maxsize=512)
def plan_of(x: tuple, w: tuple, stride: tuple, padding: tuple, dilation: tuple, groups: int) -> Plan | None:
    """The plan, or None for what does not fit together, is empty, or is too large to count in 32 bits."""
    dims = len(x) - 2
    if not 1 <= dims <= 3 or len(w) != len(x) or not len(stride) == len(padding) == len(dilation) == dims:
        return None
    if min(x) < 1 or min(w) < 1 or w[0] % groups or x[1] != w[1] * groups:
        return None
    each = zip(x[2:], w[2:], stride, padding, dilation, strict=True)
    axes = [(n, (n + a + b - d * (k - 1) - 1) // s + 1, k, s, a, d) for n, k, s, (a, b), d in each]
    axes = [(1, 1, 1, 1, 0, 1)] * (3 - dims) + axes
    xs, ys, kernel, strides, _, _ = zip(*axes, strict=True)
    taps = math.prod(kernel)
    counts = (math.prod(xs) * x[0], math.prod(ys) * x[0], math.prod(w), w[0] * taps, w[1] * taps)
    steps = [min(s, n) for s, n in zip(strides, xs, strict=True)]
    kinds = math.prod(steps)
    if min(ys) < 1 or max(counts) > MOST or kinds * groups > 65535:
        return None
    largest = math.prod(ceil_div(n, s) for n, s in zip(xs, strides, strict=True))
    record = np.array((*[n for axis in axes for n in axis], x[0], x[1], w[0], groups), RECORD)
    return Plan(xs, ys, taps, x[0], x[1], w[0], groups, kinds, largest, ys[3 - dims :], record)


def conv(
    x: Any, w: Any, bias: Any = None, *, stride: tuple, padding: Any, dilation: tuple, groups: int
) -> Any:
    """x (N, C, ...) with filters w (O, C / groups, ...) and bias (O,) -> (N, O, ...)."""
    plan = plan_of(x.shape, w.shape, stride, padding, dilation, groups)
    if (
        plan is None
        or not _alike(x, w)
        or not (bias is None or (_alike(x, bias) and bias.shape == w.shape[:1]))
    ):
        return NotImplemented
    columns = math.prod(plan.y) * plan.batch
    return _gather(plan, x, w, bias, (plan.filters, *plan.out), columns, False)


def conv_grad_x(
    gy: Any, w: Any, *, x_shape: tuple, stride: tuple, padding: Any, dilation: tuple, groups: int
) -> Any:
    """The gradient of conv in x."""
    plan = plan_of(x_shape, w.shape, stride, padding, dilation, groups)
    if plan is None or not _alike(gy, w) or gy.shape != (plan.batch, plan.filters, *plan.out):
        return NotImplemented
    return _gather(plan, gy, w, None, x_shape[1:], plan.largest * plan.batch, True)


def conv_grad_w(
    gy: Any, x: Any, *, w_shape: tuple, stride: tuple, padding: Any, dilation: tuple, groups: int
) -> Any:
    """The gradient of conv in w: see ops/conv.py."""
    plan = plan_of(x.shape, w_shape, stride, padding, dilation, groups)
    if plan is None or not _alike(gy, x) or gy.shape != (plan.batch, plan.filters, *plan.out):
        return NotImplemented
    lib, gy, x = library(x), _batch_last(gy), _batch_last(x)
    rows, columns = plan.filters // groups, plan.channels // groups * plan.taps
    depth = math.prod(plan.y) * plan.batch
    vector, tile = _choose(plan, (gy, x), rows, columns, groups * ceil_div(depth, 2048))
    tiles = ceil_div(rows, tile.rows) * ceil_div(columns, tile.columns)
    share = _share(depth, tiles * groups)
    count = ceil_div(depth, share)
    sums = lib.empty((count, *w_shape), np.float32)
    name = _instance("conv_weights", x, vector, tile)
    launch("conv", name, (tiles, groups, count), tile.threads, (gy, x, sums, plan.record, share))
    if count == 1 and x.dtype == np.float32:
        return sums[0]
    gw = lib.empty(w_shape, x.dtype)
    blocks = min(ceil_div(gw.size, 256), 8 * PROCESSORS)
    launch("conv", f"conv_sum_shares<{ctype(x.dtype)}>", blocks, 256, (sums, gw, gw.size, count))
    return gw


def _alike(*arrays: Any) -> bool:
    """Whether all are of one dtype."""
    return all(a.dtype == arrays[0].dtype for a in arrays)


def _batch_last(a: Any) -> Any:
    """(N, C, ...) as contiguous (C, ..., N): mostly the memory it lies in already."""
    return library(a).ascontiguousarray(a.transpose(*range(1, a.ndim), 0))


def _choose(plan: Plan, arrays: tuple, rows: int, columns: int, others: int) -> tuple[int, Tile]:
    """How many images a thread fetches at once, and the tile whose blocks are done first.

    Blocks work side by side, one to a processor; a tile that is half empty takes as long as a full one.
    """
    vector = 16 // arrays[0].dtype.itemsize
    if plan.batch % vector or not packed(*arrays):
        return 1, SCALAR

    def time(tile: Tile) -> float:
        blocks = ceil_div(rows, tile.rows) * ceil_div(columns, tile.columns) * others
        return ceil_div(blocks, PROCESSORS) * tile.rows * tile.columns / tile.speed

    return vector, min(TILES, key=time)


def _share(depth: int, blocks: int) -> int:
    """How much of the depth a block sums: so little that all processors have some, yet 256 or more."""
    shares = max(1, min(4 * PROCESSORS // blocks, depth // 256, 65535))
    return ceil_div(ceil_div(depth, shares), 32) * 32


def _instance(kernel: str, x: Any, vector: int, tile: Tile) -> str:
    """The kernel with its template arguments: tensor cores for 16-bit numbers, and where TF32 will do."""
    tensor = "true" if x.dtype.itemsize == 2 or tf32() else "false"
    sizes = f"{tile.rows}, {tile.columns}, {tile.down}, {tile.across}"
    return f"{kernel}<{ctype(x.dtype)}, {vector}, {tensor}, {sizes}>"


def _gather(plan: Plan, x: Any, w: Any, bias: Any, shape: tuple, columns: int, turned: bool) -> Any:
    """conv_gather on batch-last memory; the result is a batch-first view, as the op's own is."""
    lib, x = library(x), _batch_last(x)
    w, bias = lib.ascontiguousarray(w), bias if bias is None else lib.ascontiguousarray(bias)
    rows = (plan.channels if turned else plan.filters) // plan.groups
    others = plan.groups * (plan.kinds if turned else 1)
    vector, tile = _choose(plan, (x,), rows, columns, others)
    y = lib.empty((*shape, plan.batch), x.dtype)
    grid = (ceil_div(rows, tile.rows) * ceil_div(columns, tile.columns), others)
    name = _instance("conv_gather", x, vector, tile)
    launch("conv", name, grid, tile.threads, (x, w, bias, y, plan.record, turned))
    return y.transpose(-1, *range(y.ndim - 1))
