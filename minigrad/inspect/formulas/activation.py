"""Activations, element by element."""

from __future__ import annotations

from .row import elementwise

__all__ = ["FORMULAS"]

ONE_SIDE = "where the input is positive the gradient passes; elsewhere it is multiplied by "

FORMULAS = {
    "relu": elementwise(
        "max(0, {x})", "where the input is positive the gradient passes, elsewhere it is 0", x="[{x} > 0]"
    ),
    "sigmoid": elementwise(
        "σ({x})", "the gradient is multiplied by the result times 1 less the result", x="{y} · (1 − {y})"
    ),
    "logsigmoid": elementwise(
        "log σ({x})", "the gradient is multiplied by σ of minus the input", x="σ(−{x})"
    ),
    "softplus": elementwise(
        "log(1 + exp({beta} · {x})) / {beta}",
        "the gradient is multiplied by σ of the input",
        x="σ({beta} · {x})",
    ),
    "leaky_relu": elementwise(
        "max(0, {x}) + {negative_slope} · min(0, {x})",
        ONE_SIDE + "the small slope",
        x="[{x} > 0] + {negative_slope} · [{x} ≤ 0]",
    ),
    "elu": elementwise(
        "{x} where {x} > 0, else {alpha} · (exp({x}) − 1)",
        ONE_SIDE + "alpha e^x",
        x="[{x} > 0] + {alpha} · exp({x}) · [{x} ≤ 0]",
    ),
    "celu": elementwise(
        "{x} where {x} > 0, else {alpha} · (exp({x} / {alpha}) − 1)",
        ONE_SIDE + "e^(x / alpha)",
        x="[{x} > 0] + exp({x} / {alpha}) · [{x} ≤ 0]",
    ),
    "gelu_erf": elementwise(
        "{x} · Φ({x})",
        "the product rule: Φ(x), the share that is let through, plus x times the bell curve",
        x="Φ({x}) + {x} · φ({x})",
    ),
    "silu": elementwise(
        "{x} · σ({x})",
        "the product rule: the gate plus x times the gate's slope",
        x="σ({x}) + {x} · σ({x}) · (1 − σ({x}))",
    ),
    "hardtanh": elementwise(
        "clip({x}, {min_val}, {max_val})",
        "inside the bounds the gradient passes, elsewhere it is 0",
        x="[{min_val} < {x}] · [{x} < {max_val}]",
    ),
    "hardsigmoid": elementwise(
        "clip({x} + 3, 0, 6) / 6",
        "between -3 and 3 the gradient is divided by 6, elsewhere it is 0",
        x="[−3 < {x}] · [{x} < 3] / 6",
    ),
    "hardswish": elementwise(
        "{x} · clip({x} + 3, 0, 6) / 6",
        "0 below -3, passed on above 3, and a line between the two",
        x="[−3 < {x}] · [{x} < 3] · ({x} / 3 + ½) + [{x} ≥ 3]",
    ),
    "softshrink": elementwise(
        "sign({x}) · max(0, |{x}| − {lambd})",
        "the gradient passes where something is left, elsewhere it is 0",
        x="[abs({x}) > {lambd}]",
    ),
    "hardshrink": elementwise(
        "{x} where |{x}| > {lambd}, else 0",
        "the gradient passes where the input is kept, elsewhere it is 0",
        x="[abs({x}) > {lambd}]",
    ),
    "threshold": elementwise(
        "{x} where {x} > {threshold}, else {value}",
        "above the threshold the gradient passes, elsewhere it is 0",
        x="[{x} > {threshold}]",
    ),
    "prelu": elementwise(
        "max(0, {x}) + {weight} · min(0, {x})",
        ONE_SIDE + "the slope, which itself receives the gradient times the input there",
        x="[{x} > 0] + {weight} · [{x} ≤ 0]",
        weight="{x} · [{x} ≤ 0]",
    ),
}
