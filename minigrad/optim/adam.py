"""Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..engine.backend import xp_of
from ..engine.kernels import kernel_for
from ..engine.live import capturing, live
from .optimizer import Optimizer, zeros_like

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  p <- p - lr m' / (sqrt(v') + eps).

    m' = m / (1 - b1^t), v' = v / (1 - b2^t); weight_decay p is added to g, or with
    decoupled_weight_decay p <- p (1 - lr weight_decay) first. amsgrad: the largest v so far takes the
    place of v. Kingma & Ba 2015, algorithm 1; Reddi et al. 2018; Loshchilov & Hutter 2019.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0], requires_grad=True)
    >>> opt = mg.optim.Adam([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> _ = opt.step()
    >>> round(p.item(), 6)
    0.9
    """

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
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        self._begin(p, state, group)
        state["step"] += 1
        xp, (b1, b2) = xp_of(p), group["betas"]
        (size, eps), (shrink, added) = _rates(state["step"], group), _decay(group)
        largest = state["max_exp_avg_sq"] if group["amsgrad"] else g
        for w, d, m, v, top, s, t in self._blocks(p, g, state["exp_avg"], state["exp_avg_sq"], largest):
            d = self._downhill(xp, group, w, d, s, t, added)
            if shrink != 1.0:
                xp.multiply(w, shrink, out=w)
            track_moments(xp, m, v, d, t, b1, b2)
            used = xp.maximum(top, v, out=top) if group["amsgrad"] else v
            xp.add(xp.sqrt(used, out=t), eps, out=t)
            xp.subtract(w, xp.multiply(xp.divide(m, t, out=t), size, out=t), out=w)

    def _has_kernel(self) -> bool:
        return type(self)._update is Adam._update

    def _update_all(self, moving: list[tuple[Any, Any, dict[str, Any]]], group: dict[str, Any]) -> bool:
        """The same, by a kernel."""
        if group["amsgrad"] or not self._has_kernel():
            return False
        for p, _, state in moving:
            self._begin(p, state, group)
        states = [state for _, _, state in moving]
        arrays = [a for p, g, state in moving for a in (p, g, state["exp_avg"], state["exp_avg_sq"])]
        scaled = self._scaled([p for p, _, _ in moving])
        make = _numbers_of_scaled if scaled else _numbers
        numbers = live(lambda: make(states, group), (8 + 2 * len(states),), np.float32)
        if kernel_for("adam", arrays[0])(*arrays, numbers=numbers, **scaled) is not NotImplemented:
            return True
        for state in () if capturing() else states:
            state["step"] -= 1
        return False

    @staticmethod
    def _begin(p: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        """A parameter's state before its first step."""
        if not state:
            state["step"] = 0
            state["exp_avg"], state["exp_avg_sq"] = zeros_like(p), zeros_like(p)
        if group["amsgrad"] and "max_exp_avg_sq" not in state:  # switched on in mid-run, perhaps
            state["max_exp_avg_sq"] = zeros_like(p)


def _rates(step: int, group: dict[str, Any]) -> tuple[float, float]:
    """The factor of m and the eps beside sqrt(v) in step number `step`.

    With r = sqrt(1 - b2^t): m' / (sqrt(v') + eps) = m r / (1 - b1^t) / (sqrt(v) + eps r), a pass less.
    """
    b1, b2 = group["betas"]
    root = math.sqrt(1.0 - b2**step)
    return group["lr"] * root / (1.0 - b1**step), group["eps"] * root


def _numbers(states: list[dict[str, Any]], group: dict[str, Any]) -> np.ndarray:
    """Counts a step; all numbers of it: eight of the group, then a factor of m and an eps per parameter."""
    b1, b2 = group["betas"]
    for state in states:
        state["step"] += 1
    own = [number for state in states for number in _rates(state["step"], group)]
    sign = -1.0 if group["maximize"] else 1.0
    return np.array([*_decay(group), b1, 1.0 - b1, b2, 1.0 - b2, sign, 0.0, *own], np.float32)


def _numbers_of_scaled(states: list[dict[str, Any]], group: dict[str, Any]) -> np.ndarray:
    """The same for a scaled step, whose true count only the device knows: eps last, then lr and the count."""
    numbers = _numbers(states, group)
    numbers[7] = group["eps"]
    numbers[8:] = [number for state in states for number in (group["lr"], state["step"])]
    return numbers


def _decay(group: dict[str, Any]) -> tuple[float, float]:
    """The factor of p, and that of the p which is added to g."""
    decay = group["weight_decay"]
    return (1.0 - group["lr"] * decay, 0.0) if group["decoupled_weight_decay"] else (1.0, decay)


def track_moments(xp: Any, m: Any, v: Any, d: Any, t: Any, b1: float, b2: float) -> None:
    """m <- b1 m + (1 - b1) d;  v <- b2 v + (1 - b2) d^2, in place, with scratch t."""
    xp.add(xp.multiply(m, b1, out=m), xp.multiply(d, 1.0 - b1, out=t), out=m)
    xp.multiply(xp.multiply(d, d, out=t), 1.0 - b2, out=t)
    xp.add(xp.multiply(v, b2, out=v), t, out=v)


class AdamW(Adam):
    """Adam with the weight decay apart from the gradient: p <- p (1 - lr weight_decay) first.

    Loshchilov & Hutter 2019.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0], requires_grad=True)
    >>> opt = mg.optim.AdamW([p], lr=0.1, weight_decay=0.5)
    >>> (p * p).sum().backward()
    >>> _ = opt.step()
    >>> round(p.item(), 6)
    0.85
    """

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
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
            capturable=capturable, differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip
