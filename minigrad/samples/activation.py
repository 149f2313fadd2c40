"""Samples of activation functions."""

from __future__ import annotations

from .draw import Draw, Sample


def samples(d: Draw) -> dict[str, list[Sample]]:
    smooth = [((3.0 * d.n(3, 4),), {}), ((d.n(),), {})]
    kinked = d.apart(3, 4)
    table: dict[str, list[Sample]] = dict.fromkeys(("sigmoid", "logsigmoid", "silu", "gelu_erf"), smooth)
    table["softplus"] = [((3.0 * d.n(3, 4),), {"beta": 1.5, "threshold": 20.0})]
    table["relu"] = table["hardsigmoid"] = table["hardswish"] = [((kinked,), {})]
    table["leaky_relu"] = [((kinked,), {"negative_slope": 0.2})]
    table["elu"] = table["celu"] = [((kinked,), {"alpha": 1.3})]
    table["hardtanh"] = [((kinked,), {"min_val": -0.7, "max_val": 0.8})]
    table["softshrink"] = table["hardshrink"] = [((kinked,), {"lambd": 0.4})]
    table["threshold"] = [((kinked,), {"threshold": 0.1, "value": 3.0})]
    table["prelu"] = [((kinked, d.u(0.1, 0.5, 1)), {}), ((kinked, d.u(0.1, 0.5, 4)), {})]
    return table
