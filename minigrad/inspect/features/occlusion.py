"""What a score loses when a part of the input is covered: Zeiler & Fergus 2014, section 4.2."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from ...engine.backend import concatenate, xp_of
from ...engine.recording import no_grad
from ...engine.tensor import Tensor, wrap
from ...nn.module import Module
from ...ops.windows import per_axis
from ..layers import of_targets, real_input, scored, targets_of

__all__ = ["occlusion"]

AT_ONCE = 256  # samples in one forward


def occlusion(
    model: Module, x: Any, target: Any = None, window: Any = 3, stride: Any = 1, value: float = 0.0
) -> Tensor:
    """s_t(x) - s_t(x with a window around (i, j) set to `value`): positive where the class is seen.

    x (N, C, H, W) -> (N, ceil(H / stride), ceil(W / stride)), a window around every stride-th pixel, cut off
    at the border; x (N, C, L) likewise. One forward per window, many in a batch. window, stride: numbers, or
    one per axis. target: a class, N classes, or None for the model's own answers. Raises ValueError for
    sizes, classes or shapes that do not fit.

    >>> import minigrad as mg
    >>> from minigrad import inspect, nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(9, 1, bias=False))
    >>> net[1].weight.data = [[0.0, 0, 0, 0, 5, 0, 0, 0, 0]]
    >>> inspect.occlusion(net, mg.ones(1, 1, 3, 3), window=1)[0]
    tensor([[0., 0., 0.],
            [0., 5., 0.],
            [0., 0., 0.]])
    """
    x = real_input("occlusion", model, x, axes=(3, 4))
    sides = x.shape[2:]
    window = per_axis("occlusion", "window", window, len(sides))
    stride = per_axis("occlusion", "stride", stride, len(sides))
    with no_grad():
        whole, _ = scored("occlusion", model, x)
        target = targets_of("occlusion", whole, target)
        covers = _covers(sides, window, stride)  # (P, *sides)
        left = [
            _covered(model, x, target, some, value)
            for some in np.array_split(covers, max(1, -(-len(covers) * len(x) // AT_ONCE)))
            if len(some)
        ]
        xp = xp_of(x._data)
        drops = of_targets(whole, target)._data[:, None] - concatenate(xp, left).T
    return wrap(drops.reshape(len(x), *(-(-n // s) for n, s in zip(sides, stride, strict=True))), None)


def _covers(sides: tuple, window: tuple, stride: tuple) -> np.ndarray:
    """(P, *sides), True where the p-th window covers."""
    covers = []
    for middle in product(*(range(0, n, s) for n, s in zip(sides, stride, strict=True))):
        cover = np.zeros(sides, bool)
        cover[
            tuple(
                slice(max(m - (k - 1) // 2, 0), m + k // 2 + 1) for m, k in zip(middle, window, strict=True)
            )
        ] = True
        covers.append(cover)
    return np.stack(covers)


def _covered(model: Module, x: Tensor, target: np.ndarray, covers: np.ndarray, value: float) -> Any:
    """Scores (P, N) under P covers."""
    raw, xp = x._data, xp_of(x._data)
    masks = Tensor(covers, device=x.device)._data[:, None, None]  # (P, 1, 1, *sides)
    changed = xp.where(masks, raw.dtype.type(value), raw[None]).reshape(-1, *raw.shape[1:])
    scores, _ = scored("occlusion", model, wrap(changed, None))
    return of_targets(scores, np.tile(target, len(covers)))._data.reshape(len(covers), len(raw))
