"""exp, log, tanh, sigmoid and erf of vectors: as many numbers at once as a register holds, without a call.

Each brings its argument into a short interval, where a polynomial of few terms has all the digits of
float32, and puts the rest back exactly. The polynomials are those of least largest relative error on
their intervals. Results are within 2.2 units in the last place of the true value, unless a line says more;
NaN stays NaN; what overflows is infinite, what underflows is 0 or a denormal number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import jit
from .simd import exponent, fma, mantissa, power_of_two, splat, where_greater

__all__ = [
    "absolute", "bell", "erf", "erfc_over_bell", "exp", "expm1", "log", "log1p", "sigmoid", "tanh", "whole",
]  # fmt: skip

# ---------------------------------------------------------------- pieces


@jit
def absolute(x: Any) -> Any:
    """|x|."""
    return where_greater(splat(0.0), x, splat(0.0) - x, x)


@jit
def whole(x: Any) -> Any:
    """The whole number next to x, for |x| < 2^22: beside 1.5 * 2^23 a float32 has no room for a fraction."""
    return (x + splat(12582912.0)) - splat(12582912.0)


@jit
def _within(x: Any, low: Any, high: Any) -> Any:
    """x moved into [low, high]; NaN stays (written so that it is one instruction for each end)."""
    low, high = splat(low), splat(high)
    x = where_greater(low, x, low, x)
    return where_greater(x, high, high, x)


# e^x = 2^n e^r with n whole and |r| <= log(2) / 2. log 2 is taken off in two parts, the first of so few
# digits that n times it is exact.


@jit
def _apart(x: Any) -> Any:
    """n and r."""
    n = whole(x * splat(1.4426950408889634))
    r = fma(n, splat(-0.693145751953125), x)
    return n, fma(n, splat(-1.428606765330187e-06), r)


@jit
def _expm1_short(r: Any) -> Any:
    """e^r - 1 for |r| <= log(2) / 2: r + r^2 q(r)."""
    q = fma(r, splat(0.0013882510), splat(0.0083665803))
    q = fma(q, r, splat(0.0416672018))
    q = fma(q, r, splat(0.1666654318))
    q = fma(q, r, splat(0.4999999814))
    return fma(q * r, r, r)


@jit
def _times_power(x: Any, n: Any) -> Any:
    """2^n x, in two factors: n may lie beyond the exponents of float32."""
    half = whole(n * splat(0.5))
    return x * power_of_two(half) * power_of_two(n - half)


# ---------------------------------------------------------------- exponential and logarithm


@jit
def exp(x: Any) -> Any:
    """e^x."""
    n, r = _apart(_within(x, -104.0, 89.0))
    return _times_power(_expm1_short(r) + splat(1.0), n)


@jit
def expm1(x: Any) -> Any:
    """e^x - 1 for x < 88, which keeps its digits near 0."""
    n, r = _apart(_within(x, -80.0, 88.0))
    power = power_of_two(n)
    return fma(_expm1_short(r), power, power - splat(1.0))


@jit
def _twice_artanh(s: Any) -> Any:
    """log((1 + s) / (1 - s)) for |s| <= 1/3."""
    z = s * s
    p = fma(z, splat(0.2441298365), splat(0.2139327647))
    p = fma(p, z, splat(0.2862071924))
    p = fma(p, z, splat(0.3999869104))
    p = fma(p, z, splat(0.6666667930))
    return fma(p * z, s, s + s)


@jit
def log(x: Any) -> Any:
    """log x; -inf at 0, NaN below."""
    tiny = splat(1.1754944e-38)  # below it numbers are denormal
    n = where_greater(tiny, x, splat(-23.0), splat(0.0))
    m = where_greater(tiny, x, x * splat(8388608.0), x)
    n, m = n + exponent(m), mantissa(m)  # x = 2^n m with m in [3/4, 3/2)
    y = _twice_artanh((m - splat(1.0)) / (m + splat(1.0)))
    y = fma(n, splat(0.693145751953125), fma(n, splat(1.428606765330187e-06), y))
    y = where_greater(x, splat(3.4028235e38), x, y)
    return where_greater(x, splat(0.0), y, where_greater(splat(0.0), x, splat(np.nan), splat(-np.inf) + x))


@jit
def log1p(x: Any) -> Any:
    """log(1 + x) for x in [0, 1]."""
    return _twice_artanh(x / (x + splat(2.0)))


# ---------------------------------------------------------------- what neurons say


@jit
def tanh(x: Any) -> Any:
    """tanh |x| = e / (e + 2) with e = e^(2|x|) - 1, which keeps its digits near 0; then the sign."""
    size = absolute(x)
    e = expm1(_within(size + size, 0.0, 20.0))
    y = e / (e + splat(2.0))
    return where_greater(splat(0.0), x, splat(0.0) - y, y)


@jit
def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x)."""
    return splat(1.0) / (splat(1.0) + exp(splat(0.0) - x))


# ---------------------------------------------------------------- the error function
#
# erf is x times a polynomial in x^2 up to 1. Beyond, and for the normal distribution, where the complement
# must keep its digits for large t:  erfc t = e^(-t^2) k p(k) with k = 1 / (1 + 0.35 t), p a polynomial.


@jit
def bell(t: Any) -> Any:
    """e^(-t^2)."""
    # A rounded square would cost digits: t^2 = a^2 + (t - a) (t + a), where a has so few that a^2 is exact.
    t = _within(t, -10.2, 10.2)
    a = (t + splat(49152.0)) - splat(49152.0)
    n, r = _apart(splat(0.0) - a * a)
    return _times_power(_expm1_short(fma(a - t, a + t, r)) + splat(1.0), n)


@jit
def erfc_over_bell(t: Any) -> Any:
    """erfc(t) e^(t^2) for t >= 0; within 8 units in the last place."""
    k = splat(1.0) / fma(t, splat(0.35), splat(1.0))
    p = fma(k, splat(0.0386859093), splat(-0.1605221822))
    p = fma(p, k, splat(0.1853343403))
    p = fma(p, k, splat(-0.0330609001))
    p = fma(p, k, splat(0.0916536820))
    p = fma(p, k, splat(0.1434428522))
    p = fma(p, k, splat(0.1521291076))
    p = fma(p, k, splat(0.1876894013))
    p = fma(p, k, splat(0.1971655049))
    p = fma(p, k, splat(0.1974822921))
    return p * k


@jit
def erf(x: Any) -> Any:
    """2/sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
    t = _within(absolute(x), 0.0, 4.0)
    z = t * t
    p = fma(z, splat(7.8538912e-05), splat(-0.0008010203616))
    p = fma(p, z, splat(0.005188328348))
    p = fma(p, z, splat(-0.0268538127))
    p = fma(p, z, splat(0.1128358517))
    p = fma(p, z, splat(-0.3761262583))
    p = fma(p, z, splat(0.1283791658))
    near = fma(p, t, t)  # 2/sqrt(pi) = 1 + 0.128...: a digit more
    far = splat(1.0) - exp(splat(0.0) - z) * erfc_over_bell(t)
    y = where_greater(t, splat(1.0), far, near)
    return where_greater(splat(0.0), x, splat(0.0) - y, y)
