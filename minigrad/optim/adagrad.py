"""Adagrad and Adadelta: each element's rate by the size of its past gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..engine.backend import xp_of
from .optimizer import INF, Optimizer, zeros_like

__all__ = ["Adadelta", "Adagrad"]


class Adagrad(Optimizer):
    """v <- v + g^2;  p <- p - lr / (1 + (t - 1) lr_decay) g / (sqrt(v) + eps).

    v starts at initial_accumulator_value; weight_decay p is added to g. Duchi et al. 2011.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0], requires_grad=True)
    >>> opt = mg.optim.Adagrad([p], lr=0.25)
    >>> (p * p).sum().backward()
    >>> _ = opt.step()
    >>> p.data
    array([0.75], dtype=float32)
    """

    _limits = {**Optimizer._limits, "lr_decay": (0.0, INF), "initial_accumulator_value": (0.0, INF)}
    _arrays = ("sum",)
    _needed = ("step", "sum")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """One more group; its state, unlike other optimisers', is there before the first step."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for p in group["params"]:
            total = zeros_like(p._data)
            total[...] = group["initial_accumulator_value"]
            self.state[p] = {"step": 0, "sum": total}

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        xp = xp_of(p)
        size = group["lr"] / (1.0 + state["step"] * group["lr_decay"])
        state["step"] += 1
        for w, d, v, s, t in self._blocks(p, g, state["sum"]):
            d = self._downhill(xp, group, w, d, s, t, group["weight_decay"])
            xp.add(v, xp.multiply(d, d, out=t), out=v)
            xp.add(xp.sqrt(v, out=t), group["eps"], out=t)
            xp.subtract(w, xp.multiply(xp.divide(d, t, out=t), size, out=t), out=w)


class Adadelta(Optimizer):
    """v <- rho v + (1 - rho) g^2;  x = g sqrt(u + eps) / sqrt(v + eps);  p <- p - lr x.

    u <- rho u + (1 - rho) x^2, after it was used; weight_decay p is added to g. Zeiler 2012.
    """

    _limits = {**Optimizer._limits, "rho": (0.0, 1.0)}
    _arrays = ("square_avg", "acc_delta")
    _needed = ("step", "square_avg", "acc_delta")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state.update(step=0, square_avg=zeros_like(p), acc_delta=zeros_like(p))
        state["step"] += 1
        xp, rho, eps = xp_of(p), group["rho"], group["eps"]
        for w, d, v, u, s, t in self._blocks(p, g, state["square_avg"], state["acc_delta"]):
            d = self._downhill(xp, group, w, d, s, t, group["weight_decay"])
            self._average(xp, v, d, t, rho)
            xp.divide(d, xp.sqrt(xp.add(v, eps, out=t), out=t), out=s)
            x = xp.multiply(s, xp.sqrt(xp.add(u, eps, out=t), out=t), out=s)
            self._average(xp, u, x, t, rho)
            xp.subtract(w, xp.multiply(x, group["lr"], out=t), out=w)

    @staticmethod
    def _average(xp: Any, v: Any, x: Any, t: Any, rho: float) -> None:
        """v <- rho v + (1 - rho) x^2."""
        xp.multiply(xp.multiply(x, x, out=t), 1.0 - rho, out=t)
        xp.add(xp.multiply(v, rho, out=v), t, out=v)
