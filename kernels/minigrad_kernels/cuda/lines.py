"""Arrays as lines along axes that lie together in memory, and how many threads take one: see lines.cuh."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..layout import dense_order, library
from .launch import CTYPES, ceil_div

__all__ = ["FLOATS", "KINDS", "Lines", "accumulator", "lines_of"]

FLOATS = tuple(CTYPES.values())
KINDS = ("IN_WARP", "IN_BLOCK", "IN_COLUMNS")
WARP, HELD, MOST = 32, 8, 1024  # lanes, numbers that a thread holds, threads of a block
LONGEST = 2**30  # a place in a line is an int


def accumulator(dtype: Any) -> str:
    """The dtype in which numbers of this one are added up."""
    return "float64" if dtype.name == "float64" else "float32"


class Lines(NamedTuple):
    """Memory as (outer, n, inner): outer * inner lines of n numbers."""

    order: tuple[int, ...]  # the axes, as they lie in memory
    shape: tuple[int, ...]  # of the array in that order
    many: int
    n: int
    inner: int

    @property
    def kind(self) -> str:
        """Who takes a line."""
        if self.inner > 1:
            return "IN_COLUMNS"
        return "IN_WARP" if self.n <= WARP * HELD else "IN_BLOCK"

    @property
    def threads(self) -> int:
        """Threads of a block: enough to hold a whole line, if a block can."""
        if self.kind == "IN_WARP":
            return 4 * WARP
        return min(MOST, WARP * ceil_div(self.n, HELD if self.inner > 1 else WARP * HELD))

    @property
    def blocks(self) -> int:
        """Blocks for all lines."""
        return ceil_div(self.many, {"IN_WARP": 4, "IN_BLOCK": 1, "IN_COLUMNS": WARP}[self.kind])

    def memory(self, a: Any) -> Any:
        """An array of the same shape in this order of memory; a copy only if it lies otherwise."""
        a = a.transpose(self.order)
        return a if a.flags.c_contiguous else library(a).ascontiguousarray(a)

    def back(self, memory: Any) -> Any:
        """The array whose memory this is, its axes where they were."""
        return memory.reshape(self.shape).transpose(_inverse(self.order))

    def new(self, like: Any, dtype: Any = None) -> Any:
        """Memory for a result."""
        return library(like).empty(self.shape, like.dtype if dtype is None else dtype)


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def lines_of(x: Any, axes: tuple[int, ...]) -> Lines | None:
    """x as lines along `axes`; None where these do not lie together in memory, or there is nothing in x."""
    order = dense_order(x)
    if order is None or not x.size:
        return None
    shape = tuple([x.shape[axis] for axis in order])
    long = [i for i, n in enumerate(shape) if n > 1]  # an axis of length 1 is everywhere
    along = [i for i in long if order[i] in axes]
    if not along:
        return Lines(order, shape, x.size, 1, 1)
    first, last = along[0], along[-1] + 1
    if any(first < i < last and i not in along for i in long):
        return None
    n = math.prod(shape[first:last])
    return Lines(order, shape, x.size // n, n, math.prod(shape[last:])) if n < LONGEST else None
