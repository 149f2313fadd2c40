"""Losses that want one score or distance to beat another by a margin, with PyTorch's signatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...engine.autocast import in_float32
from ...engine.backend import xp_of
from ...engine.tensor import Tensor, wrap
from ...ops.activation import logsigmoid, relu
from ...ops.elementwise import clip, minimum, sqrt, where
from ...ops.index import take, take_along_axis
from ...ops.loss import check_labels
from ...ops.reduce import sum
from ...ops.shape import expand_dims
from .class_loss import check_class_weight
from .distance import pairwise_distance
from .loss import check_constant, check_positive, check_reduction, in_dtype_of, reduced

__all__ = [
    "cosine_embedding_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]


def _at_least_zero(x: Any) -> Any:
    """max(x, 0), whose gradient at 0 is 1, PyTorch's choice in these losses."""
    return clip(x, 0.0)


# ---------------------------------------------------------------- two sides, target +1 or -1


@in_float32
def soft_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """log(1 + e^(-t x)), t = +1 or -1; stable for any x."""
    return reduced("soft_margin_loss", -logsigmoid(target * input), reduction)


@in_float32
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """x where t = 1, max(0, margin - x) where t = -1: for distances x (Hadsell et al. 2006)."""
    apart = where(target != 1, _at_least_zero(margin - input), 0.0)
    return reduced("hinge_embedding_loss", apart + where(target != -1, input, 0.0), reduction)


@in_float32
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, reduction: str = "mean"
) -> Tensor:
    """max(0, margin - t (x1 - x2)): x1 should be the larger where t = 1, the smaller where t = -1."""
    if not input1.ndim == input2.ndim == target.ndim:
        raise ValueError(
            "margin_ranking_loss: expected as many axes in both inputs and target, "
            f"got shapes {input1.shape}, {input2.shape}, {target.shape}"
        )
    return reduced("margin_ranking_loss", _at_least_zero(margin - target * (input1 - input2)), reduction)


@in_float32
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, reduction: str = "mean"
) -> Tensor:
    """1 - cos(x1, x2) where t = 1, max(0, cos - margin) where t = -1: x (N, D) and t (N,), or (D,) and ()."""
    name, tiny = "cosine_embedding_loss", 1e-12
    if input1.ndim not in (1, 2) or target.ndim != input1.ndim - 1 or input2.ndim != input1.ndim:
        raise ValueError(
            f"{name}: expected inputs (N, D) and target (N,), or (D,) and (), "
            f"got shapes {input1.shape}, {input2.shape}, {target.shape}"
        )
    squares = (sum(input1 * input1, -1) + tiny) * (sum(input2 * input2, -1) + tiny)
    cosine = sum(input1 * input2, -1) / sqrt(squares)
    alike = where(target == 1, 1.0 - cosine, 0.0)
    return reduced(name, alike + where(target == -1, _at_least_zero(cosine - margin), 0.0), reduction)


# ---------------------------------------------------------------- classes


@in_float32
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum_(i != t) w[t] max(0, margin - x[t] + x[i])^p / C: x (N, C) or (C,), labels t (N,) or ().

    Crammer & Singer 2001.
    """
    name = "multi_margin_loss"
    check_reduction(name, reduction)
    check_power(name, p)
    if input.ndim not in (1, 2) or target.shape != input.shape[:-1]:
        raise ValueError(
            f"{name}: expected scores (N, C) or (C,) and labels (N,) or (), "
            f"got {input.shape} and {target.shape}"
        )
    classes = input.shape[-1]
    check_class_weight(name, weight, classes)
    check_constant(name, weight=weight)
    check_labels(name, target._data, classes)
    label = expand_dims(target, -1)
    over = relu(margin - take_along_axis(input, label, -1) + input)
    over = where(label._data == xp_of(input._data).arange(classes), 0.0, over if p == 1 else over * over)
    losses = sum(over, -1) * (1.0 / classes)
    return reduced(name, losses if weight is None else losses * take(weight, target), reduction)


def check_power(name: str, p: int) -> None:
    """The hinge or its square."""
    if p not in (1, 2):
        raise ValueError(f"{name}: expected 1 or 2 (p={p})")


@in_float32
def multilabel_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """sum over labels j and other classes i of max(0, 1 - x[j] + x[i]) / C.

    x (N, C) or (C,); target the same shape: labels, ended by -1; what follows the first -1 is not read.
    """
    name = "multilabel_margin_loss"
    check_reduction(name, reduction)
    if input.ndim not in (1, 2) or input.shape != target.shape:
        raise ValueError(
            f"{name}: expected input and target both (N, C) or (C,), got {input.shape}, {target.shape}"
        )
    lone = input.ndim == 1
    x, labels = (expand_dims(input, 0), expand_dims(target, 0)) if lone else (input, target)
    xp, classes = xp_of(x._data), x.shape[1]
    check_labels(name, labels._data, classes, ignore_index=-1)
    given = xp.cumsum((labels._data < 0).astype("int64"), axis=1) == 0  # (N, C): before the first -1
    longest = classes  # the device keeps to itself how many labels there are at most
    if isinstance(given, np.ndarray):
        longest = int(given.sum(axis=1).max()) if given.size else 0
    given, label = given[:, :longest], xp.where(given, labels._data, 0)[:, :longest]
    is_label = ((label[:, :, None] == xp.arange(classes)) & given[:, :, None]).any(axis=1)
    pairs = given[:, :, None] & ~is_label[:, None, :]  # (N, labels, C)
    wanted = take_along_axis(x, wrap(label, None), 1)
    over = relu(1.0 - expand_dims(wanted, 2) + expand_dims(x, 1))
    losses = sum(where(pairs, over, 0.0), (1, 2)) * (1.0 / max(classes, 1))
    return reduced(name, losses[0] if lone and reduction == "none" else losses, reduction)


@in_float32
def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """The mean over classes (the last axis) of -(t log sigmoid(x) + (1 - t) log sigmoid(-x)), t = 0 or 1."""
    target = in_dtype_of(input, target)
    losses = -(target * logsigmoid(input) + (1.0 - target) * logsigmoid(-input))
    losses = losses if weight is None else losses * weight
    return reduced("multilabel_soft_margin_loss", sum(losses, -1) * (1.0 / input.shape[-1]), reduction)


# ---------------------------------------------------------------- triplets


@in_float32
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + |a - p| - |a - n|), p-norms over the last axis (Schroff et al. 2015).

    swap: the nearer of a and p to n counts (Balntas et al. 2016).
    """
    return _triplet(
        "triplet_margin_loss",
        (anchor, positive, negative),
        lambda a, b: pairwise_distance(a, b, p, eps),
        margin,
        swap,
        reduction,
    )


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + d(a, p) - d(a, n)) for any distance d, pairwise_distance by default."""
    d = pairwise_distance if distance_function is None else distance_function
    triplet = (anchor, positive, negative)
    return _triplet("triplet_margin_with_distance_loss", triplet, d, margin, swap, reduction)


def _triplet(
    name: str, triplet: tuple, distance: Callable, margin: float, swap: bool, reduction: str
) -> Tensor:
    """What both have in common."""
    check_reduction(name, reduction)
    check_positive(name, margin=margin)
    anchor, positive, negative = triplet
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ValueError(
            f"{name}: expected as many axes in anchor, positive and negative, "
            f"got shapes {anchor.shape}, {positive.shape}, {negative.shape}"
        )
    away = distance(anchor, negative)
    away = minimum(away, distance(positive, negative)) if swap else away
    return reduced(name, _at_least_zero(margin + distance(anchor, positive) - away), reduction)
