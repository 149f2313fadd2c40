"""Softmax and its logarithm along an axis, shifted by the largest real part so that e^x stays finite."""

from __future__ import annotations

from typing import Any

from ..engine.backend import Array
from ..engine.op import op
from ..engine.tensor import Tensor
from .elementwise import exp
from .reduce import _kept, sum
from .shape import axes_of

__all__ = ["log_softmax", "logsumexp", "softmax"]


def _shifted(xp: Any, x: Array, axis: int) -> Array:
    """x less its largest real part along the axis: a constant, which cancels."""
    top = x.real.max(axis=axis, keepdims=True) if x.shape[axis] else xp.zeros((1,) * x.ndim)
    return x - xp.where(xp.isfinite(top), top, 0).astype(x.real.dtype)


# dy_i/dx_j = y_i (delta_ij - y_j):  dL/dx = y (g - <g, y>)
@op(x=lambda g, y, axis: y * (g - sum(g * y, axis, True)))
def softmax(xp: Any, x: Array, *, axis: int = -1) -> Array:
    """e^x_i / sum_j e^x_j along an axis.

    >>> import minigrad as mg
    >>> mg.softmax(mg.tensor([0.0, 0.0]))
    tensor([0.5, 0.5])
    """
    (axis,) = axes_of("softmax", axis, x.ndim)
    e = xp.exp(_shifted(xp, x, axis))
    return e / e.sum(axis=axis, keepdims=True)


# dy_i/dx_j = delta_ij - softmax_j:  dL/dx = g - e^y sum g
@op(x=lambda g, y, axis: g - exp(y) * sum(g, axis, True))
def log_softmax(xp: Any, x: Array, *, axis: int = -1) -> Array:
    """x_i - log sum_j e^x_j along an axis, exact also where softmax rounds to 0."""
    (axis,) = axes_of("log_softmax", axis, x.ndim)
    z = _shifted(xp, x, axis)
    return z - xp.log(xp.exp(z).sum(axis=axis, keepdims=True))


@op(x=lambda g, y, x, axis: _kept(g, x.shape, axis) * exp(x - _kept(y, x.shape, axis)))
def logsumexp(xp: Any, x: Array, *, axis: int | tuple | None = None, keepdims: bool = False) -> Array:
    """log sum_j e^x_j over axes, without overflow."""
    axes = axes_of("logsumexp", axis, x.ndim)
    top = x.real.max(axis=axes, keepdims=True)
    top = xp.where(xp.isfinite(top), top, 0).astype(x.real.dtype)
    y = xp.log(xp.exp(x - top).sum(axis=axes, keepdims=True)) + top
    return y if keepdims else y.reshape([n for i, n in enumerate(x.shape) if i not in axes])


Tensor.softmax = softmax
Tensor.log_softmax = log_softmax
Tensor.logsumexp = logsumexp
