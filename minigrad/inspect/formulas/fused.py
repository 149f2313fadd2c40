"""Ops that do several steps at once: losses, normalisation, attention, recurrence, dropout."""

from __future__ import annotations

from .row import Formula, elementwise, matrix

__all__ = ["FORMULAS"]


def sequence(step: str, gates: str, words: str, **local: str) -> Formula:
    """A recurrent layer over all its times; gates: the gradient before the weights, at time t."""
    vjp = {
        "x": f"{gates} {{w_ih}}, at each time",
        "h0": f"{gates} {{w_hh}}, at the first time",
        "w_ih": f"Σ over t {gates}ᵀ {{x}}ₜ",
        "w_hh": f"Σ over t {gates}ᵀ hₜ₋₁",
        "b_ih": f"Σ over t {gates}",
        "b_hh": f"Σ over t {gates}",
    }
    slopes = {"x": "{w_ih}", "h0": "{w_hh}", "w_ih": "{x}ₜ", "w_hh": "hₜ₋₁", "b_ih": "1", "b_hh": "1"}
    extra = {name: rule.partition(" | ") for name, rule in local.items()}
    return Formula(
        step,
        slopes | {name: slope for name, (slope, _, _) in extra.items()},
        vjp | {name: sent for name, (_, _, sent) in extra.items()},
        words,
    )


FORMULAS = {
    "cross_entropy": matrix(
        "⟨{reduction} of ⟩−log softmax({x})[{target}]",
        "each score receives its probability, less 1 for the right class; for a mean over n samples",
        x=("(p − onehot({target}))⟨ / {per}⟩", "{g} · (p − onehot({target}))⟨ / {per}⟩"),
    ),
    "binary_cross_entropy": matrix(
        "−{target} · log({x}) − (1 − {target}) · log(1 − {x})",
        "the probability less the target, over p (1 − p)",
        x=("({x} − {target}) / ({x} · (1 − {x}))", "{g} · ({x} − {target}) / ({x} · (1 − {x}))"),
        target=("log(1 − {x}) − log({x})", "{g} · (log(1 − {x}) − log({x}))"),
    ),
    "linear_cross_entropy": matrix(
        "−log softmax({x} {weight}ᵀ⟨ + {bias}⟩)[{target}]",
        "the scores' gradient p − onehot goes through the linear layer, a few rows at a time",
        x=("(p − onehot({target})) {weight}", "{g} · (p − onehot({target})) {weight}"),
        weight=("(p − onehot({target}))ᵀ {x}", "{g} · (p − onehot({target}))ᵀ {x}"),
        bias=("Σ (p − onehot({target}))", "{g} · Σ (p − onehot({target}))"),
    ),
    "ctc_loss": matrix(
        "−log Σ over alignments Π p",
        "each score receives its probability less the share of the alignments that pass there",
        x=("p − occupancy", "{g} · (p − occupancy)"),
    ),
    "normalise": matrix(
        "({x} − μ) / √(σ² + {eps})⟨ · {weight}⟩⟨ + {bias}⟩",
        "mean and spread depend on all elements, so their parts are taken out of the gradient",
        x=(
            "∂x̂ᵢ/∂{x}ⱼ = ([i = j] − 1/n − x̂ᵢ · x̂ⱼ / n) / σ",
            "(u − mean(u) − x̂ · mean(u · x̂)) / σ, u = {g}⟨ · {weight}⟩",
        ),
        weight=("x̂", "Σ {g} · x̂"),
        bias=("1", "Σ {g}"),
    ),
    "rms_norm": matrix(
        "{x} / √(mean({x}²) + {eps})⟨ · {weight}⟩",
        "the length depends on all elements, so its part is taken out of the gradient",
        x=("∂x̂ᵢ/∂{x}ⱼ = ([i = j] − x̂ᵢ · x̂ⱼ / n) / r", "(u − x̂ · mean(u · x̂)) / r, u = {g}⟨ · {weight}⟩"),
        weight=("x̂", "Σ {g} · x̂"),
    ),
    "attention": matrix(
        "softmax({query} {key}ᵀ⟨ · {scale}⟩⟨ + {bias}⟩) {value}",
        "values receive Pᵀ g, the scores S receive dS = P · (g Vᵀ − Σ g · y), queries and keys parts of dS",
        query=("through S: {key} · scale", "dS {key} · scale"),
        key=("through S: {query} · scale", "dSᵀ {query} · scale"),
        value=("P", "Pᵀ {g}"),
        bias=("through S: 1", "dS"),
    ),
    "packed_attention": matrix(
        "softmax({packed}₀ {packed}₁ᵀ⟨ · {scale}⟩⟨ + {bias}⟩) {packed}₂",
        "the three parts receive what query, key and value of attention do, side by side",
        packed=("that of query, key and value", "(dS {packed}₁ · scale, dSᵀ {packed}₀ · scale, Pᵀ {g})"),
        bias=("through S: 1", "dS"),
    ),
    "dropout": elementwise(
        "{x} · mask / (1 − {p})", "kept elements pass the gradient, scaled as they were", x="mask / (1 − {p})"
    ),
    "rnn_sequence": sequence(
        "every hₜ, hₜ = {nonlinearity}({x}ₜ {w_ih}ᵀ + hₜ₋₁ {w_hh}ᵀ⟨ + {b_ih}⟩⟨ + {b_hh}⟩)",
        "δₜ",
        "backprop through time: δₜ is the gradient of step t, its own and what comes back from step t + 1",
    ),
    "lstm_sequence": sequence(
        "every hₜ, i, f, o = σ(…), z = tanh(…) of {x}ₜ {w_ih}ᵀ + hₜ₋₁ {w_hh}ᵀ; "
        "cₜ = f · cₜ₋₁ + i · z; hₜ = o · tanh(cₜ)",
        "δₜ",
        "backprop through time: the cell passes its gradient on times the forget gate; δₜ is the gates'",
        c0="f₁ | ∂L/∂c₁ · f₁",
        w_hr="hₜ before it | Σ over t {g}ₜᵀ hₜ",
    ),
    "gru_sequence": sequence(
        "every hₜ, r, z = σ(…), n = tanh({x}ₜ {w_ih}ᵀ + r · hₜ₋₁ {w_hh}ᵀ); hₜ = (1 − z) · n + z · hₜ₋₁",
        "δₜ",
        "backprop through time: the state passes its gradient on times z; δₜ is that of the three gates",
    ),
}
