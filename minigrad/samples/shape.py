"""Samples of shapes, indices, padding, dropout."""

from __future__ import annotations

import numpy as np

from .draw import Draw, Sample


def samples(d: Draw) -> dict[str, list[Sample]]:
    x = d.n(2, 3, 4)
    rows = np.array([0, 2, 2, 0, 1])
    mask = np.array([True, False, True])
    grid = (np.array([[0, 1], [1, 1]]), np.array([2, 0]))
    return {
        "sum_to": [((x,), {"shape": (3, 1)}), ((x,), {"shape": ()})],
        "broadcast_to": [((d.n(3, 1),), {"shape": (2, 3, 4)}), ((d.n(),), {"shape": (2,)})],
        "cast": [((x,), {"dtype": "float64"})],
        "identity": [((x,), {})],
        "copy": [((x,), {})],
        "transfer": [((x,), {"target": "cpu", "source": "cpu"})],
        "reshape": [((x,), {"shape": (4, -1)}), ((d.n(1),), {"shape": ()})],
        "transpose": [((x,), {"axes": (2, 0, 1)}), ((x,), {"axes": None})],
        "concatenate": [((d.n(2, 3), d.n(2, 1), d.n(2, 2)), {"axis": 1}), ((d.n(2), d.n(0)), {"axis": 0})],
        "flip": [((x,), {"axis": (0, 2)}), ((x,), {"axis": None})],
        "roll": [((x,), {"shift": 2, "axis": 1}), ((x,), {"shift": (1, -1), "axis": (0, 2)}), ((x,), {"shift": 5, "axis": None})],
        "tril": [((x,), {"k": 0}), ((d.n(3, 3),), {"k": -1})],
        "triu": [((x,), {"k": 1})],
        "diagonal": [((x,), {"offset": 1, "axis1": 2, "axis2": 0}), ((d.n(3, 4),), {"offset": -1, "axis1": 0, "axis2": 1})],
        "diagonal_adjoint": [((d.n(2, 3),), {"shape": (2, 3, 3), "offset": 0, "axis1": 1, "axis2": 2})],
        "take_index": [
            ((d.n(3, 4),), {"index": rows}), ((d.n(3, 4),), {"index": mask}), ((x,), {"index": (slice(None), *grid)}),
            ((x,), {"index": (1, None, slice(None, None, -2))}), ((x,), {"index": (Ellipsis, 0)}),
        ],
        "put_add": [((d.n(5, 4),), {"shape": (3, 4), "index": rows}), ((d.n(2, 2, 2),), {"shape": (2, 3, 4), "index": (slice(None), *grid)})],
        "put": [((d.n(3, 4), d.n(2, 4)), {"index": mask}), ((x, d.n(4)), {"index": (0, slice(1, None))})],
        "pad_constant": [((d.n(2, 3),), {"width": ((1, 0), (2, 1)), "value": 1.5})],
        "dropout": [((x,), {"p": 0.0, "generator": None}), ((x,), {"p": 1.0, "generator": None}), ((x,), {"p": 0.4, "generator": "fixed"})],
    }  # fmt: skip
