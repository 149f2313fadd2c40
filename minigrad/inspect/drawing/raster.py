"""A scene as a Matplotlib figure, and from there as PNG or PDF bytes. Needs the extra `train`."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from .scene import CAPTION_FONT, FONT, LINE, Arrow, Box, Scene
from .style import FILL, GROUND, INK, LABEL, arrow_stroke, box_stroke
from .svg import head, heat_maps

__all__ = ["figure", "image_bytes", "pixels"]

PIXELS_PER_INCH = 72  # a point is a pixel, so that texts have the size that the layout gave them
FAMILY = "DejaVu Sans Mono"  # comes with Matplotlib, and has the letters of formulas


def figure(scene: Scene) -> Any:
    """The scene, laid out before, as a Matplotlib Figure: no window, no global state."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("draw: Matplotlib is not installed; run: pip install 'minigrad[train]'") from None
    width, height = scene.size
    made = Figure(figsize=(width / PIXELS_PER_INCH, height / PIXELS_PER_INCH), facecolor=GROUND)
    axes = made.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for arrow in scene.arrows():
        _arrow(axes, arrow)
    for box in scene.boxes:
        _box(axes, box)
    for row, (x, y, line) in enumerate(scene.caption_at()):
        _text(axes, x, y, line, INK["title"], "left", size=CAPTION_FONT, bold=row == 0)
    axes.set_aspect("auto")  # heat maps are images, and an image moves aspect and limits
    axes.set_xlim(0, width)
    axes.set_ylim(scene.top + height, scene.top)  # y grows downwards, as in SVG
    return made


def image_bytes(scene: Scene, suffix: str, dpi: int = 144) -> bytes:
    """The scene as the bytes of a '.png' or '.pdf' file."""
    buffer = io.BytesIO()
    figure(scene).savefig(buffer, format=suffix[1:], dpi=dpi)
    return buffer.getvalue()


def pixels(scene: Scene, dpi: int) -> np.ndarray:
    """The scene as 8-bit colours (rows, columns, 3)."""
    made = figure(scene)
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    made.set_dpi(dpi)
    canvas = FigureCanvasAgg(made)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def _text(axes: Any, x: float, y: float, text: str, colour: str, side: str, size: float, bold: bool) -> Any:
    weight = "bold" if bold else "normal"
    return axes.text(
        x, y, text, color=colour, ha=side, va="baseline", fontsize=size, family=FAMILY, weight=weight,
        parse_math=False, zorder=4,
    )  # fmt: skip


def _arrow(axes: Any, arrow: Arrow) -> None:
    from matplotlib import patheffects
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path

    stroke = arrow_stroke(arrow.mark)
    for piece in arrow.pieces:
        step = Path.CURVE4 if piece.curved else Path.LINETO
        path = Path(piece.points, [Path.MOVETO] + [step] * (len(piece.points) - 1))
        style = (0, (4, 3)) if stroke.dashed else "solid"
        axes.add_artist(
            PathPatch(
                path, fill=False, edgecolor=stroke.colour, linewidth=stroke.width, linestyle=style,
                zorder=1 + stroke.width / 10,
            )
        )  # fmt: skip
    axes.add_artist(Polygon(head(arrow), facecolor=stroke.colour, edgecolor="none", zorder=2))
    if arrow.text:
        strong = arrow.mark in ("now", "wrong", "missing")
        drawn = _text(
            axes, *arrow.label_at, arrow.text, INK["gradient"] if strong else LABEL, "right", 10, strong
        )
        drawn.set_path_effects([patheffects.withStroke(linewidth=3, foreground=GROUND)])


def _box(axes: Any, box: Box) -> None:
    from matplotlib.patches import FancyBboxPatch

    stroke = box_stroke(box.mark)
    axes.add_artist(
        FancyBboxPatch(
            (box.x, box.y), box.width, box.height, boxstyle="round,pad=0,rounding_size=5",
            facecolor=FILL[box.kind], edgecolor=stroke.colour, linewidth=stroke.width,
            linestyle=(0, (4, 3)) if stroke.dashed else "solid", zorder=3,
        )
    )  # fmt: skip
    for row, (text, role) in enumerate(box.lines):
        if text:
            colour = INK["dim"] if box.mark == "dim" else INK[role]
            y = box.y + LINE * (row + 1) - 1
            _text(axes, box.x + box.width / 2, y, text, colour, "center", FONT, role == "title")
    for (x, y, w, h), colours, role in heat_maps(box):
        axes.imshow(colours, extent=(x, x + w, y + h, y), aspect="auto", interpolation="nearest", zorder=4)
        axes.add_artist(_outline(x, y, w, h, INK[role]))


def _outline(x: float, y: float, w: float, h: float, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), w, h, fill=False, edgecolor=colour, linewidth=1, zorder=5)
