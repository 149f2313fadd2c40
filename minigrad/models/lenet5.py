"""LeNet-5: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-Based Learning Applied to Document Recognition".

input 1@32x32
C1  conv 5x5      6@28x28        156 parameters
S2  average 2x2   6@14x14
C3  conv 5x5     16@10x10      2,416
S4  average 2x2  16@5x5
C5  conv 5x5    120@1x1       48,120
F6  linear       84           10,164
output           10              850       61,706 in all
"""

from __future__ import annotations

from .. import nn
from ..engine.tensor import Tensor
from ..ops.trig import tanh


class ScaledTanh(nn.Module):
    """1.7159 tanh(2x/3): maps +-1 to +-1, where its curvature is largest (the paper's appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        """1.7159 tanh(2x/3)."""
        return tanh(x * (2.0 / 3.0)) * 1.7159


class LeNet5(nn.Module):
    """(N, 1, 32, 32) -> (N, 10) scores.

    Differs from the paper in three places: S2 and S4 are plain averages, without a trained coefficient
    and bias per map; C3 sees all six maps of S2, not the subsets of table I; the output is linear,
    for softmax cross-entropy, in place of Euclidean distances to fixed code vectors.
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.C1, self.S2 = nn.Conv2d(1, 6, 5), nn.AvgPool2d(2)
        self.C3, self.S4 = nn.Conv2d(6, 16, 5), nn.AvgPool2d(2)
        self.C5 = nn.Conv2d(16, 120, 5)
        self.F6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, classes)
        self.squash = ScaledTanh()

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the ten digits."""
        if x.ndim != 4 or x.shape[1:] != (1, 32, 32):
            raise ValueError(f"LeNet5: expected images (N, 1, 32, 32), got {x.shape}; pad or resize them")
        x = self.S2(self.squash(self.C1(x)))
        x = self.S4(self.squash(self.C3(x)))
        x = self.squash(self.C5(x)).flatten(1)
        return self.output(self.squash(self.F6(x)))
