"""Schedules made of schedules: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler
from .plateau import ReduceLROnPlateau

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Combined(LRScheduler):
    """What both share: the state of each part is kept beside their own."""

    _schedulers: list[LRScheduler]

    def _check_parts(self, schedulers: Sequence[LRScheduler], optimizer: Any) -> None:
        if not len(schedulers):
            raise ValueError(f"{self._name}: expected at least one scheduler (schedulers), got none")
        for i, part in enumerate(schedulers):
            if not hasattr(part, "optimizer"):
                raise TypeError(
                    f"{self._name}: expected schedulers (schedulers[{i}]), got {type(part).__name__}"
                )
            if isinstance(part, ReduceLROnPlateau):
                raise ValueError(
                    f"{self._name}: schedulers[{i}] is a ReduceLROnPlateau, whose step() needs the metric"
                )
            if part.optimizer is not optimizer:
                raise ValueError(f"{self._name}: schedulers[{i}] belongs to another optimizer")

    def state_dict(self) -> dict[str, Any]:
        """Where it and each of its schedules stand."""
        return {**super().state_dict(), "_schedulers": [part.state_dict() for part in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from there; it must fit, or nothing is changed."""
        self._check_state(state_dict)
        states = state_dict.get("_schedulers", ())
        if len(states) != len(self._schedulers):
            raise ValueError(
                f"{self._name}: expected the states of {len(self._schedulers)} schedulers (_schedulers), "
                f"got {len(states)}"
            )
        for part, state in zip(self._schedulers, states, strict=True):
            part._check_state(state)
        for part, state in zip(self._schedulers, states, strict=True):
            part.load_state_dict(state)
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_schedulers"})


class SequentialLR(_Combined):
    """schedulers[i] from milestones[i - 1] on, each counting from 0: a warm-up, then a decay.

    >>> import minigrad as mg
    >>> from minigrad.optim.lr_scheduler import ConstantLR, ExponentialLR, SequentialLR
    >>> opt = mg.optim.SGD([mg.ones(2, requires_grad=True)], lr=1.0)
    >>> parts = [ConstantLR(opt, 0.1, total_iters=2), ExponentialLR(opt, 0.5)]
    >>> schedule, rates = SequentialLR(opt, parts, milestones=[2]), []
    >>> for epoch in range(5):
    ...     rates.append(schedule.get_last_lr()[0])
    ...     schedule.step()
    >>> rates
    [0.1, 0.1, 1.0, 0.5, 0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ) -> None:
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: expected one milestone fewer than schedulers ({len(schedulers)}), "
                f"got milestones={list(milestones)}"
            )
        if sorted(set(milestones)) != list(milestones):
            raise ValueError(f"SequentialLR: expected rising numbers (milestones={list(milestones)})")
        self._check_parts(schedulers, optimizer)
        for i, part in enumerate(schedulers[1:], 1):
            if isinstance(part, _Combined):
                raise ValueError(
                    f"SequentialLR: schedulers[{i}] is a {part._name}, which cannot begin at a milestone"
                )
        self._schedulers, self._milestones = list(schedulers), list(milestones)
        self.last_epoch, self.optimizer = last_epoch + 1, optimizer
        # Each part took its first step as it was made. Undo all of that, and begin the one in charge.
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        self._undo(self._schedulers)
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    @staticmethod
    def _undo(parts: list[LRScheduler]) -> None:
        for part in parts:
            if isinstance(part, _Combined):
                SequentialLR._undo(part._schedulers)
            else:
                part.last_epoch -= 1

    def step(self) -> None:  # type: ignore[override]
        """One epoch on, by the schedule in charge; at its milestone a schedule begins."""
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        if i and self._milestones[i - 1] == self.last_epoch:
            self._schedulers[i]._update_lr(0)
        else:
            self._schedulers[i].step()
        self._last_lr = self._schedulers[i].get_last_lr()


class ChainedScheduler(_Combined):
    """All schedules step at once, each changing what the one before made of the rate."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if optimizer is None and len(schedulers):
            optimizer = getattr(schedulers[0], "optimizer", None)
        self._check_parts(schedulers, optimizer)
        self._schedulers, self.optimizer = list(schedulers), schedulers[0].optimizer
        self._last_lr = self._rates()

    def _may_lack(self) -> dict[str, Any]:
        return {"last_epoch": None}  # its parts count

    def _initial_step(self) -> None:
        for part in self._schedulers:
            part._initial_step()
        self._last_lr = self._rates()

    def step(self) -> None:  # type: ignore[override]
        """One epoch on."""
        for part in self._schedulers:
            part.step()
        self._last_lr = self._rates()
