"""Which inputs a score depends on, by gradients: saliency, SmoothGrad, integrated gradients.

Every sample of a batch is explained on its own; the models run in eval mode and nothing of them changes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...engine.backend import xp_of
from ...engine.backprop import grad
from ...engine.random import Generator
from ...engine.recording import enable_grad
from ...engine.tensor import Tensor, wrap
from ...nn.module import Module
from ..layers import of_targets, on_model, real_input, scored, targets_of

__all__ = ["Integrated", "gradient_times_input", "integrated_gradients", "saliency", "smooth_grad"]

AT_ONCE = 256  # samples in one forward


def saliency(model: Module, x: Any, target: Any = None) -> Tensor:
    """|d s_t / d x|, the sensitivity of class t's score to each input: Simonyan, Vedaldi & Zisserman 2014.

    x (N, ...), scores (N, K) -> the shape of x. target: a class, N classes, or None for the model's own
    answers. For a picture of an image in colours take the largest over channels; `overlay` does.
    Raises ValueError for classes or shapes that do not fit, TypeError for integer x.

    >>> import minigrad as mg
    >>> from minigrad import inspect, nn
    >>> net = nn.Linear(2, 1)
    >>> net.weight.data = [[3.0, -4.0]]
    >>> inspect.saliency(net, mg.ones(1, 2))
    tensor([[3., 4.]])
    """
    x = real_input("saliency", model, x)
    return abs(_gradient("saliency", model, x, target)[0])


def gradient_times_input(model: Module, x: Any, target: Any = None) -> Tensor:
    """x * d s_t / d x: each input's share of the score to first order (Shrikumar et al. 2017, section 3).

    Shapes, target and errors as in `saliency`. For a network of linear layers without biases and ReLUs the
    shares add up to the score exactly.

    >>> import minigrad as mg
    >>> from minigrad import inspect, nn
    >>> net = nn.Linear(2, 1, bias=False)
    >>> net.weight.data = [[3.0, -4.0]]
    >>> inspect.gradient_times_input(net, mg.tensor([[1.0, 0.5]]))
    tensor([[ 3., -2.]])
    """
    x = real_input("gradient_times_input", model, x)
    return x.detach() * _gradient("gradient_times_input", model, x, target)[0]


def smooth_grad(
    model: Module, x: Any, target: Any = None, samples: int = 25, noise: float = 0.15, seed: int = 0
) -> Tensor:
    """mean of d s_t / d x over x + N(0, sigma^2), sigma = noise (max x - min x): Smilkov et al. 2017.

    The sign is kept; take abs() for a saliency map. Each sample has its own sigma; the noise comes from
    `seed`, not from the global stream. Shapes, target and errors as in `saliency`, and ValueError for
    samples < 1 or noise < 0.

    >>> import minigrad as mg
    >>> from minigrad import inspect, nn
    >>> net = nn.Linear(2, 1)
    >>> net.weight.data = [[3.0, -4.0]]
    >>> inspect.smooth_grad(net, mg.ones(1, 2))
    tensor([[ 3., -4.]])
    """
    if samples < 1 or noise < 0:
        raise ValueError(f"smooth_grad: expected samples >= 1, noise >= 0 (samples={samples}, noise={noise})")
    x = real_input("smooth_grad", model, x)
    target = targets_of("smooth_grad", scored("smooth_grad", model, x)[0], target)
    raw, xp, stream = x._data, xp_of(x._data), Generator(seed)
    others = tuple(range(1, x.ndim))
    sigma = noise * (raw.max(axis=others, keepdims=True) - raw.min(axis=others, keepdims=True))
    total: Any = 0.0
    for _ in range(samples):
        shifted = raw + sigma * stream.standard_normal(raw.shape, raw.dtype, xp)
        total = total + _gradient("smooth_grad", model, wrap(shifted, None).requires_grad_(), target)[0]
    return total / samples


class Integrated(NamedTuple):
    """What integrated_gradients found."""

    attributions: Tensor  # the shape of x
    difference: Tensor  # (N,) s_t(x) - s_t(baseline), to which the attributions should add up
    gap: Tensor  # (N,) how far their sum is from it; more steps make it smaller


def integrated_gradients(
    model: Module, x: Any, target: Any = None, baseline: Any = 0.0, steps: int = 100
) -> Integrated:
    """(x - b) * integral_0^1 d s_t(b + a (x - b)) / d x da: Sundararajan, Taly & Yan 2017.

    Completeness: the attributions of a sample add up to s_t(x) - s_t(b). The integral is a sum at the middles
    of `steps` parts, and `gap` tells how much of the difference it missed. baseline: a number, one sample's
    shape, or the shape of x. Other shapes, target and errors as in `saliency`.

    >>> import minigrad as mg
    >>> from minigrad import inspect, nn
    >>> net = nn.Sequential(nn.Linear(2, 1), nn.ReLU())
    >>> net[0].weight.data, net[0].bias.data = [[3.0, -4.0]], [1.0]
    >>> found = inspect.integrated_gradients(net, mg.tensor([[2.0, 1.0]]))
    >>> found.attributions, found.difference
    (tensor([[ 6., -4.]]), tensor([2.]))
    """
    where = "integrated_gradients"
    if steps < 1:
        raise ValueError(f"{where}: expected steps >= 1 (steps={steps})")
    x = real_input(where, model, x)
    start = _baseline(model, x, baseline)
    last = scored(where, model, x)[0]
    target = targets_of(where, last, target)
    difference = of_targets(last, target) - of_targets(scored(where, model, start)[0], target)
    way = x.detach() - start
    mean = _along(where, model, start, way, target, steps)
    attributions = way * mean
    gap = abs(attributions.reshape(len(x), -1).sum(1) - difference.detach())
    return Integrated(attributions, difference.detach(), gap)


def _baseline(model: Module, x: Tensor, baseline: Any) -> Tensor:
    """In the shape of x."""
    given = on_model(
        model, np.asarray(baseline, np.float64) if not isinstance(baseline, Tensor) else baseline
    )
    if given.shape not in ((), x.shape[1:], x.shape):
        raise ValueError(
            f"integrated_gradients: expected a number, {x.shape[1:]} or {x.shape}, got baseline {given.shape}"
        )
    return wrap(x._data * 0, None) + given.astype(x.dtype)


def _along(where: str, model: Module, start: Tensor, way: Tensor, target: np.ndarray, steps: int) -> Tensor:
    """The mean gradient at the middles of `steps` parts of the way, many of them in one forward."""
    n = len(start)
    shares = (np.arange(steps) + 0.5) / steps
    total: Any = 0.0
    for some in np.array_split(shares, -(-steps * n // AT_ONCE)):
        if len(some) == 0:  # more parts than steps, where one step is a whole forward
            continue
        share = Tensor(some.reshape(-1, *[1] * start.ndim), dtype=start.dtype, device=start.device)
        points = (start + share * way).reshape(-1, *start.shape[1:])  # (S N, ...)
        g = _gradient(where, model, points.requires_grad_(), np.tile(target, len(some)))[0]
        total = total + g.reshape(len(some), *start.shape).sum(0)
    return total / steps


def _gradient(where: str, model: Module, x: Tensor, target: Any) -> tuple[Tensor, Tensor]:
    """(d s_t / d x, s_t (N,)) for a leaf x; samples do not meet, so the sum of scores is differentiated."""
    scores, _ = scored(where, model, x)
    with enable_grad():
        chosen = of_targets(scores, targets_of(where, scores, target))
        total = chosen.sum()
    if not total.requires_grad:
        raise ValueError(f"{where}: the scores do not depend on x by differentiable operations")
    found = grad(total, [x], allow_unused=True)[0]
    return (wrap(x._data * 0, None) if found is None else found), chosen.detach()
