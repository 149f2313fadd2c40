"""Muon: momentum whose matrices are made orthogonal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..engine.backend import xp_of
from .optimizer import INF, Optimizer, zeros_like

__all__ = ["Muon"]


class Muon(Optimizer):
    """b <- momentum b + (1 - momentum) g;  p <- (1 - lr weight_decay) p - lr' orthogonal(b).

    nesterov: (1 - momentum) g + momentum b in place of b. Only for matrices, the hidden layers' weights;
    give the rest to AdamW. orthogonal(b) = U V^T of b = U S V^T, roughly: ns_steps of
    x <- a x + (b x x^T + c (x x^T)^2) x, starting from b over its norm. lr' = lr sqrt(max(1, rows /
    columns)), or with adjust_lr_fn="match_rms_adamw" lr 0.2 sqrt(max(rows, columns)). Jordan et al. 2024;
    Liu et al. 2025.

    PyTorch iterates in bfloat16, here in the parameter's dtype: the same to some three digits. Unlike the
    others, a step allocates matrices of the parameter's size.
    """

    _arrays = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check_params(self, params: list[Any]) -> None:
        super()._check_params(params)
        for i, p in enumerate(params):
            if p.ndim != 2:
                raise ValueError(
                    f"Muon: expected matrices (params[{i}]), got shape {p.shape}; give it to AdamW"
                )

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        if group["adjust_lr_fn"] not in (None, "original", "match_rms_adamw"):
            raise ValueError(
                f"Muon: expected 'original' or 'match_rms_adamw' (adjust_lr_fn={group['adjust_lr_fn']!r})"
            )
        if not isinstance(group["ns_steps"], int) or not 0 <= group["ns_steps"] < 100:
            raise ValueError(f"Muon: expected a whole number from 0 to 99 (ns_steps={group['ns_steps']!r})")
        numbers = group["ns_coefficients"]
        if not isinstance(numbers, tuple | list) or len(numbers) != 3:
            raise ValueError(f"Muon: expected three numbers (ns_coefficients={numbers!r})")
        for i, value in enumerate(numbers):
            self._check_number(f"ns_coefficients[{i}]", value, -INF, INF)

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = zeros_like(p)
        buffer, momentum, lr = state["momentum_buffer"], group["momentum"], group["lr"]
        buffer += (g - buffer) * (1.0 - momentum)
        direction = g + (buffer - g) * momentum if group["nesterov"] else buffer
        p *= 1.0 - lr * group["weight_decay"]
        p -= _orthogonal(direction, group) * (lr * _scale(p.shape, group["adjust_lr_fn"]))


def _orthogonal(x: Any, group: dict[str, Any]) -> Any:
    """The singular values of x brought near 1 by an odd polynomial, its vectors kept."""
    a, b, c = group["ns_coefficients"]
    xp, tall = xp_of(x), x.shape[0] > x.shape[1]
    x = x.T if tall else x  # the smaller Gram matrix
    size = xp.linalg.norm(x)
    x = x / (max(float(size), group["eps"]) if xp is np else xp.maximum(size, group["eps"]))
    for _ in range(group["ns_steps"]):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x


def _scale(shape: tuple[int, ...], rule: str | None) -> float:
    rows, columns = shape
    return (
        0.2 * math.sqrt(max(rows, columns))
        if rule == "match_rms_adamw"
        else math.sqrt(max(1.0, rows / columns))
    )
