"""Launches of check.cu."""

from __future__ import annotations

from typing import Any

from .launch import CTYPES, ceil_div, launch, library

__all__ = ["INSTANCES", "check_range"]

WHOLE = {
    "int8": "signed char", "int16": "short", "int32": "int", "int64": "long long", "uint8": "unsigned char",
}  # fmt: skip
INSTANCES = (
    *(f"whole_in_range<{t}>" for t in WHOLE.values()),
    *(f"float_in_range<{t}>" for t in CTYPES.values()),
)
THREADS, BLOCKS = 256, 1024


def check_range(x: Any, words: Any, slot: int, low: float, high: float, ignored: int | None = None) -> Any:
    """Raise words[slot] to ~(place << 32 | value) of the first element outside [low, high], not ignored."""
    name, n = x.dtype.name, x.size
    if (name not in WHOLE and name not in CTYPES) or n >= (1 << 32) - 1:
        return NotImplemented
    flat = library(x).ascontiguousarray(x)
    grid = min(ceil_div(n, THREADS), BLOCKS)
    if name in WHOLE:
        given = (flat, words, slot, low, high, ignored or 0, ignored is not None, n)
        launch("check", f"whole_in_range<{WHOLE[name]}>", grid, THREADS, given)
    else:
        launch("check", f"float_in_range<{CTYPES[name]}>", grid, THREADS, (flat, words, slot, low, high, n))
    return None
