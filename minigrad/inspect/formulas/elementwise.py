"""Arithmetic, powers, exponentials, magnitude and order, element by element."""

from __future__ import annotations

from .row import Formula, elementwise, matrix, times

__all__ = ["FORMULAS", "power"]

STEP = "the result moves in steps, so its slope is 0"

FORMULAS = {
    "add": elementwise("{a} + {b}", "each term receives the gradient as it is", a="1", b="1"),
    "sub": elementwise(
        "{a} − {b}", "the first term receives the gradient, the second its negative", a="1", b="−1"
    ),
    "mul": elementwise(
        "{a} · {b}", "each factor receives the gradient times the other factor", a="{b}", b="{a}"
    ),
    "div": elementwise(
        "{a} / {b}",
        "the numerator receives the gradient over the denominator, the denominator minus quotient times that",
        a="1 / {b}",
        b="−{a} / {b}²",
    ),
    "neg": elementwise("−{x}", "the gradient changes its sign", x="−1"),
    "positive": elementwise("{x}", "the gradient passes as it is", x="1"),
    "pow": elementwise(
        "{a}^{b}",
        "the base receives the gradient times the exponent times the base to one power less",
        a="{b} · {a}^({b} − 1)",
        b="{y} · log({a})",
    ),
    "floor_divide": elementwise("⌊{a} / {b}⌋", STEP, a="0", b="0"),
    "remainder": elementwise(
        "{a} mod {b}",
        "between two jumps it is a − n b: a receives the gradient, b minus n times the gradient",
        a="1",
        b="−floor({a} / {b})",
    ),
    "square": elementwise("{x}²", "the gradient is multiplied by twice the input", x="2 · {x}"),
    "sqrt": elementwise("√{x}", "the gradient is divided by twice the root", x="1 / (2 · {y})"),
    "rsqrt": elementwise(
        "1 / √{x}", "the gradient is multiplied by minus half the cube of the result", x="−½ · {y}³"
    ),
    "cbrt": elementwise(
        "∛{x}", "the gradient is divided by three times the result squared", x="1 / (3 · {y}²)"
    ),
    "reciprocal": elementwise(
        "1 / {x}", "the gradient is multiplied by minus the square of the result", x="−{y}²"
    ),
    "exp": elementwise("exp({x})", "the gradient is multiplied by the result itself", x="{y}"),
    "exp2": elementwise("2^{x}", "the gradient is multiplied by the result times log 2", x="{y} · log(2)"),
    "expm1": elementwise("exp({x}) − 1", "the gradient is multiplied by e^x, the result plus 1", x="{y} + 1"),
    "log": elementwise("log({x})", "the gradient is divided by the input", x="1 / {x}"),
    "log2": elementwise(
        "log₂({x})", "the gradient is divided by the input times log 2", x="1 / ({x} · log(2))"
    ),
    "log10": elementwise(
        "log₁₀({x})", "the gradient is divided by the input times log 10", x="1 / ({x} · log(10))"
    ),
    "log1p": elementwise("log(1 + {x})", "the gradient is divided by 1 plus the input", x="1 / (1 + {x})"),
    "logaddexp": elementwise(
        "log(exp({a}) + exp({b}))",
        "the gradient is shared: each input receives its share of the sum of exponentials",
        a="exp({a} − {y})",
        b="exp({b} − {y})",
    ),
    "abs": elementwise(
        "|{x}|", "the gradient keeps or changes its sign with the input's; 0 at 0", x="sign({x})"
    ),
    "sign": elementwise("sign({x})", STEP, x="0"),
    "floor": elementwise("⌊{x}⌋", STEP, x="0"),
    "ceil": elementwise("⌈{x}⌉", STEP, x="0"),
    "trunc": elementwise("trunc({x})", STEP, x="0"),
    "round": elementwise("round({x})", STEP, x="0"),
    "maximum": elementwise(
        "max({a}, {b})",
        "the larger one receives the gradient, the other nothing; a tie is shared in halves",
        a="[{a} > {b}] + ½ · [{a} = {b}]",
        b="[{b} > {a}] + ½ · [{a} = {b}]",
    ),
    "minimum": elementwise(
        "min({a}, {b})",
        "the smaller one receives the gradient, the other nothing; a tie is shared in halves",
        a="[{a} < {b}] + ½ · [{a} = {b}]",
        b="[{b} < {a}] + ½ · [{a} = {b}]",
    ),
    "where": matrix(
        "{a} where {condition}, else {b}",
        "the gradient goes to the one whose value was taken",
        a=("[{condition}]", "{g} where {condition}, else 0"),
        b=("1 − [{condition}]", "0 where {condition}, else {g}"),
    ),
    "clip": elementwise(
        "clip({x}, {min}, {max})",
        "inside the bounds the gradient passes, outside it is 0",
        x="[{min} ≤ {x}] · [{x} ≤ {max}]",
    ),
}

SUPERSCRIPT = str.maketrans("-0123456789.", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹·")


def power(n: float) -> Formula:
    """The row of pow with a number as exponent: 3 gives a³ and 3 · a²."""
    words = f"the base receives the gradient times {n:g} times the base to the power {n - 1:g}"
    special = {
        0.5: ("√{a}", "1 / (2 · √{a})"),
        -1.0: ("1 / {a}", "−1 / {a}²"),
        -0.5: ("1 / √{a}", "−½ · {a}^(−1.5)"),
    }
    if n in special:
        forward, local = special[n]
    else:
        forward, local = raised(n), f"{_number(n)} · {raised(n - 1)}" if n else "0"
        local = "1" if n == 1 else local
    return Formula(
        forward, {"a": local, "b": "{y} · log({a})"}, {"a": times(local), "b": "{g} · {y} · log({a})"}, words
    )


def raised(n: float) -> str:
    """{a} to the power n, as it is written by hand."""
    if n == 1:
        return "{a}"
    if float(n).is_integer() and abs(n) < 100:
        return "{a}" + f"{n:g}".translate(SUPERSCRIPT)
    return "{a}^" + (_number(n) if n >= 0 else f"({_number(n)})")


def _number(n: float) -> str:
    return f"{n:g}".replace("-", "−")
