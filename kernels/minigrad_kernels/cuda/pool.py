"""Launches of pool.cu: maxima and sums of windows and their adjoints, over images that lie last in memory."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..layout import on_gpu
from .launch import CTYPES, ceil_div, ctype, launch, library, packed

__all__ = ["INSTANCES", "max_pool", "window_put", "window_spread", "window_sum"]

PACKS = {"double": 2, "float": 4, "__half": 8, "__nv_bfloat16": 8}  # images that 16 bytes hold
INSTANCES = tuple(
    f"{name}<{t}, {n}>"
    for name in ("max_pool_forward", "window_sums", "window_adjoint")
    for t in CTYPES.values()
    for n in (1, PACKS[t])
)
AXIS = np.dtype([(name, np.int32) for name in ("n", "out", "kernel", "stride", "border", "dilation")])
WINDOWS = np.dtype([("z", AXIS), ("y", AXIS), ("x", AXIS), ("images", np.int32), ("tiles", np.int32)])
THREADS = 256
ENOUGH = 1 << 16  # threads that fill a card: fewer are not thinned out by packs


@functools.lru_cache(maxsize=256)
def _axes(
    lengths: tuple, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple, ceil_mode: bool
) -> tuple | None:
    """Every axis as AXIS says; None for windows that do not fit."""
    axes = []
    for n, k, s, (before, after), d in zip(lengths, kernel, stride, padding, dilation, strict=True):
        room = n + before + after - d * (k - 1) - 1
        out = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (out - 1) * s >= n + before:  # the last window would start in the border
            out -= 1
        if out < 1:
            return None
        axes.append((n, out, k, s, before, d))
    return tuple(axes)


@functools.lru_cache(maxsize=256)
def _meets_all(axes: tuple) -> bool:
    """Whether every window holds an element that is no border."""
    for n, out, k, s, before, d in axes:
        starts = np.arange(out) * s - before
        first = starts + np.maximum(-(starts // d), 0) * d
        if (first > starts + (k - 1) * d).any() or (first >= n).any():
            return False
    return True


@functools.lru_cache(maxsize=256)
def _windows(axes: tuple, images: int, tiles: int) -> Any:
    """The record that the kernels get."""
    one = (1, 1, 1, 1, 0, 1)
    return np.array((*[one] * (3 - len(axes)), *axes, images, tiles), WINDOWS)


def _found(
    x: Any, lengths: tuple, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple, ceil_mode: bool
) -> tuple | None:
    """The axes, for images that are covered."""
    if x.dtype.name not in CTYPES or not x.size or not 3 <= x.ndim <= 5 or len(lengths) != x.ndim - 2:
        return None
    if len(kernel) != len(lengths) or math.prod(lengths) * x.shape[0] >= 1 << 31:
        return None
    return _axes(lengths, kernel, stride, padding, dilation, ceil_mode)


def _memory(x: Any) -> Any:
    """(N, C, ...) as (C, ..., N) without gaps; a copy only if it lies otherwise."""
    x = x.transpose((*range(1, x.ndim), 0))
    return x if x.flags.c_contiguous else library(x).ascontiguousarray(x)


def _new(x: Any, lengths: tuple, dtype: Any = None) -> Any:
    """Memory (C, ..., N) for a result with these lengths."""
    return library(x).empty((x.shape[1], *lengths, x.shape[0]), x.dtype if dtype is None else dtype)


def _back(memory: Any) -> Any:
    return memory.transpose((memory.ndim - 1, *range(memory.ndim - 1)))


def _run(name: str, arrays: tuple, axes: tuple, lengths: tuple) -> bool:
    """Launch for a result of these lengths; False if it is too large."""
    first, images = arrays[0], arrays[0].shape[-1]
    channels = first.shape[0]
    pack = PACKS[ctype(first.dtype)]
    there = [a for a in arrays if a is not None]
    many = channels * math.prod(lengths) * images
    if images % pack or many < ENOUGH * pack or not packed(*there):
        pack = 1
    across = lengths[-1] * images // pack
    threads = min(THREADS, ceil_div(across, 32) * 32)
    tiles = ceil_div(across, threads)
    blocks = channels * math.prod(lengths[:-1]) * tiles
    if blocks >= 1 << 31:
        return False
    windows = _windows(axes, images, tiles)
    launch("pool", f"{name}<{ctype(first.dtype)}, {pack}>", blocks, threads, (*arrays, windows))
    return True


def max_pool(
    x: Any, *, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple, ceil_mode: bool
) -> Any:
    """The largest element of each window, and (which one it was,)."""
    axes = _found(x, x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
    if axes is None or math.prod(kernel) > 255 or not _meets_all(axes):
        return NotImplemented
    out = tuple([axis[1] for axis in axes])
    y, chosen = _new(x, out), _new(x, out, np.uint8)
    if not _run("max_pool_forward", (_memory(x), y, chosen), axes, out):
        return NotImplemented
    return _back(y), (_back(chosen),)


def window_put(
    x: Any, *, chosen: Any, x_shape: tuple, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple,
    ceil_mode: bool,
) -> Any:  # fmt: skip
    """Each x added to the element that was chosen in its window."""
    if not on_gpu(chosen) or chosen.dtype.char != "B":
        return NotImplemented
    axes = _found(x, x_shape[2:], kernel, stride, padding, dilation, ceil_mode)
    if chosen.shape != x.shape:
        return NotImplemented
    return _adjoint(x, _memory(chosen), x_shape, axes)


def window_spread(
    x: Any, *, x_shape: tuple, kernel: tuple, stride: tuple, padding: tuple, ceil_mode: bool
) -> Any:
    """Each x added to every element of its window."""
    axes = _found(x, x_shape[2:], kernel, stride, padding, (1,) * len(kernel), ceil_mode)
    return _adjoint(x, None, x_shape, axes)


def _adjoint(g: Any, chosen: Any, x_shape: tuple, axes: tuple | None) -> Any:
    if axes is None or g.shape != (*x_shape[:2], *[axis[1] for axis in axes]):
        return NotImplemented
    y = _new(g, x_shape[2:])
    return _back(y) if _run("window_adjoint", (_memory(g), chosen, y), axes, x_shape[2:]) else NotImplemented


def window_sum(x: Any, *, kernel: tuple, stride: tuple, padding: tuple, ceil_mode: bool) -> Any:
    """The sum of each window."""
    axes = _found(x, x.shape[2:], kernel, stride, padding, (1,) * len(kernel), ceil_mode)
    if axes is None:
        return NotImplemented
    out = tuple([axis[1] for axis in axes])
    y = _new(x, out)
    return _back(y) if _run("window_sums", (_memory(x), y), axes, out) else NotImplemented
