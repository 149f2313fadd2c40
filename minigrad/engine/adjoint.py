"""The four ops that backprop itself needs, to hand a gradient back in its input's own form.

Broadcasting copies, so its adjoint sums; summing forgets axes, so its adjoint broadcasts. The
two undo each other at any order of differentiation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .backend import Array, as_dtype
from .half import narrowed
from .op import op
from .tensor import NUMPY, Tensor

__all__ = ["broadcast_to", "sum_to"]


@op(x=lambda g, x_shape: broadcast_to(g, x_shape))
def sum_to(xp: Any, x: Array, *, shape: tuple[int, ...]) -> Array:
    """Sum of x over the axes along which `shape` was broadcast.

    >>> import minigrad as mg
    >>> mg.sum_to(mg.ones((2, 3)), (1, 3))
    tensor([[2., 2., 2.]])
    """
    lead = x.ndim - len(shape)
    stretched = tuple(i + lead for i, n in enumerate(shape) if n == 1 and x.shape[i + lead] != 1)
    if lead < 0 or any(n not in (1, m) for n, m in zip(shape, x.shape[lead:], strict=True)):
        raise ValueError(f"sum_to: expected a shape that broadcasts to {x.shape} (shape={shape})")
    y = x.sum(axis=(*range(lead), *stretched), keepdims=True) if lead or stretched else x
    return y.reshape(shape)


@op(x=lambda g, x_shape: sum_to(g, x_shape))
def broadcast_to(xp: Any, x: Array, *, shape: tuple[int, ...]) -> Array:
    """x repeated to `shape` by NumPy's broadcasting, in memory of its own.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> mg.broadcast_to(x, (3, 2)).sum().backward()
    >>> x.grad
    tensor([3., 3.])
    """
    # Written out: on small arrays several times faster than xp.broadcast_to, which is Python inside.
    y = xp.empty(shape, x.dtype)
    y[...] = x
    return y


@op(x=lambda g: g)  # the engine casts a gradient to its input's dtype
def cast(xp: Any, x: Array, *, dtype: Any) -> Array:
    """x in another dtype; the gradient comes back in x's own."""
    return narrowed(x, as_dtype(dtype))


@op(x=lambda g: g)
def identity(xp: Any, x: Array) -> Array:
    """x itself, as a node of its own: a fresh name to differentiate by."""
    return x


NUMPY[np.broadcast_to] = Tensor.broadcast_to = broadcast_to
Tensor.astype = lambda self, dtype: self if self.dtype == as_dtype(dtype) else cast(self, dtype=dtype)
