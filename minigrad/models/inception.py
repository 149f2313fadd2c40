"""GoogLeNet: Szegedy, Liu, Jia et al. 2014, "Going Deeper with Convolutions", table 1.

input                                      3@224x224
conv 7x7 / 2, max 3x3 / 2, LRN            64@56x56
conv 1x1, conv 3x3, LRN, max 3x3 / 2     192@28x28
3a, 3b, max 3x3 / 2                      480@14x14
4a to 4e, max 3x3 / 2                    832@7x7      4a and 4d also feed an auxiliary classifier each
5a, 5b, mean over places                1024
dropout, linear                      classes          6,998,552 parameters; with both classifiers 13,378,280

An Inception module looks at one place with windows of several sizes and joins what they see:

    naive                                     reduced
    x -> 1x1 ------------+                    x -> 1x1 ------------------+
      -> 3x3 ------------+- joined              -> 1x1 few -> 3x3 -------+- joined
      -> 5x5 ------------+                      -> 1x1 few -> 5x5 -------+
      -> max 3x3 --------+                      -> max 3x3 -> 1x1 -------+

The naive module's cost and width grow from module to module; a 1x1 convolution before each large window,
and one after the maximum, hold both. On 3a: 303,464,448 multiplications naive, 128,049,152 reduced.
"""

from __future__ import annotations

from typing import NamedTuple

from .. import nn
from ..engine.tensor import Tensor
from ..nn import functional as F
from ..ops.shape import concatenate
from .images import expect_images, he_start

__all__ = [
    "Auxiliary",
    "GoogLeNet",
    "Inception",
    "MiniGoogLeNet",
    "NaiveInception",
    "Scores",
    "auxiliary_loss",
]

# Table 1, a module a row: 1x1; 3x3 reduce, 3x3; 5x5 reduce, 5x5; after the maximum.
TABLE = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


def conv(channels: int, filters: int, kernel: int, stride: int = 1, norm: bool = False) -> nn.Sequential:
    """A convolution that keeps height and width but for the stride, batch norm if asked for, ReLU."""
    layer = nn.Conv2d(channels, filters, kernel, stride, padding=kernel // 2, bias=not norm)
    return nn.Sequential(layer, *[nn.BatchNorm2d(filters)] * norm, nn.ReLU())


class NaiveInception(nn.Module):
    """(N, channels, H, W) -> (N, ones + threes + fives + channels, H, W): the paper's figure 2a."""

    def __init__(self, channels: int, ones: int, threes: int, fives: int, norm: bool = False) -> None:
        super().__init__()
        self.branch1 = conv(channels, ones, 1, norm=norm)
        self.branch2 = conv(channels, threes, 3, norm=norm)
        self.branch3 = conv(channels, fives, 5, norm=norm)
        self.branch4 = nn.MaxPool2d(3, 1, padding=1)
        self.out_channels = ones + threes + fives + channels

    def forward(self, x: Tensor) -> Tensor:
        """The four branches' maps, joined."""
        return concatenate([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)

    def multiplications(self, height: int, width: int) -> int:
        """Of one image: a product for each weight of a convolution, at each place."""
        return height * width * window_weights(self)


class Inception(nn.Module):
    """(N, channels, H, W) -> (N, ones + threes + fives + pooled, H, W): figure 2b, with 1x1 reductions."""

    def __init__(
        self,
        channels: int,
        ones: int,
        reduce3: int,
        threes: int,
        reduce5: int,
        fives: int,
        pooled: int,
        norm: bool = False,
    ) -> None:
        super().__init__()
        self.branch1 = conv(channels, ones, 1, norm=norm)
        self.branch2 = nn.Sequential(
            conv(channels, reduce3, 1, norm=norm), conv(reduce3, threes, 3, norm=norm)
        )
        self.branch3 = nn.Sequential(
            conv(channels, reduce5, 1, norm=norm), conv(reduce5, fives, 5, norm=norm)
        )
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv(channels, pooled, 1, norm=norm))
        self.out_channels = ones + threes + fives + pooled

    def forward(self, x: Tensor) -> Tensor:
        """The four branches' maps, joined."""
        return concatenate([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)

    def multiplications(self, height: int, width: int) -> int:
        """Of one image: a product for each weight of a convolution, at each place."""
        return height * width * window_weights(self)


def window_weights(module: nn.Module) -> int:
    """The weights of a module's convolutions, biases not counted."""
    return sum(layer.weight.size for layer in module.modules() if isinstance(layer, nn.Conv2d))


class Scores(NamedTuple):
    """What a network with auxiliary classifiers gives in training; each (N, classes)."""

    main: Tensor
    aux1: Tensor
    aux2: Tensor


def auxiliary_loss(scores: Tensor | Scores, labels: Tensor, weight: float = 0.3) -> Tensor:
    """Cross-entropy of the main scores + weight (that of the first + that of the second auxiliary ones).

    Section 5: the auxiliary classifiers bring a gradient to the middle of the network; 0.3 is the paper's
    weight. In eval mode there is only one Tensor of scores, and its cross-entropy is the loss.
    """
    if isinstance(scores, Tensor):
        return F.cross_entropy(scores, labels)
    main, first, second = (F.cross_entropy(s, labels) for s in scores)
    return main + weight * (first + second)


class Auxiliary(nn.Module):
    """(N, channels, 14, 14) -> (N, classes): mean 5x5 / 3, 1x1 convolution to 128, 1024 units, dropout."""

    def __init__(self, channels: int, classes: int, dropout: float = 0.7) -> None:
        super().__init__()
        self.pool, self.conv = nn.AvgPool2d(5, 3), conv(channels, 128, 1)
        self.fc1, self.fc2 = nn.Linear(128 * 4 * 4, 1024), nn.Linear(1024, classes)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        x = self.conv(self.pool(x)).flatten(1)  # (N, 128, 4, 4)
        return self.fc2(self.drop(F.relu(self.fc1(x))))


class GoogLeNet(nn.Module):
    """(N, 3, 224, 224) -> Scores in training, the main scores (N, classes) in eval mode or if not aux."""

    def __init__(self, classes: int = 1000, aux: bool = True, dropout: float = 0.4) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = conv(3, 64, 7, 2), conv(64, 64, 1), conv(64, 192, 3)
        self.norm = nn.LocalResponseNorm(5)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        for name, widths in TABLE.items():
            setattr(self, f"inception{name}", Inception(*widths))
        self.aux1 = Auxiliary(512, classes) if aux else None
        self.aux2 = Auxiliary(528, classes) if aux else None
        self.drop, self.fc = nn.Dropout(dropout), nn.Linear(1024, classes)
        he_start(self)

    def forward(self, x: Tensor) -> Tensor | Scores:
        """Scores: main, after 4a, after 4d; or the main ones."""
        expect_images("GoogLeNet", x, 3, 224, 224)
        x = self.norm(self.pool(self.conv1(x)))
        x = self.pool(self.norm(self.conv3(self.conv2(x))))
        x = self.pool(self.inception3b(self.inception3a(x)))
        early = self.inception4a(x)
        late = self.inception4d(self.inception4c(self.inception4b(early)))
        x = self.pool(self.inception4e(late))
        x = self.inception5b(self.inception5a(x))
        main = self.fc(self.drop(x.mean((2, 3))))
        if self.aux1 is None or not self.training:
            return main
        return Scores(main, self.aux1(early), self.aux2(late))


class MiniGoogLeNet(nn.Module):
    """For small images, (N, channels, 32, 32) -> Scores in training, (N, classes) in eval mode or if not aux.

    conv 3x3            64@32x32
    a, b, max 3x3 / 2  128@16x16    b feeds the first auxiliary classifier, before its maximum
    c, d, max 3x3 / 2  256@8x8      d the second
    e, f, mean         320

    Modules of the paper's shape with batch norm; an auxiliary classifier is a mean over places and a linear
    layer. 626,462 parameters with both. `width` are the maps of the stem, 64 above, and scales all others.
    """

    # A module a row as in TABLE, for a stem of 64.
    table = {
        "a": (64, 32, 32, 48, 8, 16, 16),
        "b": (112, 32, 48, 64, 8, 16, 16),
        "c": (128, 64, 64, 96, 16, 32, 32),
        "d": (224, 64, 64, 128, 16, 32, 32),
        "e": (256, 96, 64, 128, 16, 32, 32),
        "f": (288, 96, 80, 160, 16, 32, 32),
    }

    def __init__(
        self, channels: int = 3, classes: int = 10, aux: bool = True, dropout: float = 0.2, width: int = 64
    ) -> None:
        super().__init__()
        if width < 8 or width % 8:
            raise ValueError(f"MiniGoogLeNet: expected a multiple of 8 (width={width})")
        self.channels = channels
        self.stem = conv(channels, width, 3, norm=True)
        for name, widths in self.table.items():
            setattr(self, name, Inception(*[w * width // 64 for w in widths], norm=True))
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.aux1 = nn.Linear(2 * width, classes) if aux else None
        self.aux2 = nn.Linear(4 * width, classes) if aux else None
        self.drop, self.fc = nn.Dropout(dropout), nn.Linear(5 * width, classes)
        he_start(self)

    def forward(self, x: Tensor) -> Tensor | Scores:
        """Scores: main, after b, after d; or the main ones."""
        expect_images("MiniGoogLeNet", x, self.channels, 32, 32)
        early = self.b(self.a(self.stem(x)))
        late = self.d(self.c(self.pool(early)))
        x = self.f(self.e(self.pool(late)))
        main = self.fc(self.drop(x.mean((2, 3))))
        if self.aux1 is None or not self.training:
            return main
        return Scores(main, self.aux1(early.mean((2, 3))), self.aux2(late.mean((2, 3))))
