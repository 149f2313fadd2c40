"""Matrix products in the one pool of threads: each thread calls single-threaded gemm for its share.

The share is a run of the result's rows (through all matrices of a batch, so that it is even for any
batch), or of its columns where one matrix has more of those. Nothing is copied: a matrix whose columns lie
one behind the other in memory goes to gemm as the transpose that it is. The bias of `linear` is added by
the thread that has just written the rows. Products too small to share, and those with a vector, run on
one thread.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange

from .gemm import address, addresses, alone, gemm
from .jit import jit, parallel, threads

__all__ = ["linear", "linear_bias", "matmul"]

# In multiplications (m n k). Up to ALONE, OpenBLAS uses one thread by its own choice; from SHARED on, the
# start of our threads (about 10 us) is less than what the second one saves.
ALONE, SHARED = 1 << 18, 1 << 20
ALONE_VECTOR = 9216  # the same where one matrix is a vector: OpenBLAS then has another rule
GRAIN = 16  # rows or columns: gemm computes in tiles, and a share should not cut one

_ADDRESS = {np.dtype(char): address for char, address in addresses().items()}
_ONE = {number: number.type(1) for number in _ADDRESS}
_NO_BIAS = {number: np.empty(0, number) for number in _ADDRESS}


# ---------------------------------------------------------------- inside the threads


@jit
def _cut(length: int, part: int, parts: int, grain: int) -> int:
    """The beginning of share `part` of so many: shares as even as whole grains allow."""
    return length if part == parts else min(length, (length * part // parts + grain // 2) // grain * grain)


@parallel
def _products(
    function: int, one: Any, shape: Any, across: int, down: int, grain: int,
    a: int, ta: bool, lda: int, a0: int, a1: int, b: int, tb: bool, ldb: int, b0: int, b1: int,
    bias: Any, y: Any,
) -> None:  # fmt: skip
    """y = a b + bias for a batch: `shape` is (all rows, rows of one matrix, columns, inner, inner batch).

    The matrices of batch (i, j) begin i a0 + j a1 and i b0 + j b1 elements after a and b.
    """
    rows, m, n, k, inner = shape
    for share in prange(across * down):
        left, right = _cut(n, share % across, across, grain), _cut(n, share % across + 1, across, grain)
        row, end = _cut(rows, share // across, down, grain), _cut(rows, share // across + 1, down, grain)
        while row < end and left < right:
            batch, first = divmod(row, m)
            count = min(m - first, end - row)
            i, j = divmod(batch, inner)
            at_a = i * a0 + j * a1 + (first if ta else first * lda)
            at_b = i * b0 + j * b1 + (left * ldb if tb else left)
            gemm(function, ta, tb, count, right - left, k, one, a, at_a, lda, b, at_b, ldb,
                 one - one, y, row * n + left, n)  # fmt: skip
            if bias.size:
                for r in range(row, row + count):
                    for c in range(left, right):
                        y[r * n + c] += bias[c]
            row += count


@parallel
def _sum_rows(g: Any, parts: Any) -> None:
    """parts[t]: the sum over share t of g's rows."""
    shares, n = parts.shape
    for share in prange(shares):
        total = parts[share]
        total[:] = 0
        for r in range(_cut(len(g), share, shares, 1), _cut(len(g), share + 1, shares, 1)):
            row = g[r]
            for c in range(n):
                total[c] += row[c]


# ---------------------------------------------------------------- matrices as gemm takes them


def _matrix(x: Any) -> tuple[Any, bool, int]:
    """x (or a copy, if gemm could not walk it), whether memory holds its transpose, a row's length there."""
    size, (rows, columns), (down, right) = x.itemsize, x.shape[-2:], x.strides[-2:]
    if all(s % size == 0 for s in x.strides):
        if (right == size or columns == 1) and (down >= columns * size or rows == 1):
            return x, False, down // size if rows > 1 else columns
        if (down == size or rows == 1) and right >= rows * size:
            return x, True, right // size
    return _matrix(np.ascontiguousarray(x))


def _steps(x: Any) -> tuple[int, int]:
    """Elements from one matrix of the batch to the next, along two axes; 0 where x is repeated."""
    steps = [s // x.itemsize if d > 1 else 0 for d, s in zip(x.shape[:-2], x.strides[:-2], strict=True)]
    return (0, 0, *steps)[-2:]  # type: ignore[return-value]


def _two_axes(a: Any, b: Any, lead: tuple[int, ...]) -> tuple[Any, Any, tuple[int, ...]] | None:
    """a, b and their common leading axes, two of them at most; None if that would take too much."""
    if b.ndim == 2 < a.ndim and a.flags.c_contiguous:  # one matrix for the whole batch: one product
        return a.reshape(-1, a.shape[-1]), b, ()
    if len(lead) <= 2:
        return a, b, lead
    if a.shape[:-2] != b.shape[:-2]:
        return None
    outer = math.prod(lead[:-1])
    return a.reshape(outer, *a.shape[-3:]), b.reshape(outer, *b.shape[-3:]), (outer, lead[-1])


# ---------------------------------------------------------------- the kernels


def matmul(a: Any, b: Any) -> Any:
    """a @ b for stacks of matrices."""
    return _product(a, b, None)


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x W^T + b."""
    if weight.ndim != 2 or x.ndim == 0 or (bias is not None and bias.shape != weight.shape[:1]):
        return NotImplemented
    if bias is not None and (bias.dtype != x.dtype or not bias.flags.c_contiguous):
        return NotImplemented
    rows = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
    y = _product(rows, weight.T, bias)
    return y if y is NotImplemented or x.ndim == 2 else y.reshape(*x.shape[:-1], -1)


def linear_bias(g: Any) -> Any:
    """The sum over all axes but the last."""
    n = g.shape[-1]
    if not g.flags.c_contiguous or g.size == 0:
        return NotImplemented
    rows = g.reshape(-1, n)
    parts = np.empty((max(1, min(threads(), len(rows))), n), g.dtype)
    _sum_rows(rows, parts)
    return parts.sum(axis=0)


def _product(a: Any, b: Any, bias: Any) -> Any:
    """a @ b + bias, or NotImplemented where shapes or dtypes do not fit, or NumPy does as well."""
    function = _ADDRESS.get(a.dtype)
    if function is None or a.dtype != b.dtype or a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        return NotImplemented
    one, two = a.shape[:-2], b.shape[:-2]
    try:
        lead = one if one == two or not two else np.broadcast_shapes(one, two)
    except ValueError:
        return NotImplemented
    (m, k), n = a.shape[-2:], b.shape[-1]
    work, total = m * n * k, m * n * k * math.prod(lead)
    if total <= SHARED and work <= (ALONE_VECTOR if min(m, n) == 1 else ALONE):
        return NotImplemented
    if total <= SHARED or min(m, n) == 1:  # a vector: NumPy's gemv reads the matrix where gemm copies it
        with alone():
            y = np.matmul(a, b)
        return y if bias is None else np.add(y, bias, out=y)
    found = _two_axes(a, b, lead)
    return NotImplemented if found is None else _shared(function, *found, bias).reshape(*lead, m, n)


def _shared(function: int, a: Any, b: Any, lead: tuple[int, ...], bias: Any) -> Any:
    """The product of all matrices, flat."""
    outer, inner = (1, 1, *lead)[-2:]
    (m, k), n, batch, number = a.shape[-2:], b.shape[-1], outer * inner, a.dtype
    y = np.empty(batch * m * n, number)
    a, ta, lda = _matrix(a)
    b, tb, ldb = _matrix(b)
    across, down = (threads(), 1) if batch == 1 and n > m else (1, threads())
    with alone():
        _products(
            function, _ONE[number], (batch * m, m, n, k, inner), across, down, GRAIN if batch == 1 else 1,
            address(a), ta, lda, *_steps(a), address(b), tb, ldb, *_steps(b),
            _NO_BIAS[number] if bias is None else bias, y,
        )  # fmt: skip
    return y
