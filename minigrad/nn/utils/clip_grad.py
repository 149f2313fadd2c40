"""Clipping gradients, by norm and by value."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ...engine.backend import stack, xp_of
from ...engine.node import mutated
from ...engine.recording import effect
from ...engine.tensor import Tensor, wrap

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]

Tensors = Tensor | Iterable[Tensor]


def _listed(name: str, tensors: Tensors, foreach: bool | None) -> list[Tensor]:
    """The tensors as a list. `foreach` chooses among PyTorch's loops, which give the same; here is one."""
    if not isinstance(foreach, bool | None):
        raise TypeError(f"{name}: expected True, False or None (foreach={foreach!r})")
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(name: str, parameters: Tensors, foreach: bool | None) -> list[Tensor]:
    return [p.grad for p in _listed(name, parameters, foreach) if p.grad is not None]


def _total(name: str, tensors: list[Tensor], norm_type: float, error_if_nonfinite: bool) -> Tensor:
    if not tensors:
        return Tensor(0.0)
    xp, norm_type = xp_of(tensors[0]._data), float(norm_type)
    # In float32 at least: the square of 300 is infinite in float16.
    wide = [t._data.ravel().astype(np.result_type(t.dtype, np.float32), copy=False) for t in tensors]
    total = xp.linalg.norm(stack(xp, [xp.linalg.norm(a, norm_type) for a in wide]), norm_type)
    if error_if_nonfinite and not math.isfinite(float(total)):
        raise ValueError(f"{name}: expected a finite norm, got {float(total)}; nothing was changed")
    return wrap(xp.asarray(total), None)


def _scale(gradients: list[Tensor], max_norm: float, total_norm: Tensor) -> None:
    """Multiply by max_norm / norm where that is below 1; the number stays on its device."""
    total = total_norm._data
    factor = xp_of(total).minimum(float(max_norm) / (total + 1e-6), 1.0)
    for g in gradients:
        g._data *= factor.astype(g.dtype)
        mutated(g._data)


def _check_limit(name: str, **limit: float) -> None:
    for what, value in limit.items():
        if not float(value) >= 0.0:  # said so, NaN is refused too
            raise ValueError(f"{name}: expected a number >= 0 ({what}={value})")


@effect
def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """The norm of all elements of all tensors together; 0 for none.

    error_if_nonfinite: raise ValueError for infinity or NaN. foreach (True, False, None) changes nothing.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> nn.utils.get_total_norm([mg.tensor([3.0]), mg.tensor([4.0])])
    tensor(5.)
    """
    listed = _listed("get_total_norm", tensors, foreach)
    return _total("get_total_norm", listed, norm_type, error_if_nonfinite)


@effect
def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Multiply all gradients by max_norm / total_norm, if that is below 1. foreach changes nothing."""
    _check_limit("clip_grads_with_norm_", max_norm=max_norm)
    if not isinstance(total_norm, Tensor):
        raise TypeError(f"clip_grads_with_norm_: expected a Tensor (total_norm={total_norm!r})")
    _scale(_gradients("clip_grads_with_norm_", parameters, foreach), max_norm, total_norm)


@effect
def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Multiply all gradients by max_norm / norm where their joint norm is larger; return that norm.

    Pascanu et al. 2013. Raises ValueError for a norm that is not finite if asked to, before any change.
    foreach (True, False, None) changes nothing.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> w = mg.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> nn.utils.clip_grad_norm_([w], 1.0)
    tensor(10.)
    >>> [round(g, 3) for g in w.grad.tolist()]
    [0.6, 0.8]
    """
    _check_limit("clip_grad_norm_", max_norm=max_norm)
    gradients = _gradients("clip_grad_norm_", parameters, foreach)
    total = _total("clip_grad_norm_", gradients, norm_type, error_if_nonfinite)
    _scale(gradients, max_norm, total)
    return total


@effect
def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Limit every element of every gradient to [-clip_value, clip_value]. foreach changes nothing."""
    _check_limit("clip_grad_value_", clip_value=clip_value)
    limit = float(clip_value)
    for g in _gradients("clip_grad_value_", parameters, foreach):
        xp_of(g._data).clip(g._data, -limit, limit, out=g._data)
        mutated(g._data)
