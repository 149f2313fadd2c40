"""Order: sorting is taking by an order, so its gradient is that of an index."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.backend import Array, xp_of
from ..engine.op import op
from ..engine.spelling import spelt_either_way
from ..engine.tensor import NUMPY, Tensor
from .index import take_along_axis
from .shape import axes_of

__all__ = ["argsort", "searchsorted", "sort", "topk", "unique"]


@op(x=None)
def argsort(xp: Any, x: Array, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """The indices that sort x along an axis; equal elements keep their order, unless stable=False."""
    (axis,) = axes_of("argsort", (axis,), x.ndim)
    kind = {"kind": "stable"} if stable and xp is np else {}
    if not descending:
        return xp.argsort(x, axis=axis, **kind)
    # Equal elements must keep their order when descending too: sort the reversed, reverse back.
    order = xp.argsort(xp.flip(x, axis), axis=axis, **kind)
    return x.shape[axis] - 1 - xp.flip(order, axis)


def sort(x: Any, axis: int = -1, descending: bool = False) -> Any:
    """x in order along an axis; each gradient goes to where its value came from.

    >>> import minigrad as mg
    >>> x = mg.tensor([3.0, 1.0, 2.0], requires_grad=True)
    >>> mg.sort(x).backward(mg.tensor([10.0, 20.0, 30.0]))
    >>> x.grad
    tensor([30., 10., 20.])
    """
    return take_along_axis(x, argsort(x, axis, descending), axis)


@spelt_either_way
def topk(x: Any, k: int, axis: int = -1, largest: bool = True) -> tuple[Any, Any]:
    """The k largest (or smallest) elements along an axis, in order, and their indices.

    >>> import minigrad as mg
    >>> mg.topk(mg.tensor([1.0, 5.0, 3.0]), 2)
    (tensor([5., 3.]), tensor([1, 2]))
    """
    (axis,) = axes_of("topk", axis, np.ndim(x))
    n = np.shape(x)[axis]
    if not 0 <= k <= n:
        raise ValueError(f"topk: expected 0 <= k <= {n} (k={k})")
    order = argsort(x, axis, largest)[(slice(None),) * axis + (slice(0, k),)]
    return take_along_axis(x, order, axis), order


def searchsorted(a: Any, v: Any, side: str = "left") -> Any:
    """Where v would be inserted into sorted a."""
    raw = a._data if isinstance(a, Tensor) else a
    return Tensor(xp_of(raw).searchsorted(raw, v._data if isinstance(v, Tensor) else v, side=side))


def unique(x: Any) -> Any:
    """The sorted distinct elements."""
    raw = x._data if isinstance(x, Tensor) else x
    return Tensor(xp_of(raw).unique(raw))


def _numpy_order(f: Any) -> Any:
    """NumPy's form: axis=None flattens, `kind` and `stable` are granted since every sort here is stable."""
    return lambda x, axis=-1, kind=None, stable=None: f(x.reshape(-1)) if axis is None else f(x, axis)


NUMPY[np.argsort], Tensor.argsort = _numpy_order(argsort), argsort
NUMPY[np.sort], Tensor.sort = _numpy_order(sort), sort
NUMPY[np.searchsorted] = searchsorted
NUMPY[np.unique] = Tensor.unique = unique
Tensor.topk = topk
