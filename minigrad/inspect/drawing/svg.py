"""A scene as SVG text: no library, no script, no reference to anything outside the file."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator
from html import escape

import numpy as np

from .scene import CAPTION_FONT, FONT, LINE, Arrow, Box, Piece, Scene
from .style import FILL, GROUND, INK, LABEL, Stroke, arrow_stroke, box_stroke, flows_back, heat_colours

__all__ = ["png_bytes", "svg"]

HEAD = 7.0  # pixels of an arrow's head


def svg(scene: Scene) -> str:
    """The scene, laid out before, as the text of an SVG file."""
    return "\n".join(_lines(scene)) + "\n"


def _lines(scene: Scene) -> Iterator[str]:
    """Frame, arrows, boxes, labels, caption: what comes later lies above."""
    width, height = scene.size
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 {scene.top:.0f} {width:.0f} {height:.0f}" style="max-width: 100%" '
        f'font-family="monospace" font-size="{FONT}" role="img" aria-label="{escape(_said(scene))}">'
    )
    yield (
        f'<rect x="0" y="{scene.top:.0f}" width="{width:.0f}" height="{height:.0f}" rx="6" fill="{GROUND}"/>'
    )
    arrows = sorted(scene.arrows(), key=lambda arrow: arrow_stroke(arrow.mark).width)  # the shown one on top
    for arrow in arrows:
        yield from _arrow(arrow)
    for box in scene.boxes:
        yield from _box(box)
    for arrow in arrows:
        yield from _label(arrow)
    for row, (x, y, line) in enumerate(scene.caption_at()):
        look = f'font-size="{CAPTION_FONT}" fill="{INK["title"]}"' + ' font-weight="bold"' * (row == 0)
        yield f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(line)}</text>'
    yield "</svg>"


def _said(scene: Scene) -> str:
    """The picture in words, for those who hear it: the caption, or what the graph computes."""
    titles = [box.lines[0][0] for box in scene.boxes if box.kind != "again"]
    return ". ".join(scene.caption) or f"Graph of {len(titles)} boxes; the last is {titles[-1]}"


def _stroke(stroke: Stroke) -> str:
    dashes = ' stroke-dasharray="4 3"' if stroke.dashed else ""
    return f'stroke="{stroke.colour}" stroke-width="{stroke.width}"{dashes}'


def _arrow(arrow: Arrow) -> Iterator[str]:
    stroke = arrow_stroke(arrow.mark)
    for piece in arrow.pieces:
        yield f'<path d="{_way(piece)}" fill="none" {_stroke(stroke)} stroke-linejoin="round"/>'
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in head(arrow))
    yield f'<polygon points="{points}" fill="{stroke.colour}"/>'


def head(arrow: Arrow) -> list[tuple[float, float]]:
    """The three corners of an arrow's head: at its source where gradient flows back."""
    half = HEAD * (0.42 if arrow_stroke(arrow.mark).width < 2 else 0.75)
    back = flows_back(arrow.mark)
    x, y = arrow.pieces[0].points[0] if back else arrow.tip
    depth = HEAD * (1.0 if half < HEAD / 2 else 1.4) * (1 if back else -1)
    return [(x, y), (x + depth, y - half), (x + depth, y + half)]


def _way(piece: Piece) -> str:
    """The path data of a piece; one that passes a column is a single horizontal stroke."""
    (x, y), *rest = piece.points
    if piece.curved:
        curves = [rest[i : i + 3] for i in range(0, len(rest), 3)]
        ways = "".join(" C" + " ".join(f"{px:.1f} {py:.1f}" for px, py in part) for part in curves)
        return f"M{x:.1f} {y:.1f}{ways}"
    if len(rest) == 1 and rest[0][1] == y:
        return f"M{x:.1f} {y:.1f} h{rest[0][0] - x:.1f}"
    return f"M{x:.1f} {y:.1f} L" + " ".join(f"{px:.1f} {py:.1f}" for px, py in rest)


def _label(arrow: Arrow) -> Iterator[str]:
    """The label on a pale outline, so that lines do not cross it out."""
    if not arrow.text:
        return
    x, y = arrow.label_at
    strong = arrow.mark in ("now", "wrong", "missing")
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="end" font-size="10"' + ' font-weight="bold"' * strong
    colour = INK["gradient"] if strong else LABEL
    for ink in (f'stroke="{GROUND}" stroke-width="3"', f'fill="{colour}"'):
        yield f"<text {place} {ink}>{escape(arrow.text)}</text>"


def _box(box: Box) -> Iterator[str]:
    """A box, its lines of text and its heat maps."""
    yield (
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="5" '
        f'fill="{FILL[box.kind]}" {_stroke(box_stroke(box.mark))}/>'
    )
    x = box.x + box.width / 2
    for row, (text, role) in enumerate(box.lines):
        if text:
            y = box.y + LINE * (row + 1) - 1
            colour = INK["dim"] if box.mark == "dim" else INK[role]
            look = f'text-anchor="middle" fill="{colour}"' + ' font-weight="bold"' * (role == "title")
            yield f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(text)}</text>'
    for (x, y, w, h), colours, role in heat_maps(box):
        data = base64.b64encode(png_bytes(colours)).decode()
        yield (
            f'<image x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" preserveAspectRatio="none" '
            f'style="image-rendering: pixelated" href="data:image/png;base64,{data}"/>'
        )
        yield f'<path d="M{x:.1f} {y:.1f} h{w:.1f} v{h:.1f} h{-w:.1f} z" fill="none" stroke="{INK[role]}"/>'


def heat_maps(box: Box) -> Iterator[tuple[tuple[float, float, float, float], np.ndarray, str]]:
    """Each heat map of a box: (x, y, width, height), its colours, and its role."""
    n = len(box.heat)
    for i, (array, role) in enumerate(box.heat):
        if array is None:
            continue
        colours = heat_colours(array)
        rows, columns = colours.shape[:2]
        room_w, room_h = (box.width - 12) / n - 4, 38.0
        cell = min(room_w / max(columns, 1), room_h / max(rows, 1), 14.0)
        w, h = max(cell * columns, 6.0), max(cell * rows, 6.0)
        centre = box.x + 6 + (box.width - 12) * (i + 0.5) / n
        yield (centre - w / 2, box.y + box.height - 4 - (room_h + h) / 2, w, h), colours, role


def png_bytes(colours: np.ndarray) -> bytes:
    """A PNG file of 8-bit colours (rows, columns, 3)."""
    rows, columns = colours.shape[:2]
    raw = np.zeros((rows, 1 + 3 * columns), dtype=np.uint8)  # every row begins with its filter, 0: none
    raw[:, 1:] = colours.reshape(rows, -1)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(raw.tobytes(), 9)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
