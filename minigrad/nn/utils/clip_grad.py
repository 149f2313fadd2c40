"""Clipping gradients, by norm and by value."""

from __future__ import annotations

import math
from typing import Any

from ...engine.backend import xp_of
from ...engine.node import mutated
from ...engine.tensor import Tensor, wrap

__all__ = ["clip_grad_norm_", "clip_grad_value_"]


def _with_gradients(parameters: Any) -> list[Tensor]:
    params = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p for p in params if p.grad is not None]


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale all gradients by max_norm / norm where their joint norm is larger; return that norm.

    Pascanu et al. 2013. Raises ValueError for a norm that is not finite if asked to, before any change.
    """
    params = _with_gradients(parameters)
    if not params:
        return Tensor(0.0)
    xp = xp_of(params[0]._data)
    sizes = xp.stack([xp.linalg.norm(p.grad._data.ravel(), norm_type) for p in params])
    total = xp.linalg.norm(sizes, norm_type)
    if error_if_nonfinite and not math.isfinite(float(total)):
        raise ValueError(f"clip_grad_norm_: the gradients' norm is {float(total)}; nothing was changed")
    scale = xp.minimum(max_norm / (total + 1e-6), 1.0)
    for p in params:
        p.grad._data *= scale.astype(p.dtype)
        mutated(p.grad._data)
    return wrap(xp.asarray(total), None)


def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    """Limit every element of every gradient to [-clip_value, clip_value]."""
    for p in _with_gradients(parameters):
        xp_of(p._data).clip(p.grad._data, -clip_value, clip_value, out=p.grad._data)
        mutated(p.grad._data)
