"""EarlyStopping: when a run no longer gets better, stop it and go back to where it was best."""

from __future__ import annotations

import copy
import math
from typing import Any

__all__ = ["EarlyStopping"]


class EarlyStopping:
    """Counts the steps since a number last improved; says stop after `patience` of them.

    mode "min" (a loss) or "max" (an accuracy). An improvement is one by more than min_delta; NaN is none.
    With restore_best it keeps a copy of the model's weights at the best step, for `restore(model)`.
    It needs nothing but numbers and a state_dict, so it fits any loop; its own goes into a checkpoint.

    >>> from minigrad.early_stopping import EarlyStopping
    >>> stopper = EarlyStopping(patience=2)
    >>> [stopper.step(loss) for loss in (3.0, 1.0, 2.0, 1.5)]
    [False, False, False, True]
    >>> stopper.best, stopper.best_step
    (1.0, 1)
    """

    def __init__(
        self, patience: int = 10, min_delta: float = 0.0, mode: str = "min", restore_best: bool = False
    ) -> None:
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
            raise ValueError(f"EarlyStopping: expected a whole number >= 1 (patience={patience!r})")
        if not (min_delta >= 0 and math.isfinite(min_delta)):
            raise ValueError(f"EarlyStopping: expected a number >= 0 (min_delta={min_delta})")
        if mode not in ("min", "max"):
            raise ValueError(f"EarlyStopping: expected 'min' or 'max' (mode={mode!r})")
        self.patience, self.min_delta, self.mode = patience, min_delta, mode
        self.restore_best = restore_best
        self.best: float | None = None
        self.best_step = -1  # counted from 0; -1 before any
        self.steps = 0
        self.weights: dict[str, Any] | None = None

    @property
    def waited(self) -> int:
        """Steps since the best one (since the beginning, if there was none)."""
        return self.steps - 1 - self.best_step

    @property
    def improved(self) -> bool:
        """True if the last step was the best so far: the moment to save a checkpoint."""
        return self.steps > 0 and self.waited == 0

    @property
    def stop(self) -> bool:
        """True once `patience` steps have gone by without an improvement."""
        return self.waited >= self.patience

    def step(self, value: float, model: Any = None) -> bool:
        """Take the number of this step; True if the run should stop. `model` is for restore_best."""
        if self.restore_best and model is None:
            raise ValueError("EarlyStopping: restore_best=True expects the model; call step(value, model)")
        value = float(value)
        if self._better(value):
            if self.restore_best:
                self.weights = copy.deepcopy(dict(model.state_dict()))
            self.best, self.best_step = value, self.steps
        self.steps += 1
        return self.stop

    def _better(self, value: float) -> bool:
        if math.isnan(value):
            return False
        if self.best is None:
            return True
        gain = self.best - value if self.mode == "min" else value - self.best
        return gain > self.min_delta

    def restore(self, model: Any) -> None:
        """Give the model back the weights of the best step. Raises ValueError if none were kept."""
        if self.weights is None:
            raise ValueError(
                "EarlyStopping: no weights were kept; make it with restore_best=True and step it"
            )
        model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on: numbers, and the best weights if they are kept."""
        return {
            "best": self.best, "best_step": self.best_step, "steps": self.steps,
            "weights": None if self.weights is None else dict(self.weights),
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there. Raises ValueError for anything but such a state."""
        if not isinstance(state, dict) or set(state) != {"best", "best_step", "steps", "weights"}:
            raise ValueError(f"EarlyStopping: expected a state of its own, got {state!r}")
        self.best, self.best_step, self.steps = state["best"], state["best_step"], state["steps"]
        self.weights = copy.deepcopy(state["weights"])
