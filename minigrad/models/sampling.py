"""Drawing the next token from a language model's scores."""

from __future__ import annotations

import math
from typing import Any

from ..engine.tensor import Tensor
from ..ops.elementwise import where
from ..ops.pytorch_names import multinomial
from ..ops.reduce import argmax
from ..ops.softmax import softmax
from ..ops.sort import topk

__all__ = ["draw"]


def draw(scores: Tensor, temperature: float = 1.0, top_k: int | None = None, generator: Any = None) -> Tensor:
    """(N, V) -> (N, 1): one token each, drawn from softmax(scores / temperature).

    Temperature 0 takes the likeliest; top_k leaves only the k likeliest (Fan et al. 2018). Raises ValueError
    for a temperature below 0 or k < 1.

    >>> import minigrad as mg
    >>> draw(mg.tensor([[0.0, 3.0, 1.0]]), temperature=0.0)
    tensor([[1]])
    """
    if not temperature >= 0 or math.isinf(temperature):
        raise ValueError(f"draw: expected a number >= 0 (temperature={temperature})")
    if top_k is not None and top_k < 1:
        raise ValueError(f"draw: expected a whole number >= 1, or None (top_k={top_k})")
    if temperature == 0:
        return argmax(scores, axis=-1, keepdims=True)
    if top_k is not None and top_k < scores.shape[-1]:
        least = topk(scores, top_k)[0][:, -1:]
        scores = where(scores < least, -math.inf, scores)
    return multinomial(softmax(scores / temperature), 1, generator=generator)
