"""The inner loops of convolution: a tile of filters times places, summed over taps and channels in registers.

Batch-last, a row of places is one run of columns (a place of one image each), and so is what each element of
the kernel meets: the same run of the source, shifted. A thread copies the source of a piece of a row, border
zeros included, into a strip that stays in its second-level cache. Then tiles of two vectors of columns meet
six or four filters at a time, whose sums fill the registers. The strip is kernel-width times smaller than
its columns would be (no im2col), the copying is small beside the sums, and any stride, dilation, padding or
batch costs about the same.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from .jit import jit, parallel
from .simd import LANES, broadcast, fma, load, splat, store

__all__ = ["WIDE", "Job", "convolve"]

WIDE = 2 * LANES  # columns of a tile
_SHORT = 64  # taps x channels so few that writing the sums matters


class Job(NamedTuple):
    """The numbers of one convolution.

    y[place] = sum over taps and channels of w x[step place + tap], x being 0 outside. A tap is an element of
    the kernel; taps that differ only along the last axis are a row of taps. A piece is what a strip serves:
    `chunk` images at `wide` neighbouring places.
    """

    batch: int
    chunk: int
    wide: int
    depth: int  # of the source
    height: int
    width: int
    places_z: int  # to be computed
    places_y: int
    places_x: int
    step_z: int
    step_y: int
    step_x: int
    groups: int
    channels: int  # of a group
    filters: int  # of a group
    block: int  # channels at a time
    pitch: int  # of the strip: numbers for one channel and row of taps
    sixes: int  # panels of six filters, then of four
    fours: int
    w_group: int  # distances in w, in elements
    w_filter: int
    w_channel: int
    y_start: int  # distances in y, in elements
    y_filter: int
    y_z: int
    y_y: int
    y_x: int


class Tables(NamedTuple):
    """Where things lie: arrays of whole numbers."""

    rows: Any  # (rows of taps, 2): shift in z and y
    runs: Any  # (runs, 3): shift of the first source place in x, places beyond `wide`, start in the strip
    offsets: Any  # (2, depth): place in the strip of each row of taps, channel, tap; the last block's second
    taps: Any  # (rows of taps, taps of a row): place in w


# ---------------------------------------------------------------- the register tiles


@jit
def _six(
    many: int, strip: Any, at: int, offsets: Any, w: Any, i: int, old: Any, a: int, new: Any, b: int, far: int
) -> None:
    """Six rows of sums, from old[a] on, plus `many` vectors of the strip times weights; to rows of new."""
    p0, p1 = load(old, a), load(old, a + LANES)
    q0, q1 = load(old, a + WIDE), load(old, a + WIDE + LANES)
    r0, r1 = load(old, a + 2 * WIDE), load(old, a + 2 * WIDE + LANES)
    s0, s1 = load(old, a + 3 * WIDE), load(old, a + 3 * WIDE + LANES)
    t0, t1 = load(old, a + 4 * WIDE), load(old, a + 4 * WIDE + LANES)
    u0, u1 = load(old, a + 5 * WIDE), load(old, a + 5 * WIDE + LANES)
    for k in range(many):
        x0, x1 = load(strip, at + offsets[k]), load(strip, at + offsets[k] + LANES)
        v = broadcast(w, i)
        p0, p1 = fma(v, x0, p0), fma(v, x1, p1)
        v = broadcast(w, i + 1)
        q0, q1 = fma(v, x0, q0), fma(v, x1, q1)
        v = broadcast(w, i + 2)
        r0, r1 = fma(v, x0, r0), fma(v, x1, r1)
        v = broadcast(w, i + 3)
        s0, s1 = fma(v, x0, s0), fma(v, x1, s1)
        v = broadcast(w, i + 4)
        t0, t1 = fma(v, x0, t0), fma(v, x1, t1)
        v = broadcast(w, i + 5)
        u0, u1 = fma(v, x0, u0), fma(v, x1, u1)
        i += 6
    store(new, b, p0), store(new, b + LANES, p1)
    store(new, b + far, q0), store(new, b + far + LANES, q1)
    store(new, b + 2 * far, r0), store(new, b + 2 * far + LANES, r1)
    store(new, b + 3 * far, s0), store(new, b + 3 * far + LANES, s1)
    store(new, b + 4 * far, t0), store(new, b + 4 * far + LANES, t1)
    store(new, b + 5 * far, u0), store(new, b + 5 * far + LANES, u1)


@jit
def _four(
    many: int, strip: Any, at: int, offsets: Any, w: Any, i: int, old: Any, a: int, new: Any, b: int, far: int
) -> None:
    """The same with four."""
    p0, p1 = load(old, a), load(old, a + LANES)
    q0, q1 = load(old, a + WIDE), load(old, a + WIDE + LANES)
    r0, r1 = load(old, a + 2 * WIDE), load(old, a + 2 * WIDE + LANES)
    s0, s1 = load(old, a + 3 * WIDE), load(old, a + 3 * WIDE + LANES)
    for k in range(many):
        x0, x1 = load(strip, at + offsets[k]), load(strip, at + offsets[k] + LANES)
        v = broadcast(w, i)
        p0, p1 = fma(v, x0, p0), fma(v, x1, p1)
        v = broadcast(w, i + 1)
        q0, q1 = fma(v, x0, q0), fma(v, x1, q1)
        v = broadcast(w, i + 2)
        r0, r1 = fma(v, x0, r0), fma(v, x1, r1)
        v = broadcast(w, i + 3)
        s0, s1 = fma(v, x0, s0), fma(v, x1, s1)
        i += 4
    store(new, b, p0), store(new, b + LANES, p1)
    store(new, b + far, q0), store(new, b + far + LANES, q1)
    store(new, b + 2 * far, r0), store(new, b + 2 * far + LANES, r1)
    store(new, b + 3 * far, s0), store(new, b + 3 * far + LANES, s1)


# ---------------------------------------------------------------- the strip


@jit
def _copy(y: Any, i: int, x: Any, k: int, many: int) -> None:
    """y[i : i + many] = x[k : k + many]."""
    whole = many // LANES * LANES
    for j in range(0, whole, LANES):
        store(y, i + j, load(x, k + j))
    for j in range(whole, many):
        y[i + j] = x[k + j]


@jit
def _fill(
    strip: Any, x: Any, tables: Tables, job: Job, channel: int, channels: int, z: int, y: int,
    place: int, wide: int, image: int, images: int, low: int, high: int,
) -> None:  # fmt: skip
    """Copy what `wide` places from `place` on meet, for rows of taps [low, high): zeros outside."""
    line = job.width * job.batch
    together = job.step_x == 1 and job.chunk == job.batch  # neighbours in the strip are so in x
    for run in range(len(tables.runs)):
        first = place * job.step_x + tables.runs[run, 0]
        many = wide + tables.runs[run, 1]
        inside = min(many, max(0, -(first // job.step_x)))  # the first that lies inside
        outside = min(many, max(inside, -((first - job.width) // job.step_x)))
        for row in range(low, high):
            sz, sy = z * job.step_z + tables.rows[row, 0], y * job.step_y + tables.rows[row, 1]
            beyond = sz < 0 or sz >= job.depth or sy < 0 or sy >= job.height
            a, b = (many, many) if beyond else (inside, outside)
            for c in range(channels):
                i = (row * job.block + c) * job.pitch + tables.runs[run, 2]
                k = (((channel + c) * job.depth + sz) * job.height + sy) * line + first * job.batch + image
                strip[i : i + a * job.chunk] = 0
                if together:
                    _copy(strip, i + a * job.chunk, x, k + a * job.batch, (b - a) * job.batch)
                else:
                    for j in range(a, b):
                        _copy(strip, i + j * job.chunk, x, k + j * job.step_x * job.batch, images)
                strip[i + b * job.chunk : i + many * job.chunk] = 0


# ---------------------------------------------------------------- all pieces of a thread


@jit
def _inside(shifts: Any, axis: int, start: int, length: int) -> tuple[int, int]:
    """The first row of taps that lies inside along an axis, and the one after the last."""
    low, high = 0, len(shifts)
    while low < high and not 0 <= start + shifts[low, axis] < length:
        low += 1
    while high > low and not 0 <= start + shifts[high - 1, axis] < length:
        high -= 1
    return low, high


@jit
def _begin(sums: Any, bias: Any, tiles: int, filters: int, job: Job, group: int) -> None:
    """Every sum begins with its filter's bias."""
    for f in range(filters):
        b = bias[group * job.filters + f] if f < job.filters and len(bias) else np.float32(0)
        for t in range(tiles):
            store(sums, (t * filters + f) * WIDE, splat(b))
            store(sums, (t * filters + f) * WIDE + LANES, splat(b))


@jit
def _write(y: Any, sums: Any, filters: int, start: int, job: Job, wide: int, images: int) -> None:
    """The sums of a piece to y, filter by filter."""
    together = job.y_x == job.chunk == images
    length = wide * images if together else images
    for f in range(job.filters):
        place = start + f * job.y_filter
        for piece in range(1 if together else wide):
            j, end, i = piece * job.chunk, piece * job.chunk + length, place + piece * job.y_x
            while j < end:
                tile, column = j // WIDE, j % WIDE
                many = min(WIDE - column, end - j)
                _copy(y, i, sums, (tile * filters + f) * WIDE + column, many)
                i, j = i + many, j + many


@jit
def _multiply(
    strip: Any, offsets: Any, w: Any, i: int, low: int, many: int, depth: int, tiles: int, filters: int,
    job: Job, sums: Any, new: Any, start: int, tile: int, far: int,
) -> None:  # fmt: skip
    """Sums plus products, to `new`: a tile of the strip stays in the first-level cache, all weights pass."""
    for t in range(tiles):
        k, a, b = i, t * filters * WIDE, start + t * tile
        for _ in range(job.sixes):
            _six(many, strip, t * WIDE, offsets, w, k + 6 * low, sums, a, new, b, far)
            k, a, b = k + 6 * depth, a + 6 * WIDE, b + 6 * far
        for _ in range(job.fours):
            _four(many, strip, t * WIDE, offsets, w, k + 4 * low, sums, a, new, b, far)
            k, a, b = k + 4 * depth, a + 4 * WIDE, b + 4 * far


@jit
def _multiply_short(
    strip: Any, offsets: Any, w: Any, i: int, low: int, many: int, depth: int, tiles: int, job: Job,
    begin: Any, y: Any, start: int,
) -> None:  # fmt: skip
    """For few taps and channels: a panel of weights stays, all tiles pass; `begin` is of one tile only."""
    at = 0
    for _ in range(job.sixes):
        for t in range(tiles):
            _six(many, strip, t * WIDE, offsets, w, i + 6 * low, begin, at, y, start + t * WIDE, job.y_filter)
        i, at, start = i + 6 * depth, at + 6 * WIDE, start + 6 * job.y_filter
    for _ in range(job.fours):
        for t in range(tiles):
            _four(
                many, strip, t * WIDE, offsets, w, i + 4 * low, begin, at, y, start + t * WIDE, job.y_filter
            )
        i, at, start = i + 4 * depth, at + 4 * WIDE, start + 4 * job.y_filter


@jit
def _pieces(
    x: Any, w: Any, bias: Any, y: Any, tables: Tables, job: Job, group: int, first: int, last: int
) -> None:
    """Pieces [first, last) of a group, numbered with the rows below one another first: they share source."""
    filters = 6 * job.sixes + 4 * job.fours
    strip = np.zeros(len(tables.rows) * job.block * job.pitch + WIDE, np.float32)
    most = (job.wide * job.chunk + WIDE - 1) // WIDE
    sums = np.empty(most * filters * WIDE, np.float32)
    segments = (job.places_x + job.wide - 1) // job.wide
    short = tables.taps.size * job.channels <= _SHORT
    for piece in range(first, last):
        rest, py = divmod(piece, job.places_y)
        rest, pz = divmod(rest, job.places_z)
        rest, segment = divmod(rest, segments)
        image, place = rest * job.chunk, segment * job.wide
        images, wide = min(job.chunk, job.batch - image), min(job.wide, job.places_x - place)
        tiles = (wide * job.chunk + WIDE - 1) // WIDE
        low, high = _inside(tables.rows, 1, py * job.step_y, job.height)
        start = job.y_start + pz * job.y_z + py * job.y_y + place * job.y_x + image
        start += group * job.filters * job.y_filter
        straight = filters == job.filters and tiles * WIDE == wide * job.chunk  # tiles lie in y as they are
        straight = straight and job.y_x == job.chunk == images
        _begin(sums, bias, 1 if straight and short else tiles, filters, job, group)
        for c in range(0, job.channels, job.block):
            channels = min(job.block, job.channels - c)
            channel = group * job.channels + c
            _fill(strip, x, tables, job, channel, channels, pz, py, place, wide, image, images, low, high)
            each = channels * tables.taps.shape[1]  # for one row of taps
            depth, many, skip = each * len(tables.rows), each * (high - low), each * low
            offsets = tables.offsets[1 if c + job.block >= job.channels else 0, skip:]
            i = channel * tables.taps.size * filters
            if straight and short:
                _multiply_short(strip, offsets, w, i, skip, many, depth, tiles, job, sums, y, start)
            elif straight and c + job.block >= job.channels:
                _multiply(
                    strip, offsets, w, i, skip, many, depth, tiles, filters, job,
                    sums, y, start, WIDE, job.y_filter,
                )  # fmt: skip
            else:
                _multiply(
                    strip, offsets, w, i, skip, many, depth, tiles, filters, job,
                    sums, sums, 0, filters * WIDE, WIDE,
                )  # fmt: skip
        if not straight:
            _write(y, sums, filters, start, job, wide, images)


@jit
def _pack(w: Any, packed: Any, taps: Any, job: Job, group: int, p: int) -> None:
    """Weights of one panel of filters, block by block, in the order in which the tiles want them."""
    filters = 6 * job.sixes + 4 * job.fours
    many = 6 if p < job.sixes else 4
    f = 6 * p if p < job.sixes else 6 * job.sixes + 4 * (p - job.sixes)
    for c in range(0, job.channels, job.block):
        channels = min(job.block, job.channels - c)
        i = ((group * job.channels + c) * filters + f * channels) * taps.size
        start = group * job.w_group + f * job.w_filter + c * job.w_channel
        for row in range(len(taps)):
            for k in range(channels):
                for t in range(taps.shape[1]):
                    source = start + k * job.w_channel + taps[row, t]
                    for m in range(many):
                        packed[i] = w[source + m * job.w_filter] if f + m < job.filters else 0
                        i += 1


@parallel
def convolve(x: Any, w: Any, packed: Any, bias: Any, y: Any, tables: Tables, job: Job, shares: int) -> None:
    """y from x and w, all flat; packed: memory for the weights."""
    panels = job.sixes + job.fours
    for i in prange(job.groups * panels):
        _pack(w, packed, tables.taps, job, i // panels, i % panels)
    chunks, segments = -(-job.batch // job.chunk), -(-job.places_x // job.wide)
    pieces = chunks * segments * job.places_z * job.places_y
    for i in prange(job.groups * shares):
        group, share = i // shares, i % shares
        first, last = pieces * share // shares, pieces * (share + 1) // shares
        _pieces(x, packed, bias, y, tables, job, group, first, last)
