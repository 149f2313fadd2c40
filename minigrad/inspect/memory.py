"""What the forward pass keeps for the backward pass, how many bytes that is, and when it is freed."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

from .record import Backward, Forward, Value

__all__ = ["MemoryLane", "MemoryRow"]


class MemoryRow(NamedTuple):
    """One step: the bytes that it newly keeps (or frees, negative), and what is held after it."""

    step: Any
    change: int
    live: int


class MemoryLane:
    """Bytes held for backward after each step; inputs and parameters, alive anyway, do not count.

    An array that several steps save counts once, and is freed with the last of them.
    """

    def __init__(self, steps: list[Forward | Backward]) -> None:
        self.rows: list[MemoryRow] = []
        self._holders: dict[int, int] = {}
        live = 0
        leaves = {id(v.data) for step in steps if isinstance(step, Forward) for v in _leaves(step)}
        for step in steps:
            if isinstance(step, Forward):
                change = sum(self._hold(a) for a in _arrays(step, leaves))
            else:
                change = -sum(self._drop(a) for a in _arrays(step.forward, leaves)) if step.forward else 0
            live += change
            self.rows.append(MemoryRow(step, change, live))

    def after(self, step: Any) -> int:
        """Bytes held after one step."""
        return self._live[id(step)]

    @cached_property
    def _live(self) -> dict[int, int]:
        return {id(row.step): row.live for row in self.rows}

    @property
    def peak(self) -> int:
        """The most bytes held at one time."""
        return max((row.live for row in self.rows), default=0)

    def __str__(self) -> str:
        lines = [f"{'step':<44}{'bytes':>12}{'held':>14}"]
        for step, change, live in self.rows:
            name = step.output.name if isinstance(step, Forward) else step.value.name
            kind = ("replay " if step.replay else "") + step.op if isinstance(step, Forward) else "back"
            mark = "  <- peak" if live and live == self.peak and change > 0 else ""
            lines.append(f"{kind + ' ' + name:<44.44}{change:>+12,}{live:>14,}{mark}")
        return "\n".join(lines)

    def _hold(self, array: Any) -> int:
        key = id(_owner(array))
        self._holders[key] = self._holders.get(key, 0) + 1
        return array.nbytes if self._holders[key] == 1 else 0

    def _drop(self, array: Any) -> int:
        key = id(_owner(array))
        self._holders[key] -= 1
        return array.nbytes if self._holders[key] == 0 else 0


def _leaves(step: Forward) -> list[Value]:
    return [v for v in step.inputs if v is not None and v.made_by is None]


def _arrays(step: Forward, leaves: set[int]) -> list[Any]:
    return [array for _, array in step.saved if id(_owner(array)) not in leaves]


def _owner(array: Any) -> Any:
    """The array whose memory a view shows."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return array
