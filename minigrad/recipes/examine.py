"""What every classifier of images is asked after its training, and the four pictures that it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..classifier import score
from ..inspect import plots
from ..nn import Module
from .base import Task

__all__ = ["examine"]


def examine(
    task: Task, model: Module, history: list[dict[str, float]], test: tuple[np.ndarray, np.ndarray],
    first_layer: str, classes: Sequence[Any] | None = None,
) -> tuple[float, float]:  # fmt: skip
    """(loss, accuracy) on the test images; draws curves, mistakes and the filters of `first_layer`."""
    inputs, labels = test
    loss, accuracy, probabilities = score(model, inputs, labels)
    plots.learning_curves(history, task.picture("learning_curves.png"))
    plots.confusion_matrix(labels, probabilities.argmax(1), task.picture("confusion_matrix.png"), classes)
    weights = dict(model.named_parameters())[first_layer]
    plots.filters(weights.detach().cpu().numpy(), task.picture("first_layer_filters.png"))
    plots.worst_mistakes(inputs, labels, probabilities, task.picture("worst_mistakes.png"), classes)
    return loss, accuracy
