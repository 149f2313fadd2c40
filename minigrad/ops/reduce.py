"""Reductions: sums, products, extrema and what is made of them.

A reduction forgets axes. Its gradient first gets them back with length 1 (`_kept`), then is
broadcast over what was reduced.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.adjoint import broadcast_to
from ..engine.backend import Array, xp_of
from ..engine.op import op
from ..engine.spelling import spelt_either_way
from ..engine.tensor import NUMPY, Tensor
from .diagonal import triu
from .elementwise import abs, sqrt, where
from .shape import axes_of, concatenate, expand_dims, flip, inverse_of, moveaxis, reshape, transpose

__all__ = [
    "argmax", "argmin", "cumprod", "cumsum", "max", "mean", "min", "norm", "prod", "ptp", "std", "sum",
    "var",
]  # fmt: skip

Axis = int | Sequence[int] | None


def _kept(g: Any, shape: tuple, axis: Axis) -> Any:
    """g with the reduced axes back, at length 1."""
    axes = axes_of("reduce", axis, len(shape))
    return reshape(g, tuple(1 if i in axes else n for i, n in enumerate(shape)))


def _count(shape: tuple, axis: Axis) -> int:
    """How many elements went into each result."""
    return math.prod(shape[i] for i in axes_of("reduce", axis, len(shape)))


def _axis(name: str, x: Any, axis: Axis) -> tuple[int, ...] | None:
    """The axes checked, in the form NumPy takes."""
    return None if axis is None else axes_of(name, axis, np.ndim(x))


# ---------------------------------------------------------------- sums


@op(x=lambda g, x_shape, axis: broadcast_to(_kept(g, x_shape, axis), x_shape))
def sum(xp: Any, x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The sum over axes (all by default).

    >>> import minigrad as mg
    >>> x = mg.ones((2, 3), requires_grad=True)
    >>> y = x.sum(axis=0)
    >>> y.backward(mg.tensor([1.0, 2.0, 3.0]))
    >>> y, x.grad
    (tensor([2., 2., 2.], op=sum), tensor([[1., 2., 3.],
           [1., 2., 3.]]))
    """
    return xp.sum(x, axis=_axis("sum", x, axis), keepdims=keepdims)


@op(
    x=lambda g, x_shape, axis: broadcast_to(
        _kept(g * (1.0 / max_(_count(x_shape, axis), 1)), x_shape, axis), x_shape
    )
)
def mean(xp: Any, x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The arithmetic mean over axes; NaN of nothing.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 3.0], requires_grad=True)
    >>> x.mean().backward()
    >>> x.grad
    tensor([0.5, 0.5])
    """
    count = _count(x.shape, axis)
    total = xp.sum(x, axis=_axis("mean", x, axis), keepdims=keepdims)
    return total * (1.0 / count) if count else total * math.nan


@op(x=lambda g, axis: flip(cumsum(flip(g, axis), axis), axis))
def cumsum(xp: Any, x: Array, *, axis: int) -> Array:
    """Running sums along an axis; the gradient runs from the other end."""
    return xp.cumsum(x, axis=axes_of("cumsum", axis, x.ndim)[0])


# ---------------------------------------------------------------- products


@op(x=lambda g: off_diagonal(g).sum(-2))
def others(xp: Any, x: Array) -> Array:
    """y[..., j, i] = x[..., i], but 1 at i = j: row j is x without its element j."""
    return xp.where(xp.eye(x.shape[-1], dtype=bool), xp.ones((), x.dtype), x[..., None, :])


@op(x=lambda g: off_diagonal(g))
def off_diagonal(xp: Any, x: Array) -> Array:
    """Square matrices (last two axes) with a zero diagonal."""
    return xp.where(xp.eye(x.shape[-1], dtype=bool), xp.zeros((), x.dtype), x)


def _free_of_zeros(x: Any) -> bool:
    """Whether no element is 0. A GPU is not asked, and so it is assumed that one is."""
    return not _on_gpu(x) and not (getattr(x, "_data", x) == 0).any()


def _on_gpu(x: Any) -> bool:
    return not isinstance(getattr(x, "_data", x), np.ndarray | np.generic)


def _rest(x: Any) -> Any:
    """Products of all others along the last axis: of those before, times of those behind."""
    if not _on_gpu(x):
        return prod(others(x), -1)
    return _before(x) * flip(_before(flip(x, -1)), -1)


def _before(x: Any) -> Any:
    """Products of all before, along the last axis: 1, x_0, x_0 x_1, ..."""
    raw = getattr(x, "_data", x)
    return concatenate([xp_of(raw).ones_like(raw[..., :1]), cumprod(x[..., :-1], -1)], -1)


def _earlier(v: Any, step: int) -> Any:
    """v_(j + step) at j, along the last axis; 0 behind the end."""
    raw = getattr(v, "_data", v)
    return concatenate([v[..., step:], xp_of(raw).zeros_like(raw[..., :step])], -1)


def _cumprod_backwards(g: Any, x: Any) -> Any:
    """The gradient of cumprod on the last axis, without dividing: g_j' = x_0 ... x_(j-1) S_j.

    S_j = g_j + x_(j+1) S_(j+1), of which sums and products of 1, 2, 4, ... terms are made in turn.
    """
    total, factor, step = g, _earlier(x, 1), 1
    while step < np.shape(x)[-1]:
        total, factor = total + factor * _earlier(total, step), factor * _earlier(factor, step)
        step *= 2
    return _before(x) * total


def _prod_gradient(g: Any, y: Any, x: Any, axis: Axis) -> Any:
    # d prod / d x_j = prod of the others: y / x_j, or where some x is 0, multiplied out without x_j.
    if _free_of_zeros(x):
        return _kept(g * y, np.shape(x), axis) / x
    axes = axes_of("prod", axis, np.ndim(x))
    rest = [i for i in range(np.ndim(x)) if i not in axes]
    order = (*rest, *axes)
    shape = np.shape(x)
    flat = reshape(transpose(x, order), (*[shape[i] for i in rest], _count(shape, axis)))
    rest_of = reshape(_rest(flat), tuple(shape[i] for i in order))
    back = transpose(rest_of, inverse_of(order))
    return _kept(g, shape, axis) * back


@op(x=_prod_gradient)
def prod(xp: Any, x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The product over axes; the gradient is right at zeros too.

    >>> import minigrad as mg
    >>> x = mg.tensor([2.0, 0.0, 3.0], requires_grad=True)
    >>> x.prod().backward()
    >>> x.grad
    tensor([0., 6., 0.])
    """
    return xp.prod(x, axis=_axis("prod", x, axis), keepdims=keepdims)


def _cumprod_gradient(g: Any, y: Any, x: Any, axis: int) -> Any:
    # d y_i / d x_j = y_i / x_j for i >= j; where some x is 0, multiplied out without x_j.
    if _free_of_zeros(x):
        return flip(cumsum(flip(g * y, axis), axis), axis) / x
    if _on_gpu(x):
        return moveaxis(_cumprod_backwards(moveaxis(g, axis, -1), moveaxis(x, axis, -1)), -1, axis)
    table = triu(cumprod(others(moveaxis(x, axis, -1)), -1))  # [..., j, i], from i = j on
    return moveaxis((expand_dims(moveaxis(g, axis, -1), -2) * table).sum(-1), -1, axis)


@op(x=_cumprod_gradient)
def cumprod(xp: Any, x: Array, *, axis: int) -> Array:
    """Running products along an axis."""
    return xp.cumprod(x, axis=axes_of("cumprod", axis, x.ndim)[0])


# ---------------------------------------------------------------- extrema


def _extremum_gradient(g: Any, y: Any, x: Any, axis: Axis) -> Any:
    """Shared equally among the elements that attain the extremum."""
    shape = np.shape(x)
    here = x == _kept(y, shape, axis)
    ties = _kept(here.sum(axis if axis is None or isinstance(axis, int) else tuple(axis)), shape, axis)
    return where(here, _kept(g, shape, axis) / ties, 0.0)


def _not_empty(name: str, x: Array, axis: Axis) -> None:
    if math.prod(x.shape[i] for i in axes_of(name, axis, x.ndim)) == 0:
        raise ValueError(f"{name}: expected at least one element, got shape {x.shape} (axis={axis})")


@op(x=_extremum_gradient)
def max(xp: Any, x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The largest element over axes; ties share the gradient equally.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 3.0, 3.0], requires_grad=True)
    >>> x.max().backward()
    >>> x.grad
    tensor([0. , 0.5, 0.5])
    """
    _not_empty("max", x, axis)
    return xp.max(x, axis=_axis("max", x, axis), keepdims=keepdims)


@op(x=_extremum_gradient)
def min(xp: Any, x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The smallest element over axes; ties share the gradient equally."""
    _not_empty("min", x, axis)
    return xp.min(x, axis=_axis("min", x, axis), keepdims=keepdims)


@op(x=None)
def argmax(xp: Any, x: Array, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """Index of the (first) largest element."""
    _not_empty("argmax", x, axis)
    return xp.argmax(x, axis=axis, keepdims=keepdims)


@op(x=None)
def argmin(xp: Any, x: Array, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """Index of the (first) smallest element."""
    _not_empty("argmin", x, axis)
    return xp.argmin(x, axis=axis, keepdims=keepdims)


# ---------------------------------------------------------------- made of these


def var(
    x: Any, axis: Axis = None, ddof: int = 0, keepdims: bool = False, correction: int | None = None
) -> Any:
    """mean((x - mean x)^2), in two passes; divided by n - ddof (`correction` is PyTorch's name).

    >>> import minigrad as mg
    >>> mg.var(mg.tensor([1.0, 3.0]))
    tensor(1.)
    """
    ddof = ddof if correction is None else correction
    n = _count(np.shape(x), axis)
    if n - ddof <= 0:
        raise ValueError(f"var: expected more than ddof={ddof} elements, got {n} (axis={axis})")
    away = x - mean(x, axis, True)
    return sum(away * away, axis, keepdims) * (1.0 / (n - ddof))


def std(
    x: Any, axis: Axis = None, ddof: int = 0, keepdims: bool = False, correction: int | None = None
) -> Any:
    """The square root of var."""
    return sqrt(var(x, axis, ddof, keepdims, correction))


# d |x|_2 / dx = x / |x|; at 0 the subgradient 0 is taken.
@op(x=lambda g, y, x, axis: _kept(g / where(y == 0, 1.0, y), np.shape(x), axis) * x)
def _norm2(xp: Any, x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    return xp.sqrt(xp.sum(x * x, axis=_axis("norm", x, axis), keepdims=keepdims))


@spelt_either_way
def norm(x: Any, ord: float | str | None = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """(sum |x|^p)^(1/p) over all the axes given: p = ord, 2 by default ('fro' the same); inf the largest.

    0: how many elements are not 0, a constant between its jumps.

    >>> import minigrad as mg
    >>> x = mg.tensor([3.0, 4.0], requires_grad=True)
    >>> mg.norm(x).backward()
    >>> x.grad
    tensor([0.6, 0.8])
    """
    if ord in (None, 2, "fro"):
        return _norm2(x, axis=axis, keepdims=keepdims)
    if ord == 1:
        return sum(abs(x), axis, keepdims)
    if ord == 0:
        return sum((x != 0).astype(x.dtype), axis, keepdims)
    if ord in (math.inf, -math.inf):
        return (max if ord > 0 else min)(abs(x), axis, keepdims)
    if not isinstance(ord, int | float) or ord <= 0:
        raise ValueError(f"norm: expected a number >= 0, inf or 'fro' (ord={ord!r})")
    total = sum(abs(x) ** ord, axis, keepdims)
    zero = total == 0  # the root has no derivative there; the subgradient 0 is taken
    return where(zero, 0.0, where(zero, 1.0, total) ** (1.0 / ord))


def _numpy_norm(x: Any, ord: float | str | None = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """np.linalg.norm: over two axes an `ord` other than 'fro' means a matrix norm, which is another thing."""
    if len(axes_of("norm", axis, np.ndim(x))) > 1 and ord not in (None, "fro"):
        raise ValueError(f"norm: matrix norms are 'fro' only (ord={ord!r}); give one axis for a vector norm")
    return norm(x, ord, axis, keepdims)


def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The largest element less the smallest."""
    return max(x, axis, keepdims) - min(x, axis, keepdims)


def max_(a: int, b: int) -> int:
    """Python's max of two ints, whose name the reduction took."""
    return a if a > b else b


def _running(f: Any) -> Any:
    """NumPy's running reductions flatten by default."""
    return spelt_either_way(lambda x, axis=None: f(x.reshape(-1), 0) if axis is None else f(x, axis))


NUMPY[np.sum] = NUMPY[np.add.reduce] = Tensor.sum = sum
NUMPY[np.mean] = Tensor.mean = mean
NUMPY[np.prod] = NUMPY[np.multiply.reduce] = Tensor.prod = prod
NUMPY[np.max] = NUMPY[np.amax] = NUMPY[np.maximum.reduce] = Tensor.max = Tensor.amax = max
NUMPY[np.min] = NUMPY[np.amin] = NUMPY[np.minimum.reduce] = Tensor.min = Tensor.amin = min
NUMPY[np.argmax] = Tensor.argmax = argmax
NUMPY[np.argmin] = Tensor.argmin = argmin
NUMPY[np.cumsum] = NUMPY[np.add.accumulate] = Tensor.cumsum = _running(cumsum)
NUMPY[np.cumprod] = NUMPY[np.multiply.accumulate] = Tensor.cumprod = _running(cumprod)
NUMPY[np.var] = Tensor.var = var
NUMPY[np.std] = Tensor.std = std
NUMPY[np.ptp] = Tensor.ptp = ptp
NUMPY[np.linalg.norm], Tensor.norm = _numpy_norm, norm
