"""ASGD and Rprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..engine.backend import xp_of
from .optimizer import INF, Optimizer, zeros_like

__all__ = ["ASGD", "Rprop"]


class ASGD(Optimizer):
    """p <- (1 - lambd eta) p - eta g, with the mean of all p kept in state[p]["ax"].

    eta = lr / (1 + lambd lr t)^alpha; ax <- ax + (p - ax) / max(1, t - t0), so that the mean starts after
    t0 steps; weight_decay p is added to g. Polyak & Juditsky 1992.
    """

    _limits = {**Optimizer._limits, "lambd": (-INF, INF), "alpha": (-INF, INF), "t0": (-INF, INF)}
    _arrays = ("ax",)
    _needed = ("step", "eta", "mu", "ax")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        lr, lambd = group["lr"], group["lambd"]
        if not state:
            state.update(step=0, eta=lr, mu=1.0, ax=zeros_like(p))
        state["step"] += 1
        xp, eta, mu = xp_of(p), state["eta"], state["mu"]
        for w, d, mean, s, t in self._blocks(p, g, state["ax"]):
            d = self._downhill(xp, group, w, d, s, t, group["weight_decay"])
            xp.multiply(w, 1.0 - lambd * eta, out=w)
            xp.subtract(w, xp.multiply(d, eta, out=t), out=w)
            if mu == 1.0:
                mean[...] = w
            else:
                xp.add(mean, xp.multiply(xp.subtract(w, mean, out=t), mu, out=t), out=mean)
        state["eta"] = lr / (1.0 + lambd * lr * state["step"]) ** group["alpha"]
        state["mu"] = 1.0 / max(1.0, state["step"] - group["t0"])


class Rprop(Optimizer):
    """p <- p - step_size sign(g): each element has a step of its own, and only g's sign counts.

    step_size grows by etas[1] while the sign stays and shrinks by etas[0] when it turns, within
    step_sizes; where it turned, the element waits a step. For whole-batch gradients. Riedmiller & Braun 1993.
    """

    _arrays = ("prev", "step_size")
    _needed = ("step", "prev", "step_size")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        for name in ("etas", "step_sizes"):
            self._check_pair(name, group[name])
            for i, value in enumerate(group[name]):
                self._check_number(f"{name}[{i}]", value, 0.0, INF)
        if not 0.0 < group["etas"][0] < 1.0 < group["etas"][1]:
            raise ValueError(f"Rprop: expected 0 < etas[0] < 1 < etas[1] (etas={group['etas']})")
        if group["step_sizes"][0] > group["step_sizes"][1]:
            raise ValueError(f"Rprop: expected the smaller one first (step_sizes={group['step_sizes']})")

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state.update(step=0, prev=zeros_like(p), step_size=zeros_like(p))
            state["step_size"][...] = group["lr"]
        state["step"] += 1
        xp, (shrink, grow), (low, high) = xp_of(p), group["etas"], group["step_sizes"]
        for w, d, before, size, s, t in self._blocks(p, g, state["prev"], state["step_size"]):
            d = self._downhill(xp, group, w, d, s, t, 0.0)
            same = xp.multiply(d, before, out=t)
            stays, turns = same > 0.0, same < 0.0
            t[...] = 1.0
            xp.copyto(t, grow, where=stays)
            xp.copyto(t, shrink, where=turns)
            xp.clip(xp.multiply(size, t, out=size), low, high, out=size)
            before[...] = d
            xp.copyto(before, 0.0, where=turns)
            xp.subtract(w, xp.multiply(xp.sign(before, out=t), size, out=t), out=w)
