"""Signals one below the other, each over the weights that were given to its parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .figure import INK, SKY, as_array, finish, new_figure, plain

__all__ = ["traces"]


def traces(
    signals: Any,
    weights: Any = None,
    path: str | Path | None = None,
    titles: Sequence[str] | None = None,
    title: str = "",
    xlabel: str = "sample",
    rate: float = 1.0,
) -> Any:
    """Signals (N, L) in rows, each over its weights (N, S) >= 0: the more, the deeper the ground.

    A row's S weights share its length equally, and its largest has the full colour. rate: samples in one
    unit of the axis. Raises ValueError for other shapes, negative weights or a wrong number of titles.
    """
    rows = as_array(signals).astype(float)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"traces: expected signals (N, L), got shape {rows.shape}")
    ground = np.zeros((len(rows), 1)) if weights is None else as_array(weights).astype(float)
    if ground.ndim != 2 or len(ground) != len(rows) or not (ground >= 0).all():
        raise ValueError(f"traces: expected weights ({len(rows)}, S) >= 0, got shape {ground.shape}")
    if titles is not None and len(titles) != len(rows):
        raise ValueError(f"traces: expected {len(rows)} titles, got {len(titles)}")
    figure = new_figure(8.0, 0.7 + 1.35 * len(rows))
    for i, axes in enumerate(figure.subplots(len(rows), 1, squeeze=False, sharex=True)[:, 0]):
        end, low, high = rows.shape[1] / rate, float(rows[i].min()), float(rows[i].max())
        edge = 0.08 * (high - low) or 1.0
        axes.imshow(
            ground[i : i + 1] / (ground[i].max() or 1.0), cmap=_grounds(), vmin=0, vmax=1, aspect="auto",
            extent=(0, end, low - edge, high + edge), interpolation="nearest", zorder=0,
        )  # fmt: skip
        axes.plot((np.arange(rows.shape[1]) + 0.5) / rate, rows[i], color=INK, linewidth=0.9)
        if titles is not None:
            axes.set_title(titles[i], fontsize=8, loc="left")
        plain(axes)
    axes.set_xlabel(xlabel)
    return finish(figure, title, path)


def _grounds() -> Any:
    """White to a blue that a dark line can still be read on."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("white_sky", ["white", SKY])
