"""The models that the benchmarks train, each written once for either library: `make(nn)`."""

from __future__ import annotations

from types import ModuleType
from typing import Any


def mlp(nn: ModuleType) -> Any:
    """784-512-512-10 with ReLU."""
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))


def lenet5(nn: ModuleType) -> Any:
    """LeNet-5 with dense C3: 61,706 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


def resnet20(nn: ModuleType) -> Any:
    """The CIFAR ResNet of 20 layers (He et al. 2015, section 4.2), projections by 1x1 convolutions."""

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.relu = nn.ReLU()
            plain = inputs == outputs
            self.shortcut = nn.Identity() if plain else nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )  # fmt: skip

        def forward(self, x: Any) -> Any:
            y = self.relu(self.bn1(self.conv1(x)))
            return self.relu(self.bn2(self.conv2(y)) + self.shortcut(x))

    widths = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        *[Block(*w) for w in widths],
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def vgg_block(nn: ModuleType) -> Any:
    """3-64-64-pool-128-128, 3x3 convolutions, then global average pooling and a classifier."""
    layers: list[Any] = []
    for inputs, outputs in ((3, 64), (64, 64), (0, 0), (64, 128), (128, 128)):
        if inputs:
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
        else:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


def conv1d_net(nn: ModuleType) -> Any:
    """Three 1-D convolutions over a signal of one channel, such as an electrocardiogram."""
    return nn.Sequential(
        nn.Conv1d(1, 32, 7, padding=3), nn.ReLU(), nn.MaxPool1d(4),
        nn.Conv1d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool1d(4),
        nn.Conv1d(64, 128, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip


def tokens_model(nn: ModuleType, words: int, width: int, body: Any, wide: int, classes: int) -> Any:
    """Embedding, a body over the sequence (N, T, width) -> (N, T, wide), and a score for every token."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.body = nn.Embedding(words, width), body
            self.head = nn.Linear(wide, classes)

        def forward(self, tokens: Any) -> Any:
            y = self.body(self.embedding(tokens))
            y = y[0] if isinstance(y, tuple) else y
            return self.head(y.reshape(-1, wide))

    return Model()


def char_lstm(nn: ModuleType) -> Any:
    """A character model: 65 characters, embedding 128, LSTM 256."""
    return tokens_model(nn, 65, 128, nn.LSTM(128, 256, batch_first=True), 256, 65)


def gru_tagger(nn: ModuleType) -> Any:
    """A tagger: 1,000 words, embedding 64, two bidirectional GRU layers of 128, 10 tags."""
    return tokens_model(nn, 1000, 64, nn.GRU(64, 128, 2, batch_first=True, bidirectional=True), 256, 10)


def transformer(nn: ModuleType) -> Any:
    """Four encoder layers, d 128, 4 heads, feed-forward 512."""
    layer = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True)
    return tokens_model(nn, 65, 128, nn.TransformerEncoder(layer, 4, enable_nested_tensor=False), 128, 65)
