"""The wrong answers a learner may give, by making the known mistakes on the true backward pass."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..record import Edge, Value
from . import arrays, elementwise, jacobians
from .places import Candidate, cut_groups, of_the_answer, of_values, other_factors, shifted, too_early
from .rerun import Change, Cone, Rerun
from .rule import (
    ASSIGNED,
    COUNT,
    CUT,
    FACTOR,
    INCOMING,
    PLACE,
    POWER,
    SIGN,
    TRANSPOSED,
    UNSUMMED,
    Rule,
)

__all__ = ["Mistake", "Mistakes"]

RULES: tuple[Rule, ...] = (*elementwise.RULES, *arrays.RULES, *jacobians.RULES)
MOST_EDGES = 250  # tried one by one; in a larger graph those nearest to the value
BUDGET = 40_000  # VJPs: some seconds; in a larger graph the unlikely mistakes are not tried
MOST_PAIRED = 45  # mistakes that are tried two at a time
LIKELIER = {
    "step": 0.0,
    "spot": -0.05,
    "use": 0.0,
    "op": 0.05,
}  # a mistake in a line of a loop is made each time
MOST_NUMBERS = 3_000_000  # of all answers that are kept
COMMON = (SIGN, FACTOR, COUNT, TRANSPOSED, UNSUMMED, CUT, POWER, PLACE, ASSIGNED, INCOMING)


@dataclass(frozen=True, eq=False)
class Mistake:
    """A wrong answer and how one comes to it."""

    weight: float
    family: str
    say: Callable[[], str]
    answer: np.ndarray
    edges: frozenset[Edge]

    @property
    def told(self) -> str:
        """The sentence that explains it: op, variable, line of source."""
        return self.say()

    def __repr__(self) -> str:
        return f"<{self.family}: {self.told}>"


class Mistakes:
    """The known wrong answers to "what is the gradient of this value?", the likeliest first."""

    def __init__(self, trace: Any, target: Value, budget: int = BUDGET) -> None:
        self.trace = trace
        self.budget = budget  # VJPs that may be run for single mistakes, and for pairs
        self.target = target
        self.cone = Cone(trace, target)
        self.rerun = Rerun(self.cone)

    @cached_property
    def singles(self) -> list[Mistake]:
        """One mistake, at one place or at every place of its kind."""
        return self._distinct(self._candidates)

    @cached_property
    def pairs(self) -> list[Mistake]:
        """Two of the common mistakes at once."""
        return self._distinct(self._two_at_once())

    def matching(self, fits: Callable[[np.ndarray], bool], pairs: bool = True) -> list[Mistake]:
        """Those whose answer fits, the likeliest first; two mistakes at once only where one does not do."""
        found = _vanishing_last([m for m in self.singles if fits(m.answer)])
        if found or not pairs:
            return found
        return [m for m in self.pairs if fits(m.answer)]

    # ---------------------------------------------------------------- candidates

    @cached_property
    def _candidates(self) -> list[Candidate]:
        """All single mistakes, sorted by weight."""
        cone, groups = self.cone, list(_grouped(self.cone.edges, "spot").values())
        found = [
            *of_the_answer(cone, self.trace.values),
            *of_values(cone),
            *cut_groups(cone, groups),
            *shifted(cone, groups, self.trace.forward),
            *other_factors(cone),
            *too_early(cone),
            *self._on_edges(),
        ]
        return sorted(found, key=lambda c: c.weight)

    def _on_edges(self) -> Iterator[Candidate]:
        """Every rule on every edge it fits, and on all edges of its kind at once. A group has one op."""
        near = sorted(self.cone.edges, key=self.cone.away)[:MOST_EDGES]
        alone = _grouped(near, "op").values()
        kinds = {kind: _grouped(self.cone.edges, kind).values() for kind in LIKELIER}
        for rule in RULES:
            if not rule.together:
                for edge in (e for group in alone if rule.fits(group[0]) for e in group):
                    yield _made(rule, [edge], self.cone.away(edge), 0.0)
            for kind in LIKELIER if rule.together else ("spot", "use", "op"):
                for group in kinds[kind]:
                    if (len(group) > 1 or rule.together) and rule.fits(group[0]):
                        yield _made(rule, group, self.cone.away(group[0]), LIKELIER[kind])

    def _two_at_once(self) -> Iterator[Candidate]:
        common, seen = [], set()
        for answer, c in self._evaluated(c for c in self._candidates if c.family in COMMON):
            key = (c.family, _signature(answer))
            if key not in seen:
                seen.add(key)
                common.append(c)
        for a, b in itertools.combinations(common[:MOST_PAIRED], 2):
            both = a.change.joined(b.change)
            if both is not None:
                told = lambda a=a, b=b: f"{a.told()}; and {b.told()}"
                yield Candidate(a.weight + b.weight + 1.0, a.family, told, both)

    # ---------------------------------------------------------------- answers

    def _evaluated(self, candidates: Iterable[Candidate]) -> Iterator[tuple[np.ndarray, Candidate]]:
        truth = self.target.grad
        scale = float(np.max(np.abs(truth), initial=0.0)) or 1.0
        last, room = self.rerun.work + self.budget, MOST_NUMBERS
        for c in candidates:
            if room < 0:
                return
            if self.rerun.work > last and (c.change.edges or c.change.gather):
                continue  # a change of the answer alone costs nothing
            answer = self.rerun(c.change)
            if answer is None or not np.isfinite(answer).all():
                continue
            if answer.shape == truth.shape and np.abs(answer - truth).max(initial=0.0) <= 1e-9 * scale:
                continue  # no mistake here: the factor is 1, the gradient is 0
            room -= answer.size
            yield answer, c

    def _distinct(self, candidates: Iterable[Candidate]) -> list[Mistake]:
        """The candidates with their answers; of one family and answer only the likeliest."""
        found: dict[tuple, Mistake] = {}
        for answer, c in self._evaluated(candidates):
            key = (c.family, _signature(answer))
            if key not in found or found[key].weight > c.weight:
                found[key] = Mistake(c.weight, c.family, c.told, answer, frozenset(c.change.edges))
        return sorted(found.values(), key=lambda m: m.weight)


def _grouped(edges: Iterable[Edge], kind: str) -> dict[Any, list[Edge]]:
    """Edges of one step, of one spot of the program, of one value's uses in an op, of an op anywhere."""
    groups: dict[Any, list[Edge]] = defaultdict(list)
    for e in edges:
        f = e.step.forward
        if f is not None:
            keys = {"step": f.id, "spot": (f.place.origin, e.position), "use": (e.input, f.op)}
            groups[keys.get(kind, (f.op, e.position))].append(e)
    return groups


def _made(rule: Rule, edges: Sequence[Edge], away: int, extra: float) -> Candidate:
    def told() -> str:
        times = "both" if len(edges) == 2 else f"all {len(edges)}"
        again = f", {times} times" if len(edges) > 1 and not rule.together else ""
        return rule.told(edges[0]) + again

    return Candidate(
        rule.weight + extra + 0.01 * away, rule.family, told, Change(dict.fromkeys(edges, rule.send))
    )


def _vanishing_last(found: list[Mistake]) -> list[Mistake]:
    """A change after which nothing arrives is told as a path left out, not as the change that did it."""
    cut = {m.edges for m in found if m.family == CUT}
    return sorted(found, key=lambda m: m.family != CUT and bool(m.edges) and m.edges in cut)


def _signature(answer: np.ndarray) -> tuple:
    scale = float(np.max(np.abs(answer), initial=0.0)) or 1.0
    return (*answer.shape, float(f"{scale:.9g}"), (np.round(answer / scale, 9) + 0.0).tobytes())
