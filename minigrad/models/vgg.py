"""VGG: Simonyan & Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition".

Nothing but 3x3 convolutions with ReLU and 2x2 maxima: two 3x3 see 5x5, three see 7x7, with fewer weights.
Configuration D, VGG-16:

input                      3@224x224
2 x conv 3x3, max 2x2     64@112x112        38,720 parameters
2 x conv 3x3, max 2x2    128@56x56         221,440
3 x conv 3x3, max 2x2    256@28x28       1,475,328
3 x conv 3x3, max 2x2    512@14x14       5,899,776
3 x conv 3x3, max 2x2    512@7x7         7,079,424
linear, ReLU, dropout   4096           102,764,544
linear, ReLU, dropout   4096            16,781,312
linear                  1000             4,097,000       138,357,544 in all
"""

from __future__ import annotations

from .. import nn
from ..engine.tensor import Tensor
from .images import expect_images, he_start

__all__ = ["VGG", "NarrowVGG", "vgg11", "vgg13", "vgg16", "vgg19"]

# Convolutions before each of the five maxima: table 1's columns A, B, D and E, by layers with weights.
CONFIGURATIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def stages(channels: int, widths: tuple[int, ...], counts: tuple[int, ...], norm: bool) -> nn.Sequential:
    """(N, channels, H, W) -> (N, widths[-1], H/2^k, W/2^k), k stages of convolutions and a maximum each."""
    layers: list[nn.Module] = []
    for width, count in zip(widths, counts, strict=True):
        for _ in range(count):
            layers.append(nn.Conv2d(channels, width, 3, padding=1))
            layers += [nn.BatchNorm2d(width)] * norm + [nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def configuration(name: str, depth: int) -> tuple[int, ...]:
    """The counts of one column of table 1."""
    if depth not in CONFIGURATIONS:
        raise ValueError(f"{name}: expected 11, 13, 16 or 19 layers with weights (depth={depth!r})")
    return CONFIGURATIONS[depth]


class VGG(nn.Module):
    """(N, 3, H, W) -> (N, classes) scores, H and W at least 32; 224 is the paper's.

    norm: batch norm after each convolution, which the paper (a year older) has not. Maps of another size than
    7x7 are averaged into 7x7. The state_dict's keys are torchvision's.
    """

    def __init__(
        self, depth: int = 16, classes: int = 1000, dropout: float = 0.5, norm: bool = False
    ) -> None:
        super().__init__()
        self.features = stages(3, (64, 128, 256, 512, 512), configuration("VGG", depth), norm)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(4096, classes),
        )  # fmt: skip
        he_start(self)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        expect_images("VGG", x, 3, 32)
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class NarrowVGG(nn.Module):
    """(N, channels, 32, 32) -> (N, classes): VGG's convolutions with `width` times 1, 2, 4, 8, 8 maps.

    For small images: batch norm, and one linear layer on the last pixel in place of three. 3,686,954
    parameters at width 32, a quarter of the paper's convolutions at half its width.
    """

    def __init__(
        self, channels: int = 3, classes: int = 10, width: int = 32, dropout: float = 0.5, depth: int = 16
    ) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"NarrowVGG: expected a whole number >= 1 (width={width})")
        self.channels = channels
        widths = (width, 2 * width, 4 * width, 8 * width, 8 * width)
        self.features = stages(channels, widths, configuration("NarrowVGG", depth), norm=True)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(8 * width, classes))
        he_start(self)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        expect_images("NarrowVGG", x, self.channels, 32, 32)
        return self.classifier(self.features(x).flatten(1))


def vgg11(classes: int = 1000, norm: bool = False) -> VGG:
    """Configuration A: 132,863,336 parameters without batch norm."""
    return VGG(11, classes, norm=norm)


def vgg13(classes: int = 1000, norm: bool = False) -> VGG:
    """Configuration B: 133,047,848 parameters without batch norm."""
    return VGG(13, classes, norm=norm)


def vgg16(classes: int = 1000, norm: bool = False) -> VGG:
    """Configuration D: 138,357,544 parameters without batch norm."""
    return VGG(16, classes, norm=norm)


def vgg19(classes: int = 1000, norm: bool = False) -> VGG:
    """Configuration E: 143,667,240 parameters without batch norm."""
    return VGG(19, classes, norm=norm)
