"""What there is to draw, as data: boxes with lines of text, arrows between them, a caption.

A scene is made (of a tensor's graph, of a trace, of a lesson), laid out once, and then drawn any
number of times: layout writes places into it, `svg` and `raster` read them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...engine import backend
from ...engine.tensor import Tensor

__all__ = ["Arrow", "Box", "Piece", "Scene", "number"]

CHAR, LINE = 6.7, 15.0  # pixels: of a character, of a line of text, in a monospaced font of FONT pixels
FONT = 11
CAPTION_CHAR, CAPTION_LINE, CAPTION_FONT = 7.9, 19.0, 13
HEAT_ROOM = 46.0  # height of a heat map, a little air above it included

Point = tuple[float, float]


@dataclass
class Piece:
    """A stretch of an arrow: a Bezier curve of four points, or a line through all of them."""

    points: list[Point]
    curved: bool = False


@dataclass(eq=False)
class Box:
    """A rectangle with lines of text, each (text, role); role is 'title', 'value', 'gradient' or 'note'.

    kind: 'leaf', 'op', 'output', 'constant', 'module', or 'again', a small second box of a far leaf, `of`.
    mark: '' | 'forward' or 'now' (the step shown) | 'wrong' | 'dim' (not reached yet). heat: up to two
    (array, role), drawn as maps.
    """

    kind: str
    lines: list[tuple[str, str]]
    mark: str = ""
    heat: list[tuple[np.ndarray, str]] = field(default_factory=list)
    inputs: list[Arrow] = field(default_factory=list)
    of: Box | None = None
    width: float = 0.0
    height: float = 0.0
    column: int = 0
    x: float = 0.0
    y: float = 0.0

    def __post_init__(self) -> None:
        self.fit(self.lines)

    def fit(self, lines: list[tuple[str, str]]) -> None:
        """Grow until these lines have room: what a box will say later is known before it is placed."""
        longest = max((len(text) for text, _ in lines), default=0)
        least = 68.0 * len(self.heat)
        self.width = max(self.width, CHAR * longest + 16, least + 16 if self.heat else 0.0)
        self.height = max(self.height, LINE * len(lines) + 9 + (HEAT_ROOM if self.heat else 0.0))

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    def arrivals(self) -> Iterator[tuple[Arrow, float]]:
        """Each arrow into this box and the height at which it arrives, in the op's order."""
        for i, arrow in enumerate(self.inputs):
            yield arrow, self.y + self.height * (i + 1) / (len(self.inputs) + 1)


@dataclass(eq=False)
class Arrow:
    """An edge into a box: where it comes from, its label, and, once laid out, its way.

    mark: '' | 'forward' (the step shown, forward) | 'now' (gradient passes here) | 'done' (it has passed)
    | 'wrong' | 'missing' (wrong: never sent) | 'dim' (not reached yet). Gradient flows back, to the source.
    """

    source: Box
    label: str = ""
    mark: str = ""
    pieces: list[Piece] = field(default_factory=list)
    label_at: Point = (0.0, 0.0)

    @property
    def text(self) -> str:
        """The label as it is written: with a cross where the edge is wrong."""
        return f"✗ {self.label}".strip() if self.mark in ("wrong", "missing") else self.label

    @property
    def tip(self) -> Point:
        return self.pieces[-1].points[-1]


@dataclass(eq=False)
class Scene:
    """Boxes (inputs before their users), the caption below them, and the frame around the boxes.

    least_width, caption_rows: room to keep, so that all pictures of a series have one size.
    """

    boxes: list[Box]
    caption: list[str] = field(default_factory=list)
    least_width: float = 0.0
    caption_rows: int = 0
    width: float = 0.0
    height: float = 0.0
    top: float = 0.0

    @property
    def size(self) -> Point:
        """Width and height of the whole picture in pixels."""
        rows = max(len(self.caption), self.caption_rows)
        longest = max((len(line) for line in self.caption), default=0)
        width = max(self.width, self.least_width, CAPTION_CHAR * longest + 24)
        return width, self.height + (CAPTION_LINE * rows + 10 if rows else 0)

    def enclose(self, margin: float) -> None:
        """Set the frame around all boxes and all ways, once they have their places."""
        points = [point for arrow in self.arrows() for piece in arrow.pieces for point in piece.points]
        xs = [x for x, _ in points] + [box.x + box.width for box in self.boxes]
        ys = [y for _, y in points] + [y for box in self.boxes for y in (box.y, box.y + box.height)]
        self.top = min(ys) - margin - 2
        self.width, self.height = max(xs) + margin, max(ys) + margin + 2 - self.top

    def caption_at(self) -> Iterator[tuple[float, float, str]]:
        """Each line of the caption and where it begins; the first is the heading."""
        for row, line in enumerate(self.caption):
            yield 14.0, self.top + self.height + CAPTION_LINE * (row + 1) - 4, line

    def arrows(self) -> Iterator[Arrow]:
        """All arrows, in the order of the boxes that they enter."""
        for box in self.boxes:
            yield from box.inputs


def number(array: Any) -> str:
    """A scalar or a short vector in four digits, anything else by its shape.

    >>> import numpy as np
    >>> number(np.float64(0.25)), number(np.array([1.0, -0.5])), number(np.zeros((3, 4)))
    ('0.25', '[1, -0.5]', '3x4')
    """
    if isinstance(array, Tensor):
        array = array._data
    if isinstance(array, backend.NUMBERS) or array.ndim == 0:
        return f"{array.item() if hasattr(array, 'item') else array:.4g}"
    if array.ndim == 1 and array.size <= 4:
        return f"[{', '.join(f'{value:.4g}' for value in array.tolist())}]"
    return "x".join(str(n) for n in array.shape)
