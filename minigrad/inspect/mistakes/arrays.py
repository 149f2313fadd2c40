"""What goes wrong with arrays: transposes, broadcast axes, counts, kernels, updated weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..record import Edge
from .rerun import data_of, send
from .rule import (
    COUNT,
    EXTRA_COUNT,
    FLIPPED,
    TRANSPOSED,
    UNSUMMED,
    UPDATED,
    Rule,
    other_name,
    plain,
    rules,
    spot,
)  # fmt: skip

__all__ = ["RULES", "unsummed"]


# ---------------------------------------------------------------- transposes


def turned(x: np.ndarray) -> np.ndarray:
    return np.swapaxes(x, -1, -2)


def _matrix(product: Any) -> Any:
    """product(g, a, b) -> a matrix, for one input of a matmul; it must come out in the input's shape."""

    def wrong(edge: Edge, g: np.ndarray) -> Any:
        f = edge.step.forward
        a, b = data_of(f, 0), data_of(f, 1)
        if f.op == "linear":  # y = x Wᵀ
            b = turned(b)
        found = product(g, a, b, edge.position)
        return found if found is not None and found.shape == edge.input.shape else None

    return wrong


def _no_transpose(g: np.ndarray, a: np.ndarray, b: np.ndarray, position: int) -> Any:
    return _product(g, b) if position == 0 else _product(a, g)


def _other_side(g: np.ndarray, a: np.ndarray, b: np.ndarray, position: int) -> Any:
    return _product(turned(b), g) if position == 0 else _product(g, turned(a))


def _turned_result(g: np.ndarray, a: np.ndarray, b: np.ndarray, position: int) -> Any:
    return _product(b, turned(g)) if position == 0 else _product(turned(g), a)


def _turned_gradient(g: np.ndarray, a: np.ndarray, b: np.ndarray, position: int) -> Any:
    return _product(turned(g), turned(b)) if position == 0 else _product(turned(a), turned(g))


def _product(a: np.ndarray, b: np.ndarray) -> Any:
    return a @ b if a.ndim > 1 and b.ndim > 1 and a.shape[-1] == b.shape[-2] else None


def _running_on(edge: Edge, g: np.ndarray) -> Any:
    return np.cumsum(g, edge.step.forward.meta["axis"])


def _not_turned_back(edge: Edge, g: np.ndarray) -> Any:
    return g if g.shape == edge.input.shape else None


# ---------------------------------------------------------------- broadcast axes


def unsummed(edge: Edge, g: np.ndarray) -> np.ndarray | None:
    """What arrives at a broadcast input before it is summed; None if nothing was broadcast."""
    f = edge.step.forward
    if f.node.op.elementwise:
        found = np.broadcast_to(send(edge, g, fit=False), f.output.shape)
    elif f.op in ("broadcast_to", "linear", "conv", "normalise") and (
        f.op == "broadcast_to" or edge.arg == "bias"
    ):
        found = np.moveaxis(g, 1, -1) if f.op == "conv" else g
    else:
        return None
    return None if found.shape == edge.input.shape else found


def _summed_as(how: Any) -> Any:
    def wrong(edge: Edge, g: np.ndarray) -> Any:
        full = unsummed(edge, g)
        if full is None:
            return None
        shape = edge.input.shape
        lead = full.ndim - len(shape)
        axes = (*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1 and full.shape[lead + i] > 1))
        return how(full, axes).reshape(shape) if axes else None

    return wrong


def _one(at: int) -> Any:
    def pick(full: np.ndarray, axes: tuple) -> np.ndarray:
        return full[tuple(slice(None) if i not in axes else at for i in range(full.ndim))]

    return pick


# ---------------------------------------------------------------- counts


def _reduced(edge: Edge) -> int:
    """How many elements went into one result of a sum or mean."""
    f = edge.step.forward
    if f.op == "cross_entropy":
        return max(f.inputs[1].data.size, 1) if f.meta.get("reduction") == "mean" else 1
    return edge.input.data.size // max(f.output.data.size, 1)


def _scaled(factor: Any) -> Any:
    def wrong(edge: Edge, g: np.ndarray) -> Any:
        n = _reduced(edge)
        return send(edge, g) * factor(n, edge) if n > 1 else None

    return wrong


def _along(k: int, once: bool = False) -> Any:
    """n / (length of axis k): divided by that length only, not by all; once: a sum divided by that length."""

    def factor(n: int, edge: Edge) -> float:
        shape = edge.input.shape
        if len(shape) <= k or shape[k] in (1, n):
            return 1.0
        return 1.0 / shape[k] if once else n / shape[k]

    return factor


# ---------------------------------------------------------------- kernels and weights


def _flipped_kernel(edge: Edge, g: np.ndarray) -> Any:
    f = edge.step.forward
    if edge.position == 0:
        w = data_of(f, 1)
        return send(edge, g, {2: np.ascontiguousarray(w[(..., *[slice(None, None, -1)] * (w.ndim - 2))])})
    if edge.position == 1:
        found = send(edge, g)
        return found[(..., *[slice(None, None, -1)] * (found.ndim - 2))]
    return None


def _updated(rate: float) -> Any:
    def wrong(edge: Edge, g: np.ndarray) -> Any:
        f = edge.step.forward
        moved = {
            i + 1: v.data - rate * v.grad
            for i, v in enumerate(f.inputs)
            if v is not None and i != edge.position and v.made_by is None and v.grad is not None
        }
        return send(edge, g, moved) if moved else None

    return wrong


def _unsummed_told(text: str) -> Any:
    return lambda e: (
        f"{plain(e.input).name} was broadcast at {spot(e)}, so its gradients must be summed over the "
        f"broadcast axis; {text}"
    )


def _count_told(text: str) -> Any:
    return lambda e: f"{text} at {spot(e)}, where n = {_reduced(e)}"


def _updated_told(e: Edge) -> str:
    return f"{other_name(e)} was already updated when the gradient went through {spot(e)}: use its old value"


MATRIX, MEANS, SUM = ("matmul", "linear"), ("mean", "cross_entropy"), ("sum",)
TURNED = "a transpose is missing or too much"
RATES = (0.1, 0.01, 1.0, 0.5, 0.05, 0.001)
AXES = range(3)

RULES = [
    *rules(
        TRANSPOSED,
        MATRIX,
        (1.0, _matrix(_no_transpose), TURNED),
        (1.15, _matrix(_turned_gradient), TURNED),
        (1.2, _matrix(_turned_result), TURNED),
        (1.3, _matrix(_other_side), TURNED),
    ),
    *rules(TRANSPOSED, ("transpose",), (1.1, _not_turned_back, TURNED)),
    Rule(UNSUMMED, 1.0, _summed_as(lambda full, axes: full.mean(axes)), _unsummed_told("a mean was taken")),
    Rule(UNSUMMED, 1.1, _summed_as(_one(0)), _unsummed_told("only the first was taken")),
    Rule(UNSUMMED, 1.1, _summed_as(_one(-1)), _unsummed_told("only the last was taken")),
    Rule(COUNT, 0.9, _scaled(lambda n, e: n), _count_told("the 1/n of the mean is missing"), MEANS),
    Rule(
        EXTRA_COUNT,
        1.3,
        _scaled(lambda n, e: 1 / n),
        _count_told("the gradient is divided by n once more"),
        MEANS,
    ),
    Rule(
        EXTRA_COUNT, 1.2, _scaled(lambda n, e: 1 / n), _count_told("a sum is no mean: 1/n is too much"), SUM
    ),
    *(
        Rule(
            COUNT,
            1.2,
            _scaled(_along(k)),
            _count_told(f"1/n counts only axis {k}, not all elements"),
            ("mean",),
        )
        for k in AXES
    ),
    *(
        Rule(
            EXTRA_COUNT,
            1.4,
            _scaled(_along(k, once=True)),
            _count_told(f"1/n over axis {k} is too much: a sum is no mean"),
            SUM,
        )
        for k in AXES
    ),
    *rules(TRANSPOSED, ("cumsum",), (1.1, _running_on, "what was summed forwards is summed backwards")),
    *rules(
        FLIPPED, ("conv",), (1.0, _flipped_kernel, "the kernel is turned round, which it must not be here")
    ),
    *(
        Rule(UPDATED, 1.5 + 0.02 * k, _updated(rate), _updated_told, ("mul", *MATRIX, "conv"))
        for k, rate in enumerate(RATES)
    ),
]
