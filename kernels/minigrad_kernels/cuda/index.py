"""Launches of index.cu: rows added up by their numbers, in the same order every time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..layout import on_gpu
from .launch import CTYPES, ceil_div, ctype, launch, library

__all__ = ["INSTANCES", "put_add"]

INSTANCES = (
    "make_keys<int>", "make_keys<long long>", "count_digits", "sum_up", "move",
    *(f"{name}<{c}>" for name in ("sum_chunks", "join_chunks") for c in CTYPES.values()),
)  # fmt: skip
THREADS, DIGITS, TILE, CHUNK = 256, 256, 2048, 32  # as in index.cu


def put_add(x: Any, *, shape: tuple, index: Any) -> Any:
    """Zeros of `shape` with x added at index.

    Takes an integer array, alone or after whole slices, and a tuple of integer arrays for the first axes.
    """
    parts = index if isinstance(index, tuple) else (index,)
    if len(parts) > 1 and all(map(_whole_numbers, parts)):
        first = shape[: len(parts)]
        y = put_add(
            x, shape=(math.prod(first), *shape[len(parts) :]), index=_joined(library(x), parts, first)
        )
        return y if y is NotImplemented else y.reshape(shape)
    lead, part = _placed(parts)
    if part is None or part.size == 0 or x.size == 0 or max(part.size, shape[lead]) >= 1 << 31:
        return NotImplemented
    xp, after = library(x), lead + part.ndim
    # As (numbers, what lies before and after the indexed axis): the rows that are added.
    order = (*range(lead, after), *range(lead), *range(after, x.ndim))
    rows = xp.ascontiguousarray(x.transpose(order)).reshape(part.size, -1)
    y = xp.zeros((shape[lead], *shape[:lead], *shape[lead + 1 :]), x.dtype)
    _add(xp, y.reshape(shape[lead], -1), xp.ascontiguousarray(part).reshape(-1), rows)
    return xp.moveaxis(y, 0, lead)


def _whole_numbers(part: Any) -> bool:
    """Whether it is a GPU array of integers, with an axis."""
    return on_gpu(part) and part.dtype.char in "ilq" and part.ndim > 0


def _placed(parts: tuple) -> tuple[int, Any]:
    """How many whole axes stand before the integer array, and that array; None for any other index."""
    whole = all(isinstance(p, slice) and p == slice(None) for p in parts[:-1])
    return len(parts) - 1, parts[-1] if parts and whole and _whole_numbers(parts[-1]) else None


def _joined(xp: Any, parts: tuple, sizes: tuple) -> Any:
    """One number for each place that the arrays name together, with these axes as one; -1 stays the last."""
    flat = None
    for part, size in zip(parts, sizes, strict=True):
        part = xp.where(part < 0, part + size, part).astype(np.int64)
        flat = part if flat is None else flat * size + part
    return flat


def _add(xp: Any, y: Any, index: Any, rows: Any) -> None:
    """y[index] += rows, where y is still 0."""
    (size, width), n = y.shape, index.size
    keys, order = xp.empty(n, np.uint32), xp.empty(n, np.int32)
    kind = "int" if index.dtype.char == "i" else "long long"
    launch("index", f"make_keys<{kind}>", ceil_div(n, THREADS), THREADS, (index, keys, order, n, size))
    keys, order = _sorted(xp, keys, order, size)
    chunks, c = ceil_div(n, CHUNK), ctype(y.dtype)
    wide = np.float64 if c == "double" else np.float32
    heads, tails = xp.empty((chunks, width), wide), xp.empty((chunks, width), wide)
    block = min(THREADS, 32 * ceil_div(width, 32))
    grid = (chunks, ceil_div(width, block))
    launch("index", f"sum_chunks<{c}>", grid, block, (rows, keys, order, y, heads, tails, n, width, size))
    launch("index", f"join_chunks<{c}>", grid, block, (keys, y, heads, tails, n, width, size))


def _sorted(xp: Any, keys: Any, order: Any, largest: int) -> tuple[Any, Any]:
    """Keys in order and where each came from, 8 bits at a time from the lowest."""
    n, blocks = keys.size, ceil_div(keys.size, TILE)
    counts = xp.empty(DIGITS * blocks, np.int32)
    for shift in range(0, largest.bit_length(), 8):
        new_keys, new_order = xp.empty_like(keys), xp.empty_like(order)
        launch("index", "count_digits", blocks, THREADS, (keys, counts, n, shift))
        launch("index", "sum_up", 1, 1024 if blocks > 1 else THREADS, (counts, counts.size))
        launch("index", "move", blocks, THREADS, (keys, order, new_keys, new_order, counts, n, shift))
        keys, order = new_keys, new_order
    return keys, order
