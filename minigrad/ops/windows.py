"""Sliding windows: sizes, padding and the walk over a kernel's offsets, for convolution and pooling.

Inside, images lie batch-last in memory, (C, H, W, N), so that every window row is one long run
whatever the kernel and stride: copying windows and adding them back is then as fast as memory.
Results are returned as (N, C, H, W) views of such memory, and the next layer finds it as it needs it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..engine.backend import Array

Pairs = tuple[tuple[int, int], ...]


def per_axis(name: str, argument: str, value: Any, dims: int, least: int | None = 1) -> tuple[int, ...]:
    """An int >= least, or one per spatial axis, as a tuple; ValueError names the argument."""
    whole = lambda v: isinstance(v, int | np.integer) and not isinstance(v, bool)
    values = (value,) * dims if whole(value) else tuple(value) if isinstance(value, tuple | list) else ()
    fits = len(values) in (1, dims) and all(map(whole, values))
    if not fits or any(least is not None and v < least for v in values):
        bound = "" if least is None else f" >= {least}"
        raise ValueError(f"{name}: expected a whole number{bound}, or {dims} of them ({argument}={value!r})")
    return tuple(int(v) for v in (values * dims if len(values) == 1 else values))


def batched(name: str, x: Any, dims: int) -> Any:
    """x (N, C, ...), with a batch of one put before (C, ...)."""
    if x.ndim not in (dims + 1, dims + 2):
        raise ValueError(
            f"{name}: expected {dims + 2} axes (or {dims + 1} without a batch), got shape {x.shape}"
        )
    if 0 in x.shape[-dims - 1 :]:
        raise ValueError(
            f"{name}: expected channels and lengths >= 1, only the batch may be empty, got shape {x.shape}"
        )
    return x[None] if x.ndim == dims + 1 else x


def as_given(x: Any, *results: Any) -> Any:
    """Results without a batch if x has none: one alone, or a tuple."""
    shown = tuple(y if x.ndim == y.ndim else y[0] for y in results)
    return shown if len(shown) > 1 else shown[0]


def out_length(
    n: int, kernel: int, stride: int, pad: tuple[int, int], dilation: int, ceil: bool = False
) -> int:
    """floor((n + pads - dilation (kernel - 1) - 1) / stride) + 1; with ceil, windows may run over the end.

    As in PyTorch, a window that would start beyond the input and its left border is left out.
    """
    room = n + pad[0] + pad[1] - dilation * (kernel - 1) - 1
    if not ceil:
        return room // stride + 1
    length = -(-room // stride) + 1
    return length - ((length - 1) * stride >= n + pad[0])


def batch_last(xp: Any, x: Array) -> Array:
    """(N, C, ...) as contiguous (C, ..., N); no copy if it lies so already."""
    return xp.ascontiguousarray(xp.moveaxis(x, 0, -1))


def batch_first(xp: Any, x: Array) -> Array:
    """(C, ..., N) seen as (N, C, ...)."""
    return xp.moveaxis(x, -1, 0)


def bordered(xp: Any, x: Array, pads: Pairs, value: float = 0.0) -> Array:
    """x (C, ..., N) with a border on its spatial axes."""
    if not any(a or b for a, b in pads):
        return x
    shape = (x.shape[0], *[a + n + b for (a, b), n in zip(pads, x.shape[1:-1], strict=True)], x.shape[-1])
    y = xp.full(shape, value, x.dtype) if value else xp.zeros(shape, x.dtype)
    y[inside(pads, x.shape[1:-1])] = x
    return y


def inside(pads: Pairs, lengths: Sequence[int]) -> tuple[slice, ...]:
    """Where the unpadded part lies."""
    return (slice(None), *[slice(a, a + n) for (a, _), n in zip(pads, lengths, strict=True)])


def offsets(
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    out: Sequence[int],
    rows: tuple[int, int] | None = None,
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """For each kernel element: its position, and the slices of padded (C, ..., N) it meets.

    `rows` limits the first spatial axis of the output to [a, b).
    """
    a, b = rows or (0, out[0])
    spans = [(a, b), *[(0, n) for n in out[1:]]]
    for at in itertools.product(*[range(k) for k in kernel]):
        cut = [
            slice(lo * s + o * d, (hi - 1) * s + o * d + 1, s)
            for (lo, hi), o, s, d in zip(spans, at, stride, dilation, strict=True)
        ]
        yield at, (slice(None), *cut)
