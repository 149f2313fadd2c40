"""Normalisation and its gradient: every row of memory that has statistics of its own is read once into cache.

An array whose normalised axes lie last in memory is a matrix of rows: a channel of batch norm (the batch lies
last, see the convolutions' memory), a token of layer norm. A row of some 100 KB stays in the second cache
while it is summed, summed again as squares about its mean, and written: memory is passed once. Rows are
shared among the threads. Weight and bias go by row (batch norm) or by column (layer norm).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import prange

from .jit import jit, parallel, threads

__all__ = ["normalise", "normalise_joint", "rms_norm", "rms_norm_joint"]

_PIECE = 2048  # numbers summed in float32 before they join a sum in float64
_PLAIN, _BY_ROW, _BY_COLUMN = range(3)  # where weight and bias lie
_NONE = np.zeros(1, np.float32)

# ---------------------------------------------------------------- forward, row by row


@jit
def _sum(x: Any) -> float:
    whole = 0.0
    for start in range(0, x.size, _PIECE):
        part = np.float32(0)
        for j in range(start, min(start + _PIECE, x.size)):
            part += x[j]
        whole += part
    return whole


@jit
def _squares(x: Any, center: Any) -> float:
    """The sum of (x - center)^2."""
    whole = 0.0
    for start in range(0, x.size, _PIECE):
        part = np.float32(0)
        for j in range(start, min(start + _PIECE, x.size)):
            part += (x[j] - center) * (x[j] - center)
        whole += part
    return whole


@jit
def _write(x: Any, center: Any, inverse: Any, w: Any, b: Any, form: Any, r: Any, z: Any, y: Any) -> None:
    if form == _PLAIN:
        for j in range(x.size):
            z[j] = (x[j] - center) * inverse
    elif form == _BY_ROW:
        for j in range(x.size):
            z[j] = (x[j] - center) * inverse
            y[j] = z[j] * w[r] + b[r]
    else:
        for j in range(x.size):
            z[j] = (x[j] - center) * inverse
            y[j] = z[j] * w[j] + b[j]


@parallel
def _forward(
    x: Any, w: Any, b: Any, form: Any, centered: Any, eps: Any, z: Any, y: Any, center: Any, variance: Any,
    inverse: Any,
) -> None:  # fmt: skip
    rows, length = x.shape
    for r in prange(rows):
        if centered:
            center[r] = _sum(x[r]) / length
        variance[r] = _squares(x[r], center[r]) / length
        inverse[r] = np.float32(1) / np.sqrt(variance[r] + eps)
        _write(x[r], center[r], inverse[r], w, b, form, r, z[r], y[r])


# ---------------------------------------------------------------- backward, some rows at a time


@jit
def _products(g: Any, z: Any, w: Any, form: Any) -> Any:
    """The sums of gz z and gz, where gz = g w (g itself unless w goes by columns)."""
    along, total = 0.0, 0.0
    for start in range(0, g.size, _PIECE):
        a, t = np.float32(0), np.float32(0)
        if form == _BY_COLUMN:
            for j in range(start, min(start + _PIECE, g.size)):
                a += g[j] * w[j] * z[j]
                t += g[j] * w[j]
        else:
            for j in range(start, min(start + _PIECE, g.size)):
                a += g[j] * z[j]
                t += g[j]
        along, total = along + a, total + t
    return along, total


@jit
def _gradient(g: Any, z: Any, w: Any, form: Any, a: Any, t: Any, scale: Any, gx: Any) -> None:
    """gx = (gz - t - a z) scale."""
    if form == _BY_COLUMN:
        for j in range(g.size):
            gx[j] = (g[j] * w[j] - t - a * z[j]) * scale
    else:
        for j in range(g.size):
            gx[j] = (g[j] - t - a * z[j]) * scale


@jit
def _columns(g: Any, z: Any, gw: Any, gb: Any) -> None:
    for j in range(g.size):
        gw[j] += g[j] * z[j]
        gb[j] += g[j]


@parallel
def _backward(
    g: Any, z: Any, inverse: Any, w: Any, form: Any, centered: Any, gx: Any, along: Any, total: Any, gw: Any,
    gb: Any, step: Any,
) -> None:  # fmt: skip
    rows, length = g.shape
    for block in prange((rows + step - 1) // step):
        for r in range(block * step, min((block + 1) * step, rows)):
            a, t = _products(g[r], z[r], w, form)
            along[r], total[r] = a, t
            scale = inverse[r] * w[r] if form == _BY_ROW else inverse[r]
            t = t if centered else 0.0
            _gradient(g[r], z[r], w, form, np.float32(a / length), np.float32(t / length), scale, gx[r])
            if form == _BY_COLUMN:
                _columns(g[r], z[r], gw[block], gb[block])


# ---------------------------------------------------------------- arrays as matrices


class _Rows(NamedTuple):
    """How x is a matrix of rows."""

    order: tuple[int, ...]  # of axes: those that stay, then those that are normalised, each as in memory
    shape: tuple[int, ...]  # of x in that order
    stay: int  # so many axes stay
    rows: int
    length: int

    def matrix(self, x: Any) -> Any:
        """x as (rows, length), a view of its memory."""
        return x.transpose(self.order).reshape(self.rows, self.length)

    def back(self, flat: Any, kept: bool = False) -> Any:
        """The other way: a full array, or one number to a row with the normalised axes kept."""
        shape = self.shape[: self.stay] + (1,) * (len(self.shape) - self.stay) if kept else self.shape
        return flat.reshape(shape).transpose(np.argsort(self.order))

    def form(self, v: Any) -> int | None:
        """Whether v, broadcast against x, goes by rows or by columns; None for something else."""
        if v is None:
            return _PLAIN
        if v.ndim > len(self.order):
            return None
        sizes = self._sizes(v)
        if sizes[self.stay :] == (1,) * (len(sizes) - self.stay):
            fits = all(s in (1, n) for s, n in zip(sizes, self.shape, strict=True))
            return _BY_ROW if fits else None
        columns = (1,) * self.stay + self.shape[self.stay :]
        return _BY_COLUMN if sizes == columns else None

    def _sizes(self, v: Any) -> tuple[int, ...]:
        full = (1,) * (len(self.order) - v.ndim) + v.shape
        return tuple([full[axis] for axis in self.order])

    def spread(self, v: Any, form: int) -> Any:
        """v with one number to a row, or one to a column."""
        v = v.reshape((1,) * (len(self.order) - v.ndim) + v.shape).transpose(self.order)
        if form == _BY_ROW:
            v = np.broadcast_to(v, self.shape[: self.stay] + v.shape[self.stay :])
        return np.ascontiguousarray(v).reshape(-1)


def _rows(x: Any, axes: tuple) -> _Rows | None:
    """x as rows; None if the normalised axes do not lie last in memory."""
    by_memory = lambda many: sorted(many, key=lambda axis: (-abs(x.strides[axis]), axis))
    stay = by_memory([axis for axis in range(x.ndim) if axis not in axes])
    order = (*stay, *by_memory(axes))
    moved = x.transpose(order)
    if not moved.flags.c_contiguous or not x.size:
        return None
    length = math.prod(moved.shape[len(stay) :])
    return _Rows(order, moved.shape, len(stay), x.size // length, length)


def _form(rows: _Rows, weight: Any, bias: Any) -> int | None:
    """The form that weight and bias share."""
    a, b = rows.form(weight), rows.form(bias)
    if a is None or b is None or (a and b and a != b):
        return None
    return a or b


def _float32(*arrays: Any) -> bool:
    return all(a is None or a.dtype == np.float32 for a in arrays)


def _summed(v: Any, like: Any) -> Any:
    """v added up to the shape of `like`, which broadcasts to it."""
    extra = v.ndim - like.ndim
    axes = (
        *range(extra),
        *(extra + i for i, n in enumerate(like.shape) if n == 1 and v.shape[extra + i] != 1),
    )
    return (v.sum(axis=axes, keepdims=True) if axes else v).reshape(like.shape)


# ---------------------------------------------------------------- kernels


def _normalised(x: Any, weight: Any, bias: Any, axes: tuple, eps: Any, centered: bool, moments: Any) -> Any:
    rows = _rows(x, axes) if _float32(x, weight, bias) and type(eps) is float else None
    form = None if rows is None else _form(rows, weight, bias)
    if rows is None or form is None:
        return NotImplemented
    m = rows.matrix(x)
    many = rows.length if form == _BY_COLUMN else rows.rows
    w = b = _NONE
    if form != _PLAIN:
        w = np.ones(many, np.float32) if weight is None else rows.spread(weight, form)
        b = np.zeros(many, np.float32) if bias is None else rows.spread(bias, form)
    z = np.empty_like(m)
    y = z if form == _PLAIN else np.empty_like(m)
    center, variance, inverse = np.zeros((3, rows.rows), np.float32)
    _forward(m, w, b, form, centered, np.float32(eps), z, y, center, variance, inverse)
    if moments is not None:
        moments["mean"], moments["var"] = rows.back(center, kept=True), rows.back(variance, kept=True)
    z_ = rows.back(z)
    return z_ if y is z else rows.back(y), (z_, rows.back(inverse, kept=True))


def _gradients(g: Any, weight: Any, bias: Any, saved: tuple, axes: tuple, centered: bool) -> Any:
    """The gradients of x, weight and bias (None for what is not there)."""
    z, inverse = saved
    rows = _rows(z, axes) if _float32(g, z, weight, bias) and g.shape == z.shape else None
    form = None if rows is None else _form(rows, weight, bias)
    if rows is None or form is None or not g.transpose(rows.order).flags.c_contiguous:
        return NotImplemented  # to bring g into another order costs more than is won
    step, blocks, w = 1, 1, _NONE
    if form == _BY_COLUMN:
        step = max(1, min(64, rows.rows // threads()))
        blocks = -(-rows.rows // step)
    if form != _PLAIN:
        many = rows.length if form == _BY_COLUMN else rows.rows
        w = np.ones(many, np.float32) if weight is None else rows.spread(weight, form)
    gm, zm = rows.matrix(g), rows.matrix(z)
    inverse = np.ascontiguousarray(inverse.transpose(rows.order)).reshape(-1)
    gx = np.empty_like(zm)
    along, total = np.empty((2, rows.rows), np.float32)
    gw, gb = np.zeros((2, blocks, rows.length if form == _BY_COLUMN else 1), np.float32)
    _backward(gm, zm, inverse, w, form, centered, gx, along, total, gw, gb, step)
    if form == _BY_COLUMN:
        whole = (1,) * rows.stay + rows.shape[rows.stay :]
        gw, gb = (v.sum(axis=0).reshape(whole).transpose(np.argsort(rows.order)) for v in (gw, gb))
    else:
        gw, gb = rows.back(along, kept=True), rows.back(total, kept=True)
    summed = [None if v is None else _summed(s, v) for s, v in ((gw, weight), (gb, bias))]
    return rows.back(gx), *summed


def normalise(
    x: Any, weight: Any = None, bias: Any = None, *, axes: tuple, eps: float = 1e-5, moments: Any = None
) -> Any:
    """(x - mean) / sqrt(var + eps) * weight + bias, and (z, 1 / s) for the way back."""
    return _normalised(x, weight, bias, axes, eps, True, moments)


def normalise_joint(g: Any, needs: tuple, weight: Any, bias: Any, saved: tuple, *, axes: tuple) -> Any:
    """The gradients of x, weight and bias."""
    found = _gradients(g, weight, bias, saved, axes, True)
    return (
        found
        if found is NotImplemented
        else tuple([v if n else None for v, n in zip(found, needs, strict=True)])
    )


def rms_norm(x: Any, weight: Any = None, *, axes: tuple, eps: float) -> Any:
    """x / sqrt(mean(x^2) + eps) * weight, and (z, 1 / s)."""
    return _normalised(x, weight, None, axes, eps, False, None)


def rms_norm_joint(g: Any, needs: tuple, weight: Any, saved: tuple, *, axes: tuple) -> Any:
    """The gradients of x and weight."""
    found = _gradients(g, weight, None, saved, axes, False)
    return (
        found
        if found is NotImplemented
        else tuple([v if n else None for v, n in zip(found, needs, strict=False)])
    )
