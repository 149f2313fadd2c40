"""Samples of losses."""

from __future__ import annotations

import numpy as np

from .draw import Draw, Sample


def samples(d: Draw) -> dict[str, list[Sample]]:
    labels, weight = np.array([1, 0, 2]), None
    plain = {"reduction": "mean", "ignore_index": -100, "label_smoothing": 0.0}
    return {
        "cross_entropy": [
            ((d.n(3, 4), labels, weight), plain),
            ((d.n(3, 4), labels, weight), {**plain, "reduction": "none", "label_smoothing": 0.1}),
            (
                (d.n(3, 4, 2), np.array([[1, 0], [3, 2], [0, 0]]), weight),
                {**plain, "ignore_index": 0, "reduction": "sum"},
            ),
        ]
    }
