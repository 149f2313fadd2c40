"""Softmax, its logarithm, cross-entropy: each row is read once, worked on in the nearest cache, written once.

A row is copied into a few KB of its thread's own, filled up to whole vectors with -inf, whose exponential
adds nothing. The rows are shared between the threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange

from .jit import jit, parallel, threads
from .maths import exp
from .simd import LANES, load, splat, store, total, where_greater, zeros

__all__ = ["cross_entropy", "log_softmax", "log_softmax_x", "softmax", "softmax_x"]

# ---------------------------------------------------------------- one row, in a buffer


@jit
def _buffer(n: Any) -> Any:
    """Room for n numbers in whole vectors, -inf in what is too much."""
    return np.full((n + LANES - 1) // LANES * LANES, -np.inf, np.float32)


@jit
def _read(x: Any, row: Any, z: Any) -> None:
    """z <- row of x, less its largest number unless that is infinite."""
    n = x.shape[1]
    for j in range(n):
        z[j] = x[row, j]
    largest = splat(-np.inf)
    for j in range(0, len(z), LANES):
        v = load(z, j)
        largest = where_greater(v, largest, v, largest)
    lanes = np.empty(LANES, np.float32)
    store(lanes, 0, largest)
    top = lanes.max()
    for j in range(n):
        z[j] -= top if np.isfinite(top) else np.float32(0)


@jit
def _exponentials(z: Any, e: Any) -> Any:
    """e <- e^z; their sum."""
    sums = zeros()
    for j in range(0, len(z), LANES):
        v = exp(load(z, j))
        store(e, j, v)
        sums += v
    return total(sums)


@jit
def _share(rows: Any, part: Any, parts: Any) -> Any:
    """Where a thread's rows begin and end."""
    return rows * np.int64(part) // parts, rows * (np.int64(part) + 1) // parts


# ---------------------------------------------------------------- softmax and its logarithm


@parallel
def _softmax(x: Any, y: Any, parts: Any, logarithm: Any) -> None:
    for part in prange(parts):
        z, e = _buffer(x.shape[1]), _buffer(x.shape[1])
        first, last = _share(len(x), part, parts)
        for row in range(first, last):
            _read(x, row, z)
            whole = _exponentials(z, e)
            if logarithm:
                less = np.float32(math.log(whole))
                for j in range(x.shape[1]):
                    y[row, j] = z[j] - less
            else:
                for j in range(x.shape[1]):
                    y[row, j] = e[j] / whole


@parallel
def _slopes(g: Any, y: Any, gx: Any, parts: Any, logarithm: Any) -> None:
    """y (g - <g, y>), or with y a logarithm g - e^y sum g."""
    for part in prange(parts):
        z = _buffer(g.shape[1])
        first, last = _share(len(g), part, parts)
        for row in range(first, last):
            sums = np.float32(0)
            if logarithm:
                for j in range(g.shape[1]):
                    z[j] = y[row, j]
                    sums += g[row, j]
                _exponentials(z, z)
                for j in range(g.shape[1]):
                    gx[row, j] = g[row, j] - z[j] * sums
                z[g.shape[1] :] = -np.inf
            else:
                for j in range(g.shape[1]):
                    sums += g[row, j] * y[row, j]
                for j in range(g.shape[1]):
                    gx[row, j] = y[row, j] * (g[row, j] - sums)


def _rows(x: Any, axis: int) -> Any:
    """x as rows along its last axis; None if that is not the axis, or not gapless."""
    if not (x.ndim and axis in (-1, x.ndim - 1) and x.size and x.flags.c_contiguous and x.flags.writeable):
        return None
    return x.reshape(-1, x.shape[-1])


def _forward(x: Any, axis: int, logarithm: bool) -> Any:
    rows = _rows(x, axis)
    if rows is None:
        return NotImplemented
    y = np.empty(x.shape, x.dtype)
    _softmax(rows, y.reshape(rows.shape), min(threads(), len(rows)), logarithm)
    return y


def _backward(g: Any, y: Any, axis: int, logarithm: bool) -> Any:
    rows, of = _rows(g, axis), _rows(y, axis)
    if rows is None or of is None or g.shape != y.shape:
        return NotImplemented
    gx = np.empty(g.shape, g.dtype)
    _slopes(rows, of, gx.reshape(rows.shape), min(threads(), len(rows)), logarithm)
    return gx


def softmax(x: Any, *, axis: int = -1) -> Any:
    """e^x_i / sum_j e^x_j."""
    return _forward(x, axis, False)


def softmax_x(g: Any, y: Any, *, axis: int = -1) -> Any:
    """y (g - <g, y>)."""
    return _backward(g, y, axis, False)


def log_softmax(x: Any, *, axis: int = -1) -> Any:
    """x_i - log sum_j e^x_j."""
    return _forward(x, axis, True)


def log_softmax_x(g: Any, y: Any, *, axis: int = -1) -> Any:
    """g - e^y sum g."""
    return _backward(g, y, axis, True)


# ---------------------------------------------------------------- cross-entropy


@jit
def _labels_fit(target: Any, classes: Any, ignored: Any) -> Any:
    fine = True
    for label in target:
        fine &= (0 <= label < classes) | (label == ignored)
    return fine


@parallel
def _losses(
    x: Any,
    target: Any,
    weight: Any,
    ignored: Any,
    smoothing: Any,
    scale: Any,
    losses: Any,
    slope: Any,
    parts: Any,
) -> None:
    """The loss of every row, and `scale` times its derivative by the scores."""
    classes = x.shape[1]
    spread = np.float32(smoothing / classes)  # what every class gets of a label, but for its weight
    for part in prange(parts):
        z, e = _buffer(classes), _buffer(classes)
        first, last = _share(len(x), part, parts)
        for row in range(first, last):
            label = target[row]
            kept = label != ignored
            own = np.float32(1 - smoothing) * weight[label] if kept else np.float32(0)
            mine = spread if kept else np.float32(0)
            _read(x, row, z)
            whole = _exponentials(z, e)
            less, mass, loss = np.float32(math.log(whole)), own, np.float32(0)
            if smoothing != 0:
                for j in range(classes):
                    mass += mine * weight[j]
                    loss -= mine * weight[j] * (z[j] - less)
            if kept:
                loss -= own * (z[label] - less)
            losses[row] = loss
            factor = mass / whole
            for j in range(classes):
                slope[row, j] = (e[j] * factor - mine * weight[j]) * scale
            if kept:
                slope[row, label] -= own * scale


def _is_ours(x: Any, target: Any, weight: Any, ignore_index: int) -> bool:
    """Scores (N, C) without gaps, a label for each that is a class or ignored, a weight for each class."""
    if _rows(x, 1) is None or x.ndim != 2 or target.dtype.kind not in "iu" or target.shape != x.shape[:1]:
        return False
    if weight is not None and (weight.shape != x.shape[1:] or weight.dtype != x.dtype):
        return False
    return _labels_fit(target.astype(np.int64, copy=False), x.shape[1], ignore_index)


def cross_entropy(
    x: Any, target: Any, weight: Any = None, *, reduction: str = "mean", ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Any:  # fmt: skip
    """-log softmax(x)[target], and its slope."""
    if not _is_ours(x, target, weight, ignore_index):
        return NotImplemented
    labels = target.astype(np.int64)
    given = np.ones(x.shape[1], np.float32) if weight is None else np.array(weight)
    weights = 1.0
    if reduction == "mean":
        kept = labels != ignore_index
        weights = float(kept.sum()) if weight is None else float((given[labels * kept] * kept).sum())
        if not weights:
            return NotImplemented
    losses, slope = np.empty(len(x), np.float32), np.empty(x.shape, np.float32)
    _losses(
        x, labels, given, ignore_index, np.float32(label_smoothing), np.float32(1 / weights), losses, slope,
        min(threads(), len(x)),
    )  # fmt: skip
    if reduction == "none":
        return losses, (slope,)
    return (losses.sum() / weights if reduction == "mean" else losses.sum()), (slope,)
