"""Comparisons, logic and counting: no gradient passes."""

from __future__ import annotations

from .row import stepwise

__all__ = ["FORMULAS"]

PLACES = "it answers with a place, and places jump: no gradient passes"

FORMULAS = {
    "equal": stepwise("{a} = {b}"),
    "not_equal": stepwise("{a} ≠ {b}"),
    "less": stepwise("{a} < {b}"),
    "less_equal": stepwise("{a} ≤ {b}"),
    "greater": stepwise("{a} > {b}"),
    "greater_equal": stepwise("{a} ≥ {b}"),
    "logical_and": stepwise("{a} and {b}"),
    "logical_or": stepwise("{a} or {b}"),
    "logical_xor": stepwise("either {a} or {b}"),
    "logical_not": stepwise("not {x}"),
    "bitwise_and": stepwise("{a} & {b}"),
    "bitwise_or": stepwise("{a} | {b}"),
    "bitwise_xor": stepwise("{a} xor {b}"),
    "left_shift": stepwise("{a} << {b}"),
    "right_shift": stepwise("{a} >> {b}"),
    "invert": stepwise("~{x}"),
    "isnan": stepwise("isnan({x})"),
    "isinf": stepwise("isinf({x})"),
    "isfinite": stepwise("isfinite({x})"),
    "isclose": stepwise("{a} ≈ {b}"),
    "all": stepwise("all of {x}⟨ over axis {axis}⟩"),
    "any": stepwise("any of {x}⟨ over axis {axis}⟩"),
    "count_nonzero": stepwise(
        "number of {x} ≠ 0⟨ over axis {axis}⟩", "a count has no slope: no gradient passes"
    ),
    "argmax": stepwise("argmax {x}⟨ over axis {axis}⟩", PLACES),
    "argmin": stepwise("argmin {x}⟨ over axis {axis}⟩", PLACES),
    "argsort": stepwise("argsort {x}⟨ over axis {axis}⟩", PLACES),
    "window_argmax": stepwise("argmax of each window of {x}", PLACES),
}
