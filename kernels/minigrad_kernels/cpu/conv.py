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

from .conv_tile import DEPTH, Job, convolve, padded_filters
from .jit import threads

__all__ = ["conv", "conv_grad_x"]

_NO_BIAS = np.empty(0, np.float32)


class Axis(NamedTuple):
    """One spatial axis: its source, the places computed in y, and which taps reach it at what shift."""

    length: int
    places: int
    step: int  # of the source, from place to place
    taps: tuple[tuple[int, int], ...]  # (element of the kernel, shift in the source)
    first: int  # of the places, in y
    apart: int


Work = tuple[Job, Any, tuple[int, int]]  # for convolve: the job, its taps, the panels of its filters

_WHOLE = Axis(1, 1, 1, ((0, 0),), 0, 1)  # an axis of length 1, put before those of 1-D and 2-D


def _work(
    axes: list[Axis], kernel: tuple, y_lengths: tuple, batch: int, groups: int, channels: int, filters: int,
    turned: bool,
) -> Work:  # fmt: skip
    """One call of convolve. `turned`: w is (channels, filters, ...), not (filters, channels, ...)."""
    flat_kernel = math.prod(kernel)
    inner = [math.prod(kernel[i + 1 :]) for i in range(len(kernel))]
    table = [
        [*(shift for _, shift in tap), sum(k * i for (k, _), i in zip(tap, inner, strict=True))]
        for tap in itertools.product(*[axis.taps for axis in axes])
    ]
    apart = [math.prod(y_lengths[i + 1 :]) * batch for i in range(3)]
    blocks = -(-channels * max(1, len(table)) // DEPTH)
    job = Job(
        batch, *(a.length for a in axes), *(a.places for a in axes), *(a.step for a in axes),
        groups, channels, filters, -(-channels // min(blocks, channels)),
        channels * filters * flat_kernel,
        *((flat_kernel, filters * flat_kernel) if turned else (channels * flat_kernel, flat_kernel)),
        sum(a.first * d for a, d in zip(axes, apart, strict=True)), math.prod(y_lengths) * batch,
        *(a.apart * d for a, d in zip(axes, apart, strict=True)),
    )  # fmt: skip
    return job, np.array(table, np.int64).reshape(-1, 4), padded_filters(filters)


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
    """Whether these sizes belong together, and are not empty."""
    dims = len(x) - 2
    return (
        1 <= dims <= 3
        and len(w) == len(x)
        and len(stride) == len(padding) == len(dilation) == dims
        and min(x) > 0
        and min(w) > 0
        and w[0] % groups == 0
        and x[1] == w[1] * groups
    )


def _run(plan: Any, x: Any, w: Any, bias: Any) -> Any:
    """Carry out the work on batch-last memory; the result is a batch-first view, as the op's own is."""
    shape, work = plan
    batch = x.shape[0]
    x = np.ascontiguousarray(np.moveaxis(x, 0, -1)).reshape(-1)
    w, bias = np.ascontiguousarray(w).reshape(-1), np.ascontiguousarray(bias)
    y = np.empty((*shape, batch), np.float32)
    flat = y.reshape(-1)
    for job, taps, panels in work:
        depth = job.groups * job.channels * len(taps)
        packed = np.empty(depth * (6 * panels[0] + 4 * panels[1]), np.float32)
        convolve(x, w, packed, bias, flat, taps, job, panels, threads())
    return np.moveaxis(y, -1, 0)


def _single(*arrays: Any) -> bool:
    """Whether all are float32."""
    return all(a.dtype == np.float32 for a in arrays)


def conv(
    x: Any, w: Any, bias: Any = None, *, stride: tuple, padding: Any, dilation: tuple, groups: int
) -> Any:
    """x (N, C, ...) with filters w (O, C / groups, ...) and bias (O,) -> (N, O, ...)."""
    bias = _NO_BIAS if bias is None else bias
    if not _single(x, w, bias) or len(bias) not in (0, len(w)) or bias.ndim != 1:
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
