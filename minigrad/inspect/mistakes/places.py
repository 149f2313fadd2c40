"""Mistakes that are not on one edge: sums, paths, time, and the answer as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, pairwise
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
    FACTOR,
    FLIPPED,
    OTHER,
    POWER,
    RESHAPING,
    SHIFTED,
    SIGN,
    STALE,
    TRANSPOSED,
    UNSUMMED,
    WRONG,
    plain,
    spot,
)

__all__ = ["Candidate", "cut_groups", "of_the_answer", "of_values", "other_factors", "shifted", "too_early"]

PRODUCTS = ("mul", "matmul", "linear", "conv")
MOST_USES = 12  # of a value, to try each of its contributions alone
MOST_SEEN = 200  # values above two uses, to see whether one is above the other


class Candidate(NamedTuple):
    """A mistake that may have been made: how likely (small is likely), its name, words, and change."""

    weight: float
    family: str
    told: Callable[[], str]
    change: Change


# ---------------------------------------------------------------- where gradients gather


def of_values(cone: Cone) -> Iterator[Candidate]:
    """Contributions that were overwritten, and paths that were left out."""
    for value in cone.near:
        edges = value.contributions
        if len(edges) < 2:
            continue
        alike = _alike(edges)
        twice = [b for a, b in pairwise(edges) if a.step is b.step and a.step.forward.op == "mul"]
        for edge in twice:
            yield _half_of_a_square(cone, edge)
            if len(edges) > 2:
                yield _cut(cone, [e for e in edges if e.step is edge.step], 1.3)
        for k, edge in enumerate(edges):
            if k in (0, len(edges) - 1) or len(edges) <= MOST_USES:
                yield _only(cone, value, k, alike)
                if len(edges) > 2 and not alike:
                    yield _cut(cone, [e for e in edges if e is not edge], 1.4)
            if len(edges) <= MOST_USES:
                yield from _divided(cone, edge)
            yield _cut(cone, [edge], 1.3)


def _half_of_a_square(cone: Cone, edge: Edge) -> Candidate:
    """x · x with the gradient of one factor only: nothing comes from the other one's edge."""
    told = lambda: (
        f"{spot(edge)} is a square, both factors move: the factor 2 of its derivative, "
        f"2 · {plain(edge.input).name}, is missing"
    )
    return Candidate(0.9 + 0.01 * cone.away(edge), POWER, told, Change({edge: _nothing}))


def _alike(edges: Sequence[Edge]) -> bool:
    """Uses of one kind, as of a shared weight: one line of a loop, or one op side by side."""
    if len({e.step.forward.place.origin for e in edges}) == 1:
        return True
    if len(set(Counter(e.step for e in edges).values())) > 1:  # x · x beside x · y
        return False
    users = {_user(e.step.value) for e in edges}
    if len({v.made_by.op for v in users}) > 1:
        return False
    seen, above = set(), list(users)
    while above and len(seen) < MOST_SEEN:
        new = {e.step.value for v in above for e in v.contributions} - seen
        seen |= new
        above = list(new)
    return not seen & users


def _user(value: Value) -> Value:
    """What a value is; of what is only reshaped, what is made of that."""
    while value.made_by.op in (*RESHAPING, "transpose") and value.contributions:
        value = value.contributions[0].step.value
    return value


def _only(cone: Cone, value: Value, k: int, alike: bool) -> Candidate:
    """Of a value's contributions only the k-th is kept."""
    n, edge = len(value.contributions), value.contributions[k]
    weight = 1.1 if alike else 1.6  # of different uses one is rather forgotten than overwritten
    if 0 < k < n - 1:
        weight += 0.5

    def told() -> str:
        return (
            f"{plain(value).name} is used {n} times and its gradients add up; only what comes from "
            f"{spot(edge)} was kept: add with +=, do not assign with ="
        )

    return Candidate(
        weight + 0.01 * cone.distance[value], ASSIGNED, told, Change(gather={value: lambda parts: parts[k]})
    )


def _divided(cone: Cone, edge: Edge) -> Iterator[Candidate]:
    """One of several terms divided by a length that belongs to another: the penalty by the batch, say."""
    for n in sorted({v.shape[0] for v in cone.near if v.shape} - {1})[:6]:
        told = lambda n=n: (
            f"what comes from {spot(edge)} is divided by n = {n}, which belongs to another term"
        )
        change = Change({edge: lambda e, g, n=n: send(e, g) / n})
        yield Candidate(2.1 + 0.01 * cone.away(edge), EXTRA_COUNT, told, change)


def _cut(cone: Cone, edges: Sequence[Edge], weight: float) -> Candidate:
    """Nothing comes from these edges: some of one value's, or all of one line's in a loop."""

    def told() -> str:
        ways = list(dict.fromkeys(spot(e) for e in edges if e.input is edges[0].input))
        each = ", each time" if len({e.input for e in edges}) > 1 else ""
        name = plain(edges[0].input).name
        return f"a path is left out: {name} also reaches the result through {' and '.join(ways[:3])}{each}"

    nothing = dict.fromkeys(edges, _nothing)
    return Candidate(weight + 0.01 * cone.away(edges[0]), CUT, told, Change(nothing))


def _nothing(edge: Edge, g: np.ndarray) -> np.ndarray:
    return np.zeros(edge.input.shape)


def cut_groups(cone: Cone, groups: Sequence[list[Edge]]) -> Iterator[Candidate]:
    """A line of a loop whose gradient never passes on: truncated backprop through time, say."""
    for group in groups:
        if len(group) > 1 and any(len(e.input.contributions) > 1 for e in group):
            yield _cut(cone, group, 1.0)


# ---------------------------------------------------------------- time


def shifted(cone: Cone, groups: Sequence[list[Edge]], forward: Sequence[Forward]) -> Iterator[Candidate]:
    """One line of a loop, its other operand taken from the step before or after."""
    for group in groups:
        steps = sorted(group, key=lambda e: e.step.forward.id)
        for p in range(min(len(e.step.forward.inputs) for e in steps)):
            operands = [e.step.forward.inputs[p] for e in steps]
            if p == group[0].position or None in operands or not 1 < len(operands) == len(set(operands)):
                continue
            later = [*(v.data for v in operands[1:]), successor(operands[-1], forward)]
            earlier = [None, *(v.data for v in operands[:-1])]
            for arrays, when in ((later, "late"), (earlier, "early")):
                told = lambda last=steps[-1], other=operands[-1], when=when: (
                    f"the other factor of {spot(last)} is taken one step too {when}: "
                    f"{plain(last.input).name} goes with {plain(other).name}"
                )
                sends = {e: _with(p, a) for e, a in zip(steps, arrays)}
                yield Candidate(1.25 + 0.01 * cone.away(group[0]), SHIFTED, told, Change(sends))


def _with(position: int, array: np.ndarray | None) -> Any:
    """What is sent if an input had been another array; nothing where there is none."""

    def wrong(edge: Edge, g: np.ndarray) -> Any:
        return np.zeros(edge.input.shape) if array is None else send(edge, g, {position + 1: array})

    return wrong


def other_factors(cone: Cone) -> Iterator[Candidate]:
    """A product whose other factor was taken one op too early or too late: z for h = tanh(z)."""
    for edge in (e for v in cone.near for e in v.contributions[:MOST_USES]):
        f = edge.step.forward
        if f is None or f.op not in PRODUCTS:
            continue
        for p, operand in enumerate(f.inputs):
            if operand is None or p == edge.position:
                continue
            for v in _neighbours(operand):
                told = lambda e=edge, v=v, right=operand: (
                    f"the factor at {spot(e)} is {plain(right).name}, not {plain(v).name}"
                )
                turned = v.data.reshape(operand.shape)
                yield Candidate(1.75 + 0.01 * cone.away(edge), WRONG, told, Change({edge: _with(p, turned)}))


def _neighbours(value: Value) -> list[Value]:
    """What a value is made of, and what is made of it, of its own size; through reshapes."""
    source = plain(value)
    made_of = [plain(v) for v in source.made_by.inputs if v is not None] if source.made_by else []
    into = [e.step.value for e in source.contributions if e.step.value.made_by.op not in RESHAPING]
    alike = [v for v in (*made_of, *into) if v.shape == source.shape and v is not source]
    return list(dict.fromkeys(alike))[:6]


def too_early(cone: Cone) -> Iterator[Candidate]:
    """Every use of the target with a later gradient: ∂L/∂h where ∂L/∂a belongs, for h = tanh(a)."""
    uses = [e for e in cone.target.contributions if e.step.forward]
    later = [e.step.value for e in uses]
    skipped: list[Value] = []
    for _ in range(6):
        if not later or any(len(v.contributions) != 1 for v in later):
            return
        skipped.append(later[0])
        later = [v.contributions[0].step.value for v in later]
        if any(v.data.size != e.step.g.size for v, e in zip(later, uses)):
            return
        sends = {e: _with_gradient(v) for e, v in zip(uses, later)}
        told = lambda before=plain(skipped[0]), after=later[0]: (
            f"the factor between them is missing: ∂L/∂{after.name} was used where ∂L/∂{before.name} belongs"
        )
        yield Candidate(1.15, FACTOR, told, Change(sends))


def _with_gradient(value: Value) -> Any:
    return lambda edge, g: send(edge, value.grad.reshape(g.shape))


def successor(value: Value, forward: Sequence[Forward]) -> np.ndarray | None:
    """What the same line of the loop made next; through reshapes and the like."""
    f = value.made_by
    if f is None:
        return None
    alike = [other.output for other in forward if other.place.origin == f.place.origin]
    at = alike.index(value)
    if at + 1 < len(alike):
        return alike[at + 1].data
    if f.op in (*RESHAPING, "transpose"):
        before = successor(f.inputs[0], forward)
        fits = before is not None and before.shape == f.inputs[0].shape  # not so from layer to layer
        return run_again(f, [before]) if fits else None
    return None


# ---------------------------------------------------------------- the answer as a whole


def of_the_answer(cone: Cone, values: Sequence[Value]) -> Iterator[Candidate]:
    """What may be wrong with the whole answer, wherever it went wrong."""
    target = cone.target
    name, shape = target.name, target.shape
    left = "an earlier backward pass is still in it; set .grad to zero first"
    yield _answer(1.6, SIGN, f"the sign is wrong: this is minus the gradient of {name}", lambda x: -x)
    yield _answer(1.7, STALE, f"this is twice the gradient of {name}: {left}", lambda x: 2 * x)
    yield _answer(2.5, STALE, f"this is three times the gradient of {name}: {left}", lambda x: 3 * x)
    if len(shape) > 1:
        told = f"this is the gradient transposed: ∂L/∂{name} has the shape of {name}, {shape}"
        yield _answer(1.05, TRANSPOSED, told, lambda x: np.swapaxes(x, -1, -2))
    if len(shape) == 4:
        told = f"the kernel's gradient is turned round: ∂L/∂{name}[k] = Σ over p of g[p] · x[p + k]"
        yield _answer(1.1, FLIPPED, told, lambda x: x[..., ::-1, ::-1])
    yield from _unsummed_answers(cone)
    yield from _beside_each_other(cone)
    counts = {v.shape[0] for v in cone.near if v.shape} | {v.data.size for v in cone.near}
    for n in sorted(counts | {len(v.contributions) for v in cone.near}):
        if n > 1:
            told = f"the gradient is divided by n = {n} once more than it should be"
            yield _answer(2.2, EXTRA_COUNT, told, lambda x, n=n: x / n)
    for v in values[:MOST_SEEN]:
        if v.grad is not None and v is not target and (v.grad.shape == shape or v.made_by is None):
            told = f"this is the gradient of {v.name}, not that of {name}"
            yield _answer(2.6, OTHER, told, lambda x, v=v: v.grad)
        if v.made_by is not None and v.shape == shape:
            told = f"this is the value of {v.name}, not the gradient of {name}"
            yield _answer(2.7, OTHER, told, lambda x, v=v: v.data)


def _beside_each_other(cone: Cone) -> Iterator[Candidate]:
    """The contributions as rows: a gradient for each use."""
    n, name = len(cone.target.contributions), cone.target.name
    told = f"{name} is used {n} times: its {n} gradients must be summed; here they stand beside each other"
    for step in (1, -1) if n > 1 else ():
        gather = {cone.target: lambda parts, step=step: np.stack(parts[::step])}
        yield Candidate(1.0, UNSUMMED, lambda: told, Change(gather=gather))


def _answer(weight: float, family: str, told: str, change: Any, sends: Any = None) -> Candidate:
    return Candidate(weight, family, lambda: told, Change(sends or {}, answer=change))


def _unsummed_answers(cone: Cone) -> Iterator[Candidate]:
    """The target was broadcast: its gradient in the broadcast shape, or summed over other axes."""
    target = cone.target
    edges = [e for e in target.contributions if e.step.forward and _full(e, e.step.g) is not None]
    if not edges:
        return
    lead = f"{target.name} {target.shape} was broadcast at {spot(edges[0])}, so its gradient must be summed"
    lead += " over the broadcast axis"
    sends = dict.fromkeys(edges, _full)
    yield _answer(0.9, UNSUMMED, f"{lead}; here it is not summed", None, sends)
    yield _answer(1.2, UNSUMMED, f"{lead}; here it is summed over all axes", lambda x: x.sum(), sends)
    axes = range(_full(edges[0], edges[0].step.g).ndim)
    for some in (s for n in axes[1:] for s in combinations(axes, n)):
        over = f"axis {some[0]}" if len(some) == 1 else f"axes {some}"
        told = f"{lead}; here it is summed over {over} only"
        yield _answer(1.1, UNSUMMED, told, lambda x, a=some: x.sum(a), sends)
        yield _answer(1.2, UNSUMMED, told, lambda x, a=some: x.sum(a, keepdims=True), sends)
    for axis in axes:
        told = f"{lead}; here only one of them is taken, along axis {axis}"
        yield _answer(1.3, UNSUMMED, told, lambda x, a=axis: x.take(0, a), sends)
        yield _answer(1.3, UNSUMMED, told, lambda x, a=axis: x.take(-1, a), sends)


def _full(edge: Edge, g: np.ndarray) -> np.ndarray | None:
    found = unsummed(edge, g)
    if found is None:
        return None
    return np.moveaxis(found, -1, 1) if edge.step.forward.op == "conv" else found
