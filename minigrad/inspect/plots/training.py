"""How a training went: learning curves, and curves of anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .figure import BLUE, DASHES, SERIES, VERMILLION, as_array, finish, new_figure, plain, whole_numbers

__all__ = ["curves", "learning_curves"]


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
    figure = new_figure(5.2 * len(kinds), 3.9)
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
    return finish(figure, f"Learning curves, {len(rows)} epoch{'s' * (len(rows) > 1)}", path)


def curves(
    series: Mapping[str, Any],
    path: str | Path | None = None,
    *,
    x: Any = None,
    title: str = "",
    xlabel: str = "step",
    ylabel: str = "",
    log: bool = False,
) -> Any:
    """Named curves {name: values (T,)} against x (T,), or against 0, 1, ...; they differ in dashes too.

    log: both signs of bad news, explosion and vanishing, need a logarithmic scale to be seen. Raises
    ValueError if there is no curve, if one is not (T,) as x is, or with log if one has no positive value.
    """
    if not series:
        raise ValueError("curves: expected at least one curve (series={})")
    figure = new_figure(6.4, 3.9)
    axes = figure.subplots()
    for i, (name, values) in enumerate(series.items()):
        y = as_array(values).astype(float)
        at = np.arange(len(y)) if x is None and y.ndim == 1 else as_array(x)
        if y.ndim != 1 or at.shape != y.shape or len(y) == 0:
            raise ValueError(f"curves: expected {name!r} (T,) as long as x, got {y.shape} and x {at.shape}")
        if log and not (y > 0).any():
            raise ValueError(
                f"curves: {name!r} has no positive value, which a logarithmic scale needs (log=True)"
            )
        style = {"color": SERIES[i % len(SERIES)], "linestyle": DASHES[i % len(DASHES)]}
        axes.plot(at, y, label=name, lw=1.8, marker="o" if len(y) <= 12 else None, ms=3.5, **style)
    if log:
        axes.set_yscale("log")
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel + ", log scale" * (log and bool(ylabel)))
    plain(axes)
    if len(series) > 1:
        axes.legend(frameon=False)
    return finish(figure, title or ", ".join(series), path)


def _curves(axes: Any, epochs: np.ndarray, series: dict[str, np.ndarray]) -> None:
    """Training dashed, validation solid; a lone epoch is a point."""
    marker = "o" if len(epochs) <= 12 else None
    for part, style, colour in (("train", "--", BLUE), ("val", "-", VERMILLION)):
        label = "training" if part == "train" else "validation"
        axes.plot(epochs, series[part], style, color=colour, label=label, marker=marker, ms=3.5, lw=1.8)
    axes.set_xlabel("epoch")
    whole_numbers(axes.xaxis)
    plain(axes)


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
    axes.plot([epoch], [value], "o", markersize=8, markerfacecolor="none", color=VERMILLION, label=text)
