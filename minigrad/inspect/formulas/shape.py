"""Shapes, indices, diagonals and padding: elements move, and their gradients move back."""

from __future__ import annotations

from .row import Formula, matrix

__all__ = ["FORMULAS"]

BACK = "the gradient moves back to where each element came from"


def moved(forward: str, vjp: str, words: str = BACK) -> Formula:
    """Every output element is one input element, or none."""
    return matrix(forward, words, x=("1", vjp))


FORMULAS = {
    "identity": moved("{x}", "{g}", "the gradient passes as it is"),
    "copy": moved("{x}", "{g}", "the gradient passes as it is"),
    "cast": moved("{x} as {dtype}", "{g}", "the gradient passes, in the input's dtype"),
    "transfer": moved(
        "{x} on {target}", "{g} on {source}", "the gradient is copied back to the other device"
    ),
    "reshape": moved("{x} in shape {shape}", "{g} in the shape of {x}"),
    "transpose": moved("{x}ᵀ", "{g}ᵀ", "the gradient is transposed back"),
    "flip": moved("{x} reversed⟨ along axis {axis}⟩", "{g} reversed⟨ along axis {axis}⟩"),
    "roll": moved(
        "{x} rolled by {shift}⟨ along axis {axis}⟩", "{g} rolled back by {shift}⟨ along axis {axis}⟩"
    ),
    "broadcast_to": moved(
        "{x} repeated to {shape}",
        "Σ {g} over the repeated axes",
        "every element was used many times: its gradients are summed",
    ),
    "sum_to": moved(
        "Σ {x} to {shape}", "{g} spread over the summed axes", "every term receives the gradient as it is"
    ),
    "concatenate": Formula(
        "({arrays}) joined⟨ along axis {axis}⟩",
        {"arrays": "1"},
        {"arrays": "its part of {g}"},
        "each array receives its own part of the gradient",
    ),
    "take_index": moved(
        "{x}[{index}]",
        "{g} added at [{index}], 0 elsewhere",
        "what was taken receives its gradient, all else 0; an element taken twice receives both",
    ),
    "put_add": moved("0 with {x} added at [{index}]", "{g}[{index}]"),
    "put": matrix(
        "{x} with [{index}] = {values}",
        "the written places pass their gradient to the values, all others to the array",
        x=("[not written]", "{g} with 0 at [{index}]"),
        values=("1", "{g}[{index}]"),
    ),
    "tril": moved(
        "lower triangle of {x}", "lower triangle of {g}", "the gradient passes where the element was kept"
    ),
    "triu": moved(
        "upper triangle of {x}", "upper triangle of {g}", "the gradient passes where the element was kept"
    ),
    "diagonal": moved("diagonal of {x}", "{g} on the diagonal, 0 elsewhere"),
    "diagonal_adjoint": moved("{x} on a diagonal, 0 elsewhere", "diagonal of {g}"),
    "pad_constant": moved(
        "{x} with a border of {value}", "{g} without the border", "the border's gradient is dropped"
    ),
    "pad_border": moved(
        "{x} with a border of its own ({mode})",
        "{g} without the border, which is added where it was copied from",
        "what was copied into the border receives that gradient too",
    ),
    "pad_border_sum": moved(
        "{x} with its border added inside ({mode})", "{g} with a border of its own ({mode})"
    ),
    "weigh_gradient": moved(
        "{x}", "{g} · {factor}", "forward nothing changes; the gradient is multiplied by the factor"
    ),
}
