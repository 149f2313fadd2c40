"""ImageNet ResNets: He, Zhang, Ren & Sun 2015, "Deep Residual Learning for Image Recognition", table 1.

input                     3@224x224
conv1   7x7, stride 2    64@112x112
        max 3x3 / 2      64@56x56
layer1  blocks           64@56x56
layer2  blocks, / 2     128@28x28
layer3  blocks, / 2     256@14x14
layer4  blocks, / 2     512@7x7
mean over places        512
fc                      classes

              blocks        parameters
ResNet-18   2, 2, 2, 2      11,689,512
ResNet-34   3, 4, 6, 3      21,797,672
ResNet-50   3, 4, 6, 3      25,557,032   bottlenecks: four times the maps after each layer

Where a block changes the size, its shortcut is a 1x1 convolution and a batch norm (option B). A bottleneck
takes its stride in the 3x3 convolution, as torchvision's does; the paper's takes it in the first 1x1, which
leaves three pixels of four unread. The state_dict's keys are torchvision's.
"""

from __future__ import annotations

from .. import nn
from ..engine.tensor import Tensor
from ..nn import init
from ..ops.activation import relu
from .images import expect_images

__all__ = ["BasicBlock", "Bottleneck", "ImageNetResNet", "resnet18", "resnet34", "resnet50"]


def conv(channels: int, filters: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Keeps height and width but for the stride; no bias, as a batch norm follows."""
    return nn.Conv2d(channels, filters, kernel, stride, padding=kernel // 2, bias=False)


def projection(channels: int, filters: int, stride: int) -> nn.Sequential | None:
    """The shortcut of a block that changes the size; None for x itself."""
    if stride == 1 and channels == filters:
        return None
    return nn.Sequential(conv(channels, filters, 1, stride), nn.BatchNorm2d(filters))


class BasicBlock(nn.Module):
    """relu(x + F(x)), F two 3x3 convolutions: (N, channels, H, W) -> (N, filters, H/stride, W/stride)."""

    expansion = 1

    def __init__(self, channels: int, filters: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(channels, filters, 3, stride), nn.BatchNorm2d(filters)
        self.conv2, self.bn2 = conv(filters, filters, 3), nn.BatchNorm2d(filters)
        self.downsample = projection(channels, filters, stride)

    def forward(self, x: Tensor) -> Tensor:
        """relu(shortcut(x) + F(x))."""
        y = relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return relu(y + (self.downsample(x) if self.downsample else x))


class Bottleneck(nn.Module):
    """relu(x + F(x)), F 1x1 to few maps, 3x3 on these, 1x1 to many: (N, channels, H, W) -> 4 filters maps."""

    expansion = 4

    def __init__(self, channels: int, filters: int, stride: int = 1) -> None:
        super().__init__()
        many = filters * self.expansion
        self.conv1, self.bn1 = conv(channels, filters, 1), nn.BatchNorm2d(filters)
        self.conv2, self.bn2 = conv(filters, filters, 3, stride), nn.BatchNorm2d(filters)
        self.conv3, self.bn3 = conv(filters, many, 1), nn.BatchNorm2d(many)
        self.downsample = projection(channels, many, stride)

    def forward(self, x: Tensor) -> Tensor:
        """relu(shortcut(x) + F(x))."""
        y = relu(self.bn1(self.conv1(x)))
        y = relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return relu(y + (self.downsample(x) if self.downsample else x))


class ImageNetResNet(nn.Module):
    """(N, 3, H, W) -> (N, classes) scores, H and W at least 32; 224 is the paper's.

    block: BasicBlock or Bottleneck. counts: the blocks of the four layers. width: the maps of the first,
    64 in the paper.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        counts: tuple[int, int, int, int],
        classes: int = 1000,
        width: int = 64,
    ) -> None:
        super().__init__()
        if len(counts) != 4 or min(counts) < 1 or width < 1:
            raise ValueError(
                f"ImageNetResNet: expected four numbers of blocks and a width, all >= 1 "
                f"(counts={counts}, width={width})"
            )
        self.conv1, self.bn1 = conv(3, width, 7, 2), nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.channels = width
        self.layer1 = self._layer(block, width, counts[0], 1)
        self.layer2 = self._layer(block, 2 * width, counts[1], 2)
        self.layer3 = self._layer(block, 4 * width, counts[2], 2)
        self.layer4 = self._layer(block, 8 * width, counts[3], 2)
        self.fc = nn.Linear(self.channels, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def _layer(self, block: type, filters: int, count: int, stride: int) -> nn.Sequential:
        """`count` blocks; the first changes the size."""
        blocks = []
        for i in range(count):
            blocks.append(block(self.channels, filters, stride if i == 0 else 1))
            self.channels = filters * block.expansion
        return nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        expect_images("ImageNetResNet", x, 3, 32)
        x = self.maxpool(relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def resnet18(classes: int = 1000) -> ImageNetResNet:
    """11,689,512 parameters for 1000 classes."""
    return ImageNetResNet(BasicBlock, (2, 2, 2, 2), classes)


def resnet34(classes: int = 1000) -> ImageNetResNet:
    """21,797,672 parameters for 1000 classes."""
    return ImageNetResNet(BasicBlock, (3, 4, 6, 3), classes)


def resnet50(classes: int = 1000) -> ImageNetResNet:
    """25,557,032 parameters for 1000 classes."""
    return ImageNetResNet(Bottleneck, (3, 4, 6, 3), classes)
