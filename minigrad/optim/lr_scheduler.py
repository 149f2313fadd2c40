"""Learning-rate schedules. Each is a function of the epoch (or step) number, in closed form.

Closed forms, unlike chains of multiplications, give the same rate whether a run was resumed or not.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from .optimizer import Optimizer


class LRScheduler:
    """Base class: `get_lr()` gives each group's rate at `last_epoch`; step() moves on by one."""

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__}: expected an Optimizer, got {type(optimizer).__name__}")
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.step()

    def get_lr(self) -> list[float]:
        """Each group's rate at `last_epoch`."""
        return [base * self.factor(self.last_epoch) for base in self.base_lrs]

    def factor(self, epoch: int) -> float:
        """The rate at `epoch` as a multiple of the initial one."""
        raise TypeError(f"{type(self).__name__}: has no factor(); define it or get_lr()")

    def step(self) -> None:
        """One epoch (or step) on: set the optimiser's rates."""
        self.last_epoch += 1
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = lr

    def get_last_lr(self) -> list[float]:
        """The rates in force."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from there."""
        name = type(self).__name__
        if not isinstance(state_dict, dict) or not {"last_epoch", "base_lrs"} <= set(state_dict):
            raise ValueError(f"{name}: expected a dict with 'last_epoch' and 'base_lrs' (state_dict)")
        given, count = len(state_dict["base_lrs"]), len(self.optimizer.param_groups)
        if given != count:
            raise ValueError(f"{name}: expected the rates of {count} groups (base_lrs), got {given}")
        self.last_epoch, self.base_lrs = state_dict["last_epoch"], list(state_dict["base_lrs"])
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = lr


class StepLR(LRScheduler):
    """lr gamma^floor(epoch / step_size)."""

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        if step_size < 1:
            raise ValueError(f"StepLR: expected a whole number >= 1 (step_size={step_size})")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        """gamma^floor(epoch / step_size)."""
        return self.gamma ** (epoch // self.step_size)


class MultiStepLR(LRScheduler):
    """lr gamma^(milestones passed)."""

    def __init__(
        self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        """gamma^(milestones passed)."""
        return self.gamma ** bisect_right(self.milestones, epoch)


class ExponentialLR(LRScheduler):
    """lr gamma^epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        """gamma^epoch."""
        return self.gamma**epoch


class CosineAnnealingLR(LRScheduler):
    """eta_min + (lr - eta_min) (1 + cos(pi epoch / T_max)) / 2. Loshchilov & Hutter 2017, eq. 5."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR: expected a whole number >= 1 (T_max={T_max})")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Each group's rate."""
        wave = (1.0 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2.0
        return [self.eta_min + (base - self.eta_min) * wave for base in self.base_lrs]


class LinearLR(LRScheduler):
    """lr times a factor from start_factor to end_factor over total_iters: a warm-up."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0.0 < start_factor <= 1.0 or not 0.0 <= end_factor <= 1.0:
            raise ValueError(
                f"LinearLR: expected factors in (0, 1] (start_factor={start_factor}, end_factor={end_factor})"
            )
        if total_iters < 1:
            raise ValueError(f"LinearLR: expected a whole number >= 1 (total_iters={total_iters})")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        """Linear between the two."""
        return self.start_factor + (self.end_factor - self.start_factor) * min(epoch / self.total_iters, 1.0)


class LambdaLR(LRScheduler):
    """lr times lr_lambda(epoch): one function, or one per group."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        count = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * count if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != count:
            raise ValueError(f"LambdaLR: expected {count} functions (lr_lambda), got {len(self.lr_lambdas)}")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Each group's rate."""
        return [base * f(self.last_epoch) for base, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class ConstantLR(LRScheduler):
    """lr factor for the first total_iters epochs, then lr."""

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if not 0.0 <= factor <= 1.0:
            raise ValueError(f"ConstantLR: expected a number in [0, 1] (factor={factor})")
        self.early, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        """`factor` before total_iters, 1 from there on."""
        return self.early if epoch < self.total_iters else 1.0


class SequentialLR(LRScheduler):
    """schedulers[i] from milestones[i - 1] on, each counting from 0: a warm-up, then a decay."""

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        if len(self.milestones) != len(self.schedulers) - 1:
            raise ValueError(
                f"SequentialLR: expected one milestone fewer than schedulers ({len(self.schedulers)}), "
                f"got milestones={self.milestones}"
            )
        if sorted(set(self.milestones)) != self.milestones:
            raise ValueError(f"SequentialLR: expected rising numbers (milestones={self.milestones})")
        for i, scheduler in enumerate(self.schedulers):
            if getattr(scheduler, "optimizer", None) is not optimizer:
                raise ValueError(f"SequentialLR: schedulers[{i}] belongs to another optimizer")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Each group's rate, by the schedule in charge."""
        i = bisect_right(self.milestones, self.last_epoch)
        active = self.schedulers[i]
        active.base_lrs = self.base_lrs
        active.last_epoch = self.last_epoch - (self.milestones[i - 1] if i else 0)
        return active.get_lr()
