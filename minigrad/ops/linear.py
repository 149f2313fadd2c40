"""The affine map y = x W^T + b, in one op: two products back, one sum; the bilinear y_o = u^T W_o v + b_o."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.adjoint import sum_to
from ..engine.backend import Array
from ..engine.op import op
from .linalg import matmul
from .shape import expand_dims, reshape, transpose


def _rows(x: Any) -> Any:
    """All leading axes as one."""
    return x if np.ndim(x) == 2 else reshape(x, (-1, np.shape(x)[-1]))


# y_nj = sum_i x_ni w_ji + b_j:  dL/dx = g W,  dL/dW = g^T x,  dL/db = sum_n g
@op(
    x=lambda g, weight: matmul(g, weight),
    weight=lambda g, x: matmul(transpose(_rows(g)), _rows(x)),
    bias=lambda g: sum_to(g, (np.shape(g)[-1],)),
)
def linear(xp: Any, x: Array, weight: Array, bias: Array | None = None) -> Array:
    """x W^T + b: x (..., in), weight (out, in), bias (out,) -> (..., out).

    Raises ValueError where the widths differ.

    >>> import minigrad as mg
    >>> w = mg.tensor([[1.0, 2.0]], requires_grad=True)
    >>> y = mg.nn.functional.linear(mg.tensor([[3.0, 4.0]]), w)
    >>> y.backward()
    >>> y, w.grad
    (tensor([[11.]], op=linear), tensor([[3., 4.]]))
    """
    if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"linear: expected x (..., in) and weight (out, in), got {x.shape} and {weight.shape}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"linear: expected bias ({weight.shape[0]},), got {bias.shape}")
    y = xp.matmul(_rows(x), weight.T)
    if bias is not None:
        y = xp.add(y, bias, out=y) if y.dtype == bias.dtype else y + bias
    return y.reshape(*x.shape[:-1], weight.shape[0])


def bilinear(u: Any, v: Any, weight: Any, bias: Any = None) -> Any:
    """u^T W_o v + b_o: u (..., i), v (..., j), weight (o, i, j), bias (o,) -> (..., o).

    One large product W u, then one with v a row.
    """
    o, i, j = np.shape(weight)
    through = matmul(_rows(u), reshape(transpose(weight, (1, 0, 2)), (i, o * j)))  # (n, o j)
    y = matmul(reshape(through, (-1, o, j)), expand_dims(_rows(v), -1))  # (n, o, 1)
    y = reshape(y, (*np.shape(u)[:-1], o))
    return y if bias is None else y + bias
