"""PointNet: Qi, Su, Mo & Guibas 2017, "PointNet: Deep Learning on Point Sets for 3D Classification".

    points (B, P, 3)
    input transform     T-Net -> a 3x3 matrix, multiplied to every point     801,097 parameters
    shared MLP          3 -> 64 -> 64
    feature transform   T-Net -> a 64x64 matrix                            1,855,360
    shared MLP          64 -> 64 -> 128 -> 1024
    max over points     (B, 1024): the global feature
    MLP                 1024 -> 512 -> 256 (dropout 0.3) -> k              3,473,969 in all for k = 40

A shared MLP is the same dense layers for each point, with batch norm over all points of the batch.
The maximum knows no order, so the output is the same for any order of the points: exactly, but for the
roundings of the matrix products, which may depend on the row where a point stands. The points that supply
the maxima (at most 1,024, `critical`) alone decide the class.

A T-Net is a small PointNet that begins at the identity. The 64x64 one is kept near the orthogonal matrices by
0.001 |I - A A^T|^2 (`regulariser`), added to the loss.

`width`, 64 in the paper, scales every hidden layer: width 16 needs about a sixteenth of the work.
"""

from __future__ import annotations

from itertools import pairwise

from .. import nn
from ..engine.tensor import Tensor
from ..nn import init
from ..ops.create import eye
from ..ops.reduce import argmax
from ..ops.reduce import max as max_of


def shared_mlp(*sizes: int) -> nn.Sequential:
    """Linear, batch norm and ReLU in turn: (R, sizes[0]) -> (R, sizes[-1]), every row by itself."""
    layers: list[nn.Module] = []
    for n, m in pairwise(sizes):
        layers += [nn.Linear(n, m, bias=False), nn.BatchNorm1d(m), nn.ReLU()]
    return nn.Sequential(*layers)


def each_point(mlp: nn.Module, x: Tensor) -> Tensor:
    """A shared MLP on (B, P, C): points of all clouds as rows, and back."""
    rows = mlp(x.reshape(-1, x.shape[-1]))
    return rows.reshape(*x.shape[:2], rows.shape[-1])


class TNet(nn.Module):
    """(B, P, k) -> (B, k, k), the identity at first."""

    def __init__(self, k: int, width: int = 64) -> None:
        super().__init__()
        self.k = k
        self.points = shared_mlp(k, width, 2 * width, 16 * width)
        self.cloud = shared_mlp(16 * width, 8 * width, 4 * width)
        self.matrix = nn.Linear(4 * width, k * k)
        init.zeros_(self.matrix.weight)
        self.matrix.bias = nn.Parameter(eye(k).reshape(-1))

    def forward(self, x: Tensor) -> Tensor:
        """A matrix for each cloud."""
        h = max_of(each_point(self.points, x), 1)
        return self.matrix(self.cloud(h)).reshape(-1, self.k, self.k)


class PointNet(nn.Module):
    """(B, P, dims) -> (B, classes) scores, for any number P of points in any order.

    Differs from the paper's program in two things: `dims`, 3 there, is 2 for points in a plane; and layers
    before a batch norm have no bias, which the norm would take away.
    After a call `transform` holds the width x width matrices, of which `regulariser()` is taken.
    """

    def __init__(self, classes: int = 40, dims: int = 3, dropout: float = 0.3, width: int = 64) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"PointNet: expected a whole number >= 1 (width={width})")
        self.dims = dims
        self.input_transform, self.feature_transform = TNet(dims, width), TNet(width, width)
        self.mlp1, self.mlp2 = (
            shared_mlp(dims, width, width),
            shared_mlp(width, width, 2 * width, 16 * width),
        )
        self.head = shared_mlp(16 * width, 8 * width, 4 * width)
        self.dropout, self.output = nn.Dropout(dropout), nn.Linear(4 * width, classes)
        self.transform: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the clouds."""
        h = max_of(self.features(x), 1)
        return self.output(self.dropout(self.head(h)))

    def features(self, x: Tensor) -> Tensor:
        """(B, P, 16 width): each point's features, before the maximum."""
        if x.ndim != 3 or x.shape[-1] != self.dims or 0 in x.shape:
            raise ValueError(f"PointNet: expected points (B, P, {self.dims}), got {x.shape}; stack them so")
        x = each_point(self.mlp1, x @ self.input_transform(x))
        self.transform = self.feature_transform(x)
        return each_point(self.mlp2, x @ self.transform)

    def critical(self, x: Tensor) -> Tensor:
        """(B, 16 width): which point supplies the maximum of each feature."""
        return argmax(self.features(x), 1)

    def regulariser(self) -> Tensor:
        """|I - A A^T|^2 of the last call's matrices of features, the mean over clouds."""
        if self.transform is None:
            raise ValueError("PointNet: expected a call before regulariser()")
        a = self.transform
        gap = eye(a.shape[-1], device=a.device, dtype=a.dtype) - a @ a.swapaxes(1, 2)
        return (gap * gap).sum((1, 2)).mean()
