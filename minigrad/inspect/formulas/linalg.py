"""Matrix products, einsum, the inverse and its kin. A Gradient has the shape of what it belongs to."""

from __future__ import annotations

from .row import Formula, matrix

__all__ = ["FORMULAS"]

FORMULAS = {
    "matmul": matrix(
        "{a} {b}",
        "each matrix receives the gradient times the other one transposed, on the other one's side",
        a=("∂{y}ᵢⱼ/∂{a}ᵢₖ = {b}ₖⱼ", "{g} {b}ᵀ"),
        b=("∂{y}ᵢⱼ/∂{b}ₖⱼ = {a}ᵢₖ", "{a}ᵀ {g}"),
    ),
    "linear": matrix(
        "{x} {weight}ᵀ⟨ + {bias}⟩",
        "the input receives g times the weights, the weights gᵀ times the input, the bias the sum of g over "
        "the samples",
        x=("∂{y}ₙₒ/∂{x}ₙᵢ = {weight}ₒᵢ", "{g} {weight}"),
        weight=("∂{y}ₙₒ/∂{weight}ₒᵢ = {x}ₙᵢ", "{g}ᵀ {x}"),
        bias=("1", "Σ {g} over the samples"),
    ),
    "einsum": Formula(
        "einsum({subscripts}, {arrays})",
        {"arrays": "the product of the others, at its indices"},
        {"arrays": "einsum of {g} with the others, onto its indices"},
        "each operand receives the einsum of the gradient with the other operands",
    ),
    "inv": matrix(
        "{x}⁻¹",
        "the gradient stands between two transposed inverses, with a minus",
        x=("d{y} = −{y} d{x} {y}", "−{y}ᵀ {g} {y}ᵀ"),
    ),
    "det": matrix(
        "det {x}",
        "the gradient is multiplied by the determinant times the inverse transposed",
        x=("{y} · ({x}⁻¹)ᵀ", "{g} · {y} · ({x}⁻¹)ᵀ"),
    ),
    "logabsdet": matrix(
        "log |det {x}|",
        "the gradient is multiplied by the inverse transposed",
        x=("({x}⁻¹)ᵀ", "{g} · ({x}⁻¹)ᵀ"),
    ),
    "solve": matrix(
        "{a}⁻¹ {b}",
        "the right side receives a solve with aᵀ, the matrix minus that times the solution transposed",
        a=("d{y} = −{a}⁻¹ d{a} {y}", "−({a}⁻¹)ᵀ {g} {y}ᵀ"),
        b=("{a}⁻¹", "({a}⁻¹)ᵀ {g}"),
    ),
    "cholesky": matrix(
        "L with L Lᵀ = {x}",
        "the gradient goes through half the lower triangle of Lᵀg, between the inverses of L, made symmetric",
        x=("d{y} = {y} P({y}⁻¹ d{x} ({y}⁻¹)ᵀ)", "sym(({y}⁻¹)ᵀ P({y}ᵀ {g}) {y}⁻¹)"),
    ),
    "half_diagonal": matrix(
        "half the diagonal of {x}",
        "half of the gradient passes on the diagonal",
        x=("½ · [i = j]", "half the diagonal of {g}"),
    ),
}
