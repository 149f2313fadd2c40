"""Dropout: in training, elements (or whole channels) are zeroed at random."""

from __future__ import annotations

from ..engine.tensor import Tensor
from . import functional as F
from .activation import refuse_inplace
from .module import Module

__all__ = [
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
]


class Dropout(Module):
    """x m / (1 - p) in training, m drawn per element; x itself in eval (Srivastava et al. 2014)."""

    _function = staticmethod(F.dropout)

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        refuse_inplace(type(self).__name__, inplace)
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"{type(self).__name__}: expected a probability in [0, 1] (p={p})")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """dropout(x)."""
        return self._function(x, self.p, self.training)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}, inplace=False"


class Dropout1d(Dropout):
    """Whole channels of (N, C, L) zeroed."""

    _function = staticmethod(F.dropout1d)


class Dropout2d(Dropout):
    """Whole channels of (N, C, H, W) zeroed (Tompson et al. 2015)."""

    _function = staticmethod(F.dropout2d)


class Dropout3d(Dropout):
    """Whole channels of (N, C, D, H, W) zeroed."""

    _function = staticmethod(F.dropout3d)
