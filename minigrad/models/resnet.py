"""CIFAR ResNets: He, Zhang, Ren & Sun 2015, "Deep Residual Learning for Image Recognition", section 4.2.

    conv 3x3, 16 -> n blocks of 16 -> n blocks of 32, first stride 2 -> n blocks of 64, first stride 2
    -> mean over all places -> linear;  6n + 2 layers

A block adds its input to what two 3x3 convolutions make of it. Where the size changes the shortcut takes
every second pixel and zeros for the new channels (the paper's option A), which has no parameters.
"""

from __future__ import annotations

from .. import nn
from ..engine.tensor import Tensor
from ..ops.activation import relu
from ..ops.pad import pad


class Block(nn.Module):
    """x + conv(relu(conv(x))), each convolution followed by batch norm."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.stride, self.widen = stride, filters - channels

    def shortcut(self, x: Tensor) -> Tensor:
        """x itself, thinned and widened where the block changes the size."""
        if self.stride != 1:
            x = x[:, :, :: self.stride, :: self.stride]
        return pad(x, ((0, 0), (0, self.widen), (0, 0), (0, 0))) if self.widen else x

    def forward(self, x: Tensor) -> Tensor:
        """relu(shortcut(x) + F(x))."""
        y = relu(self.bn1(self.conv1(x)))
        return relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """(N, channels, H, W) -> (N, classes), 6n + 2 layers deep."""

    def __init__(self, n: int = 3, channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        if n < 1:
            raise ValueError(f"ResNet: expected a whole number >= 1 (n={n})")
        self.conv1, self.bn1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        blocks, before = [], 16
        for filters in (16, 32, 64):
            for i in range(n):
                blocks.append(Block(before, filters, 2 if filters > 16 and i == 0 else 1))
                before = filters
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        x = self.blocks(relu(self.bn1(self.conv1(x))))
        return self.fc(x.mean((2, 3)))


def resnet20(channels: int = 3, classes: int = 10) -> ResNet:
    """ResNet-20: 269,722 parameters for three input channels and ten classes."""
    return ResNet(3, channels, classes)
