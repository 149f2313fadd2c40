"""Launches of attention_backward.cu: the gradients of query, key and value."""

from __future__ import annotations

from typing import Any

from .launch import ceil_div, ctype, launch, library

__all__ = ["INSTANCES", "gradients"]

TYPES, WIDTHS = ("float", "__half", "__nv_bfloat16"), (32, 64, 128)
KERNELS = ("query_gradient", "key_gradients")
INSTANCES = (
    *[f"along_rows<{t}>" for t in TYPES],
    *[f"{kernel}<{t}, {width}>" for kernel in KERNELS for t in TYPES for width in WIDTHS],
)
THREADS, WALKED = 128, 32


def gradients(case: Any, g: Any, y: Any, lse: Any, needs: tuple, grads: tuple) -> None:
    """Write into the gradients of query, key and value; `case` tells where all matrices lie."""
    dq, dk, dv = grads
    items, queries, keys = case.items, case.queries, case.keys
    kind, width = ctype(case.q.dtype), case.width
    along = library(g).empty(items * queries, lse.dtype)
    launch(
        "attention_backward",
        f"along_rows<{kind}>",
        ceil_div(items * queries, 4),
        THREADS,
        (g, y, along, case.layout),
    )
    kept = 32 if width > 64 else 64
    shared = 4 * (2 * (kept + WALKED) * (width + 4) + kept * (WALKED + 16))
    given = (*case.arrays, g, lse, along)
    if needs[0]:
        blocks = items * ceil_div(queries, kept)
        args = (*given, dq, *case.settings)
        launch("attention_backward", f"query_gradient<{kind}, {width}>", blocks, THREADS, args, shared)
    if needs[1] or needs[2]:
        blocks = items * ceil_div(keys, kept)
        args = (*given, dk, dv, *case.settings)
        launch("attention_backward", f"key_gradients<{kind}, {width}>", blocks, THREADS, args, shared)
