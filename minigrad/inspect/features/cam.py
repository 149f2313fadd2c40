"""Where in the image a class is seen: class activation maps, by global average pooling and by gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...engine.backprop import grad
from ...engine.recording import enable_grad
from ...engine.tensor import Tensor
from ...nn.linear import Linear
from ...nn.module import Module
from ..layers import Call, layer_named, of_targets, output_of, real_input, scored, targets_of

__all__ = ["class_activation_map", "grad_cam"]


def class_activation_map(model: Module, x: Any, target: Any = None) -> Tensor:
    """M_t(i, j) = sum_c W[t, c] A_c(i, j): Zhou, Khosla, Lapedriza, Oliva & Torralba 2016.

    For a network that ends in maps A (N, C, h, w), their means over places, and Linear(C, K): x (N, ...)
    -> (N, h, w). An identity, as a mean of sums is a sum of means: mean(M_t) + b_t is the score of class t.
    target: a class, N classes, or None for the model's own answers. Raises ValueError for other networks
    (grad_cam explains those), and for classes or shapes that do not fit.

    >>> import minigrad as mg
    >>> from minigrad import inspect, nn
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> x = mg.linspace(-1, 1, 36).reshape(1, 1, 6, 6)
    >>> heat = inspect.class_activation_map(net, x, target=1)
    >>> heat.shape, bool(abs(heat.mean() + net[3].bias[1] - net(x)[0, 1]) < 1e-6)
    ((1, 4, 4), True)
    """
    where = "class_activation_map"
    x = real_input(where, model, x)
    scores, calls = scored(where, model, x)
    last, maps = _last_linear(scores, calls), None
    if last is not None:
        maps = _averaged(calls, last.inputs[0])
    if last is None or maps is None:
        raise ValueError(
            f"{where}: expected a model that ends in maps (N, C, h, w), their means over places and a "
            f"Linear, got {type(model).__name__}; grad_cam takes any layer of maps"
        )
    target = Tensor(targets_of(where, scores, target), device=scores.device)
    weight = last.module.weight.detach()[target]  # (N, C)
    return (maps.detach() * weight[:, :, None, None]).sum(1)


def _last_linear(scores: Tensor, calls: list[Call]) -> Call | None:
    """The call of a Linear whose output is the scores."""
    mine = [call for call in calls if isinstance(call.module, Linear) and call.output is scores]
    return mine[-1] if mine else None


def _averaged(calls: list[Call], means: Tensor) -> Tensor | None:
    """The last layer's maps whose means over places are what the Linear received: looked at, not assumed."""
    wanted = _numbers(means)
    for call in reversed(calls):
        y = call.output
        if isinstance(y, Tensor) and y.ndim == 4 and y.shape[:2] == means.shape and y.shape[2:] != (1, 1):
            found = _numbers(y.mean((2, 3)))
            if np.allclose(found, wanted, rtol=1e-4, atol=1e-5 * max(1.0, float(np.abs(wanted).max()))):
                return y
    return None


def _numbers(x: Tensor) -> np.ndarray:
    return x.detach().cpu().numpy()


def grad_cam(model: Module, layer: Any, x: Any, target: Any = None, relu: bool = True) -> Tensor:
    """relu(sum_c a_c A_c), a_c = mean over places of d s_t / d A_c: Selvaraju et al. 2017.

    layer: the dotted name of a layer that gives maps A (N, C, h, w), or the layer itself; the last of them
    says most. x (N, ...) -> (N, h, w). relu=False keeps what speaks against the class. Where means over
    places and a Linear follow, this is class_activation_map divided by h w. target as there. Raises
    ValueError, with the names there are, for a layer that the model lacks or that gives no maps.

    >>> import minigrad as mg
    >>> from minigrad import inspect, nn
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))
    >>> inspect.grad_cam(net, "1", mg.ones(5, 1, 6, 6), target=0).shape
    (5, 4, 4)
    """
    x = real_input("grad_cam", model, x)
    which = layer_named("grad_cam", model, layer)
    scores, calls = scored("grad_cam", model, x)
    maps = output_of("grad_cam", calls, which, layer, axes=(4,))
    with enable_grad():
        score = of_targets(scores, targets_of("grad_cam", scores, target)).sum()
    slope = grad(score, [maps], allow_unused=True)[0] if score.requires_grad else None
    if slope is None:
        raise ValueError(f"grad_cam: the scores do not depend on that layer's maps (layer={layer!r})")
    heat = (maps.detach() * slope.mean((2, 3), keepdims=True)).sum(1)
    return heat.clip(0.0, None) if relu else heat
