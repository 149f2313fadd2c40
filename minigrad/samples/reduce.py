"""Samples of reductions, scans, softmax."""

from __future__ import annotations

from typing import Any

from .draw import Draw, Sample


def samples(d: Draw) -> dict[str, list[Sample]]:
    x, holes = d.n(2, 3, 4), d.n(3, 4)
    holes[0, 1] = holes[2, 2] = holes[2, 0] = 0.0
    ways: list[dict[str, Any]] = [
        {"axis": None, "keepdims": False}, {"axis": 1, "keepdims": True}, {"axis": (0, -1), "keepdims": False},
    ]  # fmt: skip
    table: dict[str, list[Sample]] = {
        name: [((x,), w) for w in ways] for name in ("sum", "mean", "norm2", "logsumexp")
    }
    table["prod"] = [
        ((d.n(2, 3),), ways[0]),
        ((x,), ways[1]),
        ((x,), ways[2]),
        ((holes,), {"axis": 1, "keepdims": False}),
    ]
    table["max"] = table["min"] = [((d.apart(2, 3, 4),), w) for w in ways]
    table["cumsum"] = [((x,), {"axis": 1}), ((x,), {"axis": -1})]
    table["cumprod"] = [((x,), {"axis": 1}), ((holes,), {"axis": 1})]
    table["softmax"] = table["log_softmax"] = [((x,), {"axis": -1}), ((x,), {"axis": 0})]
    table["others"] = [((d.n(2, 3),), {})]
    table["off_diagonal"] = table["half_diagonal"] = [((d.n(2, 3, 3),), {})]
    return table
