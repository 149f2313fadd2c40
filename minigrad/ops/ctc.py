"""Connectionist temporal classification: the probability of a label sequence, summed over all its alignments.

A path writes one class at each time step; dropping repeats and then blanks turns it into labels. With
the labels spread out by blanks, l' = (-, l1, -, l2, ..., -), of length L = 2 S + 1, paths are walks along
l' that at each step stay, advance by one, or by two over a blank between different labels (Graves et al.
2006, section 4).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine.backend import Array, xp_of
from ..engine.op import op
from .elementwise import logaddexp, where
from .index import take_index
from .shape import concatenate, stack

NEVER = -1e30  # for log 0: finite, so that differences of it are never NaN


def _walks(xp: Any, targets: Array, target_lengths: Array, blank: int) -> tuple[Array, Array, Array]:
    """Each (N, L): l'; where it may be entered from two before; which places belong to the sequence."""
    n, s = targets.shape
    spread = xp.full((n, 2 * s + 1), blank, targets.dtype)
    spread[:, 1::2] = targets
    jumps = xp.zeros(spread.shape, bool)
    jumps[:, 3::2] = targets[:, 1:] != targets[:, :-1]
    return spread, jumps, xp.arange(2 * s + 1) < 2 * target_lengths[:, None] + 1


def _moved(xp: Any, a: Array, by: int) -> Array:
    """a[l - by] along the last axis, NEVER where there is none."""
    y = xp.full(a.shape, NEVER, a.dtype)
    if by > 0:
        y[:, by:] = a[:, :-by]
    else:
        y[:, :by] = a[:, -by:]
    return y


def _arrivals(xp: Any, a: Array, jumps: Array) -> Array:
    """log of the sum over the ways into each place of l'."""
    into = xp.logaddexp(a, _moved(xp, a, 1))
    return xp.logaddexp(into, xp.where(jumps, _moved(xp, a, 2), NEVER))


def _departures(xp: Any, b: Array, jumps: Array) -> Array:
    """The same over the ways out of each place."""
    out = xp.logaddexp(b, _moved(xp, b, -1))
    return xp.logaddexp(out, _moved(xp, xp.where(jumps, b, NEVER), -2))


def _emissions(xp: Any, x: Array, spread: Array, inside: Array) -> Array:
    """log-probability of each place of l' at each time, (T, N, L).

    In float64 whatever x is: logarithms in the thousands meet, of which only small differences stay.
    """
    e = x[:, xp.arange(len(spread))[:, None], spread].astype(np.float64)
    return xp.where(inside, xp.maximum(e, NEVER), NEVER)


def _posteriors(
    xp: Any, x: Array, alpha: Array, total: Array, spread: Array, jumps: Array, inside: Array, steps: Array
) -> Array:
    """P(the path is at place l at time t | labels), (T, N, L): alpha times beta, over their sum."""
    emissions = _emissions(xp, x, spread, inside)
    places = xp.arange(spread.shape[1])
    last = inside.sum(axis=1)[:, None] - 1
    end = xp.where((places == last) | (places == last - 1), 0.0, NEVER).astype(alpha.dtype)
    beta = xp.full(end.shape, NEVER, alpha.dtype)
    found = xp.empty_like(alpha)
    for t in range(len(x) - 1, -1, -1):
        if t + 1 < len(x):
            beta = _departures(xp, beta + emissions[t + 1], jumps)
        beta = xp.where((steps == t + 1)[:, None], end, beta)
        found[t] = xp.exp(xp.minimum(alpha[t] + beta - total[:, None], 0.0))
        found[t] *= (t < steps)[:, None]
    return found


def _to_classes(xp: Any, found: Array, spread: Array, classes: int, blank: int) -> Array:
    """Sums over the places of each class: blanks at once, then one label of every sequence after another."""
    y = xp.zeros((*found.shape[:2], classes), found.dtype)
    y[:, :, blank] = found[:, :, 0::2].sum(axis=2)
    rows = xp.arange(len(spread))
    for place in range(1, spread.shape[1], 2):
        y[:, rows, spread[:, place]] += found[:, :, place]
    return y


def _check(x: Array, targets: Array, input_lengths: Array, target_lengths: Array, blank: int) -> None:
    steps, n, classes = x.shape
    for name, a, longest in (
        ("input_lengths", input_lengths, steps),
        ("target_lengths", target_lengths, targets.shape[1]),
    ):
        if (
            a.shape != (n,)
            or a.dtype.kind not in "iu"
            or (n and (int(a.min()) < 0 or int(a.max()) > longest))
        ):
            told = a.tolist() if a.size <= 8 else f"{a.dtype} of shape {a.shape}"
            raise ValueError(f"ctc_loss: expected {n} whole numbers from 0 to {longest} ({name}={told})")
    if not 0 <= blank < classes:
        raise ValueError(f"ctc_loss: expected a class from 0 to {classes - 1} (blank={blank})")
    if targets.size and (int(targets.min()) < 0 or int(targets.max()) >= classes):
        raise ValueError(f"ctc_loss: expected labels from 0 to {classes - 1}, got {int(targets.max())}")


# With p the probability of the labels:  d(-log p)/d x_tc = -P(the path writes class c at time t | labels),
# the posteriors of l' summed over its places of class c (Graves et al. 2006, before equation 15's softmax).
def _gradient(
    g: Any,
    needs: tuple,
    x: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    saved: tuple,
    blank: int,
) -> tuple:
    xp = xp_of(x)
    spread, jumps, inside = _walks(xp, targets, target_lengths, blank)
    alpha, total, possible = saved
    found = _posteriors(xp, x, alpha, total, spread, jumps, inside, input_lengths)
    gx = _to_classes(xp, found, spread, x.shape[2], blank) * -(g * possible)[:, None]
    return gx.astype(x.dtype, copy=False), None, None, None


def _reference(x: Any, targets: Any, input_lengths: Any, target_lengths: Any, *, blank: int) -> Any:
    """The recursion of alpha in plain ops."""
    targets, steps, lengths = (getattr(a, "_data", a) for a in (targets, input_lengths, target_lengths))
    xp = xp_of(targets)
    spread, jumps, inside = _walks(xp, targets, lengths, blank)
    n, size = spread.shape
    e = where(inside, take_index(x, index=(slice(None), xp.arange(n)[:, None], spread)), NEVER)
    never = xp.full((n, 2), NEVER, e.dtype)
    start = xp.arange(size) < 2
    alpha, ends = where(start, e[0], NEVER), []
    for t in range(len(x)):
        if t:
            near = concatenate([never[:, :1], alpha[:, : size - 1]], 1)
            far = concatenate([never[:, :size], alpha[:, : max(size - 2, 0)]], 1)
            alpha = logaddexp(logaddexp(alpha, near), where(jumps, far, NEVER)) + e[t]
        ends.append(alpha)
    rows, last = xp.arange(n), inside.sum(axis=1) - 1
    table = stack(ends)
    at_end = lambda place: take_index(table, index=(xp.maximum(steps - 1, 0), rows, place))
    before = where(last > 0, at_end(xp.maximum(last - 1, 0)), NEVER)
    total = where(steps == 0, xp.where(lengths == 0, 0.0, NEVER), logaddexp(at_end(last), before))
    return where(total > 0.1 * NEVER, -total, math.inf)


@op(joint=_gradient, reference=_reference, extra=True, targets=None, input_lengths=None, target_lengths=None)
def ctc_loss(
    xp: Any, x: Array, targets: Array, input_lengths: Array, target_lengths: Array, *, blank: int = 0
) -> tuple[Array, tuple]:
    """-log p(labels | x), (N,): x (T, N, C) log-probabilities, targets (N, S) padded by any class.

    The loop is over time only; sequences and places go together. Infinite where no path is short enough.
    """
    _check(x, targets, input_lengths, target_lengths, blank)
    spread, jumps, inside = _walks(xp, targets, target_lengths, blank)
    emissions = _emissions(xp, x, spread, inside)
    alpha = xp.full(emissions.shape, NEVER, emissions.dtype)
    alpha[:1, :, :2] = emissions[:1, :, :2]  # a path begins with the first blank or the first label
    for t in range(1, len(x)):
        alpha[t] = emissions[t] + _arrivals(xp, alpha[t - 1], jumps)
    rows, last = xp.arange(len(spread)), inside.sum(axis=1) - 1
    final = alpha[xp.maximum(input_lengths - 1, 0), rows]
    before = xp.where(last > 0, final[rows, xp.maximum(last - 1, 0)], NEVER)
    total = xp.logaddexp(final[rows, last], before)
    empty = xp.where(target_lengths == 0, 0.0, NEVER)  # no time at all writes no labels, surely
    total = xp.where(input_lengths == 0, empty, total)
    possible = total > 0.1 * NEVER
    return xp.where(possible, -total, np.inf).astype(x.dtype), (alpha, total, possible)
