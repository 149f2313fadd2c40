"""Launches of activation.cu."""

from __future__ import annotations

from typing import Any

from ..layout import like, runs
from .launch import ceil_div, ctype, launch

__all__ = ["INSTANCES", "relu", "relu_x"]

FLOATS = ("float", "double", "__half", "__nv_bfloat16")
INSTANCES = tuple(f"{name}<{t}>" for name in ("relu_forward", "relu_backward") for t in FLOATS)
THREADS = 256


def relu(x: Any) -> Any:
    """max(x, 0)."""
    return _map("relu_forward", x)


def relu_x(g: Any, y: Any) -> Any:
    """g where y > 0."""
    return _map("relu_backward", g, y)


def _map(name: str, *arrays: Any) -> Any:
    """One elementwise kernel over arrays that lie in memory alike, whatever the order of their axes."""
    flat = runs(*arrays)
    if flat is None or any(a.dtype != arrays[0].dtype for a in arrays):
        return NotImplemented
    y, memory = like(arrays[0])
    n = memory.size
    launch("activation", f"{name}<{ctype(y.dtype)}>", ceil_div(n, THREADS), THREADS, (*flat, memory, n))
    return y
