"""Mixture densities: our addition to PyTorch's losses."""

from __future__ import annotations

import math

from ...engine.tensor import Tensor
from ...ops.elementwise import exp
from ...ops.reduce import sum
from ...ops.shape import expand_dims
from ...ops.softmax import log_softmax, logsumexp
from .loss import reduced

__all__ = [
    "mixture_nll_loss",
]


def mixture_nll_loss(
    logits: Tensor, mean: Tensor, log_scale: Tensor, target: Tensor, reduction: str = "mean"
) -> Tensor:
    """-log sum_k softmax(logits)_k N(t; mean_k, e^log_scale_k): a density of K Gaussians (Bishop 1994).

    logits (..., K), mean (..., K, D), log_scale (..., K, D), or (..., K, 1) for round ones, target (..., D);
    losses (...,). Taken through logsumexp: a target far from every mean costs its squared distance and never
    infinity. Raises ValueError for shapes that do not fit.

    >>> import minigrad as mg
    >>> centre = mg.tensor([[0.0]], requires_grad=True)
    >>> loss = mg.nn.functional.mixture_nll_loss(mg.zeros(1), centre, mg.zeros((1, 1)), mg.tensor([2.0]))
    >>> loss.backward()
    >>> round(loss.item(), 4), centre.grad  # ln(2 pi) / 2 + 2^2 / 2
    (2.9189, tensor([[-2.]]))
    """
    head, k, d = logits.shape[:-1], logits.shape[-1:], target.shape[-1:]
    fits = logits.ndim and target.shape[:-1] == head and mean.shape == head + k + d
    if not (fits and log_scale.shape in (mean.shape, (*head, *k, 1))):
        raise ValueError(
            "mixture_nll_loss: expected logits (..., K), mean (..., K, D), log_scale (..., K, D or 1) "
            f"and target (..., D), got {logits.shape}, {mean.shape}, {log_scale.shape}, {target.shape}"
        )
    away = (expand_dims(target, -2) - mean) * exp(-log_scale)
    per_axis = -0.5 * away * away - log_scale - 0.5 * math.log(2.0 * math.pi)  # (..., K, D)
    losses = -logsumexp(log_softmax(logits, -1) + sum(per_axis, -1), -1)
    return reduced("mixture_nll_loss", losses, reduction)
