"""Derivatives of functions: vjp, jvp, jacobian, hessian, all by way of grad()."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .backend import stack, xp_of
from .backprop import grad
from .recording import enable_grad
from .tensor import NUMPY, Tensor, wrap

__all__ = ["hessian", "jacobian", "jvp", "vjp"]


def _leaves(xs: Any) -> tuple[Tensor, ...]:
    """Fresh leaves with the values of xs, so that the caller's graph is left alone."""
    given = xs if isinstance(xs, tuple | list) else (xs,)
    return tuple(
        wrap(x._data if isinstance(x, Tensor) else Tensor(x)._data, None).requires_grad_() for x in given
    )


def vjp(f: Callable[..., Tensor], *xs: Any) -> tuple[Tensor, Callable[[Any], Any]]:
    """y = f(*xs) and the function v -> v^T J, one Tensor per x (a lone Tensor for one x).

    >>> import minigrad as mg
    >>> y, back = mg.vjp(lambda x: x * x, mg.tensor([1.0, 2.0]))
    >>> back(mg.tensor([1.0, 10.0]))
    tensor([ 2., 40.])
    """
    with enable_grad():
        leaves = _leaves(xs)
        y = f(*leaves)

    def back(v: Any) -> Any:
        found = _gradients(y, leaves, v)
        return found[0] if len(found) == 1 else found

    return y.detach(), back


def _gradients(y: Tensor, leaves: tuple, v: Any = None, create_graph: bool = False) -> tuple:
    """grad(), with zeros for what y does not depend on."""
    if y._node is None:
        return tuple(wrap(xp_of(x._data).zeros_like(x._data), None) for x in leaves)
    found = grad(y, leaves, v, retain_graph=True, create_graph=create_graph, allow_unused=True)
    return tuple(
        wrap(xp_of(x._data).zeros_like(x._data), None) if g is None else g
        for g, x in zip(found, leaves, strict=True)
    )


def jvp(f: Callable[..., Tensor], xs: Any, vs: Any) -> tuple[Tensor, Tensor]:
    """y = f(*xs) and J v, as the gradient of v^T J in its own v (two reverse passes).

    >>> import minigrad as mg
    >>> mg.jvp(lambda x: x * x, mg.tensor([1.0, 2.0]), mg.tensor([1.0, 10.0]))[1]
    tensor([ 2., 40.])
    """
    vs = vs if isinstance(vs, tuple | list) else (vs,)
    with enable_grad():
        leaves = _leaves(xs)
        if len(vs) != len(leaves) or any(v.shape != x.shape for v, x in zip(vs, leaves, strict=True)):
            raise ValueError(
                f"jvp: expected one direction per input and of its shape, got {[v.shape for v in vs]}"
            )
        y = f(*leaves)
        u = wrap(xp_of(y._data).zeros_like(y._data), None).requires_grad_()
        back = _gradients(y, leaves, u, create_graph=True)
        if all(b._node is None for b in back):
            return y.detach(), wrap(xp_of(y._data).zeros_like(y._data), None)
        total = sum((b * v).sum() for b, v in zip(back, vs, strict=True))
        return y.detach(), _gradients(total, (u,))[0]


def jacobian(f: Callable[..., Tensor], xs: Any, create_graph: bool = False) -> Any:
    """d y_i / d x_j as a Tensor of shape y.shape + x.shape; a tuple of them for several inputs.

    One backward per element of y: meant for small outputs.

    >>> import minigrad as mg
    >>> mg.jacobian(lambda x: x * x, mg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    single = not isinstance(xs, tuple | list)
    with enable_grad():
        leaves = (xs,) if create_graph and single else tuple(xs) if create_graph else _leaves(xs)
        y = f(*leaves)
        xp = xp_of(y._data)
        rows: list[tuple] = []
        for i in range(y.size):
            one = xp.zeros_like(y._data)
            one[np.unravel_index(i, y.shape)] = 1
            rows.append(_gradients(y, leaves, wrap(one, None), create_graph))
    result = tuple(_stack([row[k] for row in rows], y.shape + x.shape, x) for k, x in enumerate(leaves))
    return result[0] if single else result


def _stack(parts: list[Tensor], shape: tuple, like: Tensor) -> Tensor:
    """Rows as one Tensor; with history if the rows have one."""
    if any(p._node is not None for p in parts):
        return NUMPY[np.stack](parts).reshape(shape)  # the op, which the engine does not import
    xp = xp_of(like._data)
    return wrap(
        stack(xp, [p._data for p in parts]).reshape(shape) if parts else xp.zeros(shape, like.dtype), None
    )


def hessian(f: Callable[[Tensor], Tensor], x: Any) -> Tensor:
    """d2 y / d x_i d x_j of a scalar function, of shape x.shape + x.shape.

    >>> import minigrad as mg
    >>> mg.hessian(lambda x: x[0] * x[0] * x[1], mg.tensor([3.0, 5.0]))
    tensor([[10.,  6.],
            [ 6.,  0.]])
    """

    def slope(leaf: Tensor) -> Tensor:
        y = f(leaf)
        if y.size != 1:
            raise ValueError(f"hessian: expected a scalar function, got shape {y.shape}")
        return _gradients(y, (leaf,), create_graph=True)[0]

    return jacobian(slope, x)
