"""Cross-entropy in one op: softmax, logarithm and choice of class, whose gradient is so much simpler."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.backend import Array
from ..engine.op import op
from .elementwise import where
from .index import take, take_along_axis
from .reduce import sum
from .shape import expand_dims, moveaxis
from .softmax import _shifted, log_softmax


def check_labels(name: str, target: Array, classes: int, ignore_index: int | None = None) -> None:
    """Labels must be whole numbers in [0, classes), or ignore_index; name the first that is not."""
    if target.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: expected integer class labels, got {target.dtype}; use target.astype('int64')"
        )
    bad = (target < 0) | (target >= classes)
    bad = bad if ignore_index is None else bad & (target != ignore_index)
    if bad.any():
        where_ = tuple(int(i[0]) for i in bad.nonzero())
        at = ", ".join(map(str, where_))
        raise ValueError(f"{name}: target[{at}] = {int(target[where_])}, expected 0 <= target < {classes}")


def _aim(
    xp: Any, target: Array, classes: int, weight: Array | None, ignore_index: int, smoothing: float
) -> tuple:
    """The weighted target distribution Q (n, C), and each row's weight in a mean."""
    kept = target != ignore_index
    label = xp.where(kept, target, 0)
    w = xp.ones(classes, np.float64) if weight is None else weight
    q = xp.zeros((len(label), classes), w.dtype)
    q[xp.arange(len(label)), label] = (1.0 - smoothing) * w[label]
    if smoothing:
        q += (smoothing / classes) * w
    q *= kept[:, None]
    return q, w[label] * kept


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
    return losses.sum() / (kept.sum() if weight is None else where(kept, take(weight, label), 0.0).sum())


# L_n = -sum_c Q_nc log p_nc, so dL_n/dx_nc = (sum_k Q_nk) p_nc - Q_nc: for one class, p less its one-hot.
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
    classes = x.shape[1]
    check_labels("cross_entropy", target, classes, ignore_index)
    z = _shifted(xp, x, 1)
    e = xp.exp(z)
    total = e.sum(axis=1, keepdims=True)
    flat = target.reshape(-1)
    q, row_weight = _aim(xp, flat, classes, weight, ignore_index, label_smoothing)
    q = q.astype(x.real.dtype)
    dims = (target.shape[0], *target.shape[1:], classes)
    q = xp.moveaxis(q.reshape(dims), -1, 1)
    losses = -(q * (z - xp.log(total))).sum(axis=1)
    slope = q.sum(axis=1, keepdims=True) * (e / total) - q
    if reduction == "none":
        return losses, (slope,)
    if reduction == "mean":
        mass = float(row_weight.sum())
        scale = 1.0 / mass if mass else float("nan")
        return losses.sum() * scale, (slope * scale,)
    return losses.sum(), (slope,)
