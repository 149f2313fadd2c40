"""Circular and hyperbolic functions, their inverses, and the error function."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ..engine.backend import Array
from ..engine.op import elementwise
from ..engine.tensor import NUMPY, Tensor
from .elementwise import exp, sqrt

__all__ = [
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cos", "cosh", "erf",
    "erfc", "hypot", "sin", "sinh", "tan", "tanh",
]  # fmt: skip


@elementwise(x=lambda g, x: g * cos(x))
def sin(xp: Any, x: Array) -> Array:
    """Sine of radians.

    >>> import minigrad as mg
    >>> x = mg.tensor(0.0, requires_grad=True)
    >>> mg.sin(x).backward()
    >>> x.grad
    tensor(1.)
    """
    return xp.sin(x)


@elementwise(x=lambda g, x: -g * sin(x))
def cos(xp: Any, x: Array) -> Array:
    """Cosine of radians."""
    return xp.cos(x)


@elementwise(x=lambda g, y: g * (1.0 + y * y))
def tan(xp: Any, x: Array) -> Array:
    """Tangent of radians."""
    return xp.tan(x)


@elementwise(x=lambda g, x: g / sqrt(1.0 - x * x))
def arcsin(xp: Any, x: Array) -> Array:
    """The angle in [-pi/2, pi/2] whose sine is x."""
    return xp.arcsin(x)


@elementwise(x=lambda g, x: -g / sqrt(1.0 - x * x))
def arccos(xp: Any, x: Array) -> Array:
    """The angle in [0, pi] whose cosine is x."""
    return xp.arccos(x)


@elementwise(x=lambda g, x: g / (1.0 + x * x))
def arctan(xp: Any, x: Array) -> Array:
    """The angle in (-pi/2, pi/2) whose tangent is x."""
    return xp.arctan(x)


@elementwise(a=lambda g, a, b: g * b / (a * a + b * b), b=lambda g, a, b: -g * a / (a * a + b * b))
def arctan2(xp: Any, a: Array, b: Array) -> Array:
    """The angle of the point (b, a): arctan(a / b) in the right quadrant."""
    return xp.arctan2(a, b)


@elementwise(a=lambda g, y, a: g * a / y, b=lambda g, y, b: g * b / y)
def hypot(xp: Any, a: Array, b: Array) -> Array:
    """sqrt(a^2 + b^2) without overflow."""
    return xp.hypot(a, b)


@elementwise(x=lambda g, x: g * cosh(x))
def sinh(xp: Any, x: Array) -> Array:
    """(e^x - e^-x) / 2."""
    return xp.sinh(x)


@elementwise(x=lambda g, x: g * sinh(x))
def cosh(xp: Any, x: Array) -> Array:
    """(e^x + e^-x) / 2."""
    return xp.cosh(x)


@elementwise(x=lambda g, y: g * (1.0 - y * y))
def tanh(xp: Any, x: Array) -> Array:
    """sinh x / cosh x.

    >>> import minigrad as mg
    >>> x = mg.tensor(0.0, requires_grad=True)
    >>> mg.tanh(x).backward()
    >>> x.grad
    tensor(1.)
    """
    return xp.tanh(x)


@elementwise(x=lambda g, x: g / sqrt(x * x + 1.0))
def arcsinh(xp: Any, x: Array) -> Array:
    """The number whose sinh is x."""
    return xp.arcsinh(x)


@elementwise(x=lambda g, x: g / (sqrt(x - 1.0) * sqrt(x + 1.0)))
def arccosh(xp: Any, x: Array) -> Array:
    """The number >= 0 whose cosh is x >= 1."""
    return xp.arccosh(x)


@elementwise(x=lambda g, x: g / (1.0 - x * x))
def arctanh(xp: Any, x: Array) -> Array:
    """The number whose tanh is x."""
    return xp.arctanh(x)


# ---------------------------------------------------------------- the error function
#
# NumPy has none. Two expansions, both analytic, so that they hold on complex numbers too:
#   |x| < 2:  erf x = 2/sqrt(pi) e^(-x^2) sum_n 2^n x^(2n+1) / (2n+1)!!     (all terms of one sign)
#   x >= 2:   erfc x = e^(-x^2)/sqrt(pi) 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + ...))))
# (Abramowitz & Stegun 7.1.6 and 7.1.14.) Both reach the last bits of float64. For erfc the fraction takes
# over at 1 already, there four times as deep: up to 2, 1 - erf x would lose two digits.

_TERMS, _DEPTH, _DEEPER = 40, 100, 400


def _erf_series(xp: Any, x: Array) -> Array:
    """erf by its series, for |x| < 2: a polynomial in x^2, by Horner's rule, in one array."""
    terms = _TERMS if x.dtype.itemsize > 4 else _TERMS // 2  # float32 has its last bit at 18
    factors = list(itertools.accumulate(range(1, terms), lambda a, n: a * 2.0 / (2.0 * n + 1.0), initial=1.0))
    square = x * x
    total = xp.full_like(square, factors.pop())
    for factor in reversed(factors):
        total *= square
        total += factor
    return (2.0 / math.sqrt(math.pi)) * xp.exp(-square) * x * total


def _erfc_fraction(xp: Any, x: Array) -> Array:
    """erfc by its continued fraction, from the far end: the smaller x, the deeper."""
    tail, small = x.copy(), x.real < 2.0
    tail[small] = _climb(x[small], x[small], _DEEPER, _DEPTH)
    tail = _climb(x, tail, _DEPTH, 0)
    near = xp.trunc(16.0 * xp.minimum(x.real, 64.0)) / 16.0  # near^2 is exact: e^(-x^2) keeps its last bits
    return xp.exp(-near * near) * xp.exp((near - x) * (near + x)) / (math.sqrt(math.pi) * tail)


def _climb(x: Array, tail: Array, deep: int, shallow: int) -> Array:
    """The fraction's levels from `deep` up to `shallow`."""
    for n in range(deep, shallow, -1):
        tail = x + (0.5 * n) / tail
    return tail


def _erf_pair(xp: Any, x: Array, complement: bool) -> Array:
    """erf or erfc: each where it is accurate, chosen by the real part."""
    x = xp.asarray(x)
    work = (
        x.astype(np.float64)
        if x.dtype.kind in "biu"
        else x.astype(np.float32)
        if x.dtype == np.float16
        else x
    )
    small = (work.real > -2.0) & (work.real < (1.0 if complement else 2.0))
    y = xp.empty_like(work)
    inner = _erf_series(xp, work[small])
    y[small] = 1.0 - inner if complement else inner
    outer = work[~small]
    side = xp.sign(outer.real)
    far = _erfc_fraction(xp, outer * side)  # erf(-x) = -erf(x), so erfc(-x) = 2 - erfc(x)
    y[~small] = xp.where(side > 0, far, 2.0 - far) if complement else side * (1.0 - far)
    y = xp.where(xp.isnan(work), work, y)
    return y.astype(x.dtype) if x.dtype == np.float16 else y


_SLOPE = 2.0 / math.sqrt(math.pi)


@elementwise(x=lambda g, x: g * _SLOPE * exp(-x * x))
def erf(xp: Any, x: Array) -> Array:
    """2/sqrt(pi) times the integral of e^(-t^2) from 0 to x.

    >>> import minigrad as mg
    >>> mg.erf(mg.tensor([0.0, 1.0]))
    tensor([0.       , 0.8427008])
    """
    return _erf_pair(xp, x, complement=False)


@elementwise(x=lambda g, x: -g * _SLOPE * exp(-x * x))
def erfc(xp: Any, x: Array) -> Array:
    """1 - erf(x), accurate for large x."""
    return _erf_pair(xp, x, complement=True)


NUMPY[np.sin] = Tensor.sin = sin
NUMPY[np.cos] = Tensor.cos = cos
NUMPY[np.tan] = Tensor.tan = tan
NUMPY[np.arcsin] = Tensor.arcsin = arcsin
NUMPY[np.arccos] = Tensor.arccos = arccos
NUMPY[np.arctan] = Tensor.arctan = arctan
NUMPY[np.arctan2] = arctan2
NUMPY[np.hypot] = hypot
NUMPY[np.sinh] = Tensor.sinh = sinh
NUMPY[np.cosh] = Tensor.cosh = cosh
NUMPY[np.tanh] = Tensor.tanh = tanh
NUMPY[np.arcsinh] = Tensor.arcsinh = arcsinh
NUMPY[np.arccosh] = Tensor.arccosh = arccosh
NUMPY[np.arctanh] = Tensor.arctanh = arctanh
Tensor.erf, Tensor.erfc = erf, erfc
