"""Losses as modules: a module holds the settings of a loss of nn.functional.

PyTorch's classes, without the deprecated `size_average` and `reduce`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, ClassVar

from ..engine.tensor import Tensor
from ..ops.shape import reshape
from . import functional as F
from .functional.class_loss import LinearCrossEntropyOptions, check_class_weight, check_smoothing
from .functional.loss import check_positive, check_reduction
from .linear import Linear
from .module import Module
from .parameter import check_size

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CTCLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LinearCrossEntropyLoss",
    "LinearCrossEntropyOptions",
    "MSELoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
]


class _Loss(Module):
    """`_function(*tensors, **settings)`; settings are the attributes named as the constructor's arguments."""

    _function: ClassVar[Callable[..., Tensor]]
    _settings: ClassVar[tuple[str, ...]] = ()
    _reductions: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._settings = tuple(inspect.signature(cls).parameters)

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        check_reduction(type(self).__name__, reduction, self._reductions)
        self.reduction = reduction

    def _loss(self, *tensors: Any) -> Tensor:
        return type(self)._function(*tensors, **{name: getattr(self, name) for name in self._settings})

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of that name in nn.functional."""
        return self._loss(input, target)


class _WeightedLoss(_Loss):
    """With weights, which are no parameters but move and are saved with the module."""

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)


# ---------------------------------------------------------------- numbers


class MSELoss(_Loss):
    """(x - t)^2, averaged.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 3.0], requires_grad=True)
    >>> mg.nn.MSELoss()(x, mg.zeros(2)).backward()
    >>> x.grad
    tensor([1., 3.])
    """

    _function = F.mse_loss


class L1Loss(_Loss):
    """|x - t|, averaged."""

    _function = F.l1_loss


class SmoothL1Loss(_Loss):
    """d^2 / (2 beta) where |d| < beta, else |d| - beta / 2 (Girshick 2015)."""

    _function = F.smooth_l1_loss

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        if not beta >= 0:
            raise ValueError(f"SmoothL1Loss: expected beta >= 0 (beta={beta})")
        self.beta = beta


class HuberLoss(_Loss):
    """d^2 / 2 where |d| < delta, else delta (|d| - delta / 2) (Huber 1964)."""

    _function = F.huber_loss

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        check_positive("HuberLoss", delta=delta)
        self.delta = delta


# ---------------------------------------------------------------- densities


class PoissonNLLLoss(_Loss):
    """e^x - t x for log-rates x, or x - t log(x + eps) for rates; full adds Stirling's log t!."""

    _function = F.poisson_nll_loss

    def __init__(
        self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:  # type: ignore[override]
        """poisson_nll_loss."""
        return self._loss(log_input, target)


class GaussianNLLLoss(_Loss):
    """(log v + (x - t)^2 / v) / 2, v the variance, held above eps (Nix & Weigend 1994)."""

    _function = F.gaussian_nll_loss

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        check_positive("GaussianNLLLoss", eps=eps)
        self.full, self.eps = full, eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:  # type: ignore[override]
        """gaussian_nll_loss."""
        return self._loss(input, target, var)


class KLDivLoss(_Loss):
    """t (log t - x) for log-probabilities x; reduction 'batchmean' gives the divergence."""

    _function = F.kl_div
    _reductions = ("batchmean",)

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = log_target


# ---------------------------------------------------------------- two classes


class BCELoss(_WeightedLoss):
    """-(t log x + (1 - t) log(1 - x)) for probabilities x."""

    _function = F.binary_cross_entropy


class BCEWithLogitsLoss(_WeightedLoss):
    """BCELoss of sigmoid(x), stable for any x; pos_weight multiplies the loss of t = 1.

    >>> import minigrad as mg
    >>> x = mg.tensor([0.0], requires_grad=True)
    >>> loss = mg.nn.BCEWithLogitsLoss()(x, mg.tensor([1.0]))
    >>> loss.backward()
    >>> round(loss.item(), 6), x.grad
    (0.693147, tensor([-0.5]))
    """

    _function = F.binary_cross_entropy_with_logits

    def __init__(
        self, weight: Tensor | None = None, reduction: str = "mean", pos_weight: Tensor | None = None
    ) -> None:
        super().__init__(weight, reduction)
        self.register_buffer("pos_weight", pos_weight)


# ---------------------------------------------------------------- many classes


class NLLLoss(_WeightedLoss):
    """-w[t] x[t] for log-probabilities x (N, C, ...), averaged over the weights.

    >>> import minigrad as mg
    >>> x = mg.tensor([[-1.0, -2.0], [-3.0, -4.0]], requires_grad=True)
    >>> loss = mg.nn.NLLLoss()(x, mg.tensor([0, 1]))
    >>> loss.backward()
    >>> loss.item(), x.grad
    (2.5, tensor([[-0.5,  0. ],
           [ 0. , -0.5]]))
    """

    _function = F.nll_loss

    def __init__(
        self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        super().__init__(weight, reduction)
        self.ignore_index = ignore_index


class CrossEntropyLoss(_WeightedLoss):
    """-log softmax(x)[target] for scores x (N, C, ...); target class labels or probabilities.

    >>> import minigrad as mg
    >>> mg.nn.CrossEntropyLoss()(mg.zeros((1, 10)), mg.tensor([3])).item()
    2.3025851249694824
    """

    _function = F.cross_entropy

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, reduction)
        check_smoothing("CrossEntropyLoss", label_smoothing)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing


class LinearCrossEntropyLoss(_WeightedLoss):
    """A linear layer to (C, *out_features) scores and their cross-entropy in one: x (N, in), labels (N, ...).

    With `options` the scores are made in pieces: for vocabularies whose scores would not fit in memory.
    Raises ValueError for sizes and weights that do not fit.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: LinearCrossEntropyOptions | None = None,
    ) -> None:
        super().__init__(weight, reduction)
        name = "LinearCrossEntropyLoss"
        check_size(
            name, num_classes=num_classes, **{f"out_features[{i}]": n for i, n in enumerate(out_features)}
        )
        check_class_weight(name, weight, num_classes)
        check_smoothing(name, label_smoothing)
        self.num_classes, self.out_features, self.options = num_classes, out_features, options
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        width = math.prod(out_features, start=num_classes)
        self.linear = Linear(in_features, width, bias=bias, device=device, dtype=dtype)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """linear_cross_entropy, of the layer's weight cut into classes and places."""
        shape = (self.num_classes, *self.out_features)
        bias = self.linear.bias
        return F.linear_cross_entropy(
            input,
            reshape(self.linear.weight, (*shape, self.linear.in_features)),
            target,
            linear_bias=None if bias is None else reshape(bias, shape),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self) -> str:
        """Sizes and settings."""
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, "
            f"out_features={self.out_features}, bias={self.linear.bias is not None}, "
            f"reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options={self.options}"
        )


# ---------------------------------------------------------------- sequences


class CTCLoss(_Loss):
    """-log of the probability of all paths that spell the targets (Graves et al. 2006)."""

    _function = F.ctc_loss

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction)
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(  # type: ignore[override]
        self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any
    ) -> Tensor:
        """ctc_loss."""
        return self._loss(log_probs, targets, input_lengths, target_lengths)
