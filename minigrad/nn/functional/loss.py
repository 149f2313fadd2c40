"""Losses of numbers, probabilities and densities, with PyTorch's signatures.

Every loss ends in one of PyTorch's reductions: 'none' keeps the shape, 'mean' and 'sum' give a scalar.
The deprecated `size_average` and `reduce` are left out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...engine.autocast import in_float32
from ...engine.backend import is_float, xp_of
from ...engine.flags import check_range
from ...engine.tensor import Tensor
from ...ops import loss as _loss
from ...ops.activation import logsigmoid
from ...ops.elementwise import abs as _abs
from ...ops.elementwise import exp, log, maximum, where
from ...ops.shape import expand_dims

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "gaussian_nll_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
]


def check_reduction(name: str, reduction: str, more: tuple[str, ...] = ()) -> None:
    """'none', 'mean' or 'sum', and nothing else."""
    known = ("none", "mean", "sum", *more)
    if reduction not in known:
        raise ValueError(f"{name}: expected one of {', '.join(known)} (reduction={reduction!r})")


def reduced(name: str, losses: Tensor, reduction: str) -> Tensor:
    """The losses, their mean, or their sum."""
    check_reduction(name, reduction)
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


def _same_shape(name: str, input: Any, target: Any, what: str = "target") -> None:
    """No silent broadcasting: a loss of (N,) against (N, 1) is a mistake."""
    if np.shape(input) != np.shape(target):
        raise ValueError(
            f"{name}: expected {what} of shape {np.shape(input)}, got {np.shape(target)}; reshape one of them"
        )


def in_dtype_of(input: Tensor, target: Tensor) -> Tensor:
    """A target of whole numbers or booleans as floats, so that arithmetic with it widens nothing."""
    return target if is_float(target.dtype) else target.astype(input.dtype)


def check_constant(name: str, **weights: Tensor | None) -> None:
    """Weights of elements or classes are no inputs to differentiate by; refused as in PyTorch."""
    for key, weight in weights.items():
        if weight is not None and weight.requires_grad:
            raise ValueError(f"{name}: {key} has no gradient, got one that requires grad; use {key}.detach()")


# ---------------------------------------------------------------- numbers


def _weighted(
    name: str, losses: Tensor, reduction: str, weight: Tensor | None, by_weight: bool = True
) -> Tensor:
    """Losses times weights of the same shape; the mean is over the weights (or over the elements)."""
    if weight is None:
        return reduced(name, losses, reduction)
    _same_shape(name, losses, weight, "weight")
    losses = losses * weight
    if reduction == "mean" and by_weight:
        return losses.sum() / weight.sum()
    return reduced(name, losses, reduction)


@in_float32
def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """(x - t)^2; with weights w, 'mean' is sum w (x - t)^2 / sum w. ValueError unless all shapes are equal.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 3.0], requires_grad=True)
    >>> loss = mg.nn.functional.mse_loss(x, mg.tensor([0.0, 3.0]))
    >>> loss.backward()
    >>> loss.item(), x.grad
    (0.5, tensor([1., 0.]))
    """
    _same_shape("mse_loss", input, target)
    away = input - target
    return _weighted("mse_loss", away * away, reduction, weight)


@in_float32
def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """|x - t|; with weights w, 'mean' is sum w |x - t| / sum w."""
    _same_shape("l1_loss", input, target)
    return _weighted("l1_loss", _abs(input - target), reduction, weight)


@in_float32
def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """d^2 / 2 where |d| < delta, else delta (|d| - delta / 2) (Huber 1964); 'mean' is over the elements."""
    _same_shape("huber_loss", input, target)
    check_positive("huber_loss", delta=delta)
    d = input - target
    size = _abs(d)
    losses = where(size < delta, 0.5 * d * d, delta * (size - 0.5 * delta))
    return _weighted("huber_loss", losses, reduction, weight, by_weight=False)


def check_positive(name: str, **settings: float) -> None:
    """Refuse a setting that is not above 0, by name."""
    for key, value in settings.items():
        if not value > 0:
            raise ValueError(f"{name}: expected {key} > 0 ({key}={value})")


@in_float32
def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """d^2 / (2 beta) where |d| < beta, else |d| - beta / 2 (Girshick 2015); the L1 loss for beta = 0."""
    _same_shape("smooth_l1_loss", input, target)
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: expected beta >= 0 (beta={beta})")
    if beta == 0:
        return l1_loss(input, target, reduction)
    return huber_loss(input, target, reduction, beta) * (1.0 / beta)


# ---------------------------------------------------------------- probabilities


@in_float32
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """-(t log x + (1 - t) log(1 - x)) for probabilities x; the logarithms are held above -100, as in PyTorch.

    Raises ValueError for x or t outside [0, 1] and for shapes that differ.
    """
    _same_shape("binary_cross_entropy", input, target)
    check_constant("binary_cross_entropy", weight=weight)
    for what, p in (("input", input), ("target", target)):
        told = f"expected probabilities in [0, 1] ({what}); use the with_logits form for scores"
        told = f"binary_cross_entropy: {told}"
        if not isinstance(p._data, np.ndarray):
            check_range(xp_of(p._data), p._data, 0.0, 1.0, ValueError, told)
        elif not bool(((p._data >= 0) & (p._data <= 1)).all()):  # said so, NaN is refused too
            raise ValueError(told)
    losses = _loss.binary_cross_entropy(input, target)
    return reduced("binary_cross_entropy", losses if weight is None else losses * weight, reduction)


@in_float32
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """binary_cross_entropy of sigmoid(x), stable: (1 - t) x - (1 + (p - 1) t) log sigmoid(x), p = pos_weight.

    >>> import minigrad as mg
    >>> x = mg.tensor([0.0, 1000.0], requires_grad=True)
    >>> t = mg.tensor([1.0, 1.0])
    >>> mg.nn.functional.binary_cross_entropy_with_logits(x, t, reduction="sum").backward()
    >>> x.grad
    tensor([-0.5,  0. ])
    """
    name = "binary_cross_entropy_with_logits"
    _same_shape(name, input, target)
    check_constant(name, weight=weight, pos_weight=pos_weight)
    target = in_dtype_of(input, target)
    scale = 1.0 if pos_weight is None else 1.0 + (pos_weight - 1.0) * target
    losses = (1.0 - target) * input - scale * logsigmoid(input)
    return reduced(name, losses if weight is None else losses * weight, reduction)


@in_float32
def kl_div(input: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """t (log t - x) for log-probabilities x, 0 where t = 0; with log_target, e^t (t - x).

    'batchmean' divides the sum by the batch size, which is the divergence; 'mean' divides by all elements.
    """
    check_reduction("kl_div", reduction, ("batchmean",))
    target = in_dtype_of(input, target)
    if log_target:
        losses = exp(target) * (target - input)
    else:
        none = target == 0
        losses = where(none, 0.0, target * (log(where(none, 1.0, target)) - input))
    if reduction == "batchmean":
        return losses.sum() * (1.0 / max(input.shape[0], 1) if input.ndim else 1.0)
    return reduced("kl_div", losses, reduction)


# ---------------------------------------------------------------- densities


@in_float32
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """e^x - t x for a log-rate x, or x - t log(x + eps) for a rate: -log of Poisson's t, less log t!.

    full: adds Stirling's approximation of log t!, t log t - t + log(2 pi t) / 2, where t > 1.
    """
    losses = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        large = target > 1
        t = where(large, target, 1.0).astype(input.dtype)  # counts may be whole numbers
        losses = losses + where(large, t * log(t) - t + 0.5 * log(2.0 * math.pi * t), 0.0)
    return reduced("poisson_nll_loss", losses, reduction)


@in_float32
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """(log v + (x - t)^2 / v) / 2 with v = max(var, eps), whose gradient is that of var (Nix & Weigend 1994).

    var: the shape of x (..., D), or one a row: (...,) or (..., 1), or a number. full: adds log(2 pi) / 2.
    Raises ValueError for a negative variance or another shape.
    """
    name = "gaussian_nll_loss"
    check_positive(name, eps=eps)
    v = _variance(name, var if isinstance(var, Tensor) else input.detach() * 0.0 + var, input)
    v = v + (maximum(v.detach(), eps) - v.detach())  # held above eps, but learning still
    away = input - target
    losses = 0.5 * (log(v) + away * away / v)
    return reduced(name, losses + 0.5 * math.log(2.0 * math.pi) if full else losses, reduction)


def _variance(name: str, var: Tensor, input: Tensor) -> Tensor:
    """var, checked, set to broadcast against the input."""
    if not isinstance(var._data, np.ndarray):
        text = f"{name}: expected variances >= 0, got {{value}}"
        check_range(xp_of(var._data), var._data, 0.0, math.inf, ValueError, text)
    elif bool((var._data < 0).any()):
        raise ValueError(f"{name}: expected variances >= 0, got {float(var._data.min())}")
    if var.shape == input.shape:
        return var
    if var.shape == input.shape[:-1]:
        return expand_dims(var, -1)
    shared = [n for n, m in zip(var.shape, input.shape, strict=False) if n != m]
    if var.ndim != input.ndim or shared != [1]:
        raise ValueError(
            f"{name}: expected var of shape {input.shape}, {input.shape[:-1]} or with one axis of length 1, "
            f"got {var.shape}"
        )
    return var
