"""Samples of linear algebra."""

from __future__ import annotations

import numpy as np

from .draw import Draw, Sample


def samples(d: Draw) -> dict[str, list[Sample]]:
    square = d.n(3, 3) + 2.5 * np.eye(3)
    return {
        "matmul": [((d.n(3, 4), d.n(4, 2)), {}), ((d.n(2, 3, 4), d.n(4, 2)), {}), ((d.n(2, 1, 3, 4), d.n(3, 4, 2)), {})],
        "einsum": [
            ((d.n(2, 3), d.n(3, 4)), {"subscripts": "ij,jk->ik"}), ((d.n(2, 3),), {"subscripts": "ij->j"}),
            ((d.n(2, 3), d.n(3, 4), d.n(2)), {"subscripts": "ij,jk,i->k"}),
        ],
        "inv": [((square,), {})],
        "det": [((square,), {}), ((np.stack([square, square.T]),), {})],
        "logabsdet": [((square,), {})],
        "solve": [((square, d.n(3, 2)), {})],
        "cholesky": [((d.matrix(3),), {})],
        "linear": [((d.n(2, 4), d.n(3, 4), d.n(3)), {}), ((d.n(2, 2, 4), d.n(3, 4), None), {})],
    }  # fmt: skip
