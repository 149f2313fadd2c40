"""WaveNet: van den Oord et al. 2016, "WaveNet: A Generative Model for Raw Audio".

    symbols (N, T) -> embedding -> R maps                       p(x_t | x_1 .. x_t-1), 256 classes
    30 layers, dilations 1, 2, 4, .. 512, three times over:
        z = tanh(W_f * x) sigmoid(W_g * x)      causal convolutions, k = 2 (filter and gate)
        x = x + 1x1(z)                          the residual
        skip = skip + 1x1(z)
    relu(skip) -> 1x1 -> relu -> 1x1 -> (N, 256, T) scores of the next symbol

A layer of dilation d sees d samples further back: 1 + 1 + 2 + ... + 512 = 1,024 samples a stack, 3,070 in
three. Output t depends on symbols 0 .. t only, so it is the score of symbol t + 1, at all t in one pass.
Differs from the paper: symbols are embedded, where it convolves their one-hot form. The defaults, 30 layers
of 32 maps, have 339,872 parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import nn
from ..engine.recording import no_grad
from ..engine.tensor import Tensor, tensor
from ..ops.activation import relu, sigmoid
from ..ops.trig import tanh


def mu_law(wave: Any, mu: int = 255) -> np.ndarray:
    """Samples in [-1, 1] as mu + 1 symbols, finer near 0: sign(x) ln(1 + mu |x|) / ln(1 + mu), then rounded.

    >>> mu_law([-1.0, 0.0, 1.0]).tolist()
    [0, 128, 255]
    """
    wave = np.asarray(wave, dtype=np.float64)
    if wave.size and not abs(wave).max() <= 1:
        raise ValueError(f"mu_law: expected samples in [-1, 1], got up to {abs(wave).max():g}; divide by it")
    squeezed = np.sign(wave) * np.log1p(mu * abs(wave)) / np.log1p(mu)
    return np.floor((squeezed + 1) / 2 * mu + 0.5).astype(np.int64)


def mu_law_inverse(symbols: Any, mu: int = 255) -> np.ndarray:
    """Symbols back as samples in [-1, 1]."""
    squeezed = 2 * np.asarray(symbols) / mu - 1
    return np.sign(squeezed) * np.expm1(abs(squeezed) * np.log1p(mu)) / mu


class GatedLayer(nn.Module):
    """(N, R, T) -> the residual sum (N, R, T) and the skip (N, S, T)."""

    def __init__(self, residual: int, skip: int, dilation: int) -> None:
        super().__init__()
        self.filter = nn.Conv1d(residual, residual, 2, padding="causal", dilation=dilation)
        self.gate = nn.Conv1d(residual, residual, 2, padding="causal", dilation=dilation)
        self.residual, self.skip = nn.Conv1d(residual, residual, 1), nn.Conv1d(residual, skip, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x + 1x1(z) and 1x1(z)."""
        z = tanh(self.filter(x)) * sigmoid(self.gate(x))
        return x + self.residual(z), self.skip(z)


class WaveNet(nn.Module):
    """Symbols (N, T) -> (N, symbols, T): at t, the scores of symbol t + 1."""

    def __init__(
        self, symbols: int = 256, residual: int = 32, skip: int = 128, stacks: int = 3, depth: int = 10
    ) -> None:
        super().__init__()
        if stacks < 1 or depth < 1:
            raise ValueError(f"WaveNet: expected whole numbers >= 1 (stacks={stacks}, depth={depth})")
        self.dilations = [2**i for i in range(depth)] * stacks
        self.embedding = nn.Embedding(symbols, residual)
        self.layers = nn.ModuleList(GatedLayer(residual, skip, d) for d in self.dilations)
        # What the last layer would send on goes nowhere: it has no residual.
        self.layers[-1].residual = nn.Identity()
        self.post1, self.post2 = nn.Conv1d(skip, skip, 1), nn.Conv1d(skip, symbols, 1)

    @property
    def receptive_field(self) -> int:
        """How many symbols, the newest included, an output depends on."""
        return 1 + sum(self.dilations)

    def forward(self, symbols: Tensor) -> Tensor:
        """Scores of the next symbol, at each place."""
        if symbols.ndim != 2:
            raise ValueError(f"WaveNet: expected symbols (N, T), got {symbols.shape}")
        return self.scores(self.embedding(symbols).swapaxes(1, 2))

    def scores(self, x: Tensor) -> Tensor:
        """(N, R, T) -> (N, symbols, T)."""
        x, total = self.layers[0](x)
        for layer in list(self.layers)[1:]:
            x, skip = layer(x)
            total = total + skip
        return self.post2(relu(self.post1(relu(total))))

    def sample(self, start: Any, steps: int, rng: np.random.Generator) -> np.ndarray:
        """`start` (T,) and `steps` symbols more, each drawn by its probability, from the whole field."""
        drawn = [int(s) for s in start]
        with no_grad():
            for _ in range(steps):
                recent = tensor(np.array([drawn[-self.receptive_field :]]))
                last = self(recent)[0, :, -1].cpu().numpy().astype(np.float64)
                p = np.exp(last - last.max())
                drawn.append(int(rng.choice(len(p), p=p / p.sum())))
        return np.array(drawn)
