"""What goes wrong at elementwise ops: signs, factors, the place of the derivative, powers, ties."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..record import Edge
from .rerun import data_of, send, unbroadcast
from .rule import (
    COUNT,
    FACTOR,
    INCOMING,
    PLACE,
    POWER,
    RECIPROCAL,
    SIGN,
    SWAPPED,
    TIE,
    Rule,
    local,
    minus_of,
    other_name,
    plain,
    spot,
)

__all__ = ["RULES", "is_count"]

PASSING = (
    "add", "reshape", "transpose", "copy", "identity", "cast", "transfer", "sum", "positive", "take_index",
    "broadcast_to", "concatenate", "flip", "sum_to", "pad_constant", "put", "put_add", "checkpoint",
)  # fmt: skip
CHOOSING = (
    "maximum",
    "minimum",
    "relu",
    "abs",
    "clip",
    "where",
    "max",
    "min",
    "max_pool",
    "leaky_relu",
    "hardtanh",
)


# ---------------------------------------------------------------- sign and factors


def _negated(edge: Edge, g: np.ndarray) -> Any:
    if edge.step.forward.op in ("reshape", "copy", "identity", "cast", "checkpoint"):
        return None
    return -send(edge, g)


def _alone(edge: Edge, g: np.ndarray) -> Any:
    """The incoming gradient passed on as it is."""
    f = edge.step.forward
    if f.op in PASSING or f.op in CHOOSING or f.op == "mean" or local(edge) in ("1", "−1"):
        return None
    found = np.broadcast_to(unbroadcast(g, edge.input.shape), edge.input.shape)
    return None if np.array_equal(found, -send(edge, g)) else found  # a factor -1 is a sign


def _alone_if(counted: bool) -> Any:
    def without(edge: Edge, g: np.ndarray) -> Any:
        return _alone(edge, g) if is_count(edge) == counted else None

    return without


def is_count(edge: Edge) -> bool:
    """True at a division by (or product with one over) a constant that is the length of something."""
    f = edge.step.forward
    if f.op != "mul" and (f.op != "div" or edge.position != 0):
        return False
    other = f.inputs[1 - edge.position]
    if other is None or other.data.size != 1 or other.kind != "constant":
        return False
    c = float(other.data.reshape(()))
    n = c if f.op == "div" else (1.0 / c if c else 0.0)
    if n < 2 or abs(n - round(n)) > 1e-9 * n or (f.op == "mul" and round(n) == 2):
        return False
    return round(n) in _lengths(edge)


def _lengths(edge: Edge) -> set[int]:
    """The lengths of axes and sizes of what an edge's input was made of, some steps up."""
    found: set[int] = set()
    layer = [edge.input]
    for _ in range(8):
        for v in layer:
            found |= {*v.shape, v.data.size}
        layer = [i for v in layer if v.made_by for i in v.made_by.inputs if i is not None][:32]
    return found


def _without_incoming(edge: Edge, g: np.ndarray) -> Any:
    if edge.step.forward.op in PASSING and edge.step.forward.op != "add":
        return None
    return send(edge, np.ones_like(g))


def _with_itself(edge: Edge, g: np.ndarray) -> Any:
    """mul: the factor that receives, in the place of the other one."""
    return unbroadcast(g * edge.input.data, edge.input.shape)


def _factor(edge: Edge) -> str:
    f = edge.step.forward
    if f.op in ("matmul", "linear", "conv", "einsum", "solve"):
        return other_name(edge)
    return local(edge)


# ---------------------------------------------------------------- the place of the derivative


def _unary(edge: Edge) -> bool:
    op = edge.step.forward.node.op
    return op.elementwise and op.arrays == ("x",) and op.name not in (*CHOOSING, *PASSING, "neg")


def _swapping(choose: Any) -> Any:
    def wrong(edge: Edge, g: np.ndarray) -> Any:
        return send(edge, g, choose(edge)) if _unary(edge) else None

    return wrong


def _input_for_output(edge: Edge) -> dict:
    return {0: data_of(edge.step.forward, 0)}


def _output_for_input(edge: Edge) -> dict:
    return {1: edge.step.forward.output.data}


def _applied_twice(edge: Edge) -> dict:
    f = edge.step.forward
    return {0: np.asarray(f.node.op.call(f.output.data, **f.meta))}


# ---------------------------------------------------------------- powers and reciprocals


def _exponent(edge: Edge) -> float | None:
    f = edge.step.forward
    if f.op == "square":
        return 2.0
    if f.op == "pow" and edge.position == 0 and f.inputs[1] is not None and f.inputs[1].data.size == 1:
        return float(f.inputs[1].data.reshape(()))
    return None


def _power(lower: float, front: Any) -> Any:
    """g · front(n) · x^(n − lower)."""

    def wrong(edge: Edge, g: np.ndarray) -> Any:
        n = _exponent(edge)
        if n is None or n in (0.0, 1.0):
            return None
        return unbroadcast(g * front(n) * data_of(edge.step.forward, 0) ** (n - lower), edge.input.shape)

    return wrong


def _inverted(edge: Edge, g: np.ndarray) -> Any:
    """g over the local factor where it should be times it, or the other way about."""
    f = edge.step.forward
    if f.op == "div" and edge.position == 1:
        return None
    factor = send(edge, np.ones(f.output.shape, g.dtype), fit=False)
    return unbroadcast(g / factor, edge.input.shape)


def _root_upside_down(edge: Edge, g: np.ndarray) -> Any:
    return 0.5 * g * edge.step.forward.output.data


def _of_quotient(slope: Any) -> Any:
    def wrong(edge: Edge, g: np.ndarray) -> Any:
        f = edge.step.forward
        if edge.position != 1:
            return None
        return unbroadcast(g * slope(data_of(f, 0), data_of(f, 1)), edge.input.shape)

    return wrong


# ---------------------------------------------------------------- ties and kinks


def _sides(edge: Edge) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where this input wins, where it ties, and where it loses, in the output's shape."""
    f = edge.step.forward
    x = edge.input.data
    if f.op in ("maximum", "minimum"):
        other = data_of(f, 1 - edge.position)
        d = (x - other) * (1 if f.op == "maximum" else -1)
        return d > 0, d == 0, d < 0
    if f.op in ("relu", "leaky_relu"):
        return x > 0, x == 0, x < 0
    low, high = (f.meta.get(k) for k in (("min", "max") if f.op == "clip" else ("min_val", "max_val")))
    low, high = -np.inf if low is None else low, np.inf if high is None else high
    return (low < x) & (x < high), (x == low) | (x == high), (x < low) | (x > high)


def _at(wins: float, ties: float, loses: float) -> Any:
    """Factors where it wins, ties and loses; None where that cannot be told from the truth."""

    def wrong(edge: Edge, g: np.ndarray) -> Any:
        win, tie, lose = _sides(edge)
        return unbroadcast(g * (wins * win + ties * tie + loses * lose), edge.input.shape)

    return wrong


def _at_tie(share: float) -> Any:
    def wrong(edge: Edge, g: np.ndarray) -> Any:
        _, tie, _ = _sides(edge)
        if not tie.any():
            return None
        return unbroadcast(np.where(tie, share * g, send(edge, g, fit=False)), edge.input.shape)

    return wrong


def _abs_at_zero(share: float) -> Any:
    def wrong(edge: Edge, g: np.ndarray) -> Any:
        x = edge.input.data
        return np.where(x == 0, share * g, g * np.sign(x)) if (x == 0).any() else None

    return wrong


def _other_branch(edge: Edge, g: np.ndarray) -> Any:
    if edge.position == 0:
        return None
    took = data_of(edge.step.forward, 0).astype(bool)
    return unbroadcast(
        np.where(took, 0.0, g) if edge.position == 1 else np.where(took, g, 0.0), edge.input.shape
    )


def _missing(edge: Edge) -> str:
    return f"the factor {_factor(edge)} of {spot(edge)} is missing"


def _sign_told(edge: Edge) -> str:
    if minus_of(edge) and edge.step.forward.op not in ("sub", "neg"):
        return f"the sign is wrong at {spot(edge)}: the local derivative is {local(edge)}"
    if minus_of(edge):
        return f"the sign is wrong: the minus of {spot(edge)} is lost on the way to {edge.input.name}"
    return f"the sign is wrong at {spot(edge)}, on the way to {edge.input.name}"


def _place_told(text: str) -> Any:
    return lambda e: (
        f"the derivative of {spot(e)} is taken at {text.format(x=plain(e.input).name, y=e.step.value.name)}; "
        f"it is {local(e)}"
    )


def _power_told(text: str) -> Any:
    return lambda e: f"{text.format(n=f'{_exponent(e):g}')} at {spot(e)}: the local derivative is {local(e)}"


def _upside_down(e: Edge) -> str:
    return f"a reciprocal is missing or upside down at {spot(e)}: the local derivative is {local(e)}"


def _tie_told(text: str) -> Any:
    return lambda e: f"{text.format(x=plain(e.input).name)} at {spot(e)}: the local derivative is {local(e)}"


TWO_SIDED = ("maximum", "minimum", "relu", "leaky_relu", "clip", "hardtanh")
RECIPROCALS = ("log", "log2", "log10", "log1p", "div", "sqrt", "cbrt", "arcsin", "arctan")
LET_THROUGH = "the gradient passes everywhere"

RULES = [
    Rule(SIGN, 1.0, lambda e, g: _negated(e, g) if minus_of(e) else None, _sign_told),
    Rule(SIGN, 2.0, lambda e, g: None if minus_of(e) else _negated(e, g), _sign_told),
    Rule(FACTOR, 1.0, _alone_if(False), _missing),
    Rule(
        COUNT,
        0.9,
        _alone_if(True),
        lambda e: f"the 1/n of {spot(e)} is missing",
        ("div", "mul"),
    ),
    Rule(
        INCOMING,
        1.4,
        _without_incoming,
        lambda e: (
            f"the local factor {_factor(e)} of {spot(e)} stands alone: it must be multiplied by the gradient "
            f"that comes in, ∂L/∂{e.step.value.name}"
        ),
    ),
    Rule(
        SWAPPED,
        1.2,
        _with_itself,
        lambda e: (
            f"{plain(e.input).name} received the gradient times itself at {spot(e)}; a factor receives it "
            f"times the other one, {other_name(e)}"
        ),
        ("mul",),
    ),
    Rule(
        PLACE, 1.1, _swapping(_input_for_output), _place_told("the input {x} in the place of the output {y}")
    ),
    Rule(
        PLACE, 1.1, _swapping(_output_for_input), _place_told("the output {y} in the place of the input {x}")
    ),
    Rule(
        PLACE, 1.2, _swapping(_applied_twice), _place_told("the output {y}, so the function is applied twice")
    ),
    Rule(POWER, 1.0, _power(0, lambda n: n), _power_told("the power is not lowered by 1"), ("pow", "square")),
    Rule(
        POWER,
        0.85,
        _power(1, lambda n: 1.0),
        _power_told("the factor {n} in front of the power is missing"),
        ("pow", "square"),
    ),
    Rule(
        POWER,
        1.6,
        _power(0, lambda n: 1.0),
        _power_told("the power stands there without its derivative"),
        ("pow", "square"),
    ),
    Rule(
        POWER, 1.7, _power(1, lambda n: n - 1), _power_told("the exponent in front is lowered too"), ("pow",)
    ),
    Rule(
        RECIPROCAL,
        1.1,
        _inverted,
        _upside_down,
        RECIPROCALS,
    ),
    Rule(RECIPROCAL, 1.1, _root_upside_down, _upside_down, ("sqrt",)),
    Rule(RECIPROCAL, 1.1, _of_quotient(lambda a, b: -a / b), _upside_down, ("div",)),
    Rule(RECIPROCAL, 2.7, _of_quotient(lambda a, b: 1 / b), _missing, ("div",)),
    Rule(RECIPROCAL, 1.2, _of_quotient(lambda a, b: -1 / b**2), _missing, ("div",)),
    Rule(RECIPROCAL, 1.2, _of_quotient(lambda a, b: -a), _missing, ("div",)),
    Rule(TIE, 1.1, _at(1, 1, 1), _tie_told(LET_THROUGH), TWO_SIDED, together=True),
    Rule(
        TIE,
        1.2,
        _at(0, 0.5, 1),
        _tie_told("the gradient goes to the one that lost"),
        TWO_SIDED,
        together=True,
    ),
    Rule(TIE, 1.5, _at(0, 0, 0), _tie_told("no gradient passes"), TWO_SIDED, together=True),
    Rule(
        TIE,
        0.8,
        _at_tie(1.0),
        _tie_told("{x} receives all of the gradient at a tie"),
        TWO_SIDED,
        together=True,
    ),
    Rule(TIE, 0.8, _at_tie(0.0), _tie_told("{x} receives nothing at a tie"), TWO_SIDED, together=True),
    Rule(
        TIE,
        0.9,
        _at_tie(0.5),
        _tie_told("{x} receives half of the gradient at a kink"),
        TWO_SIDED,
        together=True,
    ),
    Rule(TIE, 0.9, _abs_at_zero(1.0), _tie_told("{x} receives the gradient at 0"), ("abs",)),
    Rule(TIE, 0.9, _abs_at_zero(-1.0), _tie_told("{x} receives minus the gradient at 0"), ("abs",)),
    Rule(FACTOR, 1.0, lambda e, g: g, _missing, ("abs",)),
    Rule(
        TIE, 1.2, _other_branch, _tie_told("the gradient goes to the branch that was not taken"), ("where",)
    ),
    Rule(TIE, 1.2, lambda e, g: unbroadcast(g, e.input.shape), _tie_told(LET_THROUGH), ("where",)),
]
