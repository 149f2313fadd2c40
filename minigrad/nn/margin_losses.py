"""Margin losses as modules: PyTorch's classes, without the deprecated `size_average` and `reduce`."""

from __future__ import annotations

from collections.abc import Callable

from ..engine.tensor import Tensor
from . import functional as F
from .distance import PairwiseDistance
from .functional.loss import check_positive
from .functional.margin_loss import check_power
from .losses import _Loss, _WeightedLoss

__all__ = [
    "CosineEmbeddingLoss",
    "HingeEmbeddingLoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]


class SoftMarginLoss(_Loss):
    """log(1 + e^(-t x)), t = +1 or -1, averaged."""

    _function = F.soft_margin_loss


class HingeEmbeddingLoss(_Loss):
    """x where t = 1, max(0, margin - x) where t = -1 (Hadsell et al. 2006)."""

    _function = F.hinge_embedding_loss

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin


class _Pair(_Loss):
    """Of two inputs."""

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:  # type: ignore[override]
        """The loss of that name in nn.functional."""
        return self._loss(input1, input2, target)


class MarginRankingLoss(_Pair):
    """max(0, margin - t (x1 - x2)), t = +1 or -1."""

    _function = F.margin_ranking_loss


class CosineEmbeddingLoss(_Pair):
    """1 - cos(x1, x2) where t = 1, max(0, cos - margin) where t = -1."""

    _function = F.cosine_embedding_loss


class MultiMarginLoss(_WeightedLoss):
    """sum_(i != t) w[t] max(0, margin - x[t] + x[i])^p / C, averaged (Crammer & Singer 2001)."""

    _function = F.multi_margin_loss

    def __init__(
        self, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(weight, reduction)
        check_power("MultiMarginLoss", p)
        if weight is not None and weight.ndim != 1:
            raise ValueError(f"MultiMarginLoss: expected weight (C,), got shape {weight.shape}")
        self.p, self.margin = p, margin


class MultiLabelMarginLoss(_Loss):
    """Every label's score against every other class's: max(0, 1 - x[j] + x[i]) / C; labels end at -1."""

    _function = F.multilabel_margin_loss


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """A logistic loss for each class, averaged: t = 0 or 1 of the shape of x (N, C)."""

    _function = F.multilabel_soft_margin_loss


class _Triplet(_Loss):
    """Of an anchor, one alike and one unlike it."""

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:  # type: ignore[override]
        """The loss of that name in nn.functional."""
        return self._loss(anchor, positive, negative)


class TripletMarginLoss(_Triplet):
    """max(0, margin + |a - p| - |a - n|), averaged (Schroff et al. 2015)."""

    _function = F.triplet_margin_loss

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        check_positive("TripletMarginLoss", margin=margin)
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap


class TripletMarginWithDistanceLoss(_Triplet):
    """The same with any distance (a function or a module), PairwiseDistance by default."""

    _function = F.triplet_margin_with_distance_loss

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        check_positive("TripletMarginWithDistanceLoss", margin=margin)
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.margin, self.swap = margin, swap
