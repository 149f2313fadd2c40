"""Sums, means, products, extrema, norms, and softmax with its kin."""

from __future__ import annotations

from .row import Formula, matrix

__all__ = ["FORMULAS"]

OVER = "⟨ over axis {axis}⟩"
SPREAD = "spread over the summed axes"


def extremum(name: str, words: str) -> Formula:
    return matrix(
        f"{name} {{x}}{OVER}",
        f"only the {words} element receives the gradient; ties share it equally",
        x=("[{x} = {y}] / ties", "{g} where {x} = {y}, shared among ties, else 0"),
    )


FORMULAS = {
    "sum": matrix(f"Σ {{x}}{OVER}", "every term receives the gradient as it is", x=("1", f"{{g}} {SPREAD}")),
    "mean": matrix(
        f"mean {{x}}{OVER}",
        "every one of the n elements receives the gradient over n",
        x=("1 / {n}", f"{{g}} / {{n}} {SPREAD}"),
    ),
    "cumsum": matrix(
        f"running sum of {{x}}{OVER}",
        "every element receives the sum of the gradients from its place to the end",
        x=("∂{y}ᵢ/∂{x}ⱼ = [j ≤ i]", "running sum of {g} from the end"),
    ),
    "prod": matrix(
        f"Π {{x}}{OVER}",
        "every factor receives the gradient times the product of the others",
        x=("product of the others", "{g} · product of the others"),
    ),
    "cumprod": matrix(
        f"running product of {{x}}{OVER}",
        "every factor receives from each later product the gradient times its other factors",
        x=("∂{y}ᵢ/∂{x}ⱼ = [j ≤ i] · {y}ᵢ / {x}ⱼ", "running sum of {g} · {y} from the end / {x}"),
    ),
    "others": matrix(
        "rows of {x}, row j without its element j",
        "every element receives the sum of the gradients of all rows but its own",
        x=("1, but 0 at element j of row j", "Σ of {g} off its diagonal"),
    ),
    "off_diagonal": matrix(
        "{x} with a zero diagonal",
        "off the diagonal the gradient passes",
        x=("[i ≠ j]", "{g} with a zero diagonal"),
    ),
    "max": extremum("max", "largest"),
    "min": extremum("min", "smallest"),
    "norm2": matrix(
        f"‖{{x}}‖{OVER}",
        "the gradient goes along the direction of x, whose length is 1",
        x=("{x} / {y}", "{g} · {x} / {y}"),
    ),
    "softmax": matrix(
        f"softmax({{x}}){OVER}",
        "raising one score lowers the other shares: each gradient less the mean gradient, times its share",
        x=("∂{y}ᵢ/∂{x}ⱼ = {y}ᵢ · ([i = j] − {y}ⱼ)", "{y} · ({g} − Σ {g} · {y})"),
    ),
    "log_softmax": matrix(
        f"{{x}} − log Σ exp({{x}}){OVER}",
        "each score receives its gradient less its share of the summed gradient",
        x=("∂{y}ᵢ/∂{x}ⱼ = [i = j] − softmax({x})ⱼ", "{g} − softmax({x}) · Σ {g}"),
    ),
    "logsumexp": matrix(
        f"log Σ exp({{x}}){OVER}",
        "each score receives its share, the softmax, of the gradient",
        x=("softmax({x})", "{g} · softmax({x})"),
    ),
}
