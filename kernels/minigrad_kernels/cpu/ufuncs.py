"""Many elementwise steps on small arrays in one call: a table of instructions, one row each.

On 64 numbers NumPy spends ten times as long on the call as on the arithmetic. A row here says (what, first
operand, its stride, second operand, its stride, result, length), operands and result as addresses; every
instruction is rounded as NumPy's ufunc of that name rounds it, so the bits are the same. float32 alone, and
comparisons to bool.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["instruction", "run"]

_FLOAT = np.dtype(np.float32)
_CODES = {"add": 0, "subtract": 1, "multiply": 2, "divide": 3, "negative": 4, "greater": 5, "less": 6}
_TIMES_BOOL = 7


def instruction(name: str, operands: list[Any], out: Any) -> list[int] | None:
    """A row of the table for ufunc `name`; None for what is not covered. The caller keeps the arrays alive.

    Operands are arrays of the result's shape or hold one number; all contiguous.
    """
    kinds = [a.dtype for a in operands]
    compares = name in ("greater", "less")
    code = _TIMES_BOOL if name == "multiply" and kinds[1:] == [np.dtype(bool)] else _CODES.get(name)
    floats = kinds[:1] if code == _TIMES_BOOL else kinds
    fits = all(a.flags.c_contiguous and (a.size == 1 or a.shape == out.shape) for a in (*operands, out))
    result = np.dtype(bool) if compares else _FLOAT
    if code is None or not fits or any(k != _FLOAT for k in floats) or out.dtype != result:
        return None
    a, b = operands[0], operands[-1]
    return [code, a.ctypes.data, int(a.size > 1), b.ctypes.data, int(b.size > 1), out.ctypes.data, out.size]


def _getter(kind: Any, real: Any) -> Any:
    @intrinsic
    def get(typing: Any, address: Any, i: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], real.as_pointer())
            return builder.load(builder.gep(pointer, [args[1]]))

        return kind(types.intp, types.intp), code

    return get


def _setter(kind: Any, real: Any) -> Any:
    @intrinsic
    def put(typing: Any, address: Any, i: Any, value: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], real.as_pointer())
            builder.store(args[2], builder.gep(pointer, [args[1]]))
            return context.get_dummy_value()

        return types.void(types.intp, types.intp, kind), code

    return put


_get, _put = (f(types.float32, ir.FloatType()) for f in (_getter, _setter))
_get_byte, _put_byte = (f(types.uint8, ir.IntType(8)) for f in (_getter, _setter))


@njit(cache=True, nogil=True, error_model="numpy")  # no fast math: the bits are NumPy's
def run(table: Any) -> None:
    """Carry out the instructions, in order."""
    for row in range(len(table)):
        code, a, sa, b, sb, out, n = table[row]
        if code == 0:
            for i in range(n):
                _put(out, i, _get(a, i * sa) + _get(b, i * sb))
        elif code == 1:
            for i in range(n):
                _put(out, i, _get(a, i * sa) - _get(b, i * sb))
        elif code == 2:
            for i in range(n):
                _put(out, i, _get(a, i * sa) * _get(b, i * sb))
        elif code == 3:
            for i in range(n):
                _put(out, i, _get(a, i * sa) / _get(b, i * sb))
        elif code == 4:
            for i in range(n):
                _put(out, i, -_get(a, i * sa))
        elif code == 5:
            for i in range(n):
                _put_byte(out, i, np.uint8(_get(a, i * sa) > _get(b, i * sb)))
        elif code == 6:
            for i in range(n):
                _put_byte(out, i, np.uint8(_get(a, i * sa) < _get(b, i * sb)))
        elif code == 7:
            for i in range(n):
                _put(out, i, _get(a, i * sa) * np.float32(_get_byte(b, i * sb)))
