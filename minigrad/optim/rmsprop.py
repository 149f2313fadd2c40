"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..engine.backend import xp_of
from .optimizer import INF, Optimizer, zeros_like

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """v <- alpha v + (1 - alpha) g^2;  p <- p - lr g / (sqrt(v) + eps).

    centered: v - m^2 in place of v, with m the running mean of g. momentum: b <- momentum b +
    g / (sqrt(v) + eps); p <- p - lr b. weight_decay p is added to g. Tieleman & Hinton 2012, lecture 6.5;
    centered: Graves 2013, section 4.2.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0], requires_grad=True)
    >>> opt = mg.optim.RMSprop([p], lr=0.1, alpha=0.75)
    >>> (p * p).sum().backward()
    >>> _ = opt.step()
    >>> p.data
    array([0.8], dtype=float32)
    """

    _limits = {**Optimizer._limits, "alpha": (0.0, INF)}
    _arrays = ("square_avg", "momentum_buffer", "grad_avg")
    _needed = ("step", "square_avg")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        xp, alpha, momentum, centered = xp_of(p), group["alpha"], group["momentum"], group["centered"]
        state["step"] = state.get("step", 0) + 1
        used = ["square_avg", *["momentum_buffer"] * bool(momentum), *["grad_avg"] * bool(centered)]
        for name in used:
            if name not in state:
                state[name] = zeros_like(p)
        velocity, mean = state.get("momentum_buffer", g), state.get("grad_avg", g)
        for w, d, v, b, m, s, t in self._blocks(p, g, state["square_avg"], velocity, mean):
            d = self._downhill(xp, group, w, d, s, t, group["weight_decay"])
            xp.multiply(xp.multiply(d, d, out=t), 1.0 - alpha, out=t)
            xp.add(xp.multiply(v, alpha, out=v), t, out=v)
            if centered:
                xp.add(xp.multiply(m, alpha, out=m), xp.multiply(d, 1.0 - alpha, out=t), out=m)
                # A variance: rounding may take it below 0, where PyTorch's square root is NaN.
                xp.maximum(xp.subtract(v, xp.multiply(m, m, out=t), out=t), 0.0, out=t)
            xp.add(xp.sqrt(t if centered else v, out=t), group["eps"], out=t)
            move = xp.divide(d, t, out=t)
            if momentum:
                move = xp.add(xp.multiply(b, momentum, out=b), move, out=b)
            xp.subtract(w, xp.multiply(move, group["lr"], out=t), out=w)
