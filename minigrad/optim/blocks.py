"""The walk over blocks that keeps an update's dozen passes in the cache, and its scratch space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..engine.backend import xp_of

BLOCK = 1 << 16  # elements


class Scratch:
    """Two arrays to compute in, kept from step to step, so that a step allocates nothing."""

    def __init__(self) -> None:
        self._arrays: dict[Any, Any] = {}

    def pair(self, like: Any, size: int) -> Any:
        """Two flat arrays of `size` elements, of the dtype and device of `like`."""
        key = (xp_of(like), like.dtype)
        kept = self._arrays.get(key)
        if kept is None or kept.shape[1] < size:
            kept = self._arrays[key] = xp_of(like).empty((2, max(size, BLOCK)), like.dtype)
        return kept[:, :size]

    def __reduce__(self) -> tuple[type, tuple]:
        return Scratch, ()  # a copy of an optimiser starts with scratch of its own


def blocks(scratch: Scratch, *arrays: Any) -> Iterator[tuple[Any, ...]]:
    """Arrays of one shape, a stretch at a time, with two scratch arrays of that shape.

    Flat if all are contiguous. A flattened copy of any other would cost memory, and lose what is
    written to it.
    """
    if not all(a.flags.c_contiguous for a in arrays):
        yield from row_blocks(scratch, *arrays)
        return
    size = arrays[0].size
    one, two = scratch.pair(arrays[0], min(size, BLOCK))
    flat = [a.reshape(-1) for a in arrays]
    if size <= BLOCK:
        yield (*flat, one, two)
        return
    for a in range(0, size, BLOCK):
        b = min(a + BLOCK, size)
        yield (*[f[a:b] for f in flat], one[: b - a], two[: b - a])


def row_blocks(scratch: Scratch, *arrays: Any) -> Iterator[tuple[Any, ...]]:
    """Some rows (along the first axis) of each array at a time, and scratch of the first one's shape."""
    p = arrays[0]
    row = p.size // max(len(p), 1)
    count = max(1, BLOCK // max(row, 1))
    one, two = scratch.pair(p, min(count, len(p)) * row)
    for a in range(0, len(p), count):
        b = min(a + count, len(p))
        shape, size = (b - a, *p.shape[1:]), (b - a) * row
        yield (*[x[a:b] for x in arrays], one[:size].reshape(shape), two[:size].reshape(shape))
