"""Dropout: in training, elements (or whole channels) are zeroed at random."""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from . import functional as F
from .functional.dropout import check_probability
from .module import Module

__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
]


class Dropout(Module):
    """x m / (1 - p) in training, m drawn per element; x itself in eval (Srivastava et al. 2014).

    inplace=True: the result is the same Tensor as the input.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> _ = mg.manual_seed(0)
    >>> nn.Dropout(0.5)(mg.ones(6))
    tensor([2., 0., 0., 2., 2., 2.])
    """

    _function: Any = staticmethod(F.dropout)

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        check_probability(type(self).__name__, p=p)
        self.p, self.inplace = p, inplace

    def forward(self, x: Tensor) -> Tensor:
        """dropout(x)."""
        return self._function(x, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """The settings."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout1d(Dropout):
    """Whole channels of (N, C, L) or (C, L) zeroed."""

    _function = staticmethod(F.dropout1d)


class Dropout2d(Dropout):
    """Whole channels of (N, C, H, W) zeroed (Tompson et al. 2015)."""

    _function = staticmethod(F.dropout2d)


class Dropout3d(Dropout):
    """Whole channels of (N, C, D, H, W) or (C, D, H, W) zeroed."""

    _function = staticmethod(F.dropout3d)


class AlphaDropout(Dropout):
    """Dropout that keeps mean 0 and variance 1, for networks of SELU (Klambauer et al. 2017)."""

    _function = staticmethod(F.alpha_dropout)


class FeatureAlphaDropout(Dropout):
    """AlphaDropout of whole channels of (N, C, ...)."""

    _function = staticmethod(F.feature_alpha_dropout)
