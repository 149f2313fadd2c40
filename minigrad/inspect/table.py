"""print(trace): every step of the forward and of the backward pass as a line of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from .record import Backward, Forward

__all__ = ["brief", "table"]

WIDEST = 52  # characters of a cell
MOST_LINES = 400


def table(trace: Any) -> str:
    """The forward steps, then the backward steps, one edge a line."""
    parts = [_inputs(trace), _forward(trace), _backward(trace)]
    lines = "\n\n".join(part for part in parts if part).split("\n")
    if len(lines) > MOST_LINES:
        hidden = len(lines) - MOST_LINES
        half = MOST_LINES // 2
        lines = [
            *lines[:half],
            f"... {hidden} lines more; trace.forward and trace.backward have them",
            *lines[-half:],
        ]
    return "\n".join(lines)


def brief(array: Any, digits: int = 6) -> str:
    """A number, a short vector, or shape and size of an array: what fits in a cell."""
    array = np.asarray(array)
    if array.size == 1:
        return f"{array.item():.{digits}g}" if array.dtype.kind == "f" else str(array.item())
    if array.ndim == 1 and array.size <= 4 and array.dtype.kind in "fiu":
        return "[" + ", ".join(f"{x:.4g}" for x in array) + "]"
    shape = "×".join(map(str, array.shape))
    return f"{shape}  norm {np.linalg.norm(array.astype(np.float64).ravel()):.4g}"


def _inputs(trace: Any) -> str:
    rows = [("input", "value", "kind", "gradient")]
    for value in trace.values:
        if value.made_by is None and (value.kind != "constant" or value.data.size > 1):
            grad = "-" if value.grad is None else brief(value.grad)
            rows.append((value.name, brief(value.data), value.kind, grad))
    return _lines(rows)


def _forward(trace: Any) -> str:
    rows = [("forward", "step", "value", "numbers", "line of source")]
    for f in trace.forward:
        line = f"{f.line}: {f.code}" if f.code else ""
        mark = " (replay)" if f.replay else ""
        rows.append((f"{f.id + 1}{mark}", f.formula, brief(f.output.data), f.numbers or "", line))
    return _lines(rows)


def _backward(trace: Any) -> str:
    rows = [("backward", "arrives", "rule", "local", "sends", "gathered there")]
    for step in trace.backward:
        here = f"∂L/∂{step.value.name} = {brief(step.g)}"
        if not step.edges:
            if step.forward is None:
                rows.append((str(step.id + 1), here, "is complete: a leaf", "", "", ""))
            continue
        for k, edge in enumerate(step.edges):
            lead = (str(step.id + 1), here) if k == 0 else ("", "")
            rows.append((*lead, edge.formula, _local(edge), brief(edge.sent), _gathered(edge)))
    return _lines(rows)


def _local(edge: Any) -> str:
    """The local derivative: its number where it is one, else its formula."""
    if edge.step.value.data.size == 1 and edge.input.data.size == 1:
        local = edge.local()
        if local is not None:
            return f"{edge.local_formula} = {brief(local)}"
    return edge.local_formula


def _gathered(edge: Any) -> str:
    """'= 0.3' for the first to arrive, '+= ... = 0.42' for the next."""
    if len(edge.input.contributions) == 1:
        return ""
    return f"= {brief(edge.total)}" if edge.order == 0 else f"+= gives {brief(edge.total)}"


def _lines(rows: list[tuple[str, ...]]) -> str:
    if len(rows) == 1:
        return ""
    rows = [tuple(cell if len(cell) <= WIDEST else cell[: WIDEST - 1] + "…" for cell in row) for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def caption(step: Forward | Backward) -> str:
    """One step in a sentence."""
    if isinstance(step, Forward):
        return f"forward: {step.formula} = {brief(step.output.data)}"
    return f"backward: ∂L/∂{step.value.name} = {brief(step.g)} is complete"
