"""Heat laid over what it explains: overlays on images, attention between tokens, a unit's receptive field."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .figure import (
    BLUE,
    GREY,
    INK,
    VERMILLION,
    as_array,
    channels_last,
    colour_bar,
    diverging,
    finish,
    new_figure,
    picture_grid,
    rising,
    stretched,
)

__all__ = ["attention_map", "overlay"]

MOST_IMAGES = 32
MOST_NUMBERED = 12  # tokens; more leave no room for numbers in the cells


def overlay(
    image: Any,
    heat: Any,
    path: str | Path | None = None,
    titles: Sequence[str] | None = None,
    title: str = "",
    boxes: Any = None,
) -> Any:
    """An image in grey with its explanation over it: vermillion is for, blue against, strong is opaque.

    image: (H, W), (C, H, W) or N of them, C 1 or 3; heat: (h, w), or (C, h, w) whose largest |value| over
    channels counts, or N of either. A smaller heat map is enlarged by linear interpolation, each map on its
    own scale. Each image stands above its overlay. titles: one per image. boxes: one per image, outlined,
    (top, bottom, left, right) with the ends left out. At most 32. Raises ValueError for shapes that do not
    belong together and for values that are not finite.
    """
    images, heats = _images(image), _heats(heat)
    if len(images) != len(heats) or len(images) == 0:
        raise ValueError(f"overlay: expected as many heat maps as images, got {len(heats)} and {len(images)}")
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"overlay: expected {len(images)} titles, got {len(titles)}")
    if boxes is not None and np.shape(boxes) != (len(images), 4):
        raise ValueError(f"overlay: expected boxes ({len(images)}, 4), got shape {np.shape(boxes)}")
    if not (np.isfinite(images).all() and np.isfinite(heats).all()):
        raise ValueError("overlay: expected finite values, got NaN or infinity")
    images, heats = images[:MOST_IMAGES], heats[:MOST_IMAGES]
    lines = 0 if titles is None else max(str(t).count("\n") + 1 for t in titles)
    if len(images) <= 8:  # the image, and below it the overlay
        figure, grid = picture_grid(2 * len(images), len(images), 1.35, label=0.04 + 0.075 * lines)
        plain_ones, covered = grid[: len(images)], grid[len(images) :]
    else:
        figure, covered = picture_grid(len(images), 8, 1.2, label=0.06 + 0.15 * lines)
        plain_ones = []
    for axes, picture in zip(plain_ones, images):
        axes.imshow(stretched(picture), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    for axes, picture, one in zip(covered, images, heats):
        axes.imshow(_blend(picture, one), interpolation="nearest")
    for axes, (top, bottom, left, right) in zip(covered, boxes if boxes is not None else []):
        _frame(axes, ((top, bottom), (left, right)), "-", INK, "", width=1.2)
    for axes, text in zip(plain_ones or covered, titles or []):
        axes.set_title(str(text), fontsize=7.5, color=GREY, pad=3)
    signed = bool((heats < 0).any())
    _scale_bar(figure, [*plain_ones, *covered], signed)
    meaning = "Vermillion speaks for it, blue against it" if signed else "What counts, in vermillion"
    return finish(figure, title or meaning, path)


def _images(image: Any) -> np.ndarray:
    """(N, H, W) or (N, H, W, 3)."""
    raw = as_array(image).astype(float)
    if raw.ndim == 2 or (raw.ndim == 3 and raw.shape[0] in (1, 3)):
        raw = raw[None]
    return channels_last("overlay", "image", raw)


def _heats(heat: Any) -> np.ndarray:
    """(N, h, w)."""
    raw = as_array(heat).astype(float)
    if raw.ndim == 2:
        raw = raw[None]
    if raw.ndim == 4:  # over channels the value that is largest without its sign
        largest = np.abs(raw).argmax(1)[:, None]
        raw = np.take_along_axis(raw, largest, 1)[:, 0]
    if raw.ndim != 3:
        raise ValueError(f"overlay: expected heat (h, w), (N, h, w) or (N, C, h, w), got shape {raw.shape}")
    return raw


def _blend(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """(H, W, 3): the image in pale grey, mixed with the heat's colour by its strength."""
    grey = picture if picture.ndim == 2 else picture.mean(-1)
    paper = np.repeat((1.0 - 0.75 * stretched(grey))[..., None], 3, -1)
    strength = _enlarged(heat, grey.shape)
    strength = strength / max(float(np.abs(strength).max()), 1e-12)
    pure = np.where(strength[..., None] > 0, _rgb(VERMILLION), _rgb(BLUE))
    opaque = 0.85 * np.abs(strength)[..., None]
    return (1 - opaque) * paper + opaque * pure


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def _enlarged(heat: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Linear interpolation between the middles of cells, along each axis."""
    for axis, n in enumerate(size):
        m = heat.shape[axis]
        at = np.clip((np.arange(n) + 0.5) * m / n - 0.5, 0, m - 1)
        low = np.minimum(np.floor(at).astype(int), max(m - 2, 0))
        share = (at - low).reshape(-1, *[1] * (1 - axis))
        heat = (
            np.take(heat, low, axis) * (1 - share) + np.take(heat, np.minimum(low + 1, m - 1), axis) * share
        )
    return heat


def _scale_bar(figure: Any, axes: Sequence[Any], signed: bool) -> None:
    """What the colours mean, in shares of the strongest."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    colours = diverging() if signed else LinearSegmentedColormap.from_list("v", ["white", VERMILLION])
    scale = ScalarMappable(Normalize(-1.0 if signed else 0.0, 1.0), colours)
    colour_bar(figure, scale, axes, "share of the strongest")


def attention_map(
    weights: Any, queries: Any = None, keys: Any = None, path: str | Path | None = None, title: str = ""
) -> Any:
    """Who looks at whom: weights (L, S), or (heads, L, S) side by side; a query per row, a key per column.

    queries: L names, keys: S names, such as tokens; keys are the queries if L = S and none are given. A batch
    of one, (1, heads, L, S), is taken as its only sample. Small maps show the numbers. Raises ValueError for
    other shapes, numbers of names, and values outside 0..1.
    """
    raw = as_array(weights).astype(float)
    maps = raw[0] if raw.ndim == 4 and len(raw) == 1 else raw
    maps = maps[None] if maps.ndim == 2 else maps
    if maps.ndim != 3 or maps.size == 0:
        raise ValueError(f"attention_map: expected weights (L, S) or (heads, L, S), got shape {raw.shape}")
    if not (maps.min() >= -1e-6 and maps.max() <= 1 + 1e-6):
        raise ValueError(f"attention_map: expected weights in 0..1, got {maps.min():.3g}..{maps.max():.3g}")
    heads, length, among = maps.shape
    keys = queries if keys is None and length == among else keys
    for name, given, n in (("queries", queries, length), ("keys", keys, among)):
        if given is not None and len(given) != n:
            raise ValueError(f"attention_map: expected {n} {name}, got {len(given)}")
    per_row = min(heads, 4)
    most = 6.0 if heads == 1 else 13.0 / per_row  # inches
    wide, high = np.clip([0.3 * among, 0.3 * length], 1.7, most)
    rows = -(-heads // per_row)
    figure = new_figure(per_row * (wide + 0.35) + 1.9, rows * (high + 0.7) + 0.9)
    grid = figure.subplots(rows, per_row, squeeze=False).ravel()
    peak = float(maps.max())
    for h, axes in enumerate(grid[:heads]):
        drawn = axes.imshow(maps[h], cmap=rising(), vmin=0, vmax=max(peak, 1e-12), interpolation="nearest")
        _name_ticks(axes, queries if h % per_row == 0 else [""] * length, keys)
        if heads > 1:
            axes.set_title(f"head {h}", fontsize=8, color=GREY)
        if max(length, among) <= MOST_NUMBERED and heads == 1:
            _numbers(axes, maps[h], peak)
    for axes in grid[heads:]:
        axes.set_axis_off()
    for axes in grid[:heads]:
        axes.set_xlabel("key", fontsize=8)
    for axes in grid[:heads:per_row]:
        axes.set_ylabel("query", fontsize=8)
    colour_bar(figure, drawn, grid, "attention")
    return finish(figure, title or "Attention: rows add up to 1", path)


def _name_ticks(axes: Any, queries: Any, keys: Any) -> None:
    axes.tick_params(length=0, labelsize=8)
    axes.spines[:].set_color("#c9d0d8")
    if queries is not None:
        axes.set_yticks(range(len(queries)), [str(q) for q in queries])
    if keys is not None:
        axes.set_xticks(
            range(len(keys)), [str(k) for k in keys], rotation=90 if max(map(len, map(str, keys))) > 2 else 0
        )


def _numbers(axes: Any, weights: np.ndarray, peak: float) -> None:
    for r, c in np.argwhere(weights >= 0.005):
        white = weights[r, c] > 0.55 * peak
        text = f"{weights[r, c]:.2f}".lstrip("0")
        axes.text(c, r, text, ha="center", va="center", fontsize=6.5, color="white" if white else INK)


def field_picture(found: Any, image: Any = None, path: str | Path | None = None) -> Any:
    """A UnitField on its input: influence as heat, the measured box solid, the formula's dashed."""
    influence = found.influence if found.influence.ndim == 2 else found.influence[None]
    figure = new_figure(5.6, 4.6)
    axes = figure.subplots()
    if image is not None:
        (picture,) = _images(image)
        if picture.shape[:2] != influence.shape:
            raise ValueError(f"draw: expected an image {influence.shape}, got {picture.shape[:2]}")
        drawn = axes.imshow(_blend(picture, influence), interpolation="nearest")
    else:
        drawn = axes.imshow(influence, cmap=_vermillions(), vmin=0, interpolation="nearest")
        colour_bar(figure, drawn, [axes], "mean |gradient|")
    _frame(axes, found.box, "-", INK, "measured: gradient not zero")
    if found.expected is not None:
        _frame(axes, found.expected, (0, (3, 3)), "#56B4E9", "formula")
    axes.set_xlim(-0.8, influence.shape[1] - 0.2)  # room for a frame at the border
    axes.set_ylim(influence.shape[0] - 0.2, -0.8)
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=2)
    by = " x ".join(map(str, found.size))
    told = f"sees {by}"
    if found.formula:
        cut = ", cut off at the border" * (found.formula != found.size)
        told += f"; formula {' x '.join(map(str, found.formula))}{cut}"
    return finish(figure, f"Receptive field of {found.layer}, unit {found.unit}\n{told}", path)


def _vermillions() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("white_vermillion", ["white", VERMILLION, "#6b2f00"])


def _frame(axes: Any, box: tuple, dashes: Any, colour: str, label: str, width: float = 2.2) -> None:
    """The outline of a box of pixels."""
    from matplotlib.patches import Rectangle

    (top, bottom), (left, right) = box if len(box) == 2 else ((0, 1), box[0])
    corner, wide, high = (left - 0.5, top - 0.5), right - left, bottom - top
    axes.add_patch(
        Rectangle(
            corner, wide, high, fill=False, edgecolor=colour, linestyle=dashes, linewidth=width, label=label
        )
    )
