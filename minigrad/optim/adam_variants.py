"""Adam's relatives: Adamax, NAdam, RAdam."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..engine.backend import xp_of
from .adam import track_moments
from .optimizer import INF, Optimizer, zeros_like

__all__ = ["Adamax", "NAdam", "RAdam"]


class Adamax(Optimizer):
    """m <- b1 m + (1 - b1) g;  u <- max(b2 u, |g| + eps);  p <- p - lr / (1 - b1^t) m / u.

    Adam with the largest gradient in place of the mean square; weight_decay p is added to g.
    Kingma & Ba 2015, algorithm 2.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0], requires_grad=True)
    >>> opt = mg.optim.Adamax([p], lr=0.25)
    >>> (p * p).sum().backward()
    >>> _ = opt.step()
    >>> p.data
    array([0.75], dtype=float32)
    """

    _arrays = ("exp_avg", "exp_inf")
    _needed = ("step", "exp_avg", "exp_inf")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state.update(step=0, exp_avg=zeros_like(p), exp_inf=zeros_like(p))
        state["step"] += 1
        xp, (b1, b2) = xp_of(p), group["betas"]
        size = group["lr"] / (1.0 - b1 ** state["step"])
        for w, d, m, u, s, t in self._blocks(p, g, state["exp_avg"], state["exp_inf"]):
            d = self._downhill(xp, group, w, d, s, t, group["weight_decay"])
            xp.add(xp.multiply(m, b1, out=m), xp.multiply(d, 1.0 - b1, out=t), out=m)
            xp.add(xp.absolute(d, out=t), group["eps"], out=t)
            xp.maximum(xp.multiply(u, b2, out=u), t, out=u)
            xp.subtract(w, xp.multiply(xp.divide(m, u, out=t), size, out=t), out=w)


class _Moments(Optimizer):
    """What NAdam and RAdam share: Adam's two moments, and either kind of weight decay."""

    _arrays = ("exp_avg", "exp_avg_sq")
    _needed = ("step", "exp_avg", "exp_avg_sq")

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state.update(step=0, exp_avg=zeros_like(p), exp_avg_sq=zeros_like(p))
        state["step"] += 1
        xp, (b1, b2), decay = xp_of(p), group["betas"], group["weight_decay"]
        apart = group["decoupled_weight_decay"]
        sizes = self._sizes(state, group)
        for w, d, m, v, s, t in self._blocks(p, g, state["exp_avg"], state["exp_avg_sq"]):
            d = self._downhill(xp, group, w, d, s, t, 0.0 if apart else decay)
            if apart and decay:
                xp.multiply(w, 1.0 - group["lr"] * decay, out=w)
            track_moments(xp, m, v, d, t, b1, b2)
            self._move(xp, w, d, m, v, s, t, group["eps"], *sizes)

    def _sizes(self, state: dict[str, Any], group: dict[str, Any]) -> tuple[float, ...]:
        """The numbers of this step."""
        raise NotImplementedError

    @staticmethod
    def _move(xp: Any, w: Any, d: Any, m: Any, v: Any, s: Any, t: Any, eps: float, *sizes: float) -> None:
        raise NotImplementedError


class NAdam(_Moments):
    """Adam with Nesterov's look ahead: p <- p - lr (c1 g + c2 m) / (sqrt(v') + eps).

    mu_t = b1 (1 - 0.96^(t momentum_decay) / 2), M_t = mu_1 ... mu_t; c1 = (1 - mu_t) / (1 - M_t),
    c2 = mu_(t+1) / (1 - M_(t+1)); m, v' as Adam's. Dozat 2016.
    """

    _limits = {**Optimizer._limits, "momentum_decay": (0.0, INF)}
    _needed = ("step", "mu_product", "exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _sizes(self, state: dict[str, Any], group: dict[str, Any]) -> tuple[float, ...]:
        (b1, b2), step, lr = group["betas"], state["step"], group["lr"]
        now, after = (b1 * (1.0 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in (step, step + 1))
        state["mu_product"] = product = state.get("mu_product", 1.0) * now
        return (
            1.0 / math.sqrt(1.0 - b2**step),
            lr * (1.0 - now) / (1.0 - product),
            lr * after / (1.0 - product * after),
        )

    @staticmethod
    def _move(xp: Any, w: Any, d: Any, m: Any, v: Any, s: Any, t: Any, eps: float, *sizes: float) -> None:
        root, by_gradient, by_mean = sizes
        xp.add(xp.multiply(xp.sqrt(v, out=t), root, out=t), eps, out=t)
        xp.subtract(w, xp.divide(xp.multiply(d, by_gradient, out=s), t, out=s), out=w)
        xp.subtract(w, xp.divide(xp.multiply(m, by_mean, out=s), t, out=s), out=w)


class RAdam(_Moments):
    """Adam that trusts v only when it has seen enough: p <- p - lr r m' / (sqrt(v') + eps), else lr m'.

    R = 2 / (1 - b2) - 1;  R_t = R - 2 t b2^t / (1 - b2^t), the length of the average behind v;
    enough is R_t > 5; r^2 = (R_t - 4) (R_t - 2) R / ((R - 4) (R - 2) R_t). As in PyTorch eps stands
    beside sqrt(v), before the bias correction. Liu et al. 2020.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "foreach": foreach, "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _sizes(self, state: dict[str, Any], group: dict[str, Any]) -> tuple[float, ...]:
        (b1, b2), step = group["betas"], state["step"]
        size, left = group["lr"] / (1.0 - b1**step), 1.0 - b2**step
        full = 2.0 / (1.0 - b2) - 1.0
        length = full - 2.0 * step * b2**step / left
        if length <= 5.0:
            return (size, 0.0)
        trust = (length - 4.0) * (length - 2.0) * full / ((full - 4.0) * (full - 2.0) * length)
        return (size * math.sqrt(trust * left), 1.0)

    @staticmethod
    def _move(xp: Any, w: Any, d: Any, m: Any, v: Any, s: Any, t: Any, eps: float, *sizes: float) -> None:
        size, enough = sizes
        move = xp.divide(m, xp.add(xp.sqrt(v, out=t), eps, out=t), out=t) if enough else m
        xp.subtract(w, xp.multiply(move, size, out=t), out=w)
