"""Launches of depthwise.cu, for conv.py: groups of one channel."""

from __future__ import annotations

from typing import Any

from .conv_plan import Launch
from .launch import ceil_div, ctype, launch

__all__ = ["INSTANCES", "MOST_FILTERS", "gather", "share_of", "weights"]

THREADS = 256
MOST_FILTERS = 4  # to a group; with more of them it pays to keep x in shared memory
KINDS = (("float", 4), ("float", 1), ("__half", 8), ("__half", 1), ("__nv_bfloat16", 8), ("__nv_bfloat16", 1))
INSTANCES = tuple(
    f"{name}<{t}, {vector}>" for name in ("depthwise_gather", "depthwise_weights") for t, vector in KINDS
)
SHARE = 1 << 13  # columns that a block sums


def gather(x: Any, w: Any, bias: Any, y: Any, job: Launch, vector: int) -> None:
    """Forward, or the gradient in x for one class of its places: all in memory order, batch last."""
    name = f"depthwise_gather<{ctype(x.dtype)}, {vector}>"
    grid = (ceil_div(job.columns, THREADS * vector), job.groups * job.rows)
    launch("depthwise", name, grid, THREADS, (x, w, bias, y, job.field))


def share_of(job: Launch) -> int:
    """How many columns a block sums: so many that its sums over threads cost little beside them."""
    return min(SHARE, ceil_div(job.columns, 8) * 8)


def weights(gy: Any, x: Any, sums: Any, job: Launch, share: int, vector: int) -> None:
    """The gradient in w over each share of the columns: sums (shares, filters, taps)."""
    name = f"depthwise_weights<{ctype(x.dtype)}, {vector}>"
    grid = (ceil_div(job.columns, share), job.groups * job.rows)
    launch("depthwise", name, grid, THREADS, (gy, x, sums, job.field, share))
