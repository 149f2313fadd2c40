"""Samples of attention."""

from __future__ import annotations

import numpy as np

from .draw import Draw, Sample


def samples(d: Draw) -> dict[str, list[Sample]]:
    plain = {"scale": None, "causal": False, "dropout_p": 0.0, "seed": None, "block_size": None}
    # Causal, row 0 has one key at most: a gradient of exactly 0, known only up to rounding, unless it has none.
    later = np.array([[False] * 4, [True] * 4, [True, False, True, True]])
    mask = np.array([[True, False, True, True], [False] * 4, [True, True, False, False]])
    qkv = lambda: (d.n(2, 3, 2), d.n(2, 4, 2), d.n(2, 4, 3))
    return {
        "attention": [
            ((*qkv(), None, None), plain),
            ((*qkv(), d.n(3, 4), None), {**plain, "scale": 0.7}),
            ((*qkv(), None, mask), {**plain, "block_size": 3}),
            (
                (d.n(2, 1, 3, 2), d.n(3, 4, 2), d.n(1, 4, 2), d.n(1, 4), mask[:, :1]),
                {**plain, "block_size": 2},
            ),
            ((*qkv(), d.n(4), later), {**plain, "causal": True, "block_size": 1}),
            ((*qkv(), None, None), {**plain, "dropout_p": 0.4, "seed": (3, 4)}),
            ((*qkv(), d.n(2, 1, 4), None), {**plain, "dropout_p": 0.4, "seed": (3, 4), "block_size": 3}),
        ],
        "packed_attention": [
            ((d.n(3, 2, 3, 2), None, None), plain),
            ((d.n(3, 2, 3, 2), d.n(3, 3), later[:, :3]), {**plain, "scale": 0.7, "block_size": 2}),
            ((d.n(3, 4, 2), None, None), {**plain, "dropout_p": 0.4, "seed": (3, 4)}),
        ],
    }
