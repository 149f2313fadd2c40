"""The scene of a trace at any of its moments: one layout, and what the boxes say by then."""

from __future__ import annotations

import re
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from ..record import Edge, Forward, Value
from .folding import Unit, extra_edges, fold
from .moments import Moment, caption, find_moment, moments, sum_text
from .scene import Arrow, Box, Scene, number

__all__ = ["Board"]

MOST_BOXES = 120
SO_FAR = " so far"
LONGEST_LABEL = 18  # characters of a rule that still fits on an edge

Lines = list[tuple[str, str]]


class Board:
    """The boxes of a trace: `scene` is to be laid out once, `at(step)` is that scene at a moment."""

    def __init__(self, trace: Any, most: int = MOST_BOXES) -> None:
        self.trace = trace
        self.moments = moments(trace)
        self.units = fold(trace, most)
        self.owner: dict[Value, Box] = {}  # the box in which a value stands
        self.unit_of: dict[Box, Unit] = {}
        self.value_of: dict[Box, Value] = {}
        self.edges_of: dict[Arrow, list[Edge]] = {}
        self.ops_of: dict[Arrow, set[Forward]] = {}
        self._sent = {(e.step.forward, e.position, e.input): e for b in trace.backward for e in b.edges}
        self._when = self._times()
        self.scene = Scene(self._boxes())

    def at(self, step: Any = None) -> Scene:
        """The scene at a moment, laid out as `scene` is; None for the end, when all is known."""
        if step is None:
            return replace(self.scene, boxes=self._copies(None))
        moment = self.moments[find_moment(self.moments, step)]
        return replace(self.scene, boxes=self._copies(moment), caption=caption(moment, len(self.moments)))

    # -------------------------------------------------------- boxes, once

    def _boxes(self) -> list[Box]:
        """Leaves before their first user, then its box."""
        made: list[Box] = []
        extra = extra_edges(self.trace)
        for unit in self.units:
            box = self._box(unit.output, self._unit_lines(unit, None), _kind(unit, self.trace.output))
            self.unit_of[box] = unit
            for f in unit.ops:
                self.owner[f.output] = box
            for v in (v for f in unit.ops for v in f.inputs):
                if v is not None and not v.made_by and v not in unit.inside and v not in self.owner:
                    kind = "constant" if v.kind == "constant" else "leaf"
                    self.owner[v] = self._box(v, self._value_lines(v, None), kind)
                    made.append(self.owner[v])
            for f in unit.ops:
                self._connect(box, unit, f, extra.get(f, []))
            made.append(box)
        return made

    def _box(self, value: Value, lines: Lines, kind: str) -> Box:
        """A box with room for all that it will ever say."""
        maps = [(a, r) for a, r in ((value.data, "value"), (value.grad, "gradient")) if _is_map(a)]
        box = Box(kind, lines, heat=maps)
        before = None
        for edge in value.contributions:  # what the gradient's line says while it gathers
            total = edge.sent if before is None else before + edge.sent
            for text in (_arriving(edge, total, before), _gradient_text(total) + SO_FAR):
                box.fit([(text, "gradient")])
            before = total
        self.value_of[box] = value
        return box

    def _connect(self, box: Box, unit: Unit, f: Forward, extra: list[Edge]) -> None:
        """Arrows into an op's box; into a fold one for each box that it comes from."""
        ends = [(v, self._sent.get((f, i, v))) for i, v in enumerate(f.inputs)]
        for value, edge in ends + [(e.input, e) for e in extra]:
            source = self.owner.get(value)
            if source is None or source is box or value in unit.inside:
                continue
            arrow = next((a for a in box.inputs if a.source is source), None) if unit.folded else None
            if arrow is None:
                arrow = Arrow(source, "" if unit.folded or edge is None else _local(edge))
                box.inputs.append(arrow)
            self.edges_of.setdefault(arrow, []).extend([edge] if edge else [])
            self.ops_of.setdefault(arrow, set()).add(f)

    def _times(self) -> dict[Any, int]:
        """The moment of every op, of every edge, and of every gradient that is complete."""
        when: dict[Any, int] = {}
        for m in self.moments:
            when[m.forward or m.edge or m.backward] = m.index
            if m.edge is not None:
                when.setdefault(m.edge.step, m.index)
        return when

    # -------------------------------------------------------- what they say, at a moment

    def _copies(self, moment: Moment | None) -> list[Box]:
        """The boxes with what is known by then, in their places, and their arrows, on their ways."""
        made: dict[Box, Box] = {}
        for box in self.scene.boxes:
            if box.of is not None:
                made[box] = box
                continue
            unit, value = self.unit_of.get(box), self.value_of[box]
            known = unit is None or moment is None or self._when[unit.ops[-1]] <= moment.index
            new = copy(box)
            new.lines = self._unit_lines(unit, moment) if unit else self._value_lines(value, moment)
            new.mark = self._box_mark(box, unit, value, moment)
            arrived = moment is None or self._arrived(value, moment) is not None
            new.heat = [
                (a if (known if role == "value" else arrived) else None, role) for a, role in box.heat
            ]
            new.inputs = [replace(self._at(arrow, moment), source=made[arrow.source]) for arrow in box.inputs]
            made[box] = new
        return list(made.values())

    def _at(self, arrow: Arrow, moment: Moment | None) -> Arrow:
        """An arrow at a moment; its label is there once gradient has passed."""
        if moment is None:
            return arrow
        passed = [e for e in self.edges_of[arrow] if self._when[e] <= moment.index]
        if moment.edge is not None and moment.edge in passed:
            mark = "now"
        elif passed:
            mark = "done"
        elif moment.forward in self.ops_of[arrow]:
            mark = "forward"
        else:
            mark = "" if min(self._when[f] for f in self.ops_of[arrow]) <= moment.index else "dim"
        return replace(arrow, mark=mark, label=arrow.label if passed else "")

    def _box_mark(self, box: Box, unit: Unit | None, value: Value, moment: Moment | None) -> str:
        if moment is None:
            return ""
        if moment.forward is not None and unit is not None and moment.forward in unit.ops:
            return "forward"
        if moment.edge is not None:  # to a leaf inside a fold: the fold that sends
            sender = self.owner[moment.edge.step.value]
            if self.owner.get(moment.edge.input, sender) is box:
                return "now"
        if moment.backward is not None:
            done = moment.backward.value
            if done is value or (unit is not None and done in unit.inside):
                return "now"
        return "dim" if unit is not None and self._when[unit.ops[0]] > moment.index else ""

    def _unit_lines(self, unit: Unit, moment: Moment | None) -> Lines:
        """The lines of an op's box, or of a fold's."""
        value = unit.output
        if not unit.folded:
            return self._value_lines(value, moment, unit.ops[0].op)
        name = self.trace.classes.get(unit.module, "")
        path = unit.module + f"@{unit.call}" * bool(unit.call)
        title = (f"{path}: {name}" if name else path) or _stretch(unit)
        lines = self._value_lines(value, moment)
        return [(title, "title"), (f"{len(unit.ops)} ops", "note"), *lines[1:]]

    def _value_lines(self, value: Value, moment: Moment | None, op: str = "") -> Lines:
        """Title, value, gradient; a line for what is not known yet is empty, and keeps its room."""
        made = value.made_by
        known = made is None or moment is None or self._when[made] <= moment.index
        title, text = _title(value, op), number(value.data)
        lines = [(title, "title")]
        if text != title:  # a bare number is its own name
            lines.append((text if known else "", "value"))
        if value.grad is not None:
            lines.append((self._gradient(value, moment), "gradient"))
        return lines

    def _gradient(self, value: Value, moment: Moment | None) -> str:
        """The gradient that has arrived by then: nothing, a sum in the making, or all of it."""
        last = None if moment is None else self._arrived(value, moment)
        if moment is None or last is True:
            return _gradient_text(value.grad)
        if last is None:
            return ""
        if last is moment.edge and last.order:
            return _arriving(last, last.total)
        complete = last.order + 1 == len(value.contributions)
        return _gradient_text(last.total) + ("" if complete else SO_FAR)

    def _arrived(self, value: Value, moment: Moment) -> Edge | bool | None:
        """The last edge that has reached a value; True for the seed; None if nothing has."""
        if not value.contributions:
            first = self.trace.backward[0]
            return True if first.value is value and self._when[first] <= moment.index else None
        return next((e for e in reversed(value.contributions) if self._when[e] <= moment.index), None)


# ---------------------------------------------------------------- words


def _kind(unit: Unit, output: Value) -> str:
    if output in (f.output for f in unit.ops):
        return "output"
    return "module" if unit.folded else "op"


def _title(value: Value, op: str) -> str:
    """'h = tanh'; a name made from the op's says it all."""
    if not op or re.fullmatch(rf"(.*\.)?{re.escape(op)}([._@]\d+)*", value.name):
        return value.name
    return f"{value.name} = {op}"


def _stretch(unit: Unit) -> str:
    return f"{unit.ops[0].output.name} … {unit.output.name}"


def _is_map(array: np.ndarray | None) -> bool:
    """True for an array that is better seen than read."""
    return array is not None and array.size > 1 and not number(array).startswith("[")


def _gradient_text(g: np.ndarray) -> str:
    if _is_map(g):
        return f"|gradient| ≤ {np.abs(g).max():.3g}" if g.size else "gradient"
    return f"gradient {number(g)}"


def _arriving(edge: Edge, total: np.ndarray, before: np.ndarray | None = None) -> str:
    """The gradient's line at the moment an edge reaches it."""
    if edge.order and edge.sent.size == 1:
        return sum_text(edge, total, before=before)
    return _gradient_text(total) + f", sum of {edge.order + 1}" * bool(edge.order)


def _local(edge: Edge) -> str:
    """The local derivative on an edge: a number between single numbers, else the formula if that is short."""
    if edge.sent.size == 1 and edge.step.g.size == 1:
        local = edge.local()
        return "" if local is None else number(np.asarray(local).reshape(()))
    text = edge.local_formula
    return text if len(text) <= LONGEST_LABEL else ""
