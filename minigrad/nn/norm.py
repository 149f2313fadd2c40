"""Normalisation layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.node import mutated
from ..engine.tensor import Tensor
from ..ops.norm import check_channels
from . import functional as F
from .linear import check_size, new_parameter
from .module import Module

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
]


class _BatchNorm(Module):
    _dims: tuple[int, ...] = ()

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_size(type(self).__name__, num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        new = lambda: new_parameter(num_features, device=device, dtype=dtype)
        self.weight = new() if affine else None
        self.bias = new() if affine and bias else None
        tracked = track_running_stats
        self.register_buffer("running_mean", new().detach() if tracked else None)
        self.register_buffer("running_var", new().detach() if tracked else None)
        self.register_buffer("num_batches_tracked", Tensor(np.array(0, np.int64)) if tracked else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the running statistics."""
        if self.track_running_stats:
            for t, value in ((self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0)):
                t._data[...] = value

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, statistics forgotten."""
        self.reset_running_stats()
        if self.affine:
            self.weight._data[...] = 1
        if self.bias is not None:
            self.bias._data[...] = 0

    def forward(self, x: Tensor) -> Tensor:
        """Normalise by the batch in training (or if nothing is tracked), else by the running statistics."""
        name = type(self).__name__
        check_channels(name, x, self.num_features, self._dims)
        if not self.training and self.track_running_stats:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        factor = self._next_factor() if self.training and self.track_running_stats else 0.0
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, True, factor, self.eps
        )

    def _next_factor(self) -> float:
        """How much the new batch counts: momentum, or 1 / batches for a plain average (momentum=None)."""
        self.num_batches_tracked._data += 1
        mutated(self.num_batches_tracked._data)
        return self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Batch norm of (N, C) or (N, C, L), per channel."""

    _dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch norm of (N, C, H, W), per channel (Ioffe & Szegedy 2015)."""

    _dims = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch norm of (N, C, D, H, W), per channel."""

    _dims = (5,)
