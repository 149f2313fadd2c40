"""Distances as modules."""

from __future__ import annotations

from ..engine.tensor import Tensor
from . import functional as F
from .module import Module

__all__ = [
    "CosineSimilarity",
    "PairwiseDistance",
]


class PairwiseDistance(Module):
    """|x1 - x2 + eps|_p over the last axis: (..., D) -> (...,), or (..., 1) with keepdim.

    >>> import minigrad as mg
    >>> mg.nn.PairwiseDistance(eps=0.0)(mg.tensor([3.0, 4.0]), mg.zeros(2))
    tensor(5.)
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """pairwise_distance."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along dim."""

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """cosine_similarity."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
