"""A small residual network on the shipped digits: six 3x3 layers and two shortcuts that change size."""

from ..models import ResNet
from ..train import Settings
from .base import Figures, Recipe, Task
from .digits import digit_classifier


def build() -> ResNet:
    """ResNet-8 for grey pictures."""
    return ResNet(1, channels=1)


def run(task: Task) -> Figures:
    """The shipped digits."""
    return digit_classifier(task, build, "conv1.weight", "digits")


RECIPES = (
    Recipe(
        name="resnet", run=run, build=build,
        summary="ResNet-8 (He et al. 2015, section 4.2, n = 1), batch norm, AdamW, cosine schedule",
        data="digits", metric="test error, %", mark=2.5, higher_is_better=False,
        paper="none on these digits", minutes=2,
        settings=Settings(epochs=10, batch_size=64, lr=5e-3, weight_decay=0.05),
        short={"epochs": 2}, baseline=90.0,
    ),
)  # fmt: skip
