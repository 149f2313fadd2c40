"""Connectionist temporal classification, with PyTorch's signature."""

from __future__ import annotations

from typing import Any

from ...engine.backend import Array, xp_of
from ...engine.tensor import Tensor
from ...ops import ctc as _ctc
from ...ops.elementwise import where
from ...ops.logic import isinf
from ...ops.shape import expand_dims
from .loss import check_reduction, reduced

__all__ = [
    "ctc_loss",
]


def _lengths(name: str, given: Any, n: int, like: Array) -> Array:
    """One whole number a sequence, on the device of the scores."""
    raw = getattr(given, "_data", given)
    a = xp_of(like).asarray(raw).reshape(-1)
    if a.shape != (n,) or a.dtype.kind not in "iu" or bool((a < 0).any()):
        raise ValueError(f"ctc_loss: expected {n} whole numbers >= 0 ({name}={given!r})")
    return a


def _padded(targets: Array, lengths: Array, blank: int) -> Array:
    """Targets (N, S) from either form, blank behind the end of each."""
    xp, n, total = xp_of(targets), len(lengths), int(lengths.sum())
    longest = int(lengths.max()) if n else 0
    if targets.dtype.kind not in "iu":
        raise TypeError(f"ctc_loss: expected integer labels, got {targets.dtype}; use astype('int64')")
    if targets.ndim == 1 and len(targets) == total:
        inside = xp.arange(longest) < lengths[:, None]
        padded = xp.full((n, longest), blank, targets.dtype)
        padded[inside] = targets
    elif targets.ndim == 2 and len(targets) == n and targets.shape[1] >= longest:
        inside = xp.arange(targets.shape[1]) < lengths[:, None]
        padded = xp.where(inside, targets, blank)[:, :longest]
        inside = inside[:, :longest]
    else:
        raise ValueError(
            f"ctc_loss: expected targets ({n}, {longest} or more), or joined ({total},) as the sum of "
            f"target_lengths, got shape {targets.shape}"
        )
    if bool((inside & (padded == blank)).any()):
        raise ValueError(f"ctc_loss: expected labels other than the blank in targets (blank={blank})")
    return padded


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the probability of all paths that spell the targets (Graves et al. 2006).

    log_probs (T, N, C) or (T, C), as from log_softmax; targets (N, S), padded, or joined one after another;
    lengths (N,). 'mean' divides each loss by its target's length, then averages. Where no path is short
    enough the loss is infinite, its gradient 0; `zero_infinity` makes the loss 0 too. The gradient is that
    of log_probs as given; PyTorch's is right only behind a log_softmax, where the two agree.

    >>> import minigrad as mg
    >>> x = mg.log_softmax(mg.zeros((3, 1, 2)), axis=-1)  # of 8 paths 6 write one "1": all but ---, 1-1
    >>> mg.exp(-mg.nn.functional.ctc_loss(x, mg.tensor([[1]]), [3], [1])).item()
    0.75
    """
    check_reduction("ctc_loss", reduction)
    if log_probs.ndim not in (2, 3):
        raise ValueError(f"ctc_loss: expected log_probs (T, N, C) or (T, C), got shape {log_probs.shape}")
    x = log_probs if log_probs.ndim == 3 else expand_dims(log_probs, 1)
    steps = _lengths("input_lengths", input_lengths, x.shape[1], x._data)
    lengths = _lengths("target_lengths", target_lengths, x.shape[1], x._data)
    labels = _padded(getattr(targets, "_data", targets), lengths, blank)
    losses = _ctc.ctc_loss(x, labels, steps, lengths, blank=blank)
    losses = where(isinf(losses), 0.0, losses) if zero_infinity else losses
    if reduction == "mean":
        losses = losses / xp_of(lengths).maximum(lengths, 1).astype(losses.dtype)
    return reduced(
        "ctc_loss", losses[0] if log_probs.ndim == 2 and reduction == "none" else losses, reduction
    )
