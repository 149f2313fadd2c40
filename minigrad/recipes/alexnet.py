"""AlexNet cut for small pictures, on CIFAR-10 that was JPEG (lossy: some points are lost to that).

Krizhevsky, Sutskever & Hinton 2012 have local response normalisation, overlapping maxima, two groups and
dropout, and no batch norm, so that the rate has to be small. Their section 3.3 tells of a network of four
convolutions on (lossless) CIFAR-10.
"""

from ..models import AlexNet32
from ..train import Settings
from .base import Figures, Recipe, Task
from .cifar import ALL, classify, load


def run(task: Task, images: int = ALL, width: int = 64, classes: int = 10, dropout: float = 0.5) -> Figures:
    """images: how many to train on; width: of the first layer; classes: the first of the ten."""
    data = load(task.data_dir, images, classes)
    return classify(task, AlexNet32(classes=classes, width=width, dropout=dropout), data)


def small(task: Task, images: int = 6000, width: int = 12, classes: int = 5, dropout: float = 0.1) -> Figures:
    """A fifth as wide, on a part of the images."""
    return run(task, images, width, classes, dropout)


COMMON = {
    "data": "cifar10_jpeg", "metric": "test accuracy, %", "baseline": "chance, %",
    "paper": "89 % for another network with this normalisation (Krizhevsky et al. 2012, lossless CIFAR-10)",
    "short": {"epochs": 3, "images": 720, "width": 8, "classes": 2, "dropout": 0.0, "lr": 1e-3,
              "batch_size": 32, "warmup": 0},
}  # fmt: skip
RECIPES = (
    Recipe(
        name="alexnet", run=run, mark=75.0, minutes=8, device="gpu",
        summary="AlexNet32 (after Krizhevsky et al. 2012) on lossy CIFAR-10, AdamW, crops and flips",
        settings=Settings(epochs=40, batch_size=128, lr=5e-4, weight_decay=0.05, warmup=500, workers=4),
        **COMMON,
    ),
    Recipe(
        name="alexnet-small", run=small, mark=65.0, minutes=3,
        summary="AlexNet32 a fifth as wide, on 6,000 images of five classes of lossy CIFAR-10",
        settings=Settings(epochs=14, batch_size=32, lr=1e-3, weight_decay=0.05, warmup=100),
        **COMMON,
    ),
)  # fmt: skip
