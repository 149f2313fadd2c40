"""The backward pass of a trace once more, with something changed on the way to one value.

What no change reaches keeps its recorded numbers; the rest is computed by the ops' own VJPs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

import numpy as np

from ..edges import vjp
from ..record import Backward, Edge, Forward, Value

__all__ = ["Change", "Cone", "Rerun", "send"]

MOST_NEAR = 300  # values around the target where mistakes are tried one by one
Send = Callable[["Edge", np.ndarray], Any]  # (edge, incoming gradient) -> what is sent, None if it cannot
Gather = Callable[[Sequence[np.ndarray]], np.ndarray]  # a value's contributions -> its gradient


@dataclass(frozen=True)
class Change:
    """What is done differently: on some edges, where some values gather, and with the answer at last."""

    edges: Mapping[Edge, Send] = field(default_factory=dict)
    gather: Mapping[Value, Gather] = field(default_factory=dict)
    answer: Callable[[np.ndarray], Any] | None = None

    def joined(self, other: Change) -> Change | None:
        """Both changes; None if they meet on an edge or a value."""
        if self.edges.keys() & other.edges.keys() or self.gather.keys() & other.gather.keys():
            return None
        if self.answer and other.answer:
            return None
        return Change(
            {**self.edges, **other.edges}, {**self.gather, **other.gather}, self.answer or other.answer
        )


class Cone:
    """The part of a backward pass that leads to one value: its edges, in order, and how far each is."""

    def __init__(self, trace: Any, target: Value) -> None:
        self.target = target
        self.distance: dict[Value, int] = {target: 0}
        order = {step.value: i for i, step in enumerate(trace.backward)}
        found, layer = {target}, [target]
        while layer:  # breadth first, so that a value's distance is its shortest way down
            above = []
            for value in layer:
                for edge in value.contributions:
                    if edge.step.value not in found:
                        found.add(edge.step.value)
                        self.distance[edge.step.value] = self.distance[value] + 1
                        above.append(edge.step.value)
            layer = above
        self.values = sorted(found, key=lambda v: order.get(v, -1))
        self.edges = [e for v in self.values for e in v.contributions]
        self.near = sorted(found, key=self.distance.__getitem__)[:MOST_NEAR]
        self.place = {v: i for i, v in enumerate(self.values)}
        self.below: dict[Value, list[int]] = {v: [] for v in self.values}  # where what a value sends arrives
        for e in self.edges:
            self.below[e.step.value].append(self.place[e.input])

    def away(self, edge: Edge) -> int:
        """How many steps after this edge the target comes."""
        return self.distance[edge.input]


class Rerun:
    """Computes what the target's gradient would be under a change."""

    def __init__(self, cone: Cone) -> None:
        self.cone = cone
        self.work = 0  # VJPs run so far

    def __call__(self, change: Change) -> np.ndarray | None:
        """The changed gradient; None where the change does not fit (a shape that no op takes)."""
        try:
            with np.errstate(all="ignore"):
                found = self._gradient(change)
                if found is not None and change.answer is not None:
                    found = change.answer(found)
        except (ValueError, TypeError, IndexError, np.linalg.LinAlgError):
            return None
        return None if found is None else np.asarray(found)

    def _gradient(self, change: Change) -> np.ndarray | None:
        """From each value that is touched on, and only to what it reaches."""
        cone, fresh = self.cone, {}
        sent_by: dict[Backward, list] = {}  # the true VJPs of steps whose incoming gradient changed
        waiting = sorted({cone.place[v] for v in ({e.input for e in change.edges} | set(change.gather))})
        queued = set(waiting)
        while waiting:
            value = cone.values[heappop(waiting)]
            sent = [self._sent(e, change, fresh, sent_by) for e in value.contributions]
            if any(part is None for part in sent):
                return None
            gathered = change.gather[value](sent) if value in change.gather else _sum(sent)
            if value is not cone.target and np.shape(gathered) != value.shape:
                return None
            fresh[value] = np.asarray(gathered)
            for place in cone.below[value]:
                if place not in queued:
                    queued.add(place)
                    heappush(waiting, place)
        return fresh.get(cone.target, cone.target.grad)

    def _sent(self, e: Edge, change: Change, fresh: dict, sent_by: dict) -> np.ndarray | None:
        """What one edge sends: by the change, by its VJP if its step's gradient changed, or as recorded."""
        g = fresh.get(e.step.value)
        if e in change.edges:
            self.work += 1
            return change.edges[e](e, e.step.g if g is None else g)
        if g is None:
            return e.sent
        if e.step not in sent_by:
            self.work += 1
            sent_by[e.step] = _all_sent(e, g)
        return sent_by[e.step][e.position]


def _sum(parts: Sequence[np.ndarray]) -> np.ndarray:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _all_sent(edge: Edge, g: np.ndarray) -> list:
    """What the step of this edge sends to all inputs."""
    forward = edge.step.forward
    if forward.op == "checkpoint":  # it hands on what it got
        return [g] * (edge.position + 1)
    if g.shape != forward.output.shape:
        raise ValueError("a gradient of another shape")
    return vjp(forward, np.asarray(g, forward.output.dtype))


def send(edge: Edge, g: np.ndarray, swap: Mapping[int, np.ndarray] | None = None, fit: bool = True) -> Any:
    """What the op's own VJP sends along one edge, with some saved arrays replaced.

    swap: saved position (0 the output, i + 1 input i) -> array. fit=False: before a broadcast is summed.
    None if the VJP saved none of what is to be replaced.
    """
    forward = edge.step.forward
    plan = forward.node.plan
    saved = list(forward.saved_arrays)
    if swap:
        places = [k for k, (at, only_shape) in enumerate(plan.keep) if at in swap and not only_shape]
        if not places:
            return None
        for k in places:
            saved[k] = swap[plan.keep[k][0]]
    if plan.joint is not None:
        return list(plan.joint(g, tuple(saved), forward.meta))[edge.position]
    found = np.asarray(dict(plan.calls)[edge.position](g, tuple(saved), forward.meta))
    return unbroadcast(found, edge.input.shape) if fit else found


def unbroadcast(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """g summed over what was broadcast; as it is where it does not come from that shape."""
    if g.shape == shape:
        return g
    lead = g.ndim - len(shape)
    if lead < 0 or any(n not in (1, m) for n, m in zip(shape, g.shape[lead:])):
        return g
    axes = (*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1 and g.shape[lead + i] != 1))
    return g.sum(axes, keepdims=True).reshape(shape)


def data_of(forward: Forward, position: int) -> np.ndarray:
    """The recorded numbers of one input."""
    return forward.inputs[position].data
