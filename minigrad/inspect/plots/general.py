"""Plain pictures of results: curves, a matrix with names at its sides, points by class, rows of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .figure import (
    BLUE,
    DASHES,
    GREY,
    SERIES,
    as_array,
    bare,
    channels_last,
    colour_bar,
    finish,
    new_figure,
    picture_grid,
    plain,
    rising,
)

__all__ = ["bars", "lines", "matrix", "pictures", "scatter"]


def lines(
    curves: Mapping[str, Any],
    path: str | Path | None = None,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    marks: Mapping[str, float] | None = None,
    log: bool = False,
    points: bool = False,
) -> Any:
    """Curves by name: each (x, y), or y over 0, 1, .... marks: named heights, drawn across.

    log: a logarithmic scale of y; points: dots where the values are. Raises ValueError without a curve
    or where x and y differ in length.
    """
    if not curves:
        raise ValueError("lines: expected at least one curve (curves={})")
    figure = new_figure(7.0, 4.0)
    axes = figure.subplots()
    for i, (name, curve) in enumerate(curves.items()):
        x, y = _curve(name, curve)
        colour, dash = SERIES[i % len(SERIES)], DASHES[i % len(DASHES)]
        dot = "o" if points else None
        axes.plot(x, y, color=colour, linestyle=dash, label=name, linewidth=1.6, marker=dot, markersize=4)
    for name, height in (marks or {}).items():
        axes.axhline(height, color=GREY, linewidth=1, linestyle=":")
        axes.annotate(name, (0.01, height), xycoords=("axes fraction", "data"), va="bottom", fontsize=8)
    if log:
        axes.set_yscale("log")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    plain(axes)
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=8)
    return finish(figure, title, path)


def _curve(name: str, curve: Any) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) of one curve."""
    x, y = curve if isinstance(curve, tuple) else (np.arange(len(curve)), curve)
    x, y = as_array(x), as_array(y)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"lines: expected x and y of one length ({name}: {x.shape} and {y.shape})")
    return x, y


def matrix(
    values: Any,
    path: str | Path | None = None,
    rows: Sequence[Any] | None = None,
    columns: Sequence[Any] | None = None,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
) -> Any:
    """A matrix (R, C) >= 0 as shades, with names of its rows and columns: an alignment, attention, counts."""
    shades = as_array(values).astype(float)
    if shades.ndim != 2:
        raise ValueError(f"matrix: expected a matrix (R, C), got shape {shades.shape}")
    for side, names, size in (("rows", rows, shades.shape[0]), ("columns", columns, shades.shape[1])):
        if names is not None and len(names) != size:
            raise ValueError(f"matrix: expected {size} names ({side} has {len(names)})")
    height, width = (max(2.4, min(9.0, 0.28 * n)) for n in shades.shape)
    figure = new_figure(width + 2.0, height + 1.4)
    axes = figure.subplots()
    image = axes.imshow(shades, cmap=rising(), aspect="auto", interpolation="nearest")
    if rows is not None:
        axes.set_yticks(range(len(rows)), [_word(r) for r in rows], fontsize=8)
    if columns is not None:
        turn = 0 if max(len(str(c)) for c in columns) < 3 else 60
        axes.set_xticks(range(len(columns)), [_word(c) for c in columns], fontsize=8, rotation=turn)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    colour_bar(figure, image, [axes], "")
    return finish(figure, title, path)


def _word(name: Any) -> str:
    """A name as it can be read at a tick: blanks are shown, and nothing is taken for mathematics."""
    return str(name).replace(" ", "\u2423").replace("\n", "\u23ce").replace("$", r"\$")


def scatter(
    points: Any,
    labels: Any = None,
    path: str | Path | None = None,
    names: Sequence[str] | None = None,
    title: str = "",
) -> Any:
    """Points (N, 2), coloured by their labels (N,): an embedding, a map."""
    places = as_array(points)
    if places.ndim != 2 or places.shape[1] != 2:
        raise ValueError(f"scatter: expected points (N, 2), got shape {places.shape}")
    classes = np.zeros(len(places), int) if labels is None else as_array(labels)
    if classes.shape != places.shape[:1]:
        raise ValueError(f"scatter: expected {len(places)} labels, got shape {classes.shape}")
    if labels is not None and names is not None and classes.max(initial=0) >= len(names):
        raise ValueError(f"scatter: expected a name for label {classes.max()} (names has {len(names)})")
    figure = new_figure(6.0, 5.4)
    axes = figure.subplots()
    for k in np.unique(classes):
        chosen = places[classes == k]
        axes.scatter(*chosen.T, s=7, linewidths=0, label=names[k] if names is not None else str(k))
    if labels is not None:
        axes.legend(frameon=False, fontsize=8, markerscale=2)
    bare(axes)
    return finish(figure, title, path)


def bars(
    heights: Mapping[str, float], path: str | Path | None = None, title: str = "", ylabel: str = ""
) -> Any:
    """A bar for each name, with its value above it."""
    if not heights:
        raise ValueError("bars: expected at least one value (heights={})")
    figure = new_figure(max(4.0, 0.9 * len(heights) + 1.5), 3.6)
    axes = figure.subplots()
    drawn = axes.bar(range(len(heights)), list(heights.values()), color=BLUE, width=0.65)
    axes.bar_label(drawn, [f"{h:.3g}" for h in heights.values()], fontsize=8)
    axes.set_xticks(range(len(heights)), list(heights), fontsize=8, rotation=20 if len(heights) > 4 else 0)
    axes.set(ylabel=ylabel)
    plain(axes, "y")
    return finish(figure, title, path)


def pictures(
    images: Any,
    path: str | Path | None = None,
    titles: Sequence[str] | None = None,
    title: str = "",
    per_row: int = 8,
) -> Any:
    """Images (N, H, W), (N, 1, H, W) or (N, 3, H, W) in rows, grey or in colour, each with its title.

    All are shown on one scale, from the smallest value to the largest.
    """
    shown = channels_last("pictures", "images", images).astype(float)
    if not len(shown):
        raise ValueError("pictures: expected at least one image")
    if titles is not None and len(titles) != len(shown):
        raise ValueError(f"pictures: expected {len(shown)} titles, got {len(titles)}")
    low, high = float(shown.min()), float(shown.max())
    figure, grid = picture_grid(len(shown), min(per_row, len(shown)), 1.1)
    for i, image in enumerate((shown - low) / ((high - low) or 1.0)):
        grid[i].imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        if titles is not None:
            grid[i].set_title(_word(titles[i]).replace("\u2423", " "), fontsize=7)
    return finish(figure, title, path)
