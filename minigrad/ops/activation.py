"""Activation functions: elementwise, stable at any size of input."""

from __future__ import annotations

import math
from typing import Any

from ..engine.backend import Array
from ..engine.op import elementwise
from ..engine.tensor import Tensor
from .elementwise import exp, where
from .shape import axes_of, split
from .trig import _erf_pair, erfc, tanh

__all__ = ["relu", "sigmoid"]

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017


@elementwise(x=lambda g, y: g * (y > 0))
def relu(xp: Any, x: Array) -> Array:
    """max(x, 0); its gradient at 0 is 0.

    >>> import minigrad as mg
    >>> x = mg.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    >>> mg.relu(x).sum().backward()
    >>> x.grad
    tensor([0., 0., 1.])
    """
    return xp.maximum(x, 0)


def _sigmoid(xp: Any, x: Array) -> Array:
    """1 / (1 + e^-x) for x > 0 and e^x / (1 + e^x) else: no overflow, and small values keep all digits."""
    right = x.real > 0
    e = xp.exp(xp.where(right, -x, x))
    return xp.where(right, xp.ones((), x.dtype), e) / (1.0 + e)


@elementwise(x=lambda g, y: g * (y * (1.0 - y)))
def sigmoid(xp: Any, x: Array) -> Array:
    """1 / (1 + e^-x).

    >>> import minigrad as mg
    >>> x = mg.tensor(0.0, requires_grad=True)
    >>> mg.sigmoid(x).backward()
    >>> x.grad
    tensor(0.25)
    """
    return _sigmoid(xp, x)


def _softplus(xp: Any, x: Array) -> Array:
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), by the sign of the real part."""
    side = xp.where(x.real > 0, 1.0, -1.0).astype(x.real.dtype)
    return xp.where(side > 0, x, xp.zeros((), x.dtype)) + xp.log1p(xp.exp(-side * x))


@elementwise(x=lambda g, x: g * sigmoid(-x))
def logsigmoid(xp: Any, x: Array) -> Array:
    """log sigmoid(x) = -log(1 + e^-x)."""
    return -_softplus(xp, -x)


@elementwise(x=lambda g, x, beta, threshold: where(x * beta > threshold, g, g * sigmoid(x * beta)))
def softplus(xp: Any, x: Array, *, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """log(1 + e^(beta x)) / beta; x itself where beta x > threshold."""
    return xp.where((x * beta).real > threshold, x, _softplus(xp, x * beta) * (1.0 / beta))


@elementwise(x=lambda g, x, negative_slope: where(x > 0, g, negative_slope * g))
def leaky_relu(xp: Any, x: Array, *, negative_slope: float = 0.01) -> Array:
    """x where x > 0, else negative_slope x."""
    return xp.where(x > 0, x, negative_slope * x)


@elementwise(x=lambda g, x, alpha: where(x > 0, g, g * (alpha * exp(where(x > 0, 0.0, x)))))
def elu(xp: Any, x: Array, *, alpha: float = 1.0) -> Array:
    """x where x > 0, else alpha (e^x - 1)."""
    return xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0)))


def selu(x: Any) -> Any:
    """SELU_SCALE elu(x, SELU_ALPHA): self-normalising (Klambauer et al. 2017)."""
    return elu(x, alpha=SELU_ALPHA) * SELU_SCALE


@elementwise(x=lambda g, x, alpha: where(x > 0, g, g * exp(where(x > 0, 0.0, x) * (1.0 / alpha))))
def celu(xp: Any, x: Array, *, alpha: float = 1.0) -> Array:
    """x where x > 0, else alpha (e^(x / alpha) - 1); ValueError for alpha = 0."""
    if alpha == 0:
        raise ValueError(f"celu: expected alpha other than 0 (alpha={alpha})")
    return xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0) * (1.0 / alpha)))


# x Phi(x), with Phi' = the normal density: y' = Phi(x) + x phi(x)
def _gelu_gradient(g: Any, x: Any) -> Any:
    cdf = 0.5 * erfc(x * -math.sqrt(0.5))
    return g * (cdf + x * exp(-0.5 * x * x) * (1.0 / math.sqrt(2.0 * math.pi)))


@elementwise(x=_gelu_gradient)
def _gelu_erf(xp: Any, x: Array) -> Array:
    return 0.5 * x * _erf_pair(xp, x * -math.sqrt(0.5), complement=True)


def gelu(x: Any, approximate: str = "none") -> Any:
    """x Phi(x), Phi the normal distribution; "tanh": Hendrycks & Gimpel's approximation."""
    if approximate == "none":
        return _gelu_erf(x)
    if approximate != "tanh":
        raise ValueError(f"gelu: expected 'none' or 'tanh' (approximate={approximate!r})")
    return 0.5 * x * (1.0 + tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))


@elementwise(x=lambda g, x: (lambda s: g * (s * (1.0 + x * (1.0 - s))))(sigmoid(x)))
def silu(xp: Any, x: Array) -> Array:
    """x sigmoid(x)."""
    return x * _sigmoid(xp, x)


def mish(x: Any) -> Any:
    """x tanh(log(1 + e^x))."""
    return x * tanh(softplus(x))


@elementwise(x=lambda g, x, min_val, max_val: where(x > min_val, where(x < max_val, g, 0.0), 0.0))
def hardtanh(xp: Any, x: Array, *, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """x limited to [min_val, max_val]; no gradient at or beyond the ends."""
    if min_val > max_val:
        raise ValueError(f"hardtanh: expected min_val <= max_val (min_val={min_val}, max_val={max_val})")
    return xp.clip(x, min_val, max_val)


def relu6(x: Any) -> Any:
    """min(max(x, 0), 6)."""
    return hardtanh(x, min_val=0.0, max_val=6.0)


@elementwise(x=lambda g, x: where(x > -3.0, where(x < 3.0, g * (1.0 / 6.0), 0.0), 0.0))
def hardsigmoid(xp: Any, x: Array) -> Array:
    """min(max(x + 3, 0), 6) / 6."""
    return xp.clip(x + 3.0, 0.0, 6.0) * (1.0 / 6.0)


@elementwise(x=lambda g, x: where(x <= -3.0, 0.0, where(x < 3.0, g * (x * (1.0 / 3.0) + 0.5), g)))
def hardswish(xp: Any, x: Array) -> Array:
    """x min(max(x + 3, 0), 6) / 6."""
    return x * xp.clip(x + 3.0, 0.0, 6.0) * (1.0 / 6.0)


def softsign(x: Any) -> Any:
    """x / (1 + |x|)."""
    return x / (1.0 + abs(x))


def tanhshrink(x: Any) -> Any:
    """x - tanh(x)."""
    return x - tanh(x)


@elementwise(x=lambda g, x, lambd: where(abs(x) > lambd, g, 0.0))
def softshrink(xp: Any, x: Array, *, lambd: float = 0.5) -> Array:
    """x moved lambd towards 0, and 0 within it."""
    if lambd < 0:
        raise ValueError(f"softshrink: expected lambd >= 0 (lambd={lambd})")
    return xp.where(x > lambd, x - lambd, xp.where(x < -lambd, x + lambd, 0 * x))


@elementwise(x=lambda g, x, lambd: where(abs(x) > lambd, g, 0.0))
def hardshrink(xp: Any, x: Array, *, lambd: float = 0.5) -> Array:
    """x, but 0 where |x| <= lambd."""
    return xp.where(xp.abs(x) > lambd, x, 0 * x)


@elementwise(x=lambda g, x, threshold: where(x <= threshold, 0.0, g))
def threshold(xp: Any, x: Array, *, threshold: float, value: float) -> Array:
    """x where x > threshold, else value; NaN stays NaN."""
    return xp.where(x <= threshold, xp.full((), value, x.dtype), x)


# y = x for x > 0, else w x
@elementwise(x=lambda g, x, weight: where(x > 0, g, g * weight), weight=lambda g, x: where(x > 0, 0.0, g * x))
def prelu(xp: Any, x: Array, weight: Array) -> Array:
    """x where x > 0, else weight x, broadcasting."""
    return xp.where(x > 0, x, weight * x)


def glu(x: Any, axis: int = -1) -> Any:
    """a sigmoid(b), where a and b are the halves of x along an axis."""
    (axis,) = axes_of("glu", axis, x.ndim)
    n = x.shape[axis]
    if n % 2:
        raise ValueError(f"glu: expected an even length along the axis, got {n} (dim={axis})")
    a, b = split(x, 2, axis)
    return a * sigmoid(b)


Tensor.relu = relu
Tensor.sigmoid = sigmoid
