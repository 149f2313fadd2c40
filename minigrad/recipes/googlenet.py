"""A small GoogLeNet with both auxiliary heads, on CIFAR-10 that was JPEG (lossy: that costs some points).

Szegedy et al. 2014: Inception modules, and in training two more classifiers on the middle of the network,
whose losses count 0.3 each (the training loss drawn is of all three). After training they are dropped; here
they are tested as well.
"""

import numpy as np

from ..engine.recording import no_grad
from ..engine.tensor import Tensor, tensor
from ..inspect import plots
from ..inspect.layers import still
from ..models import MiniGoogLeNet, auxiliary_loss
from ..nn import Module
from ..train import Settings
from .base import Figures, Recipe, Task
from .cifar import ALL, Part, classify, load

HEADS = ("main", "first auxiliary", "second auxiliary")


def loss(model: Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Of all three heads; the accuracy is the main one's."""
    images, labels = batch
    scores = model(images)
    return auxiliary_loss(scores, labels), {
        "accuracy": float((scores.main.detach().argmax(1) == labels).mean())
    }


def heads(model: MiniGoogLeNet, images: Tensor) -> list[np.ndarray]:
    """The answers of the three heads; in eval mode the network itself gives the main one's alone."""
    seen = []
    hooks = [part.register_forward_hook(lambda *call: seen.append(call[-1])) for part in (model.b, model.d)]
    try:
        main = model(images)
    finally:
        for hook in hooks:
            hook.remove()
    early, late = (maps.mean((2, 3)) for maps in seen)
    return [s.argmax(1).cpu().numpy() for s in (main, model.aux1(early), model.aux2(late))]


def accuracies(model: MiniGoogLeNet, part: Part, device: str) -> dict[str, float]:
    """Each head's share of right answers, %."""
    images, labels = part
    right = np.zeros(3)
    with no_grad(), still(model):
        for a in range(0, len(labels), 500):
            answers = heads(model, tensor(images[a : a + 500]).to(device))
            right += [float((answer == labels[a : a + 500]).sum()) for answer in answers]
    return {head: 100 * float(r) / len(labels) for head, r in zip(HEADS, right, strict=True)}


def run(task: Task, images: int = ALL, width: int = 64, classes: int = 10, dropout: float = 0.2) -> Figures:
    """images: how many to train on; width: of the stem, a multiple of 8; classes: the first of the ten."""
    data = load(task.data_dir, images, classes)
    net = MiniGoogLeNet(classes=classes, width=width, dropout=dropout)
    figures = classify(task, net, data, loss, first_layer="stem.0.weight")
    found = accuracies(net, data.test, task.device)
    plots.bars(found, task.picture("heads.png"), "The three classifiers", "test accuracy, %")
    return {**figures, **{f"{head} head, %": value for head, value in found.items() if head != "main"}}


def small(task: Task, images: int = 6000, width: int = 8, classes: int = 5, dropout: float = 0.0) -> Figures:
    """An eighth as wide, on a part of the images."""
    return run(task, images, width, classes, dropout)


COMMON = {
    "data": "cifar10_jpeg", "metric": "test accuracy, %", "baseline": "chance, %",
    "paper": "none on CIFAR-10; 6.67 % top-5 error (Szegedy et al. 2014, ILSVRC 2014)",
    "short": {"epochs": 2, "images": 360, "width": 8, "classes": 2, "dropout": 0.0, "lr": 1e-2,
              "optimiser": "adamw", "batch_size": 32, "warmup": 0},
}  # fmt: skip
RECIPES = (
    Recipe(
        name="googlenet", run=run, mark=82.0, minutes=9, device="gpu",
        summary="a small GoogLeNet, two auxiliary heads (weight 0.3), on lossy CIFAR-10, SGD, crops, flips",
        settings=Settings(
            epochs=30, batch_size=128, lr=0.05, weight_decay=5e-4, optimiser="sgd", warmup=500, workers=4
        ),
        **COMMON,
    ),
    Recipe(
        name="googlenet-small", run=small, mark=65.0, minutes=3,
        summary="the same, an eighth as wide, on 6,000 images of five classes of lossy CIFAR-10",
        settings=Settings(epochs=8, batch_size=64, lr=1e-2, weight_decay=0.05, warmup=50),
        **COMMON,
    ),
)  # fmt: skip
