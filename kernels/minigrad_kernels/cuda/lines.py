"""Arrays as lines along axes that lie together in memory, and how many threads take one: see lines.cuh."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

from ..layout import library
from .launch import CTYPES, ceil_div

__all__ = ["FLOATS", "KINDS", "Lines", "accumulator", "inverse", "lines_in", "lines_of", "made"]

FLOATS = tuple(CTYPES.values())
KINDS = ("IN_WARP", "IN_BLOCK", "IN_COLUMNS")
WARP, HELD, MOST = 32, 8, 1024  # lanes, numbers that a thread holds, threads of a block
LONGEST = 2**30  # a place in a line is an int


def accumulator(dtype: Any) -> str:
    """The dtype in which numbers of this one are added up."""
    return "float64" if dtype.name == "float64" else "float32"


class Lines(NamedTuple):
    """Memory as (outer, n, inner): outer * inner lines of n numbers, and who takes them."""

    order: tuple[int, ...]  # the axes, as they lie in memory
    back_order: tuple[int, ...]
    shape: tuple[int, ...]  # of the array in that order
    many: int
    n: int
    inner: int
    kind: str
    threads: int  # of a block: enough to hold a whole line, if a block can
    blocks: int

    def memory(self, a: Any) -> Any:
        """An array of the same shape in this order of memory; a copy only if it lies otherwise."""
        a = a.transpose(self.order)
        return a if a.flags.c_contiguous else library(a).ascontiguousarray(a)

    def back(self, memory: Any) -> Any:
        """The array whose memory this is, its axes where they were."""
        return memory.reshape(self.shape).transpose(self.back_order)

    def new(self, like: Any, dtype: Any = None) -> Any:
        """Memory for a result."""
        return library(like).empty(self.shape, like.dtype if dtype is None else dtype)

    @property
    def held(self) -> bool:
        """Whether a team holds a whole line in registers."""
        return self.n <= HELD * (self.threads if self.kind == "IN_BLOCK" else ceil_div(self.threads, WARP))

    def cut(self, many: int, n: int, inner: int | None = None) -> Lines:
        """The same memory as other lines: `many` of n numbers."""
        return made(self.order, self.shape, many, n, self.inner if inner is None else inner)


def made(order: tuple[int, ...], shape: tuple[int, ...], many: int, n: int, inner: int) -> Lines:
    """Lines, with the kind of team and the launch that suit them."""
    kind = "IN_COLUMNS" if inner > 1 else "IN_WARP" if n <= WARP * HELD else "IN_BLOCK"
    threads = min(MOST, WARP * ceil_div(n, HELD if inner > 1 else WARP * HELD))
    threads = 4 * WARP if kind == "IN_WARP" else threads
    blocks = ceil_div(many, {"IN_WARP": 4, "IN_BLOCK": 1, "IN_COLUMNS": WARP}[kind])
    return Lines(order, inverse(order), shape, many, n, inner, kind, threads, blocks)


def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    """The order that undoes this one."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def lines_of(x: Any, axes: tuple[int, ...]) -> Lines | None:
    """x as lines along `axes`; None where these do not lie together in memory, or there is nothing in x."""
    return lines_in(x.shape, x.strides, x.itemsize, axes)


@functools.lru_cache(maxsize=4096)
def lines_in(
    sizes: tuple[int, ...], strides: tuple[int, ...], itemsize: int, axes: tuple[int, ...]
) -> Lines | None:
    """The same from a layout, once for each: a step of training asks again and again."""
    order = tuple(sorted(range(len(sizes)), key=lambda axis: (-abs(strides[axis]), axis)))
    shape, size = tuple([sizes[axis] for axis in order]), math.prod(sizes)
    steps = [itemsize * math.prod(shape[i + 1 :]) for i in range(len(shape))]
    gaps = any(strides[a] != step and n > 1 for a, step, n in zip(order, steps, shape, strict=True))
    if gaps or not size:
        return None
    long = [i for i, n in enumerate(shape) if n > 1]  # an axis of length 1 is everywhere
    along = [i for i in long if order[i] in axes]
    if not along:
        return made(order, shape, size, 1, 1)
    first, last = along[0], along[-1] + 1
    if any(first < i < last and i not in along for i in long):
        return None
    n = math.prod(shape[first:last])
    return made(order, shape, size // n, n, math.prod(shape[last:])) if n < LONGEST else None
