"""Convolution (cross-correlation, as everywhere in the field) in one, two or three dimensions.

y[n, o, p] = sum_{c, k} w[o, c, k] x[n, c, stride p + dilation k - pad]

The windows of x are copied into columns and meet the weights in one matrix product ("im2col"), a
few output rows at a time so that the columns stay in the cache. conv, conv_grad_x and
conv_grad_w are linear in each argument, and each one's gradients are the other two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..engine.backend import Array, matmul
from ..engine.op import op
from .pad import pad_constant
from .reduce import sum
from .windows import Pairs, batch_first, batch_last, bordered, inside, offsets, out_length, per_axis

COLUMN_BYTES = 1 << 22  # of columns at a time: measured best on 2 cores, 4 to 16 MB are alike


class _Plan:
    """The sizes of one convolution, in batch-last order."""

    def __init__(
        self, x_shape: tuple, w_shape: tuple, stride: tuple, padding: Pairs, dilation: tuple, groups: int
    ):
        self.batch, channels, *lengths = x_shape
        self.filters, self.per_group, *kernel = w_shape
        self.kernel, self.stride, self.dilation = kernel, stride, dilation
        self.groups, self.padding, self.lengths = groups, padding, tuple(lengths)
        self.channels = channels
        self.out = tuple(
            out_length(n, k, s, p, d)
            for n, k, s, p, d in zip(lengths, kernel, stride, padding, dilation, strict=True)
        )
        self.depth = self.per_group * math.prod(kernel)  # rows of the columns, for one group
        self.width = math.prod(self.out[1:]) * self.batch  # columns to an output row
        self.pointwise = all(k == s == 1 for k, s in zip(kernel, stride, strict=True))

    def _step(self, itemsize: int) -> int:
        """Output rows at a time, so that their columns take about COLUMN_BYTES."""
        row = self.depth * self.groups * self.width * itemsize
        return min(max(1, COLUMN_BYTES // max(row, 1)), self.out[0])

    def chunks(self, dtype: np.dtype) -> Iterator[tuple[int, int]]:
        """Output rows [a, b) at a time."""
        step = self._step(dtype.itemsize)
        return ((a, min(a + step, self.out[0])) for a in range(0, self.out[0], max(step, 1)))

    def space(self, xp: Any, dtype: np.dtype) -> Array:
        """Memory for the columns of a chunk, used again by the next: new memory costs more than the copy."""
        return xp.empty(self.groups * self.depth * self._step(dtype.itemsize) * self.width, dtype)

    def shaped(self, space: Array, rows: tuple[int, int]) -> tuple[Array, Array]:
        """The space as columns of these rows: by window, and as matrices (groups, depth, columns)."""
        count = rows[1] - rows[0]
        cols = space[: self.groups * self.depth * count * self.width]
        windows = cols.reshape(self.channels, *self.kernel, count, *self.out[1:], self.batch)
        return windows, cols.reshape(self.groups, self.depth, count * self.width)

    def columns(self, x: Array, rows: tuple[int, int], space: Array) -> Array:
        """The windows of padded x for some output rows: (groups, depth, columns)."""
        if self.pointwise:  # a 1x1 kernel: x is its own columns
            return x.reshape(self.groups, self.depth, -1)[self.span(rows)]
        windows, matrices = self.shaped(space, rows)
        for at, cut in offsets(self.kernel, self.stride, self.dilation, self.out, rows):
            windows[(slice(None), *at)] = x[cut]
        return matrices

    def matrix(self, w: Array) -> Array:
        """Weights as (groups, filters per group, depth)."""
        return w.reshape(self.groups, self.filters // self.groups, self.depth)

    def flat(self, y: Array) -> Array:
        """A batch-last output as (groups, filters per group, all columns)."""
        return y.reshape(self.groups, self.filters // self.groups, self.out[0] * self.width)

    def span(self, rows: tuple[int, int]) -> tuple:
        """Where these output rows lie among the columns."""
        return (..., slice(rows[0] * self.width, rows[1] * self.width))


@op(
    x=lambda g, x_shape, w, **how: conv_grad_x(g, w, x_shape=x_shape, **how),
    w=lambda g, x, w_shape, **how: conv_grad_w(g, x, w_shape=w_shape, **how),
    bias=lambda g: sum(g, (0, *range(2, g.ndim))),
)
def conv(
    xp: Any,
    x: Array,
    w: Array,
    bias: Array | None = None,
    *,
    stride: tuple,
    padding: Pairs,
    dilation: tuple,
    groups: int,
) -> Array:
    """x (N, C, ...) with filters w (O, C / groups, ...) and bias (O,) -> (N, O, ...)."""
    plan = _Plan(x.shape, w.shape, stride, padding, dilation, groups)
    dtype = np.result_type(x, w) if bias is None else np.result_type(x, w, bias)
    source = bordered(xp, batch_last(xp, x), padding)
    y = xp.empty((plan.filters, *plan.out, plan.batch), dtype)
    flat, matrix, space = plan.flat(y), plan.matrix(w), plan.space(xp, source.dtype)
    for rows in plan.chunks(dtype):
        part = flat[plan.span(rows)]
        matmul(xp, matrix, plan.columns(source, rows, space), out=part)
        if bias is not None:
            part += bias.reshape(plan.groups, -1, 1)
    return batch_first(xp, y)


@op(
    gy=lambda g, w, x_shape, **how: conv(g, w, **how),
    w=lambda g, gy, w_shape, x_shape, **how: conv_grad_w(gy, g, w_shape=w_shape, **how),
)
def conv_grad_x(
    xp: Any,
    gy: Array,
    w: Array,
    *,
    x_shape: tuple,
    stride: tuple,
    padding: Pairs,
    dilation: tuple,
    groups: int,
) -> Array:
    """The gradient of conv in x: each column is added back to the window it came from."""
    reach = [d * (k - 1) for k, d in zip(w.shape[2:], dilation, strict=True)]
    turns = all(s == 1 and a <= r >= b for s, r, (a, b) in zip(stride, reach, padding, strict=True))
    if turns and w.shape[0] <= x_shape[1]:  # as a convolution of gy, if that has the fewer columns
        rest = tuple((r - a, r - b) for r, (a, b) in zip(reach, padding, strict=True))
        return conv(
            gy, turned(xp, w, groups), None, stride=stride, padding=rest, dilation=dilation, groups=groups
        )
    plan = _Plan(x_shape, w.shape, stride, padding, dilation, groups)
    dtype = np.result_type(gy, w)
    flat = plan.flat(batch_last(xp, gy))
    transposed = xp.swapaxes(plan.matrix(w), -1, -2)
    lengths = [a + n + b for (a, b), n in zip(padding, plan.lengths, strict=True)]
    x, space = xp.zeros((plan.channels, *lengths, plan.batch), dtype), plan.space(xp, dtype)
    for rows in plan.chunks(dtype):
        windows, matrices = plan.shaped(space, rows)
        matmul(xp, transposed, flat[plan.span(rows)], out=matrices)
        for at, cut in offsets(plan.kernel, stride, dilation, plan.out, rows):
            x[cut] += windows[(slice(None), *at)]
    return batch_first(xp, x[inside(padding, plan.lengths)])


@op(
    gy=lambda g, x, w_shape, **how: conv(x, g, **how),
    x=lambda g, gy, x_shape, w_shape, **how: conv_grad_x(gy, g, x_shape=x_shape, **how),
)
def conv_grad_w(
    xp: Any,
    gy: Array,
    x: Array,
    *,
    w_shape: tuple,
    stride: tuple,
    padding: Pairs,
    dilation: tuple,
    groups: int,
) -> Array:
    """The gradient of conv in w: products of output gradients and columns, summed over batch and places."""
    plan = _Plan(x.shape, w_shape, stride, padding, dilation, groups)
    dtype = np.result_type(gy, x)
    source = bordered(xp, batch_last(xp, x), padding)
    flat, space = plan.flat(batch_last(xp, gy)), plan.space(xp, source.dtype)
    w = xp.zeros((groups, plan.filters // groups, plan.depth), dtype)
    for rows in plan.chunks(dtype):
        w += matmul(xp, flat[plan.span(rows)], xp.swapaxes(plan.columns(source, rows, space), -1, -2))
    return w.reshape(w_shape)


def turned(xp: Any, w: Array, groups: int) -> Array:
    """Filters turned round, input and output channels exchanged: at stride 1 they carry gradients back."""
    filters, per_group, *kernel = w.shape
    w = w.reshape(groups, filters // groups, per_group, *kernel).swapaxes(1, 2)
    w = xp.flip(w, axis=tuple(range(3, w.ndim)))
    return xp.ascontiguousarray(w).reshape(groups * per_group, filters // groups, *kernel)


# ---------------------------------------------------------------- what layers and functions call


def pad_pairs(name: str, padding: Any, kernel: tuple, stride: tuple, dilation: tuple) -> Pairs:
    """padding as (before, after) per axis: numbers, 'valid' (none), 'same', 'full', or 'causal' (1-D).

    'same' keeps the length, with the odd element after, and needs stride 1, as in PyTorch. Two are our own:
    'full' is dilation (kernel - 1) on both sides, so that every overlap gives an output; 'causal' is that
    much before and nothing after, so that an output sees no later input.
    """
    dims = len(kernel)
    if not isinstance(padding, str):
        return tuple((p, p) for p in per_axis(name, "padding", padding, dims, least=0))
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if padding == "valid":
        return ((0, 0),) * dims
    if padding == "full":
        return tuple((r, r) for r in reach)
    if padding == "causal" and dims == 1:
        return ((reach[0], 0),)
    if padding != "same":
        words = "'valid', 'same', 'full'" + (" or 'causal'" if dims == 1 else "")
        raise ValueError(f"{name}: expected numbers, {words} (padding={padding!r})")
    if any(s != 1 for s in stride):
        raise ValueError(f"{name}: padding='same' needs stride 1, got stride={stride}; give numbers")
    return tuple((r // 2, r - r // 2) for r in reach)


def convnd(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int, dims: int
) -> Any:
    """Convolution in `dims` dimensions with PyTorch's arguments, checked: x (N, C, ...) or (C, ...)."""
    name = f"conv{dims}d"
    _check_axes(name, x, weight, dims)
    if np.ndim(x) == dims + 1:
        return convnd(x[None], weight, bias, stride, padding, dilation, groups, dims)[0]
    stride = per_axis(name, "stride", stride, dims)
    dilation = per_axis(name, "dilation", dilation, dims)
    kernel = tuple(weight.shape[2:])
    pads = pad_pairs(name, padding, kernel, stride, dilation)
    _check_groups(name, weight.shape[0], groups)
    _check_channels(name, x.shape[1], weight.shape[1], groups)
    _check_bias(name, bias, weight.shape[0])
    for n, k, p, d in zip(x.shape[2:], kernel, pads, dilation, strict=True):
        if n + sum_pair(p) < d * (k - 1) + 1:
            raise ValueError(
                f"{name}: the kernel reaches over {d * (k - 1) + 1} = {d}*({k}-1)+1, "
                f"the padded input has {n + sum_pair(p)} = {n}+{p[0]}+{p[1]}; "
                "use a smaller kernel or more padding"
            )
    return conv(x, weight, bias, stride=stride, padding=pads, dilation=dilation, groups=groups)


def transposed_length(n: int, kernel: int, stride: int, pad: int, dilation: int, extra: int) -> int:
    """stride (n - 1) + dilation (kernel - 1) + 1 - 2 pad + extra: out_length solved for its input."""
    return stride * (n - 1) + dilation * (kernel - 1) + 1 - 2 * pad + extra


def conv_transposend(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: int,
    dilation: Any, dims: int,
) -> Any:  # fmt: skip
    """Transposed convolution with PyTorch's arguments, checked: x (N, C, ...), weight (C, O / groups, ...).

    It is the gradient of conv in its input. Where output_padding reaches a stride or more, conv would
    have had further outputs there; they are given as zeros.
    """
    name = f"conv_transpose{dims}d"
    _check_axes(name, x, weight, dims)
    if np.ndim(x) == dims + 1:
        lone = (weight, bias, stride, padding, output_padding, groups, dilation, dims)
        return conv_transposend(x[None], *lone)[0]
    stride = per_axis(name, "stride", stride, dims)
    dilation = per_axis(name, "dilation", dilation, dims)
    pads = per_axis(name, "padding", padding, dims, least=0)
    extra = check_output_padding(name, output_padding, stride, dilation)
    _check_groups(name, weight.shape[0], groups)
    _check_channels(name, x.shape[1], weight.shape[0] // groups, groups)
    _check_bias(name, bias, weight.shape[1] * groups)
    sizes = list(zip(x.shape[2:], weight.shape[2:], stride, pads, dilation, extra, strict=True))
    out = tuple(transposed_length(*size) for size in sizes)
    if min(out) < 1:
        raise ValueError(f"{name}: padding={pads} leaves nothing of the output (it would be {out})")
    if any(e >= s for e, s in zip(extra, stride, strict=True)):
        more = [(0, e // s) for e, s in zip(extra, stride, strict=True)]
        x = pad_constant(x, width=((0, 0), (0, 0), *more))
    pairs = tuple((p, p) for p in pads)
    shape = (x.shape[0], weight.shape[1] * groups, *out)
    y = conv_grad_x(x, weight, x_shape=shape, stride=stride, padding=pairs, dilation=dilation, groups=groups)
    return y if bias is None else y + bias.reshape(-1, *(1,) * dims)


def check_output_padding(name: str, output_padding: Any, stride: tuple, dilation: tuple) -> tuple[int, ...]:
    """What is added at the end: less than the stride or the dilation, as in PyTorch."""
    extra = per_axis(name, "output_padding", output_padding, len(stride), least=0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ValueError(
            f"{name}: expected output_padding below the stride or the dilation "
            f"(output_padding={extra}, stride={stride}, dilation={dilation})"
        )
    return extra


def sum_pair(pair: tuple[int, int]) -> int:
    """Both borders together."""
    return pair[0] + pair[1]


def _check_axes(name: str, x: Any, weight: Any, dims: int) -> None:
    if np.ndim(weight) != dims + 2 or 0 in weight.shape[2:]:
        raise ValueError(f"{name}: expected a weight of {dims + 2} axes, got shape {weight.shape}")
    if np.ndim(x) not in (dims + 1, dims + 2):
        raise ValueError(
            f"{name}: expected x of {dims + 2} axes (or {dims + 1} without a batch), got {x.shape}"
        )
    if 0 in x.shape[-dims:]:
        raise ValueError(f"{name}: only the batch may be empty, got shape {x.shape}")


def _check_groups(name: str, channels: int, groups: int) -> None:
    whole = isinstance(groups, int | np.integer) and not isinstance(groups, bool)
    if not whole or groups < 1 or channels < 1 or channels % groups:
        raise ValueError(
            f"{name}: expected groups to divide the {channels} channels of the weight (groups={groups!r})"
        )


def _check_channels(name: str, channels: int, per_group: int, groups: int) -> None:
    if channels != per_group * groups:
        raise ValueError(
            f"{name}: input has {channels} channels, weight expects "
            f"{per_group * groups} = {per_group} x {groups} group{'s' * (groups != 1)}"
        )


def _check_bias(name: str, bias: Any, filters: int) -> None:
    if bias is not None and bias.shape != (filters,):
        raise ValueError(f"{name}: expected bias ({filters},), got {bias.shape}")
