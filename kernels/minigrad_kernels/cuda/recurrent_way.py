"""The way through time that kernels of recurrence take, and the states on it.

Lengths are Python's whole numbers here, as in the op: nothing is read from the GPU. Sequences that end (or
begin) on the way cut the walk into runs of steps with one number of sequences each.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from .launch import library

__all__ = ["Before", "Run", "every", "runs"]


class Run(NamedTuple):
    """Steps with one number of sequences, one after the other in the walk's order."""

    at: int  # the first row of the first of them
    jump: int  # rows from one to the next
    batch: int  # how many sequences
    steps: int
    before: int  # the first row of the step before the first of them
    carried: int  # how many sequences go on from there; the others begin here


@functools.lru_cache(maxsize=256)
def runs(sizes: tuple[int, ...], reverse: bool) -> tuple[Run, ...] | None:
    """The walk through steps of these sizes; None for sizes that grow.

    >>> for run in runs((2, 2, 1), False):
    ...     print(run)
    Run(at=0, jump=2, batch=2, steps=2, before=0, carried=0)
    Run(at=4, jump=1, batch=1, steps=1, before=2, carried=1)
    """
    if not sizes or sizes[-1] < 1 or any(a < b for a, b in pairwise(sizes)):
        return None
    rows = [(end - n, n) for n, end in zip(sizes, accumulate(sizes), strict=True)]
    found: list[Run] = []
    before = carried = 0
    for at, n in reversed(rows) if reverse else rows:
        if found and found[-1].batch == n:
            found[-1] = found[-1]._replace(steps=found[-1].steps + 1)
        else:
            found.append(Run(at, -n if reverse else n, n, 1, before, min(carried, n)))
        before, carried = at, n
    return tuple(found)


@functools.lru_cache(maxsize=256)
def every(way: tuple[Run, ...]) -> tuple[Run, ...]:
    """The steps of all runs, a run each."""
    found = []
    for at, jump, batch, steps, before, carried in way:
        for _ in range(steps):
            found.append(Run(at, jump, batch, 1, before, carried))
            at, before, carried = at + jump, at, batch
    return tuple(found)


class Before(Sequence):
    """The state that each step started from, in the walk's order: views, made when they are asked for."""

    def __init__(self, states: Any, initial: Any, way: tuple[Run, ...]) -> None:
        self.states, self.initial, self.way = states, initial, way

    def __len__(self) -> int:
        return sum(run.steps for run in self.way)

    def __getitem__(self, k: Any) -> Any:
        if isinstance(k, slice):
            return [self[i] for i in range(*k.indices(len(self)))]
        step = every(self.way)[k]
        old = self.states[step.before : step.before + step.carried]
        new = self.initial[step.carried : step.batch]
        if not (step.carried and len(new)):
            return old if step.carried else new
        return library(old).concatenate([old, new])

    def packed(self) -> Any:
        """All of them in the rows of their steps."""
        out = library(self.states).empty(self.states.shape, self.states.dtype)
        for run in self.way:
            n, at = run.batch, run.at
            out[at : at + run.carried] = self.states[run.before : run.before + run.carried]
            out[at + run.carried : at + n] = self.initial[run.carried : n]
            rest = n * (run.steps - 1)  # they start from what lies `jump` rows off
            low = at + n if run.jump > 0 else at - rest
            out[low : low + rest] = self.states[low - run.jump : low - run.jump + rest]
        return out
