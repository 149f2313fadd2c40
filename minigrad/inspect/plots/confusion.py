"""What a classifier got wrong: the confusion matrix, and the mistakes that cost most."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from .figure import (
    BLUE,
    INK,
    VERMILLION,
    as_array,
    channels_last,
    finish,
    new_figure,
    picture_grid,
    stretched,
)

__all__ = ["confusion_matrix", "worst_mistakes"]

MOST_NUMBERED = 20  # classes; more leave no room for numbers in the cells


def confusion_matrix(y_true: Any, y_pred: Any, path: str | Path | None = None, classes: Any = None) -> Any:
    """How often class r (row) was taken for class c (column): counts, mistakes coloured by their share.

    y_true, y_pred: labels (N,), integers in 0..K-1. classes: K names. Right answers stay grey, so that
    the colours are the mistakes'. Raises ValueError for unequal lengths, no samples or negative labels.
    """
    truth, found = _labels("y_true", y_true), _labels("y_pred", y_pred)
    if truth.shape != found.shape or truth.size == 0:
        raise ValueError(
            "confusion_matrix: expected as many predictions as labels, at least one, "
            f"got {truth.size} labels and {found.size} predictions"
        )
    k = int(max(truth.max(), found.max())) + 1
    if classes is not None and len(classes) < k:
        raise ValueError(f"confusion_matrix: expected {k} names (classes={list(classes)!r})")
    k = len(classes) if classes is not None else k
    counts = np.bincount(truth * k + found, minlength=k * k).reshape(k, k)
    names = [str(name) for name in (classes if classes is not None else range(k))]
    size = float(np.clip(0.48 * k + 1.8, 4.2, 9.5))
    # The matrix stays square: what stands beside it needs width of its own.
    figure = new_figure(size + 1.5 + 0.12 * max(map(len, names)), size)
    axes = figure.subplots()
    _cells(figure, axes, counts)
    recall = counts.diagonal() / np.maximum(counts.sum(axis=1), 1)
    step = 1 if k <= MOST_NUMBERED else math.ceil(k / MOST_NUMBERED)
    axes.set_xticks(range(0, k, step), names[::step])
    axes.set_yticks(range(0, k, step), [f"{names[i]}   {100 * recall[i]:5.1f} %" for i in range(0, k, step)])
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class and its share of right answers")
    wrong = int(truth.size - counts.trace())
    accuracy = 100 * (1 - wrong / truth.size)
    title = f"{accuracy:.2f} % right: {wrong} mistake{'s' * (wrong != 1)} among {truth.size:,}"
    return finish(figure, f"Confusion matrix\n{title}", path)


def worst_mistakes(
    images: Any, labels: Any, probs: Any, path: str | Path | None = None, classes: Any = None, count: int = 24
) -> Any:
    """The `count` mistakes that cost most: lowest probability given to the true class, worst first.

    images: (N, H, W), (N, 1, H, W) or (N, 3, H, W); labels: (N,); probs: (N, K). If there is no mistake,
    the least certain right answers are shown, and the title says so. Raises ValueError for lengths
    that differ, other shapes, or labels outside 0..K-1.
    """
    pictures, truth = channels_last("worst_mistakes", "images", images), _labels("labels", labels)
    p = as_array(probs).astype(float)
    if p.ndim != 2 or not len(pictures) == len(truth) == len(p) or len(p) == 0 or count < 1:
        raise ValueError(
            "worst_mistakes: expected N >= 1 images, labels (N,) and probs (N, K), "
            f"got {len(pictures)} images, labels {truth.shape}, probs {p.shape} (count={count})"
        )
    if truth.max() >= p.shape[1]:
        raise ValueError(
            f"worst_mistakes: expected labels in 0..{p.shape[1] - 1} for probs {p.shape}, got {truth.max()}"
        )
    answers, given = p.argmax(axis=1), p[np.arange(len(p)), truth]
    wrong = np.flatnonzero(answers != truth)
    pool = wrong if len(wrong) else np.arange(len(p))
    chosen = pool[np.argsort(given[pool], kind="stable")][:count]
    name = (lambda c: str(classes[c])) if classes is not None else str
    figure, grid = picture_grid(len(chosen), min(len(chosen), 8), 1.35, label=0.42)
    for axes, i in zip(grid, chosen):
        axes.imshow(stretched(pictures[i]), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        colour = VERMILLION if answers[i] != truth[i] else BLUE
        axes.set_title(
            f"{name(truth[i])} read as {name(answers[i])}\n{100 * p[i, answers[i]]:.0f} % sure, no. {i}",
            fontsize=7.5, color=colour, pad=3,
        )  # fmt: skip
    if len(wrong):
        title = f"Worst mistakes: {len(chosen)} of {len(wrong)} among {len(p):,} images"
    else:
        title = f"No mistakes among {len(p):,} images: the least certain right answers"
    return finish(figure, title, path)


def _cells(figure: Any, axes: Any, counts: np.ndarray) -> None:
    """The matrix: mistakes coloured by their share of the row, right answers grey, counts written in."""
    from matplotlib.ticker import PercentFormatter

    k = len(counts)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    off = np.ma.masked_where(np.eye(k, dtype=bool), share)
    peak = float(off.max()) if k > 1 and off.max() > 0 else 0.01
    axes.imshow(np.where(np.eye(k, dtype=bool), 0.0, np.nan), cmap="Greys", vmin=-0.15, vmax=1)
    image = axes.imshow(off, cmap="Oranges", vmin=0, vmax=peak)
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    bar.set_label("mistakes, share of the true class")
    bar.outline.set_visible(False)
    axes.set_xticks(np.arange(k + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(k + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    if k > MOST_NUMBERED:
        return
    for r, c in np.argwhere(counts):
        dark = r != c and share[r, c] > 0.6 * peak
        axes.text(
            c, r, f"{counts[r, c]}", ha="center", va="center", fontsize=9 if k <= 12 else 7,
            color="white" if dark else INK, fontweight="bold" if r == c else "normal",
        )  # fmt: skip


def _labels(name: str, x: Any) -> np.ndarray:
    """Labels (N,) as int64. Raises TypeError for other than integers, ValueError for other shapes."""
    y = as_array(x)
    if y.ndim != 1 or (y.size and y.min() < 0):
        raise ValueError(f"plots: expected class numbers >= 0 of shape (N,) ({name} has shape {y.shape})")
    if y.dtype.kind not in "iu" and y.size:
        raise TypeError(f"plots: expected integer class numbers ({name} is {y.dtype})")
    return y.astype(np.int64)
