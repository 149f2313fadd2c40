"""The losses of nn.functional, with PyTorch's signatures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...engine.tensor import Tensor, wrap
from ...ops import loss as _loss
from ...ops.activation import logsigmoid
from ...ops.elementwise import abs as _abs
from ...ops.elementwise import exp, log, maximum, where
from ...ops.index import take, take_along_axis
from ...ops.reduce import sum
from ...ops.shape import expand_dims, moveaxis, reshape
from ...ops.softmax import log_softmax as _log_softmax

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
]


def check_reduction(name: str, reduction: str, more: tuple[str, ...] = ()) -> None:
    """'none', 'mean' or 'sum', and nothing else."""
    known = ("none", "mean", "sum", *more)
    if reduction not in known:
        raise ValueError(f"{name}: expected one of {', '.join(known)} (reduction={reduction!r})")


def _reduced(name: str, losses: Tensor, reduction: str) -> Tensor:
    check_reduction(name, reduction)
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


def _same_shape(name: str, x: Any, target: Any) -> None:
    """No silent broadcasting: a loss of (N,) against (N, 1) is a mistake."""
    if np.shape(x) != np.shape(target):
        raise ValueError(
            f"{name}: expected target of shape {np.shape(x)}, got {np.shape(target)}; reshape one of them"
        )


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """(x - t)^2."""
    _same_shape("mse_loss", input, target)
    away = input - target
    return _reduced("mse_loss", away * away, reduction)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """|x - t|."""
    _same_shape("l1_loss", input, target)
    return _reduced("l1_loss", _abs(input - target), reduction)


def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """d^2 / 2 where |d| < delta, else delta (|d| - delta / 2)."""
    _same_shape("huber_loss", input, target)
    if delta <= 0:
        raise ValueError(f"huber_loss: expected delta > 0 (delta={delta})")
    d = input - target
    size = _abs(d)
    return _reduced("huber_loss", where(size < delta, 0.5 * d * d, delta * (size - 0.5 * delta)), reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """huber_loss / beta; the L1 loss for beta = 0."""
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: expected beta >= 0 (beta={beta})")
    if beta == 0:
        return l1_loss(input, target, reduction)
    return huber_loss(input, target, reduction, beta) * (1.0 / beta)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """-x[target] for log-probabilities x (N, C, ...) and labels (N, ...)."""
    x, target = _class_axis("nll_loss", input, target)
    labels = target._data
    _loss.check_labels("nll_loss", labels, x.shape[1], ignore_index)
    kept = labels != ignore_index
    label = labels * kept
    losses = -take_along_axis(x, expand_dims(label, 1), 1).sum(1)
    weights = wrap(kept.astype(x.dtype), None) if weight is None else take(weight, label) * kept
    losses = where(kept, losses * weights, 0.0)
    if reduction == "mean":
        return reshape(losses.sum() / weights.sum(), ())
    losses = losses if input.ndim > 1 or reduction == "sum" else losses[0]
    return _reduced("nll_loss", losses, reduction)


def _class_axis(name: str, x: Tensor, target: Any) -> tuple[Tensor, Tensor]:
    """x as (N, C, ...) and target as (N, ...): a lone sample gets a batch axis."""
    target = target if isinstance(target, Tensor) else Tensor(target)
    if x.ndim == 0:
        raise ValueError(f"{name}: expected scores (C,) or (N, C, ...), got a scalar")
    lone = x.ndim == 1
    wanted = () if lone else (x.shape[0], *x.shape[2:])
    if target.shape != wanted:
        raise ValueError(
            f"{name}: expected target of shape {wanted} for scores {x.shape}, got {target.shape}"
        )
    return (expand_dims(x, 0), expand_dims(target, 0)) if lone else (x, target)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(x)[target]: class labels (N, ...), or probabilities of the shape of x (N, C, ...)."""
    check_reduction("cross_entropy", reduction)
    target = target if isinstance(target, Tensor) else Tensor(target)
    if target.shape == input.shape and target.dtype.kind not in "iub" and input.ndim:
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    if weight is not None and weight.shape != (input.shape[1 if input.ndim > 1 else 0],):
        raise ValueError(f"cross_entropy: expected a weight for each class, got shape {weight.shape}")
    x, labels = _class_axis("cross_entropy", input, target)
    y = _loss.cross_entropy(
        x, labels, weight, reduction=reduction, ignore_index=ignore_index, label_smoothing=label_smoothing
    )
    return y[0] if reduction == "none" and input.ndim == 1 else y


def _soft_cross_entropy(x: Tensor, target: Tensor, weight: Any, reduction: str, smoothing: float) -> Tensor:
    """-sum_c t_c w_c log p_c, for target distributions."""
    axis = 1 if x.ndim > 1 else 0
    classes = x.shape[axis]
    if smoothing:
        target = target * (1.0 - smoothing) + smoothing / classes
    terms = target * _log_softmax(x, axis)
    if weight is not None:
        terms = moveaxis(moveaxis(terms, axis, -1) * weight, -1, axis)
    losses = -sum(terms, axis)
    if reduction == "mean":  # over samples: N and the positions behind C
        return losses.sum() * (1.0 / max(losses.size, 1))
    return _reduced("cross_entropy", losses, reduction)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """-(t log x + (1 - t) log(1 - x)); the logarithms are held above -100, as in PyTorch."""
    _same_shape("binary_cross_entropy", input, target)
    if bool(((input._data < 0) | (input._data > 1)).any()):
        raise ValueError(
            "binary_cross_entropy: expected probabilities in [0, 1]; use the with_logits form for scores"
        )
    tiny = math.exp(-100.0)
    losses = -(target * log(maximum(input, tiny)) + (1.0 - target) * log(maximum(1.0 - input, tiny)))
    return _reduced("binary_cross_entropy", losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """binary_cross_entropy(sigmoid(x), t), stable: (1 - t) x - (1 + (p - 1) t) log sigmoid(x)."""
    _same_shape("binary_cross_entropy_with_logits", input, target)
    scale = 1.0 if pos_weight is None else 1.0 + (pos_weight - 1.0) * target
    losses = (1.0 - target) * input - scale * logsigmoid(input)
    return _reduced(
        "binary_cross_entropy_with_logits", losses if weight is None else losses * weight, reduction
    )


def kl_div(input: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """t (log t - x) for log-probabilities x; 'batchmean' divides the sum by the batch size."""
    check_reduction("kl_div", reduction, ("batchmean",))
    if log_target:
        losses = exp(target) * (target - input)
    else:
        positive = target > 0
        losses = where(positive, target * (log(where(positive, target, 1.0)) - input), 0.0)
    if reduction == "batchmean":
        return losses.sum() * (1.0 / input.shape[0])
    return _reduced("kl_div", losses, reduction)
