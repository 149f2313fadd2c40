"""Which ops of a trace share a box: one module's call folds into one, as far in as the limit allows.

What folds is a stretch of the forward order, so that the folded graph has no cycles: a cell called
twenty times is twenty boxes.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any

from ..record import Edge, Forward, Value

__all__ = ["Unit", "extra_edges", "fold"]


@dataclass(eq=False)
class Unit:
    """What stands in one box: an op, or a stretch of a module's ops; `inside` are leaves used only there."""

    ops: list[Forward]
    module: str = ""
    call: int = 0  # the how-manieth call of a module that is called several times, from 1
    inside: set[Value] = field(default_factory=set)

    @property
    def folded(self) -> bool:
        return len(self.ops) > 1

    @property
    def output(self) -> Value:
        return self.ops[-1].output


def fold(trace: Any, most: int) -> list[Unit]:
    """The ops of a trace in as few folds as bring it to `most` boxes, inputs before their users."""
    order = _order(trace)
    deepest = max((len(_path(f)) for f in order), default=0)
    units = [Unit([f]) for f in order]
    for depth in range(deepest, 0, -1):
        if _boxes(units) <= most:
            break
        units = _merged(order, depth)
    if _boxes(units) > most:  # no modules, or too many of them: equal stretches
        size = math.ceil(2 * len(units) / most)
        units = [
            Unit([f for unit in units[i : i + size] for f in unit.ops]) for i in range(0, len(units), size)
        ]
    for unit in units:
        unit.inside = _only_inside(unit, units) if unit.folded else set()
        of_module = [other for other in units if unit.module and other.module == unit.module]
        unit.call = of_module.index(unit) + 1 if len(of_module) > 1 else 0
    return units


def extra_edges(trace: Any) -> dict[Forward, list[Edge]]:
    """Edges that run to no input of their op: from a checkpoint to the graph replayed behind it."""
    found: dict[Forward, list[Edge]] = {}
    for step in trace.backward:
        for edge in step.edges:
            if edge.input not in step.forward.inputs:
                found.setdefault(step.forward, []).append(edge)
    return found


def _path(f: Forward) -> list[str]:
    return f.module.split(".") if f.module else []


def _order(trace: Any) -> list[Forward]:
    """All ops, inputs before users; what is replayed behind a checkpoint stands before it."""
    extra = extra_edges(trace)
    needs = {
        f: {v.made_by for v in [*f.inputs, *(e.input for e in extra.get(f, []))] if v and v.made_by}
        for f in trace.forward
    }
    users: dict[Forward, list[Forward]] = {f: [] for f in trace.forward}
    for f, before in needs.items():
        for source in before:
            users[source].append(f)
    waiting = {f: len(before) for f, before in needs.items()}
    ready = [f.id for f, count in waiting.items() if not count]
    heapq.heapify(ready)
    order = []
    while ready:
        f = trace.forward[heapq.heappop(ready)]
        order.append(f)
        for user in users[f]:
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, user.id)
    return order


def _merged(order: list[Forward], depth: int) -> list[Unit]:
    """Calls of modules `depth` names deep, one unit each; ops that lie less deep stay single."""
    key: Callable[[Forward], Any] = lambda f: tuple(_path(f)[:depth]) if len(_path(f)) >= depth else f
    units = []
    for k, ops in groupby(order, key):
        name = ".".join(k) if isinstance(k, tuple) else ""
        units += [Unit(call, name) for call in _calls(list(ops))]
    return units


def _calls(ops: list[Forward]) -> list[list[Forward]]:
    """A module called again with nothing between: its calls begin at the same spot and do the same."""
    spots = [f.place.origin for f in ops]
    starts = [i for i, spot in enumerate(spots) if spot == spots[0]] + [len(ops)]
    calls = [slice(a, b) for a, b in pairwise(starts)]
    alike = len({tuple(spots[call]) for call in calls[1:]}) == 1  # the first may have a state to make
    return [ops[call] for call in calls] if alike and len(spots[calls[-1]]) > 1 else [ops]


def _only_inside(unit: Unit, units: list[Unit]) -> set[Value]:
    """Parameters and constants that only folded boxes use: they are part of the fold."""
    shown = {v for other in units if not other.folded for f in other.ops for v in f.inputs}
    return {
        v for f in unit.ops for v in f.inputs
        if v is not None and v.kind in ("parameter", "constant") and v not in shown
    }  # fmt: skip


def _boxes(units: list[Unit]) -> int:
    """How many boxes these units make, their leaves included."""
    shown = [f for unit in units if not unit.folded for f in unit.ops]
    return len(units) + len({v for f in shown for v in f.inputs if v and not v.made_by})
