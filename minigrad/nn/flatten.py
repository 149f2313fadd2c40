"""Modules that only change shape, and the one that changes nothing."""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from ..ops.shape import flatten, reshape
from .module import Module

__all__ = ["Flatten", "Identity", "Unflatten"]


class Identity(Module):
    """y = x; arguments of any kind are taken and mean nothing, as in PyTorch."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__()

    def forward(self, x: Any) -> Any:
        """x."""
        return x


class Flatten(Module):
    """Axes start_dim to end_dim joined: (N, C, H, W) becomes (N, C*H*W)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        """flatten(x)."""
        return flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The two axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Axis `dim` cut up into `unflattened_size`."""

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, x: Tensor) -> Tensor:
        """reshape(x)."""
        dim = self.dim % x.ndim
        return reshape(x, (*x.shape[:dim], *self.unflattened_size, *x.shape[dim + 1 :]))

    def extra_repr(self) -> str:
        """Axis and sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
