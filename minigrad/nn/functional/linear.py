"""Linear maps with PyTorch's signatures."""

from __future__ import annotations

from ...ops.linear import linear

__all__ = [
    "linear",
]
