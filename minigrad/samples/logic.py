"""Samples of ops without a gradient."""

from __future__ import annotations

import numpy as np

from .draw import Draw, Sample


def samples(d: Draw) -> dict[str, list[Sample]]:
    pair: list[Sample] = [((d.n(3, 4), d.n(4)), {})]
    bits: list[Sample] = [
        ((np.array([5, 3, 0]), np.array([6, 1, 2])), {}),
        ((np.array([True, False]), np.array([True, True])), {}),
    ]
    over: list[Sample] = [
        ((d.n(3, 4),), {"axis": 1, "keepdims": True}),
        ((d.n(3, 4),), {"axis": None, "keepdims": False}),
    ]
    compare = (
        "equal",
        "not_equal",
        "less",
        "less_equal",
        "greater",
        "greater_equal",
        "logical_and",
        "logical_or",
        "logical_xor",
    )
    table: dict[str, list[Sample]] = dict.fromkeys(compare, pair)
    table |= dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), bits)
    table |= {name: [((d.n(3, 4),), {})] for name in ("isnan", "isinf", "isfinite", "logical_not")}
    table |= dict.fromkeys(("argmax", "argmin", "all", "any"), over)
    table["left_shift"] = table["right_shift"] = [((np.array([5, 0, -2]), np.array([1, 3, 2])), {})]
    table["invert"] = [((np.array([5, 0, -2]),), {})]
    table["count_nonzero"] = [((d.n(3, 4),), {"axis": 0})]
    table["isclose"] = [(pair[0][0], {"rtol": 1e-5, "atol": 1e-8, "equal_nan": False})]
    table["argsort"] = [((d.apart(3, 4),), {"axis": -1, "descending": True, "stable": True})]
    return table
