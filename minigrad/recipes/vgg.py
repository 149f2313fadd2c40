"""VGG-16, narrow, with batch norm, on CIFAR-10 that was JPEG (lossy: some points are lost to that).

The sixteen layers and five maxima of Simonyan & Zisserman 2014, whose 3x3 windows take a 32x32 picture down
to one place. Their networks, a year older than batch norm, begin from shallower trained ones.
"""

from ..models import NarrowVGG
from ..train import Settings
from .base import Figures, Recipe, Task
from .cifar import ALL, classify, load


def run(
    task: Task, images: int = ALL, width: int = 32, depth: int = 16, classes: int = 10, dropout: float = 0.5
) -> Figures:
    """images: how many to train on; width: of the first layer; depth: layers with weights, 11 to 19."""
    data = load(task.data_dir, images, classes)
    net = NarrowVGG(classes=classes, width=width, depth=depth, dropout=dropout)
    return classify(task, net, data, first_layer="features.0.weight")


def small(
    task: Task, images: int = 6000, width: int = 12, depth: int = 11, classes: int = 5, dropout: float = 0.1
) -> Figures:
    """The paper's shallowest configuration, narrower, on a part of the images."""
    return run(task, images, width, depth, classes, dropout)


COMMON = {
    "data": "cifar10_jpeg", "metric": "test accuracy, %", "baseline": "chance, %",
    "paper": "none on CIFAR-10 (Simonyan and Zisserman 2014 is on ImageNet)",
    "short": {"epochs": 2, "images": 720, "width": 8, "depth": 11, "classes": 2, "dropout": 0.0, "lr": 5e-3,
              "optimiser": "adamw", "batch_size": 32, "warmup": 0},
}  # fmt: skip
RECIPES = (
    Recipe(
        name="vgg", run=run, mark=82.0, minutes=8, device="gpu",
        summary="VGG-16 at half its width, batch norm, on lossy CIFAR-10, SGD, crops and flips",
        settings=Settings(
            epochs=40, batch_size=128, lr=0.05, weight_decay=5e-4, optimiser="sgd", warmup=500, workers=4
        ),
        **COMMON,
    ),
    Recipe(
        name="vgg-small", run=small, mark=70.0, minutes=2,
        summary="VGG-11 a fifth as wide, on 6,000 images of five classes of lossy CIFAR-10",
        settings=Settings(epochs=12, batch_size=64, lr=5e-3, weight_decay=0.05, warmup=50),
        **COMMON,
    ),
)  # fmt: skip
