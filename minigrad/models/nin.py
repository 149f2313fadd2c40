"""Network in network: Lin, Chen & Yan 2013, "Network In Network"; and maps that show where a class is.

input                                              3@32x32
mlpconv1  5x5 to 192, 1x1 to 160, 1x1 to 96       96@32x32     60,928 parameters
          max 3x3 / 2, dropout                    96@16x16
mlpconv2  5x5 to 192, 1x1 to 192, 1x1 to 192     192@16x16    535,104
          mean 3x3 / 2, dropout                  192@8x8
mlpconv3  3x3 to 192, 1x1 to 192, 1x1 to 10       10@8x8      370,954
          mean over all places                    10                       966,986 in all

A 1x1 convolution is a linear layer at every place: with ReLU a small network slides over the image instead
of a linear filter. One last map a class, its mean the score: nothing is left to overfit, and the map shows
where the evidence for its class lies.

Zhou, Khosla, Lapedriza, Oliva & Torralba 2016, "Learning Deep Features for Discriminative Localization",
keep a linear layer between means and scores: CAMNet. As a mean of sums is a sum of means, its maps weighted
by a class's row average to the score, less the bias: minigrad.inspect.class_activation_map.
"""

from __future__ import annotations

from .. import nn
from ..engine.tensor import Tensor
from .images import expect_images, he_start

__all__ = ["NIN", "CAMNet"]


def mlpconv(channels: int, kernel: int, widths: tuple[int, int, int], last: bool = False) -> nn.Sequential:
    """A convolution and two 1x1 convolutions, each with ReLU, but for the very last of the network."""
    first, second, third = widths
    layers = [
        nn.Conv2d(channels, first, kernel, padding=kernel // 2), nn.ReLU(),
        nn.Conv2d(first, second, 1), nn.ReLU(),
        nn.Conv2d(second, third, 1),
    ]  # fmt: skip
    return nn.Sequential(*layers) if last else nn.Sequential(*layers, nn.ReLU())


class NIN(nn.Module):
    """(N, channels, H, W) -> (N, classes) scores, for images of at least 8x8; the paper's have 32x32.

    width: the maps of the widest layers, 192 in the paper; the others are in proportion.
    The last layer has no ReLU here, so that scores may be negative, and so training does not begin with
    scores that are stuck at 0.
    """

    def __init__(self, channels: int = 3, classes: int = 10, dropout: float = 0.5, width: int = 192) -> None:
        super().__init__()
        if width < 2:
            raise ValueError(f"NIN: expected a whole number >= 2 (width={width})")
        self.channels = channels
        self.mlpconv1 = mlpconv(channels, 5, (width, width * 5 // 6, width // 2))
        self.mlpconv2 = mlpconv(width // 2, 5, (width, width, width))
        self.mlpconv3 = mlpconv(width, 3, (width, width, classes), last=True)
        self.pool1, self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True), nn.AvgPool2d(3, 2, ceil_mode=True)
        self.drop = nn.Dropout(dropout)
        he_start(self)

    def class_maps(self, x: Tensor) -> Tensor:
        """(N, classes, H/4, W/4): one map a class, whose mean is its score."""
        expect_images("NIN", x, self.channels, 8)
        x = self.drop(self.pool1(self.mlpconv1(x)))
        x = self.drop(self.pool2(self.mlpconv2(x)))
        return self.mlpconv3(x)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        return self.class_maps(x).mean((2, 3))


def _stage(before: int, after: int) -> list[nn.Module]:
    """Two 3x3 convolutions, each with batch norm and ReLU."""
    sizes = (before, after), (after, after)
    return [
        layer
        for n, m in sizes
        for layer in (nn.Conv2d(n, m, 3, padding=1, bias=False), nn.BatchNorm2d(m), nn.ReLU())
    ]


class CAMNet(nn.Module):
    """(N, channels, H, W) -> (N, classes): convolutions, means over places, one linear layer.

    Three stages of two 3x3 convolutions with batch norm, `width` times 1, 2, 4 maps; the first two end in
    2x2 maxima, so that maps are a quarter as high and wide as images: (N, 4 width, H/4, W/4).

    >>> import minigrad as mg
    >>> from minigrad import inspect
    >>> from minigrad.models import CAMNet
    >>> net, x = CAMNet(width=4).eval(), mg.randn(2, 1, 20, 20)
    >>> heat = inspect.class_activation_map(net, x, target=7)
    >>> heat.shape, mg.allclose(heat.mean((1, 2)) + net.fc.bias[7], net(x)[:, 7], atol=1e-6)
    ((2, 5, 5), True)
    """

    def __init__(self, channels: int = 1, classes: int = 10, width: int = 16) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"CAMNet: expected a whole number >= 1 (width={width})")
        self.channels = channels
        stages = [(channels, width), (width, 2 * width), (2 * width, 4 * width)]
        one, two, three = (_stage(before, after) for before, after in stages)
        self.features = nn.Sequential(*one, nn.MaxPool2d(2), *two, nn.MaxPool2d(2), *three)
        he_start(self.features)
        self.fc = nn.Linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        expect_images("CAMNet", x, self.channels, 4)
        return self.fc(self.features(x).mean((2, 3)))
