"""LRScheduler: what all schedules share.

A schedule changes the rates in force rather than overwriting them, as PyTorch's do, so that several may
act on one optimiser: warm-up times decay.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

from ...engine.recording import host_effect
from ..optimizer import Optimizer

__all__ = ["LRScheduler"]

FLAGS = {"_is_initial", "_get_lr_called_within_step", "verbose"}  # in PyTorch's state dicts


class LRScheduler:
    """Base class: get_lr() gives each group's rate at `last_epoch`; step() moves on by one.

    Call step() after the optimiser's. last_epoch=k goes on from epoch k of a run, whose optimiser's groups
    hold "initial_lr" already.

    >>> import minigrad as mg
    >>> opt = mg.optim.SGD([mg.ones(2, requires_grad=True)], lr=0.8)
    >>> schedule = mg.optim.lr_scheduler.StepLR(opt, step_size=2, gamma=0.5)
    >>> rates = []
    >>> for epoch in range(5):
    ...     rates.append(schedule.get_last_lr()[0])
    ...     schedule.step()
    >>> rates
    [0.8, 0.8, 0.4, 0.4, 0.2]
    """

    _is_initial = False  # True while the constructor takes the first step

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(self, optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ValueError(
                    f"{self._name}: expected 'initial_lr' in param_groups[{i}] (last_epoch={last_epoch}); "
                    "load the optimizer's state first"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            del self._is_initial

    def get_lr(self) -> list[float]:
        """Each group's rate at `last_epoch`; subclasses write it."""
        raise NotImplementedError(f"{self._name}: has no get_lr(); define one")

    def _get_closed_form_lr(self) -> list[float]:
        """The same whatever the rates in force are; where there is no such form, get_lr()."""
        return self.get_lr()

    @host_effect
    def step(self, epoch: int | None = None) -> None:
        """One epoch (or step) on, or to `epoch`: set the optimiser's rates."""
        self._update_lr(epoch)
        self._step_count += 1

    def _update_lr(self, epoch: int | None = None) -> None:
        before = self.last_epoch
        self.last_epoch = before + 1 if epoch is None else epoch
        try:
            rates = self.get_lr() if epoch is None else self._get_closed_form_lr()
        except ValueError:  # past the end: nothing has changed
            self.last_epoch = before
            raise
        self._set(rates)

    def _set(self, rates: list[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = float(lr)
        self._last_lr = self._rates()

    def _rates(self) -> list[float]:
        """The rates in force."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """Each group's rate as the last step set it."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands, in PyTorch's layout."""
        return {key: value for key, value in vars(self).items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from there, ours or PyTorch's, with the rates that were in force."""
        self._check_state(state_dict)
        vars(self).update({key: value for key, value in state_dict.items() if key not in FLAGS})
        if "_last_lr" not in state_dict:  # one of before they were kept
            self._last_lr = self._get_closed_form_lr()
        self._set(self._last_lr)

    def _check_state(self, state_dict: dict[str, Any]) -> None:
        """Refuse a state of another schedule or of other groups."""
        if not isinstance(state_dict, dict) or "last_epoch" not in {**state_dict, **self._may_lack()}:
            raise ValueError(f"{self._name}: expected a dict with 'last_epoch' (state_dict)")
        count = len(self.optimizer.param_groups)
        for key in ("base_lrs", "_last_lr"):
            if key in state_dict and len(state_dict[key]) != count:
                raise ValueError(
                    f"{self._name}: expected the rates of {count} groups ({key}), got {len(state_dict[key])}"
                )
        unknown = set(state_dict) - set(self.state_dict()) - FLAGS
        if unknown:
            raise ValueError(f"{self._name}: the state of another schedule, with {sorted(unknown)[0]!r}")

    def _may_lack(self) -> dict[str, Any]:
        return {}


def check_optimizer(schedule: LRScheduler, optimizer: Any) -> None:
    """Refuse what is not an Optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(schedule).__name__}: expected an Optimizer, got {type(optimizer).__name__}")


def per_group(schedule: Any, name: str, value: Any, optimizer: Optimizer) -> list[Any]:
    """One value for all groups, or a list with one for each."""
    count = len(optimizer.param_groups)
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{type(schedule).__name__}: expected {count} values ({name}), got {len(value)}")
    return list(value)


def check_number(schedule: Any, name: str, value: Any, low: float, high: float) -> None:
    """Refuse what is not a number from low to high."""
    if not isinstance(value, Real) or not low <= value <= high:
        wanted = f"from {low:g} to {high:g}" if high < float("inf") else f">= {low:g}"
        raise ValueError(f"{type(schedule).__name__}: expected a number {wanted} ({name}={value!r})")


def check_count(schedule: Any, **counts: Any) -> None:
    """Refuse what is not a whole number >= 1."""
    for name, value in counts.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{type(schedule).__name__}: expected a whole number >= 1 ({name}={value!r})")
