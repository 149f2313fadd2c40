"""GPT: Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", in the form of

GPT-2, Radford et al. 2019, "Language Models are Unsupervised Multitask Learners" (norms before each part).

tokens     (N, T)
wte + wpe  (N, T, C)      a row per token, a row per place
h.0 ... h.L-1:            x + attn(ln_1(x)), then x + mlp(ln_2(x))
  attn     softmax(q k^T / sqrt(C / heads)) v per head, a place sees itself and those before it
  mlp      C -> 4C, GELU -> C
ln_f       (N, T, C)
lm_head    (N, T, V)      scores of the next token; with tied weights its rows are wte's

V C + B C + L (12 C^2 + 13 C) + 2 C parameters for V tokens and B places, V C more if untied. GPT-2 small
(V = 50,257, B = 1,024, L = 12, 12 heads, C = 768): 124,439,808.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .. import nn
from ..engine.recording import no_grad
from ..engine.tensor import Tensor
from ..inspect.layers import still
from ..nn import functional as F
from ..nn.parameter import check_size
from ..ops.create import arange
from ..ops.shape import concatenate, reshape, split, swapaxes
from .sampling import draw
from .tokens import check_tokens

__all__ = ["GPT", "GPT2_SIZES", "GPTSize"]


class GPTSize(NamedTuple):
    """The numbers that make a GPT."""

    vocabulary: int
    block_size: int  # the most tokens that it sees at once
    layers: int
    heads: int
    width: int

    def parameters(self, tied: bool = True) -> int:
        """How many parameters it has, by formula: nothing is made.

        >>> GPT2_SIZES["small"].parameters()
        124439808
        """
        vocabulary, places, layers, _, c = self
        tables = (vocabulary * (1 if tied else 2) + places) * c
        return tables + layers * (12 * c * c + 13 * c) + 2 * c


GPT2_SIZES = {
    "small": GPTSize(50_257, 1024, 12, 12, 768),
    "medium": GPTSize(50_257, 1024, 24, 16, 1024),
    "large": GPTSize(50_257, 1024, 36, 20, 1280),
    "xl": GPTSize(50_257, 1024, 48, 25, 1600),
}


class CausalSelfAttention(nn.Module):
    """(N, T, C) -> (N, T, C): every place attends to itself and those before it."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"GPT: expected width divisible by heads (width={width}, heads={heads})")
        self.heads, self.p = heads, dropout
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """softmax(q k^T / sqrt(d), causal) v, heads joined and projected."""
        n, t, c = x.shape
        heads = lambda y: swapaxes(reshape(y, (n, t, self.heads, c // self.heads)), 1, 2)
        q, k, v = map(heads, split(self.c_attn(x), 3, axis=-1))  # (N, heads, T, C / heads)
        drop = self.p if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=drop, is_causal=True)
        return self.dropout(self.c_proj(reshape(swapaxes(y, 1, 2), (n, t, c))))


class MLP(nn.Module):
    """(N, T, C) -> (N, T, C), each place on its own."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Widen by 4, GELU (its tanh form, as in GPT-2), narrow."""
        return self.dropout(self.c_proj(F.gelu(self.c_fc(x), approximate="tanh")))


class Block(nn.Module):
    """Attention among the places, then a net on each, both added to what came in."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(width), CausalSelfAttention(width, heads, dropout)
        self.ln_2, self.mlp = nn.LayerNorm(width), MLP(width, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x + attn(ln_1(x)), then + mlp(ln_2(x))."""
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """Tokens (N, T), T <= block_size -> scores of the next ones (N, T, vocabulary).

    Names of weights are GPT-2's, under `transformer`; matrices stand as nn.Linear has them, the transposes
    of its published files. GPT(*GPT2_SIZES["small"]) is GPT-2 small.
    """

    def __init__(
        self,
        vocabulary: int,
        block_size: int = 256,
        layers: int = 6,
        heads: int = 6,
        width: int = 384,
        dropout: float = 0.0,
        tied: bool = True,
    ) -> None:
        super().__init__()
        check_size("GPT", vocabulary=vocabulary, block_size=block_size)
        check_size("GPT", layers=layers, heads=heads, width=width)
        self.size, self.tied = GPTSize(vocabulary, block_size, layers, heads, width), tied
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(vocabulary, width),
                "wpe": nn.Embedding(block_size, width),
                "drop": nn.Dropout(dropout),
                "h": nn.ModuleList([Block(width, heads, dropout) for _ in range(layers)]),
                "ln_f": nn.LayerNorm(width),
            }
        )
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        if tied:
            self.lm_head.weight = self.transformer["wte"].weight
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """N(0, 0.02), biases 0; the 2L matrices whose results are added up smaller by sqrt(2L)."""
        for name, p in self.named_parameters():
            if p.ndim > 1:
                small = math.sqrt(2 * self.size.layers) if name.endswith("c_proj.weight") else 1.0
                nn.init.normal_(p, 0.0, 0.02 / small)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores of the token after each."""
        check_tokens("GPT", tokens)
        parts, t, most = self.transformer, tokens.shape[1], self.size.block_size
        if t > most:
            raise ValueError(f"GPT: expected at most block_size={most} tokens, got {t}; cut the text")
        x = parts["drop"](parts["wte"](tokens) + parts["wpe"](arange(t, device=tokens.device)))
        for block in parts["h"]:
            x = block(x)
        return self.lm_head(parts["ln_f"](x))

    def generate(
        self,
        prompt: Tensor,
        length: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        generator: Any = None,
    ) -> Tensor:
        """The prompt (N, T) and `length` tokens drawn after it: (N, T + length).

        Each from the last block_size tokens. Temperature 0 takes the likeliest. In the mode of evaluation,
        whatever the mode was.
        """
        check_size("GPT.generate", length=length)
        with still(self), no_grad():
            for _ in range(length):
                scores = self(prompt[:, -self.size.block_size :])[:, -1]
                prompt = concatenate([prompt, draw(scores, temperature, top_k, generator)], 1)
        return prompt
