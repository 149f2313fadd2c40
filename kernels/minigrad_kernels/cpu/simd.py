"""A vector of float32 for Numba: what a kernel writes where the compiler would not vectorise by itself.

    a = load(x, i)                  LANES numbers of array x, from flat position i on
    y = fma(a, splat(w), y)         a * w + y in one instruction
    store(out, i, y)

Positions count elements from the array's first one, whatever its shape; the array must be C-contiguous,
and nothing checks that a position lies inside. A vector has LANES numbers: 8, or 16 where the processor has
AVX-512. The compiler breaks it into what the machine has.
"""

from __future__ import annotations

import operator
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core.datamodel import models, register_default
from numba.extending import intrinsic, lower_builtin, type_callable

__all__ = [
    "LANES", "broadcast", "exponent", "fma", "load", "load_bytes", "mantissa", "maximum", "minimum",
    "power_of_two", "splat", "store", "store_bytes", "total", "vec", "where_equal", "where_greater",
    "where_new", "zeros",
]  # fmt: skip

LANES = 16 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 8

_FLOAT, _INT = ir.FloatType(), ir.IntType(32)
_VECTOR, _INTEGERS = ir.VectorType(_FLOAT, LANES), ir.VectorType(_INT, LANES)
_BYTES = ir.VectorType(ir.IntType(8), LANES)
_FUSE = ("contract", "nsz")  # a product may be fused with a sum; nothing may assume finite numbers


class Vec(types.Type):
    """The type of such a vector inside a kernel."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


vec = Vec()


@register_default(Vec)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


# ---------------------------------------------------------------- memory


def _place(context: Any, builder: Any, array_type: Any, array: Any, position: Any, kind: Any) -> Any:
    """A pointer of `kind` to element `position` of the array's memory."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [position]), kind.as_pointer())


@intrinsic
def load(typing: Any, x: Any, i: Any) -> Any:
    """LANES elements of x from flat position i on."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        loaded = builder.load(_place(context, builder, signature.args[0], *args, _VECTOR))
        loaded.align = 4
        return loaded

    return vec(x, types.intp), code


@intrinsic
def broadcast(typing: Any, x: Any, i: Any) -> Any:
    """Element i of x in every lane."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _spread(builder, builder.load(_place(context, builder, signature.args[0], *args, _FLOAT)))

    return vec(x, types.intp), code


@intrinsic
def store(typing: Any, x: Any, i: Any, v: Any) -> Any:
    """Write v into x from flat position i on."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, i, v = args
        builder.store(v, _place(context, builder, signature.args[0], x, i, _VECTOR)).align = 4
        return context.get_dummy_value()

    return types.void(x, types.intp, vec), code


@intrinsic
def load_bytes(typing: Any, x: Any, i: Any) -> Any:
    """LANES bytes (uint8) of x from flat position i on, as numbers."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        loaded = builder.load(_place(context, builder, signature.args[0], *args, _BYTES))
        loaded.align = 1
        return builder.uitofp(loaded, _VECTOR)

    return vec(x, types.intp), code


@intrinsic
def store_bytes(typing: Any, x: Any, i: Any, v: Any) -> Any:
    """Write v, whole numbers in [0, 255], into bytes (uint8) of x from flat position i on."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, i, v = args
        small = builder.trunc(builder.fptosi(v, _INTEGERS), _BYTES)
        builder.store(small, _place(context, builder, signature.args[0], x, i, _BYTES)).align = 1
        return context.get_dummy_value()

    return types.void(x, types.intp, vec), code


# ---------------------------------------------------------------- numbers in every lane


def _spread(builder: Any, number: Any) -> Any:
    empty = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(empty, number, ir.Constant(_INT, 0))
    return builder.shuffle_vector(first, empty, ir.Constant(_INTEGERS, [0] * LANES))


@intrinsic
def splat(typing: Any, number: Any) -> Any:
    """A number (cast to float32) in every lane."""
    return vec(types.float32), lambda context, builder, signature, args: _spread(builder, args[0])


@intrinsic
def zeros(typing: Any) -> Any:
    """0 in every lane."""
    return vec(), lambda context, builder, signature, args: ir.Constant(_VECTOR, [0.0] * LANES)


# ---------------------------------------------------------------- arithmetic


def _binary(function: Any, name: str) -> None:
    """A Python operator on two vectors."""
    type_callable(function)(lambda context: lambda a, b: vec if a is vec and b is vec else None)

    @lower_builtin(function, vec, vec)
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return getattr(builder, name)(*args, flags=_FUSE)


for _function, _name in (
    (operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv"),
    (operator.iadd, "fadd"), (operator.isub, "fsub"), (operator.imul, "fmul"), (operator.itruediv, "fdiv"),
):  # fmt: skip
    _binary(_function, _name)


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once where the processor can."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(builder.fmul(args[0], args[1], flags=_FUSE), args[2], flags=_FUSE)

    return vec(vec, vec, vec), code


def _choice(sign: str, or_nan: bool = False) -> Any:
    """Per lane one of two, the third and fourth operand or the first and second themselves.

    The former where a `sign` b holds (beside a NaN it does not), or, with `or_nan`, where a is NaN.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        a, b = args[:2]
        holds = builder.fcmp_ordered(sign, a, b)
        if or_nan:
            holds = builder.or_(holds, builder.fcmp_unordered("uno", a, a))
        return builder.select(holds, *args[-2:])

    return code


@intrinsic
def where_greater(typing: Any, a: Any, b: Any, yes: Any, no: Any) -> Any:
    """Per lane: `yes` where a > b, else (also beside a NaN) `no`."""
    return vec(vec, vec, vec, vec), _choice(">")


@intrinsic
def where_equal(typing: Any, a: Any, b: Any, yes: Any, no: Any) -> Any:
    """Per lane: `yes` where a == b, else `no`."""
    return vec(vec, vec, vec, vec), _choice("==")


@intrinsic
def where_new(typing: Any, a: Any, b: Any, yes: Any, no: Any) -> Any:
    """Per lane: `yes` where maximum(a, b) is a's doing: a > b, or a is NaN; else `no`."""
    return vec(vec, vec, vec, vec), _choice(">", or_nan=True)


@intrinsic
def maximum(typing: Any, a: Any, b: Any) -> Any:
    """The larger per lane; a NaN in a stays, as with NumPy."""
    return vec(vec, vec), _choice(">", or_nan=True)


@intrinsic
def minimum(typing: Any, a: Any, b: Any) -> Any:
    """The smaller per lane; a NaN in a stays."""
    return vec(vec, vec), _choice("<", or_nan=True)


@intrinsic
def total(typing: Any, v: Any) -> Any:
    """The sum of the lanes, by halves: a float32."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (v,) = args
        width = LANES
        while width > 1:
            width //= 2
            kind = ir.VectorType(_INT, width)
            low, high = ([*range(at, at + width)] for at in (0, width))
            v = builder.fadd(
                builder.shuffle_vector(v, v, ir.Constant(kind, low)),
                builder.shuffle_vector(v, v, ir.Constant(kind, high)),
            )
        return builder.extract_element(v, ir.Constant(_INT, 0))

    return types.float32(vec), code


@intrinsic
def power_of_two(typing: Any, v: Any) -> Any:
    """2^v for lanes that hold whole numbers in [-126, 127]: the exponent bits, written directly."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = builder.fptosi(args[0], _INTEGERS)
        biased = builder.add(whole, ir.Constant(_INTEGERS, [127] * LANES))
        return builder.bitcast(builder.shl(biased, ir.Constant(_INTEGERS, [23] * LANES)), _VECTOR)

    return vec(vec), code


# A positive float32 is 2^n m: its bits from the 23rd on are n + 127, those below m's fraction. Numbers are
# cut at 3/4, so that m lies about 1.

_CUT = 0x3F400000  # the bits of 3/4


def _power(builder: Any, v: Any) -> tuple[Any, Any]:
    """The bits of v, and n."""
    bits = builder.bitcast(v, _INTEGERS)
    above = builder.sub(bits, ir.Constant(_INTEGERS, [_CUT] * LANES))
    return bits, builder.ashr(above, ir.Constant(_INTEGERS, [23] * LANES))


@intrinsic
def exponent(typing: Any, v: Any) -> Any:
    """n of v = 2^n m with 3/4 <= m < 3/2, for lanes that are positive, finite and not denormal."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.sitofp(_power(builder, args[0])[1], _VECTOR)

    return vec(vec), code


@intrinsic
def mantissa(typing: Any, v: Any) -> Any:
    """m of v = 2^n m with 3/4 <= m < 3/2, for the same lanes."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits, n = _power(builder, args[0])
        whole = builder.shl(n, ir.Constant(_INTEGERS, [23] * LANES))
        return builder.bitcast(builder.sub(bits, whole), _VECTOR)

    return vec(vec), code
