"""Activations and their VJPs in one pass over memory, shared among the threads.

Two compiled loops serve all but relu: a vector is loaded, `_value` or `_slope` picks the function by its
number, the result is stored. The choice is the same for every vector, so it costs next to nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange

from ..layout import like, runs
from . import maths
from .jit import jit, parallel, threads
from .simd import LANES, fma, load, splat, store, where_greater, zeros

__all__ = [
    "elu", "elu_x", "gelu_erf", "gelu_erf_x", "leaky_relu", "leaky_relu_x", "relu", "relu_x", "sigmoid",
    "sigmoid_x", "silu", "silu_x", "softplus", "softplus_x", "tanh", "tanh_x",
]  # fmt: skip

# ---------------------------------------------------------------- relu


@parallel
def _relu(x: Any, y: Any) -> None:
    for i in prange(x.size):
        y[i] = x[i] if not x[i] < 0 else 0  # a NaN stays


@parallel
def _relu_x(g: Any, y: Any, gx: Any) -> None:
    for i in prange(g.size):
        gx[i] = g[i] if y[i] > 0 else 0


def relu(x: Any) -> Any:
    """max(x, 0)."""
    flat = runs(x)
    if flat is None:
        return NotImplemented
    y, out = like(x)
    _relu(*flat, out)
    return y


def relu_x(g: Any, y: Any) -> Any:
    """g where y > 0, else 0."""
    flat = runs(g, y)
    if flat is None:
        return NotImplemented
    gx, out = like(g)
    _relu_x(*flat, out)
    return gx


# ---------------------------------------------------------------- the functions of vectors

_TANH, _SIGMOID, _GELU, _SILU, _LEAKY, _ELU, _SOFTPLUS = range(7)
_ROOT, _DENSITY = math.sqrt(0.5), 1.0 / math.sqrt(2.0 * math.pi)


@jit
def _normal(x: Any) -> Any:
    """Phi(x), the normal distribution, and e^(-x^2 / 2), on which it rests."""
    t = maths.absolute(x) * splat(_ROOT)
    e = maths.bell(t)
    tail = splat(0.5) * e * maths.erfc_over_bell(t)
    return where_greater(x, zeros(), splat(1.0) - tail, tail), e


@jit
def _softly(x: Any, beta: Any, threshold: Any) -> Any:
    """softplus."""
    z = x * splat(beta)
    above = maths.log1p(maths.exp(zeros() - maths.absolute(z)))
    y = (where_greater(z, zeros(), z, zeros()) + above) * splat(1.0 / beta)
    return where_greater(z, splat(threshold), x, y)


@jit
def _value(which: Any, x: Any, a: Any, b: Any) -> Any:
    """The function `which` of x, with its numbers a and b."""
    if which == _TANH:
        return maths.tanh(x)
    if which == _SIGMOID:
        return maths.sigmoid(x)
    if which == _GELU:
        return x * _normal(x)[0]
    if which == _SILU:
        return x * maths.sigmoid(x)
    if which == _LEAKY:
        return where_greater(x, zeros(), x, x * splat(a))
    if which == _ELU:
        return where_greater(x, zeros(), x, splat(a) * maths.expm1(where_greater(x, zeros(), zeros(), x)))
    return _softly(x, a, b)


@jit
def _slope(which: Any, g: Any, s: Any, a: Any, b: Any) -> Any:
    """g times the derivative; s is the result of tanh and sigmoid, the argument of the others."""
    one = splat(1.0)
    if which == _TANH:
        return g * (one - s * s)
    if which == _SIGMOID:
        return g * (s * (one - s))
    if which == _GELU:
        cdf, e = _normal(s)
        return g * fma(s * e, splat(_DENSITY), cdf)
    if which == _SILU:
        h = maths.sigmoid(s)
        return g * (h * fma(s, one - h, one))
    if which == _LEAKY:
        return where_greater(s, zeros(), g, g * splat(a))
    if which == _ELU:
        e = splat(a) * maths.exp(where_greater(s, zeros(), zeros(), s))
        return where_greater(s, zeros(), g, g * e)
    z = s * splat(a)
    return where_greater(z, splat(b), g, g * maths.sigmoid(z))


# ---------------------------------------------------------------- the loops over memory
#
# The last vector is moved back so that it ends where the array ends; what it shares with the one before
# is computed twice.


@parallel
def _forward(which: Any, x: Any, a: Any, b: Any, y: Any, shares: Any) -> None:
    vectors = (x.size + LANES - 1) // LANES
    for share in prange(shares):
        for v in range(share * vectors // shares, (share + 1) * vectors // shares):
            i = min(v * LANES, x.size - LANES)
            store(y, i, _value(which, load(x, i), a, b))


@parallel
def _backward(which: Any, g: Any, s: Any, a: Any, b: Any, gx: Any, shares: Any) -> None:
    vectors = (g.size + LANES - 1) // LANES
    for share in prange(shares):
        for v in range(share * vectors // shares, (share + 1) * vectors // shares):
            i = min(v * LANES, g.size - LANES)
            store(gx, i, _slope(which, load(g, i), load(s, i), a, b))


def _over(which: int, loop: Any, arrays: tuple, numbers: tuple = (0.0, 0.0)) -> Any:
    """The loop over arrays of one shape and order; declines others, and those smaller than a vector."""
    flat = runs(*arrays) if all(a.dtype == np.float32 for a in arrays) else None
    if flat is None or arrays[0].size < LANES or not all(type(n) in (int, float) for n in numbers):
        return NotImplemented
    y, out = like(arrays[0])
    loop(which, *flat, np.float32(numbers[0]), np.float32(numbers[1]), out, threads())
    return y


# ---------------------------------------------------------------- one by one


def tanh(x: Any) -> Any:
    return _over(_TANH, _forward, (x,))


def tanh_x(g: Any, y: Any) -> Any:
    return _over(_TANH, _backward, (g, y))


def sigmoid(x: Any) -> Any:
    return _over(_SIGMOID, _forward, (x,))


def sigmoid_x(g: Any, y: Any) -> Any:
    return _over(_SIGMOID, _backward, (g, y))


def gelu_erf(x: Any) -> Any:
    return _over(_GELU, _forward, (x,))


def gelu_erf_x(g: Any, x: Any) -> Any:
    return _over(_GELU, _backward, (g, x))


def silu(x: Any) -> Any:
    return _over(_SILU, _forward, (x,))


def silu_x(g: Any, x: Any) -> Any:
    return _over(_SILU, _backward, (g, x))


def leaky_relu(x: Any, *, negative_slope: float = 0.01) -> Any:
    return _over(_LEAKY, _forward, (x,), (negative_slope, 0.0))


def leaky_relu_x(g: Any, x: Any, negative_slope: float) -> Any:
    return _over(_LEAKY, _backward, (g, x), (negative_slope, 0.0))


def elu(x: Any, *, alpha: float = 1.0) -> Any:
    return _over(_ELU, _forward, (x,), (alpha, 0.0))


def elu_x(g: Any, x: Any, alpha: float) -> Any:
    return _over(_ELU, _backward, (g, x), (alpha, 0.0))


def softplus(x: Any, *, beta: float = 1.0, threshold: float = 20.0) -> Any:
    return _over(_SOFTPLUS, _forward, (x,), (beta, threshold)) if beta else NotImplemented


def softplus_x(g: Any, x: Any, beta: float, threshold: float) -> Any:
    return _over(_SOFTPLUS, _backward, (g, x), (beta, threshold))
