"""Samples of normalisation."""

from __future__ import annotations

from .draw import Draw, Sample


def samples(d: Draw) -> dict[str, list[Sample]]:
    batch = {"axes": (0, 2, 3), "eps": 1e-5, "moments": None}
    last = {"axes": (2,), "eps": 1e-3, "moments": None}
    return {
        "normalise": [
            ((d.n(3, 2, 2, 2), d.n(1, 2, 1, 1), d.n(1, 2, 1, 1)), batch),  # even weights: batch norm
            ((d.n(2, 3, 4), d.n(4), d.n(4)), last),  # a weight per element: layer norm
            ((d.n(2, 3, 4), d.n(1, 3, 1), None), last),  # instance norm
            ((d.n(2, 3, 4), None, d.n(4)), last),
            ((d.n(4, 3), None, None), {"axes": (0,), "eps": 1e-3, "moments": None}),
        ],
        "rms_norm": [
            ((d.n(3, 4), d.n(4)), {"axes": (1,), "eps": 1e-3}),
            ((d.n(2, 3, 4), None), {"axes": (1, 2), "eps": 1e-3}),
        ],
    }
