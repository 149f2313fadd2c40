"""Samples of borders, and of windows as columns and back."""

from __future__ import annotations

from .draw import Draw, Sample


def samples(d: Draw) -> dict[str, list[Sample]]:
    one = {"kernel": (2, 3), "stride": (2, 1), "padding": ((1, 0), (0, 2)), "dilation": (1, 2)}
    two = {"kernel": (3,), "stride": (1,), "padding": ((0, 0),), "dilation": (1,)}
    inner, outer = ((0, 0), (2, 3), (1, 0)), ((1, 0), (0, 2), (0, 0))
    return {
        "pad_border": [
            ((d.n(2, 4, 3),), {"width": inner, "mode": "reflect"}),
            ((d.n(2, 4, 3),), {"width": inner, "mode": "wrap"}),
            ((d.n(2, 1, 3),), {"width": outer, "mode": "edge"}),
        ],
        "pad_border_sum": [
            ((d.n(2, 9, 4),), {"width": inner, "mode": "reflect"}),
            ((d.n(2, 9, 4),), {"width": inner, "mode": "wrap"}),
            ((d.n(3, 3, 3),), {"width": outer, "mode": "edge"}),
        ],
        "im2col": [((d.n(2, 3, 4, 5),), one), ((d.n(2, 1, 5),), two)],
        "col2im": [
            ((d.n(2, 18, 6),), {"x_shape": (2, 3, 4, 5), **one}),
            ((d.n(2, 3, 3),), {"x_shape": (2, 1, 5), **two}),
        ],
    }
