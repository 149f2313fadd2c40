"""Siamese: Koch, Zemel & Salakhutdinov 2015, "Siamese Neural Networks for One-shot Image Recognition".

    image (N, 1, 105, 105)
    conv 10x10,  64   96x96 -> max pool 2 -> 48x48         6,464 parameters
    conv 7x7,   128   42x42 -> max pool 2 -> 21x21       401,536
    conv 4x4,   128   18x18 -> max pool 2 ->  9x9        262,272
    conv 4x4,   256   6x6                                524,544
    dense 9,216 -> 4,096, sigmoid                     37,752,832    the embedding h
    score of a pair = sum_j alpha_j |h1_j - h2_j| + b      4,097    38,951,745 in all

Both images pass through the same weights, and |.| is symmetric, so the order of a pair does not matter.
A new class is then known from one example: the query goes to the example with the largest score.
"""

from __future__ import annotations

from .. import nn
from ..engine.tensor import Tensor
from ..ops.activation import sigmoid
from ..ops.elementwise import abs as absolute


class Siamese(nn.Module):
    """Two images (N, 1, S, S) each -> (N,) scores: > 0 where they are of one class (a logit, for BCE).

    width scales the maps, embedding the dense layer, size the images, from the paper's 64, 4,096 and 105.
    """

    def __init__(self, size: int = 105, width: int = 64, embedding: int = 4096) -> None:
        super().__init__()
        side = (((size - 9) // 2 - 6) // 2 - 3) // 2 - 3
        if side < 1:
            raise ValueError(f"Siamese: expected images of at least 65 pixels a side (size={size})")
        self.size = size
        self.maps = nn.Sequential(
            *(nn.Conv2d(1, width, 10), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(width, 2 * width, 7), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(2 * width, 2 * width, 4), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(2 * width, 4 * width, 4), nn.ReLU()),
        )
        self.dense = nn.Linear(4 * width * side * side, embedding)
        self.alpha = nn.Linear(embedding, 1)

    def embed(self, x: Tensor) -> Tensor:
        """(N, 1, S, S) -> (N, embedding), between 0 and 1."""
        if x.ndim != 4 or x.shape[1:] != (1, self.size, self.size):
            raise ValueError(
                f"Siamese: expected images (N, 1, {self.size}, {self.size}), got {x.shape}; resize them"
            )
        return sigmoid(self.dense(self.maps(x).flatten(1)))

    def compare(self, h1: Tensor, h2: Tensor) -> Tensor:
        """Scores of embeddings (N, E), broadcast: (N, 1, E) with (M, E) gives all pairs (N, M)."""
        return self.alpha(absolute(h1 - h2)).squeeze(-1)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Scores of the pairs."""
        return self.compare(self.embed(x1), self.embed(x2))

    def one_shot(self, queries: Tensor, examples: Tensor) -> Tensor:
        """(N,) which of the M examples, one a class, each query is most like."""
        return self.compare(self.embed(queries)[:, None], self.embed(examples)).argmax(1)
