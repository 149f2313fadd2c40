"""Pooling in one pass: each result is made from its window in registers, a vector of images at a time.

The batch lies last in memory, so LANES images are one load. A table for each axis says which elements of the
input the window of every output meets. Turned round, it says which windows an element of the input was in:
so the adjoints, too, write each result once, and nothing is filled with zeros first or added up in memory.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import prange

from .jit import jit, parallel
from .layout import batch_runs, positions
from .simd import (
    LANES,
    fma,
    load,
    load_bytes,
    maximum,
    splat,
    store,
    store_bytes,
    where_equal,
    where_new,
    zeros,
)

__all__ = ["max_pool", "window_put", "window_spread", "window_sum"]


# ---------------------------------------------------------------- windows as tables


def _axis(n: int, out: int, kernel: int, stride: int, before: int, dilation: int, back: bool) -> Any:
    """(results, most, 2): what each result meets, as (offset in the window, place), then (-1, -1).

    Results are outputs that meet inputs, or with `back` inputs that meet outputs.
    """
    windows, offsets = np.meshgrid(np.arange(out), np.arange(kernel), indexing="ij")
    places = windows * stride + offsets * dilation - before
    inside = (places >= 0) & (places < n)
    results, others, size = (places, windows, n) if back else (windows, places, out)
    met = sorted(
        zip(results[inside].tolist(), offsets[inside].tolist(), others[inside].tolist(), strict=True)
    )
    rows: list[list] = [[] for _ in range(size)]
    for result, offset, other in met:
        rows[result].append((offset, other))
    most = max(map(len, rows))
    return np.array([row + [(-1, -1)] * (most - len(row)) for row in rows], np.int64).reshape(size, most, 2)


def _joined(a: Any, b: Any, kernel: int, length: int) -> Any:
    """The table of two axes as one, b's running faster: b has `kernel` offsets and `length` places."""
    both = a[:, None, :, None] * np.array([kernel, length]) + b[None, :, None, :]
    missing = (a[:, None, :, None, :1] < 0) | (b[None, :, None, :, :1] < 0)
    both = np.where(missing, -1, both).reshape(len(a) * len(b), -1, 2)
    order = np.argsort(both[..., :1] < 0, axis=1, kind="stable")  # what is there comes first
    return np.take_along_axis(both, order, axis=1)


@functools.lru_cache(maxsize=256)
def _tables(
    lengths: tuple, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple, ceil_mode: bool, back: bool
) -> tuple | None:
    """Lengths of the output, the table of all axes but the last as one, and the last one's.

    None if a window meets the border only.
    """
    out, axes = [], []
    for n, k, s, (before, after), d in zip(lengths, kernel, stride, padding, dilation, strict=True):
        room = n + before + after - d * (k - 1) - 1
        o = -(-room // s) + 1 if ceil_mode else room // s + 1
        if ceil_mode and (o - 1) * s >= n + before:  # the last window would start in the border
            o -= 1
        axis = _axis(n, o, k, s, before, d, back) if o > 0 else np.empty((0, 0, 2))
        if not axis.size or (not back and (axis[:, 0] < 0).any()):
            return None
        out.append(o)
        axes.append(axis)
    rows = np.zeros((1, 1, 2), np.int64)
    for axis, k, n in zip(axes[:-1], kernel, out if back else lengths, strict=False):
        rows = _joined(rows, axis, k, n)
    return tuple(out), np.ascontiguousarray(rows), axes[-1]


# ---------------------------------------------------------------- maxima


@jit
def _largest(
    x: Any, at: int, places: Any, rows: Any, row: int, columns: Any, column: int, width: int, batch: int,
    y: Any, chosen: Any, to: int,
) -> None:  # fmt: skip
    """One window: its maximum, and the number of the first element that has it; the last NaN wins."""
    number = np.float32(rows[row, 0, 0] * width + columns[column, 0, 0])
    for n in range(0, batch, LANES):
        n = min(n, batch - LANES)  # the last vector may overlap the one before
        best, who = splat(np.float32(-np.inf)), splat(number)
        for i in range(rows.shape[1]):
            if rows[row, i, 1] < 0:
                break
            start = at + places[rows[row, i, 1]] + n
            for j in range(columns.shape[1]):
                if columns[column, j, 1] < 0:
                    break
                here = load(x, start + columns[column, j, 1] * batch)
                who = where_new(
                    here, best, splat(np.float32(rows[row, i, 0] * width + columns[column, j, 0])), who
                )
                best = maximum(here, best)
        store(y, to + n, best)
        store_bytes(chosen, to + n, who)


@parallel
def _maxima(
    x: Any, pitch: int, places: Any, rows: Any, columns: Any, width: int, batch: int, y: Any, chosen: Any
) -> None:
    line = len(columns) * batch
    for task in prange(y.size // line):
        channel, row = task // len(rows), task % len(rows)
        for column in range(len(columns)):
            _largest(
                x, channel * pitch, places, rows, row, columns, column, width, batch,
                y, chosen, task * line + column * batch,
            )  # fmt: skip


@jit
def _put(
    g: Any, at: int, places: Any, chosen: Any, chosen_at: int, across: int, rows: Any, row: int, columns: Any,
    column: int, width: int, n: int, batch: int, y: Any, to: int,
) -> None:  # fmt: skip
    """One element of x: the sum of the gradients of the windows in which it was chosen."""
    one, s = splat(np.float32(1)), zeros()
    for i in range(rows.shape[1]):
        if rows[row, i, 1] < 0:
            break
        start = at + places[rows[row, i, 1]] + n
        chosen_start = chosen_at + rows[row, i, 1] * across + n
        for j in range(columns.shape[1]):
            if columns[column, j, 1] < 0:
                break
            move = columns[column, j, 1] * batch
            me = splat(np.float32(rows[row, i, 0] * width + columns[column, j, 0]))
            mine = where_equal(load_bytes(chosen, chosen_start + move), me, one, zeros())
            s = fma(load(g, start + move), mine, s)
    store(y, to + n, s)


@jit
def _put_apart(
    g: Any, start: int, chosen: Any, chosen_start: int, number: int, columns: Any, batch: int, y: Any, to: int
) -> None:
    """A row of x whose elements are in one window each, or in none."""
    one = splat(np.float32(1))
    for column in range(columns.shape[0]):
        me, move = splat(np.float32(number + columns[column, 0, 0])), columns[column, 0, 1] * batch
        for n in range(0, batch, LANES):
            n = min(n, batch - LANES)
            s = zeros()
            if move >= 0:
                mine = where_equal(load_bytes(chosen, chosen_start + move + n), me, one, s)
                s = load(g, start + move + n) * mine
            store(y, to + n, s)
        to += batch


@parallel
def _puts(
    g: Any, pitch: int, places: Any, chosen: Any, across: int, rows: Any, columns: Any, width: int,
    batch: int, y: Any,
) -> None:  # fmt: skip
    line = len(columns) * batch
    for task in prange(y.size // line):
        channel, row = task // len(rows), task % len(rows)
        at, chosen_at, to = channel * pitch, channel * places.size * across, task * line
        other = rows[row, 0, 1]
        if other < 0:
            for n in range(line):
                y[to + n] = 0
        elif rows.shape[1] == columns.shape[1] == 1:
            start, chosen_start = at + places[other], chosen_at + other * across
            _put_apart(g, start, chosen, chosen_start, rows[row, 0, 0] * width, columns, batch, y, to)
        else:
            for column in range(len(columns)):
                for n in range(0, batch, LANES):
                    _put(
                        g, at, places, chosen, chosen_at, across, rows, row, columns, column, width,
                        min(n, batch - LANES), batch, y, to + column * batch,
                    )  # fmt: skip


# ---------------------------------------------------------------- sums


@jit
def _sum(
    x: Any, at: int, places: Any, rows: Any, row: int, columns: Any, column: int, batch: int, y: Any, to: int
) -> None:
    """One result: the sum of what it meets, in the order of the window."""
    for n in range(0, batch, LANES):
        n = min(n, batch - LANES)
        s = zeros()
        for i in range(rows.shape[1]):
            if rows[row, i, 1] < 0:
                break
            start = at + places[rows[row, i, 1]] + n
            for j in range(columns.shape[1]):
                if columns[column, j, 1] < 0:
                    break
                s += load(x, start + columns[column, j, 1] * batch)
        store(y, to + n, s)


@jit
def _spread_apart(x: Any, start: int, columns: Any, batch: int, y: Any, to: int) -> None:
    """A row of results that meet one element each, or none."""
    for column in range(columns.shape[0]):
        move = columns[column, 0, 1] * batch
        for n in range(0, batch, LANES):
            n = min(n, batch - LANES)
            store(y, to + n, load(x, start + move + n) if move >= 0 else zeros())
        to += batch


@parallel
def _sums(x: Any, pitch: int, places: Any, rows: Any, columns: Any, batch: int, y: Any) -> None:
    line = len(columns) * batch
    for task in prange(y.size // line):
        channel, row = task // len(rows), task % len(rows)
        at, to, other = channel * pitch, task * line, rows[row, 0, 1]
        if other < 0:
            for n in range(line):
                y[to + n] = 0
        elif rows.shape[1] == columns.shape[1] == 1:
            _spread_apart(x, at + places[other], columns, batch, y, to)
        else:
            for column in range(len(columns)):
                _sum(x, at, places, rows, row, columns, column, batch, y, to + column * batch)


# ---------------------------------------------------------------- the kernels


def _covers(*arrays: Any) -> bool:
    """float32 images, none empty, at least a vector of them."""
    return all(a.dtype == np.float32 and a.size and a.ndim > 2 and a.shape[0] >= LANES for a in arrays)


def _runs(x: Any) -> tuple:
    """x as memory, the step of its channels, and where each row begins."""
    memory, steps = batch_runs(x)
    return memory, steps[0], positions(x.shape[2:-1], steps[1:])


def _new(channels: int, lengths: tuple, batch: int, dtype: Any = np.float32) -> tuple[Any, Any]:
    """A new (N, C, ...) with the batch last in memory, and the same flat."""
    y = np.empty((channels, *lengths, batch), dtype)
    return np.moveaxis(y, -1, 0), y.reshape(-1)


def max_pool(
    x: Any, *, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple, ceil_mode: bool
) -> Any:
    """The largest element of each window, and (which one it was,)."""
    if not _covers(x) or math.prod(kernel) > 255:
        return NotImplemented
    tables = _tables(x.shape[2:], kernel, stride, padding, dilation, ceil_mode, False)
    if tables is None:
        return NotImplemented
    out, rows, columns = tables
    y, flat = _new(x.shape[1], out, x.shape[0])
    chosen, places = _new(x.shape[1], out, x.shape[0], np.uint8)
    _maxima(*_runs(x), rows, columns, kernel[-1], x.shape[0], flat, places)
    return y, (chosen,)


def window_put(
    x: Any, *, chosen: Any, x_shape: tuple, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple,
    ceil_mode: bool,
) -> Any:  # fmt: skip
    """Each x added to the element that was chosen in its window."""
    if not _covers(x) or getattr(chosen, "dtype", None) != np.uint8 or not isinstance(chosen, np.ndarray):
        return NotImplemented
    tables = _tables(x_shape[2:], kernel, stride, padding, dilation, ceil_mode, True)
    if tables is None or x.shape != (*x_shape[:2], *tables[0]) or chosen.shape != x.shape:
        return NotImplemented
    out, rows, columns = tables
    y, flat = _new(x_shape[1], x_shape[2:], x_shape[0])
    index = np.ascontiguousarray(np.moveaxis(chosen, 0, -1)).reshape(-1)
    _puts(*_runs(x), index, out[-1] * x.shape[0], rows, columns, kernel[-1], x.shape[0], flat)
    return y


def window_sum(x: Any, *, kernel: tuple, stride: tuple, padding: tuple, ceil_mode: bool) -> Any:
    """The sum of each window."""
    tables = _tables(x.shape[2:], kernel, stride, padding, (1,) * len(kernel), ceil_mode, False)
    if tables is None or not _covers(x):
        return NotImplemented
    out, rows, columns = tables
    y, flat = _new(x.shape[1], out, x.shape[0])
    _sums(*_runs(x), rows, columns, x.shape[0], flat)
    return y


def window_spread(
    x: Any, *, x_shape: tuple, kernel: tuple, stride: tuple, padding: tuple, ceil_mode: bool
) -> Any:
    """Each x added to every element of its window."""
    tables = _tables(x_shape[2:], kernel, stride, padding, (1,) * len(kernel), ceil_mode, True)
    if tables is None or not _covers(x) or x.shape != (*x_shape[:2], *tables[0]):
        return NotImplemented
    _, rows, columns = tables
    y, flat = _new(x_shape[1], x_shape[2:], x_shape[0])
    _sums(*_runs(x), rows, columns, x.shape[0], flat)
    return y
