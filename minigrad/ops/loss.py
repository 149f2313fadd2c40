"""Cross-entropies in one op each: taken together, their steps have a simpler gradient than one by one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine.backend import Array, as_dtype, xp_of
from ..engine.flags import check_range
from ..engine.op import elementwise, op
from ..engine.recording import effect
from ..engine.tensor import wrap
from .elementwise import log, maximum, where
from .index import _along, take, take_along_axis
from .linear import linear
from .reduce import sum
from .shape import expand_dims, moveaxis
from .softmax import _shifted, log_softmax


@effect
def check_labels(name: str, target: Array, classes: int, ignore_index: int | None = None) -> None:
    """Labels must be whole numbers in [0, classes), or ignore_index; name the first that is not."""
    if target.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: expected integer class labels, got {target.dtype}; use target.astype('int64')"
        )
    if not isinstance(target, np.ndarray):
        text = f"{name}: target[{{at}}] = {{value}}, expected 0 <= target < {classes}"
        check_range(xp_of(target), target, 0, classes - 1, ValueError, text, ignore_index)
        return
    bad = (target < 0) | (target >= classes)
    bad = bad if ignore_index is None else bad & (target != ignore_index)
    if bad.any():
        where_ = tuple(int(i[0]) for i in bad.nonzero())
        at = ", ".join(map(str, where_))
        raise ValueError(f"{name}: target[{at}] = {int(target[where_])}, expected 0 <= target < {classes}")


def _smoothing(xp: Any, kept: Array, weight: Array | None, classes: int, smoothing: float) -> Any:
    """What label smoothing spreads over the classes: smoothing w_c / C wherever a label counts."""
    w = xp.ones(classes, bool) if weight is None else weight
    return (smoothing / classes) * w.reshape((1, -1) + (1,) * (kept.ndim - 2)) * kept


def _reference(
    x: Any, target: Any, weight: Any, *, reduction: str, ignore_index: int, label_smoothing: float
) -> Any:
    """The same in plain ops: -log p[target], weighted, smoothed, averaged."""
    raw = getattr(target, "_data", target)
    kept = raw != ignore_index
    label = raw * kept
    logp = log_softmax(x, 1)
    losses = -take_along_axis(logp, expand_dims(label, 1), 1).sum(1)
    if weight is not None:
        losses = losses * take(weight, label)
        logp = moveaxis(moveaxis(logp, 1, -1) * weight, -1, 1)
    if label_smoothing:
        losses = (1.0 - label_smoothing) * losses - (label_smoothing / x.shape[1]) * sum(logp, 1)
    losses = where(kept, losses, 0.0)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    mass = kept.sum() if weight is None else where(kept, take(weight, label), 0.0).sum()
    return losses.sum() / where(mass == 0, math.nan, mass)


# L_n = -sum_c Q_nc log p_nc, Q the weighted target, so dL_n/dx_nc = (sum_k Q_nk) p_nc - Q_nc: for one class
# and no smoothing p less its one-hot. The forward has all of it at hand and saves the slope.
def _cross_entropy_gradient(g: Any, needs: tuple, saved: tuple, reduction: str) -> tuple:
    (slope,) = saved
    if reduction == "none":
        g = expand_dims(g, 1)
    return g * slope, None, None


@op(joint=_cross_entropy_gradient, reference=_reference, extra=True, target=None, weight=None)
def cross_entropy(
    xp: Any,
    x: Array,
    target: Array,
    weight: Array | None = None,
    *,
    reduction: str = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> tuple[Array, tuple]:
    """-log softmax(x)[target]: x (N, C, ...) scores, target (N, ...) class labels, weight (C,) per class.

    The mean is over the weights of the targets that are not ignored. Raises ValueError for a label
    out of range (naming it) and for shapes that do not fit, TypeError for labels that are not integers.

    >>> import minigrad as mg
    >>> x = mg.zeros((1, 2), requires_grad=True)
    >>> loss = mg.nn.functional.cross_entropy(x, mg.tensor([1]))
    >>> loss.backward()
    >>> loss.item(), x.grad
    (0.6931471824645996, tensor([[ 0.5, -0.5]]))
    """
    classes, dtype = x.shape[1], x.real.dtype
    check_labels("cross_entropy", target, classes, ignore_index)
    kept = xp.expand_dims(target != ignore_index, 1)
    label = xp.where(kept, xp.expand_dims(target, 1), 0)
    own = kept.astype(dtype) if weight is None else weight.astype(dtype)[label] * kept  # w_t, 0 if ignored
    at = _along("cross_entropy", wrap(label, None), 1)  # the full index of each label's score
    z = _shifted(xp, x, 1)
    e = xp.exp(z)
    total = e.sum(axis=1, keepdims=True)
    z -= xp.log(total)  # now log p
    losses = xp.where(kept, -z[at], 0.0) * ((1.0 - label_smoothing) * own)
    mass, spread = (1.0 - label_smoothing) * own, None
    if label_smoothing:
        spread = _smoothing(xp, kept, weight, classes, label_smoothing).astype(dtype)
        losses = losses - (spread * z).sum(axis=1, keepdims=True)
        mass = mass + spread.sum(axis=1, keepdims=True)
    e *= mass / total
    e[at] -= (1.0 - label_smoothing) * own
    slope = e if spread is None else e - spread
    losses = losses[:, 0]
    if reduction == "none":
        return losses, (slope,)
    if reduction == "mean" and xp is not np:  # never ask the device: 0 / 0 is the NaN that is meant
        weights = own.sum()
        return losses.sum() / weights, (xp.where(kept, slope / weights, xp.zeros((), slope.dtype)),)
    if reduction == "mean":
        weights = float(own.sum())
        if not weights:  # a mean of nothing is no number; what is ignored keeps its gradient 0
            return losses.sum() * math.nan, (xp.where(kept, slope * math.nan, 0.0),)
        return losses.sum() / weights, (slope / weights,)
    return losses.sum(), (slope,)


# ---------------------------------------------------------------- of probabilities


def _held_log(xp: Any, x: Array) -> Array:
    """max(log x, -100), also at 0."""
    some = x.real > 0
    y = xp.log(xp.where(some, x, xp.ones((), x.dtype)))
    return xp.where(some & (y.real > -100.0), y, xp.full((), -100.0, y.dtype))


# dL/dx = (1 - t) / (1 - x) - t / x = (x - t) / (x (1 - x)), the denominator held above 1e-12 as in PyTorch
@elementwise(
    x=lambda g, x, target: g * ((x - target) / maximum(x * (1.0 - x), 1e-12)),
    target=lambda g, x: g * (log(1.0 - x) - log(x)),
)
def binary_cross_entropy(xp: Any, x: Array, target: Array) -> Array:
    """-(t log x + (1 - t) log(1 - x)), the logarithms held above -100."""
    return -(target * _held_log(xp, x) + (1.0 - target) * _held_log(xp, 1.0 - x))


# ---------------------------------------------------------------- of a linear layer, in pieces


def _pieces(
    x: Array, weight: Array, target: Array, bias: Array | None, ignore_index: int, rows: int, dtype: Any
) -> Any:
    """For each piece of the batch: its slice, which rows count, their labels, and the scores (rows, C)."""
    w = weight.astype(dtype, copy=False)
    for start in range(0, len(x), rows):
        at = slice(start, start + rows)
        scores = x[at].astype(dtype, copy=False) @ w.T
        kept = target[at] != ignore_index
        yield at, kept, target[at] * kept, scores if bias is None else scores + bias.astype(dtype, copy=False)


def _gathering(x: Array, dtype: Any) -> Any:
    """What scores and gradients are gathered in: float32 or wider, unless said."""
    return np.result_type(x.dtype, np.float32) if dtype is None else as_dtype(dtype)


# As for cross_entropy ds = g (p - one-hot), for scores s = W x + b:  dx = ds W, dW = ds^T x, db = sum ds
def _piecewise_gradients(
    g: Array, needs: tuple, x: Array, weight: Array, target: Array, bias: Array | None, saved: tuple,
    ignore_index: int, rows: int, dtype: Any,
) -> tuple:  # fmt: skip
    xp, dtype = xp_of(x), _gathering(x, dtype)
    at_label, log_total = saved
    gx = xp.empty_like(x) if needs[0] else None
    gw = xp.zeros(weight.shape, dtype) if needs[1] else None
    gb = xp.zeros(len(weight), dtype) if bias is not None and needs[3] else None
    for at, kept, label, scores in _pieces(x, weight, target, bias, ignore_index, rows, dtype):
        ds = xp.exp(scores - log_total[at, None])
        ds[xp.arange(len(label)), label] -= 1.0
        ds *= (g[at] * at_label[at] * kept)[:, None]
        if gx is not None:
            gx[at] = ds @ weight
        if gw is not None:
            gw += ds.T @ x[at].astype(dtype, copy=False)
        if gb is not None:
            gb += ds.sum(axis=0)
    done = (gx, gw, None, gb, None)
    return tuple(None if v is None else v.astype(x.dtype, copy=False) for v in done)


def _linear_gradient(
    g: Any, needs: tuple, x: Any, weight: Any, target: Any, bias: Any, saved: tuple,
    ignore_index: int, rows: int, dtype: Any,
) -> tuple:  # fmt: skip
    return _piecewise_gradients(g, needs, x, weight, target, bias, saved, ignore_index, rows, dtype)


def _linear_reference(
    x: Any,
    weight: Any,
    target: Any,
    bias: Any,
    class_weight: Any,
    *,
    ignore_index: int,
    rows: int,
    dtype: Any,
) -> Any:
    """The same in plain ops, all the scores at once."""
    how = {"reduction": "none", "ignore_index": ignore_index, "label_smoothing": 0.0}
    return _reference(linear(x, weight, bias), target, class_weight, **how)


@op(joint=_linear_gradient, reference=_linear_reference, extra=True, target=None, class_weight=None)
def linear_cross_entropy(
    xp: Any,
    x: Array,
    weight: Array,
    target: Array,
    bias: Array | None = None,
    class_weight: Array | None = None,
    *,
    ignore_index: int = -100,
    rows: int = 1024,
    dtype: Any = None,
) -> tuple[Array, tuple]:
    """Losses (N,) of the scores x W^T + b, `rows` of them at a time: x (N, in), weight (C, in), labels (N,).

    Only the logarithm of each row's total is kept; backward makes the scores again (Wijmans et al. 2024,
    "Cut your losses in large-vocabulary language models").
    """
    classes = len(weight)
    check_labels("linear_cross_entropy", target, classes, ignore_index)
    gathered = _gathering(x, dtype)
    losses, log_total = xp.empty(len(x), x.dtype), xp.empty(len(x), gathered)
    at_label = xp.ones(len(x), x.dtype)
    for at, kept, label, scores in _pieces(x, weight, target, bias, ignore_index, rows, gathered):
        top = scores.max(axis=1)
        log_total[at] = top + xp.log(xp.exp(scores - top[:, None]).sum(axis=1))
        if class_weight is not None:
            at_label[at] = class_weight[label]
        losses[at] = (log_total[at] - scores[xp.arange(len(label)), label]) * at_label[at] * kept
    return losses, (at_label, log_total)
