"""The gradient of a convolution in its weights, without columns: sums of products along long runs.

    gw[o, k] = sum over rows r and i of  gy[o, r, i] x[row of r and tap k, i]

The batch lies last in memory, so at stride 1 a whole output row (width x batch) is one run of numbers in gy,
and one in x for every tap k (channel and place in the kernel). Four runs of gy and three of x meet in
registers: 7 loads for 12 vectors of products, which are added up along the run and over lanes at its end.
Runs are taken about a thousand numbers at a time, so that all of this happens in the first cache.
With a larger stride x is copied phase by phase (every second column, say), and the same holds.
"""

from __future__ import annotations

import functools
import math
import operator
from typing import Any, NamedTuple

import numpy as np
from numba import prange

from .jit import jit, parallel, threads
from .layout import batch_runs, positions
from .simd import LANES, fma, load, total, where_greater, zeros

__all__ = ["conv_grad_w"]

FILTERS, TAPS = 4, 3  # one tile: so many runs of gy meet so many of x
BLOCK = 1024  # numbers of a run at a time: 7 such runs fill the first cache
NEAR = 1 << 18  # bytes of x that are used again and again before the next are taken: they stay in the second
SHARES = 4  # at most so many sums of all weights side by side; further threads share the filters

_BORDER = -(1 << 60)  # what begins below it lies on the border
_TAIL = np.repeat(np.float32([0, 1]), LANES)  # read from position r on: the last r lanes count


# ---------------------------------------------------------------- x as runs


@jit
def _copy_row(
    x: Any, start: int, width: int, before: int, stride: int, phases: int, columns: int, batch: int, y: Any,
    at: int,
) -> None:  # fmt: skip
    """y[phase, column] = x[column stride + phase - before], each a run over the batch; zero outside."""
    for phase in range(phases):
        low = max(0, -((phase - before) // stride))  # columns [low, high) are inside
        high = max(low, min(columns, -((phase - before - width) // stride)))
        if start < _BORDER:
            low = high = columns
        for n in range(low * batch):
            y[at + n] = 0
        source = start + (low * stride + phase - before) * batch
        if stride == 1:
            for n in range((high - low) * batch):
                y[at + low * batch + n] = x[source + n]
        else:
            for column in range(high - low):
                for n in range(batch):
                    y[at + (low + column) * batch + n] = x[source + column * stride * batch + n]
        for n in range(high * batch, columns * batch):
            y[at + n] = 0
        at += columns * batch


class _Input(NamedTuple):
    """How x is read: what is copied first, then where its output rows and taps lie."""

    copies: Any  # (rows to copy, 2): where each begins in x (below _BORDER: nowhere) and in the copy
    row: tuple[int, int, int, int, int]  # of such rows: width, before, stride, phases, columns
    size: int  # numbers of the copy; 0: x is read as it is
    rows: Any
    taps: Any


def _input(lengths: tuple, steps: tuple, batch: int, channels: int, out: tuple, how: tuple) -> _Input:
    """x with channels and rows at these steps, as runs."""
    kernel, stride, padding, dilation = how
    s, reach = stride[-1], dilation[-1] * (kernel[-1] - 1)
    phases, wide = min(s, reach + 1), out[-1] + reach // s
    along = np.arange(kernel[-1]) * dilation[-1]
    copies, size = np.empty((0, 2), np.int64), 0
    if s == 1 and not any(a or b for a, b in padding):
        columns = along * batch
    else:
        pitch = phases * wide * batch
        padded = [a + n + b for n, (a, b) in zip(lengths[:-1], padding[:-1], strict=True)]
        to = tuple(pitch * math.prod(padded[i:]) for i in range(len(lengths)))
        copies, size = _copies(lengths, channels, padded, steps, to, out, how), channels * to[0]
        steps, columns = to, (along % s * wide + along // s) * batch
    taps = positions((channels, *kernel[:-1]), (steps[0], *map(operator.mul, dilation[:-1], steps[1:])))
    rows = positions(out[:-1], [*map(operator.mul, stride[:-1], steps[1:])])
    row = (lengths[-1], padding[-1][0], s, phases, wide)
    return _Input(copies, row, size, rows, (taps[:, None] + columns).reshape(channels, -1))


def _copies(
    lengths: tuple, channels: int, padded: list, steps: tuple, to: tuple, out: tuple, how: tuple
) -> Any:
    """Where each row of x that some tap meets begins, and where its copy does; a border begins nowhere."""
    source, target = positions((channels,), steps[:1]), positions((channels,), to[:1])
    for i, (kernel, stride, (before, _), dilation) in enumerate(zip(*[h[:-1] for h in how], strict=True)):
        met = np.zeros(padded[i], bool)
        met[np.arange(out[i])[:, None] * stride + np.arange(kernel) * dilation] = True
        index = np.flatnonzero(met)
        inside = (index >= before) & (index < before + lengths[i])
        here = np.where(inside, (index - before) * steps[i + 1], 2 * _BORDER)
        source = (source[:, None] + here).reshape(-1)
        target = (target[:, None] + index * to[i + 1]).reshape(-1)
    return np.stack([source, target], axis=1)


# ---------------------------------------------------------------- the sums


@jit
def _tile(
    gy: Any, filters: Any, f: int, x: Any, taps: Any, k: int, rows: Any, first: int, last: int, a: int,
    b: int, tail: Any, out: Any, at: int, pitch: int,
) -> None:  # fmt: skip
    """Add to out the sums of 4 filters from f on and 3 taps from k on, over numbers [a, b) of some rows."""
    s00 = s01 = s02 = s10 = s11 = s12 = s20 = s21 = s22 = s30 = s31 = s32 = zeros()
    whole = a + (b - a) // LANES * LANES
    for r in range(first, last):
        p, q = rows[r, 0], rows[r, 1]
        p0, p1, p2, p3 = p + filters[f], p + filters[f + 1], p + filters[f + 2], p + filters[f + 3]
        q0, q1, q2 = q + taps[k], q + taps[k + 1], q + taps[k + 2]
        for i in range(a, whole, LANES):
            x0, x1, x2 = load(x, q0 + i), load(x, q1 + i), load(x, q2 + i)
            y = load(gy, p0 + i)
            s00, s01, s02 = fma(x0, y, s00), fma(x1, y, s01), fma(x2, y, s02)
            y = load(gy, p1 + i)
            s10, s11, s12 = fma(x0, y, s10), fma(x1, y, s11), fma(x2, y, s12)
            y = load(gy, p2 + i)
            s20, s21, s22 = fma(x0, y, s20), fma(x1, y, s21), fma(x2, y, s22)
            y = load(gy, p3 + i)
            s30, s31, s32 = fma(x0, y, s30), fma(x1, y, s31), fma(x2, y, s32)
        if whole < b:  # the last vector, whose first lanes were counted already
            none, i, counts = zeros(), b - LANES, load(tail, b - whole)
            x0 = where_greater(counts, none, load(x, q0 + i), none)
            x1 = where_greater(counts, none, load(x, q1 + i), none)
            x2 = where_greater(counts, none, load(x, q2 + i), none)
            y = where_greater(counts, none, load(gy, p0 + i), none)
            s00, s01, s02 = fma(x0, y, s00), fma(x1, y, s01), fma(x2, y, s02)
            y = where_greater(counts, none, load(gy, p1 + i), none)
            s10, s11, s12 = fma(x0, y, s10), fma(x1, y, s11), fma(x2, y, s12)
            y = where_greater(counts, none, load(gy, p2 + i), none)
            s20, s21, s22 = fma(x0, y, s20), fma(x1, y, s21), fma(x2, y, s22)
            y = where_greater(counts, none, load(gy, p3 + i), none)
            s30, s31, s32 = fma(x0, y, s30), fma(x1, y, s31), fma(x2, y, s32)
    out[at] += total(s00)
    out[at + 1] += total(s01)
    out[at + 2] += total(s02)
    at += pitch
    out[at] += total(s10)
    out[at + 1] += total(s11)
    out[at + 2] += total(s12)
    at += pitch
    out[at] += total(s20)
    out[at + 1] += total(s21)
    out[at + 2] += total(s22)
    at += pitch
    out[at] += total(s30)
    out[at + 1] += total(s31)
    out[at + 2] += total(s32)


@parallel
def _gradient(
    gy: Any, filters: Any, x: Any, copies: Any, row: Any, copy: Any, taps: Any, groups: int, rows: Any,
    batch: int, blocks: Any, near: int, tail: Any, shares: int, parts: int, out: Any,
) -> None:  # fmt: skip
    """out[share, filter, tap]: the sums over each share of the blocks (of height rows by width numbers)."""
    for i in prange(len(copies)):
        _copy_row(x, copies[i, 0], row[0], row[1], row[2], row[3], row[4], batch, copy, copies[i, 1])
    source = copy if len(copies) else x
    length, height, width = blocks
    across = -(-length // width)
    count = -(-rows.shape[0] // height) * across
    quads, pitch = filters.size // FILTERS, taps.size // groups
    per_group = quads // groups
    for task in prange(shares * parts):
        share, part = task % shares, task // shares
        for block in range(share * count // shares, (share + 1) * count // shares):
            first, a = block // across * height, block % across * width
            last, b = min(first + height, rows.shape[0]), min(a + width, length)
            for low in range(0, pitch, near):
                for quad in range(part * quads // parts, (part + 1) * quads // parts):
                    taps_from = quad // per_group * pitch
                    at = (share * quads + quad) * FILTERS * pitch
                    for k in range(low, min(low + near, pitch), TAPS):
                        _tile(
                            gy, filters, quad * FILTERS, source, taps, taps_from + k, rows, first, last, a, b,
                            tail, out, at + k, pitch,
                        )  # fmt: skip


# ---------------------------------------------------------------- the kernel


def conv_grad_w(
    gy: Any, x: Any, *, w_shape: tuple, stride: tuple, padding: tuple, dilation: tuple, groups: int
) -> Any:
    """The gradient of conv in w: see ops/conv.py."""
    how = (w_shape[2:], stride, padding, dilation)
    if gy.dtype != np.float32 or x.dtype != np.float32 or not (gy.size and x.size):
        return NotImplemented
    out = _out(x.shape, gy.shape, w_shape, how, groups)
    if out is None:
        return NotImplemented
    (g, g_steps), (memory, steps) = batch_runs(gy), batch_runs(x)
    batch, filters, depth = x.shape[0], w_shape[0], math.prod(w_shape[1:])
    plan, places, rows, taps, blocks, near, shares, parts = _plan(
        x.shape[2:], steps, g_steps, batch, w_shape, out, how, groups, threads()
    )
    sums = np.zeros((shares, groups, places.size // groups, taps.size // groups), np.float32)
    _gradient(
        g, places, memory, plan.copies, plan.row, np.empty(plan.size, np.float32), taps, groups, rows,
        batch, blocks, near, _TAIL, shares, parts, sums.reshape(-1),
    )  # fmt: skip
    gw = sums[0] if shares == 1 else sums.sum(axis=0)
    return np.ascontiguousarray(gw[:, : filters // groups, :depth]).reshape(w_shape)


@functools.lru_cache(maxsize=256)
def _plan(
    lengths: tuple, steps: tuple, g_steps: tuple, batch: int, w_shape: tuple, out: tuple, how: tuple,
    groups: int, count: int,
) -> tuple:  # fmt: skip
    """Where everything lies, how it is cut into blocks and shares: the same for every step of a training."""
    plan = _input(lengths, steps, batch, w_shape[1] * groups, out, how)
    rows = np.stack([positions(out[:-1], g_steps[1:]), plan.rows], axis=1)
    # Taps channel by channel, filters group by group, both filled up to whole tiles by the last ones again.
    taps = _filled(plan.taps.reshape(groups, -1), TAPS)
    places = _filled((np.arange(w_shape[0]) * g_steps[0]).reshape(groups, -1), FILTERS)
    length = out[-1] * batch
    height, width = _block(len(rows), length, count)
    shares = min(count, -(-len(rows) // height) * -(-length // width), SHARES)
    parts = min(count // shares, places.size // FILTERS)
    channels = max(NEAR // (4 * (height + w_shape[-2]) * min(length, width)), 1)
    near = -(-channels * math.prod(w_shape[2:]) // TAPS) * TAPS
    return plan, places.reshape(-1), rows, taps.reshape(-1), (length, height, width), near, shares, parts


@functools.lru_cache(maxsize=256)
def _out(x: tuple, gy: tuple, w: tuple, how: tuple, groups: int) -> tuple | None:
    """The lengths of the output, if all shapes fit each other and a row of it has a vector of numbers."""
    if not 2 < len(x) == len(w) or w[0] % groups or x[1] != w[1] * groups:
        return None
    sizes = zip(x[2:], *how, strict=True)
    out = tuple((n + a + b - d * (k - 1) - 1) // s + 1 for n, k, s, (a, b), d in sizes)
    return out if gy == (x[0], w[0], *out) and out[-1] * x[0] >= LANES else None


def _filled(places: Any, tile: int) -> Any:
    """(groups, n) with n filled up to whole tiles by the last of each group."""
    return np.pad(places, ((0, 0), (0, -places.shape[1] % tile)), mode="edge")


def _block(rows: int, length: int, count: int) -> tuple[int, int]:
    """Rows and numbers of a row to take at a time: about BLOCK numbers, and something for every thread."""
    if length >= BLOCK:
        pieces = round(length / BLOCK)
        return 1, -(-length // (pieces * LANES)) * LANES
    return min(BLOCK // length, -(-rows // count)), -(-length // LANES) * LANES
