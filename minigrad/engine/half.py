"""16-bit floats: an op without a kernel for them computes in float32 and rounds its result once.

NumPy's own float16 products are slow loops, and bfloat16 (a dtype of the package ml_dtypes) has no
products, sums that are rounded at every addition, and functions that fall out of it. A GPU's kernels read
16 bits, gather in float32 and round what they write; here the same is done for whole arrays, also on a
GPU where there is no kernel: CuPy has no stacked products of bfloat16 either.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_kernels.layout import on_gpu

from . import gpu
from .backend import Array, is_float

__all__: list[str] = []

SINGLE = np.dtype(np.float32)

# Ops that only move numbers, or change their dtype: they have nothing to round.
_MOVES = (
    "argmax argmin broadcast_to cast concatenate copy diagonal diagonal_adjoint flip identity im2col "
    "pad_border pad_constant put reshape roll take_index transfer transpose window_take"
)
MOVES = frozenset(_MOVES.split())
# What CuPy computes in float32 and rounds once by itself. Not its `where`, of which it makes tril and triu:
# that knows no bfloat16 and would give float32; nor its sort, which refuses bfloat16.
_EXACT = (
    "abs add div equal greater greater_equal isfinite isinf isnan less less_equal maximum minimum mul neg "
    "not_equal square sub sum sum_to"
)
ROUNDED_ONCE = frozenset(_EXACT.split())


def is_half(dtype: Any) -> bool:
    """True for float16 and bfloat16."""
    return dtype.char in "eE"


def any_half(arrays: list) -> bool:
    """True if one of the arrays holds 16-bit floats."""
    for a in arrays:  # noqa: SIM110 - plain, because every op asks
        if type(a) is np.ndarray and a.dtype is not SINGLE and a.dtype.char in "eE":
            return True
    return False


def half_there(arrays: list) -> bool:
    """True if one of some GPU arrays holds 16-bit floats."""
    return any(on_gpu(a) and is_half(a.dtype) for a in arrays)


def rounded_once(name: str, arrays: list) -> bool:
    """Whether CuPy does this op of 16-bit floats right itself. To it bfloat16 and a number are float32."""
    if name not in ROUNDED_ONCE:
        return False
    return all(map(on_gpu, arrays)) or not any(on_gpu(a) and a.dtype.char == "E" for a in arrays)


def narrowed(x: Array, dtype: Any) -> Array:
    """x in another dtype; beyond its range that is infinity, which is not worth a warning here."""
    if not is_half(dtype):
        return x.astype(dtype)
    if on_gpu(x):
        gpu.refuse_bfloat16(dtype)
    with np.errstate(over="ignore"):
        return x.astype(dtype)


def widened(value: Any) -> Any:
    """A 16-bit array in float32, also inside a tuple; anything else is itself."""
    if type(value) is tuple:
        return tuple([widened(v) for v in value])
    array = isinstance(value, np.ndarray) or on_gpu(value)
    return value.astype(SINGLE) if array and is_half(value.dtype) else value


def computed_wide(op: Any, arrays: list, run: Any) -> Any:
    """run(arrays in float32), its result rounded to the 16-bit dtype that the operands had in common."""
    taking_part = {
        a.dtype
        for i, a in enumerate(arrays)
        if (isinstance(a, np.ndarray) or on_gpu(a))
        and is_float(a.dtype)
        and not (op.constant and op.constant[i])
    }
    y = run([widened(a) for a in arrays])
    if len(taking_part) != 1 or not is_half(dtype := taking_part.pop()):
        return y
    y, *saved = y if op.extra else (y,)
    y = narrowed(y, dtype) if is_float(y.dtype) else y
    return (y, *saved) if op.extra else y
