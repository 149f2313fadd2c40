"""Functions of labels and indices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...engine.backend import Array, xp_of
from ...engine.flags import check_range
from ...engine.recording import effect
from ...engine.tensor import Tensor, wrap
from ...ops import embedding as rows_of
from ...ops.elementwise import where
from ...ops.index import put_add, take_index
from ...ops.loss import check_labels

__all__ = [
    "embedding",
    "embedding_bag",
    "one_hot",
]


@effect
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 rows with a 1 at each label: (...) -> (..., num_classes), one more than the largest if -1.

    Raises TypeError unless int64, ValueError for labels outside [0, num_classes).

    >>> import minigrad as mg
    >>> from minigrad.nn import functional as F
    >>> F.one_hot(mg.tensor([1, 0]))
    tensor([[0, 1],
            [1, 0]])
    """
    labels = tensor._data
    if labels.dtype != np.int64:
        raise TypeError(f"one_hot: expected int64 labels, got {labels.dtype}; use .astype('int64')")
    if num_classes < -1 or (num_classes < 1 and not labels.size):
        raise ValueError(
            f"one_hot: expected the number of classes, or -1 and some labels (num_classes={num_classes}, "
            f"labels {labels.shape})"
        )
    classes = int(labels.max()) + 1 if num_classes == -1 else num_classes
    check_labels("one_hot", labels, classes)
    xp = tensor.device.xp
    return wrap((labels[..., None] == xp.arange(classes)).astype(np.int64), None)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """y = weight[input]: indices (...), weight (V, D) -> (..., D).

    The row padding_idx receives no gradient. max_norm first shortens the rows used, in place, to that
    norm_type-norm. scale_grad_by_freq divides a row's gradient by how often the row was used. Gradients
    are dense and summed in a fixed order; sparse=True is refused.
    Raises IndexError for an index outside [0, V), TypeError unless int32 or int64.

    >>> import minigrad as mg
    >>> from minigrad.nn import functional as F
    >>> w = mg.tensor([[1.0], [2.0], [3.0]], requires_grad=True)
    >>> F.embedding(mg.tensor([2, 0, 2]), w).sum().backward()
    >>> w.grad
    tensor([[1.],
            [0.],
            [2.]])
    """
    index = _indices("embedding", input, weight, sparse, max_norm)
    padding = padding_row("embedding", padding_idx, len(weight))
    xp = xp_of(index)
    if max_norm is not None:
        rows_of.limit_rows(xp, weight, index, max_norm, norm_type)
    y = take_index(weight, index=index)
    if padding is None and not scale_grad_by_freq:
        return y
    factor = xp.ones(index.shape) if padding is None else (index != padding).astype(np.float64)
    if scale_grad_by_freq:
        factor = factor / rows_of.counts_of(xp, index, len(weight))
    return rows_of.weigh_gradient(y, factor=factor[..., None].astype(weight.dtype))


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or max of the rows in each bag: weight (V, D) -> (B, D); an empty bag gives zeros.

    Bags are the rows of `input` (B, L), or parts of `input` (N,) that begin at `offsets` (B,) (then
    B + 1 numbers with include_last_offset). per_sample_weights, in the shape of `input`, multiply the
    rows of a sum. Entries equal to padding_idx are left out of their bags.
    Raises as `embedding` does, and ValueError for bags that do not fit.

    >>> import minigrad as mg
    >>> from minigrad.nn import functional as F
    >>> w = mg.tensor([[1.0], [2.0], [3.0]])
    >>> F.embedding_bag(mg.tensor([0, 1, 2]), w, mg.tensor([0, 2]), mode="sum")
    tensor([[3.],
            [3.]])
    """
    name = "embedding_bag"
    _check_bags(mode, scale_grad_by_freq, input, per_sample_weights, weight)
    index = _indices(name, input, weight, sparse, max_norm)
    padding = padding_row(name, padding_idx, len(weight))
    xp = xp_of(index)
    index, bag, bags = _bags(xp, index, offsets, include_last_offset)
    if max_norm is not None:
        rows_of.limit_rows(xp, weight, index, max_norm, norm_type)
    kept = slice(None) if padding is None else index != padding
    factor = 1.0 / rows_of.counts_of(xp, index, len(weight))[kept] if scale_grad_by_freq else None
    index, bag = index[kept], bag[kept]
    rows = take_index(weight, index=index)
    if factor is not None:
        rows = rows_of.weigh_gradient(rows, factor=factor[:, None].astype(weight.dtype))
    if per_sample_weights is not None:
        rows = rows * take_index(per_sample_weights.reshape(-1), index=kept)[:, None]
    shape = (bags, weight.shape[1])
    if mode == "max":
        best = index[rows_of.largest_of_runs(xp, rows._data, bag)]  # (N, D)
        last = rows_of.last_of_runs(bag)
        if xp is np:  # only the last of each bag; a GPU does not tell how many those are
            best, bag = best[last], bag[last]
        top = take_index(weight, index=(best, xp.arange(shape[1])))
        return put_add(top if xp is np else where(last[:, None], top, 0.0), shape=shape, index=bag)
    total = put_add(rows, shape=shape, index=bag)
    if mode == "sum":
        return total
    counts = xp.maximum(rows_of.count(xp, bag, bags), 1)[:, None]
    return total / Tensor(counts.astype(weight.dtype))


def padding_row(name: str, padding_idx: int | None, rows: int) -> int | None:
    """padding_idx counted from the front. Raises ValueError outside [-rows, rows)."""
    if padding_idx is None:
        return None
    if isinstance(padding_idx, bool) or not isinstance(padding_idx, int | np.integer):
        raise TypeError(f"{name}: expected a whole number or None (padding_idx={padding_idx!r})")
    if not -rows <= padding_idx < rows:
        raise ValueError(f"{name}: expected {-rows} <= padding_idx < {rows} (padding_idx={padding_idx})")
    return int(padding_idx) % rows


def check_options(name: str, sparse: bool, max_norm: float | None) -> None:
    """Options that no call can mean: sparse gradients (there are none here), a negative norm."""
    if sparse:
        raise ValueError(f"{name}: gradients are dense here (sparse={sparse!r}); leave sparse out")
    if max_norm is not None and not (max_norm >= 0 and not math.isnan(max_norm)):
        raise ValueError(f"{name}: expected a number >= 0 or None (max_norm={max_norm})")


def _indices(name: str, input: Any, weight: Any, sparse: bool, max_norm: float | None) -> Array:
    """The raw indices, when all that can be refused has been: nothing is changed before."""
    check_options(name, sparse, max_norm)
    for what, given in (("input", input), ("weight", weight)):
        if not isinstance(given, Tensor):
            raise TypeError(f"{name}: expected a Tensor as {what}, got {type(given).__name__}; use mg.tensor")
    if weight.ndim != 2:
        raise ValueError(f"{name}: expected weight (num_embeddings, embedding_dim), got shape {weight.shape}")
    if input.device != weight.device:
        raise TypeError(
            f"{name}: expected both on one device, got input on {input.device}, weight on {weight.device}"
        )
    rows_of.check_rows(name, input._data, len(weight))
    return input._data


def _check_bags(mode: str, by_frequency: bool, input: Any, given: Any, weight: Any) -> None:
    """What the options of embedding_bag exclude."""
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"embedding_bag: expected 'sum', 'mean' or 'max' (mode={mode!r})")
    if mode == "max" and by_frequency:
        raise ValueError("embedding_bag: mode='max' excludes scale_grad_by_freq=True")
    if given is None:
        return
    if mode != "sum":
        raise ValueError(f"embedding_bag: per_sample_weights needs mode='sum' (mode={mode!r})")
    if given.shape != input.shape or given.dtype != weight.dtype:
        raise (ValueError if given.shape != input.shape else TypeError)(
            f"embedding_bag: expected per_sample_weights {input.shape} {weight.dtype} as input and weight, "
            f"got {given.shape} {given.dtype}"
        )


def _bags(xp: Any, index: Array, offsets: Any, with_last: bool) -> tuple[Array, Array, int]:
    """All indices (N,), the bag of each (sorted), and the number of bags."""
    if index.ndim == 2:
        if offsets is not None:
            raise ValueError("embedding_bag: a 2-D input has a bag per row; leave offsets out")
        n, length = index.shape
        return index.reshape(-1), xp.arange(n * length) // max(length, 1), n
    if index.ndim != 1 or not isinstance(offsets, Tensor) or offsets.ndim != 1:
        raise ValueError(
            "embedding_bag: expected input (B, L), or input (N,) with offsets (B,), got input "
            f"{index.shape} with offsets {getattr(offsets, 'shape', offsets)}"
        )
    starts = offsets._data
    if xp_of(starts) is not xp:
        raise TypeError(f"embedding_bag: expected offsets beside the input, got them on {offsets.device}")
    if starts.dtype not in (np.int32, np.int64):
        raise TypeError(f"embedding_bag: expected int32 or int64 offsets, got {starts.dtype}")
    n = len(index)
    if xp is not np and len(starts):
        _check_offsets(starts, n, with_last)
        starts = starts[:-1] if with_last else starts
        return index, xp.searchsorted(starts, xp.arange(n), side="right") - 1, len(starts)
    ends = (int(starts[0]), int(starts[-1])) if len(starts) else (0, 0)
    in_order = ends[0] == 0 and ends[1] <= n and not bool((starts[1:] < starts[:-1]).any())
    if not in_order or (with_last and ends[1] != n) or (not len(starts) and (n or with_last)):
        told = f"end at {n}" if with_last else f"end at or before {n}"
        raise ValueError(
            f"embedding_bag: expected offsets that begin at 0, rise and {told} "
            f"(include_last_offset={with_last}), got {offsets.tolist()}"
        )
    starts = starts[:-1] if with_last else starts
    return index, xp.searchsorted(starts, xp.arange(n), side="right") - 1, len(starts)


def _check_offsets(starts: Array, n: int, with_last: bool) -> None:
    """The same, looked at by the GPU."""
    xp, text = xp_of(starts), "embedding_bag: expected offsets that"
    rising = f"{text} rise, got a step of {{value}} at {{place}}"
    check_range(xp, starts[:1], 0, 0, ValueError, f"{text} begin at 0, got {{value}}")
    check_range(xp, starts[1:] - starts[:-1], 0, n, ValueError, rising)
    told = f"end at {n}" if with_last else f"end at or before {n}"
    check_range(xp, starts[-1:], n if with_last else 0, n, ValueError, f"{text} {told}, got {{value}}")
