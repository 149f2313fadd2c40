"""The table of formulas, and the lines that are printed from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...engine.op import REGISTRY
from . import activation, elementwise, fused, linalg, logic, reduce, shape, trig, windows
from .row import Formula
from .text import environment, fill, number, partial

__all__ = ["FORMULAS", "edge_text", "formula_of", "forward_text", "local_text", "numbers_text"]

TOPICS = (elementwise, trig, activation, reduce, linalg, shape, windows, fused, logic)
FORMULAS: dict[str, Formula] = {name: row for topic in TOPICS for name, row in topic.FORMULAS.items()}

Names = Sequence[str | None]


def formula_of(op: str) -> Formula:
    """The row of an op; of one that is not in the table (a reader's own), f(a, b) and ∂f/∂a.

    >>> formula_of("tanh").local["x"]
    '1 − {y}²'
    """
    found = FORMULAS.get(op)
    return found or generic(op)


def generic(op: str) -> Formula:
    """What can be said of any op: its name and its arguments."""
    args = _args(op, ())
    known = REGISTRY.get(op)
    constant = known.constant if known and known.constant else (False,) * len(args)
    moving = [a for a, fixed in zip(args, constant, strict=True) if not fixed]
    if known is not None and not known.differentiable:
        moving = []
    inside = ", ".join(f"{{{a}}}" for a in args)
    return Formula(
        f"{op}({inside})",
        {a: f"∂{op}/∂{{{a}}}" for a in moving},
        {a: f"{{g}} · ∂{op}/∂{{{a}}}" for a in moving},
        f"each input receives the gradient times the derivative of {op}",
    )


def forward_text(op: str, names: Names, output: str, meta: Mapping[str, Any]) -> str:
    """'y = a · b': the forward with names, `names` one per input (None for one that was not given).

    >>> forward_text("mul", ["a + c", "b"], "y", {})
    'y = (a + c) · b'
    """
    template, env = _prepared(op, names, output, meta, lambda row: row.forward)
    return f"{output} = {fill(template, env)}"


def numbers_text(op: str, values: Sequence[Any], result: Any, meta: Mapping[str, Any]) -> str | None:
    """'0.6 = 2 · 0.3': the same with numbers; None unless all of them are scalars.

    >>> numbers_text("mul", [2.0, -0.3], -0.6, {})
    '−0.6 = 2 · (−0.3)'
    """
    if any(v is not None and np.ndim(v) for v in (*values, result)):
        return None
    texts = [None if v is None else number(_scalar(v)) for v in values]
    out = number(_scalar(result))
    template, env = _prepared(op, texts, out, meta, lambda row: row.forward)
    return f"{out} = {fill(template, env)}"


def edge_text(op: str, arg: str, names: Names, output: str, meta: Mapping[str, Any]) -> str:
    """'∂L/∂a = ∂L/∂y · b': what backward sends to one input.

    >>> edge_text("tanh", "x", ["a"], "h", {})
    '∂L/∂a = ∂L/∂h · (1 − h²)'
    """
    template, env = _prepared(op, names, output, meta, lambda row: _rule(row.vjp, arg, op))
    name = names[_place(op, arg, len(names))] or arg
    return f"{partial(name)} = {fill(template, env)}"


def local_text(op: str, arg: str, names: Names, output: str, meta: Mapping[str, Any]) -> str:
    """'b': the local derivative of the output by one input.

    >>> local_text("mul", "a", ["u", "v"], "y", {})
    'v'
    """
    template, env = _prepared(op, names, output, meta, lambda row: _rule(row.local, arg, op))
    return fill(template, env)


def _prepared(op: str, texts: Names, output: str, meta: Mapping, choose: Any) -> tuple[str, dict[str, str]]:
    """The template that `choose` takes from the op's row, and what stands in its places."""
    args = _args(op, texts)
    texts = [None if t == "None" else t for t in texts]
    env = environment(args, texts, output, meta)
    env["arrays"] = ", ".join(t for t in texts if t)
    template = choose(_row(op, args, texts))
    for name in meta:
        if env[name] == "1":  # a factor 1 is not written
            template = template.replace(f"{{{name}}} · ", "").replace(f" / {{{name}}}", "")
    return template, env


def _row(op: str, args: Sequence[str], texts: Names) -> Formula:
    """The op's row; a power by a number reads as by hand, and an unknown op by what it was given."""
    if op == "pow" and len(texts) > 1 and (n := _as_number(texts[1])) is not None:
        return elementwise.power(n)
    if op in FORMULAS or op in REGISTRY:
        return formula_of(op)
    inside = ", ".join(f"{{{a}}}" for a in args)
    return Formula(f"{op}({inside})")


def _rule(rules: Mapping[str, str], arg: str, op: str) -> str:
    """The rule of an argument; `arrays[1]` goes by the rule of `arrays`."""
    plain = arg.partition("[")[0]
    found = rules.get(arg) or rules.get(plain)
    if found is not None:
        return found
    slope = f"∂{op}/∂{arg}"
    return f"{{g}} · {slope}" if rules and next(iter(rules.values())).startswith("{g}") else slope


def _args(op: str, texts: Names) -> tuple[str, ...]:
    """The op's argument names; numbered where it takes any number, or is not known."""
    known = REGISTRY.get(op)
    if known is None:
        return tuple(f"x{i}" for i in range(len(texts)))
    if known.variadic:
        return tuple(f"{known.variadic}[{i}]" for i in range(len(texts))) or (known.variadic,)
    return known.arrays


def _place(op: str, arg: str, count: int) -> int:
    """Which input an argument name means."""
    found = arg.partition("[")[2].rstrip("]")
    if found.isdigit():
        return min(int(found), count - 1)
    args = _args(op, [None] * count)
    return args.index(arg) if arg in args else 0


def _scalar(v: Any) -> Any:
    return v.item() if hasattr(v, "item") else v


def _as_number(text: str | None) -> float | None:
    try:
        return float(str(text).replace("−", "-"))
    except ValueError:
        return None
