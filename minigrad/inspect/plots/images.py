"""Pictures in a grid: filters, feature maps, images, and heat laid over them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.recording import no_grad
from ...engine.tensor import Tensor
from ...nn.module import Module
from ..layers import Call, check_model, layer_named, on_model, output_of, run
from .figure import (
    GREY,
    as_array,
    channels_last,
    colour_bar,
    diverging,
    finish,
    picture_grid,
    rising,
    stretched,
)

__all__ = ["feature_maps", "filters", "show_images"]

MOST_FILTERS = 64  # more than this are too small to see
MAPS_PER_LAYER = 12  # where all layers are shown, a row each


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


def feature_maps(model: Module, x: Any, layer: Any = None, path: str | Path | None = None) -> Any:
    """What a network's layers make of one image: their maps (1, C, h, w) as pictures.

    x: one image, (C, H, W) or (1, C, H, W). layer: dotted name, or the layer, for its maps (64 at most) on
    one scale; None for a row of the first 12 from every layer that gives maps, each row on its own scale.
    White is zero; blue rises where all values of a row are >= 0, else blue is negative and vermillion
    positive. The model runs in eval mode. Raises ValueError for more than one image, a layer that the model
    lacks or that gives no maps, and for a model without any.
    """
    check_model("feature_maps", model)
    image = on_model(model, x)
    image = image[None] if image.ndim == 3 else image
    if image.ndim != 4 or len(image) != 1:
        raise ValueError(
            f"feature_maps: expected one image (C, H, W) or (1, C, H, W), got shape {image.shape}"
        )
    which = None if layer is None else layer_named("feature_maps", model, layer)
    with no_grad():
        _, calls = run(model, image)
    if which is None:
        return _rows_of_maps(_calls_with_maps(model, calls), path)
    maps = as_array(output_of("feature_maps", calls, which, layer, axes=(4,)))[0]
    shown = maps[:MOST_FILTERS]
    figure, grid = picture_grid(len(shown), min(len(shown), 16 if len(shown) > 32 else 8), 1.05)
    drawn = _maps_on_one_scale(grid, shown)
    colour_bar(figure, drawn, grid, "activation")
    name = next(call.name for call in calls if call.module is which)
    text = f"{name}, {type(which).__name__}: {len(maps)} maps of {maps.shape[1]}x{maps.shape[2]}"
    return finish(figure, text + f"; the first {len(shown)} shown" * (len(shown) < len(maps)), path)


def _calls_with_maps(model: Module, calls: list[Call]) -> list[Call]:
    """Innermost layers whose output has places."""
    found = [
        call
        for call in calls
        if call.innermost
        and isinstance(call.output, Tensor)
        and call.output.ndim == 4
        and call.output.shape[2:] != (1, 1)
    ]
    if not found:
        raise ValueError(f"feature_maps: no layer of {type(model).__name__} gives maps (N, C, h, w)")
    return found


def _rows_of_maps(calls: list[Call], path: str | Path | None) -> Any:
    """A row per layer."""
    wide = min(MAPS_PER_LAYER, max(call.output.shape[1] for call in calls))
    figure, grid = picture_grid(wide * len(calls), wide, 0.82, label=0.12)
    for row, call in enumerate(calls):
        maps = as_array(call.output)[0]
        cells = grid[row * wide : (row + 1) * wide]
        _maps_on_one_scale(cells, maps[:wide])
        for axes in cells[len(maps) :]:
            axes.set_axis_off()
        size = f"{len(maps)} of {maps.shape[1]}x{maps.shape[2]}"
        cells[0].set_ylabel(
            f"{call.name}\n{type(call.module).__name__}\n{size}",
            fontsize=7, color=GREY, rotation=0, ha="right", va="center", labelpad=6,
        )  # fmt: skip
    most = max(call.output.shape[1] for call in calls)
    text = "Feature maps, each row on its own scale" + f"; the first {wide} of each layer" * (most > wide)
    return finish(figure, text, path)


def _maps_on_one_scale(cells: list[Any], maps: np.ndarray) -> Any:
    """Numbered pictures; the last one, for a colour bar."""
    signed = bool((maps < 0).any())
    peak = max(float(np.abs(maps).max()), 1e-12)
    colours, low = (diverging(), -peak) if signed else (rising(), 0.0)
    for i, (axes, picture) in enumerate(zip(cells, maps)):
        drawn = axes.imshow(picture, cmap=colours, vmin=low, vmax=peak, interpolation="nearest")
        axes.set_title(str(i), fontsize=6.5, color=GREY, pad=1.5)
    return drawn


def show_images(images: Any, titles: Any = None, path: str | Path | None = None, title: str = "") -> Any:
    """Images side by side, each stretched to its own range: dark is large, as ink.

    images: (N, H, W), (N, 1, H, W) or (N, 3, H, W), in colours as they are; titles: N. At most 64 are shown.
    Raises ValueError for other shapes or numbers of titles, and for values that are not finite.
    """
    pictures = channels_last("show_images", "images", images)
    if len(pictures) == 0 or not np.isfinite(pictures).all():
        raise ValueError("show_images: expected at least one image of finite values")
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"show_images: expected {len(pictures)} titles, got {len(titles)}")
    shown = pictures[:MOST_FILTERS]
    lines = 0 if titles is None else max(str(t).count("\n") + 1 for t in titles)
    figure, grid = picture_grid(len(shown), min(len(shown), 8), 1.2, label=0.06 + 0.15 * lines)
    for i, (axes, picture) in enumerate(zip(grid, shown)):
        axes.imshow(stretched(picture), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        if titles is not None:
            axes.set_title(str(titles[i]), fontsize=7.5, color=GREY, pad=3)
    rest = f"the first {len(shown)} of {len(pictures)} images" if len(shown) < len(pictures) else ""
    return finish(figure, "\n".join(part for part in (title, rest) if part), path)
