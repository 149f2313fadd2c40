"""Dropout: elements or whole channels zeroed at random."""

from __future__ import annotations

from ...engine.tensor import Tensor, wrap
from ...ops import random as _random

__all__ = [
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
]


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """x m / (1 - p), m = 1 with probability 1 - p; x itself unless training."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout: expected a probability in [0, 1] (p={p})")
    return _random.dropout(input, p=p) if training and p else input


def _channels(name: str, x: Tensor, p: float, training: bool, ndim: int) -> Tensor:
    if x.ndim not in (ndim, ndim - 1):
        raise ValueError(f"{name}: expected {ndim} axes (or {ndim - 1} without a batch), got shape {x.shape}")
    if not training or not p:
        return x
    kept = x.ndim - ndim + 2
    ones = wrap(x.device.xp.ones(x.shape[:kept] + (1,) * (ndim - 2), x.dtype), None)
    return x * _random.dropout(ones, p=p)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Whole channels of (N, C, L) zeroed."""
    return _channels("dropout1d", input, p, training, 3)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Whole channels of (N, C, H, W) zeroed."""
    return _channels("dropout2d", input, p, training, 4)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Whole channels of (N, C, D, H, W) zeroed."""
    return _channels("dropout3d", input, p, training, 5)
