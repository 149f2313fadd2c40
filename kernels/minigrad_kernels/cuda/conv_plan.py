"""The sizes of a convolution as its CUDA kernels want them: conv_geometry.cuh says what each number is.

The gradient in x gathers, as the forward does. At stride s the places of x fall into s classes on each axis,
by their remainder; those of one class meet the same taps, every s-th, and neighbours in y. So each class is
one launch, in which no zero is ever multiplied.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from .launch import ceil_div, library, packed

__all__ = ["FIELD", "MOST", "Launch", "Plan", "batch_last", "plan_of", "vector_of"]

MOST = 1 << 30  # columns or depth: they are counted in 32 bits
KINDS = 64  # launches that the gradient in x may take; beyond that the text is as good


class Reach(NamedTuple):
    """How one axis of a result meets its source: conv_geometry.cuh says what each is."""

    length: int
    places: int
    step: int
    shift: int
    reach: int
    first: int
    apart: int
    taps: int
    tap: int
    skip: int


NUMBERS = (
    "batch", "rows", "columns", "others", "depth", "groups", "height", "width", "kernel_y", "kernel_x",
    "row_step", "other_step", "group_step",
)  # fmt: skip
DIVISORS = ("tap_x", "tap_y", "tap_z", "image", "place_x", "place_y")
FIELD = np.dtype(
    [("volume", "i8"), ("result_volume", "i8")]
    + [(f"{axis}_{name}", "i4") for axis in "zyx" for name in Reach._fields]
    + [(f"{name}_{part}", "u4") for name in DIVISORS for part in ("by", "magic", "shift")]
    + [(name, "i4") for name in NUMBERS],
    align=True,
)


class Launch(NamedTuple):
    """One launch: for each group a matrix of rows by columns; `depth` products are summed to each number."""

    groups: int
    rows: int
    columns: int
    depth: int
    field: Any


class Plan(NamedTuple):
    """A convolution's launches: one for the forward, and one for each class of places of x backward."""

    y: tuple[int, ...]  # the shape of y
    pointwise: bool  # each place of y is made from the same place of x alone
    forward: Launch
    backward: tuple[Launch, ...]


@functools.lru_cache(maxsize=512)
def plan_of(x: tuple, w: tuple, stride: tuple, padding: tuple, dilation: tuple, groups: int) -> Plan | None:
    """The plan, or None for what does not fit together, is empty, or is too large to count in 32 bits."""
    dims = len(x) - 2
    if not 1 <= dims <= 3 or len(w) != len(x) or not len(stride) == len(padding) == len(dilation) == dims:
        return None
    if min(x) < 1 or min(w) < 1 or w[0] % groups or x[1] != w[1] * groups:
        return None
    each = zip(x[2:], w[2:], stride, padding, dilation, strict=True)
    axes = [(n, (n + a + b - d * (k - 1) - 1) // s + 1, k, s, a, d) for n, k, s, (a, b), d in each]
    axes = [(1, 1, 1, 1, 0, 1)] * (3 - dims) + axes
    xs, ys, kernel, strides, *_ = zip(*axes, strict=True)
    taps = math.prod(kernel)
    counts = (math.prod(xs) * x[0], math.prod(ys) * x[0], math.prod(w), 8 * w[0] * taps, 8 * w[1] * taps)
    if min(ys) < 1 or max(counts) > MOST or groups > 65535 or math.prod(map(min, xs, strides)) > KINDS:
        return None
    filters, channels = w[0] // groups, w[1]
    sizes = (x[0], filters, channels, channels * taps, taps, groups)
    forward = _launch([_forward(*axis) for axis in axes], ys, kernel, *sizes)
    kinds = itertools.product(*[[_backward(r, *axis) for r in range(min(axis[3], axis[0]))] for axis in axes])
    sizes = (x[0], channels, filters, taps, channels * taps, groups)
    backward = tuple(_launch(list(kind), xs, kernel, *sizes) for kind in kinds)
    pointwise = taps == 1 and not any(s > 1 or a or b for s, (a, b) in zip(stride, padding, strict=True))
    return Plan((x[0], w[0], *ys[3 - dims :]), pointwise, forward, backward)


def _forward(x: int, y: int, kernel: int, stride: int, before: int, dilation: int) -> Reach:
    return Reach(x, y, stride, -before, dilation, 0, 1, kernel, 0, 1)


def _backward(remainder: int, x: int, y: int, kernel: int, stride: int, before: int, dilation: int) -> Reach:
    """Places of x with this remainder at the stride: they meet every skip-th tap, and neighbours in y."""
    common = math.gcd(stride, dilation)
    skip, start = stride // common, remainder + before
    tap = next((t for t in range(min(skip, kernel)) if (start - t * dilation) % stride == 0), kernel)
    shift = (start - tap * dilation) // stride
    places, taps = ceil_div(x - remainder, stride), ceil_div(kernel - tap, skip)
    return Reach(y, places, 1, shift, -(dilation // common), remainder, stride, taps, tap, skip)


def _launch(
    axes: list[Reach], result: tuple, kernel: tuple, batch: int, rows: int, others: int, row_step: int,
    other_step: int, groups: int,
) -> Launch:  # fmt: skip
    """The launch that makes `rows` of each group from `others`, whose weights lie at these steps."""
    z, y, x = axes
    columns = z.places * y.places * x.places * batch
    depth = others * z.taps * y.taps * x.taps
    volumes = (math.prod(axis.length for axis in axes) * batch, math.prod(result) * batch)
    divisors = [_divisor(n) for n in (x.taps, y.taps, z.taps, batch, x.places, y.places)]
    numbers = (batch, rows, columns, others, depth, groups, *result[1:], *kernel[1:], row_step, other_step)
    group_step = rows * others * math.prod(kernel)
    field = np.array((*volumes, *z, *y, *x, *itertools.chain(*divisors), *numbers, group_step), FIELD)
    return Launch(groups, rows, columns, depth, field)


def _divisor(d: int) -> tuple[int, int, int]:
    """d with what a division by it multiplies with (conv_geometry.cuh)."""
    shift = (max(d, 1) - 1).bit_length()
    return d, ((1 << 32) * ((1 << shift) - d) // max(d, 1) + 1) % (1 << 32), shift


def batch_last(a: Any) -> Any:
    """(N, C, ...) as contiguous (C, ..., N): mostly the memory it lies in already."""
    return library(a).ascontiguousarray(a.transpose(*range(1, a.ndim), 0))


def vector_of(*arrays: Any) -> int:
    """How many images a thread fetches at once: 16 bytes of them, or one."""
    vector = 16 // arrays[0].dtype.itemsize
    return 1 if arrays[0].shape[-1] % vector or not packed(*arrays) else vector
