"""Distances and similarities, with PyTorch's signatures."""

from __future__ import annotations

import numpy as np

from ...engine.autocast import in_float32
from ...engine.backend import xp_of
from ...engine.tensor import Tensor, wrap
from ...ops.elementwise import maximum
from ...ops.index import take
from ...ops.reduce import norm, sum
from ...ops.shape import broadcast_to

__all__ = [
    "cosine_similarity",
    "pairwise_distance",
    "pdist",
]


@in_float32
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along dim; the shapes broadcast.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 0.0], requires_grad=True)
    >>> y = mg.nn.functional.cosine_similarity(x, mg.tensor([3.0, 4.0]), dim=0)
    >>> y.backward()
    >>> round(y.item(), 6), x.grad
    (0.6, tensor([0. , 0.8]))
    """
    try:
        shape = np.broadcast_shapes(x1.shape, x2.shape)
    except ValueError:
        told = f"(x1: {x1.shape}, x2: {x2.shape})"
        raise ValueError(f"cosine_similarity: expected shapes that broadcast {told}") from None
    x1, x2 = broadcast_to(x1, shape), broadcast_to(x2, shape)
    lengths = [maximum(norm(x, 2, dim, True), eps) for x in (x1, x2)]
    return sum((x1 / lengths[0]) * (x2 / lengths[1]), dim)


@in_float32
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """|x1 - x2 + eps|_p over the last axis: (..., D) and (..., D) -> (...,); the shapes broadcast."""
    return norm(x1 - x2 + eps, p, -1, keepdim)


@in_float32
def pdist(input: Tensor, p: float = 2) -> Tensor:
    """|x_i - x_j|_p for all rows i < j: (N, D) -> (N (N - 1) / 2,), row by row. ValueError for p < 0."""
    if input.ndim != 2:
        raise ValueError(f"pdist: expected points (N, D), got shape {input.shape}")
    if not p >= 0:
        raise ValueError(f"pdist: expected p >= 0 (p={p})")
    n, xp = len(input), xp_of(input._data)
    first, second = xp.nonzero(xp.tri(n, k=-1, dtype=bool).T)
    return norm(take(input, wrap(first, None), 0) - take(input, wrap(second, None), 0), p, 1)
