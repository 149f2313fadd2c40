"""1-D ResNet: Hannun et al. 2019, "Cardiologist-level arrhythmia detection ... using a deep neural network".

    (N, 1, L) -> conv 16, 32 maps, batch norm, relu
              -> block 0: x + conv(dropout(relu(bn(conv(x)))))
              -> blocks 1 to 15: x + conv(dropout(relu(bn(conv(relu(bn(x)))))))
              -> batch norm, relu -> linear at every step -> (N, L / 256, classes)

1 + 16 * 2 = 33 convolutions of width 16 and one dense layer. Block i has 32 * 2^(i // 4) maps (32, 64, 128,
256), and every second block, 1, 3, ..., 15, halves the length: one answer for 256 samples, 1.28 s at 200 Hz.
Where the size changes the shortcut takes the largest of two samples, and zeros for the new channels.
For one label a record, as in the 2017 Challenge, the answers of all steps are averaged (`pooled=True`).
"""

from __future__ import annotations

from .. import nn
from ..engine.tensor import Tensor
from ..nn import functional as F
from ..ops.activation import relu
from ..ops.pad import pad

WIDTH, BLOCKS = 16, 16


def same(x: Tensor, stride: int) -> Tensor:
    """x bordered for a convolution of WIDTH, so that L becomes ceil(L / stride): more behind than before."""
    short = max((-(-x.shape[-1] // stride) - 1) * stride + WIDTH - x.shape[-1], 0)
    return pad(x, ((0, 0), (0, 0), (short // 2, short - short // 2)))


class Block1d(nn.Module):
    """(N, channels, L) -> (N, filters, ceil(L / stride)): shortcut(x) + F(x), norms first."""

    def __init__(self, channels: int, filters: int, stride: int, dropout: float, first: bool) -> None:
        super().__init__()
        self.bn1 = None if first else nn.BatchNorm1d(channels)
        self.conv1 = nn.Conv1d(channels, filters, WIDTH, stride)
        self.bn2 = nn.BatchNorm1d(filters)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv1d(filters, filters, WIDTH)
        self.stride, self.widen = stride, filters - channels

    def shortcut(self, x: Tensor) -> Tensor:
        """x itself, shortened and widened where the block changes the size."""
        if self.stride > 1:
            x = F.max_pool1d(x, self.stride, ceil_mode=True)
        return pad(x, ((0, 0), (0, self.widen), (0, 0))) if self.widen else x

    def forward(self, x: Tensor) -> Tensor:
        """shortcut(x) + F(x)."""
        y = x if self.bn1 is None else relu(self.bn1(x))
        y = relu(self.bn2(self.conv1(same(y, self.stride))))
        return self.shortcut(x) + self.conv2(same(self.dropout(y), 1))


class ResNet1d(nn.Module):
    """(N, 1, L) -> (N, ceil(L / 256), classes), or (N, classes), their mean, if pooled.

    10,468,204 parameters for 12 rhythms. `width` scales the maps down for a small machine.
    """

    def __init__(
        self, classes: int = 12, width: int = 32, dropout: float = 0.2, pooled: bool = False
    ) -> None:
        super().__init__()
        self.pooled = pooled
        self.conv, self.bn = nn.Conv1d(1, width, WIDTH), nn.BatchNorm1d(width)
        blocks, before = [], width
        for i in range(BLOCKS):
            filters = width * 2 ** (i // 4)
            blocks.append(Block1d(before, filters, 2 if i % 2 else 1, dropout, first=i == 0))
            before = filters
        self.blocks, self.bn_last = nn.Sequential(*blocks), nn.BatchNorm1d(before)
        self.fc = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of every 256 samples, or of the record."""
        if x.ndim != 3 or x.shape[1] != 1:
            raise ValueError(f"ResNet1d: expected signals (N, 1, L), got {x.shape}; add an axis")
        x = self.blocks(relu(self.bn(self.conv(same(x, 1)))))
        scores = self.fc(relu(self.bn_last(x)).swapaxes(1, 2))
        return scores.mean(1) if self.pooled else scores
