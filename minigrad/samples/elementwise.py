"""Samples of elementwise arithmetic and functions."""

from __future__ import annotations

import numpy as np

from .draw import Draw, Sample


def samples(d: Draw) -> dict[str, list[Sample]]:
    pairs = [((d.n(3, 4), d.n(3, 4)), {}), ((d.n(2, 1, 3), d.n(4, 1)), {}), ((d.n(), d.n(2, 2)), {})]
    away = [((d.n(3, 4), d.u(0.5, 2.0, 3, 4)), {}), ((d.n(2, 3), d.u(0.5, 2.0, 3)), {})]
    positive = [((d.u(0.3, 3.0, 3, 4),), {}), ((d.u(0.3, 3.0),), {})]
    plain = [((d.n(3, 4),), {}), ((d.n(),), {}), ((d.n(0, 2),), {})]
    inside = [((d.u(-0.9, 0.9, 3, 4),), {})]
    stepped = [((d.apart(3, 4),), {})]
    table: dict[str, list[Sample]] = dict.fromkeys(
        ("add", "sub", "mul", "arctan2", "hypot", "logaddexp"), pairs
    )
    table |= {
        name: [((d.apart(12)[:6].reshape(2, 3), d.apart(12)[6:9] + 0.11), {})]
        for name in ("maximum", "minimum")
    }
    table |= dict.fromkeys(
        ("neg", "positive", "square", "exp", "exp2", "expm1", "sin", "cos", "arctan"), plain
    )
    table |= dict.fromkeys(("sinh", "cosh", "tanh", "arcsinh"), plain)
    table |= dict.fromkeys(("sqrt", "rsqrt", "reciprocal", "log", "log2", "log10", "log1p"), positive)
    table |= dict.fromkeys(("tan", "arcsin", "arccos", "arctanh"), inside)
    table |= dict.fromkeys(("abs", "sign", "floor", "ceil", "trunc", "cbrt"), stepped)
    table["erf"] = table["erfc"] = [((d.u(-4.5, 4.5, 5, 4),), {})]
    table["arccosh"] = [((d.u(1.2, 4.0, 3, 4),), {})]
    table["div"] = away
    table["floor_divide"] = table["remainder"] = [((d.u(2.1, 2.9, 3), np.array([0.7, 1.3, -0.95])), {})]
    table["pow"] = [
        ((d.u(0.4, 2.0, 3, 4), d.n(4)), {}),
        ((d.n(2, 3), 3.0), {}),
        ((d.n(2, 3), 0.0), {}),
        ((2.0, d.n(3)), {}),
    ]
    table["round"] = [((d.apart(3, 4),), {"decimals": 0}), ((d.apart(4) + 0.0123,), {"decimals": 1})]
    table["where"] = [((d.n(3, 4) > 0, d.n(3, 4), d.n(4)), {}), ((d.n(2, 1) > 0, d.n(2, 3), d.n(2, 1)), {})]
    table["clip"] = [
        ((d.apart(3, 4),), {"min": -1.0, "max": 1.0}),
        ((d.apart(4),), {"min": None, "max": 0.1}),
    ]
    return table
