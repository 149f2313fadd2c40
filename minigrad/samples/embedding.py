"""Samples of embedding ops."""

from __future__ import annotations

from .draw import Draw, Sample


def samples(d: Draw) -> dict[str, list[Sample]]:
    # Another factor than 1 is no derivative of the forward, by intent; tests/test_embedding.py looks at it.
    return {"weigh_gradient": [((d.n(3, 2),), {"factor": 1.0})]}
