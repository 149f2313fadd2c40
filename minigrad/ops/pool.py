"""Pooling: the maximum or the mean of each window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine.backend import Array
from ..engine.op import op
from .linalg import matmul
from .shape import moveaxis
from .windows import Pairs, batch_first, batch_last, bordered, inside, offsets, out_length, per_axis


def _sizes(
    x_shape: tuple, kernel: tuple, stride: tuple, padding: Pairs, dilation: tuple, ceil_mode: bool
) -> tuple:
    """Output lengths, and the padding with what ceil_mode lets windows run over the end."""
    lengths = x_shape[2:]
    how = list(zip(lengths, kernel, stride, padding, dilation, strict=True))
    out = tuple(out_length(n, k, s, p, d, ceil_mode) for n, k, s, p, d in how)
    over = [
        max((o - 1) * s + d * (k - 1) + 1 - n - p[0] - p[1], 0)
        for o, (n, k, s, p, d) in zip(out, how, strict=True)
    ]
    return out, tuple((p[0], p[1] + e) for p, e in zip(padding, over, strict=True))


# ---------------------------------------------------------------- maximum


def _max_pool_gradient(g: Any, needs: tuple, x_shape: tuple, saved: tuple, **how: Any) -> tuple:
    return (window_put(g, chosen=saved[0], x_shape=x_shape, **how),)


@op(joint=_max_pool_gradient, extra=True)
def max_pool(
    xp: Any, x: Array, *, kernel: tuple, stride: tuple, padding: Pairs, dilation: tuple, ceil_mode: bool
) -> tuple[Array, tuple]:
    """The largest element of each window; the first of equals receives the gradient. NaN wins."""
    out, pads = _sizes(x.shape, kernel, stride, padding, dilation, ceil_mode)
    lowest = -math.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    source = bordered(xp, batch_last(xp, x), pads, lowest)
    best = chosen = None
    for k, (_, cut) in enumerate(offsets(kernel, stride, dilation, out)):
        here = source[cut]
        if best is None:
            best, chosen = (
                here.copy(),
                xp.zeros(here.shape, np.uint8 if math.prod(kernel) < 256 else np.int32),
            )
        else:
            xp.putmask(chosen, ~(here <= best), k)
            xp.maximum(best, here, out=best)
    return batch_first(xp, best), (batch_first(xp, chosen),)


@op(x=lambda g, chosen, x_shape, **how: window_take(g, chosen=chosen, **how))
def window_put(
    xp: Any, x: Array, *, chosen: Array, x_shape: tuple, kernel: tuple, stride: tuple, padding: Pairs,
    dilation: tuple, ceil_mode: bool,
) -> Array:  # fmt: skip
    """Each x added to the element that was chosen in its window; the adjoint of window_take."""
    out, pads = _sizes(x_shape, kernel, stride, padding, dilation, ceil_mode)
    g, index = batch_last(xp, x), batch_last(xp, chosen)
    lengths = [a + n + b for (a, b), n in zip(pads, x_shape[2:], strict=True)]
    y = xp.zeros((x_shape[1], *lengths, x_shape[0]), x.dtype)
    for k, (_, cut) in enumerate(offsets(kernel, stride, dilation, out)):
        y[cut] += g * (index == k)
    return batch_first(xp, y[inside(pads, x_shape[2:])])


@op(x=lambda g, x_shape, **how: window_put(g, x_shape=x_shape, **how))
def window_take(
    xp: Any,
    x: Array,
    *,
    chosen: Array,
    kernel: tuple,
    stride: tuple,
    padding: Pairs,
    dilation: tuple,
    ceil_mode: bool,
) -> Array:
    """The element of each window that `chosen` points at."""
    out, pads = _sizes(x.shape, kernel, stride, padding, dilation, ceil_mode)
    source, index = bordered(xp, batch_last(xp, x), pads), batch_last(xp, chosen)
    y = xp.zeros(index.shape, x.dtype)
    for k, (_, cut) in enumerate(offsets(kernel, stride, dilation, out)):
        y += source[cut] * (index == k)
    return batch_first(xp, y)


# ---------------------------------------------------------------- sums and means


@op(x=lambda g, x_shape, **how: window_spread(g, x_shape=x_shape, **how))
def window_sum(xp: Any, x: Array, *, kernel: tuple, stride: tuple, padding: Pairs, ceil_mode: bool) -> Array:
    """The sum of each window."""
    ones = (1,) * len(kernel)
    out, pads = _sizes(x.shape, kernel, stride, padding, ones, ceil_mode)
    source = bordered(xp, batch_last(xp, x), pads)
    y = xp.zeros((x.shape[1], *out, x.shape[0]), x.dtype)
    for _, cut in offsets(kernel, stride, ones, out):
        y += source[cut]
    return batch_first(xp, y)


@op(x=lambda g, x_shape, **how: window_sum(g, **{k: v for k, v in how.items() if k != "x_shape"}))
def window_spread(
    xp: Any, x: Array, *, x_shape: tuple, kernel: tuple, stride: tuple, padding: Pairs, ceil_mode: bool
) -> Array:
    """Each x added to every element of its window: the adjoint of window_sum."""
    ones = (1,) * len(kernel)
    out, pads = _sizes(x_shape, kernel, stride, padding, ones, ceil_mode)
    g = batch_last(xp, x)
    lengths = [a + n + b for (a, b), n in zip(pads, x_shape[2:], strict=True)]
    y = xp.zeros((x_shape[1], *lengths, x_shape[0]), x.dtype)
    for _, cut in offsets(kernel, stride, ones, out):
        y[cut] += g
    return batch_first(xp, y[inside(pads, x_shape[2:])])


def _window_sizes(
    lengths: tuple, kernel: tuple, stride: tuple, padding: Pairs, ceil_mode: bool, pads_count: bool
) -> Any:
    """How many elements each window holds; the border counts if pads_count, what ceil_mode adds never."""
    table = np.ones(())
    out, _ = _sizes((1, 1, *lengths), kernel, stride, padding, (1,) * len(kernel), ceil_mode)
    for n, k, s, (before, after), o in zip(lengths, kernel, stride, padding, out, strict=True):
        starts = np.arange(o) * s - before
        low, high = (-before, n + after) if pads_count else (0, n)
        counts = np.minimum(starts + k, high) - np.maximum(starts, low)
        table = table[..., None] * counts
    return table


# ---------------------------------------------------------------- what layers and functions call


def _checked(
    name: str, x: Any, kernel: Any, stride: Any, padding: Any, dims: int, ceil_mode: bool, dilation: Any = 1
) -> dict:
    if x.ndim not in (dims + 1, dims + 2):
        raise ValueError(
            f"{name}: expected {dims + 2} axes (or {dims + 1} without a batch), got shape {x.shape}"
        )
    kernel = per_axis(name, "kernel_size", kernel, dims)
    stride = kernel if stride is None else per_axis(name, "stride", stride, dims)
    pads = per_axis(name, "padding", padding, dims, least=0)
    dilation = per_axis(name, "dilation", dilation, dims)
    for k, p, d, n in zip(kernel, pads, dilation, x.shape[-dims:], strict=True):
        if p > (d * (k - 1) + 1) // 2:
            raise ValueError(
                f"{name}: expected padding of at most half the kernel (kernel_size={k}, padding={p})"
            )
        if n + 2 * p < d * (k - 1) + 1:
            raise ValueError(
                f"{name}: the window reaches over {d * (k - 1) + 1}, the padded input has {n + 2 * p}"
            )
    how = {
        "kernel": kernel,
        "stride": stride,
        "padding": tuple((p, p) for p in pads),
        "ceil_mode": bool(ceil_mode),
    }
    return {**how, "dilation": dilation}


def max_poolnd(
    x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, dims: int
) -> Any:
    """Max pooling with PyTorch's arguments, checked."""
    how = _checked(f"max_pool{dims}d", x, kernel_size, stride, padding, dims, ceil_mode, dilation)
    return max_pool(x[None], **how)[0] if x.ndim == dims + 1 else max_pool(x, **how)


def avg_poolnd(
    x: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool,
    divisor_override: int | None, dims: int,
) -> Any:  # fmt: skip
    """Average pooling with PyTorch's arguments, checked."""
    name = f"avg_pool{dims}d"
    how = _checked(name, x, kernel_size, stride, padding, dims, ceil_mode)
    del how["dilation"]
    if x.ndim == dims + 1:
        lone = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dims)
        return avg_poolnd(x[None], *lone)[0]
    if divisor_override is not None:
        if divisor_override == 0:
            raise ValueError(f"{name}: expected a divisor other than 0 (divisor_override=0)")
        return window_sum(x, **how) * (1.0 / divisor_override)
    sizes = _window_sizes(x.shape[2:], pads_count=count_include_pad, **how)
    if (sizes == sizes.flat[0]).all():
        return window_sum(x, **how) * (1.0 / float(sizes.flat[0]))
    return window_sum(x, **how) * x.device.xp.asarray(1.0 / sizes, x.dtype)


def adaptive_avg_poolnd(x: Any, output_size: Any, dims: int) -> Any:
    """Means over output_size bins per axis: bin i spans floor(i n / m) to ceil((i + 1) n / m)."""
    name = f"adaptive_avg_pool{dims}d"
    if x.ndim not in (dims + 1, dims + 2):
        raise ValueError(
            f"{name}: expected {dims + 2} axes (or {dims + 1} without a batch), got shape {x.shape}"
        )
    given = (
        (output_size,) * dims if output_size is None or isinstance(output_size, int) else tuple(output_size)
    )
    if len(given) != dims:
        raise ValueError(f"{name}: expected {dims} lengths (output_size={output_size!r})")
    wanted = tuple(n if m is None else m for m, n in zip(given, x.shape[-dims:], strict=True))
    per_axis(name, "output_size", wanted, dims)
    if all(n % m == 0 for m, n in zip(wanted, x.shape[-dims:], strict=True)):
        kernel = tuple(n // m for m, n in zip(wanted, x.shape[-dims:], strict=True))
        return avg_poolnd(x, kernel, kernel, 0, False, True, None, dims)
    for axis, m in enumerate(wanted, start=x.ndim - dims):
        x = moveaxis(
            matmul(moveaxis(x, axis, -1), x.device.xp.asarray(_bins(x.shape[axis], m), x.dtype)), -1, axis
        )
    return x


def _bins(n: int, m: int) -> np.ndarray:
    """(n, m): column i averages the elements of bin i."""
    table = np.zeros((n, m))
    for i in range(m):
        start, stop = i * n // m, -(-(i + 1) * n // m)
        table[start:stop, i] = 1.0 / (stop - start)
    return table
