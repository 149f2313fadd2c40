"""Network in network on CIFAR-10 that was JPEG (lossy: some points are lost to that).

Lin, Chen & Yan 2013 have small networks of 1x1 convolutions slide over the image, and, in place of dense
layers, the mean of one last map a class: the picture `class_maps.png` shows where each class was seen. The
paper trains by SGD on whitened images; here it is AdamW, a cosine schedule, and means and deviations of the
colours. There is no batch norm, so that the rate is small and rises first.
"""

from typing import Any

import numpy as np

from ..engine.recording import no_grad
from ..engine.tensor import tensor
from ..inspect import plots
from ..inspect.layers import still
from ..models import NIN
from ..train import Settings
from .base import Figures, Recipe, Task
from .cifar import ALL, Pictures, classify, load


def run(task: Task, images: int = ALL, width: int = 192, classes: int = 10, dropout: float = 0.5) -> Figures:
    """images: how many to train on; width: of the widest layers; classes: the first of the ten."""
    data = load(task.data_dir, images, classes)
    net = NIN(classes=classes, dropout=dropout, width=width)
    found = classify(task, net, data, first_layer="mlpconv1.0.weight")
    draw_class_maps(task, net, data)
    return found


def small(
    task: Task, images: int = 9000, width: int = 36, classes: int = 10, dropout: float = 0.1
) -> Figures:
    """Less than a fifth as wide, on a fifth of the images."""
    return run(task, images, width, classes, dropout)


def draw_class_maps(task: Task, net: NIN, data: Pictures) -> None:
    """The first test image of each of eight classes, and on it the map of the class that the net names."""
    some = np.array([np.flatnonzero(data.test[1] == k)[0] for k in range(len(data.classes))[:8]])
    with no_grad(), still(net):
        maps = net.class_maps(tensor(data.test[0][some]).to(task.device)).cpu().numpy()
    answers = maps.mean((2, 3)).argmax(1)
    plots.overlay(
        data.test[0][some], maps[np.arange(len(some)), answers], task.picture("class_maps.png"),
        [f"{data.classes[k]}: {data.classes[a]}" for k, a in enumerate(answers)],
        "Images and the maps of the answers",
    )  # fmt: skip


COMMON: dict[str, Any] = {
    "data": "cifar10_jpeg", "metric": "test accuracy, %", "baseline": "chance, %",
    "paper": "91.19 % (Lin, Chen and Yan 2013, 8.81 % error on lossless CIFAR-10 with augmentation)",
    "short": {"epochs": 3, "images": 540, "width": 12, "classes": 2, "dropout": 0.0, "lr": 3e-3,
              "batch_size": 32, "warmup": 0},
}  # fmt: skip
RECIPES = (
    Recipe(
        name="nin", run=run, mark=85.0, minutes=10, device="gpu",
        summary="network in network (Lin, Chen and Yan 2013) on lossy CIFAR-10, crops and flips",
        settings=Settings(epochs=60, batch_size=128, lr=1e-3, weight_decay=0.05, warmup=500, workers=4),
        **COMMON,
    ),
    Recipe(
        name="nin-small", run=small, mark=50.0, minutes=6,
        summary="network in network, narrow, on 9,000 images of lossy CIFAR-10",
        settings=Settings(epochs=15, batch_size=32, lr=2e-3, weight_decay=0.05, warmup=100),
        **COMMON,
    ),
)  # fmt: skip
