"""Formula: one row of the table, and the short way to write an elementwise one."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Formula", "elementwise", "matrix", "stepwise"]


@dataclass(frozen=True)
class Formula:
    """An op in plain Unicode mathematics, with the op's own argument names as places to fill in.

    Places: {a}, {x} ... are the inputs, {y} the output, {g} the gradient that comes in, {axis} ... metadata.
    What stands in ⟨ ⟩ is left out where a place inside has nothing to show (no bias, no axis given).
    forward: the result. local: per input dy/d input. vjp: per input what it is sent. words: the same in one
    sentence.
    """

    forward: str
    local: dict[str, str] = field(default_factory=dict)
    vjp: dict[str, str] = field(default_factory=dict)
    words: str = ""


def elementwise(forward: str, words: str, **local: str) -> Formula:
    """A row whose gradients are the incoming one times the local derivative, element by element."""
    return Formula(forward, local, {arg: times(slope) for arg, slope in local.items()}, words)


def matrix(forward: str, words: str, **rules: tuple[str, str]) -> Formula:
    """A row that says for each input (the local derivative, what is sent)."""
    return Formula(
        forward,
        {a: local for a, (local, _) in rules.items()},
        {a: vjp for a, (_, vjp) in rules.items()},
        words,
    )


def stepwise(forward: str, words: str = "a yes or no has no slope: no gradient passes") -> Formula:
    """A row without gradients: its result jumps."""
    return Formula(forward, words=words)


def times(slope: str) -> str:
    """`{g} · slope`, shortened where the slope is 1, -1, 0 or a fraction."""
    if slope in ("1", "−1", "0"):
        return {"1": "{g}", "−1": "−{g}", "0": "0"}[slope]
    minus = slope.startswith("−") and not is_sum(slope[1:])
    sign, rest = ("−", slope[1:]) if minus else ("", slope)
    if rest.startswith("1 / "):
        return f"{sign}{{g}}{rest[1:]}"
    return f"{sign}{{g}} · ({rest})" if is_sum(rest) else f"{sign}{{g}} · {rest}"


def is_sum(text: str) -> bool:
    """True if + or − stands outside all brackets."""
    depth = 0
    for i, c in enumerate(text):
        depth += (c in "([{") - (c in ")]}")
        if depth == 0 and c in "+−-" and (i == 0 or text[i - 1] == " " or c == "+"):
            return True
    return False
