"""What models of text share: sentences as whole numbers (N, T), 0 where a shorter one has ended.

A model must say the same of a sentence whatever it is padded to, so every one of them asks here where the
real words are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import nn
from ..engine.tensor import Tensor
from ..ops.attention import masked_softmax
from ..ops.create import arange
from ..ops.shape import expand_dims, squeeze
from ..ops.trig import tanh

__all__ = ["PAD", "ContextAttention", "check_tokens", "lengths_of", "real"]

PAD = 0  # the number that stands where a sentence has ended


def check_tokens(name: str, tokens: Tensor, axes: int = 2, shape: str = "(N, T)") -> None:
    """Raise ValueError unless the tokens have that many axes, none empty; TypeError unless whole numbers."""
    if tokens.ndim != axes or not tokens.size:
        raise ValueError(f"{name}: expected tokens {shape}, no size 0, got {tokens.shape}; pad with {PAD}")
    if tokens.dtype.kind != "i":
        raise TypeError(f"{name}: expected whole numbers, got {tokens.dtype}; look the words up first")


def lengths_of(tokens: Tensor) -> np.ndarray:
    """How many of (..., T) come before the padding, at least 1: on the host, where packing wants them."""
    last = (tokens != PAD).astype("int64") * arange(1, tokens.shape[-1] + 1, device=tokens.device)
    return np.maximum(last.max(axis=-1).cpu().numpy(), 1)


def real(lengths: Any, steps: int, device: Any) -> Tensor:
    """(N, steps), True before a sentence's end."""
    ends = Tensor(np.asarray(lengths, dtype=np.int64)).to(device)
    return expand_dims(arange(steps, device=device), 0) < expand_dims(ends, -1)


class ContextAttention(nn.Module):
    """a = softmax(tanh(W h + b) . u), out = sum a h: Yang et al. 2016, equations 5 to 7.

    h (N, T, H), mask (N, T), True where there is something -> (N, H) and the weights (N, T). The context u
    is learned: it asks of every place "what is informative here?". Where a row has nothing both are 0.
    """

    def __init__(self, width: int, attention: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, attention)
        self.context = nn.Linear(attention, 1, bias=False)

    def forward(self, h: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(the weighted mean, the weights)."""
        weights = masked_softmax(squeeze(self.context(tanh(self.proj(h))), -1), mask)
        return (expand_dims(weights, -1) * h).sum(axis=1), weights
