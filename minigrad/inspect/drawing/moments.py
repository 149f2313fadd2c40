"""The moments of a trace, in the order in which the stepper shows them, and what there is to say about each.

Every op forward; the seed; every edge backward, one at a time; a leaf whose gradient is complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..record import Backward, Edge, Forward
from .scene import number

__all__ = ["Moment", "caption", "find_moment", "moments", "short"]

LONGEST = 110  # characters of a line of caption


@dataclass(frozen=True, eq=False)
class Moment:
    """What happens: one of `forward` (an op runs), `edge` (gradient is sent), `backward` (seed or leaf)."""

    index: int
    forward: Forward | None = None
    backward: Backward | None = None
    edge: Edge | None = None


def moments(trace: Any) -> list[Moment]:
    """All moments of a trace, in order."""
    return [Moment(i, **what) for i, what in enumerate(_moments(trace))]


def _moments(trace: Any) -> Iterator[dict[str, Any]]:
    for step in trace.steps:
        if isinstance(step, Forward):
            yield {"forward": step}
            continue
        if step is trace.backward[0] or not step.edges:
            yield {"backward": step}
        for edge in step.edges:
            yield {"edge": edge}


def find_moment(all_moments: list[Moment], step: Any) -> int:
    """The place of a moment: a number, counted from the end if negative, or a step or edge of the trace.

    Raises IndexError if there is no such moment, TypeError for anything else.
    """
    count = len(all_moments)
    if isinstance(step, int | np.integer) and not isinstance(step, bool):
        if not -count <= step < count:
            raise IndexError(f"draw: expected a step from {-count} to {count - 1} (step={step})")
        return int(step) % count
    if not isinstance(step, Forward | Backward | Edge):
        raise TypeError(f"draw: expected a number, or a step or edge of the trace (step={step!r})")
    edges = step.edges if isinstance(step, Backward) else []
    wanted = [step, *edges]
    found = [m.index for m in all_moments if (m.forward or m.backward or m.edge) in wanted]
    if not found:
        raise IndexError(f"draw: this step belongs to another trace (step={step!r})")
    return found[-1]  # of a backward step its last edge, when all of it has happened


def short(array: Any) -> str:
    """An array in a caption: numbers where there are few, else its shape and its size.

    >>> short(np.float64(0.5)), short(np.array([[3.0, -4.0]]))
    ('0.5', '(1x2, norm 5)')
    """
    text = number(np.asarray(array))
    if np.ndim(array) == 0 or text.startswith("["):
        return text
    return f"({text}, norm {float(np.linalg.norm(np.asarray(array, dtype=float))):.4g})"


def caption(moment: Moment, count: int) -> list[str]:
    """What happens at a moment, in two or three lines: a heading, the rule, the numbers."""
    place = f"step {moment.index + 1} of {count}"
    if moment.forward is not None:
        lines = _forward_lines(moment.forward, place)
    elif moment.edge is not None:
        lines = _edge_lines(moment.edge, place)
    else:
        lines = _node_lines(moment.backward, place)
    return [line if len(line) <= LONGEST else line[: LONGEST - 1] + "…" for line in lines if line]


def _forward_lines(f: Forward, place: str) -> list[str]:
    again = " again, behind a checkpoint" if f.replay else ""
    numbers = f.numbers or f"{f.output.name} is {short(f.output.data)}"
    return [f"{place}, forward{again}: {f.formula}", numbers, f.code.strip()]


def _node_lines(step: Backward, place: str) -> list[str]:
    name = step.value.name
    if step.edges:
        return [f"{place}, backward begins: ∂L/∂{name} = {short(step.g)}", "its edges carry it on"]
    ways = len(step.value.contributions)
    said = f"{ways} contributions have arrived" if ways > 1 else "nothing more will arrive"
    return [f"{place}, backward: the gradient of {name} is complete, {short(step.g)}", said]


def _edge_lines(edge: Edge, place: str) -> list[str]:
    name = edge.input.name
    heading = f"{place}, backward: from {edge.step.value.name} to {name}"
    sent, ways = f"sends {short(edge.sent)}", len(edge.input.contributions)
    if ways > 1:
        sent += f", contribution {edge.order + 1} of {ways}"
    gathered = f"adds up to {sum_text(edge, edge.total, short)}" if edge.order else ""
    return [heading, edge.formula, sent, gathered]


def sum_text(edge: Edge, total: np.ndarray, say: Any = number, before: np.ndarray | None = None) -> str:
    """'0.3 + 0.12 = 0.42': what was there, what arrives, what there is now."""
    before = edge.input.contributions[edge.order - 1].total if before is None else before
    sent = say(edge.sent)
    plus = f"- {sent[1:]}" if sent.startswith("-") else f"+ {sent}"
    return f"{say(before)} {plus} = {say(total)}"
