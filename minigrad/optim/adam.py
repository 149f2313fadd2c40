"""Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..engine.backend import xp_of
from .optimizer import Optimizer, zeros_like

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  p <- p - lr m' / (sqrt(v') + eps).

    m' = m / (1 - b1^t), v' = v / (1 - b2^t); weight_decay p is added to g. amsgrad: the largest v so
    far takes the place of v. Kingma & Ba 2015, algorithm 1; Reddi et al. 2018.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0], requires_grad=True)
    >>> opt = mg.optim.Adam([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> _ = opt.step()
    >>> p.data
    array([0.9], dtype=float32)
    """

    _decoupled = False
    _arrays = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    _needed = ("step", "exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "amsgrad": amsgrad, "maximize": maximize})

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state["step"] = 0
            state["exp_avg"], state["exp_avg_sq"] = zeros_like(p), zeros_like(p)
        if group["amsgrad"] and "max_exp_avg_sq" not in state:  # switched on in mid-run, perhaps
            state["max_exp_avg_sq"] = zeros_like(p)
        state["step"] += 1
        xp, (b1, b2), decay, lr = xp_of(p), group["betas"], group["weight_decay"], group["lr"]
        size = lr / (1.0 - b1 ** state["step"])
        root = 1.0 / math.sqrt(1.0 - b2 ** state["step"])
        largest = state.get("max_exp_avg_sq", g)
        for w, d, m, v, top, s, t in self._blocks(p, g, state["exp_avg"], state["exp_avg_sq"], largest):
            if group["maximize"]:
                d = xp.negative(d, out=s)
            if decay and self._decoupled:
                xp.multiply(w, 1.0 - lr * decay, out=w)
            elif decay:
                d = xp.add(xp.multiply(w, decay, out=t), d, out=s)
            xp.add(xp.multiply(m, b1, out=m), xp.multiply(d, 1.0 - b1, out=t), out=m)
            xp.multiply(xp.multiply(d, d, out=t), 1.0 - b2, out=t)
            xp.add(xp.multiply(v, b2, out=v), t, out=v)
            used = xp.maximum(top, v, out=top) if group["amsgrad"] else v
            xp.add(xp.multiply(xp.sqrt(used, out=t), root, out=t), group["eps"], out=t)
            xp.subtract(w, xp.multiply(xp.divide(m, t, out=t), size, out=t), out=w)


class AdamW(Adam):
    """Adam with the weight decay apart from the gradient: p <- p (1 - lr weight_decay) first.

    Loshchilov & Hutter 2019.
    """

    _decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
