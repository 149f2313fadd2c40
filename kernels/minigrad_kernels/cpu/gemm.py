"""Matrix products inside a kernel: NumPy's own OpenBLAS, called by each of our threads for its share.

OpenBLAS keeps threads of its own. Beside ours, on the same cores, both would wait for each other by
spinning (measured: a product and then a parallel kernel took ten times as long). So there is one pool of
threads, Numba's: inside a kernel OpenBLAS works with one thread, `alone()` sees to that.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .blas import openblas_function
from .jit import jit

__all__ = ["address", "addresses", "alone", "gemm"]

_ROW_MAJOR, _PLAIN, _TRANSPOSED = 101, 111, 112


def addresses() -> dict[str, int]:
    """Where cblas_sgemm ("f") and cblas_dgemm ("d") of NumPy's OpenBLAS lie; empty without one of int64."""
    found = {}
    for char, name in (("f", "sgemm"), ("d", "dgemm")):
        function = openblas_function(f"cblas_{name}", suffixes=("64_",))
        if function is None:
            return {}
        found[char] = ctypes.cast(function, ctypes.c_void_p).value or 0
    return found


@jit
def address(x: Any) -> int:
    """Where x's first element lies (asking NumPy for it takes 2 us)."""
    return x.ctypes.data


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """OpenBLAS works with one thread inside this block, so that ours can call it side by side."""
    ask, tell = openblas_function("get_num_threads"), openblas_function("set_num_threads")
    if ask is None or tell is None:
        yield
        return
    former = ask()
    tell(1)
    try:
        yield
    finally:
        tell(former)


@intrinsic
def gemm(
    typing: Any, address: Any, ta: Any, tb: Any, m: Any, n: Any, k: Any, alpha: Any, a: Any, ia: Any,
    lda: Any, b: Any, ib: Any, ldb: Any, beta: Any, c: Any, ic: Any, ldc: Any,
) -> Any:  # fmt: skip
    """c <- alpha op(a) op(b) + beta c in row-major order: op(a) (m, k), op(b) (k, n), c (m, n).

    Each matrix is an array, the position of its first element, and the distance between its rows;
    `ta`, `tb` say whether it is transposed. All three are float32, or all float64. a and b may also be
    the addresses of such arrays, as integers: then one compiled kernel serves views of any layout.
    """
    number = c.dtype
    whole = types.int64
    signature = types.void(
        types.intp, types.boolean, types.boolean, whole, whole, whole, number, a, whole, whole, b, whole,
        whole, number, c, whole, whole,
    )  # fmt: skip

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address, ta, tb, m, n, k, alpha, a, ia, lda, b, ib, ldb, beta, c, ic, ldc = args
        real = context.get_value_type(number)
        small, long, at = ir.IntType(32), ir.IntType(64), real.as_pointer()
        kinds = [small] * 3 + [long] * 3 + [real, at, long, at, long, real, at, long]
        function = builder.inttoptr(address, ir.FunctionType(ir.VoidType(), kinds).as_pointer())
        turn = lambda flag: builder.select(
            builder.trunc(flag, ir.IntType(1)), small(_TRANSPOSED), small(_PLAIN)
        )

        def place(i: int, array: Any, position: Any) -> Any:
            if isinstance(signature.args[i], types.Integer):
                return builder.gep(builder.inttoptr(array, at), [position])
            return builder.gep(
                context.make_array(signature.args[i])(context, builder, array).data, [position]
            )

        builder.call(
            function,
            [small(_ROW_MAJOR), turn(ta), turn(tb), m, n, k, alpha, place(7, a, ia), lda, place(10, b, ib),
             ldb, beta, place(14, c, ic), ldc],
        )  # fmt: skip
        return context.get_dummy_value()

    return signature, code
