"""Pictures of a training run, one line each; matplotlib is loaded when the first is drawn."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"  # told apart by colour-blind eyes (Okabe & Ito 2008)


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plots: need matplotlib; pip install 'minigrad[train]'") from None
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, path: str | Path) -> Path:
    """Draw in memory first, so that a full disk leaves no half picture."""
    from ..io import write_atomically

    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=130, format=Path(path).suffix[1:] or "png")
    write_atomically(path, buffer.getvalue())
    return Path(path)


def learning_curves(history: list[dict[str, float]], path: str | Path) -> Path:
    """Loss and error rate per epoch, for training and validation."""
    figure = _figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    for part, name, colour in (("train", "training", BLUE), ("val", "validation", ORANGE)):
        left.plot(epochs, [row[f"{part}_loss"] for row in history], color=colour, label=name, marker=".")
        errors = [100.0 * (1.0 - row[f"{part}_accuracy"]) for row in history]
        right.plot(epochs, errors, color=colour, label=name, marker=".")
    left.set(title="Cross-entropy", xlabel="epoch", ylabel="nats", yscale="log")
    right.set(title="Error rate", xlabel="epoch", ylabel="%")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return _save(figure, path)


def confusion_matrix(
    y_true: np.ndarray, y_pred: np.ndarray, path: str | Path, classes: int | None = None
) -> Path:
    """How often each class (row) was taken for each class (column)."""
    n = int(max(y_true.max(), y_pred.max())) + 1 if classes is None else classes
    table = np.zeros((n, n), np.int64)
    np.add.at(table, (y_true, y_pred), 1)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure = _figure(5.4, 5.2)
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(n, n):
        if table[i, j]:
            axes.text(
                j,
                i,
                str(table[i, j]),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if share[i, j] > 0.5 else "black",
            )
    wrong = int(table.sum() - np.trace(table))
    axes.set(
        title=f"{wrong} of {table.sum()} wrong",
        xlabel="predicted",
        ylabel="true",
        xticks=range(n),
        yticks=range(n),
    )
    return _save(figure, path)


def filters(weight: np.ndarray, path: str | Path, most: int = 64) -> Path:
    """The first layer's weights as images: red positive, blue negative, one scale for all.

    weight: (O, C, h, w), of which the first channel is shown, or (O, n) with n a square number.
    """
    if weight.ndim == 2:
        side = round(weight.shape[1] ** 0.5)
        if side * side != weight.shape[1]:
            raise ValueError(f"filters: expected images or square rows, got weights of shape {weight.shape}")
        weight = weight.reshape(-1, 1, side, side)
    images = weight[:most, 0]
    columns = min(len(images), 8 if len(images) > 6 else len(images))
    rows = -(-len(images) // columns)
    figure = _figure(1.1 * columns + 0.6, 1.1 * rows + 0.5)
    grid = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    top = float(np.abs(images).max()) or 1.0
    for axes in grid:
        axes.set_axis_off()
    for axes, image in zip(grid, images, strict=False):
        drawn = axes.imshow(image, cmap="RdBu_r", vmin=-top, vmax=top)
    figure.colorbar(drawn, ax=list(grid), shrink=0.8)
    figure.suptitle(f"First layer: {len(images)} of {len(weight)} filters")
    return _save(figure, path)


def worst_mistakes(
    images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, path: str | Path, most: int = 24
) -> Path:
    """The test images whose true class was given the least probability, with what was said instead."""
    given = probabilities[np.arange(len(labels)), labels]
    worst = np.argsort(given, kind="stable")[:most]
    columns = min(8, len(worst))
    rows = -(-len(worst) // columns)
    figure = _figure(1.35 * columns, 1.7 * rows + 0.4)
    grid = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, i in zip(grid, worst, strict=False):
        said = int(probabilities[i].argmax())
        axes.imshow(images[i].reshape(images.shape[-2:]), cmap="gray_r")
        right = said == labels[i]
        text = (
            f"{labels[i]}, {100 * given[i]:.0f} %"
            if right
            else f"{labels[i]} taken for {said}\n{100 * probabilities[i, said]:.0f} %"
        )
        axes.set_title(text, fontsize=8, color=GREY if right else ORANGE)
    figure.suptitle("Worst mistakes (orange), then the least certain")
    return _save(figure, path)
