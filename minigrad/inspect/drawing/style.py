"""Colours and strokes of all formats: forward is blue, gradients are vermillion (Okabe and Ito 2008).

Colour is never alone: the step shown is also thicker, what is not reached yet is dashed, what is wrong
carries a cross.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Stroke", "arrow_stroke", "box_stroke", "flows_back", "heat_colours"]

GROUND, LABEL = "#fcfcfd", "#6b3f6e"
FILL = {
    "leaf": "#dbeafe",
    "op": "#ffffff",
    "output": "#dcfce7",
    "constant": "#f1f5f9",
    "module": "#fff4dc",
    "again": "#eef5fd",
}
INK = {"title": "#0f172a", "value": "#00507f", "gradient": "#a84300", "note": "#5f6b7a", "dim": "#93a0ae"}


class Stroke(NamedTuple):
    """A line's colour, its width in pixels, and whether it is dashed."""

    colour: str
    width: float
    dashed: bool = False


ARROWS = {
    "": Stroke("#94a3b8", 1.3),
    "dim": Stroke("#c3ccd6", 1.1, dashed=True),
    "forward": Stroke("#0072B2", 2.8),
    "now": Stroke("#D55E00", 3.2),
    "done": Stroke("#dd9560", 1.7),
    "wrong": Stroke("#D55E00", 3.4),
    "missing": Stroke("#D55E00", 2.4, dashed=True),
}
BOXES = {
    "": Stroke("#475569", 1.0),
    "dim": Stroke("#b6c0cb", 1.0, dashed=True),
    "forward": Stroke("#0072B2", 2.6),
    "now": Stroke("#D55E00", 2.6),
    "wrong": Stroke("#D55E00", 2.6),
}


def arrow_stroke(mark: str) -> Stroke:
    """How an arrow with this mark is drawn."""
    return ARROWS[mark]


def box_stroke(mark: str) -> Stroke:
    """How the border of a box with this mark is drawn."""
    return BOXES[mark]


def flows_back(mark: str) -> bool:
    """True where an arrow's head is at its source: gradient runs against the computation."""
    return mark in ("now", "done", "wrong", "missing")


def heat_colours(array: np.ndarray) -> np.ndarray:
    """A small picture (rows, columns, 3) of 8-bit colours: blue is negative, white zero, vermillion positive.

    Any shape: a vector is a row, several maps stand side by side, what is larger than 32 is thinned out.
    """
    flat = _as_matrix(np.asarray(array, dtype=float))
    finite = np.where(np.isfinite(flat), flat, 0.0)
    share = finite / (np.abs(finite).max() or 1.0)
    ends = np.array([[0, 114, 178], [213, 94, 0]], dtype=float)
    end = np.where(share[..., None] < 0, ends[0], ends[1])
    return np.rint(255 + (end - 255) * np.abs(share)[..., None]).astype(np.uint8)


def _as_matrix(array: np.ndarray, most: int = 32) -> np.ndarray:
    """Two axes of at most `most` entries each; of more axes, the first maps side by side."""
    if array.ndim > 2:
        maps = array.reshape(-1, *array.shape[-2:])[:4]
        array = np.concatenate([np.pad(m, ((0, 0), (0, 1))) for m in maps], axis=1)[:, :-1]
    array = np.atleast_2d(array)
    rows, columns = (np.linspace(0, n - 1, min(n, most)).astype(int) if n else [] for n in array.shape)
    return array[np.ix_(rows, columns)]
