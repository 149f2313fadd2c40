"""Predict, then reveal: a question about one gradient, whose wrong answers are told by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .mistakes import Mistakes
from .record import Value
from .verdict import UNANSWERED, Verdict, same_numbers

__all__ = ["Question", "Revealed", "ask", "page_exercises"]

STRICT = 1e-6  # relative to the largest number: an answer that was computed
LOOSE = 1e-4  # one that was computed in float32
AS_LIKELY, MOST_TOLD = 0.5, 3  # other explanations of the same numbers that are told, too
MOST_VALUES, MOST_ANSWERS, MOST_NUMBERS = 25, 40, 64  # of a page
MOST_EDGES = 80  # on the way to a value: of longer ways the page knows the general mistakes only
PAGE_BUDGET = 10_000  # VJPs for all of its wrong answers


def ask(trace: Any, name: str | Value) -> Question:
    """The question what ∂L/∂name is, for a value of a trace.

    Raises KeyError if there is no such value, ValueError if no gradient reaches it.

    >>> import minigrad as mg
    >>> q = mg.trace(lambda w, x: mg.tanh(w * x), 2.0, 0.5).exercise("w")
    >>> q.check(0.5)
    not yet: the factor 1 − loss² of tanh(mul) is missing
        or: the local factor x of w · x stands alone: it must be multiplied by ... ∂L/∂mul
    >>> q.check(0.5 * (1 - np.tanh(1.0) ** 2))
    right
    """
    value = trace[name]
    if value.grad is None:
        raise ValueError(f"exercise: no gradient reaches {value.name!r}; ask for another value")
    return Question(trace, value)


@dataclass(frozen=True)
class Revealed:
    """The gradient that was asked for, and how it comes about."""

    gradient: np.ndarray
    told: str

    def __repr__(self) -> str:
        return f"{self.told}\n{np.array2string(self.gradient, precision=6)}"


class Question:
    """What is ∂L/∂value? `check` an answer, ask for a `hint`, `reveal` it."""

    def __init__(self, trace: Any, value: Value) -> None:
        self.trace = trace
        self.value = value
        self._hinted = 0

    def __repr__(self) -> str:
        shape = f"an array of shape {self.value.shape}" if self.value.shape else "a number"
        return f"∂L/∂{self.value.name} = ?  ({shape}; .check(answer), .hint(), .reveal())"

    @cached_property
    def mistakes(self) -> Mistakes:
        """The known wrong answers."""
        return Mistakes(self.trace, self.value)

    def check(self, answer: Any) -> Verdict:
        """Right, or the name of the mistake. A number, a list, an array (any NumPy expression) or a Tensor.

        Numbers that are typed may be rounded, to three digits or more. Nothing is raised for a wrong answer.
        """
        if answer is ... or answer is None:
            return Verdict(False, UNANSWERED)
        try:
            given = _numbers(answer)
        except (TypeError, ValueError):
            return Verdict(False, f"not yet: expected numbers, got {type(answer).__name__}")
        truth = np.asarray(self.value.grad, np.float64)
        for tolerance in self._tolerances(answer, given):
            if _same(given, truth, tolerance):
                return Verdict(True, "right")
            found = self.mistakes.matching(lambda wrong, t=tolerance: _same(given, wrong, t), tolerance >= 0)
            if found:
                first, *others = found
                near = [m for m in others if m.family != first.family and m.weight < first.weight + AS_LIKELY]
                also = tuple(m.told for m in near[:MOST_TOLD])
                return Verdict(False, f"not yet: {first.told}", first.family, also)
        if given.shape != truth.shape:
            return self._of_another_shape(given, truth)
        worst = np.unravel_index(np.argmax(np.abs(given - truth)), truth.shape) if truth.ndim else ()
        place = f" at {tuple(map(int, worst))}" if truth.ndim else ""
        return Verdict(False, f"not yet: {given[worst]:.6g}{place}, and no mistake that is known here")

    def _of_another_shape(self, given: np.ndarray, truth: np.ndarray) -> Verdict:
        told = f"expected shape {truth.shape}, got {given.shape}"
        if given.size == truth.size:
            fitted = given.reshape(truth.shape)
            if _same(fitted, truth, STRICT):
                told = f"the numbers are right, their shape {given.shape} is not {truth.shape}"
            elif found := self.mistakes.matching(lambda wrong: _same(fitted, wrong, STRICT), pairs=False):
                return Verdict(False, f"not yet: {found[0].told}; and {told}", found[0].family)
        return Verdict(False, f"not yet: {told}", "shape")

    def _tolerances(self, answer: Any, given: np.ndarray) -> list[float]:
        """How near is near: relative; a negative one is absolute, half a unit of the last digit typed."""
        single = getattr(answer, "dtype", None) == np.float32 or self.value.dtype == np.float32
        found = [LOOSE if single else STRICT]
        rounded = _half_unit(given)
        return [*found, -rounded] if rounded else found

    def hint(self) -> str:
        """The next hint: where the value is used, then the rule of each edge, then what comes in."""
        hints = self._hints()
        told = hints[min(self._hinted, len(hints) - 1)]
        self._hinted += 1
        return told

    def _hints(self) -> list[str]:
        edges = self.value.contributions[:4]
        if not edges:
            return ["this is the result itself: its gradient is what backward starts with"]
        used = " and ".join(e.step.forward.formula for e in edges)
        count = len(self.value.contributions)
        more = f"; it is used {count} times, so {count} gradients add up" if count > 1 else ""
        rules = "; ".join(e.formula for e in edges)
        coming = "; ".join(f"∂L/∂{e.step.value.name} = {_brief(e.step.g)}" for e in edges)
        return [f"{self.value.name} goes into {used}{more}", rules, f"what comes in: {coming}"]

    def reveal(self) -> Revealed:
        """The gradient, and the rules it comes from."""
        lines = [f"{e.formula}  sends {_brief(e.sent)}" for e in self.value.contributions]
        if len(lines) > 1:
            lines.append(f"together ∂L/∂{self.value.name} =")
        return Revealed(self.value.grad, "\n".join(lines) or f"∂L/∂{self.value.name} =")


def page_exercises(trace: Any) -> list[dict[str, Any]]:
    """Questions for the page: [{"value": id, "answers": [{"array", "name", "told"}]}], small arrays only."""
    asked = [v for v in trace.values if v.grad is not None and v is not trace.output]
    asked = [v for v in asked if 0 < v.data.size <= MOST_NUMBERS and v.data.dtype.kind == "f"]
    asked = [v for v in asked if _has_short_ways(v)]
    asked.sort(key=lambda v: (v.made_by is not None, v.id))
    asked = asked[:MOST_VALUES]
    found = []
    for value in asked:
        known = Mistakes(trace, value, PAGE_BUDGET // len(asked)).singles
        wrong = [m for m in known if m.answer.shape == value.shape]
        answers = [{"array": m.answer, "name": m.family, "told": m.told} for m in wrong[:MOST_ANSWERS]]
        found.append({"value": value.id, "answers": answers})
    return found


def _has_short_ways(value: Value) -> bool:
    """True if few edges lead from the result down to a value; counted no further than needed to know."""
    seen, waiting, edges = {value}, [value], 0
    while waiting and edges <= MOST_EDGES:
        above = waiting.pop().contributions
        edges += len(above)
        new = [e.step.value for e in above if e.step.value not in seen]
        waiting += dict.fromkeys(new)
        seen.update(new)
    return edges <= MOST_EDGES


# ---------------------------------------------------------------- numbers


def _numbers(x: Any) -> np.ndarray:
    x = x.detach().numpy() if hasattr(x, "detach") else x
    return np.asarray(float(x) if isinstance(x, str) else x, np.float64)


def _same(given: np.ndarray, wanted: np.ndarray, tolerance: float) -> bool:
    wanted = np.asarray(wanted, np.float64)
    if given.size == wanted.size == 1:
        given, wanted = given.reshape(()), wanted.reshape(())
    if tolerance > 0:
        return same_numbers(given, wanted, tolerance)
    return given.shape == wanted.shape and bool(np.all(np.abs(given - wanted) <= -tolerance))


def _half_unit(given: np.ndarray) -> float:
    """Half a unit of the last digit of numbers that were typed with three to seven digits; else 0."""
    if not given.size or not np.isfinite(given).all():
        return 0.0
    texts = [np.format_float_positional(v, trim="-") for v in given.ravel()[:64]]
    decimals = max(len(t.partition(".")[2]) for t in texts)
    digits = len(f"{np.abs(given).max() * 10.0**decimals:.0f}")
    return 0.5000001 * 10.0**-decimals if 3 <= digits <= 7 and decimals else 0.0


def _brief(array: np.ndarray) -> str:
    if array.size > 9:
        return f"an array of shape {array.shape}"
    return np.array2string(np.asarray(array), precision=4, separator=", ").replace("\n", "")
