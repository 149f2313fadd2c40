"""AlexNet: Krizhevsky, Sutskever & Hinton 2012, "ImageNet Classification with Deep Convolutional Networks".

input      3@227x227
conv1   11x11, stride 4            96@55x55       34,944 parameters
        ReLU, LRN, max 3x3 / 2     96@27x27
conv2     5x5, two groups         256@27x27      307,456
        ReLU, LRN, max 3x3 / 2    256@13x13
conv3     3x3                     384@13x13      885,120
conv4     3x3, two groups         384@13x13      663,936
conv5     3x3, two groups         256@13x13      442,624
        ReLU, max 3x3 / 2         256@6x6
fc6     dropout, linear, ReLU    4096         37,752,832
fc7     dropout, linear, ReLU    4096         16,781,312
fc8     linear                   1000          4,097,000       60,965,224 in all

The two groups were two GPUs: maps of one half see only maps of the same half, but for conv3.
"""

from __future__ import annotations

from .. import nn
from ..engine.tensor import Tensor
from ..nn import init
from ..ops.activation import relu
from .images import expect_images, he_start

__all__ = ["AlexNet", "AlexNet32"]


def brightness_norm() -> nn.LocalResponseNorm:
    """Section 3.3: k = 2, n = 5, beta = 0.75, alpha = 1e-4 on a sum; our layer has a mean, so 5 alpha."""
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


class AlexNet(nn.Module):
    """(N, 3, 227, 227) -> (N, classes) scores.

    The paper's figure says 224, with which 11x11 windows 4 apart do not come out at 55; 227 does.
    """

    def __init__(self, classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.channels, self.pixels = 3, 227
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        self.norm, self.pool, self.drop = brightness_norm(), nn.MaxPool2d(3, 2), nn.Dropout(dropout)
        self.fc6 = nn.Linear(256 * 6 * 6, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Section 5: weights from N(0, 0.01^2); biases 1 where they feed the ReLUs of conv2, 4, 5, fc6, 7."""
        for name, layer in self.named_children():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                init.normal_(layer.weight, 0.0, 0.01)
                init.constant_(layer.bias, float(name in ("conv2", "conv4", "conv5", "fc6", "fc7")))

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, 227, 227) -> (N, 256, 6, 6): the five convolutions."""
        x = self.pool(self.norm(relu(self.conv1(x))))
        x = self.pool(self.norm(relu(self.conv2(x))))
        x = relu(self.conv4(relu(self.conv3(x))))
        return self.pool(relu(self.conv5(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        expect_images(type(self).__name__, x, self.channels, self.pixels, self.pixels)
        x = self.features(x).flatten(1)
        x = relu(self.fc6(self.drop(x)))
        x = relu(self.fc7(self.drop(x)))
        return self.fc8(x)


class AlexNet32(AlexNet):
    """A cut for small images, (N, channels, 32, 32) -> (N, classes): 4,980,554 parameters.

    The same layers in the same order; conv1 is 5x5 with stride 1 in place of 11x11 with stride 4, the maps
    are `width` times 1, 3, 6, 4, 4, of 32, 15, 7, 7, 7 pixels across, and fc6 and fc7 have 16 width units.
    Weights begin as He et al. 2015: the paper's deviation of 0.01 is for its fan-ins, up to four times these.
    """

    def __init__(self, channels: int = 3, classes: int = 10, dropout: float = 0.5, width: int = 64) -> None:
        nn.Module.__init__(self)
        if width < 2 or width % 2:
            raise ValueError(f"AlexNet32: expected an even number >= 2, for two groups (width={width})")
        self.channels, self.pixels = channels, 32
        self.conv1 = nn.Conv2d(channels, width, 5, padding=2)
        self.conv2 = nn.Conv2d(width, 3 * width, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(3 * width, 6 * width, 3, padding=1)
        self.conv4 = nn.Conv2d(6 * width, 4 * width, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(4 * width, 4 * width, 3, padding=1, groups=2)
        self.norm, self.pool, self.drop = brightness_norm(), nn.MaxPool2d(3, 2), nn.Dropout(dropout)
        self.fc6 = nn.Linear(4 * width * 3 * 3, 16 * width)
        self.fc7 = nn.Linear(16 * width, 16 * width)
        self.fc8 = nn.Linear(16 * width, classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The start of networks with ReLU."""
        he_start(self)
