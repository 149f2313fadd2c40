"""Schedules that cycle the rate and, against it, the momentum."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, check_count, check_number, check_optimizer, per_group

__all__ = ["CyclicLR", "OneCycleLR"]

Numbers = float | list[float]


class _WithMomentum(LRScheduler):
    """What schedules of rate and momentum share: momentum is an optimiser's, or the first of its betas."""

    def _begin_momentum(self, base: Any, largest: Any, last_epoch: int) -> None:
        defaults = self.optimizer.defaults
        if "momentum" not in defaults and "betas" not in defaults:
            raise ValueError(
                f"{self._name}: expected an optimizer with momentum or betas (cycle_momentum=True), "
                f"got {type(self.optimizer).__name__}; pass cycle_momentum=False"
            )
        self.use_beta1 = "betas" in defaults
        bases = per_group(self, "base_momentum", base, self.optimizer)
        tops = per_group(self, "max_momentum", largest, self.optimizer)
        if last_epoch == -1:
            for low, high, group in zip(bases, tops, self.optimizer.param_groups, strict=True):
                self._set_momentum(group, high)
                group["max_momentum"], group["base_momentum"] = high, low
        if isinstance(self, CyclicLR):
            self.base_momentums, self.max_momentums = bases, tops

    def _set_momentum(self, group: dict[str, Any], momentum: float) -> None:
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum


class CyclicLR(_WithMomentum):
    """base_lr to max_lr over step_size_up steps and back over step_size_down, in a straight line.

    The height shrinks with the cycles: not ("triangular"), by half each ("triangular2"), by gamma^step
    ("exp_range"), or by scale_fn of the cycle, or of the step if scale_mode is "iterations". Momentum goes
    the other way, from max_momentum to base_momentum. Smith 2017.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Numbers,
        max_lr: Numbers,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Numbers = 0.8,
        max_momentum: Numbers = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self, optimizer)
        self.optimizer = optimizer
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(
                f"CyclicLR: expected 'triangular', 'triangular2', 'exp_range' or a scale_fn (mode={mode!r})"
            )
        if scale_mode not in ("cycle", "iterations"):
            raise ValueError(f"CyclicLR: expected 'cycle' or 'iterations' (scale_mode={scale_mode!r})")
        base_lrs = per_group(self, "base_lr", base_lr, optimizer)
        self.max_lrs = per_group(self, "max_lr", max_lr, optimizer)
        up, down = float(step_size_up), float(step_size_up if step_size_down is None else step_size_down)
        if not up > 0 or not down > 0:
            raise ValueError(f"CyclicLR: expected numbers above 0 (step_size_up={up}, step_size_down={down})")
        self.total_size, self.step_ratio = up + down, up / (up + down)
        self.mode, self.gamma, self._scale_fn_custom, self.scale_mode = mode, gamma, scale_fn, scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._begin_momentum(base_momentum, max_momentum, last_epoch)
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
                group["lr"] = lr
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """The height of the cycle x (or at the step x), as a part of the first."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        return {"triangular": 1.0, "triangular2": 0.5 ** (x - 1)}.get(self.mode, self.gamma**x)

    def get_lr(self) -> list[float]:
        """Each group's rate; sets the momentum too."""
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle  # part of the cycle that is over
        rising = x <= self.step_ratio
        height = x / self.step_ratio if rising else (x - 1.0) / (self.step_ratio - 1.0)
        height *= self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            ends = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True)
            for group, low, high in ends:
                self._set_momentum(group, high - (high - low) * height)
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands; of a scale_fn nothing, of another callable its attributes."""
        fn = self._scale_fn_custom
        kept = None if fn is None or isinstance(fn, FunctionType) else dict(vars(fn))
        return {**super().state_dict(), "_scale_fn_custom": kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from there, with the scale_fn of this schedule."""
        if state_dict.get("_scale_fn_custom"):
            vars(self._scale_fn_custom).update(state_dict["_scale_fn_custom"])
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_scale_fn_custom"})


class OneCycleLR(_WithMomentum):
    """Up from max_lr / div_factor to max_lr over pct_start of the steps, then down to almost nothing.

    Almost nothing: max_lr / div_factor / final_div_factor. three_phase: down to where it began first, as
    steeply as up. anneal_strategy "cos" or "linear". Momentum falls from max_momentum to base_momentum and
    comes back. A step past total_steps (or epochs x steps_per_epoch) raises ValueError. Smith & Topin 2019.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Numbers,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Numbers = 0.85,
        max_momentum: Numbers = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self, optimizer)
        self.optimizer = optimizer
        self.total_steps = self._total(total_steps, epochs, steps_per_epoch)
        if not isinstance(pct_start, float):
            raise ValueError(f"OneCycleLR: expected a float from 0 to 1 (pct_start={pct_start!r})")
        check_number(self, "pct_start", pct_start, 0.0, 1.0)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR: expected 'cos' or 'linear' (anneal_strategy={anneal_strategy!r})")
        self._anneal_func_type, self.cycle_momentum = anneal_strategy, cycle_momentum
        self._schedule_phases = self._phases(pct_start, three_phase)
        max_lrs = per_group(self, "max_lr", max_lr, optimizer)
        if cycle_momentum:
            self._begin_momentum(base_momentum, max_momentum, last_epoch)
        if last_epoch == -1:
            for group, top in zip(optimizer.param_groups, max_lrs, strict=True):
                first = top / div_factor
                group.update(initial_lr=first, max_lr=top, min_lr=first / final_div_factor)
        super().__init__(optimizer, last_epoch)

    def _total(self, total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
        if total_steps is not None:
            check_count(self, total_steps=total_steps)
            return total_steps
        if epochs is None or steps_per_epoch is None:
            raise ValueError("OneCycleLR: expected total_steps, or epochs and steps_per_epoch")
        check_count(self, epochs=epochs, steps_per_epoch=steps_per_epoch)
        return epochs * steps_per_epoch

    def _phases(self, pct_start: float, three_phase: bool) -> list[dict[str, Any]]:
        """Where each phase ends, and the names of what rate and momentum go from and to."""
        rise, last = pct_start * self.total_steps, self.total_steps - 1
        turns = [(rise - 1.0, "initial_lr", "max_lr", "max_momentum", "base_momentum")]
        if three_phase:
            turns.append((2.0 * rise - 2.0, "max_lr", "initial_lr", "base_momentum", "max_momentum"))
            turns.append((last, "initial_lr", "min_lr", "max_momentum", "max_momentum"))
        else:
            turns.append((last, "max_lr", "min_lr", "base_momentum", "max_momentum"))
        names = ("end_step", "start_lr", "end_lr", "start_momentum", "end_momentum")
        return [dict(zip(names, turn, strict=True)) for turn in turns]

    def get_lr(self) -> list[float]:
        """Each group's rate; sets the momentum too."""
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(f"OneCycleLR: step {step} is past the end (total_steps={self.total_steps})")
        start, phase = 0.0, self._schedule_phases[0]
        for following in self._schedule_phases[1:]:
            if step <= phase["end_step"]:
                break
            start, phase = phase["end_step"], following
        length = phase["end_step"] - start
        part = (step - start) / length if length else 1.0
        if self.cycle_momentum:
            for group in self.optimizer.param_groups:
                ends = group[phase["start_momentum"]], group[phase["end_momentum"]]
                self._set_momentum(group, anneal(*ends, part, self._anneal_func_type))
        groups = self.optimizer.param_groups
        return [
            anneal(g[phase["start_lr"]], g[phase["end_lr"]], part, self._anneal_func_type) for g in groups
        ]


def anneal(start: float, end: float, part: float, strategy: str) -> float:
    """From start to end: part 0 to 1, along a half cosine ("cos") or a straight line ("linear")."""
    if strategy == "cos":
        return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1.0)
    return start + (end - start) * part
