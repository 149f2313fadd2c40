"""Samples of convolution and pooling."""

from __future__ import annotations

import numpy as np

from .draw import Draw, Sample


def samples(d: Draw) -> dict[str, list[Sample]]:
    one = {"stride": (2, 1), "padding": ((1, 1), (0, 1)), "dilation": (1, 2), "groups": 1}
    two = {"stride": (1,), "padding": ((2, 2),), "dilation": (2,), "groups": 2}
    pool = {"kernel": (2, 3), "stride": (2, 2), "padding": ((1, 1), (1, 1)), "ceil_mode": True}
    max_pool = {**pool, "dilation": (1, 1)}
    x, w, image = d.n(2, 2, 3, 4), d.n(2, 2, 2, 2), d.apart(2, 1, 4, 5)
    chosen = np.array([[[[3, 0, 1], [2, 5, 0], [0, 2, 1]]]] * 2, np.uint8)
    return {
        "conv": [((x, w, d.n(2)), one), ((d.n(2, 4, 5), d.n(4, 2, 3), None), two)],
        "conv_grad_x": [((d.n(2, 2, 2, 3), w), {"x_shape": x.shape, **one}), ((d.n(2, 4, 5), d.n(4, 2, 3)), {"x_shape": (2, 4, 5), **two})],
        "conv_grad_w": [((d.n(2, 2, 2, 3), x), {"w_shape": w.shape, **one}), ((d.n(2, 4, 5), d.n(2, 4, 5)), {"w_shape": (4, 2, 3), **two})],
        "max_pool": [((image,), max_pool), ((image,), {**max_pool, "padding": ((0, 0), (0, 0)), "ceil_mode": False})],
        "window_put": [((d.n(2, 1, 3, 3),), {"chosen": chosen, "x_shape": image.shape, **max_pool})],
        "window_take": [((d.n(2, 1, 4, 5),), {"chosen": chosen, **max_pool})],
        "window_sum": [((image,), pool)],
        "window_spread": [((d.n(2, 1, 3, 3),), {"x_shape": image.shape, **pool})],
    }  # fmt: skip
