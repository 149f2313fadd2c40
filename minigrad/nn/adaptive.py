"""Adaptive softmax: rare classes live in clusters with smaller layers of their own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ..engine.backend import xp_of
from ..engine.tensor import Tensor, wrap
from ..ops.index import put_add, take, take_along_axis
from ..ops.loss import check_labels
from ..ops.shape import concatenate, expand_dims
from ..ops.softmax import log_softmax
from .containers import ModuleList, Sequential
from .linear import Linear
from .module import Module
from .parameter import check_size

__all__ = [
    "AdaptiveLogSoftmaxWithLoss",
]


class _Output(NamedTuple):
    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """log p(target) and its negative mean, for many classes sorted from frequent to rare (Grave et al. 2017).

    The head tells the first cutoffs[0] classes apart and from the clusters; cluster i, of the classes from
    cutoffs[i] on, has a layer of width in_features / div_value^(i+1), which only its own samples go through:

        log p(c) = head[c], or head[cluster of c] + tail_cluster[c].

    x (N, in_features) or (in_features,), target (N,) or (); output as target. Raises ValueError for cutoffs
    that do not rise between 1 and n_classes - 1, and for clusters so small that their width would be 0.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = "AdaptiveLogSoftmaxWithLoss"
        check_size(name, in_features=in_features, n_classes=n_classes)
        ends = [0, *cutoffs, n_classes]
        rising = all(a < b and int(b) == b for a, b in pairwise(ends))
        if len(ends) < 3 or not rising:
            raise ValueError(
                f"{name}: expected whole numbers rising from 1 to {n_classes - 1} (cutoffs={list(cutoffs)})"
            )
        self.in_features, self.n_classes, self.cutoffs = in_features, n_classes, ends[1:]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = ends[1], len(ends) - 2
        self.head_size = self.shortlist_size + self.n_clusters
        how = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **how)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            width = int(in_features // div_value ** (i + 1))
            if width < 1:
                raise ValueError(
                    f"{name}: cluster {i} would have {in_features} / {div_value}^{i + 1} < 1 features; "
                    "use a smaller div_value or fewer cutoffs"
                )
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            layers = Linear(in_features, width, bias=False, **how), Linear(width, size, bias=False, **how)
            self.tail.append(Sequential(*layers))

    def reset_parameters(self) -> None:
        """Start every layer again."""
        for layer in (self.head, *(part for cluster in self.tail for part in cluster)):
            layer.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _Output:
        """(output, loss): log p(target) a sample, and the mean of its negative."""
        if target_.ndim > 1 or input_.ndim != target_.ndim + 1 or target_.shape != input_.shape[:-1]:
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss: expected input (N, {self.in_features}) and target (N,), or "
                f"({self.in_features},) and (), got {input_.shape} and {target_.shape}"
            )
        lone = target_.ndim == 0
        x, target = (expand_dims(input_, 0), expand_dims(target_, 0)) if lone else (input_, target_)
        labels = target._data
        check_labels("AdaptiveLogSoftmaxWithLoss", labels, self.n_classes)
        xp = xp_of(labels)
        of_head, parts = labels, []
        for i, cluster in enumerate(self.tail):
            first, end = self.cutoffs[i], self.cutoffs[i + 1]
            inside = (labels >= first) & (labels < end)
            (rows,) = xp.nonzero(inside)
            if len(rows):
                logp = log_softmax(cluster(take(x, wrap(rows, None), 0)), 1)
                parts.append(
                    (rows, take_along_axis(logp, wrap(labels[rows] - first, None).reshape(-1, 1), 1))
                )
                of_head = xp.where(inside, self.shortlist_size + i, of_head)
        output = take_along_axis(log_softmax(self.head(x), 1), wrap(of_head, None).reshape(-1, 1), 1)[:, 0]
        for rows, logp in parts:
            output = output + put_add(logp[:, 0], shape=labels.shape, index=rows)
        return _Output(output[0] if lone else output, -output.mean())

    def log_prob(self, input: Tensor) -> Tensor:
        """log p of every class: (N, in_features) -> (N, n_classes)."""
        head = log_softmax(self.head(input), 1)
        short = self.shortlist_size
        tails = [
            log_softmax(cluster(input), 1) + head[:, short + i : short + i + 1]
            for i, cluster in enumerate(self.tail)
        ]
        return concatenate([head[:, :short], *tails], 1)

    def predict(self, input: Tensor) -> Tensor:
        """The likeliest class of each row, as if by log_prob(input).argmax(1)."""
        return self.log_prob(input).argmax(axis=1)
