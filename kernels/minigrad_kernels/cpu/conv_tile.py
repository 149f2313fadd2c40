"""The inner loops of convolution: a tile of filters times places, summed over taps and channels in registers.

A column is one output place of one image, numbered batch-last, as memory lies. Two vectors of columns are
copied out of x, border zeros included, for every tap (a position in the kernel) and channel: this little
matrix stays in the first-level cache while all the filters pass over it, six or four at a time, whose sums
fill the registers. So x is read about once, no columns ever go through memory, and any stride, dilation,
padding or batch costs the same.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from .jit import jit, parallel
from .simd import LANES, broadcast, fma, load, splat, store, zeros

__all__ = ["DEPTH", "WIDE", "Job", "convolve", "padded_filters"]

WIDE = 2 * LANES  # columns of a tile
DEPTH = 2048 // LANES  # rows of a tile (taps x channels): with its weights it fits the first-level cache
_UNIT = 8  # tiles that meet a block of the weights before the next block comes


class Job(NamedTuple):
    """The numbers of one convolution: every column is a sum over taps and channels, as taps[:, :3] says.

    y(z, y, x) = sum over taps and channels of w . source(step (z, y, x) + tap); zero outside the source.
    """

    batch: int
    depth: int  # of the source
    height: int
    width: int
    out_depth: int  # of the places computed
    out_height: int
    out_width: int
    step_z: int
    step_y: int
    step_x: int
    groups: int
    channels: int  # of a group
    filters: int  # of a group
    block: int  # channels at a time
    w_group: int  # distances in w, in elements
    w_filter: int
    w_channel: int
    y_start: int  # distances in y, in elements
    y_filter: int
    y_z: int
    y_y: int
    y_x: int


def padded_filters(filters: int) -> tuple[int, int]:
    """Panels of six filters and of four that hold so many, with the fewest left over."""
    fours = 1 if filters <= 4 else (0, 2, 2, 1, 1, 0)[filters % 6]
    return max(0, -(-(filters - 4 * fours) // 6)), fours


# ---------------------------------------------------------------- the register tiles


@jit
def _six(depth: int, cols: Any, w: Any, i: int, sums: Any, at: int) -> None:
    """Add `depth` rows of the tile, each times six weights from w[i] on, to six rows of sums."""
    a0, a1 = load(sums, at), load(sums, at + LANES)
    b0, b1 = load(sums, at + WIDE), load(sums, at + WIDE + LANES)
    c0, c1 = load(sums, at + 2 * WIDE), load(sums, at + 2 * WIDE + LANES)
    d0, d1 = load(sums, at + 3 * WIDE), load(sums, at + 3 * WIDE + LANES)
    e0, e1 = load(sums, at + 4 * WIDE), load(sums, at + 4 * WIDE + LANES)
    f0, f1 = load(sums, at + 5 * WIDE), load(sums, at + 5 * WIDE + LANES)
    for k in range(depth):
        x0, x1 = load(cols, k * WIDE), load(cols, k * WIDE + LANES)
        v = broadcast(w, i)
        a0, a1 = fma(v, x0, a0), fma(v, x1, a1)
        v = broadcast(w, i + 1)
        b0, b1 = fma(v, x0, b0), fma(v, x1, b1)
        v = broadcast(w, i + 2)
        c0, c1 = fma(v, x0, c0), fma(v, x1, c1)
        v = broadcast(w, i + 3)
        d0, d1 = fma(v, x0, d0), fma(v, x1, d1)
        v = broadcast(w, i + 4)
        e0, e1 = fma(v, x0, e0), fma(v, x1, e1)
        v = broadcast(w, i + 5)
        f0, f1 = fma(v, x0, f0), fma(v, x1, f1)
        i += 6
    store(sums, at, a0), store(sums, at + LANES, a1)
    store(sums, at + WIDE, b0), store(sums, at + WIDE + LANES, b1)
    store(sums, at + 2 * WIDE, c0), store(sums, at + 2 * WIDE + LANES, c1)
    store(sums, at + 3 * WIDE, d0), store(sums, at + 3 * WIDE + LANES, d1)
    store(sums, at + 4 * WIDE, e0), store(sums, at + 4 * WIDE + LANES, e1)
    store(sums, at + 5 * WIDE, f0), store(sums, at + 5 * WIDE + LANES, f1)


@jit
def _four(depth: int, cols: Any, w: Any, i: int, sums: Any, at: int) -> None:
    """The same with four."""
    a0, a1 = load(sums, at), load(sums, at + LANES)
    b0, b1 = load(sums, at + WIDE), load(sums, at + WIDE + LANES)
    c0, c1 = load(sums, at + 2 * WIDE), load(sums, at + 2 * WIDE + LANES)
    d0, d1 = load(sums, at + 3 * WIDE), load(sums, at + 3 * WIDE + LANES)
    for k in range(depth):
        x0, x1 = load(cols, k * WIDE), load(cols, k * WIDE + LANES)
        v = broadcast(w, i)
        a0, a1 = fma(v, x0, a0), fma(v, x1, a1)
        v = broadcast(w, i + 1)
        b0, b1 = fma(v, x0, b0), fma(v, x1, b1)
        v = broadcast(w, i + 2)
        c0, c1 = fma(v, x0, c0), fma(v, x1, c1)
        v = broadcast(w, i + 3)
        d0, d1 = fma(v, x0, d0), fma(v, x1, d1)
        i += 4
    store(sums, at, a0), store(sums, at + LANES, a1)
    store(sums, at + WIDE, b0), store(sums, at + WIDE + LANES, b1)
    store(sums, at + 2 * WIDE, c0), store(sums, at + 2 * WIDE + LANES, c1)
    store(sums, at + 3 * WIDE, d0), store(sums, at + 3 * WIDE + LANES, d1)


# ---------------------------------------------------------------- columns


@jit
def _places(tile: int, job: Job, at: Any) -> int:
    """For each column of a tile: where it starts in the source (z, y, x, image), and its place in y.

    Returns how many columns there are; the rest of the last tile is put far outside, where zeros are.
    """
    first = tile * WIDE
    rest, n = divmod(first, job.batch)
    rest, x = divmod(rest, job.out_width)
    z, y = divmod(rest, job.out_height)
    count = min(WIDE, job.batch * job.out_width * job.out_height * job.out_depth - first)
    for i in range(count):
        at[0, i], at[1, i], at[2, i], at[3, i] = z * job.step_z, y * job.step_y, x * job.step_x, n
        at[4, i] = job.y_start + z * job.y_z + y * job.y_y + x * job.y_x + n
        n += 1
        if n == job.batch:
            n, x = 0, x + 1
            if x == job.out_width:
                x, y = 0, y + 1
                if y == job.out_height:
                    y, z = 0, z + 1
    at[0, count:] = -(1 << 40)
    return count


@jit
def _runs_on(at: Any, distance: int, batch: int) -> bool:
    """Whether a tile's columns lie side by side, if neighbours in x are that far apart."""
    last = WIDE - 1
    if at[0, 0] != at[0, last] or at[1, 0] != at[1, last]:
        return False
    return at[2, 0] == at[2, last] or distance == batch


@jit
def _column(at: Any, i: int, tap: Any, job: Job) -> int:
    """Where column i under this tap lies within a channel of the source; -1 outside."""
    z, y, x = at[0, i] + tap[0], at[1, i] + tap[1], at[2, i] + tap[2]
    if z < 0 or z >= job.depth or y < 0 or y >= job.height or x < 0 or x >= job.width:
        return -1
    return ((z * job.height + y) * job.width + x) * job.batch + at[3, i]


@jit
def _fill(cols: Any, x: Any, taps: Any, at: Any, start: int, channels: int, job: Job) -> None:
    """Copy a tile's columns: for each tap and channel one row, zeros where it lies outside."""
    plane = job.depth * job.height * job.width * job.batch
    side_by_side = _runs_on(at, job.step_x * job.batch, job.batch)
    one_place = side_by_side and at[2, 0] == at[2, WIDE - 1]
    where = np.empty(WIDE, np.int64)
    k = 0
    for t in range(len(taps)):
        first, last = _column(at, 0, taps[t], job), _column(at, WIDE - 1, taps[t], job)
        if side_by_side and first >= 0 and last >= 0:
            source = start + first
            for _ in range(channels):
                store(cols, k, load(x, source))
                store(cols, k + LANES, load(x, source + LANES))
                source += plane
                k += WIDE
        elif one_place:
            cols[k : k + channels * WIDE] = 0
            k += channels * WIDE
        else:
            for i in range(WIDE):
                where[i] = _column(at, i, taps[t], job)
            _gather(cols, k, x, start, plane, where, channels)
            k += channels * WIDE


@jit
def _gather(cols: Any, k: int, x: Any, start: int, plane: int, where: Any, channels: int) -> None:
    """Copy the rows of one tap column by column."""
    for c in range(channels):
        for i in range(WIDE):
            cols[k + i] = x[start + c * plane + where[i]] if where[i] >= 0 else 0
        k += WIDE


# ---------------------------------------------------------------- all tiles of a thread


@jit
def _write(y: Any, sums: Any, at: Any, count: int, group: int, job: Job) -> None:
    """The sums of a tile to their places in y."""
    side_by_side = count == WIDE and _runs_on(at, job.y_x, job.batch)
    for f in range(job.filters):
        shift = (group * job.filters + f) * job.y_filter
        if side_by_side:
            store(y, shift + at[4, 0], load(sums, f * WIDE))
            store(y, shift + at[4, 0] + LANES, load(sums, f * WIDE + LANES))
        else:
            for i in range(count):
                y[shift + at[4, i]] = sums[f * WIDE + i]


@jit
def _tiles(
    x: Any, w: Any, bias: Any, y: Any, taps: Any, job: Job, panels: Any, group: int, first: int, last: int
) -> None:
    """Tiles [first, last) of a group, a few at a time: all meet one block of weights, then the next."""
    sixes, fours = panels
    filters = 6 * sixes + 4 * fours
    cols = np.empty(max(1, job.block * len(taps)) * WIDE, np.float32)
    sums = np.empty((_UNIT, filters * WIDE), np.float32)
    at = np.empty((_UNIT, 5, WIDE), np.int64)
    counts = np.empty(_UNIT, np.int64)
    plane = job.depth * job.height * job.width * job.batch
    for start in range(first, last, _UNIT):
        unit = min(_UNIT, last - start)
        for u in range(unit):
            counts[u] = _places(start + u, job, at[u])
            for f in range(filters):
                b = splat(bias[group * job.filters + f]) if f < job.filters and len(bias) else zeros()
                store(sums[u], f * WIDE, b)
                store(sums[u], f * WIDE + LANES, b)
        for c in range(0, job.channels, job.block):
            channels = min(job.block, job.channels - c)
            channel = group * job.channels + c
            depth = channels * len(taps)
            for u in range(unit):
                _fill(cols, x, taps, at[u], channel * plane, channels, job)
                i = channel * len(taps) * filters
                for p in range(sixes):
                    _six(depth, cols, w, i, sums[u], 6 * p * WIDE)
                    i += 6 * depth
                for p in range(fours):
                    _four(depth, cols, w, i, sums[u], (6 * sixes + 4 * p) * WIDE)
                    i += 4 * depth
        for u in range(unit):
            _write(y, sums[u], at[u], counts[u], group, job)


@jit
def _pack(w: Any, packed: Any, taps: Any, job: Job, panels: Any, group: int, p: int) -> None:
    """Weights of one panel of filters, block by block, in the order in which the tiles want them."""
    sixes, fours = panels
    filters = 6 * sixes + 4 * fours
    many = 6 if p < sixes else 4
    f = 6 * p if p < sixes else 6 * sixes + 4 * (p - sixes)
    for c in range(0, job.channels, job.block):
        channels = min(job.block, job.channels - c)
        i = ((group * job.channels + c) * filters + f * channels) * len(taps)
        for t in range(len(taps)):
            source = group * job.w_group + f * job.w_filter + c * job.w_channel + taps[t, 3]
            for k in range(channels):
                for m in range(many):
                    inside = f + m < job.filters
                    packed[i] = w[source + k * job.w_channel + m * job.w_filter] if inside else 0
                    i += 1


@parallel
def convolve(
    x: Any, w: Any, packed: Any, bias: Any, y: Any, taps: Any, job: Job, panels: Any, shares: int
) -> None:
    """y from x and w, all flat. taps: (z, y, x, place in w) of each; packed: memory for the weights."""
    many = panels[0] + panels[1]
    for i in prange(job.groups * many):
        _pack(w, packed, taps, job, panels, i // many, i % many)
    columns = job.batch * job.out_width * job.out_height * job.out_depth
    tiles = (columns + WIDE - 1) // WIDE
    for i in prange(job.groups * shares):
        group, share = i // shares, i % shares
        first, last = tiles * share // shares, tiles * (share + 1) // shares
        _tiles(x, packed, bias, y, taps, job, panels, group, first, last)
