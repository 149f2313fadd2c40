"""Samples of pooling by places."""

from __future__ import annotations

import numpy as np

from .draw import Draw, Sample


def samples(d: Draw) -> dict[str, list[Sample]]:
    rows = np.array([[0, 1], [1, 2], [3, 3]])
    each = np.array(
        [[[[0, 1], [2, 3]]], [[[1, 2], [1, 2]]]]
    )  # (N, C, out, k): windows of its own for every plane
    return {
        "window_argmax": [
            ((d.apart(2, 1, 4, 5),), {"tables": (rows, np.array([[0, 1, 2], [2, 3, 4]]))}),
            ((d.apart(2, 1, 4),), {"tables": (each,)}),
        ],
    }
