"""Normalisation with PyTorch's signatures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...engine.backend import Array
from ...engine.kernels import kernel_for
from ...engine.node import mode, mutated
from ...engine.recording import effect
from ...engine.tensor import Tensor
from ...ops import norm as _norm
from ...ops.elementwise import maximum
from ...ops.norm import along_channels, normalise_with
from ...ops.reduce import norm

__all__ = [
    "batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "local_response_norm",
    "normalize",
    "rms_norm",
]


def _check_vectors(name: str, channels: int, **vectors: Tensor | None) -> None:
    """Whatever is given must hold one number a channel."""
    for what, v in vectors.items():
        if v is not None and v.shape != (channels,):
            raise ValueError(f"{name}: expected {what} of shape ({channels},), got {v.shape}")


def _check_running(name: str, running_mean: Any, running_var: Any, needed: bool) -> None:
    if (running_mean is None) != (running_var is None):
        raise ValueError(f"{name}: expected both running_mean and running_var, or neither")
    if needed and running_mean is None:
        raise ValueError(f"{name}: expected running statistics when it does not use those of the input")


def _follow(running: Array, new: Array, momentum: float) -> None:
    """Move running statistics towards new ones."""
    running[...] = (1.0 - momentum) * running + momentum * new


@effect
def _track(mean: Tensor, var: Tensor, moments: dict[str, Any], n: int, momentum: float) -> None:
    """Move the running statistics of batch norm towards those of a batch of n values a channel."""
    arrays, unbiased = (mean._data, var._data, moments["mean"], moments["var"]), n / (n - 1.0)
    faster = kernel_for("follow_moments", mean._data)
    if faster(*arrays, momentum=momentum, unbiased=unbiased) is NotImplemented:
        _follow(mean._data, moments["mean"].reshape(-1), momentum)
        _follow(var._data, moments["var"].reshape(-1) * unbiased, momentum)
    mutated(mean._data)
    mutated(var._data)


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
    """(x - mean) / sqrt(var + eps) * weight + bias per channel: x (N, C, ...), by the batch in training.

    In training the running statistics move by `momentum` towards the batch's (variance unbiased).
    Raises ValueError for a batch of one value per channel, whose variance means nothing.
    Ioffe & Szegedy 2015, algorithm 1.
    """
    if input.ndim < 2:
        raise ValueError(f"batch_norm: expected at least 2 axes (N, C, ...), got shape {input.shape}")
    channels = input.shape[1]
    _check_running("batch_norm", running_mean, running_var, not training)
    _check_vectors(
        "batch_norm", channels, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"batch_norm: expected eps {'> 0 in training' if training else '>= 0'} (eps={eps})")
    if not training:
        return normalise_with(input, running_mean, running_var, weight, bias, eps)
    n = input.size // max(channels, 1)
    if n == 1:
        raise ValueError(
            f"batch_norm: expected more than 1 value per channel in training, got shape {input.shape}"
        )
    weight, bias = along_channels(weight, input.ndim), along_channels(bias, input.ndim)
    moments: dict[str, Any] = {}
    axes = (0, *range(2, input.ndim))
    y = _norm.normalise(input, weight, bias, axes=axes, eps=eps, moments=moments)
    if running_mean is not None and running_var is not None and n:
        _track(running_mean, running_var, moments, n, momentum)
    return y


@effect
def _track_mean(mean: Tensor, var: Tensor, moments: dict, shape: tuple, n: int, momentum: float) -> None:
    """The same for instance norm, towards the mean over the samples of (N, C) statistics of n values each."""
    over_batch = {k: v.reshape(shape).mean(axis=0) for k, v in moments.items()}
    _track(mean, var, over_batch, n, momentum)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias per sample and channel: x (N, C, ...).

    Running statistics move towards the mean over the samples. Ulyanov et al. 2016.
    """
    if input.ndim < 3:
        raise ValueError(f"instance_norm: expected at least 3 axes (N, C, ...), got shape {input.shape}")
    n = math.prod(input.shape[2:])
    _check_running("instance_norm", running_mean, running_var, not use_input_stats)
    _check_vectors(
        "instance_norm",
        input.shape[1],
        running_mean=running_mean,
        running_var=running_var,
        weight=weight,
        bias=bias,
    )
    if not use_input_stats:
        return normalise_with(input, running_mean, running_var, weight, bias, eps)
    if n == 1:
        raise ValueError(
            f"instance_norm: expected more than 1 value per sample and channel, got shape {input.shape}"
        )
    weight, bias = along_channels(weight, input.ndim), along_channels(bias, input.ndim)
    moments: dict[str, Any] = {}
    axes = tuple(range(2, input.ndim))
    y = _norm.normalise(input, weight, bias, axes=axes, eps=eps, moments=moments)
    if running_mean is not None and running_var is not None and input.size:
        _track_mean(running_mean, running_var, moments, input.shape[:2], n, momentum)
    return y


def _trailing(name: str, input: Tensor, normalized_shape: Any, **like: Tensor | None) -> tuple[int, ...]:
    """The axes that `normalized_shape` names; weight and bias must have that shape."""
    if not isinstance(normalized_shape, Sequence) or isinstance(normalized_shape, str):
        raise TypeError(f"{name}: expected a tuple of lengths (normalized_shape={normalized_shape!r})")
    shape = tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise ValueError(
            f"{name}: expected input to end in normalized_shape={shape}, got shape {input.shape}"
        )
    for what, v in like.items():
        if v is not None and v.shape != shape:
            raise ValueError(f"{name}: expected {what} of shape {shape}, got {v.shape}")
    return tuple(range(input.ndim - len(shape), input.ndim))


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes, those of `normalized_shape`.

    Ba et al. 2016.
    """
    axes = _trailing("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    return _norm.normalise(input, weight, bias, axes=axes, eps=eps)


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last axes; eps=None: the smallest step of the dtype at 1.

    Zhang & Sennrich 2019.
    """
    axes = _trailing("rms_norm", input, normalized_shape, weight=weight)
    eps = float(np.finfo(input.dtype).eps) if eps is None else eps
    return _norm.rms_norm(input, weight, axes=axes, eps=eps)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias per sample and group of channels: x (N, C, ...).

    Wu & He 2018. Raises ValueError where C is not a multiple of num_groups.
    """
    if input.ndim < 2:
        raise ValueError(f"group_norm: expected at least 2 axes (N, C, ...), got shape {input.shape}")
    channels = input.shape[1]
    if num_groups < 1 or channels % num_groups:
        raise ValueError(
            f"group_norm: expected channels in groups (num_groups={num_groups}), got {channels} channels"
        )
    _check_vectors("group_norm", channels, weight=weight, bias=bias)
    if input.size == num_groups:
        raise ValueError(f"group_norm: expected more than 1 value per group, got shape {input.shape}")
    return _norm.group_norm(input, num_groups, weight, bias, eps)


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha mean(x^2))^beta, the mean over `size` neighbouring channels: x (N, C, L, ...).

    Channels beyond the ends count as 0. Krizhevsky et al. 2012, section 3.3, which has the sum for the mean.
    """
    if input.ndim < 3:
        raise ValueError(
            f"local_response_norm: expected at least 3 axes (N, C, ...), got shape {input.shape}"
        )
    if size < 1:
        raise ValueError(f"local_response_norm: expected a whole number >= 1 (size={size})")
    return _norm.local_response(input, size // 2, (size - 1) // 2, alpha / size, beta, k)


def normalize(
    input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """x / max(|x|_p, eps) along dim; `out`, a constant of the same shape, is filled and returned."""
    y = input / maximum(norm(input, p, dim, True), eps)
    if out is None:
        return y
    if mode.recording and (y.requires_grad or out.requires_grad):
        raise ValueError("normalize: out= cannot carry a gradient; leave it out, or use no_grad()")
    if out.shape != y.shape:
        raise ValueError(f"normalize: expected out of shape {y.shape}, got {out.shape}")
    return out.copy_(y)
