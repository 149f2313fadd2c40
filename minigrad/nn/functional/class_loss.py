"""Losses of class scores, with PyTorch's signatures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.autocast import in_float32
from ...engine.backend import Array, as_dtype, is_float
from ...engine.recording import effect
from ...engine.tensor import Tensor, wrap
from ...ops import loss as _loss
from ...ops.elementwise import where
from ...ops.index import take, take_along_axis
from ...ops.linear import linear
from ...ops.reduce import sum
from ...ops.shape import expand_dims, moveaxis, reshape
from ...ops.softmax import log_softmax
from .loss import check_constant, check_reduction, reduced

__all__ = [
    "cross_entropy",
    "linear_cross_entropy",
    "nll_loss",
]


def _class_axis(name: str, x: Tensor, target: Any) -> tuple[Tensor, Tensor]:
    """x as (N, C, ...) and target as (N, ...): a lone sample gets a batch axis."""
    target = target if isinstance(target, Tensor) else Tensor(target)
    if x.ndim == 0:
        raise ValueError(f"{name}: expected scores (C,) or (N, C, ...), got a scalar")
    lone = x.ndim == 1
    wanted = () if lone else (x.shape[0], *x.shape[2:])
    if target.shape != wanted:
        raise ValueError(
            f"{name}: expected target of shape {wanted} for scores {x.shape}, got {target.shape}"
        )
    return (expand_dims(x, 0), expand_dims(target, 0)) if lone else (x, target)


def check_class_weight(name: str, weight: Tensor | None, classes: int) -> None:
    """One weight a class."""
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"{name}: expected weight of shape ({classes},), got {weight.shape}")


def check_smoothing(name: str, label_smoothing: float) -> None:
    """A share of the whole."""
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"{name}: expected a number in [0, 1] (label_smoothing={label_smoothing})")


@effect
def _kept(labels: Array, ignore_index: int, dtype: Any) -> tuple[Tensor, Tensor]:
    """1 where a label counts, else 0, and the labels with 0 for those that do not."""
    kept = labels != ignore_index
    return wrap(kept.astype(dtype), None), wrap(labels * kept, None)


@in_float32
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """-w[t] x[t] for log-probabilities x (N, C, ...) and labels t (N, ...); the mean is over the weights w.

    Raises ValueError for a label out of range (naming it) and for shapes that do not fit.
    """
    check_reduction("nll_loss", reduction)
    x, target = _class_axis("nll_loss", input, target)
    check_class_weight("nll_loss", weight, x.shape[1])
    check_constant("nll_loss", weight=weight)
    labels = target._data
    _loss.check_labels("nll_loss", labels, x.shape[1], ignore_index)
    kept, label = _kept(labels, ignore_index, x.dtype)
    losses = -take_along_axis(x, expand_dims(label, 1), 1).sum(1)
    weights = kept if weight is None else take(weight, label) * kept
    losses = where(kept > 0, losses * weights, 0.0)
    if reduction == "mean":
        mass = weights.sum()
        return reshape(losses.sum() / where(mass == 0, math.nan, mass), ())
    return reduced("nll_loss", losses if input.ndim > 1 or reduction == "sum" else losses[0], reduction)


@in_float32
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(x)[target]: class labels (N, ...), or probabilities of the shape of x (N, C, ...).

    label_smoothing s: the target becomes (1 - s) target + s / C (Szegedy et al. 2016).

    >>> import minigrad as mg
    >>> x = mg.zeros((1, 4), requires_grad=True)
    >>> loss = mg.nn.functional.cross_entropy(x, mg.tensor([2]))  # ln 4
    >>> loss.backward()
    >>> loss.item(), x.grad
    (1.3862943649291992, tensor([[ 0.25,  0.25, -0.75,  0.25]]))
    """
    check_reduction("cross_entropy", reduction)
    check_smoothing("cross_entropy", label_smoothing)
    target = target if isinstance(target, Tensor) else Tensor(target)
    if input.ndim:
        check_class_weight("cross_entropy", weight, input.shape[1 if input.ndim > 1 else 0])
    if target.shape == input.shape and target.dtype.kind not in "iub" and input.ndim:
        if ignore_index >= 0:
            raise ValueError(
                f"cross_entropy: labels are ignored, target is probabilities (ignore_index={ignore_index})"
            )
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    check_constant("cross_entropy", weight=weight)
    x, labels = _class_axis("cross_entropy", input, target)
    if labels.device.kind != "cpu":  # a GPU's kernel reads nothing wrong, and says nothing
        _loss.check_labels("cross_entropy", labels._data, x.shape[1], ignore_index)
    y = _loss.cross_entropy(
        x, labels, weight, reduction=reduction, ignore_index=ignore_index, label_smoothing=label_smoothing
    )
    return y[0] if reduction == "none" and input.ndim == 1 else y


def _soft_cross_entropy(x: Tensor, target: Tensor, weight: Any, reduction: str, smoothing: float) -> Tensor:
    """-sum_c t_c w_c log p_c, for target distributions."""
    axis = 1 if x.ndim > 1 else 0
    classes = x.shape[axis]
    if smoothing:
        target = target * (1.0 - smoothing) + smoothing / classes
    terms = target * log_softmax(x, axis)
    if weight is not None:
        terms = moveaxis(moveaxis(terms, axis, -1) * weight, -1, axis)
    losses = -sum(terms, axis)
    return reduced("cross_entropy", losses, reduction)


# ---------------------------------------------------------------- the layer before it included


@dataclass(frozen=True, slots=True)
class LinearCrossEntropyOptions:
    """How linear_cross_entropy goes through the batch in pieces, so that all the scores never exist at once.

    batch_chunk_size: rows a piece, all by default. chunking_method: None, or a rule that picks the rows:
    "aspect_ratio" makes a piece of scores about as large as the input, "aspect_ratio:k" k times smaller,
    "auto" is "aspect_ratio:2" unless batch_chunk_size is given. acc_dtype: what scores and gradients are
    gathered in, by default the wider of float32 and the input's; this is PyTorch's acc_policy "accurate", and
    the one here. allow_retain_graph: either; a backward makes the scores again, so it may always run twice.

    Raises ValueError for settings of other kinds.
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: Any = None

    def __post_init__(self) -> None:
        name, size = "LinearCrossEntropyOptions", self.batch_chunk_size
        if self.acc_policy not in ("auto", "accurate"):
            raise ValueError(f"{name}: expected 'auto' or 'accurate' (acc_policy={self.acc_policy!r})")
        if self.chunking_method not in (None, "auto") and self._factor() < 1:
            raise ValueError(
                f"{name}: expected None, 'auto', 'aspect_ratio' or 'aspect_ratio:k' "
                f"(chunking_method={self.chunking_method!r})"
            )
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise ValueError(f"{name}: expected a whole number >= 1 (batch_chunk_size={size!r})")
        if self.acc_dtype is not None and not is_float(as_dtype(self.acc_dtype)):
            raise ValueError(f"{name}: expected a floating dtype (acc_dtype={self.acc_dtype!r})")

    def _factor(self) -> int:
        """k of "aspect_ratio:k"; 0 if that is not what it says."""
        head, colon, k = str(self.chunking_method).partition(":")
        return 0 if head != "aspect_ratio" else 1 if not colon else int(k) if k.isdigit() else 0

    def rows(self, n: int, features: int, classes: int) -> int:
        """How many rows a piece of a batch of n has."""
        size = n if self.batch_chunk_size is None else min(self.batch_chunk_size, n)
        if self.chunking_method is None or (self.chunking_method == "auto" and self.batch_chunk_size):
            return max(size, 1)
        factor = 2 if self.chunking_method == "auto" else self._factor()
        target = -(-n // -(-classes // features))  # rows of scores as large as the whole input
        ruled = max(min((1 << max(target - 1, 0).bit_length()) // factor, n), 1)
        if self.batch_chunk_size not in (None, ruled):
            raise ValueError(
                f"LinearCrossEntropyOptions: {self.chunking_method} gives {ruled} rows, "
                f"not batch_chunk_size={self.batch_chunk_size}; give one of them"
            )
        return ruled


@in_float32
def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: LinearCrossEntropyOptions | None = None,
) -> Tensor:
    """cross_entropy(x W^T + b, target): x (N, in) or (in,), W (C, ..., in), b (C, ...), target (N, ...).

    With `options` the scores of W (C, in) are made a piece of the batch at a time, and again in backward, so
    memory grows with the piece and not with N C. Raises ValueError for shapes that do not fit, and where
    options are given that a piecewise loss has no form for (label smoothing, soft targets, W of more axes).
    """
    name = "linear_cross_entropy"
    check_reduction(name, reduction)
    check_smoothing(name, label_smoothing)
    target = target if isinstance(target, Tensor) else Tensor(target)
    shape = _scores_shape(name, input, linear_weight, linear_bias)
    soft = target.shape == shape
    if soft and ignore_index is not None:
        raise ValueError(
            f"{name}: ignore_index is for labels, not probabilities (ignore_index={ignore_index})"
        )
    ignore = -100 if ignore_index is None else ignore_index
    if options is not None:
        if not isinstance(options, LinearCrossEntropyOptions):
            raise TypeError(f"{name}: expected LinearCrossEntropyOptions (options={options!r})")
        if soft or label_smoothing or linear_weight.ndim > 2:
            raise ValueError(
                f"{name}: options need labels, label_smoothing=0 and W (C, in), got target {target.shape}, "
                f"label_smoothing={label_smoothing}, W {linear_weight.shape}; leave options out"
            )
        return _in_pieces(input, linear_weight, target, linear_bias, weight, reduction, ignore, options)
    bias = None if linear_bias is None else reshape(linear_bias, (-1,))
    scores = linear(input, reshape(linear_weight, (-1, linear_weight.shape[-1])), bias)
    return cross_entropy(reshape(scores, shape), target, weight, ignore, reduction, label_smoothing)


def _scores_shape(name: str, input: Tensor, weight: Tensor, bias: Tensor | None) -> tuple:
    """The shape of x W^T + b, checked."""
    if input.ndim not in (1, 2) or weight.ndim < 2 or input.shape[-1] != weight.shape[-1]:
        raise ValueError(
            f"{name}: expected input (N, in) or (in,) and linear_weight (C, ..., in), "
            f"got {input.shape} and {weight.shape}"
        )
    if bias is not None and bias.shape != weight.shape[:-1]:
        raise ValueError(f"{name}: expected linear_bias of shape {weight.shape[:-1]}, got {bias.shape}")
    if weight.ndim > 2 and input.ndim == 1:
        raise ValueError(f"{name}: linear_weight {weight.shape} needs a batch (N, in), got {input.shape}")
    return (*input.shape[:-1], *weight.shape[:-1])


def _in_pieces(
    x: Tensor,
    w: Tensor,
    target: Tensor,
    bias: Tensor | None,
    weight: Tensor | None,
    reduction: str,
    ignore_index: int,
    options: LinearCrossEntropyOptions,
) -> Tensor:
    """The mean, sum or all of the piecewise losses."""
    name, lone = "linear_cross_entropy", x.ndim == 1
    if target.shape != x.shape[:-1]:
        raise ValueError(f"{name}: expected target of shape {x.shape[:-1]}, got {target.shape}")
    check_class_weight(name, weight, w.shape[0])
    check_constant(name, weight=weight)
    x, target = (expand_dims(x, 0), expand_dims(target, 0)) if lone else (x, target)
    rows = options.rows(len(x), x.shape[1], w.shape[0])
    losses = _loss.linear_cross_entropy(
        x, w, target, bias, weight, ignore_index=ignore_index, rows=rows, dtype=options.acc_dtype
    )
    if reduction != "mean":
        return reduced(name, losses[0] if lone and reduction == "none" else losses, reduction)
    kept = target._data != ignore_index
    mass = kept.sum() if weight is None else (weight._data[target._data * kept] * kept).sum()
    if not isinstance(mass, np.ndarray | np.generic):  # never ask the device: 0 / 0 is the NaN that is meant
        return losses.sum() / wrap(mass.astype(losses.dtype), None)
    return losses.sum() * (1.0 / float(mass) if mass else math.nan)
