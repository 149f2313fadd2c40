"""Elementwise arithmetic: each op is its forward and one line of calculus per argument.

Read a row as: y = f(a, b); the gradient of a is g times dy/da. Shapes broadcast as in NumPy; the
engine sums each gradient back to its argument's shape.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine.backend import Array
from ..engine.op import elementwise
from ..engine.tensor import NUMPY, Tensor

__all__ = [
    "abs", "add", "cbrt", "ceil", "clip", "div", "exp", "exp2", "expm1", "floor", "floor_divide",
    "fmax", "fmin", "log", "log10", "log1p", "log2", "logaddexp", "maximum", "minimum", "mul", "neg",
    "pow", "reciprocal", "remainder", "round", "rsqrt", "sign", "sqrt", "square", "sub", "trunc",
    "where",
]  # fmt: skip

LN2, LN10 = math.log(2.0), math.log(10.0)


# ---------------------------------------------------------------- arithmetic


@elementwise(a=lambda g: g, b=lambda g: g)
def add(xp: Any, a: Array, b: Array) -> Array:
    """a + b.

    >>> import minigrad as mg
    >>> a = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> (a + a).sum().backward()
    >>> a.grad
    tensor([2., 2.])
    """
    return xp.add(a, b)


@elementwise(a=lambda g: g, b=lambda g: -g)
def sub(xp: Any, a: Array, b: Array) -> Array:
    """a - b."""
    return xp.subtract(a, b)


@elementwise(a=lambda g, b: g * b, b=lambda g, a: g * a)
def mul(xp: Any, a: Array, b: Array) -> Array:
    """a * b.

    >>> import minigrad as mg
    >>> a, b = mg.tensor(2.0, requires_grad=True), mg.tensor(3.0, requires_grad=True)
    >>> (a * b).backward()
    >>> a.grad, b.grad
    (tensor(3.), tensor(2.))
    """
    return xp.multiply(a, b)


@elementwise(a=lambda g, b: g / b, b=lambda g, y, b: -g * y / b)
def div(xp: Any, a: Array, b: Array) -> Array:
    """a / b.

    >>> import minigrad as mg
    >>> b = mg.tensor(2.0, requires_grad=True)
    >>> (1.0 / b).backward()
    >>> b.grad
    tensor(-0.25)
    """
    return xp.true_divide(a, b)


@elementwise(x=lambda g: -g)
def neg(xp: Any, x: Array) -> Array:
    """-x."""
    return xp.negative(x)


@elementwise(x=lambda g: g)
def positive(xp: Any, x: Array) -> Array:
    """+x, a copy."""
    return xp.positive(x)


def _pow_base(g: Any, a: Any, b: Any) -> Any:
    # d a^b / da = b a^(b-1); where b = 0 that is 0 also at a = 0, where a^(b-1) is not finite.
    if isinstance(b, int | float):
        return g * (b * a ** (b - 1)) if b else g * 0.0
    zero = b == 0
    return g * (b * a ** where(zero, 1.0, b - 1.0))


def _pow_exponent(g: Any, y: Any, a: Any) -> Any:
    # d a^b / db = a^b log a, defined for a > 0; 0 at a = 0 (the limit for b > 0), and for a < 0.
    if isinstance(a, int | float):
        return g * (y * math.log(a)) if a > 0 else g * 0.0
    positive_base = a > 0
    return g * y * where(positive_base, log(where(positive_base, a, 1.0)), 0.0)


@elementwise(a=_pow_base, b=_pow_exponent)
def pow(xp: Any, a: Array, b: Array) -> Array:
    """a ** b. The gradient in b is taken as 0 where a <= 0.

    >>> import minigrad as mg
    >>> a = mg.tensor(3.0, requires_grad=True)
    >>> (a ** 2).backward()
    >>> a.grad
    tensor(6.)
    """
    return xp.power(a, b)


@elementwise(a=lambda g: g * 0.0, b=lambda g: g * 0.0)
def floor_divide(xp: Any, a: Array, b: Array) -> Array:
    """floor(a / b); its gradient is 0."""
    return xp.floor_divide(a, b)


# a mod b = a - b floor(a / b), and the floor is constant between its jumps.
@elementwise(a=lambda g: g, b=lambda g, a, b: -g * floor_divide(a, b))
def remainder(xp: Any, a: Array, b: Array) -> Array:
    """a - b floor(a / b), with the sign of b."""
    return xp.remainder(a, b)


# ---------------------------------------------------------------- powers and roots


@elementwise(x=lambda g, x: g * (2.0 * x))
def square(xp: Any, x: Array) -> Array:
    """x^2."""
    return xp.square(x)


@elementwise(x=lambda g, y: g * 0.5 / y)
def sqrt(xp: Any, x: Array) -> Array:
    """x^(1/2).

    >>> import minigrad as mg
    >>> x = mg.tensor(16.0, requires_grad=True)
    >>> mg.sqrt(x).backward()
    >>> x.grad
    tensor(0.125)
    """
    return xp.sqrt(x)


@elementwise(x=lambda g, y: -0.5 * g * y * y * y)
def rsqrt(xp: Any, x: Array) -> Array:
    """x^(-1/2)."""
    return 1.0 / xp.sqrt(x)


@elementwise(x=lambda g, y: g / (3.0 * y * y))
def cbrt(xp: Any, x: Array) -> Array:
    """x^(1/3), real for negative x too."""
    return xp.cbrt(x)


@elementwise(x=lambda g, y: -g * y * y)
def reciprocal(xp: Any, x: Array) -> Array:
    """1 / x."""
    return 1.0 / x


# ---------------------------------------------------------------- exponentials and logarithms


@elementwise(x=lambda g, y: g * y)
def exp(xp: Any, x: Array) -> Array:
    """e^x.

    >>> import minigrad as mg
    >>> x = mg.tensor(0.0, requires_grad=True)
    >>> mg.exp(x).backward()
    >>> x.grad
    tensor(1.)
    """
    return xp.exp(x)


@elementwise(x=lambda g, y: g * y * LN2)
def exp2(xp: Any, x: Array) -> Array:
    """2^x."""
    return xp.exp2(x)


@elementwise(x=lambda g, y: g * (y + 1.0))
def expm1(xp: Any, x: Array) -> Array:
    """e^x - 1, accurate near 0."""
    return xp.expm1(x)


@elementwise(x=lambda g, x: g / x)
def log(xp: Any, x: Array) -> Array:
    """Natural logarithm.

    >>> import minigrad as mg
    >>> x = mg.tensor(4.0, requires_grad=True)
    >>> mg.log(x).backward()
    >>> x.grad
    tensor(0.25)
    """
    return xp.log(x)


@elementwise(x=lambda g, x: g / (x * LN2))
def log2(xp: Any, x: Array) -> Array:
    """Logarithm to base 2."""
    return xp.log2(x)


@elementwise(x=lambda g, x: g / (x * LN10))
def log10(xp: Any, x: Array) -> Array:
    """Logarithm to base 10."""
    return xp.log10(x)


@elementwise(x=lambda g, x: g / (1.0 + x))
def log1p(xp: Any, x: Array) -> Array:
    """log(1 + x), accurate near 0."""
    return xp.log1p(x)


# d log(e^a + e^b) / da = e^a / (e^a + e^b) = e^(a - y)
@elementwise(a=lambda g, y, a: g * exp(a - y), b=lambda g, y, b: g * exp(b - y))
def logaddexp(xp: Any, a: Array, b: Array) -> Array:
    """log(e^a + e^b) without overflow."""
    return xp.logaddexp(a, b)


# ---------------------------------------------------------------- magnitude, order and steps


@elementwise(x=lambda g, x: g * sign(x))
def abs(xp: Any, x: Array) -> Array:
    """|x|; its gradient at 0 is 0."""
    return xp.abs(x)


@elementwise(x=lambda g: g * 0.0)
def sign(xp: Any, x: Array) -> Array:
    """-1, 0 or 1; its gradient is 0."""
    return xp.sign(x)


@elementwise(x=lambda g: g * 0.0)
def floor(xp: Any, x: Array) -> Array:
    """The integer below; its gradient is 0."""
    return xp.floor(x)


@elementwise(x=lambda g: g * 0.0)
def ceil(xp: Any, x: Array) -> Array:
    """The integer above; its gradient is 0."""
    return xp.ceil(x)


@elementwise(x=lambda g: g * 0.0)
def trunc(xp: Any, x: Array) -> Array:
    """The integer towards 0; its gradient is 0."""
    return xp.trunc(x)


@elementwise(x=lambda g: g * 0.0)
def round(xp: Any, x: Array, *, decimals: int = 0) -> Array:
    """x rounded half to even; its gradient is 0."""
    return xp.round(x, decimals)


@elementwise(
    a=lambda g, a, b: where(a > b, g, where(a == b, 0.5 * g, 0.0)),
    b=lambda g, a, b: where(b > a, g, where(a == b, 0.5 * g, 0.0)),
)
def maximum(xp: Any, a: Array, b: Array) -> Array:
    """max(a, b); at a tie each receives half of the gradient.

    >>> import minigrad as mg
    >>> a = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> mg.maximum(a, 2.0).sum().backward()
    >>> a.grad
    tensor([0. , 0.5, 1. ])
    """
    return xp.maximum(a, b)


@elementwise(
    a=lambda g, a, b: where(a < b, g, where(a == b, 0.5 * g, 0.0)),
    b=lambda g, a, b: where(b < a, g, where(a == b, 0.5 * g, 0.0)),
)
def minimum(xp: Any, a: Array, b: Array) -> Array:
    """min(a, b); at a tie each receives half of the gradient."""
    return xp.minimum(a, b)


@elementwise(
    condition=None,
    a=lambda g, condition: where(condition, g, 0.0),
    b=lambda g, condition: where(condition, 0.0, g),
)
def where(xp: Any, condition: Array, a: Array, b: Array) -> Array:
    """a where the condition holds, else b; the gradient goes where the value came from."""
    return xp.where(condition, a, b)


def fmax(a: Any, b: Any) -> Any:
    """max(a, b), but the number where one of them is NaN, which receives no gradient."""
    return where(a != a, b, where(b != b, a, maximum(a, b)))


def fmin(a: Any, b: Any) -> Any:
    """min(a, b), but the number where one of them is NaN, which receives no gradient."""
    return where(a != a, b, where(b != b, a, minimum(a, b)))


def _clip_gradient(g: Any, x: Any, min: Any, max: Any) -> Any:
    if min is not None:
        g = where(x < min, 0.0, g)
    return g if max is None else where(x > max, 0.0, g)


@elementwise(x=_clip_gradient)
def clip(xp: Any, x: Array, *, min: float | None = None, max: float | None = None) -> Array:
    """x limited to [min, max]; the gradient passes inside, both ends included.

    >>> import minigrad as mg
    >>> x = mg.tensor([-1.0, 0.5, 2.0], requires_grad=True)
    >>> mg.clip(x, 0, 1).sum().backward()
    >>> x.grad
    tensor([0., 1., 0.])
    """
    if min is None and max is None:
        raise ValueError("clip: expected a bound (min=None, max=None); give one of them")
    for name, bound in (("min", min), ("max", max)):
        if not (bound is None or isinstance(bound, int | float)):
            raise TypeError(
                f"clip: expected a number ({name}), got {type(bound).__name__}; use maximum or minimum"
            )
    return xp.clip(x, min, max)


def _swapped(f: Any) -> Any:
    """The reflected operator: 2.0 - t calls it with t first."""
    return lambda b, a: f(a, b)


NUMPY[np.add] = Tensor.__add__ = Tensor.add = add
NUMPY[np.subtract] = Tensor.__sub__ = Tensor.sub = sub
NUMPY[np.multiply] = Tensor.__mul__ = Tensor.mul = mul
NUMPY[np.true_divide] = Tensor.__truediv__ = Tensor.div = div
NUMPY[np.floor_divide] = Tensor.__floordiv__ = floor_divide
NUMPY[np.remainder] = Tensor.__mod__ = remainder
NUMPY[np.power] = NUMPY[np.float_power] = Tensor.__pow__ = Tensor.pow = pow
NUMPY[np.negative] = Tensor.__neg__ = Tensor.neg = neg
NUMPY[np.positive] = Tensor.__pos__ = positive
NUMPY[np.absolute] = NUMPY[np.fabs] = Tensor.__abs__ = Tensor.abs = abs
Tensor.__radd__, Tensor.__rsub__, Tensor.__rmul__ = _swapped(add), _swapped(sub), _swapped(mul)
Tensor.__rtruediv__, Tensor.__rfloordiv__ = _swapped(div), _swapped(floor_divide)
Tensor.__rmod__, Tensor.__rpow__ = _swapped(remainder), _swapped(pow)

NUMPY[np.square] = Tensor.square = square
NUMPY[np.sqrt] = Tensor.sqrt = sqrt
NUMPY[np.cbrt] = Tensor.cbrt = cbrt
NUMPY[np.reciprocal] = Tensor.reciprocal = reciprocal
Tensor.rsqrt = rsqrt
NUMPY[np.exp] = Tensor.exp = exp
NUMPY[np.exp2] = Tensor.exp2 = exp2
NUMPY[np.expm1] = Tensor.expm1 = expm1
NUMPY[np.log] = Tensor.log = log
NUMPY[np.log2] = Tensor.log2 = log2
NUMPY[np.log10] = Tensor.log10 = log10
NUMPY[np.log1p] = Tensor.log1p = log1p
NUMPY[np.logaddexp] = logaddexp
NUMPY[np.sign] = Tensor.sign = sign
NUMPY[np.floor] = Tensor.floor = floor
NUMPY[np.ceil] = Tensor.ceil = ceil
NUMPY[np.trunc] = Tensor.trunc = trunc
NUMPY[np.round] = NUMPY[np.around] = NUMPY[np.rint] = Tensor.round = round
NUMPY[np.maximum] = Tensor.maximum = maximum
NUMPY[np.minimum] = Tensor.minimum = minimum
NUMPY[np.fmax], NUMPY[np.fmin] = fmax, fmin
NUMPY[np.clip] = lambda x, a_min=None, a_max=None, min=None, max=None: clip(
    x, min if a_min is None else a_min, max if a_max is None else a_max
)
Tensor.clip = Tensor.clamp = clip
NUMPY[np.divmod] = Tensor.__divmod__ = lambda a, b: (floor_divide(a, b), remainder(a, b))
Tensor.__rdivmod__ = lambda b, a: (floor_divide(a, b), remainder(a, b))
