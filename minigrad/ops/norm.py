"""Normalisation over some axes: to zero mean and unit variance, or to unit mean square; each a fused op."""

from __future__ import annotations

import math
from typing import Any

from ..engine.adjoint import sum_to
from ..engine.backend import Array, xp_of
from ..engine.op import op
from .elementwise import sqrt
from .pool import window_sum
from .reduce import mean
from .shape import reshape


def _mean(x: Array, axes: tuple) -> Array:
    """The mean over axes, kept; 0 where there is nothing to average."""
    return x.mean(axis=axes, keepdims=True) if x.size else x.sum(axis=axes, keepdims=True)


def _even(v: Any, axes: tuple, ndim: int) -> bool:
    """True if v, broadcast against ndim axes, does not change along `axes`."""
    return v is None or all(ndim - a > v.ndim or v.shape[a - ndim] == 1 for a in axes)


def _plain(x: Any, weight: Any, bias: Any, *, axes: tuple, eps: float, moments: Any) -> Any:
    """The same in plain ops."""
    away = x - mean(x, axes, True)
    y = away / sqrt(mean(away * away, axes, True) + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _is_whole(gw: Array | None, p: Array) -> bool:
    """True if the gradient of a weight is p itself, or a view of it: the weight is as large as x."""
    return gw is not None and gw.size == p.size


# With z = (x - m) / s and gz = g w, means over the axes:  gx = (gz - mean gz - z mean(gz z)) / s
# (Ioffe & Szegedy 2015, section 3, collected). Where w and b do not change along the axes, the two
# sums also give the gradients of w and b, and w can wait to the end: this is batch norm.
# One array, p, is all the work space: memory that is touched for the first time is what costs.
def _gradients(g: Any, needs: tuple, weight: Any, bias: Any, saved: tuple, axes: tuple) -> tuple:
    z, inverse = saved
    even = _even(weight, axes, g.ndim) and _even(bias, axes, g.ndim)
    sums = lambda a: a.sum(axis=axes, keepdims=True)
    p, gz = g * z, g
    if even:
        along, total = sums(p), sums(g)
        inverse = inverse if weight is None else inverse * weight
    gw = sum_to(along if even else p, shape=weight.shape) if needs[1] else None
    gb = sum_to(total if even else g, shape=bias.shape) if needs[2] else None
    if not needs[0]:
        return None, gw, gb
    if not even:
        if weight is not None:
            p = xp_of(g).multiply(p, weight, out=None if _is_whole(gw, p) else p)
            gz = g * weight
        along, total = sums(p), sums(gz)
    per = 1.0 / max(math.prod([g.shape[a] for a in axes]), 1)
    gx = xp_of(g).multiply(z, along * -per, out=p)
    gx += gz
    gx -= total * per
    gx *= inverse
    return gx, gw, gb


@op(joint=_gradients, reference=_plain, extra=True)
def normalise(
    xp: Any,
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    axes: tuple,
    eps: float = 1e-5,
    moments: Any = None,
) -> tuple[Array, tuple]:
    """(x - mean) / sqrt(var + eps) * weight + bias, statistics over `axes`; weight and bias broadcast.

    Batch, layer, group and instance norm are this over different axes. Two passes, so large means
    do no harm. `moments`, a dict, receives the mean and the (biased) variance, axes kept.
    """
    center = _mean(x, axes)
    z = x - center
    y = z * z  # work space now, the result later
    variance = _mean(y, axes)
    inverse = 1.0 / xp.sqrt(variance + eps)
    z *= inverse
    if moments is not None:
        moments["mean"], moments["var"] = center, variance
    y = z if weight is None else xp.multiply(z, weight, out=_if_like(y, weight))
    return y if bias is None else xp.add(y, bias, out=None if y is z else _if_like(y, bias)), (z, inverse)


def _if_like(y: Array, v: Array) -> Array | None:
    """y to write into, unless the result has the other's dtype."""
    return y if y.dtype == v.dtype else None


def _rms_plain(x: Any, weight: Any, *, axes: tuple, eps: float) -> Any:
    y = x / sqrt(mean(x * x, axes, True) + eps)
    return y if weight is None else y * weight


# As above without the mean: with z = x / s and gz = g w,  gx = (gz - z mean(gz z)) / s.
def _rms_gradients(g: Any, needs: tuple, weight: Any, saved: tuple, axes: tuple) -> tuple:
    z, inverse = saved
    p = g * z
    gw = sum_to(p, shape=weight.shape) if needs[1] else None
    if not needs[0]:
        return None, gw
    if weight is not None:
        p = xp_of(g).multiply(p, weight, out=None if _is_whole(gw, p) else p)
    gx = xp_of(g).multiply(z, -_mean(p, axes), out=p)
    gx += g if weight is None else g * weight
    gx *= inverse
    return gx, gw


@op(joint=_rms_gradients, reference=_rms_plain, extra=True)
def rms_norm(
    xp: Any, x: Array, weight: Array | None = None, *, axes: tuple, eps: float
) -> tuple[Array, tuple]:
    """x / sqrt(mean(x^2) + eps) * weight over `axes` (Zhang & Sennrich 2019)."""
    z = x * x  # work space first
    inverse = 1.0 / xp.sqrt(_mean(z, axes) + eps)
    z = xp.multiply(x, inverse, out=z)
    return z if weight is None else z * weight, (z, inverse)


# ---------------------------------------------------------------- what layers and functions call


def along_channels(v: Any, ndim: int) -> Any:
    """A vector of channels, set to broadcast along axis 1."""
    return None if v is None else reshape(v, (1, -1) + (1,) * (ndim - 2))


def check_channels(name: str, x: Any, channels: int, dims: tuple[int, ...], axis: int = 1) -> None:
    """x must have `channels` on its channel axis, and one of the given numbers of axes."""
    if x.ndim not in dims or x.shape[axis] != channels:
        told = " or ".join(map(str, dims))
        raise ValueError(
            f"{name}: expected {told} axes with num_features={channels} on axis {axis}, got shape {x.shape}"
        )


def normalise_with(x: Any, mean_: Any, var: Any, weight: Any, bias: Any, eps: float) -> Any:
    """Batch norm at test time: one multiplication and one addition per element, from given statistics."""
    scale = (var + eps) ** -0.5
    scale = scale if weight is None else scale * weight
    shift = -mean_ * scale if bias is None else bias - mean_ * scale
    return x * along_channels(scale, x.ndim) + along_channels(shift, x.ndim)


def group_norm(x: Any, groups: int, weight: Any, bias: Any, eps: float) -> Any:
    """Each sample's channels in `groups`, every group normalised by itself (Wu & He 2018)."""
    n, c, *rest = x.shape
    cut = lambda v: None if v is None else reshape(v, (1, groups, c // groups) + (1,) * len(rest))
    apart = reshape(x, (n, groups, c // groups, *rest))
    y = normalise(apart, cut(weight), cut(bias), axes=tuple(range(2, apart.ndim)), eps=eps)
    return reshape(y, x.shape)


def local_response(x: Any, before: int, after: int, alpha: float, beta: float, k: float) -> Any:
    """x / (k + alpha s)^beta, s the sum of x^2 over channels c - before .. c + after; x (N, C, ...)."""
    flat = (x.shape[0], 1, x.shape[1], math.prod(x.shape[2:]))
    how = {"kernel": (before + after + 1, 1), "stride": (1, 1), "padding": ((before, after), (0, 0))}
    s = window_sum(reshape(x * x, flat), **how, ceil_mode=False)
    return x * (k + alpha * reshape(s, x.shape)) ** -beta
