"""Points of a plane: which class is chosen where, and point clouds side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .figure import BLUE, PALE, SERIES, VERMILLION, as_array, bare, finish, new_figure, picture_grid

__all__ = ["clouds", "regions"]


def regions(
    maps: Any,
    extent: tuple[float, float, float, float],
    points: Any,
    labels: Any,
    path: str | Path | None = None,
    titles: Sequence[str] | None = None,
    title: str = "",
) -> Any:
    """Decision maps (M, H, W) of classes 0, 1, ..., side by side, with the points (N, 2) that led to them.

    extent: (left, right, bottom, top) of every map; its first row is at the bottom. At most seven classes.
    """
    shown, places, classes = as_array(maps), as_array(points), as_array(labels)
    if shown.ndim != 3 or places.shape != (len(classes), 2):
        raise ValueError(
            f"regions: expected maps (M, H, W) and points (N, 2) with N labels, got {shown.shape}, "
            f"{places.shape} and {classes.shape}"
        )
    if titles is not None and len(titles) != len(shown):
        raise ValueError(f"regions: expected {len(shown)} titles, got {len(titles)}")
    colours = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in SERIES])
    if min(shown.min(), classes.min()) < 0 or max(shown.max(), classes.max()) >= len(colours):
        raise ValueError(f"regions: expected classes in 0..{len(colours) - 1}")
    figure = new_figure(3.3 * len(shown) + 0.3, 3.8)
    for i, axes in enumerate(figure.subplots(1, len(shown), squeeze=False)[0]):
        paper = 1 - 0.3 * (1 - colours[shown[i]])  # the points' colours, paler
        axes.imshow(paper, extent=extent, origin="lower", interpolation="nearest", aspect="auto")
        axes.scatter(*places.T, s=14, c=colours[classes], edgecolors="white", linewidths=0.5)
        axes.set(xlim=extent[:2], ylim=extent[2:])
        axes.set_title("" if titles is None else titles[i], fontsize=9)
        bare(axes)
    return finish(figure, title, path)


def clouds(
    points: Sequence[Any],
    path: str | Path | None = None,
    marked: Sequence[Any] | None = None,
    titles: Sequence[str] | None = None,
    title: str = "",
    per_row: int = 8,
) -> Any:
    """Point clouds (P, 2), one a cell, y upwards. marked: of each the numbers of points to stand out."""
    sets = [as_array(p) for p in points]
    for name, given in (("marked", marked), ("titles", titles)):
        if given is not None and len(given) != len(sets):
            raise ValueError(f"clouds: expected {len(sets)} {name}, got {len(given)}")
    if not sets or any(p.ndim != 2 or p.shape[1] != 2 for p in sets):
        raise ValueError(f"clouds: expected point clouds (P, 2), got {[p.shape for p in sets]}")
    figure, grid = picture_grid(len(sets), min(per_row, len(sets)), 1.25)
    everything = np.concatenate(sets)
    low, high = everything.min() - 0.05 * np.ptp(everything), everything.max() + 0.05 * np.ptp(everything)
    for i, (axes, p) in enumerate(zip(grid, sets)):
        axes.scatter(*p.T, s=5, c=BLUE if marked is None else "#a9b4c0", linewidths=0)
        if marked is not None:
            axes.scatter(*p[np.unique(as_array(marked[i]))].T, s=8, c=VERMILLION, linewidths=0)
        axes.set(xlim=(low, high), ylim=(low, high), aspect="equal", facecolor="white")
        axes.spines[:].set_color(PALE)
        if titles is not None:
            axes.set_title(titles[i], fontsize=7)
    return finish(figure, title, path)
