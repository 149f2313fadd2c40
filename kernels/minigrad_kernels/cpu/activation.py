"""Activations and their VJPs in one pass over memory, shared among the threads."""

from __future__ import annotations

from typing import Any

from numba import prange

from .jit import parallel
from .layout import like, runs

__all__ = ["relu", "relu_x"]

# ---------------------------------------------------------------- relu


@parallel
def _relu(x: Any, y: Any) -> None:
    for i in prange(x.size):
        y[i] = x[i] if not x[i] < 0 else 0  # a NaN stays


@parallel
def _relu_x(g: Any, y: Any, gx: Any) -> None:
    for i in prange(g.size):
        gx[i] = g[i] if y[i] > 0 else 0


def relu(x: Any) -> Any:
    """max(x, 0)."""
    flat = runs(x)
    if flat is None:
        return NotImplemented
    y, out = like(x)
    _relu(*flat, out)
    return y


def relu_x(g: Any, y: Any) -> Any:
    """g where y > 0, else 0."""
    flat = runs(g, y)
    if flat is None:
        return NotImplemented
    gx, out = like(g)
    _relu_x(*flat, out)
    return gx
