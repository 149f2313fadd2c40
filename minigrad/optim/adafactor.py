"""Adafactor: Adam's second moment in the memory of a row and a column."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..engine.backend import xp_of
from ..engine.tensor import Tensor
from .blocks import row_blocks
from .optimizer import INF, Optimizer

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """v = R C / mean(R): the mean squares of g by row (R) and by column (C) stand for all of g^2.

    u = g / sqrt(v), clipped to RMS(u) <= d;  p <- p - a u, a = max(eps2, RMS(p)) min(lr, 1 / sqrt(t)).
    R and C are running means with weight 1 - t^beta2_decay; over the last two axes if there are more. A
    vector keeps v whole. eps = (eps1, eps2), eps1 the floor of sqrt(v), None for the dtype's epsilon.
    p <- p (1 - lr weight_decay) first. Shazeer & Stern 2018, with PyTorch's lr and eps1.
    """

    _limits = {
        "lr": (0.0, INF), "weight_decay": (0.0, INF), "beta2_decay": (-INF, 0.0), "d": (1.0, INF),
    }  # fmt: skip
    _arrays = ("row_var", "col_var", "variance")
    _needed = ("step",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        self._check_pair("eps", group["eps"])
        for i, value in enumerate(group["eps"]):
            if i or value is not None:
                self._check_number(f"eps[{i}]", value, 0.0, INF)

    def _shape_of(self, key: str, p: Tensor) -> tuple[int, ...] | None:
        shapes = {
            "row_var": (*p.shape[:-1], 1),
            "col_var": (*p.shape[:-2], 1, *p.shape[-1:]),
            "variance": p.shape,
        }
        return shapes.get(key)

    def _entry(self, n: Any, s: dict[str, Any], p: Tensor) -> dict[str, Any]:
        wanted = ("row_var", "col_var") if p.ndim > 1 else ("variance",)
        missing = [key for key in wanted if s and key not in s]
        if missing:
            raise ValueError(f"load_state_dict: state[{n}] lacks {', '.join(missing)}")
        return super()._entry(n, s, p)

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not p.size:
            return
        xp, step, decay = xp_of(p), state.get("step", 0) + 1, group["weight_decay"]
        state["step"] = step
        floor = float(xp.finfo(p.dtype).eps) if group["eps"][0] is None else group["eps"][0]
        size = min(group["lr"], 1.0 / math.sqrt(step)) * _larger(xp, _rms(xp, p), group["eps"][1])
        if decay:
            xp.multiply(p, 1.0 - group["lr"] * decay, out=p)
        track = self._track_factors if p.ndim > 1 else self._track_whole
        variance = track(xp, g, state, step ** group["beta2_decay"], floor)
        total: Any = 0.0  # of squares; the update is computed again below, rather than kept
        for _, u in self._directions(xp, p, g, variance, floor):
            total += _number(xp, xp.vdot(u, u))
        size = size / _larger(xp, (total / p.size) ** 0.5 / group["d"], 1.0)
        for w, u in self._directions(xp, p, g, variance, floor):
            xp.subtract(w, xp.multiply(u, -size if group["maximize"] else size, out=u), out=w)

    @staticmethod
    def _track_factors(
        xp: Any, g: Any, state: dict[str, Any], weight: float, floor: float
    ) -> tuple[Any, Any]:
        """Rows / mean(rows), and columns: v is their product."""
        rows, columns = xp.einsum("...rc,...rc->...r", g, g), xp.einsum("...rc,...rc->...c", g, g)
        rows, columns = rows[..., None] / g.shape[-1], columns[..., None, :] / g.shape[-2]
        for name, new in (("row_var", rows), ("col_var", columns)):
            kept = state.setdefault(name, xp.zeros_like(new))
            kept += (new - kept) * weight
        rows = state["row_var"]
        return rows / xp.maximum(rows.mean(axis=-2, keepdims=True), floor), state["col_var"]

    def _track_whole(self, xp: Any, g: Any, state: dict[str, Any], weight: float, floor: float) -> tuple[Any]:
        kept = state.setdefault("variance", xp.zeros(g.shape, g.dtype))
        for v, d, s, t in self._blocks(kept, g):
            xp.multiply(d, d, out=s)
            xp.add(v, xp.multiply(xp.subtract(s, v, out=t), weight, out=t), out=v)
        return (kept,)

    def _directions(
        self, xp: Any, p: Any, g: Any, variance: tuple, floor: float
    ) -> Iterator[tuple[Any, Any]]:
        """Each block of p, and of u = g / sqrt(v) in scratch."""
        if p.ndim < 2:
            walk = ((w, d, s, v) for w, d, v, s, _ in self._blocks(p, g, variance[0]))
        elif p.ndim == 2:  # every row has the same columns
            rows, columns = variance
            cut = row_blocks(self._scratch, p, g, rows)
            walk = ((w, d, s, xp.multiply(r, columns, out=t)) for w, d, r, s, t in cut)
        else:
            cut = row_blocks(self._scratch, p, g, *variance)
            walk = ((w, d, s, xp.multiply(r, c, out=t)) for w, d, r, c, s, t in cut)
        for w, d, s, v in walk:
            xp.sqrt(xp.maximum(v, floor * floor, out=s), out=s)
            yield w, xp.divide(d, s, out=s)


def _rms(xp: Any, x: Any) -> Any:
    norm = xp.linalg.norm(x.reshape(-1) if x.flags.c_contiguous else x)
    return _number(xp, norm) / math.sqrt(x.size)


def _number(xp: Any, x: Any) -> Any:
    """A result as a Python number; on a GPU it stays there, for to ask would be to wait."""
    return float(x) if xp is np else x


def _larger(xp: Any, x: Any, least: float) -> Any:
    return max(least, x) if xp is np else xp.maximum(x, least)
