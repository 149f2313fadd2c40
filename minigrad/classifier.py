"""A classifier in the training loop: its loss, and how it is judged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .data import TensorDataset, check_finite
from .engine.recording import no_grad
from .engine.tensor import Tensor
from .inspect.layers import still
from .nn import Module
from .nn import functional as F
from .train import Settings, Trainer, Validate


def classifier(
    model: Module,
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    settings: Settings,
    folder: str | Path,
    transform: Callable | None = None,
    **more: Any,
) -> Trainer:
    """A Trainer of cross-entropy on (inputs, labels); transform is applied to training batches only."""
    check_finite("training data", train[0])
    check_finite("validation data", validation[0])
    data = TensorDataset(*train, transform=transform if settings.augment else None)
    return Trainer(model, data, cross_entropy, scored_on(validation), settings, folder, **more)


def cross_entropy(model: Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """The loss of a classifier on (inputs, labels), and its accuracy."""
    inputs, labels = batch
    scores = model(inputs)
    return F.cross_entropy(scores, labels), {"accuracy": float((scores.detach().argmax(1) == labels).mean())}


def scored_on(validation: tuple[np.ndarray, np.ndarray]) -> Validate:
    """What judges a classifier by its loss and accuracy on (inputs, labels)."""

    def validate(model: Module) -> dict[str, float]:
        loss, accuracy, _ = score(model, *validation)
        return {"loss": loss, "accuracy": accuracy}

    return validate


def device_of(model: Module) -> str:
    """Where a model's parameters lie."""
    return str(next(iter(model.parameters())).device)


def score(
    model: Module, inputs: np.ndarray, labels: np.ndarray, batch: int = 500
) -> tuple[float, float, np.ndarray]:
    """(mean loss, accuracy, class probabilities (N, K)) of a classifier, in eval mode."""
    probabilities = predict(model, inputs, batch)
    chosen = probabilities[np.arange(len(labels)), labels]
    loss = float(-np.log(np.maximum(chosen, 1e-30)).mean())
    return loss, float((probabilities.argmax(1) == labels).mean()), probabilities


def predict(model: Module, inputs: np.ndarray, batch: int = 500) -> np.ndarray:
    """Class probabilities (N, K) in float64, in eval mode."""
    rows, device = [], device_of(model)
    with no_grad(), still(model):
        for a in range(0, len(inputs), batch):
            scores = model(Tensor(inputs[a : a + batch]).to(device)).astype("float64")
            rows.append(scores.softmax(-1).cpu().numpy())
    return np.concatenate(rows)
