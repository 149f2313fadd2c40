"""CIFAR ResNets: He, Zhang, Ren & Sun 2015, "Deep Residual Learning for Image Recognition", section 4.2.

    conv 3x3, 16 -> n blocks of 16 -> n blocks of 32, first stride 2 -> n blocks of 64, first stride 2
    -> mean over all places -> linear;  6n + 2 layers

A block adds its input to what two 3x3 convolutions make of it. Where the size changes the shortcut takes
every second pixel and zeros for the new channels (the paper's option A), which has no parameters. So its
plain twin, the same network without shortcuts, has the same number of them:

layers          20         32         44         56          110
n                3          5          7          9           18
parameters  269,722    464,154    658,586    853,018    1,727,962
"""

from __future__ import annotations

from .. import nn
from ..engine.tensor import Tensor
from ..ops.activation import relu
from ..ops.pad import pad

__all__ = [
    "Block",
    "ResNet",
    "plain20",
    "plain32",
    "plain44",
    "plain56",
    "plain110",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "resnet110",
]


class Block(nn.Module):
    """x + conv(relu(conv(x))), each convolution followed by batch norm; without `x +` if not residual."""

    def __init__(self, channels: int, filters: int, stride: int, residual: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.stride, self.widen, self.residual = stride, filters - channels, residual

    def shortcut(self, x: Tensor) -> Tensor:
        """x itself, thinned and widened where the block changes the size."""
        if self.stride != 1:
            x = x[:, :, :: self.stride, :: self.stride]
        return pad(x, ((0, 0), (0, self.widen), (0, 0), (0, 0))) if self.widen else x

    def forward(self, x: Tensor) -> Tensor:
        """relu(shortcut(x) + F(x)), or relu(F(x))."""
        y = relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return relu(y + self.shortcut(x)) if self.residual else relu(y)


class ResNet(nn.Module):
    """(N, channels, H, W) -> (N, classes), 6n + 2 layers deep; residual=False is the plain twin."""

    def __init__(self, n: int = 3, channels: int = 3, classes: int = 10, residual: bool = True) -> None:
        super().__init__()
        if n < 1:
            raise ValueError(f"ResNet: expected a whole number >= 1 (n={n})")
        self.conv1, self.bn1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        blocks, before = [], 16
        for filters in (16, 32, 64):
            for i in range(n):
                blocks.append(Block(before, filters, 2 if filters > 16 and i == 0 else 1, residual))
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


def resnet32(channels: int = 3, classes: int = 10) -> ResNet:
    """ResNet-32: 464,154 parameters for three input channels and ten classes."""
    return ResNet(5, channels, classes)


def resnet44(channels: int = 3, classes: int = 10) -> ResNet:
    """ResNet-44: 658,586 parameters for three input channels and ten classes."""
    return ResNet(7, channels, classes)


def resnet56(channels: int = 3, classes: int = 10) -> ResNet:
    """ResNet-56: 853,018 parameters for three input channels and ten classes."""
    return ResNet(9, channels, classes)


def resnet110(channels: int = 3, classes: int = 10) -> ResNet:
    """ResNet-110: 1,727,962 parameters for three input channels and ten classes."""
    return ResNet(18, channels, classes)


def plain20(channels: int = 3, classes: int = 10) -> ResNet:
    """ResNet-20 without its shortcuts: 269,722 parameters as well."""
    return ResNet(3, channels, classes, residual=False)


def plain32(channels: int = 3, classes: int = 10) -> ResNet:
    """ResNet-32 without its shortcuts: 464,154 parameters as well."""
    return ResNet(5, channels, classes, residual=False)


def plain44(channels: int = 3, classes: int = 10) -> ResNet:
    """ResNet-44 without its shortcuts: 658,586 parameters as well."""
    return ResNet(7, channels, classes, residual=False)


def plain56(channels: int = 3, classes: int = 10) -> ResNet:
    """ResNet-56 without its shortcuts: 853,018 parameters as well."""
    return ResNet(9, channels, classes, residual=False)


def plain110(channels: int = 3, classes: int = 10) -> ResNet:
    """ResNet-110 without its shortcuts: 1,727,962 parameters as well."""
    return ResNet(18, channels, classes, residual=False)
