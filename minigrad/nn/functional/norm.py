"""Normalisation with PyTorch's signatures."""

from __future__ import annotations

from typing import Any

from ...engine.node import mutated
from ...engine.tensor import Tensor
from ...ops import norm as _norm
from ...ops.elementwise import maximum
from ...ops.norm import normalise_with
from ...ops.reduce import norm

__all__ = [
    "batch_norm",
    "normalize",
]


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias per channel, by the batch in training.

    In training the running statistics move by `momentum` towards the batch's (variance unbiased).
    Raises ValueError for a batch of one value per channel, whose variance means nothing.
    """
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: expected running statistics when training=False")
        return normalise_with(input, running_mean, running_var, weight, bias, eps)
    n = input.size // max(input.shape[1], 1)
    if n == 1:
        raise ValueError(
            f"batch_norm: expected more than 1 value per channel in training, got shape {input.shape}"
        )
    moments: dict[str, Any] = {}
    y = _norm.batch_norm(input, weight, bias, eps=eps, moments=moments)
    if running_mean is not None and momentum and n:
        for running, new in (
            (running_mean, moments["mean"]),
            (running_var, moments["var"] * (n / (n - 1.0))),
        ):
            running._data[...] = (1.0 - momentum) * running._data + momentum * new
            mutated(running._data)
    return y


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(|x|_p, eps) along dim."""
    return input / maximum(norm(input, p, dim, True), eps)
