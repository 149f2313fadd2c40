"""Launches of special.cu."""

from __future__ import annotations

from typing import Any

from ..layout import like, runs
from .launch import CTYPES, ceil_div, ctype, launch

__all__ = ["INSTANCES", "erf", "erfc"]

INSTANCES = tuple(f"{name}_forward<{t}>" for name in ("erf", "erfc") for t in CTYPES.values())
THREADS, BLOCKS = 256, 8192


def erf(x: Any) -> Any:
    """2/sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
    return _map("erf_forward", x)


def erfc(x: Any) -> Any:
    """1 - erf(x), accurate for large x."""
    return _map("erfc_forward", x)


def _map(name: str, x: Any) -> Any:
    """One elementwise kernel over an array, whatever the order of its axes."""
    flat = runs(x) if x.dtype.name in CTYPES else None
    if flat is None:
        return NotImplemented
    y, memory = like(x)
    n = memory.size
    launch(
        "special", f"{name}<{ctype(x.dtype)}>", min(ceil_div(n, THREADS), BLOCKS), THREADS, (*flat, memory, n)
    )
    return y
