"""What goes wrong at extrema, softmax and normalisation: ties, the target, the terms of a Jacobian."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...ops.shape import axes_of
from ..record import Edge
from .rerun import send
from .rule import ASSIGNED, CUT, FACTOR, ONEHOT, SOFTMAX, TIE, as_columns, rules

__all__ = ["RULES"]


# ---------------------------------------------------------------- extrema


def _extreme(choose: Any) -> Any:
    """choose(mask of extremes along axis 0) -> the share of each element."""

    def wrong(edge: Edge, g: np.ndarray) -> Any:
        f = edge.step.forward
        x, y = edge.input.data, f.output.data
        axes = axes_of(f.op, f.meta.get("axis"), x.ndim)
        here = x == as_columns(y, x.shape, axes)
        order = (*axes, *(i for i in range(x.ndim) if i not in axes))
        flat = here.transpose(order).reshape(math.prod(x.shape[i] for i in axes), -1)
        share = choose(flat)
        if share is None:
            return None
        back = share.reshape([x.shape[i] for i in order]).transpose(np.argsort(order))
        return as_columns(g, x.shape, axes) * back

    return wrong


def _tied(share: Any) -> Any:
    return lambda here: share(here) if (here.sum(0) > 1).any() else None


def _only(last: bool) -> Any:
    def share(here: np.ndarray) -> np.ndarray:
        seen = here[::-1] if last else here
        first = seen & (np.cumsum(seen, 0) == 1)
        return (first[::-1] if last else first) * 1.0

    return share


def _pooled(share: bool) -> Any:
    """max_pool over windows side by side: all elements of a window receive its gradient, or a share of it."""

    def wrong(edge: Edge, g: np.ndarray) -> Any:
        meta, shape = edge.step.forward.meta, edge.input.shape
        window = meta["kernel"]
        if tuple(meta["stride"]) != tuple(window) or any(map(any, meta["padding"])):
            return None
        spread = np.kron(g, np.ones((1, 1, *window)) / (math.prod(window) if share else 1))
        return spread if spread.shape == shape else None

    return wrong


# ---------------------------------------------------------------- indices and dropout


def _overwritten(edge: Edge, g: np.ndarray) -> Any:
    """Elements that were taken twice, whose gradients were assigned: the last one stays."""
    found = np.zeros(edge.input.shape)
    found[edge.step.forward.meta["index"]] = g
    return found


def _unscaled(edge: Edge, g: np.ndarray) -> Any:
    return send(edge, g) * (1 - edge.step.forward.meta["p"])


# ---------------------------------------------------------------- softmax and cross-entropy


def _softmax_of(x: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def _cross_entropy(part: Any) -> Any:
    def wrong(edge: Edge, g: np.ndarray) -> Any:
        f = edge.step.forward
        if edge.position != 0:
            return None
        p, target = _softmax_of(edge.input.data, 1), f.inputs[1].data
        onehot = np.moveaxis(np.eye(p.shape[1])[target], -1, 1)
        n = target.size if f.meta.get("reduction") == "mean" else 1
        g = np.expand_dims(g, 1) if f.meta.get("reduction") == "none" else g
        return g * part(p, onehot) / n

    return wrong


def _softmax_rule(part: Any) -> Any:
    def wrong(edge: Edge, g: np.ndarray) -> Any:
        axis = edge.step.forward.meta["axis"]
        return part(g, _softmax_of(edge.input.data, axis), axis)

    return wrong


def _normalised(part: Any) -> Any:
    """normalise: x's gradient with some of its three terms."""

    def wrong(edge: Edge, g: np.ndarray) -> Any:
        f = edge.step.forward
        if edge.position != 0:
            return None
        x, axes, eps = edge.input.data, f.meta["axes"], f.meta["eps"]
        away = x - x.mean(axes, keepdims=True)
        sigma = np.sqrt((away * away).mean(axes, keepdims=True) + eps)
        u = g * (1.0 if f.inputs[1] is None else f.inputs[1].data)
        return part(u, away / sigma, axes) / sigma

    return wrong


EXTREMES = ("max", "min")
SHARES = "every score moves the shares of all others too"

RULES = [
    *rules(
        TIE,
        EXTREMES,
        (0.8, _extreme(_tied(lambda here: here * 1.0)), "each of the tied receives all of the gradient"),
        (0.8, _extreme(_tied(_only(False))), "only the first of the tied receives the gradient"),
        (0.8, _extreme(_tied(_only(True))), "only the last of the tied receives the gradient"),
        (0.9, _extreme(_tied(lambda here: here * (here.sum(0) == 1.0))), "the tied receive nothing"),
        (1.2, _extreme(lambda here: np.ones(here.shape)), "every element receives the gradient"),
        (1.4, _extreme(lambda here: np.ones(here.shape) / len(here)), "all elements share the gradient"),
    ),
    *rules(
        TIE,
        ("max_pool",),
        (1.2, _pooled(False), "every element of a window receives its gradient"),
        (1.3, _pooled(True), "the elements of a window share its gradient"),
    ),
    *rules(
        ASSIGNED,
        ("take_index",),
        (1.0, _overwritten, "an element that is taken twice receives both gradients: add, do not assign,"),
    ),
    *rules(FACTOR, ("dropout",), (1.1, _unscaled, "the scale 1 / (1 − p) is missing")),
    *rules(
        ONEHOT,
        ("cross_entropy",),
        (0.9, _cross_entropy(lambda p, t: p), "the target's 1 is not taken off"),
        (1.1, _cross_entropy(lambda p, t: -t), "the probabilities are missing"),
    ),
    *rules(
        ONEHOT,
        ("log_softmax",),
        (0.95, _softmax_rule(lambda g, p, axis: g), "the probabilities are missing"),
        (
            1.0,
            _softmax_rule(lambda g, p, axis: -p * g.sum(axis, keepdims=True)),
            "the target's part is missing",
        ),
    ),
    *rules(
        SOFTMAX,
        ("cross_entropy",),
        (1.3, _cross_entropy(lambda p, t: (p - 1) * t), "only the target's score gets a gradient"),
    ),
    *rules(SOFTMAX, ("log_softmax",), (1.1, _softmax_rule(lambda g, p, axis: g * (1 - p)), SHARES)),
    *rules(
        SOFTMAX,
        ("softmax",),
        (1.0, _softmax_rule(lambda g, p, axis: g * p * (1 - p)), SHARES),
        (1.0, _softmax_rule(lambda g, p, axis: g * p), SHARES),
    ),
    *rules(
        CUT,
        ("normalise",),
        (1.0, _normalised(lambda u, h, axes: u), "the paths through the mean and the variance are left out"),
        (
            1.1,
            _normalised(lambda u, h, axes: u - u.mean(axes, keepdims=True)),
            "the path through the variance is left out",
        ),
        (
            1.1,
            _normalised(lambda u, h, axes: u - h * (u * h).mean(axes, keepdims=True)),
            "the path through the mean is left out",
        ),
    ),
]
