"""What one edge does, in numbers: its local derivative, and whether finite differences agree with it.

The numbers come from the op's own VJP, run again on what the forward step saved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..engine.backprop import pull
from ..engine.recording import no_grad
from ..gradcheck import differences
from .record import Edge, Forward

__all__ = ["EdgeReport", "EdgeRow", "check_edges", "jacobian", "local_derivative", "vjp"]

MOST_NUMBERS = 4096  # of a Jacobian that is written out
MOST_ELEMENTS = 64  # of an input whose every element is checked; of a larger one, so many


def vjp(forward: Forward, g: np.ndarray) -> list[np.ndarray | None]:
    """What the op of a forward step would send to each input, given the gradient `g` of its output."""
    node, kept = forward.node, forward.node.saved
    node.saved = forward.saved_arrays
    try:
        return pull(node, g, None)
    finally:
        node.saved = kept


def local_derivative(edge: Edge) -> np.ndarray | None:
    """Edge.local(): elementwise an array of the output's shape; else a small Jacobian, or None."""
    forward = edge.step.forward
    if forward is None or forward.node.op.name == "checkpoint":
        return None
    shape, dtype = forward.output.shape, forward.output.dtype
    op, plan = forward.node.op, forward.node.plan
    if op.elementwise:
        call = dict(plan.calls)[edge.position]
        return np.broadcast_to(call(np.ones(shape, dtype), forward.saved_arrays, forward.meta), shape)
    if forward.output.data.size * edge.input.data.size > MOST_NUMBERS:
        return None
    return jacobian(edge)


def jacobian(edge: Edge) -> np.ndarray:
    """(output elements, input elements): one VJP a row, of a unit vector; of this use of the input alone."""
    forward = edge.step.forward
    shape, dtype = forward.output.shape, forward.output.dtype
    n, m = forward.output.data.size, edge.input.data.size
    rows = np.empty((n, m), dtype)
    for i in range(n):
        unit = np.zeros(n, dtype)
        unit[i] = 1.0
        rows[i] = np.ravel(vjp(forward, unit.reshape(shape))[edge.position])
    return rows


# ---------------------------------------------------------------- by finite differences


class EdgeRow(NamedTuple):
    """One edge: how well what it sends agrees with differences of the op, at `index` of the input."""

    edge: Edge
    error: float  # the largest, relative to the largest number sent
    index: tuple[int, ...]
    sent: float
    numeric: float
    note: str = ""  # why it was not compared, or what stands there: a kink


@dataclass(frozen=True)
class EdgeReport:
    """Every edge against finite differences; true if all agree to `tolerance`. Print it to see them."""

    rows: list[EdgeRow]
    tolerance: float

    @property
    def faults(self) -> list[EdgeRow]:
        """The edges that send something else than differences say."""
        return [row for row in self.rows if row.error > self.tolerance]

    @property
    def worst(self) -> float:
        """The largest error of all edges."""
        return max((row.error for row in self.rows), default=0.0)

    @property
    def ok(self) -> bool:
        """True if every edge agrees."""
        return not self.faults

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = []
        for row in self.rows:
            e = row.edge
            told = row.note or f"sends {row.sent:.9g} at {row.index}, differences say {row.numeric:.9g}"
            wrong = "  WRONG" if row.error > self.tolerance else ""
            lines.append(f"{e.step.value.name} → {e.input.name}: {told}, error {row.error:.1e}{wrong}")
        done = sum(not row.note for row in self.rows)
        lines.append(
            f"{done} edges compared, worst error {self.worst:.1e}: {'all right' if self else 'WRONG'}"
        )
        return "\n".join(lines)


def check_edges(trace: Any) -> EdgeReport:
    """What every edge sends, against (f(x + h) - f(x - h)) / 2h of its op in float64, extrapolated.

    Of an input with more than 64 elements, 64 of them spread evenly. Relative to the largest number sent;
    the tolerance is 1e-8 in float64, and that of the recorded numbers otherwise.
    """
    single = any(v.dtype != np.float64 and v.dtype.kind == "f" for v in trace.values if v.made_by)
    rows = [_check(edge) for step in trace.backward for edge in step.edges]
    return EdgeReport(rows, 2e-4 if single else 1e-8)


def _check(edge: Edge) -> EdgeRow:
    forward = edge.step.forward
    if forward.node.op.name == "checkpoint":
        return EdgeRow(edge, 0.0, (), 0.0, 0.0, "is a checkpoint: what lies behind was replayed")
    sent = np.asarray(edge.sent, np.float64)
    places = np.unique(np.linspace(0, max(sent.size - 1, 0), min(sent.size, MOST_ELEMENTS)).astype(int))
    if not places.size:
        return EdgeRow(edge, 0.0, (), 0.0, 0.0, "is empty")
    numeric, kinks = _numeric(forward, edge, places)
    scale = max(np.abs(sent).max(), np.abs(numeric).max(), 1e-30)
    errors = np.abs(sent.ravel()[places] - numeric) / scale
    errors[kinks] = 0.0
    k = int(errors.argmax())
    index = tuple(int(i) for i in np.unravel_index(places[k], sent.shape))
    note = "stands at a kink everywhere" if kinks.all() else ""
    return EdgeRow(edge, float(errors[k]), index, float(sent.ravel()[places[k]]), float(numeric[k]), note)


def _numeric(forward: Forward, edge: Edge, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differences of g · op(...) in some elements of one input, and which of them stand at a kink."""
    arrays = [None if v is None else _wide(v.data) for v in forward.inputs]
    base, g = arrays[edge.position], np.asarray(edge.step.g, np.float64)

    def weighted(elements: np.ndarray) -> float:
        moved = base.copy()
        moved.reshape(-1)[places] = elements
        again = run_again(forward, [moved if i == edge.position else a for i, a in enumerate(arrays)])
        return float((g * again).sum())

    here = base.reshape(-1)[places]
    with no_grad(), np.errstate(all="ignore"):
        slopes, _, kinks = differences(weighted, here, "richardson")
        if not np.isfinite(slopes).all():  # a wide step left the op's domain
            slopes, _, kinks = differences(weighted, here, "central")
    flags = np.zeros(len(places), bool)
    flags[[k[0][0] for k in kinks]] = True
    return slopes, flags


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def run_again(forward: Forward, arrays: list[Any]) -> np.ndarray:
    """The op on other arrays; what it drew at random the first time is drawn no second time."""
    if forward.op == "dropout":
        return arrays[0] * forward.saved_arrays[0][0]
    return np.asarray(forward.node.op.call(*arrays, **forward.meta))
