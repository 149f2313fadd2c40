"""The gradient of a convolution in its weights, without columns: sums of products along long runs.

    gw[o, k] = sum over rows r and i of  gy[o, r, i] x[row of r and tap k, i]

The batch lies last in memory, so at stride 1 a whole output row (width x batch) is one run of numbers in gy,
and one in x for every tap k (channel and place in the kernel). Four runs of gy and three of x meet in
registers: 7 loads for 12 vectors of products, which are added up along the run and over lanes at its end.
Runs are taken about a thousand numbers at a time, so that all of this happens in the first cache.
With a larger stride x is copied phase by phase (every second column, say), and the same holds.
"""

from __future__ import annotations

import math
from typing import Any

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

_TAIL = np.repeat(np.float32([0, 1]), LANES)  # read from position r on: the last r lanes count


# ---------------------------------------------------------------- x as runs


@parallel
def _copy_rows(
    x: Any, source: Any, width: int, before: int, stride: int, phases: int, columns: int, y: Any
) -> None:
    """y[row, phase, column] = x[row, column stride + phase], each a run over the batch; a border is zero."""
    batch = x.size
    for row in prange(source.size):
        for phase in range(phases):
            at = (row * phases + phase) * columns * batch
            low = max(0, -((phase - before) // stride))  # columns [low, high) are inside
            high = max(low, min(columns, -((phase - before - width) // stride)))
            if source[row] < 0:
                low = high = columns
            for n in range(low * batch):
                y[at + n] = 0
            start = source[row] + (low * stride + phase - before) * batch
            if stride == 1:
                for n in range((high - low) * batch):
                    y[at + low * batch + n] = x[start + n]
            else:
                for column in range(high - low):
                    for n in range(batch):
                        y[at + (low + column) * batch + n] = x[start + column * stride * batch + n]
            for n in range(high * batch, columns * batch):
                y[at + n] = 0


def _input(x: Any, out: tuple, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple) -> tuple:
    """x as runs: memory, the steps of its channels and output rows, the places of a kernel's taps."""
    memory, steps = batch_runs(x)
    batch, channels, *lengths = x.shape
    s, reach = stride[-1], dilation[-1] * (kernel[-1] - 1)
    phases = min(s, reach + 1)
    along = np.arange(kernel[-1]) * dilation[-1]
    if s == 1 and not any(a or b for a, b in padding):
        columns = along * batch
    else:
        wide = out[-1] + reach // s  # columns of a phase
        padded = [a + n + b for n, (a, b) in zip(lengths[:-1], padding[:-1], strict=True)]
        source = _sources(channels, lengths, padding, padded, steps)
        y = np.empty(source.size * phases * wide * batch, np.float32)
        _copy_rows(memory, source, lengths[-1], padding[-1][0], s, phases, wide, y)
        memory, pitch = y, phases * wide * batch
        steps = tuple(pitch * math.prod(padded[i:]) for i in range(len(lengths)))
        columns = (along % s * wide + along // s) * batch
    taps = positions(kernel[:-1], [d * step for d, step in zip(dilation[:-1], steps[1:], strict=True)])
    rows = positions(out[:-1], [t * step for t, step in zip(stride[:-1], steps[1:], strict=True)])
    return memory, steps[0], rows, (taps[:, None] + columns).reshape(-1)


def _sources(channels: int, lengths: list, padding: tuple, padded: list, steps: tuple) -> Any:
    """Where each row of padded x begins in x; below zero: on the border."""
    at = positions((channels,), steps[:1])
    for n, (before, _), whole, step in zip(lengths[:-1], padding[:-1], padded, steps[1:], strict=True):
        index = np.arange(whole) - before
        here = np.where((index >= 0) & (index < n), index * step, -(1 << 60))
        at = (at[:, None] + here).reshape(-1)
    return at


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
def _sums(
    gy: Any, filters: Any, x: Any, taps: Any, groups: int, rows: Any, length: int, height: int, width: int,
    near: int, tail: Any, shares: int, parts: int, out: Any,
) -> None:  # fmt: skip
    """out[share, filter, tap]: the sums over each share of the blocks (of height rows by width numbers)."""
    across = -(-length // width)
    blocks = -(-rows.shape[0] // height) * across
    quads, pitch = filters.size // FILTERS, taps.size // groups
    per_group = quads // groups
    for task in prange(shares * parts):
        share, part = task % shares, task // shares
        for block in range(share * blocks // shares, (share + 1) * blocks // shares):
            first, a = block // across * height, block % across * width
            last, b = min(first + height, rows.shape[0]), min(a + width, length)
            for low in range(0, pitch, near):
                for quad in range(part * quads // parts, (part + 1) * quads // parts):
                    taps_from = quad // per_group * pitch
                    at = (share * quads + quad) * FILTERS * pitch
                    for k in range(low, min(low + near, pitch), TAPS):
                        _tile(
                            gy, filters, quad * FILTERS, x, taps, taps_from + k, rows, first, last, a, b,
                            tail, out, at + k, pitch,
                        )  # fmt: skip


# ---------------------------------------------------------------- the kernel


def conv_grad_w(
    gy: Any, x: Any, *, w_shape: tuple, stride: tuple, padding: tuple, dilation: tuple, groups: int
) -> Any:
    """The gradient of conv in w: see ops/conv.py."""
    out = _fits(gy, x, w_shape, stride, padding, dilation, groups)
    if out is None or out[-1] * x.shape[0] < LANES:
        return NotImplemented
    batch, filters, depth = x.shape[0], w_shape[0], math.prod(w_shape[1:])
    g, steps = batch_runs(gy)
    g_rows = positions(out[:-1], steps[1:])
    memory, channel, x_rows, taps = _input(x, out, w_shape[2:], stride, padding, dilation)
    rows = np.stack([g_rows, x_rows], axis=1)
    # Taps channel by channel, filters group by group, both filled up to whole tiles by the last ones again.
    taps = (np.arange(x.shape[1])[:, None] * channel + taps).reshape(groups, depth)
    taps = _filled(taps, TAPS)
    places = _filled((np.arange(filters) * steps[0]).reshape(groups, -1), FILTERS)
    length = out[-1] * batch
    height, width = _block(len(rows), length)
    blocks = -(-len(rows) // height) * -(-length // width)
    shares = min(threads(), blocks, SHARES)
    parts = min(threads() // shares, places.size // FILTERS)
    near = max(NEAR // (4 * (height + w_shape[-2]) * min(length, width)), 1) * math.prod(w_shape[2:])
    sums = np.zeros((shares, groups, places.shape[1], taps.shape[1]), np.float32)
    _sums(
        g, places.reshape(-1), memory, taps.reshape(-1), groups, rows, length, height, width,
        -(-near // TAPS) * TAPS, _TAIL, shares, parts, sums.reshape(-1),
    )  # fmt: skip
    gw = sums.sum(axis=0)[:, : filters // groups, :depth]
    return np.ascontiguousarray(gw).reshape(w_shape)


def _fits(
    gy: Any, x: Any, w_shape: tuple, stride: tuple, padding: tuple, dilation: tuple, groups: int
) -> tuple | None:
    """The lengths of the output if all shapes fit each other and the arrays are float32, not empty."""
    out = tuple(
        (n + a + b - d * (k - 1) - 1) // s + 1
        for n, k, s, (a, b), d in zip(x.shape[2:], w_shape[2:], stride, padding, dilation, strict=False)
    )
    fits = gy.dtype == x.dtype == np.float32 and x.ndim == len(w_shape) > 2 and w_shape[0] % groups == 0
    fits = fits and x.shape[1] == w_shape[1] * groups and gy.shape == (x.shape[0], w_shape[0], *out)
    return out if fits and gy.size and x.size else None


def _filled(positions: Any, tile: int) -> Any:
    """(groups, n) with n filled up to whole tiles by the last of each group."""
    short = -positions.shape[1] % tile
    return (
        np.concatenate([positions, np.repeat(positions[:, -1:], short, axis=1)], axis=1)
        if short
        else positions
    )


def _block(rows: int, length: int) -> tuple[int, int]:
    """Rows and numbers of a row to take at a time: about BLOCK numbers, and something for every thread."""
    if length >= BLOCK:
        pieces = round(length / BLOCK)
        return 1, -(-length // (pieces * LANES)) * LANES
    return min(BLOCK // length, -(-rows // threads())), -(-length // LANES) * LANES
