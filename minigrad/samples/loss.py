"""Samples of losses."""

from __future__ import annotations

import numpy as np

from .draw import Draw, Sample


def samples(d: Draw) -> dict[str, list[Sample]]:
    labels, weight = np.array([1, 0, 2]), None
    plain = {"reduction": "mean", "ignore_index": -100, "label_smoothing": 0.0}
    pieces = {"ignore_index": 2, "rows": 2, "dtype": None}
    by_class = np.array([1, 2, 3, 2])
    two, one = np.array([2, 1]), np.array([[1, 2], [3, 0]])
    return {
        "cross_entropy": [
            ((d.n(3, 4), labels, weight), plain),
            ((d.n(3, 4), labels, weight), {**plain, "reduction": "none", "label_smoothing": 0.1}),
            (
                (d.n(3, 4, 2), np.array([[1, 0], [3, 2], [0, 0]]), weight),
                {**plain, "ignore_index": 0, "reduction": "sum"},
            ),
        ],
        "linear_cross_entropy": [
            ((d.n(3, 5), d.n(4, 5), labels, d.n(4), None), pieces),
            ((d.n(3, 5), d.n(4, 5), labels, None, by_class), {**pieces, "rows": 3}),
        ],
        "binary_cross_entropy": [((d.u(0.1, 0.9, 3, 4), d.u(0.1, 0.9, 3, 4)), {})],
        "ctc_loss": [
            ((d.n(4, 2, 4), one, np.array([4, 3]), two), {"blank": 0}),
            ((d.n(4, 2, 3), np.array([[1, 1], [0, 1]]), np.array([4, 4]), two), {"blank": 2}),  # a repeat
        ],
    }
