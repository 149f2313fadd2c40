"""Penalties on weights, to add to a loss: one line for a whole model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

from ..engine.tensor import Tensor
from .module import Module
from .norm import GroupNorm, LayerNorm, RMSNorm, _PerChannel

__all__ = ["elastic_net_penalty", "l1_penalty", "l2_penalty"]


def _chosen(what: str, model: Module | Iterable[Tensor], parameters: str) -> list[Tensor]:
    """A model's parameters by name; "weight": all with 2 axes or more that are no normalisation's."""
    if isinstance(model, Tensor):
        return [model]
    if not isinstance(model, Module):
        if parameters != "weight":
            raise ValueError(f"{what}: names are known of a Module only (parameters={parameters!r})")
        found = list(model) if isinstance(model, Iterable) else [model]
        for p in found:
            if not isinstance(p, Tensor):
                raise TypeError(f"{what}: expected a Module or tensors (model), got {type(p).__name__}")
        return found
    if parameters != "weight":
        found = [p for name, p in model.named_parameters() if fnmatchcase(name, parameters)]
    else:
        norms = (m for m in model.modules() if isinstance(m, _PerChannel | LayerNorm | GroupNorm | RMSNorm))
        left_out = {id(p) for m in norms for p in m.parameters()}
        found = [p for p in model.parameters() if p.ndim > 1 and id(p) not in left_out]
    if not found:
        raise ValueError(f"{what}: {type(model).__name__} has no such parameter (parameters={parameters!r})")
    return found


def _total(size: Callable[[Tensor], Any], found: list[Tensor]) -> Any:
    return sum((size(p).sum() for p in found[1:]), size(found[0]).sum()) if found else Tensor(0.0)


def _check(what: str, **strengths: float) -> None:
    for name, value in strengths.items():
        if not value >= 0:  # said so, NaN is refused too
            raise ValueError(f"{what}: expected a number >= 0 ({name}={value})")


def l1_penalty(model: Module | Iterable[Tensor], strength: float, parameters: str = "weight") -> Tensor:
    """strength * sum |w|, a scalar to add to the loss: drives weights to exactly 0 (Tibshirani 1996).

    model: a Module, or the parameters themselves. parameters: which of a Module's by their dotted names, as
    in "*bias", "encoder.*" or "*"; "weight" stands for all weights, not biases or normalisation.
    Raises ValueError if there are none.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> w = mg.tensor([3.0, -4.0], requires_grad=True)
    >>> penalty = nn.l1_penalty([w], 0.1)
    >>> round(penalty.item(), 6)
    0.7
    >>> penalty.backward()
    >>> w.grad
    tensor([ 0.1, -0.1])
    """
    _check("l1_penalty", strength=strength)
    return _total(abs, _chosen("l1_penalty", model, parameters)) * strength


def l2_penalty(model: Module | Iterable[Tensor], strength: float, parameters: str = "weight") -> Tensor:
    """strength * sum w^2, a scalar to add to the loss; arguments as in l1_penalty.

    Its gradient is 2 strength w: SGD's weight_decay=d is strength d / 2.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> w = mg.tensor([3.0, -4.0], requires_grad=True)
    >>> penalty = nn.l2_penalty([w], 0.1)
    >>> penalty.item()
    2.5
    >>> penalty.backward()
    >>> w.grad
    tensor([ 0.6, -0.8])
    """
    _check("l2_penalty", strength=strength)
    return _total(lambda p: p * p, _chosen("l2_penalty", model, parameters)) * strength


def elastic_net_penalty(
    model: Module | Iterable[Tensor], l1: float, l2: float, parameters: str = "weight"
) -> Tensor:
    """l1 * sum |w| + l2 * sum w^2 (Zou & Hastie 2005); other arguments as in l1_penalty.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> w = mg.tensor([3.0, -4.0], requires_grad=True)
    >>> penalty = nn.elastic_net_penalty([w], 1.0, 0.5)
    >>> penalty.item()
    19.5
    >>> penalty.backward()
    >>> w.grad
    tensor([ 4., -5.])
    """
    _check("elastic_net_penalty", l1=l1, l2=l2)
    return _total(lambda p: abs(p) * l1 + p * p * l2, _chosen("elastic_net_penalty", model, parameters))
