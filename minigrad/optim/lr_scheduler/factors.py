"""Schedules that multiply the rate: by a function, in steps, linearly, exponentially."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import FunctionType
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, check_count, check_number, check_optimizer, per_group

__all__ = [
    "ConstantLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "PolynomialLR",
    "StepLR",
]


class _Scaled(LRScheduler):
    """The initial rate times `_scale(epoch)`. A step multiplies the rate in force by the ratio of two."""

    _waits = False  # as PyTorch's: whether a schedule that is taken up begins with the rate it finds

    def _scale(self, epoch: int) -> float:
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        """Each group's rate."""
        epoch = self.last_epoch
        if self._waits and self._is_initial and epoch > 0:
            return self._rates()
        new, old = self._scale(epoch), 1.0 if epoch == 0 else self._scale(epoch - 1)
        if new == old:  # over, at 0 perhaps: what others make of the rate stays
            return self._rates()
        if old == 0.0:
            return self._get_closed_form_lr()
        return [lr * (new / old) for lr in self._rates()]

    def _get_closed_form_lr(self) -> list[float]:
        return [base * self._scale(self.last_epoch) for base in self.base_lrs]


class StepLR(_Scaled):
    """lr gamma^floor(epoch / step_size)."""

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        check_count(self, step_size=step_size)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def _scale(self, epoch: int) -> float:
        return self.gamma ** (epoch // self.step_size)


class MultiStepLR(_Scaled):
    """lr gamma^(milestones passed)."""

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def _scale(self, epoch: int) -> float:
        return self.gamma ** bisect_right(sorted(self.milestones.elements()), epoch)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from there; milestones that went through JSON are whole numbers again."""
        marks = {int(k): n for k, n in dict(state_dict.get("milestones", self.milestones)).items()}
        super().load_state_dict({**state_dict, "milestones": Counter(marks)})


class ConstantLR(_Scaled):
    """lr factor for the first total_iters epochs, then lr."""

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        check_number(self, "factor", factor, 0.0, 1.0)
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _scale(self, epoch: int) -> float:
        return self.factor if epoch < self.total_iters else 1.0


class LinearLR(_Scaled):
    """lr times a factor from start_factor to end_factor over total_iters: a warm-up."""

    _waits = True

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        check_number(self, "start_factor", start_factor, 0.0, 1.0)
        check_number(self, "end_factor", end_factor, 0.0, 1.0)
        if start_factor == 0.0:
            raise ValueError("LinearLR: expected a number above 0 (start_factor=0.0), from which to rise")
        check_count(self, total_iters=total_iters)
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _scale(self, epoch: int) -> float:
        part = min(self.total_iters, epoch) / self.total_iters
        return self.start_factor * (1.0 - part) + self.end_factor * part  # exactly end_factor at the end


class ExponentialLR(_Scaled):
    """lr gamma^epoch."""

    _waits = True

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _scale(self, epoch: int) -> float:
        return self.gamma**epoch


class PolynomialLR(_Scaled):
    """lr (1 - epoch / total_iters)^power, then 0."""

    _waits = True

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        check_count(self, total_iters=total_iters)
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def _scale(self, epoch: int) -> float:
        return (1.0 - min(self.total_iters, epoch) / self.total_iters) ** self.power


class _ByFunction(LRScheduler):
    """What schedules by a function, or one for each group, share."""

    lr_lambdas: list[Callable[[int], float]]

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self, optimizer)
        self.lr_lambdas = per_group(self, "lr_lambda", lr_lambda, optimizer)
        for f in self.lr_lambdas:
            if not callable(f):
                raise TypeError(f"{self._name}: expected a function (lr_lambda), got {type(f).__name__}")
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands; of functions nothing, of other callables their attributes."""
        parts = [None if isinstance(f, FunctionType) else dict(vars(f)) for f in self.lr_lambdas]
        return {**super().state_dict(), "lr_lambdas": parts}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from there, with the functions of this schedule."""
        parts = state_dict.get("lr_lambdas", [])
        for f, part in zip(self.lr_lambdas, parts, strict=False):
            vars(f).update(part or {})
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "lr_lambdas"})


class LambdaLR(_ByFunction):
    """The initial lr times lr_lambda(epoch): one function, or one per group."""

    def get_lr(self) -> list[float]:
        """Each group's rate."""
        return [base * f(self.last_epoch) for base, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class MultiplicativeLR(_ByFunction):
    """The rate in force times lr_lambda(epoch), from epoch 1 on."""

    def get_lr(self) -> list[float]:
        """Each group's rate."""
        if self._is_initial:
            return self._rates()
        return [lr * f(self.last_epoch) for lr, f in zip(self._rates(), self.lr_lambdas, strict=True)]
