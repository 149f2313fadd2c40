"""Convolutions with PyTorch's signatures."""

from __future__ import annotations

from typing import Any

from ...engine.tensor import Tensor
from ...ops.conv import conv_transposend, convnd
from ...ops.shape import transpose

__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_tbc",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
]


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """y[n, o, t] = b[o] + sum_{c, i} w[o, c, i] x[n, c, stride t + dilation i - padding].

    x (N, C, L) or (C, L), weight (O, C / groups, k) -> (N, O, floor((L + 2p - d(k - 1) - 1) / s) + 1).
    padding: a number, 'valid', 'same' (stride 1), and our own 'full' and 'causal' (d(k - 1) before x).
    Raises ValueError where channels, groups or bias do not fit, or the kernel exceeds the padded input.

    >>> import minigrad as mg
    >>> x = mg.tensor([[1.0, 2.0, 4.0, 8.0]])
    >>> mg.nn.functional.conv1d(x, mg.ones(1, 1, 2), padding="causal")
    tensor([[ 1.,  3.,  6., 12.]])
    """
    return convnd(input, weight, bias, stride, padding, dilation, groups, 1)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """x (N, C, H, W) or (C, H, W) with weight (O, C / groups, kh, kw): conv1d on each axis at once.

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
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """x (N, C, D, H, W) or (C, D, H, W) with weight (O, C / groups, kd, kh, kw)."""
    return convnd(input, weight, bias, stride, padding, dilation, groups, 3)


def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """conv1d with time first: x (T, N, C), weight (k, C, O), bias (O,) -> (T + 2 pad - k + 1, N, O)."""
    if input.ndim != 3 or weight.ndim != 3:
        raise ValueError(
            f"conv_tbc: expected x (T, N, C) and weight (k, C, O), got {input.shape} and {weight.shape}"
        )
    if not isinstance(bias, Tensor):
        raise TypeError(f"conv_tbc: expected a bias of shape ({weight.shape[2]},) (bias={bias!r})")
    if not isinstance(pad, int):
        raise TypeError(f"conv_tbc: expected a whole number (pad={pad!r})")
    y = conv1d(transpose(input, (1, 2, 0)), transpose(weight, (2, 1, 0)), bias, padding=pad)
    return transpose(y, (2, 0, 1))


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """y[n, o, stride t + dilation i - padding] += w[c, o, i] x[n, c, t], then b[o]: conv1d's gradient in x.

    x (N, C, L) or (C, L), weight (C, O / groups, k) -> (N, O, s(L - 1) + d(k - 1) + 1 - 2p + output_padding).
    Several lengths give the same convolution output; output_padding, below the stride or the dilation, says
    which of them is meant. Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning".

    >>> import minigrad as mg
    >>> mg.nn.functional.conv_transpose1d(mg.tensor([[1.0, 10.0]]), mg.tensor([[[1.0, 2.0, 3.0]]]), stride=2)
    tensor([[ 1.,  2., 13., 20., 30.]])
    """
    return conv_transposend(input, weight, bias, stride, padding, output_padding, groups, dilation, 1)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """x (N, C, H, W) or (C, H, W) with weight (C, O / groups, kh, kw): conv2d's gradient in x."""
    return conv_transposend(input, weight, bias, stride, padding, output_padding, groups, dilation, 2)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """x (N, C, D, H, W) or (C, D, H, W) with weight (C, O / groups, kd, kh, kw): conv3d's gradient in x."""
    return conv_transposend(input, weight, bias, stride, padding, output_padding, groups, dilation, 3)
