"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..engine.backend import xp_of
from ..engine.kernels import kernel_for
from ..engine.live import live
from .optimizer import Optimizer, zeros_like

__all__ = ["SGD"]


class SGD(Optimizer):
    """v <- momentum v + (1 - dampening) g;  p <- p - lr v, with g including weight_decay p.

    Nesterov: p <- p - lr (g + momentum v). The first v is g itself. Sutskever et al. 2013, in
    PyTorch's form, where lr multiplies the velocity.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0], requires_grad=True)
    >>> opt = mg.optim.SGD([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> _ = opt.step()
    >>> p.data
    array([0.8], dtype=float32)
    """

    _arrays = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize, "foreach": foreach,
            "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError(
                "SGD: nesterov=True needs momentum > 0 and dampening 0 "
                f"(momentum={group['momentum']}, dampening={group['dampening']})"
            )

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        xp = xp_of(p)
        lr, momentum, decay = group["lr"], group["momentum"], group["weight_decay"]
        first = momentum and state.get("momentum_buffer") is None
        if first:
            state["momentum_buffer"] = zeros_like(p)
        velocity = state["momentum_buffer"] if momentum else g
        for w, d, v, s, t in self._blocks(p, g, velocity):
            d = self._downhill(xp, group, w, d, s, t, decay)
            if momentum:
                self._accelerate(xp, v, d, t, group, first)
                d = xp.add(d, xp.multiply(v, momentum, out=t), out=s) if group["nesterov"] else v
            xp.subtract(w, xp.multiply(d, lr, out=t), out=w)

    def _has_kernel(self) -> bool:
        return type(self)._update is SGD._update

    def _update_all(self, moving: list[tuple[Any, Any, dict[str, Any]]], group: dict[str, Any]) -> bool:
        """The same, by a kernel: v <- momentum v + part d, with its own part for each first step."""
        if not self._has_kernel():
            return False
        known = [state.get("momentum_buffer") if group["momentum"] else p for p, _, state in moving]
        parts = [1.0 if v is None else 1.0 - group["dampening"] for v in known]
        velocities = [zeros_like(p) if v is None else v for (p, _, _), v in zip(moving, known, strict=True)]
        arrays = [a for (p, g, _), v in zip(moving, velocities, strict=True) for a in (p, g, v)]
        numbers = live(lambda: _numbers(parts, group), (8 + 2 * len(parts),), np.float32)
        scaled = self._scaled([p for p, _, _ in moving])
        if kernel_for("sgd", arrays[0])(*arrays, numbers=numbers, **scaled) is NotImplemented:
            return False
        if group["momentum"]:
            for (_, _, state), v in zip(moving, velocities, strict=True):
                state["momentum_buffer"] = v
        return True

    @staticmethod
    def _accelerate(xp: Any, v: Any, d: Any, t: Any, group: dict[str, Any], first: bool) -> None:
        """v <- momentum v + (1 - dampening) d, or d at the first step."""
        if first:
            v[...] = d
            return
        xp.multiply(v, group["momentum"], out=v)
        xp.add(v, xp.multiply(d, 1.0 - group["dampening"], out=t) if group["dampening"] else d, out=v)


def _numbers(parts: list[float], group: dict[str, Any]) -> np.ndarray:
    """All numbers of a step: eight of the group, then two per parameter, what v takes in of g, and 0."""
    sign, own = -1.0 if group["maximize"] else 1.0, [number for part in parts for number in (part, 0.0)]
    settings = [group[name] for name in ("lr", "momentum", "weight_decay")]
    return np.array([*settings, sign, group["nesterov"], 0.0, 0.0, 0.0, *own], np.float32)
