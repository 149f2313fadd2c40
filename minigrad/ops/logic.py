"""Comparisons, logic and bits: answers without gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.backend import Array
from ..engine.op import elementwise, op
from ..engine.tensor import NUMPY, Tensor

__all__ = [
    "all", "allclose", "any", "array_equal", "bitwise_and", "bitwise_or", "bitwise_xor",
    "count_nonzero", "equal", "greater", "greater_equal", "invert", "isclose", "isfinite", "isinf",
    "isnan", "left_shift", "less", "less_equal", "logical_and", "logical_not", "logical_or",
    "logical_xor", "not_equal", "right_shift",
]  # fmt: skip


@elementwise(a=None, b=None)
def equal(xp: Any, a: Array, b: Array) -> Array:
    """a == b, elementwise."""
    return xp.equal(a, b)


@elementwise(a=None, b=None)
def not_equal(xp: Any, a: Array, b: Array) -> Array:
    """a != b, elementwise."""
    return xp.not_equal(a, b)


@elementwise(a=None, b=None)
def less(xp: Any, a: Array, b: Array) -> Array:
    """a < b."""
    return xp.less(a, b)


@elementwise(a=None, b=None)
def less_equal(xp: Any, a: Array, b: Array) -> Array:
    """a <= b."""
    return xp.less_equal(a, b)


@elementwise(a=None, b=None)
def greater(xp: Any, a: Array, b: Array) -> Array:
    """a > b."""
    return xp.greater(a, b)


@elementwise(a=None, b=None)
def greater_equal(xp: Any, a: Array, b: Array) -> Array:
    """a >= b."""
    return xp.greater_equal(a, b)


@elementwise(a=None, b=None)
def logical_and(xp: Any, a: Array, b: Array) -> Array:
    """Both are non-zero."""
    return xp.logical_and(a, b)


@elementwise(a=None, b=None)
def logical_or(xp: Any, a: Array, b: Array) -> Array:
    """One or both are non-zero."""
    return xp.logical_or(a, b)


@elementwise(a=None, b=None)
def logical_xor(xp: Any, a: Array, b: Array) -> Array:
    """Exactly one is non-zero."""
    return xp.logical_xor(a, b)


@elementwise(x=None)
def logical_not(xp: Any, x: Array) -> Array:
    """x is zero."""
    return xp.logical_not(x)


@elementwise(a=None, b=None)
def bitwise_and(xp: Any, a: Array, b: Array) -> Array:
    """a & b on integers and booleans."""
    return xp.bitwise_and(a, b)


@elementwise(a=None, b=None)
def bitwise_or(xp: Any, a: Array, b: Array) -> Array:
    """a | b on integers and booleans."""
    return xp.bitwise_or(a, b)


@elementwise(a=None, b=None)
def bitwise_xor(xp: Any, a: Array, b: Array) -> Array:
    """a ^ b on integers and booleans."""
    return xp.bitwise_xor(a, b)


@elementwise(a=None, b=None)
def left_shift(xp: Any, a: Array, b: Array) -> Array:
    """a << b on integers."""
    return xp.left_shift(a, b)


@elementwise(a=None, b=None)
def right_shift(xp: Any, a: Array, b: Array) -> Array:
    """a >> b on integers."""
    return xp.right_shift(a, b)


@elementwise(x=None)
def invert(xp: Any, x: Array) -> Array:
    """~x on integers and booleans."""
    return xp.invert(x)


@elementwise(x=None)
def isnan(xp: Any, x: Array) -> Array:
    """True at NaN."""
    return xp.isnan(x)


@elementwise(x=None)
def isinf(xp: Any, x: Array) -> Array:
    """True at plus or minus infinity."""
    return xp.isinf(x)


@elementwise(x=None)
def isfinite(xp: Any, x: Array) -> Array:
    """True where neither NaN nor infinite."""
    return xp.isfinite(x)


@op(x=None)
def all(xp: Any, x: Array, *, axis: int | tuple | None = None, keepdims: bool = False) -> Array:
    """True if every element along the axis is non-zero."""
    return xp.all(x, axis=axis, keepdims=keepdims)


@op(x=None)
def any(xp: Any, x: Array, *, axis: int | tuple | None = None, keepdims: bool = False) -> Array:
    """True if some element along the axis is non-zero."""
    return xp.any(x, axis=axis, keepdims=keepdims)


@op(x=None)
def count_nonzero(xp: Any, x: Array, *, axis: int | tuple | None = None) -> Array:
    """How many elements are non-zero."""
    return xp.count_nonzero(x, axis=axis)


@elementwise(a=None, b=None)
def isclose(
    xp: Any, a: Array, b: Array, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Array:
    """|a - b| <= atol + rtol |b|."""
    return xp.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)


def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """True if isclose everywhere."""
    return bool(all(isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)))


def array_equal(a: Any, b: Any) -> bool:
    """True if shapes and all elements are equal."""
    return np.shape(a) == np.shape(b) and bool(all(equal(a, b)))


NUMPY[np.equal] = Tensor.__eq__ = Tensor.eq = equal
NUMPY[np.not_equal] = Tensor.__ne__ = Tensor.ne = not_equal
NUMPY[np.less] = Tensor.__lt__ = Tensor.lt = less
NUMPY[np.less_equal] = Tensor.__le__ = Tensor.le = less_equal
NUMPY[np.greater] = Tensor.__gt__ = Tensor.gt = greater
NUMPY[np.greater_equal] = Tensor.__ge__ = Tensor.ge = greater_equal
NUMPY[np.logical_and] = Tensor.logical_and = logical_and
NUMPY[np.logical_or] = Tensor.logical_or = logical_or
NUMPY[np.logical_xor] = logical_xor
NUMPY[np.logical_not] = Tensor.logical_not = logical_not
NUMPY[np.bitwise_and] = Tensor.__and__ = Tensor.__rand__ = bitwise_and
NUMPY[np.bitwise_or] = Tensor.__or__ = Tensor.__ror__ = bitwise_or
NUMPY[np.bitwise_xor] = Tensor.__xor__ = Tensor.__rxor__ = bitwise_xor
NUMPY[np.left_shift] = Tensor.__lshift__ = left_shift
NUMPY[np.right_shift] = Tensor.__rshift__ = right_shift
Tensor.__rlshift__, Tensor.__rrshift__ = lambda b, a: left_shift(a, b), lambda b, a: right_shift(a, b)
NUMPY[np.invert] = Tensor.__invert__ = invert
NUMPY[np.isnan] = Tensor.isnan = isnan
NUMPY[np.isinf] = Tensor.isinf = isinf
NUMPY[np.isfinite] = Tensor.isfinite = isfinite
NUMPY[np.all] = NUMPY[np.logical_and.reduce] = Tensor.all = all
NUMPY[np.any] = NUMPY[np.logical_or.reduce] = Tensor.any = any
NUMPY[np.count_nonzero] = Tensor.count_nonzero = count_nonzero
NUMPY[np.isclose] = Tensor.isclose = isclose
NUMPY[np.allclose] = Tensor.allclose = allclose
NUMPY[np.array_equal] = array_equal
