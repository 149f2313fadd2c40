"""Distances and similarities."""

from __future__ import annotations

from ...engine.tensor import Tensor
from ...ops.elementwise import maximum
from ...ops.reduce import norm, sum

__all__ = [
    "cosine_similarity",
]


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along dim."""
    lengths = maximum(norm(x1, 2, dim), eps) * maximum(norm(x2, 2, dim), eps)
    return sum(x1 * x2, dim) / lengths
