"""Four pictures of a training run: learning curves, confusion matrix, filters, worst mistakes.

Each function draws a Matplotlib figure, writes it to `path` if one is given (the suffix chooses PNG, SVG
or PDF), and returns it, so that a notebook shows it. No window is opened and no global state is touched.
Colours are those of Okabe and Ito (2008) and of ColorBrewer's safe maps: they differ for every eye, and
lines differ in dashes too. Needs the extra `train`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..io import write_atomically

__all__ = ["confusion_matrix", "filters", "learning_curves", "worst_mistakes"]

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#5f6b7a"
MOST_FILTERS = 64  # more than this are too small to see
MOST_NUMBERED = 20  # classes; more leave no room for numbers in the cells


def learning_curves(history: Sequence[Mapping[str, float]], path: str | Path | None = None) -> Any:
    """Loss and accuracy against epochs, for training and validation, with the best epoch marked.

    history: a row per epoch with the keys `epoch`, `train_loss`, `val_loss` and, if there are any,
    `train_accuracy`, `val_accuracy` in 0..1. The best epoch is the one of lowest validation loss.
    Raises ValueError if the history is empty or a row lacks a key.
    """
    rows = list(history)
    if not rows:
        raise ValueError("learning_curves: expected at least one epoch (history=[]); train first")
    kinds = [kind for kind in ("loss", "accuracy") if kind == "loss" or f"val_{kind}" in rows[0]]
    needed = ["epoch", *(f"{part}_{kind}" for kind in kinds for part in ("train", "val"))]
    for i, row in enumerate(rows):
        missing = [key for key in needed if key not in row]
        if missing:
            raise ValueError(f"learning_curves: row {i} of the history lacks {', '.join(missing)}")
    figure = _figure(5.2 * len(kinds), 3.9)
    epochs = np.array([row["epoch"] for row in rows])
    validation = np.array([row["val_loss"] for row in rows], dtype=float)
    best = int(np.nanargmin(validation)) if not np.isnan(validation).all() else None
    for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds):
        factor = 100.0 if kind == "accuracy" else 1.0
        series = {
            part: np.array([row[f"{part}_{kind}"] for row in rows], dtype=float) * factor
            for part in ("train", "val")
        }
        _curves(axes, epochs, series)
        axes.set_title("Loss" if kind == "loss" else "Accuracy")
        axes.set_ylabel("cross-entropy, log scale" if kind == "loss" else "right answers (%)")
        if kind == "loss":
            _log_if_positive(axes, series)
        if best is not None:
            _mark(axes, epochs[best], series["val"][best], kind)
        axes.legend(frameon=False)
    return _finish(figure, f"Learning curves, {len(rows)} epoch{'s' * (len(rows) > 1)}", path)


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
    size = float(np.clip(0.48 * k + 1.8, 4.2, 9.5))
    figure = _figure(size + 1.5, size)
    axes = figure.subplots()
    _cells(figure, axes, counts)
    names = [str(name) for name in (classes if classes is not None else range(k))]
    recall = counts.diagonal() / np.maximum(counts.sum(axis=1), 1)
    step = 1 if k <= MOST_NUMBERED else math.ceil(k / MOST_NUMBERED)
    axes.set_xticks(range(0, k, step), names[::step])
    axes.set_yticks(range(0, k, step), [f"{names[i]}   {100 * recall[i]:5.1f} %" for i in range(0, k, step)])
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class and its share of right answers")
    wrong = int(truth.size - counts.trace())
    accuracy = 100 * (1 - wrong / truth.size)
    title = f"{accuracy:.2f} % right: {wrong} mistake{'s' * (wrong != 1)} among {truth.size:,}"
    return _finish(figure, f"Confusion matrix\n{title}", path)


def filters(weight: Any, path: str | Path | None = None) -> Any:
    """The first layer's weights as pictures, all on one scale: blue negative, white zero, red positive.

    weight: (O, I, h, w) of a convolution, or (O, h*h) of a linear layer on square images. Three input
    channels are shown as colours; other numbers as their own column each. At most 64 pictures.
    Raises ValueError for other shapes or values that are not finite.
    """
    raw = _array(weight).astype(float)
    if raw.ndim == 2 and math.isqrt(raw.shape[1]) ** 2 == raw.shape[1]:
        side = math.isqrt(raw.shape[1])
        raw = raw.reshape(len(raw), 1, side, side)
    if raw.ndim != 4 or raw.size == 0:
        raise ValueError(
            "filters: expected weights (O, I, h, w), or (O, h*h) of a linear layer, "
            f"got shape {_array(weight).shape}"
        )
    if not np.isfinite(raw).all():
        raise ValueError("filters: expected finite weights, got NaN or infinity; the training diverged")
    outputs, inputs = raw.shape[:2]
    in_colour = inputs == 3
    maps = raw[: max(1, MOST_FILTERS // (1 if in_colour else inputs))]  # whole maps, not parts of one
    pictures = maps.transpose(0, 2, 3, 1) if in_colour else maps.reshape(-1, *raw.shape[2:])
    shown = list(pictures[:MOST_FILTERS])
    per_row = inputs if 1 < inputs <= 16 and not in_colour else min(len(shown), 16 if len(shown) > 32 else 8)
    figure, grid = _grid(len(shown), per_row, 0.95)
    peak = max(float(np.abs(shown).max()), 1e-12)
    for i, (axes, picture) in enumerate(zip(grid, shown)):
        pixels = 0.5 + picture / (2 * peak) if in_colour else picture
        image = axes.imshow(pixels, cmap="RdBu_r", vmin=-peak, vmax=peak, interpolation="nearest")
        name = f"{i}" if in_colour or inputs == 1 else f"{i // inputs}, {i % inputs}"
        axes.set_title(name, fontsize=7, color=GREY, pad=2)
    if not in_colour:
        bar = figure.colorbar(image, ax=list(grid), fraction=0.046, pad=0.02, aspect=24)
        bar.set_label("weight", fontsize=8)
        bar.ax.tick_params(labelsize=7)
        bar.outline.set_visible(False)
    text = f"{outputs} maps of {inputs} channel{'s' * (inputs != 1)}, {raw.shape[2]}x{raw.shape[3]}"
    if len(maps) < outputs:
        text += f"; the first {len(maps)} shown"
    return _finish(figure, f"First-layer filters\n{text}", path)


def worst_mistakes(
    images: Any, labels: Any, probs: Any, path: str | Path | None = None, classes: Any = None, count: int = 24
) -> Any:
    """The `count` mistakes that cost most: lowest probability given to the true class, worst first.

    images: (N, H, W), (N, 1, H, W) or (N, 3, H, W); labels: (N,); probs: (N, K). If there is no mistake,
    the least certain right answers are shown, and the title says so. Raises ValueError for lengths
    that differ, other shapes, or labels outside 0..K-1.
    """
    pictures, truth, p = _array(images), _labels("labels", labels), _array(probs).astype(float)
    if pictures.ndim == 4 and pictures.shape[1] in (1, 3):
        pictures = pictures[:, 0] if pictures.shape[1] == 1 else pictures.transpose(0, 2, 3, 1)
    elif pictures.ndim != 3:
        raise ValueError(
            f"worst_mistakes: expected images (N, H, W) or (N, 1 or 3, H, W), got shape {pictures.shape}"
        )
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
    figure, grid = _grid(len(chosen), min(len(chosen), 8), 1.35, label=0.42)
    for axes, i in zip(grid, chosen):
        axes.imshow(_unit(pictures[i]), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        colour = ORANGE if answers[i] != truth[i] else BLUE
        axes.set_title(
            f"{name(truth[i])} read as {name(answers[i])}\n{100 * p[i, answers[i]]:.0f} % sure, no. {i}",
            fontsize=7.5, color=colour, pad=3,
        )  # fmt: skip
    if len(wrong):
        title = f"Worst mistakes: {len(chosen)} of {len(wrong)} among {len(p):,} images"
    else:
        title = f"No mistakes among {len(p):,} images: the least certain right answers"
    return _finish(figure, title, path)


# ---------------------------------------------------------------- what the four share


def _figure(width: float, height: float) -> Any:
    """An empty figure that belongs to no window system."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plots: Matplotlib is not installed; run: pip install 'minigrad[train]'") from None
    return Figure(figsize=(width, height), dpi=144, layout="constrained", facecolor="white")


def _grid(count: int, per_row: int, cell: float, label: float = 0.16) -> tuple[Any, list[Any]]:
    """A figure with `count` bare axes in rows; `label` inches above each for its title."""
    rows = math.ceil(count / per_row)
    figure = _figure(max(per_row * cell + 0.8, 4.4), rows * (cell + label) + 0.75)
    grid = figure.subplots(rows, per_row, squeeze=False).ravel()
    for axes in grid:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color("#c9d0d8")
    for axes in grid[count:]:
        axes.set_axis_off()
    return figure, list(grid[:count])


def _finish(figure: Any, title: str, path: str | Path | None) -> Any:
    """Title above everything, then the file."""
    figure.suptitle(title, fontsize=12, linespacing=1.3)
    if path is not None:
        _save(figure, Path(path))
    return figure


def _save(figure: Any, path: Path) -> None:
    """Drawn in memory first: a full disk leaves the old picture or none, never half of one."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=path.suffix[1:] or "png")
    write_atomically(path, buffer.getvalue())


def _curves(axes: Any, epochs: np.ndarray, series: dict[str, np.ndarray]) -> None:
    """Training dashed, validation solid; a lone epoch is a point."""
    from matplotlib.ticker import MaxNLocator

    marker = "o" if len(epochs) <= 12 else None
    for part, style, colour in (("train", "--", BLUE), ("val", "-", ORANGE)):
        label = "training" if part == "train" else "validation"
        axes.plot(epochs, series[part], style, color=colour, label=label, marker=marker, ms=3.5, lw=1.8)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(True, color="#e3e7ec", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)


def _log_if_positive(axes: Any, series: dict[str, np.ndarray]) -> None:
    """A log scale if it can be had; losses span orders of magnitude."""
    finite = np.concatenate([values[np.isfinite(values)] for values in series.values()])
    if finite.size and (finite > 0).all():
        from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylabel("cross-entropy")


def _mark(axes: Any, epoch: float, value: float, kind: str) -> None:
    """A ring at the best epoch, and its number in the legend."""
    text = f"best epoch, {epoch:g}: " + (f"{value:.4f}" if kind == "loss" else f"{value:.2f} %")
    axes.plot([epoch], [value], "o", markersize=8, markerfacecolor="none", color=ORANGE, label=text)


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
            color="white" if dark else "#1b2430", fontweight="bold" if r == c else "normal",
        )  # fmt: skip


def _array(x: Any) -> np.ndarray:
    """A NumPy array of a tensor (copied from its device) or of anything array-like."""
    return x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)


def _labels(name: str, x: Any) -> np.ndarray:
    """Labels (N,) as int64. Raises TypeError for other than integers, ValueError for other shapes."""
    y = _array(x)
    if y.ndim != 1 or (y.size and y.min() < 0):
        raise ValueError(f"plots: expected class numbers >= 0 of shape (N,) ({name} has shape {y.shape})")
    if y.dtype.kind not in "iu" and y.size:
        raise TypeError(f"plots: expected integer class numbers ({name} is {y.dtype})")
    return y.astype(np.int64)


def _unit(picture: np.ndarray) -> np.ndarray:
    """One image stretched to 0..1, whatever its normalisation."""
    low, high = float(picture.min()), float(picture.max())
    return (picture.astype(float) - low) / ((high - low) or 1.0)
