"""The mixture-density loss as a module."""

from __future__ import annotations

from ..engine.tensor import Tensor
from . import functional as F
from .losses import _Loss

__all__ = [
    "MixtureNLLLoss",
]


class MixtureNLLLoss(_Loss):
    """-log of a mixture of K Gaussians at the target (Bishop 1994): what a mixture density network minimises.

    >>> import minigrad as mg
    >>> loss, zeros = mg.nn.MixtureNLLLoss(), mg.zeros
    >>> round(loss(zeros(4, 3), zeros(4, 3, 2), zeros(4, 3, 2), zeros(4, 2)).item(), 5)  # ln 2 pi
    1.83788
    """

    def forward(self, logits: Tensor, mean: Tensor, log_scale: Tensor, target: Tensor) -> Tensor:  # type: ignore[override]
        """mixture_nll_loss."""
        return F.mixture_nll_loss(logits, mean, log_scale, target, self.reduction)
