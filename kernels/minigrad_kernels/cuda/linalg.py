"""Matrix products by cuBLAS, from arrays as they lie in memory.

cuBLAS reads column-major matrices: memory that holds X in row order holds X^T in its terms. So C = A B in row
order is asked for as C^T = B^T A^T, and a factor that is itself a transposed view is only another flag. An
operand is copied (on the device) where its last two axes are no such matrix, or where that is cheaper than
calling cuBLAS once for each part of a batch that no single stride walks.
"""

from __future__ import annotations

import contextlib
import functools
import math
import warnings
from typing import Any, NamedTuple

import numpy as np

from ..layout import library
from . import cublas
from .cublas import Epilogue
from .handle import Gemm, handle
from .launch import CTYPES, ceil_div, ctype, launch

__all__ = [
    "INSTANCES", "linear", "linear_bias", "linear_into", "linear_weight", "linear_x", "matmul", "matmul_into",
]  # fmt: skip

EPILOGUES = {"": Epilogue.BIAS, "relu": Epilogue.RELU_BIAS, "gelu_tanh": Epilogue.GELU_BIAS}
FLOATS, HALVES = "fdeE", "eE"  # by NumPy's letters: a dtype's name takes microseconds; E is bfloat16
NUMPY = {"float": "float32", "double": "float64"}
INSTANCES = (
    *(f"add_bias<{t}, {i}>" for t in CTYPES.values() for i in range(len(EPILOGUES))),
    *(f"column_sums<{t}, {t}>" for t in CTYPES.values()),
    *(f"column_sums<{a}, {b}>" for t in ("__half", "__nv_bfloat16") for a, b in ((t, "float"), ("float", t))),
)
BLOCKS = 1024  # about as many as keep a large card busy

# What a call costs, in bytes that memory could have moved meanwhile: about 4 us at 2 TB/s. An estimate.
CALL = 8 << 20
LARGEST = 2**31 - 1  # cuBLAS's sizes are C's int


# ---------------------------------------------------------------- where matrices lie (no GPU is asked)


class Plan(NamedTuple):
    """How to compute one product: what to copy first, one Gemm, and at which byte offsets to call it."""

    copy_a: bool
    copy_b: bool
    gemm: Gemm
    offsets: tuple[tuple[int, int, int], ...]  # of a, b, out


class _Batch(NamedTuple):
    """One axis of the batch: its length, and how many elements each operand steps along it."""

    length: int
    a: int
    b: int
    out: int


def _matrix(shape: tuple[int, ...], steps: tuple[int, ...], exact: bool = False) -> tuple[bool, int] | None:
    """(whether memory holds the transpose, elements from one of its rows to the next); None if neither.

    exact: the transpose does not count.
    """
    (rows, columns), (down, right) = shape[-2:], steps[-2:]
    if (right == 1 or columns == 1) and (down >= columns or rows == 1):
        return False, down if rows > 1 else columns
    if exact:
        return None
    if (down == 1 or rows == 1) and (right >= rows or columns == 1):
        return True, right if columns > 1 else rows
    return None


def _c_steps(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Steps of an array in C order."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def _along(lead: tuple[int, ...], shape: tuple[int, ...], steps: tuple[int, ...]) -> list[int]:
    """An operand's steps along the batch's axes: 0 where it is repeated."""
    own = [0 if n == 1 else s for n, s in zip(shape[:-2], steps[:-2], strict=True)]
    return [0] * (len(lead) - len(own)) + own


def _collapsed(batch: list[_Batch]) -> list[_Batch]:
    """The batch with neighbouring axes as one, where every operand walks on evenly."""
    kept: list[_Batch] = []
    for axis in batch:
        if axis.length == 1:
            continue
        last = kept[-1] if kept else None
        if last and all(last[i] == axis[i] * axis.length for i in (1, 2, 3)):
            kept[-1] = _Batch(last.length * axis.length, axis.a, axis.b, axis.out)
        else:
            kept.append(axis)
    return kept


def _as_rows(
    batch: list[_Batch], m: int, n: int, k: int, lda: int, ldc: int
) -> tuple[list[_Batch], int, int, int]:
    """Batch axes that are only more rows of one long matrix a, for one b: a single larger product."""
    while batch and batch[-1].b == 0:
        axis = batch[-1]
        if m == 1 and axis.a >= k and axis.out >= n:  # one row each: the batch's step is the row's
            lda, ldc = axis.a, axis.out
        elif axis.a != m * lda or axis.out != m * ldc:
            break
        m *= axis.length
        batch = batch[:-1]
    return batch, m, lda, ldc


@functools.lru_cache(maxsize=4096)
def plan(
    a: tuple[int, ...], a_strides: tuple[int, ...], b: tuple[int, ...], b_strides: tuple[int, ...],
    out: tuple[int, ...], out_strides: tuple[int, ...], dtype: Any, out_dtype: Any,
) -> Plan | None:  # fmt: skip
    """The cheapest way to out = a b for arrays of these shapes and strides; None if out cannot be written."""
    size, out_size = dtype.itemsize, out_dtype.itemsize
    out_steps = _steps(out, out_strides, out_size)
    if out_steps is None or _matrix(out, out_steps, exact=True) is None:
        return None
    ways = []
    for copy_a in (False, True):
        for copy_b in (False, True):
            one = _c_steps(a) if copy_a else _steps(a, a_strides, size)
            two = _c_steps(b) if copy_b else _steps(b, b_strides, size)
            way = _way(a, one, b, two, out, out_steps)
            if way is None or max(*way[0][2:6], way[0][7], way[0][9], way[0][11]) > LARGEST:
                continue
            sizes, offsets = way
            copied = copy_a * math.prod(a) + copy_b * math.prod(b)
            cost = CALL * (len(offsets) + copy_a + copy_b) + 2 * size * copied
            moved = tuple([(i * size, j * size, k * out_size) for i, j, k in offsets])
            ways.append((cost, Plan(copy_a, copy_b, Gemm(dtype.name, out_dtype.name, *sizes), moved)))
    return min(ways, key=lambda way: way[0])[1] if ways else None


def _steps(shape: tuple, strides: tuple, size: int) -> tuple[int, ...] | None:
    """Strides in elements; None where they are no whole number of those."""
    return None if any(s % size for s in strides) else tuple([s // size for s in strides])


def _way(
    a: tuple, a_steps: tuple | None, b: tuple, b_steps: tuple | None, out: tuple, out_steps: tuple
) -> tuple[tuple[int, ...], list[tuple[int, int, int]]] | None:
    """The sizes and flags for cuBLAS and the offsets of its calls; None where a or b must be copied."""
    if a_steps is None or b_steps is None:
        return None
    left, right = _matrix(a, a_steps), _matrix(b, b_steps)
    if left is None or right is None:
        return None
    (ta, lda), (tb, ldb), (m, k), n = left, right, a[-2:], b[-1]
    lead = out[:-2]
    walks = _along(lead, a, a_steps), _along(lead, b, b_steps), _along(lead, out, out_steps)
    batch = _collapsed([_Batch(*axis) for axis in zip(lead, *walks, strict=True)])
    ldc = out_steps[-2] if m > 1 else n
    if not ta:
        batch, m, lda, ldc = _as_rows(batch, m, n, k, lda, ldc)
    offsets = [(0, 0, 0)]
    inner = max(batch, key=lambda axis: axis.length, default=_Batch(1, 0, 0, 0))
    for axis in batch:
        if axis is not inner:
            walk = [(i * axis.a, i * axis.b, i * axis.out) for i in range(axis.length)]
            offsets = [(x + p, y + q, z + r) for x, y, z in offsets for p, q, r in walk]
    # In cuBLAS's columns the first factor is b, the second a.
    sizes = (int(tb), int(ta), n, m, k, ldb, inner.b, lda, inner.a, ldc, inner.out, inner.length)
    return sizes, offsets


# ---------------------------------------------------------------- products of arrays


def matmul_into(a: Any, b: Any, out: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
    """out <- alpha a b + beta out, and out: for the kernels here.

    a (..., m, k) and b (..., k, n) of one dtype, broadcast over their leading axes; out (..., m, n) of that
    dtype, or float32 for halves, any view whose last axis (or last but one) is dense. out must not overlap a
    or b. beta = 0 does not read out. Raises ValueError, TypeError where that does not hold.
    """
    lead, m, n = _shapes("matmul_into", a, b)
    if out.shape != (*lead, m, n):
        raise ValueError(f"matmul_into: expected out {(*lead, m, n)}, got {out.shape}")
    if out.dtype != a.dtype and not (a.dtype.char in HALVES and out.dtype.char == "f"):
        raise TypeError(f"matmul_into: expected out of {a.dtype}, got {out.dtype}")
    if out.size == 0:
        return out
    if a.size == 0:  # an empty sum
        out[...] = out * beta if beta else 0
        return out
    if not _run(a, b, out, alpha, beta) and not _run(
        b.swapaxes(-1, -2), a.swapaxes(-1, -2), out.swapaxes(-1, -2), alpha, beta
    ):
        raise ValueError(
            f"matmul_into: expected out to be a dense matrix or its transpose, got strides {out.strides} "
            f"for shape {out.shape}; pass an array in C order"
        )
    return out


def _shapes(name: str, a: Any, b: Any) -> tuple[tuple[int, ...], int, int]:
    """The batch, the rows and the columns of a b; an error where they do not fit."""
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"{name}: expected (..., m, k) and (..., k, n), got {a.shape} and {b.shape}")
    if a.dtype != b.dtype or a.dtype.char not in FLOATS:
        raise TypeError(f"{name}: expected one floating dtype, got {a.dtype} and {b.dtype}")
    one, two = a.shape[:-2], b.shape[:-2]
    lead = one if one == two or not two else np.broadcast_shapes(one, two)
    return lead, a.shape[-2], b.shape[-1]


def _run(
    a: Any, b: Any, out: Any, alpha: float = 1.0, beta: float = 0.0, bias: Any = None, activation: str = ""
) -> bool:
    """out <- alpha a b + beta out; False if out does not lie in memory row by row.

    With a bias (then alpha 1, beta 0, out in C order): out <- activation(a b + bias).
    """
    found = plan(a.shape, a.strides, b.shape, b.strides, out.shape, out.strides, a.dtype, out.dtype)
    if found is None:
        return False
    lib, device = library(a), a.device
    places = [x.device.id for x in (a, b, out, bias) if x is not None]
    if places.count(device.id) < len(places):
        raise ValueError(f"matmul: expected one device, got {places}")
    with _current(lib, device):
        a = lib.ascontiguousarray(a) if found.copy_a else a
        b = lib.ascontiguousarray(b) if found.copy_b else b
        here, (p, q, r) = handle(lib, device.id), (a.data.ptr, b.data.ptr, out.data.ptr)
        calls = [(q + j, p + i, r + k) for i, j, k in found.offsets]
        if bias is not None:
            epilogue, at = EPILOGUES[activation], bias.data.ptr
            if all(here.gemm_with(epilogue, found.gemm, *call, at) for call in calls):
                return True
        for call in calls:
            here.gemm(found.gemm, *call, alpha, beta)
        if bias is not None:
            _add_bias(out, bias, activation)
    return True


def _add_bias(y: Any, bias: Any, activation: str) -> None:
    """y <- activation(y + bias), where cublasLt did not do it within the product."""
    columns = bias.size
    rows = y.size // columns
    grid = ceil_div(columns, 32), min(ceil_div(rows, 8), BLOCKS)
    kind = list(EPILOGUES).index(activation)
    launch("linalg", f"add_bias<{ctype(y.dtype)}, {kind}>", grid, (32, 8), (y, bias, rows, columns))


def _empty(x: Any, shape: tuple[int, ...]) -> Any:
    """Memory for a result, where x is."""
    lib = library(x)
    with _current(lib, x.device):
        return lib.empty(shape, x.dtype)


def _current(lib: Any, device: Any) -> Any:
    """A block in which `device` is the current one."""
    return _NOTHING if lib.cuda.runtime.getDevice() == device.id else device


_NOTHING = contextlib.nullcontext()


# ---------------------------------------------------------------- the kernels


def matmul(a: Any, b: Any) -> Any:
    """a @ b for stacks of matrices."""
    if a.size == 0 or b.size == 0 or not _ready(a):
        return NotImplemented
    try:
        lead, m, n = _shapes("matmul", a, b)
    except (TypeError, ValueError):  # the readable text has the words for it
        return NotImplemented
    out = _empty(a, (*lead, m, n))
    return out if _run(a, b, out) else NotImplemented


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x W^T + b."""
    if x.ndim == 0 or weight.ndim != 2 or x.shape[-1] != weight.shape[1] or x.size == 0 or weight.size == 0:
        return NotImplemented
    if bias is not None and (bias.shape != weight.shape[:1] or bias.dtype != x.dtype):
        return NotImplemented
    if x.dtype != weight.dtype or not _ready(x):
        return NotImplemented
    return linear_into(x, weight, bias, _empty(x, (*x.shape[:-1], weight.shape[0])))


def linear_into(x: Any, weight: Any, bias: Any, out: Any, activation: str = "") -> Any:
    """out <- activation(x W^T + bias), and out: for the kernels here; bias may be None.

    x (..., in), weight (out, in), bias (out,), out (..., out) in C order, all of one dtype. activation: "",
    "relu", "gelu_tanh" (with a bias only). One launch where cublasLt knows the case, else two. What ReLU
    makes of NaN is up to cublasLt.
    """
    if bias is None and activation:
        raise ValueError(f"linear_into: expected a bias with activation={activation!r}, got None")
    rows, y = (x, out) if x.ndim > 1 else (x.reshape(1, -1), out.reshape(1, -1))
    if bias is not None and not bias.flags.c_contiguous:
        bias = library(x).ascontiguousarray(bias)
    if not out.flags.c_contiguous or not _run(rows, weight.T, y, bias=bias, activation=activation):
        raise ValueError(f"linear_into: expected out in C order, got strides {out.strides}")
    return out


def linear_x(g: Any, weight: Any) -> Any:
    """g W."""
    return matmul(g, weight) if g.ndim > 1 else NotImplemented


def linear_weight(g: Any, x: Any) -> Any:
    """g^T x, all leading axes being rows."""
    if g.size == 0 or x.size == 0:
        return NotImplemented
    return matmul(g.reshape(-1, g.shape[-1]).T, x.reshape(-1, x.shape[-1]))


def linear_bias(g: Any) -> Any:
    """The sum over all axes but the last, always in the same order."""
    if g.size == 0:
        return NotImplemented
    lib, columns = library(g), g.shape[-1]
    rows, kind, wide = g.size // columns, ctype(g.dtype), "double" if g.dtype.char == "d" else "float"
    with _current(lib, g.device):
        g = lib.ascontiguousarray(g)
        across = ceil_div(columns, 32)
        parts = max(1, min(ceil_div(rows, 64), BLOCKS // across))
        sums = lib.empty((parts, columns), g.dtype if parts == 1 else NUMPY[wide])
        first = f"column_sums<{kind}, {kind if parts == 1 else wide}>"
        launch("linalg", first, (across, parts), (32, 8), (g, sums, rows, columns))
        if parts > 1:
            parted, sums = sums, lib.empty((1, columns), g.dtype)
            launch("linalg", f"column_sums<{wide}, {kind}>", across, (32, 8), (parted, sums, parts, columns))
    return sums.reshape(columns)


def _ready(x: Any) -> bool:
    """True if there is a cuBLAS for x's library; a word of warning, once, where there is none."""
    if _Process.missing is None:
        cublas.prefer(library(x).cuda.runtime.runtimeGetVersion() // 1000)
        try:
            cublas.library()
            _Process.missing = False
        except ImportError as error:
            _Process.missing = True
            warnings.warn(f"kernels: matmul is not used: {error}", RuntimeWarning, stacklevel=4)
    return not _Process.missing


class _Process:
    missing: bool | None = None


def _look_again() -> None:
    _Process.missing = None


cublas.when_changed(_look_again)
