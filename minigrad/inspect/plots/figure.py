"""What the pictures share: empty figures, grids of bare axes, files written whole, colours for every eye.

The colours are those of Okabe and Ito (2008). Values that flow forward are blue, gradients vermillion;
what has a sign runs from blue (negative) over white to vermillion (positive). Needs Matplotlib, from the
extra `train`; no window is opened and no global state is touched.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.tensor import Tensor
from ...io import write_atomically

__all__: list[str] = []  # for the pictures' own files

BLUE, VERMILLION, GREY, INK = "#0072B2", "#D55E00", "#5f6b7a", "#1b2430"
GREEN, ORANGE, PURPLE, SKY = "#009E73", "#E69F00", "#CC79A7", "#56B4E9"
SERIES = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, INK)
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (9, 3)))
PALE = "#e3e7ec"
NOTEBOOK_DPI = 80


def new_figure(width: float, height: float) -> Any:
    """An empty figure that belongs to no window system, and that a notebook shows by itself."""
    return _figure_class()(figsize=(width, height), dpi=144, layout="constrained", facecolor="white")


def _figure_class() -> type:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plots: Matplotlib is not installed; run: pip install 'minigrad[train]'") from None

    class Shown(Figure):
        """A figure that a notebook shows even where pyplot was never imported."""

        def _repr_png_(self) -> bytes:
            data = io.BytesIO()
            self.savefig(data, format="png", dpi=NOTEBOOK_DPI)
            return data.getvalue()

    return Shown


def picture_grid(count: int, per_row: int, cell: float, label: float = 0.16) -> tuple[Any, list[Any]]:
    """A figure with `count` bare axes in rows; `label` inches above each for its title."""
    rows = math.ceil(count / per_row)
    figure = new_figure(max(per_row * cell + 0.8, 4.4), rows * (cell + label) + 0.75)
    grid = figure.subplots(rows, per_row, squeeze=False).ravel()
    for axes in grid:
        bare(axes)
    for axes in grid[count:]:
        axes.set_axis_off()
    return figure, list(grid[:count])


def bare(axes: Any) -> None:
    """A frame for a picture: no ticks, pale edges."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#c9d0d8")


def plain(axes: Any, grid: str = "both") -> None:
    """Axes for curves and bars: a pale grid behind them, open to the right and above."""
    axes.grid(True, axis=grid, color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def colour_bar(figure: Any, image: Any, axes: Sequence[Any], label: str) -> None:
    """The scale of pictures that share one."""
    bar = figure.colorbar(image, ax=list(axes), fraction=0.046, pad=0.02, aspect=24)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)


def finish(figure: Any, title: str, path: str | Path | None) -> Any:
    """Title above everything, then the file, whose suffix chooses PNG, SVG or PDF."""
    figure.suptitle(title, fontsize=12, linespacing=1.3)
    if path is not None:
        _save(figure, Path(path))
    return figure


def _save(figure: Any, path: Path) -> None:
    """Drawn in memory first: a full disk leaves the old picture or none, never half of one."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=path.suffix[1:] or "png")
    write_atomically(path, buffer.getvalue())


def diverging() -> Any:
    """The map of values with a sign: blue, white at zero, vermillion."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("blue_white_vermillion", [BLUE, "white", VERMILLION])


def rising() -> Any:
    """The map of values from zero up: white to deep blue."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("white_blue", ["white", SKY, BLUE, "#003a5c"])


def whole_numbers(axis: Any) -> None:
    """Ticks at whole numbers only: there is no epoch 2.5."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def as_array(x: Any) -> np.ndarray:
    """A NumPy array of a tensor (copied from its device) or of anything array-like."""
    return x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)


def stretched(picture: np.ndarray) -> np.ndarray:
    """One image stretched to 0..1, whatever its normalisation."""
    low, high = float(picture.min()), float(picture.max())
    return (picture.astype(float) - low) / ((high - low) or 1.0)


def channels_last(name: str, argument: str, images: Any) -> np.ndarray:
    """(N, H, W), (N, 1, H, W) or (N, 3, H, W) as (N, H, W) or (N, H, W, 3); ValueError for others."""
    pictures = as_array(images)
    if pictures.ndim == 4 and pictures.shape[1] in (1, 3):
        pictures = pictures[:, 0] if pictures.shape[1] == 1 else pictures.transpose(0, 2, 3, 1)
    elif pictures.ndim != 3:
        raise ValueError(
            f"{name}: expected {argument} (N, H, W) or (N, 1 or 3, H, W), got shape {pictures.shape}"
        )
    return pictures
