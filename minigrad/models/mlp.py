"""The multilayer perceptron: linear maps with ReLU between."""

from __future__ import annotations

from itertools import pairwise

from .. import nn
from ..engine.tensor import Tensor


class MLP(nn.Module):
    """(N, ...) -> (N, sizes[-1]): flattens, then Linear and ReLU in turn; dropout after each ReLU."""

    def __init__(self, sizes: tuple[int, ...] = (1024, 256, 128, 10), dropout: float = 0.0) -> None:
        super().__init__()
        if len(sizes) < 2:
            raise ValueError(f"MLP: expected at least an input and an output size (sizes={sizes})")
        layers: list[nn.Module] = [nn.Flatten()]
        for i, (n, m) in enumerate(pairwise(sizes)):
            if i:
                layers += [nn.ReLU(), nn.Dropout(dropout)]
            layers.append(nn.Linear(n, m))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        return self.layers(x)
