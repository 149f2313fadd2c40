"""Normalisation: to zero mean and unit variance over some axes, in one op with its own backward."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine.backend import Array
from ..engine.op import op
from .elementwise import sqrt
from .reduce import mean
from .shape import reshape


def _along(v: Any, ndim: int) -> Any:
    """A vector of channels, set to broadcast along axis 1."""
    return None if v is None else reshape(v, (1, -1) + (1,) * (ndim - 2))


def _reference(x: Any, weight: Any, bias: Any, *, eps: float, moments: Any) -> Any:
    """The same in plain ops."""
    axes = (0, *range(2, x.ndim))
    away = x - mean(x, axes, True)
    y = away / sqrt(mean(away * away, axes, True) + eps)
    y = y if weight is None else y * _along(weight, x.ndim)
    return y if bias is None else y + _along(bias, x.ndim)


# With z = (x - m) / s over n elements, and gz = g w:  gx = (gz - mean gz - z mean(gz z)) / s
# (Ioffe & Szegedy 2015, section 3, collected).
def _gradient(g: Any, needs: tuple, weight: Any, saved: tuple) -> tuple:
    z, inverse = saved
    axes = (0, *range(2, g.ndim))
    total, along = g.sum(axes), (g * z).sum(axes)
    gx = None
    if needs[0]:
        n = max(math.prod(g.shape) // max(g.shape[1], 1), 1)  # 1 for an empty batch: nothing to share
        gx = g - _along(total * (1.0 / n), g.ndim) - z * _along(along * (1.0 / n), g.ndim)
        gx = gx * (inverse if weight is None else inverse * _along(weight, g.ndim))
    return gx, along if needs[1] else None, total if needs[2] else None


@op(joint=_gradient, reference=_reference, extra=True)
def batch_norm(
    xp: Any,
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float = 1e-5,
    moments: Any = None,
) -> tuple[Array, tuple]:
    """(x - mean) / sqrt(var + eps) * weight + bias per channel: x (N, C, ...), statistics over all but C.

    Two passes, so large means do no harm. `moments`, a dict, receives the mean and the (biased)
    variance for the running statistics. Ioffe & Szegedy 2015, algorithm 1.
    """
    axes = (0, *range(2, x.ndim))
    center = x.mean(axis=axes, keepdims=True)
    z = x - center
    variance = (z * z).mean(axis=axes, keepdims=True)
    inverse = 1.0 / xp.sqrt(variance + eps)
    z = z * inverse
    if moments is not None:
        moments["mean"], moments["var"] = center.reshape(-1), variance.reshape(-1)
    y = z if weight is None else z * weight.reshape((1, -1) + (1,) * (x.ndim - 2))
    y = y if bias is None else y + bias.reshape((1, -1) + (1,) * (x.ndim - 2))
    return y, (z, inverse)


def check_channels(name: str, x: Any, channels: int, dims: tuple[int, ...]) -> None:
    """x must have `channels` on axis 1, and one of the given numbers of axes."""
    if x.ndim not in dims or x.shape[1] != channels:
        told = " or ".join(map(str, dims))
        raise ValueError(
            f"{name}: expected {told} axes with num_features={channels} on axis 1, got shape {x.shape}"
        )


def normalise_with(x: Any, mean_: Any, var: Any, weight: Any, bias: Any, eps: float) -> Any:
    """Batch norm at test time: one multiplication and one addition per element, from given statistics."""
    scale = (var + eps) ** -0.5
    scale = scale if weight is None else scale * weight
    shift = -mean_ * scale if bias is None else bias - mean_ * scale
    return x * _along(scale, np.ndim(x)) + _along(shift, np.ndim(x))
