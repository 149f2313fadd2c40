"""Launches of norm.cu: normalisation over axes that lie together in memory, and its gradients.

Any memory order will do (see lines.py). A weight goes with the line (batch norm), along it (layer norm) or
both (group norm); `_Form` says how in four numbers.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

from .launch import ceil_div, ctype, launch, library
from .lines import FLOATS, KINDS, Lines, accumulator, inverse, lines_in

__all__ = ["INSTANCES", "follow_moments", "normalise", "normalise_joint", "rms_norm", "rms_norm_joint"]

_WHOLE, _CUT = ("norm_forward", "norm_backward", "norm_sums"), ("norm_moments", "norm_apply", "norm_slopes")
INSTANCES = (
    *[f"{name}<{t}, {kind}>" for name in _WHOLE for t in FLOATS for kind in KINDS],
    *[f"{name}<{t}, {kind}>" for name in _CUT for t in FLOATS for kind in KINDS[1:]],
    *[f"fold_columns<{t}>" for t in FLOATS],
    *[f"follow<{t}>" for t in ("float", "double")],
)
HELD, CUT_THREADS, BLOCKS = 8, 256, 1024  # numbers a thread holds, threads of a part, blocks that fill a card
FILL, LEAST = 128, 2  # blocks that reach every multiprocessor, spans that a part has at least


class _Form(NamedTuple):
    """Number i of line l has weight (l / each % wrap, i / per) of a matrix (wrap, row)."""

    each: int
    wrap: int
    row: int
    per: int


class _Job:
    """An array as lines, and where its weights are: kept for every layout that came."""

    def __init__(self, lines: Lines, axes: tuple[int, ...]) -> None:
        self.lines, self.form = lines, _Form(1, 1, 1, lines.n)
        self.stay = [axis for axis in lines.order if axis not in axes]  # as in memory
        self.along = [axis for axis in lines.order if axis in axes]
        self.order = (*self.stay, *self.along)
        pairs = zip(lines.order, lines.shape, strict=True)
        self.one_each = tuple([1 if axis in axes else n for axis, n in pairs])
        self.parts = _cut(lines)

    def kept(self, memory: Any) -> Any:
        """One number to a line as an array, the normalised axes 1 long."""
        return memory.reshape(self.one_each).transpose(self.lines.back_order)

    def weights(self, v: Any) -> Any:
        """A weight as the matrix (wrap, row), flat."""
        if v is None:
            return None
        full = v.reshape((1,) * (len(self.order) - v.ndim) + v.shape)
        return library(v).ascontiguousarray(full.transpose(self.order)).reshape(-1)

    def gradient(self, sums: Any, v: Any) -> Any:
        """The gradient of a weight v from sums that lie as (outer, row, inner): equal weights' are added."""
        lines, form = self.lines, self.form
        outer, row = lines.many // lines.inner, sums.size // lines.many
        if row > 1:
            sums = sums.reshape(outer, row, lines.inner).transpose(0, 2, 1)
        if form.wrap < lines.many:
            sums = sums.reshape(-1, form.wrap, form.each, row).sum(axis=(0, 2))
        return self.placed(sums, v)

    def placed(self, matrix: Any, v: Any) -> Any:
        """The matrix (wrap, row) in the shape of a weight v."""
        full = (1,) * (len(self.order) - v.ndim) + v.shape
        there = matrix.reshape([full[axis] for axis in self.order]).transpose(inverse(self.order))
        return there.reshape(v.shape).astype(v.dtype, copy=False)


# ---------------------------------------------------------------- what is covered


def _job(x: Any, axes: Any, *weights: Any) -> _Job | None:
    """x as a job; None for what is left to the readable text."""
    if not isinstance(axes, tuple) or any(v is not None and v.dtype != x.dtype for v in weights):
        return None
    shapes = tuple([None if v is None else v.shape for v in weights])
    return _kept_job(x.shape, x.strides, x.itemsize, axes, shapes)


@functools.lru_cache(maxsize=4096)
def _kept_job(shape: tuple, strides: tuple, itemsize: int, axes: tuple, shapes: tuple) -> _Job | None:
    if not all(isinstance(a, int) and 0 <= a < len(shape) for a in axes):
        return None
    lines = lines_in(shape, strides, itemsize, axes)
    if lines is None or any(s is not None and len(s) > len(shape) for s in shapes):
        return None
    job = _Job(lines, axes)
    forms = [_form(job, shape, s) for s in shapes if s is not None] or [job.form]
    if forms[0] is None or forms[0] != forms[-1]:
        return None
    job.form = forms[0]
    return job


def _form(job: _Job, sizes: tuple, shape: tuple) -> _Form | None:
    """Where a weight of this shape, broadcast against an array of these sizes, has its numbers."""
    full = (1,) * (len(sizes) - len(shape)) + shape
    across, down = [
        _middle([full[a] for a in axes], [sizes[a] for a in axes]) for axes in (job.stay, job.along)
    ]
    if across is None or down is None or down[0] > 1:
        return None
    return _Form(each=across[2], wrap=across[1], row=down[1], per=down[2])


def _middle(sizes: list[int], shape: list[int]) -> tuple[int, int, int] | None:
    """Sizes that are 1 ..., then those of the shape, then 1 ...: the shape's products over the three."""
    there = [i for i, n in enumerate(sizes) if n > 1]
    first, last = (there[0], there[-1] + 1) if there else (0, 0)
    if sizes[first:last] != shape[first:last]:
        return None
    return math.prod(shape[:first]), math.prod(shape[first:last]), math.prod(shape[last:])


# ---------------------------------------------------------------- launches


def _run(name: str, like: Any, kind: str, grid: Any, threads: int, args: tuple[Any, ...]) -> None:
    launch("norm", f"{name}<{ctype(like.dtype)}, {kind}>", grid, threads, args)


def _cut(lines: Lines) -> tuple[str, int, int, int]:
    """How long lines are cut: kind, blocks, parts, and the length of a part."""
    kind = "IN_COLUMNS" if lines.inner > 1 else "IN_BLOCK"
    blocks = ceil_div(lines.many, 32) if lines.inner > 1 else lines.many
    span = HELD * (CUT_THREADS // 32 if lines.inner > 1 else CUT_THREADS)
    parts = max(1, min(ceil_div(BLOCKS, blocks), ceil_div(lines.n, LEAST * span)))
    part = ceil_div(ceil_div(lines.n, parts), span) * span
    return kind, blocks, ceil_div(lines.n, part), part


# ---------------------------------------------------------------- forward


def _forward(
    x: Any, weight: Any, bias: Any, axes: tuple, eps: Any, centered: bool, moments: dict | None
) -> Any:
    job = _job(x, axes, weight, bias) if isinstance(eps, float | int) else None
    if job is None:
        return NotImplemented
    lines, form, empty = job.lines, job.form, library(x).empty
    center, variance, inverse = (empty(lines.many, accumulator(x.dtype)) for _ in range(3))
    z = lines.new(x)
    y = None if weight is None and bias is None else lines.new(x)
    given = (lines.memory(x), job.weights(weight), job.weights(bias))
    sizes, how = (lines.many, lines.n, lines.inner), (*form, float(eps), centered)
    if lines.held:
        args = (*given, z, y, center, variance, inverse, *sizes, *how)
        _run("norm_forward", x, lines.kind, lines.blocks, lines.threads, args)
    else:
        kind, blocks, parts, part = job.parts
        means, squares = empty((lines.many, parts), center.dtype), empty((lines.many, parts), center.dtype)
        grid, made = (blocks, parts), (z, y, center, variance, inverse)
        _run("norm_moments", x, kind, grid, CUT_THREADS, (given[0], means, squares, *sizes, part, centered))
        _run("norm_apply", x, kind, grid, CUT_THREADS, (*given, means, squares, *made, *sizes, part, *how))
    if moments is not None:
        moments["mean"], moments["var"] = job.kept(center), job.kept(variance)
    z = lines.back(z)
    return z if y is None else lines.back(y), (z, job.kept(inverse))


def normalise(
    x: Any, weight: Any = None, bias: Any = None, *, axes: tuple, eps: float = 1e-5, moments: Any = None
) -> Any:
    """(x - mean) / sqrt(var + eps) * weight + bias, and (z, 1 / s) for the way back.

    For 16-bit floats 1 / s and the moments are float32.
    """
    return _forward(x, weight, bias, axes, eps, True, moments)


def rms_norm(x: Any, weight: Any = None, *, axes: tuple, eps: float) -> Any:
    """x / sqrt(mean(x^2) + eps) * weight, and (z, 1 / s)."""
    return _forward(x, weight, None, axes, eps, False, None)


# ---------------------------------------------------------------- backward


def _sums(g: Any, z: Any, lines: Lines, weight: Any = None, form: _Form | None = None) -> tuple:
    """The sums of g w z and g w over each line, in parts (lines, parts); and the parts' length."""
    if lines.kind == "IN_WARP":
        kind, blocks, parts, part, threads = "IN_WARP", lines.blocks, 1, lines.n, lines.threads
    else:
        (kind, blocks, parts, part), threads = _cut(lines), CUT_THREADS
    along, total = (library(g).empty((lines.many, parts), accumulator(g.dtype)) for _ in range(2))
    form = form or _Form(1, 1, 1, lines.n)
    sizes = (lines.many, lines.n, lines.inner, part)
    _run("norm_sums", g, kind, (blocks, parts), threads, (g, z, weight, along, total, *sizes, *form))
    return along, total, part


def _whole_sums(g: Any, z: Any, lines: Lines) -> list[Any]:
    """The sums of g z and g over each line."""
    along, total, _ = _sums(g, z, lines)
    return [v.sum(axis=1) if v.shape[1] > 1 else v.reshape(-1) for v in (along, total)]


def _teams(lines: Lines) -> tuple[int, int]:
    """For sums by place: how many blocks take all lines in rounds, and how many rows of sums they leave."""
    each = 4 if lines.kind == "IN_WARP" else 1  # teams of a block
    blocks = max(min(lines.blocks, FILL), lines.blocks // 4)  # where there are enough, four rounds
    blocks = min(blocks, BLOCKS // each)
    blocks = blocks // 16 * 16 if blocks > 16 else blocks  # their rows are folded by 16s
    return blocks, blocks * each


def _folded(parts: Any, dtype: Any) -> Any:
    """The sum of the rows of parts (teams, many), at first 16 sums of them if there are many."""
    teams, many = parts.shape
    outer = 16 if teams % 16 == 0 and teams >= 256 else 1
    out = library(parts).empty((outer, many), parts.dtype if outer > 1 else dtype)
    threads = 32 * min(32, ceil_div(teams // outer, HELD))
    grid, args = ceil_div(outer * many, 32), (parts, out, outer * many, teams // outer, many)
    launch("norm", f"fold_columns<{ctype(out.dtype)}>", grid, threads, args)
    return _folded(out, dtype) if outer > 1 else out.reshape(-1)


def _slopes_held(g: Any, z: Any, job: _Job, w: Any, factor: Any, wanted: bool, centered: bool) -> tuple:
    """gx, and the sums of g z and g that make the weights' gradients (None where others must)."""
    lines, form = job.lines, job.form
    empty, wide = library(g).empty, factor.dtype
    gx, along, total, parts, blocks = lines.new(g), None, None, None, lines.blocks
    if wanted and form.row == 1:
        along, total = empty(lines.many, wide), empty(lines.many, wide)
    elif wanted and form.per == form.wrap == 1:
        blocks, rows = _teams(lines)
        parts = empty((rows, 2 * lines.n), wide)
    args = (g, z, w, factor, gx, along, total, parts, lines.many, lines.n, lines.inner, lines.blocks)
    _run("norm_backward", g, lines.kind, blocks, lines.threads, (*args, *form, centered))
    if parts is not None:
        both = _folded(parts, g.dtype)
        along, total = both[: lines.n], both[lines.n :]
    return gx, along, total


def _slopes_cut(g: Any, z: Any, job: _Job, w: Any, factor: Any, wanted: bool, centered: bool) -> tuple:
    """The same for long lines."""
    lines, form = job.lines, job.form
    parts_along, parts_total, part = _sums(g, z, lines, w, form)
    gx, along, total = lines.new(g), None, None
    if wanted and form.row == 1:
        along, total = (library(g).empty(lines.many, factor.dtype) for _ in range(2))
    kind, blocks, parts, part = job.parts
    args = (g, z, w, factor, parts_along, parts_total, gx, along, total, lines.many, lines.n, lines.inner)
    _run("norm_slopes", g, kind, (blocks, parts), CUT_THREADS, (*args, part, *form, centered))
    if wanted and form.per == form.wrap == lines.inner == 1 < form.row:  # columns of a matrix
        along, total = _whole_sums(g, z, lines.cut(lines.n, lines.many, lines.n))
    return gx, along, total


def _gradients(
    g: Any, needs: tuple, weight: Any, bias: Any, saved: tuple, axes: tuple, centered: bool
) -> Any:
    """The gradients of x, weight and bias, those that are needed."""
    z, inverse_ = saved
    job = _job(z, axes, weight, bias) if g.shape == z.shape and g.dtype == z.dtype else None
    if job is None or inverse_.size != job.lines.many or inverse_.ndim != z.ndim:
        return NotImplemented
    lines = job.lines
    factor = library(z).ascontiguousarray(inverse_.transpose(lines.order)).reshape(-1)
    factor = factor.astype(accumulator(z.dtype), copy=False)
    g, z, w = lines.memory(g), lines.memory(z), job.weights(weight)
    slopes = _slopes_held if lines.held else _slopes_cut
    gx, along, total = slopes(g, z, job, w, factor, any(needs[1:]), centered)
    arranged = job.gradient if along is None or job.form.row == 1 else job.placed
    if along is None and any(needs[1:]):  # of every stretch of a line that shares a weight
        form = job.form
        along, total = _whole_sums(g, z, lines.cut(lines.many * form.row, form.per))
    pairs = zip((along, total), (weight, bias), needs[1:], strict=False)
    found = [arranged(sums, v) if needed else None for sums, v, needed in pairs]
    return (lines.back(gx) if needs[0] else None, *found)


def normalise_joint(g: Any, needs: tuple, weight: Any, bias: Any, saved: tuple, *, axes: tuple) -> Any:
    """The gradients of x, weight and bias."""
    return _gradients(g, needs, weight, bias, saved, axes, True)


def rms_norm_joint(g: Any, needs: tuple, weight: Any, saved: tuple, *, axes: tuple) -> Any:
    """The gradients of x and weight."""
    return _gradients(g, needs, weight, None, saved, axes, False)


def follow_moments(
    mean: Any, var: Any, new_mean: Any, new_var: Any, *, momentum: float, unbiased: float
) -> Any:
    """Running statistics moved in place: momentum of the way to new ones, the variance `unbiased` times."""
    arrays = (mean, var, new_mean, new_var)
    if any(a.dtype != mean.dtype or a.size != mean.size or not a.flags.c_contiguous for a in arrays):
        return NotImplemented
    if mean.dtype.name not in ("float32", "float64") or hasattr(momentum, "dtype"):
        return NotImplemented  # momentum may lie on the device: the share of a batch in a plain average
    args = (*arrays, mean.size, momentum, unbiased)
    launch("norm", f"follow<{ctype(mean.dtype)}>", ceil_div(mean.size, CUT_THREADS), CUT_THREADS, args)
    return None
