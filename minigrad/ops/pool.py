"""Pooling: the maximum or the mean of each window.

Max pooling remembers in one byte which element of a window won. pool_places.py has what needs flat indices.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine.backend import Array, constant, is_float, xp_of
from ..engine.op import op
from .pool_places import pick, wanted_lengths, window_argmax, window_table
from .resample import bins, resample
from .windows import (
    Pairs,
    as_given,
    batch_first,
    batch_last,
    batched,
    bordered,
    inside,
    offsets,
    out_length,
    per_axis,
)


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
    lowest = -math.inf if is_float(x.dtype) else np.iinfo(x.dtype).min
    source = bordered(xp, batch_last(xp, x), pads, lowest)
    best = chosen = None
    for k, (_, cut) in enumerate(offsets(kernel, stride, dilation, out)):
        here = source[cut]
        if best is None:
            best = here.copy()
            chosen = xp.empty(here.shape, np.uint8 if math.prod(kernel) < 256 else np.int32)
            chosen[...] = constant(xp, _first_inside(kernel, stride, padding, dilation, out))[..., None]
        else:
            larger = here > best
            larger |= here != here  # the last NaN, as in PyTorch
            xp.putmask(chosen, larger, k)
            xp.maximum(best, here, out=best)
    return batch_first(xp, best), (batch_first(xp, chosen),)


def _first_inside(kernel: tuple, stride: tuple, padding: Pairs, dilation: tuple, out: tuple) -> np.ndarray:
    """(*out): the first element of each window that is no border; it wins where all is -inf."""
    number = np.zeros((), int)
    for k, s, (before, _), d, o in zip(kernel, stride, padding, dilation, out, strict=True):
        outside = np.maximum(before - np.arange(o) * s, 0)
        number = number[..., None] * k + np.minimum(-(-outside // d), k - 1)
    return number


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


def _tables(lengths: tuple, how: dict) -> tuple:
    """max_pool's windows as tables; what lies on the border stands for its neighbour inside."""
    out, _ = _sizes((1, 1, *lengths), **how)
    keys = ("kernel", "stride", "padding", "dilation")
    return tuple(
        window_table(n, o, *one) for n, o, *one in zip(lengths, out, *[how[k] for k in keys], strict=True)
    )


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


def check_pool(
    name: str, kernel: Any, stride: Any, padding: Any, dims: int, dilation: Any = 1, ceil_mode: bool = False
) -> dict:
    """The settings of a pooling as tuples; what PyTorch rejects raises ValueError."""
    kernel = per_axis(name, "kernel_size", kernel, dims)
    stride = kernel if stride is None else per_axis(name, "stride", stride, dims)
    pads = per_axis(name, "padding", padding, dims, least=0)
    for k, p in zip(kernel, pads, strict=True):
        if p > k // 2:
            raise ValueError(
                f"{name}: expected padding of at most half the kernel (kernel_size={k}, padding={p})"
            )
    return {
        "kernel": kernel,
        "stride": stride,
        "padding": tuple((p, p) for p in pads),
        "dilation": per_axis(name, "dilation", dilation, dims),
        "ceil_mode": bool(ceil_mode),
    }


def _check_room(name: str, x: Any, how: dict) -> None:
    """Every axis must hold a window (with ceil_mode: the start of one)."""
    out, _ = _sizes(x.shape, **how)
    for n, o, k, (p, _), d in zip(
        x.shape[2:], out, how["kernel"], how["padding"], how["dilation"], strict=True
    ):
        if o < 1:
            raise ValueError(
                f"{name}: the window reaches over {d * (k - 1) + 1}, the padded input has {n + 2 * p}; "
                "use a smaller kernel or more padding"
            )


def max_poolnd(
    x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, dims: int,
    indices: bool = False,
) -> Any:  # fmt: skip
    """Max pooling with PyTorch's arguments, checked; with `indices` also where each maximum lies."""
    name = f"max_pool{dims}d"
    how = check_pool(name, kernel_size, stride, padding, dims, dilation, ceil_mode)
    images = batched(name, x, dims)
    _check_room(name, images, how)
    if not indices:
        return as_given(x, max_pool(images, **how))
    tables = _tables(images.shape[2:], how)
    if any(((t < 0) | (t >= n)).any() for t, n in zip(tables, images.shape[2:], strict=True)):
        raise ValueError(
            f"{name}: a dilated window meets the border only, it has no index (dilation={dilation})"
        )
    index = window_argmax(images, tables=tables)
    return as_given(x, pick(images, index), index)


def avg_poolnd(
    x: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool,
    divisor_override: int | None, dims: int,
) -> Any:  # fmt: skip
    """Average pooling with PyTorch's arguments, checked."""
    name = f"avg_pool{dims}d"
    how = check_pool(name, kernel_size, stride, padding, dims, 1, ceil_mode)
    images = batched(name, x, dims)
    _check_room(name, images, how)
    if dims == 3 and any(k > n for k, n in zip(how["kernel"], images.shape[2:], strict=True)):
        raise ValueError(
            f"{name}: expected a window no longer than the input (kernel_size={how['kernel']}), got {x.shape}"
        )
    del how["dilation"]
    return as_given(
        x, window_sum(images, **how) * _shares(name, images, how, count_include_pad, divisor_override)
    )


def check_divisor(name: str, divisor: int | None) -> None:
    """divisor_override: None or a whole number other than 0."""
    if divisor is not None and (isinstance(divisor, bool) or not isinstance(divisor, int) or divisor == 0):
        raise ValueError(f"{name}: expected a whole number other than 0 (divisor_override={divisor!r})")


def _shares(name: str, x: Any, how: dict, pads_count: bool, divisor: int | None) -> Any:
    """What each element of a window counts: a number, or an array where windows differ."""
    check_divisor(name, divisor)
    if divisor is not None:
        return 1.0 / divisor
    sizes = _window_sizes(x.shape[2:], pads_count=pads_count, **how)
    if (sizes == sizes.flat[0]).all():
        return 1.0 / float(sizes.flat[0])
    return constant(xp_of(getattr(x, "_data", x)), 1.0 / sizes, x.dtype)


def adaptive_avg_poolnd(x: Any, output_size: Any, dims: int) -> Any:
    """Means over output_size bins per axis: bin i spans floor(i n / m) to ceil((i + 1) n / m)."""
    name = f"adaptive_avg_pool{dims}d"
    images = batched(name, x, dims)
    wanted = wanted_lengths(name, images, output_size, dims)
    if all(m and n % m == 0 for m, n in zip(wanted, images.shape[2:], strict=True)):
        kernel = tuple(n // m for m, n in zip(wanted, images.shape[2:], strict=True))
        return avg_poolnd(x, kernel, kernel, 0, False, True, None, dims)
    for axis, m in enumerate(wanted, start=2):
        images = resample(images, band=bins(images.shape[axis], m), axis=axis)
    return as_given(x, images)
