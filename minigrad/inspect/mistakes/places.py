"""Mistakes that are not on one edge: sums, paths, time, the answer itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..edges import run_again
from ..record import Edge, Forward, Value
from .arrays import unsummed
from .rerun import Change, Cone, send
from .rule import (
    ASSIGNED,
    CUT,
    EXTRA_COUNT,
    OTHER,
    SHIFTED,
    SIGN,
    STALE,
    TRANSPOSED,
    UNSUMMED,
    plain,
    spot,
)

__all__ = ["Candidate", "of_the_answer", "of_values", "shifted"]


class Candidate(NamedTuple):
    """A mistake that may have been made: how likely (the smaller the likelier), its name, words, and change."""

    weight: float
    family: str
    told: str
    change: Change


# ---------------------------------------------------------------- where gradients gather


def of_values(cone: Cone) -> Iterator[Candidate]:
    """Contributions that were overwritten, and paths that were left out."""
    for value in cone.values:
        edges = value.contributions
        if len(edges) < 2:
            continue
        alike = len({_purpose(e.step.value) for e in edges}) == 1
        for k, edge in enumerate(edges):
            if k in (0, len(edges) - 1) or len(edges) <= 12:
                yield _only(cone, value, k, alike)
            yield _cut(cone, [edge], 1.5 if len(edges) > 2 or k == 0 else 1.3)


def _purpose(value: Value) -> str:
    """The op that a value goes into; of what is only reshaped, where that goes."""
    f = value.made_by
    while f.op in ("reshape", "transpose", "copy", "cast") and value.contributions:
        value = value.contributions[0].step.value
        f = value.made_by
    return f.op


def _only(cone: Cone, value: Value, k: int, alike: bool) -> Candidate:
    n = len(value.contributions)
    weight = 1.1 if alike else 1.2 if k == n - 1 else 1.4
    if 0 < k < n - 1:
        weight += 0.5
    told = (
        f"{value.name} is used {n} times and its gradients add up; only what comes from "
        f"{spot(value.contributions[k])} was kept: add with +=, do not assign with ="
    )
    return Candidate(
        weight + 0.01 * cone.distance[value],
        ASSIGNED,
        told,
        Change(gather={value: lambda parts: parts[k]}),
    )


def _cut(cone: Cone, edges: Sequence[Edge], weight: float) -> Candidate:
    edge = edges[0]
    told = f"a path is left out: {plain(edge.input).name} also reaches the result through {spot(edge)}"
    if len(edges) > 1:
        told += ", each time"
    return Candidate(
        weight + 0.01 * cone.away(edge),
        CUT,
        told,
        Change({e: lambda e, g: np.zeros(e.input.shape) for e in edges}),
    )


def cut_groups(cone: Cone, groups: Sequence[list[Edge]]) -> Iterator[Candidate]:
    """A line of a loop whose gradient never passes on: truncated backprop through time, say."""
    for group in groups:
        if len(group) > 1 and any(len(e.input.contributions) > 1 for e in group):
            yield _cut(cone, group, 1.0)


# ---------------------------------------------------------------- time


def shifted(cone: Cone, groups: Sequence[list[Edge]], forward: Sequence[Forward]) -> Iterator[Candidate]:
    """One line of a loop, its other operand taken from the step before or after."""
    for group in groups:
        if len(group) < 2:
            continue
        steps = sorted(group, key=lambda e: e.step.forward.id)
        for p in range(len(steps[0].step.forward.inputs)):
            operands = [e.step.forward.inputs[p] for e in steps]
            if p == group[0].position or None in operands or len(set(operands)) < len(operands):
                continue
            following = successor(operands[-1], forward)
            later = [*(v.data for v in operands[1:]), following]
            earlier = [None, *(v.data for v in operands[:-1])]
            for arrays, text in ((later, "after"), (earlier, "before")):
                sends = {e: _with(p, a) for e, a in zip(steps, arrays)}
                name = plain(operands[-1]).name
                told = f"at {spot(steps[-1])} the other factor is taken one step too {'late' if text == 'after' else 'early'}: at the last time it is {name}"
                yield Candidate(1.25 + 0.01 * cone.away(group[0]), SHIFTED, told, Change(sends))


def _with(position: int, array: np.ndarray | None) -> Any:
    def wrong(edge: Edge, g: np.ndarray) -> Any:
        if array is None:
            return np.zeros(edge.input.shape)
        return send(edge, g, {position + 1: array})

    return wrong


def successor(value: Value, forward: Sequence[Forward]) -> np.ndarray | None:
    """What the same line of the loop made next; through reshapes and the like."""
    f = value.made_by
    if f is None:
        return None
    alike = [other.output for other in forward if other.place.origin == f.place.origin]
    at = alike.index(value)
    if at + 1 < len(alike):
        return alike[at + 1].data
    if f.op in ("reshape", "transpose", "copy"):
        before = successor(f.inputs[0], forward)
        return None if before is None else run_again(f, [before])
    return None


# ---------------------------------------------------------------- the answer as a whole


def of_the_answer(cone: Cone, values: Sequence[Value]) -> Iterator[Candidate]:
    """What may be wrong with the whole answer, wherever it went wrong."""
    target = cone.target
    name, shape = target.name, target.shape
    yield Candidate(
        1.6, SIGN, f"the sign is wrong: this is minus the gradient of {name}", _answer(lambda x: -x)
    )
    yield Candidate(
        1.7,
        STALE,
        f"this is twice the gradient of {name}: an earlier backward pass is still in it; set .grad to zero first",
        _answer(lambda x: 2 * x),
    )
    yield Candidate(
        2.5,
        STALE,
        f"this is three times the gradient of {name}: earlier backward passes are still in it",
        _answer(lambda x: 3 * x),
    )
    if len(shape) > 1:
        told = f"this is the gradient transposed: ∂L/∂{name} has the shape of {name}, {shape}"
        yield Candidate(1.05, TRANSPOSED, told, _answer(lambda x: np.swapaxes(x, -1, -2)))
    if len(shape) == 4:
        told = f"the kernel's gradient is turned round: ∂L/∂{name}[k] = Σ over p of g[p] · x[p + k]"
        yield Candidate(1.1, "flipped kernel", told, _answer(lambda x: x[..., ::-1, ::-1]))
    yield from _unsummed_answers(cone)
    for n in sorted({v.shape[0] for v in cone.values if v.shape} | {v.data.size for v in cone.values}):
        if n > 1:
            told = f"the gradient is divided by n = {n} once more than it should be"
            yield Candidate(2.2, EXTRA_COUNT, told, _answer(lambda x, n=n: x / n))
    for v in values:
        if v.grad is not None and v is not target and v.grad.shape == shape:
            told = f"this is the gradient of {v.name}, not that of {name}"
            yield Candidate(2.6, OTHER, told, _answer(lambda x, v=v: v.grad))


def _answer(change: Any) -> Change:
    return Change(answer=change)


def _unsummed_answers(cone: Cone) -> Iterator[Candidate]:
    """The target was broadcast: its gradient in the broadcast shape, or summed over other axes."""
    target = cone.target
    edges = [e for e in target.contributions if e.step.forward and _full(e, e.step.g) is not None]
    if not edges:
        return
    lead = (
        f"{target.name} {target.shape} was broadcast at {spot(edges[0])}, so its gradient must be summed over "
        "the broadcast axis"
    )
    sends = dict.fromkeys(edges, _full)
    yield Candidate(0.9, UNSUMMED, f"{lead}; here it is not summed", Change(sends))
    full = _full(edges[0], edges[0].step.g)
    for axis in range(full.ndim):
        told = f"{lead}; here it is summed over axis {axis} only"
        yield Candidate(1.1, UNSUMMED, told, Change(sends, answer=lambda x, a=axis: x.sum(a)))
        yield Candidate(1.2, UNSUMMED, told, Change(sends, answer=lambda x, a=axis: x.sum(a, keepdims=True)))
        told = f"{lead}; here only one of them is taken, along axis {axis}"
        yield Candidate(1.3, UNSUMMED, told, Change(sends, answer=lambda x, a=axis: x.take(0, a)))
        yield Candidate(1.3, UNSUMMED, told, Change(sends, answer=lambda x, a=axis: x.take(-1, a)))
    yield Candidate(
        1.2, UNSUMMED, f"{lead}; here it is summed over all axes", Change(sends, answer=lambda x: x.sum())
    )


def _full(edge: Edge, g: np.ndarray) -> np.ndarray | None:
    found = unsummed(edge, g)
    if found is None:
        return None
    return np.moveaxis(found, -1, 1) if edge.step.forward.op == "conv" else found
