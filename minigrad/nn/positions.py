"""Positions for sequences whose order attention would not see: sinusoidal, learned, rotary."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.backend import constant
from ..engine.tensor import Tensor, wrap
from ..ops.shape import concatenate, expand_dims
from . import init
from .module import Module
from .parameter import check_size, new_parameter

__all__ = [
    "LearnedPositions",
    "RotaryPositions",
    "SinusoidalPositions",
]


def _angles(length: int, width: int, base: float, start: int = 0) -> np.ndarray:
    """t base^(-2i / width) for positions t = start ..., i < width / 2: (length, width / 2), float64."""
    frequencies = base ** (-np.arange(0, width, 2) / width)
    return np.arange(start, start + length)[:, None] * frequencies


def _sequence(name: str, x: Tensor, width: int, length: int | None, batch_first: bool) -> int:
    """The length T of (..., T, width), or of (T, N, width) unless batch_first."""
    if x.ndim < 2 or x.shape[-1] != width:
        raise ValueError(f"{name}: expected a sequence of width {width}, got shape {x.shape}")
    steps = x.shape[-2] if batch_first or x.ndim == 2 else x.shape[0]
    if length is not None and steps > length:
        raise ValueError(f"{name}: expected at most max_length={length} positions, got {steps}")
    return steps


def _placed(table: Any, x: Tensor, batch_first: bool) -> Any:
    """(T, D) set to broadcast along x's batch."""
    return table if batch_first or x.ndim == 2 else expand_dims(table, 1)


class SinusoidalPositions(Module):
    """x + PE, PE[t, 2i] = sin(t / 10000^(2i/D)), PE[t, 2i + 1] = cos of the same: Vaswani et al. 2017, 3.5.

    x (N, T, D), or (T, N, D) with batch_first=False, or (T, D); D even. No parameters, any length.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> nn.SinusoidalPositions(4)(mg.zeros(2, 4)).numpy().astype(float).round(4).tolist()
    [[0.0, 1.0, 0.0, 1.0], [0.8415, 0.5403, 0.01, 0.9999]]
    """

    def __init__(self, d_model: int, batch_first: bool = True, base: float = 10000.0) -> None:
        super().__init__()
        check_size("SinusoidalPositions", d_model=d_model)
        if d_model % 2:
            raise ValueError(f"SinusoidalPositions: expected an even width (d_model={d_model})")
        if not base > 0:
            raise ValueError(f"SinusoidalPositions: expected base > 0 (base={base})")
        self.d_model, self.batch_first, self.base = d_model, batch_first, base

    def forward(self, x: Tensor) -> Tensor:
        """x + PE."""
        steps = _sequence("SinusoidalPositions", x, self.d_model, None, self.batch_first)

        def table() -> np.ndarray:
            angles = _angles(steps, self.d_model, self.base)
            return np.stack([np.sin(angles), np.cos(angles)], -1).reshape(steps, self.d_model)

        there = constant(x.device.xp, table, x.dtype, ("sinusoids", steps, self.d_model, self.base))
        return x + _placed(wrap(there, None), x, self.batch_first)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{self.d_model}, batch_first={self.batch_first}, base={self.base}"


class LearnedPositions(Module):
    """x + W[t], a learned row for each of max_length positions: Gehring et al. 2017, section 3.1.

    x (N, T, D), or (T, N, D) with batch_first=False, or (T, D). Raises ValueError for longer sequences.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> place = nn.LearnedPositions(10, 4)
    >>> place(mg.zeros(3, 2, 4)).sum().backward()
    >>> place.weight.grad[:, 0]
    tensor([3., 3., 0., 0., 0., 0., 0., 0., 0., 0.])
    """

    def __init__(
        self, max_length: int, d_model: int, batch_first: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        check_size("LearnedPositions", max_length=max_length, d_model=d_model)
        self.max_length, self.d_model, self.batch_first = max_length, d_model, batch_first
        self.weight = new_parameter(max_length, d_model, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again from normal rows of deviation 0.02 (Radford et al. 2018)."""
        init.normal_(self.weight, 0.0, 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """x + W[:T]."""
        steps = _sequence("LearnedPositions", x, self.d_model, self.max_length, self.batch_first)
        return x + _placed(self.weight[:steps], x, self.batch_first)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{self.max_length}, {self.d_model}, batch_first={self.batch_first}"


class RotaryPositions(Module):
    """Pairs of coordinates turned by angles t 10000^(-2i/D): Su et al. 2021, section 3.2.

    (x_2i, x_2i+1) -> (x_2i cos - x_2i+1 sin, x_2i sin + x_2i+1 cos), for query and key (..., T, D) alike, so
    that q_t . k_s depends on t - s only. Called with both it returns both; `offset` is the first position
    (for decoding with a cache). interleaved=False pairs coordinate i with i + D/2 (the GPT-NeoX layout).

    >>> import math
    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> q, k = nn.RotaryPositions(2)(mg.tensor([[1.0, 0.0], [1.0, 0.0]]), mg.tensor([[0.0, 1.0]]))
    >>> bool(abs(q[1] - mg.tensor([math.cos(1), math.sin(1)])).max() < 1e-6)
    True
    """

    def __init__(self, head_dim: int, base: float = 10000.0, interleaved: bool = True) -> None:
        super().__init__()
        check_size("RotaryPositions", head_dim=head_dim)
        if head_dim % 2:
            raise ValueError(f"RotaryPositions: expected an even width (head_dim={head_dim})")
        if not base > 0:
            raise ValueError(f"RotaryPositions: expected base > 0 (base={base})")
        self.head_dim, self.base, self.interleaved = head_dim, base, interleaved

    def turn(self, x: Tensor, offset: int = 0) -> Tensor:
        """x (..., T, D) with row t turned by t + offset steps."""
        steps = _sequence("RotaryPositions", x, self.head_dim, None, True)
        how = (steps, self.head_dim, self.base, offset)
        xp, pair = x.device.xp, (*x.shape[:-1], self.head_dim // 2, 2)
        cos, sin = (
            wrap(constant(xp, lambda f=f: f(_angles(*how)), x.dtype, (f.__name__, how)), None)
            for f in (np.cos, np.sin)
        )
        if self.interleaved:
            pairs = x.reshape(pair)
            a, b = pairs[..., 0], pairs[..., 1]
            turned = [expand_dims(y, -1) for y in (a * cos - b * sin, a * sin + b * cos)]
            return concatenate(turned, -1).reshape(x.shape)
        a, b = x[..., : self.head_dim // 2], x[..., self.head_dim // 2 :]
        return concatenate([a * cos - b * sin, a * sin + b * cos], -1)

    def forward(self, query: Tensor, key: Tensor, offset: int = 0) -> tuple[Tensor, Tensor]:
        """(query, key), both turned."""
        return self.turn(query, offset), self.turn(key, offset)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{self.head_dim}, base={self.base}, interleaved={self.interleaved}"
