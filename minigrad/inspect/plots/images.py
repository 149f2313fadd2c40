"""Pictures in a grid: filters, feature maps, images, and heat laid over them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from .figure import GREY, as_array, colour_bar, diverging, finish, picture_grid

__all__ = ["filters"]

MOST_FILTERS = 64  # more than this are too small to see


def filters(weight: Any, path: str | Path | None = None) -> Any:
    """The first layer's weights as pictures on one scale: blue negative, white zero, vermillion positive.

    weight: (O, I, h, w) of a convolution, or (O, h*h) of a linear layer on square images. Three input
    channels are shown as colours; other numbers as their own column each. At most 64 pictures.
    Raises ValueError for other shapes or values that are not finite.
    """
    raw = as_array(weight).astype(float)
    if raw.ndim == 2 and math.isqrt(raw.shape[1]) ** 2 == raw.shape[1]:
        side = math.isqrt(raw.shape[1])
        raw = raw.reshape(len(raw), 1, side, side)
    if raw.ndim != 4 or raw.size == 0:
        raise ValueError(
            "filters: expected weights (O, I, h, w), or (O, h*h) of a linear layer, "
            f"got shape {as_array(weight).shape}"
        )
    if not np.isfinite(raw).all():
        raise ValueError("filters: expected finite weights, got NaN or infinity; the training diverged")
    outputs, inputs = raw.shape[:2]
    in_colour = inputs == 3
    maps = raw[: max(1, MOST_FILTERS // (1 if in_colour else inputs))]  # whole maps, not parts of one
    pictures = maps.transpose(0, 2, 3, 1) if in_colour else maps.reshape(-1, *raw.shape[2:])
    shown = list(pictures[:MOST_FILTERS])
    per_row = inputs if 1 < inputs <= 16 and not in_colour else min(len(shown), 16 if len(shown) > 32 else 8)
    figure, grid = picture_grid(len(shown), per_row, 0.95)
    peak = max(float(np.abs(shown).max()), 1e-12)
    for i, (axes, picture) in enumerate(zip(grid, shown)):
        pixels = 0.5 + picture / (2 * peak) if in_colour else picture
        image = axes.imshow(pixels, cmap=diverging(), vmin=-peak, vmax=peak, interpolation="nearest")
        name = f"{i}" if in_colour or inputs == 1 else f"{i // inputs}, {i % inputs}"
        axes.set_title(name, fontsize=7, color=GREY, pad=2)
    if not in_colour:
        colour_bar(figure, image, grid, "weight")
    text = f"{outputs} maps of {inputs} channel{'s' * (inputs != 1)}, {raw.shape[2]}x{raw.shape[3]}"
    if len(maps) < outputs:
        text += f"; the first {len(maps)} shown"
    return finish(figure, f"First-layer filters\n{text}", path)
