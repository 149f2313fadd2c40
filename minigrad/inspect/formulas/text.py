"""Filling a formula's places with names and numbers, with brackets where they are needed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["fill", "number", "partial", "shown"]

PLACE = re.compile(r"\{(\w+)\}")
OPTIONAL = re.compile(r"⟨([^⟨⟩]*)⟩")
WHERE_NOTHING = {"min": "−∞", "max": "∞", "n": "n"}  # what a place shows when it was not given
MINUS = "−"

# How tightly a text holds together. A place asks for as much as its neighbours bind.
LOOSE, NEGATIVE, SUM, PRODUCT, FRACTION, ATOM = 0, 1, 2, 3, 4, 5


def fill(template: str, env: Mapping[str, str]) -> str:
    """The template with `env` in its places; ⟨ ⟩ falls away where a place inside has nothing to show."""

    def optional(found: re.Match) -> str:
        return found[1] if all(env.get(name) for name in PLACE.findall(found[1])) else ""

    template = OPTIONAL.sub(optional, template)
    out, at = [], 0
    for found in PLACE.finditer(template):
        text = env.get(found[1]) or WHERE_NOTHING.get(found[1], found[1])
        left, right = template[: found.start()], template[found.end() :]
        if holding(text) < max(asked_by_left(left, right), asked_by_right(right)):
            text = f"({text})"
        out += [template[at : found.start()], text]
        at = found.end()
    return "".join(out) + template[at:]


def holding(text: str) -> int:
    """How tightly a name or number holds together: sums loosest, single names tightest."""
    if text[:1] in ("-", MINUS):
        return NEGATIVE
    top, depth = [], 0
    for c in text:
        depth += c in "([{|" and (c != "|" or depth == 0)
        top.append(c if depth == 0 else "x")
        depth -= (c in ")]}" or (c == "|" and top[-1] != "|")) and depth > 0
    outside = re.sub(r"@\d+", "", re.sub(r"e-\d+", "", "".join(top)))  # h@3 and 1e-05 are one word
    if re.search(r" [=<>≤≥≠] | where |, else ", outside):
        return LOOSE
    if re.search(r"[+−]|\s-\s|\w-\w", outside):
        return SUM
    if text.startswith("∂") and " " not in outside:
        return FRACTION
    return PRODUCT if re.search(r"[ */@⋆·]", outside) else ATOM


def asked_by_left(left: str, right: str) -> int:
    """How tightly a text must hold after what stands before it."""
    if left.endswith(("√", "∛", "^")):
        return ATOM
    if left.endswith((MINUS, "/ ", f"{MINUS} ")):
        return ATOM if left.endswith("/ ") else PRODUCT
    if left.endswith("+ "):
        return SUM
    if left.endswith(("· ", "⋆ ", "∗ ", "mod ")):
        return PRODUCT
    if re.search(r"[Σ\w}ᵀ] $", left) and not left.endswith(("where ", "else ", "of ", "and ", "or ")):
        return FRACTION if re.search(r"(Σ|Π|[}ᵀ]|max|min|log) $", left) else LOOSE
    return LOOSE


def asked_by_right(right: str) -> int:
    """How tightly a text must hold before what stands behind it."""
    if right[:1] and right[0] in "²³⁻ᵀ^[ₜᵢⱼₖ⁰¹⁴⁵⁶⁷⁸⁹":
        return ATOM
    if right.startswith((" · ", " / ", " ⋆ ", " ∗ ", " mod ")):
        return PRODUCT
    if right.startswith((" + ", f" {MINUS} ")):
        return NEGATIVE
    if re.match(r" (\{|spread|over)", right):
        return FRACTION if right[1] == "{" else SUM
    return LOOSE


def partial(name: str) -> str:
    """∂L/∂name."""
    return f"∂L/∂{name}" if holding(name) >= ATOM else f"∂L/∂({name})"


def number(value: Any) -> str:
    """Up to 6 significant digits; a true minus sign."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, complex | np.complexfloating):
        return f"({complex(value):.6g})".replace("-", MINUS)
    return f"{value:.6g}".replace("-", MINUS).replace("inf", "∞")


def shown(value: Any) -> str:
    """A metadata value as it is read: numbers, axes, shapes, slices; what is long is only hinted at."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float | np.number):
        return number(value)
    if isinstance(value, slice):
        step = "" if value.step is None else f":{shown(value.step)}"
        return f"{shown(value.start)}:{shown(value.stop)}{step}"
    if value is Ellipsis:
        return "…"
    if isinstance(value, np.dtype | type):
        return np.dtype(value).name
    if isinstance(value, np.ndarray):
        return shown(value.tolist()) if value.size <= 6 else f"{value.size} places"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(shown(v) or 'None' for v in value)})"
    return str(value) if isinstance(value, str) else "…"


def inner_index(value: Any) -> str:
    """An index without its outer brackets: (0, 1:3) is read 0, 1:3."""
    if isinstance(value, tuple):
        return ", ".join("None" if v is None else shown(v) for v in value)
    return "None" if value is None else shown(value)


def environment(
    args: Sequence[str], texts: Sequence[str | None], output: str, meta: Mapping[str, Any]
) -> dict[str, str]:
    """What each place shows: metadata, then inputs by their argument names, then {y} and {g}."""
    env = {name: inner_index(v) if name == "index" else shown(v) for name, v in meta.items()}
    if "reduction" in meta:
        env |= {"per": "n" if meta["reduction"] == "mean" else ""}
        env |= {"reduction": "" if meta["reduction"] == "none" else env["reduction"]}
    env |= {arg: text or "" for arg, text in zip(args, texts, strict=False)}
    return env | {"y": output, "g": partial(output)}
