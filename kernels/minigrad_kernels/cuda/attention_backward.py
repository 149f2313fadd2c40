"""Launches of attention_backward.cu: the gradients of query, key and value."""

from __future__ import annotations

import functools
from typing import Any

from . import attention_mma
from .launch import ceil_div, ctype, launch, library

__all__ = ["INSTANCES", "gradients", "has_room"]

TYPES, WIDTHS = ("float", "__half", "__nv_bfloat16"), (32, 64, 128)
KERNELS = ("query_gradient", "key_gradients")
INSTANCES = (
    *[f"along_rows<{t}>" for t in TYPES],
    *[f"{kernel}<{t}, {width}>" for kernel in KERNELS for t in TYPES for width in WIDTHS],
)
THREADS, WALKED = 128, 32


def has_room(x: Any, shared: int) -> bool:
    """Whether a block on x's card may have that much shared memory, and a little besides."""
    return shared + 1024 <= _room(library(x), x.device.id)


@functools.cache
def _room(lib: Any, device: int) -> int:
    return int(lib.cuda.Device(device).attributes["MaxSharedMemoryPerBlockOptin"])


def gradients(case: Any, g: Any, y: Any, lse: Any, needs: tuple, grads: tuple) -> bool:
    """Write into the gradients of query, key and value; `case` tells where all matrices lie."""
    width, kept = case.width, 32 if case.width > 64 else 64
    shared = 4 * (2 * (kept + WALKED) * (width + 4) + kept * (WALKED + 16))
    on_tensor_cores = attention_mma.usable(case, g)
    if not (on_tensor_cores or has_room(g, shared)):
        return False
    rows, kind = case.items * case.queries, ctype(case.q.dtype)
    along = library(g).empty(rows, lse.dtype)
    per_block = THREADS // 32
    blocks, args = ceil_div(rows, per_block), (g, y, along, case.layout)
    launch("attention_backward", f"along_rows<{kind}>", blocks, THREADS, args)
    given = (*case.arrays, g, lse, along, case.seed)
    if on_tensor_cores:
        attention_mma.gradients(case, given, needs, grads)
        return True
    if needs[0]:
        blocks, args = case.items * ceil_div(case.queries, kept), (*given, grads[0], *case.settings)
        launch("attention_backward", f"query_gradient<{kind}, {width}>", blocks, THREADS, args, shared)
    if needs[1] or needs[2]:
        blocks, args = case.items * ceil_div(case.keys, kept), (*given, *grads[1:], *case.settings)
        launch("attention_backward", f"key_gradients<{kind}, {width}>", blocks, THREADS, args, shared)
    return True
