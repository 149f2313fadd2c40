"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.backend import Array
from ..engine.op import op
from ..engine.tensor import NUMPY, Tensor

__all__ = ["diag", "diagonal", "tril", "triu"]


@op(x=lambda g, k: tril(g, k))
def tril(xp: Any, x: Array, *, k: int = 0) -> Array:
    """The lower triangle, zeros above diagonal k."""
    return xp.tril(x, k)


@op(x=lambda g, k: triu(g, k))
def triu(xp: Any, x: Array, *, k: int = 0) -> Array:
    """The upper triangle, zeros below diagonal k."""
    return xp.triu(x, k)


@op(x=lambda g, x_shape, offset, axis1, axis2: diagonal_adjoint(g, x_shape, offset, axis1, axis2))
def diagonal(xp: Any, x: Array, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The diagonal of axes axis1 and axis2, as the last axis."""
    return xp.diagonal(x, offset, axis1, axis2).copy()


@op(x=lambda g, offset, axis1, axis2: diagonal(g, offset, axis1, axis2))
def diagonal_adjoint(xp: Any, x: Array, *, shape: tuple, offset: int, axis1: int, axis2: int) -> Array:
    """Zeros of `shape` with x on the diagonal: the adjoint of diagonal."""
    y = xp.zeros(shape, x.dtype)
    planes = xp.moveaxis(y, (axis1, axis2), (-2, -1))
    i = xp.arange(x.shape[-1])
    planes[..., i + max(-offset, 0), i + max(offset, 0)] = x
    return y


def diag(x: Any, k: int = 0) -> Any:
    """The k-th diagonal of a matrix, or a matrix with a vector on its k-th diagonal."""
    if np.ndim(x) == 1:
        n = np.shape(x)[0] + (k if k > 0 else -k)
        return diagonal_adjoint(x, shape=(n, n), offset=k, axis1=0, axis2=1)
    if np.ndim(x) != 2:
        raise ValueError(f"diag: expected 1 or 2 axes, got shape {np.shape(x)}; use diagonal")
    return diagonal(x, k)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of the diagonal."""
    return diagonal(x, offset, axis1, axis2).sum(-1)


NUMPY[np.tril] = Tensor.tril = tril
NUMPY[np.triu] = Tensor.triu = triu
NUMPY[np.diagonal] = Tensor.diagonal = diagonal
NUMPY[np.diag] = Tensor.diag = diag
NUMPY[np.trace] = Tensor.trace = trace
