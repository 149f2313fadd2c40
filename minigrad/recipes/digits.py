"""Classifiers of handwritten digits: the two sets of digits as 32x32 inputs, and how they are trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..data import digits, mnist
from ..data.transforms import RandomAffine
from ..nn import Module
from .base import Figures, Task
from .examine import examine

__all__ = ["Split", "as_input", "augmentation", "digit_classifier", "load", "normalise"]

# White becomes -0.1 and black 1.175: on MNIST about mean 0 and variance 1 (LeCun et al. 1998).
LOW, HIGH = -0.1, 1.175


class Split(NamedTuple):
    """Images (N, 1, 32, 32) float32 and labels (N,), in three parts."""

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


def normalise(images: np.ndarray, top: float) -> np.ndarray:
    """Bytes 0..top as float32 between LOW and HIGH."""
    return (images.astype(np.float32) * np.float32((HIGH - LOW) / top) + np.float32(LOW)).astype(np.float32)


def _framed(images: np.ndarray, top: float) -> np.ndarray:
    """(N, H, W) bytes, centred in 32x32, as normalised (N, 1, 32, 32)."""
    room = 32 - images.shape[1]
    padded = np.pad(images, ((0, 0), (room // 2, room - room // 2), (room // 2, room - room // 2)))
    return normalise(padded, top)[:, None]


def _enlarged(images: np.ndarray) -> np.ndarray:
    """8x8 digits as 24x24, between pixels linearly, in a 32x32 frame."""
    at = np.clip((np.arange(24) + 0.5) / 3 - 0.5, 0, 7)
    low = np.minimum(at.astype(int), 6)
    share = at - low
    matrix = np.zeros((24, 8))
    matrix[np.arange(24), low], matrix[np.arange(24), low + 1] = 1 - share, share
    return _framed(np.einsum("ip,npq,jq->nij", matrix, images.astype(np.float64), matrix), 16.0)


def as_input(images: np.ndarray, name: str) -> np.ndarray:
    """Images of "digits" (N, 8, 8) in 0..16 or "mnist" (N, 28, 28) in 0..255, as (N, 1, 32, 32)."""
    return _enlarged(images) if name == "digits" else _framed(images, 255.0)


def load(name: str, data_dir: str | Path | None = None, download: bool = True) -> Split:
    """The three parts of "digits" or "mnist", as every recipe here takes them."""
    if name == "digits":
        parts = [digits(split) for split in ("train", "validation", "test")]
        return Split(*[(as_input(images, name), labels) for images, labels in parts])
    if name == "mnist":
        images, labels = mnist(True, data_dir, download)
        test_images, test_labels = mnist(False, data_dir, download)
        # The last 5,000 training images choose the best epoch; the test images are looked at once, last.
        return Split(
            (as_input(images[:-5000], name), labels[:-5000]),
            (as_input(images[-5000:], name), labels[-5000:]),
            (as_input(test_images, name), test_labels),
        )
    raise ValueError(f"data: expected 'digits' or 'mnist' (data={name!r})")


def augmentation() -> Callable:
    """Small turns, shifts, stretches and slants, with the background's own grey outside."""
    affine = RandomAffine(degrees=10, translate=(0.06, 0.06), scale=(0.88, 1.12), shear=8)
    low = np.float32(LOW)
    return lambda images, generator: affine(images - low, generator) + low


def digit_classifier(
    task: Task, build: Callable[[], Module], first_layer: str, data: str, images: int | None = 55000
) -> Figures:
    """Train a classifier of 32x32 digits, test it, and draw its curves, mistakes and first filters.

    images: how many of the training images; None for all.
    """
    splits = load(data, task.data_dir)
    model, train = build(), (splits.train[0][:images], splits.train[1][:images])
    history = task.fit(model, train, validate=splits.validation, transform=augmentation())
    loss, accuracy = examine(task, model, history, splits.test, first_layer)
    return {"test error, %": 100 * (1 - accuracy), "test accuracy, %": 100 * accuracy, "test loss": loss}
