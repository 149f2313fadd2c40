"""Padding with PyTorch's signature."""

from __future__ import annotations

from typing import Any

from ...engine.tensor import Tensor
from ...ops.pad import pad as _pad

__all__ = [
    "pad",
]


def pad(input: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """PyTorch's pad: (left, right, top, bottom, ...), from the last axis back; negative widths crop."""
    widths = [int(w) for w in pad]
    if len(widths) % 2 or len(widths) > 2 * input.ndim:
        raise ValueError(f"pad: expected pairs for at most {input.ndim} axes (pad={tuple(widths)})")
    if value is not None and mode != "constant":
        raise ValueError(f"pad: a value is for mode='constant' only (value={value}, mode={mode!r})")
    pairs = [(0, 0)] * input.ndim
    for i in range(len(widths) // 2):
        pairs[input.ndim - 1 - i] = (widths[2 * i], widths[2 * i + 1])
    crop = tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(pairs, input.shape, strict=True))
    x = input[crop] if any(w < 0 for w in widths) else input
    return _pad(x, [(max(a, 0), max(b, 0)) for a, b in pairs], mode, 0.0 if value is None else value)
