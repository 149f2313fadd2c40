"""check_answer: is a learner's answer right, and if not, which known mistake is it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.tensor import Tensor

__all__ = ["Verdict", "check_answer"]

UNANSWERED = "not answered yet: put your answer in the place of the three dots"


@dataclass(frozen=True)
class Verdict:
    """What was found of an answer: true if it is right; `mistake` names the known mistake, if it is one.

    also: other mistakes that give the same numbers, the likelier first.
    """

    right: bool
    told: str
    mistake: str | None = None
    also: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return "\n    or: ".join((self.told, *self.also))


def check_answer(
    answer: Any, expected: Any, mistakes: Mapping[str, Any] | None = None, tolerance: float = 1e-6
) -> Verdict:
    """Compare an answer with the expected numbers, and with what known mistakes would give.

    answer: a number, array or Tensor; `...` is "not answered yet". mistakes: what one would get, by the
    name of the mistake. tolerance: relative to the largest expected number. Nothing is raised for a wrong
    answer, so a notebook runs on.

    >>> check_answer(150, 156, {"the biases are missing: one a filter": 150})
    not yet: the biases are missing: one a filter
    >>> check_answer(156, 156)
    right
    >>> bool(check_answer(..., 156))
    False
    """
    if answer is ... or answer is None:
        return Verdict(False, UNANSWERED)
    try:
        given, truth = _numbers(answer), _numbers(expected)
    except (TypeError, ValueError):
        return Verdict(False, f"not yet: expected numbers, got {type(answer).__name__}")
    if same_numbers(given, truth, tolerance):
        return Verdict(True, "right")
    for name, wrong in (mistakes or {}).items():
        if same_numbers(given, _numbers(wrong), tolerance):
            return Verdict(False, f"not yet: {name}", name)
    if given.shape != truth.shape:
        return Verdict(False, f"not yet: expected shape {truth.shape}, got {given.shape}", "shape")
    worst = np.unravel_index(np.argmax(np.abs(given - truth)), truth.shape) if truth.ndim else ()
    place = f" at {tuple(map(int, worst))}" if truth.ndim else ""
    return Verdict(False, f"not yet: {given[worst]:.6g}{place}, and no mistake that is known here")


def same_numbers(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    """Equal shapes, and no difference above `tolerance` times the largest of b."""
    if a.shape != b.shape or not np.all(np.isfinite(a) == np.isfinite(b)):
        return False
    scale = np.max(np.abs(b), initial=0.0)
    return bool(np.all(np.abs(a - b) <= tolerance * (scale if scale > 0 else 1.0)))


def _numbers(x: Any) -> np.ndarray:
    return np.asarray(x.detach().numpy() if isinstance(x, Tensor) else x, dtype=np.float64)
