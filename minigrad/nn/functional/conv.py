"""Convolutions with PyTorch's signatures."""

from __future__ import annotations

from typing import Any

from ...engine.tensor import Tensor
from ...ops.conv import convnd

__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
]


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """x (N, C, L) with weight (O, C / groups, k)."""
    return convnd(input, weight, bias, stride, padding, dilation, groups, 1)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """x (N, C, H, W) with weight (O, C / groups, kh, kw).

    >>> import minigrad as mg
    >>> x = mg.arange(9.0).reshape(1, 1, 3, 3)
    >>> mg.nn.functional.conv2d(x, mg.ones((1, 1, 2, 2)))
    tensor([[[[ 8., 12.],
              [20., 24.]]]])
    """
    return convnd(input, weight, bias, stride, padding, dilation, groups, 2)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """x (N, C, D, H, W) with weight (O, C / groups, kd, kh, kw)."""
    return convnd(input, weight, bias, stride, padding, dilation, groups, 3)
