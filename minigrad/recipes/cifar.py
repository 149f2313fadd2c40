"""Classifiers of CIFAR-10's small colour pictures: loading, augmentation, training, testing, pictures.

The images of `cifar10_jpeg` are lossy (JPEG, quality 75, colours at half the resolution), so that all
accuracies lie some points below published ones. No licence is stated; the authors ask to cite Krizhevsky
2009, "Learning Multiple Layers of Features from Tiny Images".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..classifier import cross_entropy, scored_on
from ..data import CIFAR10_CLASSES, TensorDataset, cifar10
from ..data.transforms import Compose, RandomCrop, RandomHorizontalFlip
from ..inspect import plots
from ..nn import Module
from ..train import Loss
from .base import Figures, Task
from .examine import examine

__all__ = [
    "ALL",
    "Pictures",
    "augmentation",
    "classify",
    "linear_accuracy",
    "load",
    "loss_curves",
    "normalise",
]

ALL = 45000  # training images; the other 5,000 choose the epoch
MEAN, STD = (
    (0.4914, 0.4822, 0.4465),
    (0.2470, 0.2435, 0.2616),
)  # of red, green, blue over CIFAR-10, from 0 to 1

Part = tuple[np.ndarray, np.ndarray]  # images (N, 3, size, size) float32 and labels (N,)


class Pictures(NamedTuple):
    """CIFAR-10 in three parts, the names of its classes, and whether the images were JPEGs."""

    train: Part
    validation: Part
    test: Part
    classes: tuple[str, ...]
    lossy: bool


def normalise(images: np.ndarray, size: int = 32) -> np.ndarray:
    """Bytes as float32 of about mean 0 and variance 1; smaller than 32, each pixel a mean of several."""
    if 32 % size:
        raise ValueError(f"cifar: expected a size that divides 32 (size={size})")
    k = 32 // size
    smaller = (
        images.reshape(len(images), 3, size, k, size, k).mean((3, 5), dtype=np.float32) if k > 1 else images
    )
    mean, std = (np.float32(255) * np.array(v, np.float32)[:, None, None] for v in (MEAN, STD))
    return (smaller - mean) / std


def load(
    data_dir: str | Path | None = None, images: int = ALL, classes: int = 10, size: int = 32
) -> Pictures:
    """The first `images` for training, a ninth as many more for validation, and no more of them for testing.

    Of the first `classes` kinds alone. Any part is about as rich in one class as in another.
    """
    if images < 9 or not 2 <= classes <= 10:
        raise ValueError(
            f"cifar: expected at least 9 images of 2 to 10 classes (images={images}, classes={classes})"
        )
    held = images // 9
    parts = []
    for train, count in ((True, images + held), (False, min(images, 10000))):
        found = cifar10(train, data_dir, -(-count * 10 // classes))
        kept = np.flatnonzero(found.labels < classes)[:count]
        parts.append((normalise(found.images[kept], size), found.labels[kept]))
    (x, y), test = parts
    return Pictures(
        (x[:images], y[:images]), (x[images:], y[images:]), test, CIFAR10_CLASSES[:classes], found.lossy
    )


def augmentation(size: int = 32) -> Callable:
    """He et al. 2015, section 4.2: a border of an eighth, a crop from anywhere, every second mirrored.

    The border is 0, which after normalising is the mean colour.
    """
    return Compose([RandomCrop(size, padding=size // 8), RandomHorizontalFlip()])


def linear_accuracy(data: Pictures, size: int = 16) -> float:
    """Test accuracy (%) of least squares on the pixels, coarsened to `size`: what no hidden layer reaches."""

    def rows(images: np.ndarray) -> np.ndarray:
        k = max(images.shape[-1] // size, 1)
        n = images.shape[-1] // k
        coarse = images.reshape(len(images), 3, n, k, n, k).mean((3, 5)).reshape(len(images), -1)
        return np.concatenate([coarse, np.ones((len(images), 1), np.float32)], 1)

    x, wanted = rows(data.train[0]), np.eye(len(data.classes), dtype=np.float32)[data.train[1]]
    decay = np.float32(0.03 * len(x)) * np.eye(x.shape[1], dtype=np.float32)
    weights = np.linalg.solve(x.T @ x + decay, x.T @ wanted)
    return 100 * float(((rows(data.test[0]) @ weights).argmax(1) == data.test[1]).mean())


def classify(
    task: Task, model: Module, data: Pictures, loss: Loss = cross_entropy, first_layer: str = "conv1.weight"
) -> Figures:
    """Train a classifier, test it, and draw its curves, mistakes and first filters."""
    size = data.train[0].shape[-1]
    transform = augmentation(size) if task.settings.augment else None
    train = TensorDataset(*data.train, transform=transform)
    history = task.fit(model, train, loss, scored_on(data.validation))
    test_loss, accuracy = examine(task, model, history, data.test, first_layer, data.classes)
    return {
        "test accuracy, %": 100 * accuracy,
        "test loss": test_loss,
        "training images": len(train),
        "linear classifier, %": linear_accuracy(data),
        "chance, %": 100 / len(data.classes),
        "lossy images, 1 if so": float(data.lossy),
    }


def loss_curves(histories: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """The training losses of several networks by epoch, as figure 6 of He et al. 2015 has their errors."""
    curves = {
        name: ([row["epoch"] for row in history], [row["train_loss"] for row in history])
        for name, history in histories.items()
    }
    plots.lines(curves, path, "Training loss", "epoch", "cross-entropy", points=True)
