"""PyTorch's nn.functional: its signatures over the ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.node import mutated
from ..engine.tensor import Tensor, wrap
from ..ops import norm as _norm
from ..ops import random as _random
from ..ops.activation import (
    celu,
    elu,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
    threshold,
)
from ..ops.conv import convnd
from ..ops.elementwise import maximum
from ..ops.linear import linear
from ..ops.loss import check_labels
from ..ops.norm import normalise_with
from ..ops.pad import pad as _pad
from ..ops.pool import adaptive_avg_poolnd, avg_poolnd, max_poolnd
from ..ops.reduce import norm, sum
from ..ops.softmax import log_softmax as _log_softmax
from ..ops.softmax import softmax as _softmax
from ..ops.trig import tanh
from .activation import axis_or_default
from .loss_functions import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "conv1d",
    "conv2d",
    "conv3d",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "gelu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "mish",
    "mse_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
]

# ---------------------------------------------------------------- activations with a dim


def softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """e^x_i / sum_j e^x_j along dim."""
    x = input if dtype is None else input.astype(dtype)
    return _softmax(x, axis=axis_or_default(dim, x))


def log_softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """log softmax(x) along dim."""
    x = input if dtype is None else input.astype(dtype)
    return _log_softmax(x, axis=axis_or_default(dim, x))


def softmin(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """softmax(-x)."""
    return softmax(-input, dim, dtype)


# ---------------------------------------------------------------- dropout


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


# ---------------------------------------------------------------- convolution, pooling, normalisation


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


def _max_pool(dims: int) -> Any:
    def pool(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> Tensor:
        return max_poolnd(input, kernel_size, stride, padding, dilation, ceil_mode, dims)

    pool.__name__ = pool.__qualname__ = f"max_pool{dims}d"
    pool.__doc__ = f"The largest element of each window over the last {dims} axes."
    return pool


def _avg_pool(dims: int) -> Any:
    def pool(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Tensor:
        return avg_poolnd(
            input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, dims
        )

    pool.__name__ = pool.__qualname__ = f"avg_pool{dims}d"
    pool.__doc__ = f"The mean of each window over the last {dims} axes."
    return pool


def _adaptive_avg_pool(dims: int) -> Any:
    def pool(input: Tensor, output_size: Any) -> Tensor:
        return adaptive_avg_poolnd(input, output_size, dims)

    pool.__name__ = pool.__qualname__ = f"adaptive_avg_pool{dims}d"
    pool.__doc__ = f"Means over output_size bins on each of the last {dims} axes."
    return pool


max_pool1d, max_pool2d, max_pool3d = _max_pool(1), _max_pool(2), _max_pool(3)
avg_pool1d, avg_pool2d, avg_pool3d = _avg_pool(1), _avg_pool(2), _avg_pool(3)
adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = map(_adaptive_avg_pool, (1, 2, 3))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias per channel, by the batch in training.

    In training the running statistics move by `momentum` towards the batch's (variance unbiased).
    Raises ValueError for a batch of one value per channel, whose variance means nothing.
    """
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: expected running statistics when training=False")
        return normalise_with(input, running_mean, running_var, weight, bias, eps)
    n = input.size // max(input.shape[1], 1)
    if n == 1:
        raise ValueError(
            f"batch_norm: expected more than 1 value per channel in training, got shape {input.shape}"
        )
    moments: dict[str, Any] = {}
    y = _norm.batch_norm(input, weight, bias, eps=eps, moments=moments)
    if running_mean is not None and momentum and n:
        for running, new in (
            (running_mean, moments["mean"]),
            (running_var, moments["var"] * (n / (n - 1.0))),
        ):
            running._data[...] = (1.0 - momentum) * running._data + momentum * new
            mutated(running._data)
    return y


# ---------------------------------------------------------------- others


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


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 rows with a 1 at each label."""
    labels = tensor._data
    if labels.dtype.kind not in "iu":
        raise TypeError(f"one_hot: expected integer labels, got {labels.dtype}")
    classes = int(labels.max()) + 1 if num_classes == -1 else num_classes
    check_labels("one_hot", labels, classes)
    xp = tensor.device.xp
    return wrap(xp.eye(classes, dtype=np.int64)[labels], None)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(|x|_p, eps) along dim."""
    return input / maximum(norm(input, p, dim, True), eps)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along dim."""
    lengths = maximum(norm(x1, 2, dim), eps) * maximum(norm(x2, 2, dim), eps)
    return sum(x1 * x2, dim) / lengths
