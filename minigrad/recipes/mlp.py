"""A multilayer perceptron on handwritten digits: what a network without convolutions reaches."""

from functools import partial

from ..models import MLP
from ..train import Settings
from .base import Recipe
from .digits import digit_classifier

SUMMARY = "MLP 1024-256-128-10, ReLU, dropout 0.2, AdamW, cosine schedule, small affine distortions"


def build() -> MLP:
    """The network, for digits of 32x32 pixels."""
    return MLP((1024, 256, 128, 10), dropout=0.2)


classify = partial(digit_classifier, build=build, first_layer="layers.1.weight")
RECIPES = (
    Recipe(
        name="mlp", summary=SUMMARY, run=partial(classify, data="digits", images=None), build=build,
        data="digits", metric="test error, %", mark=4.0, higher_is_better=False,
        paper="none on these digits", minutes=1,
        settings=Settings(epochs=30, batch_size=32, lr=1e-3, weight_decay=0.05),
        short={"epochs": 4}, baseline=90.0,
    ),
    Recipe(
        name="mlp", summary=SUMMARY, run=partial(classify, data="mnist"), build=build,
        data="mnist", metric="test error, %", mark=2.0, higher_is_better=False,
        paper="4.7 % for 784-300-10 (LeCun et al. 1998, on MNIST)", minutes=5,
        settings=Settings(epochs=15, batch_size=128, lr=1e-3, weight_decay=0.05),
        short={"epochs": 3, "images": 4000}, baseline=88.65,
    ),
)  # fmt: skip
