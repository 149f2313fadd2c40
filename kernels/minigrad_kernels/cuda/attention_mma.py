"""Launches of attention_mma.cu: 16-bit attention on tensor cores, where card and memory suit."""

from __future__ import annotations

import functools
from typing import Any

from .launch import ceil_div, ctype, launch, library, packed

__all__ = ["INSTANCES", "forward", "gradients", "usable"]

TYPES, WIDTHS = ("__half", "__nv_bfloat16"), (32, 64, 128)
KERNELS = ("mma_forward", "mma_query_gradient", "mma_key_gradients")
INSTANCES = tuple(f"{kernel}<{t}, {width}>" for kernel in KERNELS for t in TYPES for width in WIDTHS)
THREADS = 128
ROWS = 128  # queries to a block of the forward


def usable(case: Any, *others: Any) -> bool:
    """16-bit numbers, rows that begin at whole 16 bytes, and a card from sm_80 on."""
    arrays = (case.q, case.k, case.v, *others)
    if case.q.dtype.itemsize != 2 or not case.in_eights or not packed(*arrays):
        return False
    return _capability(library(case.q), case.q.device.id) >= 80


@functools.cache
def _capability(lib: Any, device: int) -> int:
    return int(lib.cuda.Device(device).compute_capability)


def forward(case: Any, y: Any, lse: Any) -> None:
    """Write the output, and log sum e^s of each row."""
    walked = 32 if case.width > 64 else 64
    kernel, blocks = f"mma_forward<{ctype(y.dtype)}, {case.width}>", case.items * ceil_div(case.queries, ROWS)
    shared = 2 * (ROWS + 2 * walked) * (case.width + 8)
    launch(
        "attention_mma", kernel, blocks, THREADS, (*case.arrays, y, lse, case.seed, *case.settings), shared
    )


def gradients(case: Any, given: tuple, needs: tuple, grads: tuple) -> None:
    """Write the gradients; given: all arrays that the kernels read."""
    kind = f"<{ctype(case.q.dtype)}, {case.width}>"
    kept, passing = 64 if case.width > 64 else 128, 32
    shared = 2 * (2 * kept + 4 * passing) * (case.width + 8)
    if needs[0]:
        blocks, args = case.items * ceil_div(case.queries, kept), (*given, grads[0], *case.settings)
        launch("attention_mma", f"mma_query_gradient{kind}", blocks, THREADS, args, shared)
    if needs[1] or needs[2]:
        blocks, args = case.items * ceil_div(case.keys, kept), (*given, *grads[1:], *case.settings)
        launch("attention_mma", f"mma_key_gradients{kind}", blocks, THREADS, args, shared + 16 * passing)
