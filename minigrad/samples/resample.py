"""Samples of resampling along an axis."""

from __future__ import annotations

import numpy as np

from ..ops.resample import Band, bins
from .draw import Draw, Sample


def samples(d: Draw) -> dict[str, list[Sample]]:
    rows, columns = np.array([0, 0, 1, 3, 3]), np.array([1, 2, 3, 0, 2])  # an empty row, a gap in a row
    return {
        "resample": [
            ((d.n(2, 4, 3),), {"band": Band(rows, columns, d.n(5), (4, 4)), "axis": 1}),
            ((d.n(2, 5),), {"band": bins(5, 3), "axis": 1}),
        ],
    }
