"""Circular and hyperbolic functions, their inverses, and the error function."""

from __future__ import annotations

from .row import elementwise

__all__ = ["FORMULAS"]

FORMULAS = {
    "sin": elementwise("sin({x})", "the gradient is multiplied by the cosine of the input", x="cos({x})"),
    "cos": elementwise(
        "cos({x})", "the gradient is multiplied by minus the sine of the input", x="−sin({x})"
    ),
    "tan": elementwise("tan({x})", "the gradient is multiplied by 1 plus the result squared", x="1 + {y}²"),
    "arcsin": elementwise(
        "arcsin({x})", "the gradient is divided by the cosine of the result", x="1 / √(1 − {x}²)"
    ),
    "arccos": elementwise(
        "arccos({x})", "the gradient is divided by minus the sine of the result", x="−1 / √(1 − {x}²)"
    ),
    "arctan": elementwise(
        "arctan({x})", "the gradient is divided by 1 plus the input squared", x="1 / (1 + {x}²)"
    ),
    "arctan2": elementwise(
        "arctan2({a}, {b})",
        "each coordinate receives the gradient times the other over the squared distance, b with a minus",
        a="{b} / ({a}² + {b}²)",
        b="−{a} / ({a}² + {b}²)",
    ),
    "hypot": elementwise(
        "√({a}² + {b}²)",
        "each side receives the gradient times its share of the length",
        a="{a} / {y}",
        b="{b} / {y}",
    ),
    "sinh": elementwise("sinh({x})", "the gradient is multiplied by cosh of the input", x="cosh({x})"),
    "cosh": elementwise("cosh({x})", "the gradient is multiplied by sinh of the input", x="sinh({x})"),
    "tanh": elementwise("tanh({x})", "the gradient is multiplied by 1 less the result squared", x="1 − {y}²"),
    "arcsinh": elementwise(
        "arcsinh({x})", "the gradient is divided by the root of the input squared plus 1", x="1 / √({x}² + 1)"
    ),
    "arccosh": elementwise(
        "arccosh({x})", "the gradient is divided by the root of the input squared less 1", x="1 / √({x}² − 1)"
    ),
    "arctanh": elementwise(
        "arctanh({x})", "the gradient is divided by 1 less the input squared", x="1 / (1 − {x}²)"
    ),
    "erf": elementwise(
        "erf({x})", "the gradient is multiplied by a bell curve at the input", x="2 / √π · exp(−{x}²)"
    ),
    "erfc": elementwise(
        "erfc({x})", "the gradient is multiplied by minus a bell curve at the input", x="−2 / √π · exp(−{x}²)"
    ),
}
