"""Convolution and its gradient in x, in one pass over memory: what `conv_tile` computes, said in its terms.

The gradient in x is a convolution too. At stride s the places of x fall into s classes for each axis, by
their remainder; a place meets only every s-th element of the kernel, always the same ones within a class.
So a class is a convolution of gy with stride 1 and those elements, and no zero is ever multiplied.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from .conv_tile import WIDE, Job, Tables, convolve
from .jit import threads
from .simd import LANES

__all__ = ["conv", "conv_grad_x"]

_NO_BIAS = np.empty(0, np.float32)
_DEPTH = 2048 // LANES  # taps x channels at a time: two vectors each, and weights, fit the first-level cache
_STRIP = 24 << 10  # numbers in a strip
_SUMS = 24 << 10  # numbers in the sums of a piece
_CHUNK = 64  # images at a time
_FEW = 4  # images: with fewer, a stride leaves no runs to copy, and the text is twice as fast


class Axis(NamedTuple):
    """One spatial axis: its source, the places computed in y, and which taps reach it at what shift."""

    length: int
    places: int
    step: int  # of the source, from place to place
    taps: tuple[tuple[int, int], ...]  # (element of the kernel, shift in the source)
    first: int  # of the places, in y
    apart: int


Work = tuple[Job, Tables]  # for convolve

_WHOLE = Axis(1, 1, 1, ((0, 0),), 0, 1)  # an axis of length 1, put before those of 1-D and 2-D


def _panels(filters: int) -> tuple[int, int]:
    """Panels of six filters and of four that hold so many, with the fewest left over."""
    fours = 1 if filters <= 4 else (0, 2, 2, 1, 1, 0)[filters % 6]
    return max(0, -(-(filters - 4 * fours) // 6)), fours


def _runs(axis: Axis) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """Runs of neighbouring source places that a row of taps meets; for each tap, (its run, its shift there).

    At a stride, neighbours in y meet every s-th place; taps of one remainder share a run.
    """
    runs: list[list[int]] = []  # [remainder, first, last], the latter in steps
    found: dict[int, tuple[int, int]] = {}
    for shift in sorted((shift for _, shift in axis.taps), key=lambda s: (s % axis.step, s)):
        at, remainder = divmod(shift, axis.step)
        if not runs or runs[-1][0] != remainder or at - runs[-1][2] > 4:
            runs.append([remainder, at, at])
        runs[-1][2] = at
        found[shift] = (len(runs) - 1, at - runs[-1][1])
    shown = [[at * axis.step + remainder, last - at] for remainder, at, last in runs]
    return shown, [found[shift] for _, shift in axis.taps]


def _piece(axis: Axis, block: int, rows: int, beyond: int, batch: int, filters: int, others: int) -> Any:
    """How many images and neighbouring places a strip serves."""
    chunks = -(-batch // _CHUNK)
    chunk = batch if chunks == 1 else -(-batch // chunks // WIDE) * WIDE
    most = min(_STRIP // max(1, block * rows * chunk) - beyond, _SUMS // (filters * chunk))
    few = axis.places * others * -(-batch // chunk) // (4 * threads())  # so that all threads have work
    wide = max(1, min(most, few, axis.places))
    return chunk, -(-axis.places // -(-axis.places // wide))


def _work(
    axes: list[Axis], kernel: tuple, y_lengths: tuple, batch: int, groups: int, channels: int, filters: int,
    turned: bool,
) -> Work:  # fmt: skip
    """One call of convolve. `turned`: w is (channels, filters, ...), not (filters, channels, ...)."""
    size, (az, ay, ax) = math.prod(kernel), axes
    rows = [(z, y) for z in az.taps for y in ay.taps]
    taps = [[(z * kernel[1] + y) * kernel[2] + x for x, _ in ax.taps] for (z, _), (y, _) in rows]
    runs, found = _runs(ax)
    depth = max(1, len(rows) * len(ax.taps))
    block = -(-channels // min(channels, -(-channels * depth // _DEPTH)))
    sixes, fours = _panels(filters)
    beyond = sum(more for _, more in runs) + len(runs) - 1
    chunk, wide = _piece(
        ax, block, len(rows) * max(1, len(runs)), beyond, batch, 6 * sixes + 4 * fours, az.places * ay.places
    )
    starts = np.cumsum([0, *((wide + more) * chunk for _, more in runs)])
    pitch = int(starts[-1])
    offsets = np.zeros((2, block * depth), np.int64)
    last = channels - (channels - 1) // block * block
    for table, many in zip(offsets, (block, last), strict=True):
        table[: many * len(rows) * len(found)] = [
            (row * block + c) * pitch + starts[run] + shift * chunk
            for row in range(len(rows)) for c in range(many) for run, shift in found
        ]  # fmt: skip
    apart = [math.prod(y_lengths[i + 1 :]) * batch for i in range(3)]
    job = Job(
        batch, chunk, wide, *(a.length for a in axes), *(a.places for a in axes), *(a.step for a in axes),
        groups, channels, filters, block, pitch, sixes, fours,
        channels * filters * size, *((size, filters * size) if turned else (channels * size, size)),
        sum(a.first * d for a, d in zip(axes, apart, strict=True)), math.prod(y_lengths) * batch,
        *(a.apart * d for a, d in zip(axes, apart, strict=True)),
    )  # fmt: skip
    whole = lambda values, *shape: np.array(values, np.int64).reshape(shape)
    return job, Tables(
        whole([(z, y) for (_, z), (_, y) in rows], len(rows), 2),
        whole([[*run, start] for run, start in zip(runs, starts, strict=False)], len(runs), 3),
        offsets,
        whole(taps, len(rows), len(found)),
    )


def _three(values: tuple, filler: Any = 1) -> tuple:
    """One value for each of three axes."""
    return (filler,) * (3 - len(values)) + tuple(values)


@functools.lru_cache(maxsize=256)
def _forward(x: tuple, w: tuple, stride: tuple, padding: tuple, dilation: tuple, groups: int) -> Any:
    """The shape of y without its batch, and the work; None if the shapes do not fit."""
    if not _fits(x, w, stride, padding, dilation, groups):
        return None
    axes = []
    for n, k, s, (a, b), d in zip(x[2:], w[2:], stride, padding, dilation, strict=True):
        places = (n + a + b - d * (k - 1) - 1) // s + 1
        axes.append(Axis(n, places, s, tuple((i, i * d - a) for i in range(k)), 0, 1))
    out = tuple(a.places for a in axes)
    if min(out) < 1:
        return None
    sizes = (x[0], groups, w[1], w[0] // groups)
    work = _work(list(_three(tuple(axes), _WHOLE)), _three(w[2:]), _three(out), *sizes, turned=False)
    return (w[0], *out), (work,)


@functools.lru_cache(maxsize=256)
def _backward(
    gy: tuple, w: tuple, x: tuple, stride: tuple, padding: tuple, dilation: tuple, groups: int
) -> Any:
    """The shape of gx without its batch, and the work, class by class; None if the shapes do not fit."""
    forward = _forward(x, w, stride, padding, dilation, groups)
    if forward is None or (gy[0], *forward[0]) != (x[0], *gy[1:]):
        return None
    kinds = []
    for n, m, k, s, (a, _), d in zip(x[2:], gy[2:], w[2:], stride, padding, dilation, strict=True):
        kinds.append([])
        for first in range(min(s, n)):
            taps = [(i, (first + a - d * i) // s) for i in range(k) if (first + a - d * i) % s == 0]
            kinds[-1].append(Axis(m, len(range(first, n, s)), 1, tuple(taps), first, s))
    sizes = (x[0], groups, w[0] // groups, w[1])
    work = tuple(
        _work(list(_three(axes, _WHOLE)), _three(w[2:]), _three(x[2:]), *sizes, turned=True)
        for axes in itertools.product(*kinds)
    )
    return x[1:], work


def _fits(x: tuple, w: tuple, stride: tuple, padding: tuple, dilation: tuple, groups: int) -> bool:
    """Whether these sizes belong together, are not empty, and suit strips."""
    dims = len(x) - 2
    return (
        1 <= dims <= 3
        and len(w) == len(x)
        and len(stride) == len(padding) == len(dilation) == dims
        and min(x) > 0
        and min(w) > 0
        and w[0] % groups == 0
        and x[1] == w[1] * groups
        and (stride[-1] == 1 or x[0] >= _FEW)
    )


def _run(plan: Any, x: Any, w: Any, bias: Any) -> Any:
    """Carry out the work on batch-last memory; the result is a batch-first view, as the op's own is."""
    shape, work = plan
    batch = x.shape[0]
    x = np.ascontiguousarray(x.transpose(*range(1, x.ndim), 0)).reshape(-1)
    w, bias = np.ascontiguousarray(w).reshape(-1), np.ascontiguousarray(bias)
    y = np.empty((*shape, batch), np.float32)
    flat = y.reshape(-1)
    for job, tables in work:
        depth = job.groups * job.channels * tables.taps.size
        packed = np.empty(depth * (6 * job.sixes + 4 * job.fours), np.float32)
        convolve(x, w, packed, bias, flat, tables, job, threads())
    return y.transpose(-1, *range(y.ndim - 1))


def _single(*arrays: Any) -> bool:
    """Whether all are float32."""
    return all(a.dtype == np.float32 for a in arrays)


def conv(
    x: Any, w: Any, bias: Any = None, *, stride: tuple, padding: Any, dilation: tuple, groups: int
) -> Any:
    """x (N, C, ...) with filters w (O, C / groups, ...) and bias (O,) -> (N, O, ...)."""
    if bias is not None and bias.shape != w.shape[:1]:
        return NotImplemented
    bias = _NO_BIAS if bias is None else bias
    if not _single(x, w, bias):
        return NotImplemented
    plan = _forward(x.shape, w.shape, stride, padding, dilation, groups)
    return NotImplemented if plan is None else _run(plan, x, w, bias)


def conv_grad_x(
    gy: Any, w: Any, *, x_shape: tuple, stride: tuple, padding: Any, dilation: tuple, groups: int
) -> Any:
    """The gradient of conv in x."""
    if not _single(gy, w):
        return NotImplemented
    plan = _backward(gy.shape, w.shape, x_shape, stride, padding, dilation, groups)
    return NotImplemented if plan is None else _run(plan, gy, w, _NO_BIAS)
