"""FCN: Wang, Yan & Oates 2017, "Time Series Classification from Scratch with Deep Neural Networks".

    (N, C, L) -> conv 8, 128 -> conv 5, 256 -> conv 3, 128, each with batch norm and ReLU, length kept
              -> mean over time -> linear;  ECG5000 (C = 1, 5 classes): 265,349 parameters

No pooling before the mean, so any length is taken, and a class's weights times the maps say where in time it
was seen (class activation map).
"""

from __future__ import annotations

from .. import nn
from ..engine.tensor import Tensor


def conv_block(channels: int, filters: int, size: int) -> list[nn.Module]:
    """Convolution of the same length, batch norm, ReLU."""
    return [nn.Conv1d(channels, filters, size, padding="same"), nn.BatchNorm1d(filters), nn.ReLU()]


class FCN1d(nn.Module):
    """(N, channels, L) -> (N, classes) scores, for any length L."""

    def __init__(self, channels: int = 1, classes: int = 5) -> None:
        super().__init__()
        self.channels = channels
        self.maps = nn.Sequential(
            *conv_block(channels, 128, 8), *conv_block(128, 256, 5), *conv_block(256, 128, 3)
        )
        self.fc = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        if x.ndim != 3 or x.shape[1] != self.channels:
            raise ValueError(f"FCN1d: expected signals (N, {self.channels}, L), got {x.shape}; add an axis")
        return self.fc(self.maps(x).mean(2))

    def class_maps(self, x: Tensor) -> Tensor:
        """(N, classes, L): what each moment says for each class; their mean plus bias is the score."""
        return self.fc.weight @ self.maps(x)
