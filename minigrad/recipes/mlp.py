"""A multilayer perceptron on handwritten digits: what a network without convolutions reaches."""

from ..models import MLP
from ..train import Settings
from .base import Figures, Recipe, Task
from .digits import digit_classifier

SUMMARY = "MLP 1024-256-128-10, ReLU, dropout 0.2, AdamW, cosine schedule, small affine distortions"


def build() -> MLP:
    """The network, for digits of 32x32 pixels."""
    return MLP((1024, 256, 128, 10), dropout=0.2)


def on_digits(task: Task) -> Figures:
    """The shipped digits."""
    return digit_classifier(task, build, "layers.1.weight", "digits")


def on_mnist(task: Task, images: int = 55000) -> Figures:
    """MNIST. images: how many of the training images."""
    return digit_classifier(task, build, "layers.1.weight", "mnist", images)


RECIPES = (
    Recipe(
        name="mlp", summary=SUMMARY, run=on_digits, build=build,
        data="digits", metric="test error, %", mark=4.0, higher_is_better=False,
        paper="none on these digits", minutes=1,
        settings=Settings(epochs=30, batch_size=32, lr=1e-3, weight_decay=0.05),
        short={"epochs": 4}, baseline=90.0,
    ),
    Recipe(
        name="mlp", summary=SUMMARY, run=on_mnist, build=build,
        data="mnist", metric="test error, %", mark=2.0, higher_is_better=False,
        paper="4.7 % for 784-300-10 (LeCun et al. 1998, on MNIST)", minutes=5,
        settings=Settings(epochs=15, batch_size=128, lr=1e-3, weight_decay=0.05),
        short={"epochs": 3, "images": 4000}, baseline=88.65,
    ),
)  # fmt: skip
