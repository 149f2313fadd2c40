"""Where each box stands: columns by longest path, rows by few crossings, long graphs wrapped like text.

The layered method of Sugiyama, Tagawa and Toda 1981, "Methods for Visual Understanding of Hierarchical
System Structures": columns; a slot in every column that an edge passes; sweeps that order columns by
the mean height of their neighbours. Heights are the least squares fit to where the edges want them.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from .scene import Arrow, Box, Piece, Scene

__all__ = ["lay_out"]

GAP_X, GAP_Y, MARGIN = 56.0, 16.0, 12.0  # pixels: between columns, between rows, around it all
WAY_GAP = 7.0  # pixels between two long arrows, or one and a box
SIDE_BY_SIDE = 11.0  # pixels between two arrows from one box, if there is room
FAR = 5  # columns that an arrow from a leaf may pass; further on the leaf is drawn again
LABEL_CHAR, LABEL_LINE = 6.0, 11.0  # pixels of a character in an arrow's label, and of the label's height
TRACK = 7.0  # pixels between two arrows that turn to the next band
SWEEPS = 6


@dataclass(eq=False)
class Spot:
    """A place in a column: a box, or the slot through which a long arrow passes."""

    box: Box | None
    column: int
    width: float = 0.0
    height: float = 4.0
    links: list[tuple[Spot, Arrow]] = field(default_factory=list)  # what arrives here, and on which arrow
    x: float = 0.0
    y: float = 0.0
    right: float = 0.0  # of its column: arrows run straight as far, not behind a wider neighbour

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    def port(self, i: int) -> float:
        """Height, from the top, at which the i-th arrow arrives."""
        return self.height * (i + 1) / (len(self.links) + 1)


Users = dict[Spot, list[tuple[Spot, int]]]  # who a spot sends an arrow to, and to which of its ports
Gutters = dict[tuple[Spot, int], tuple[float, float, float]]  # an arrow's end: its track's x right, y, x left


def lay_out(scene: Scene, width: float | None = None) -> Scene:
    """Give every box its place and every arrow its way, in the scene itself; returns the scene.

    width: pixels after which the graph goes on below, at the left again; None for one band.
    """
    _repeat_leaves(scene)
    spots = _spots(scene.boxes)
    columns: list[list[Spot]] = [[] for _ in range(1 + max(spot.column for spot in spots))]
    for spot in spots:
        columns[spot.column].append(spot)
    users = _users(spots)
    _order(columns, users)
    _settle(columns, users)
    bands = _bands(columns, width)
    _set_x(bands)
    gutters = _set_bands(bands)
    _write(columns, gutters)
    scene.enclose(MARGIN)
    return scene


# ---------------------------------------------------------------- columns and slots


def _columns(boxes: list[Box]) -> dict[Box, int]:
    """The column of each box: the length of the longest path to it; a leaf stands next to its first user."""
    column: dict[Box, int] = {}
    for box in boxes:  # inputs come first, so one pass finds the longest paths
        column[box] = max((column[arrow.source] + 1 for arrow in box.inputs), default=0)
    nearest: dict[Box, int] = {}
    for box in boxes:
        for arrow in box.inputs:
            nearest[arrow.source] = min(nearest.get(arrow.source, column[box]), column[box])
    return {box: column[box] if box.inputs else nearest.get(box, 1) - 1 for box in boxes}


def _repeat_leaves(scene: Scene) -> None:
    """A leaf that is used far away is drawn again there, small, with its name."""
    column = _columns(scene.boxes)
    made: list[Box] = []
    for box in scene.boxes:
        for arrow in box.inputs:
            leaf = arrow.source
            if not leaf.inputs and column[box] - column[leaf] - 1 > FAR:
                arrow.source = Box("again", leaf.lines[:1], of=leaf)
                made.append(arrow.source)
        made.append(box)
    scene.boxes = made


def _spots(boxes: list[Box]) -> list[Spot]:
    """A spot per box and per column that an arrow passes."""
    column = _columns(boxes)
    for box in boxes:
        if any(arrow.label for arrow in box.inputs):
            box.height = max(box.height, LABEL_LINE * (len(box.inputs) + 1))
    spots = {box: Spot(box, column[box], box.width, box.height) for box in boxes}
    made = list(spots.values())
    for box in boxes:
        for arrow in box.inputs:
            source = spots[arrow.source]
            for passed in range(source.column + 1, column[box]):
                way = Spot(None, passed, links=[(source, arrow)])
                made.append(way)
                source = way
            spots[box].links.append((source, arrow))
    return made


def _users(spots: list[Spot]) -> Users:
    users: Users = {spot: [] for spot in spots}
    for spot in spots:
        for i, (source, _) in enumerate(spot.links):
            users[source].append((spot, i))
    return users


# ---------------------------------------------------------------- rows


def _order(columns: list[list[Spot]], users: Users) -> None:
    """Sweep back and forth, each column sorted by where its neighbours are; keep the fewest crossings."""
    backward, forward = _wish_of_users(users), _wish_of_sources
    _sweep(columns[::-1], backward)
    best = (_crossings(columns), [list(column) for column in columns])
    for _ in range(SWEEPS):
        if best[0] == 0:
            break
        _sweep(columns, forward)
        _sweep(columns[::-1], backward)
        count = _crossings(columns)
        if count < best[0]:
            best = (count, [list(column) for column in columns])
    for column, order in zip(columns, best[1]):
        column[:] = order
    for column in columns:
        _stack(column, [spot.middle for spot in column])


def _settle(columns: list[list[Spot]], users: Users) -> None:
    """The order stands; pull every spot to the mean of what it is tied to, so that edges run straight."""
    backward = _wish_of_users(users)

    def both(spot: Spot) -> float | None:
        found = [wish for wish in (backward(spot), _wish_of_sources(spot)) if wish is not None]
        return sum(found) / len(found) if found else None

    for wish, sequence in [(backward, columns[::-1]), (both, columns), (both, columns[::-1])]:
        for column in sequence:
            _stack(column, [_or_here(wish(spot), spot) for spot in column])


def _wish_of_users(users: Users) -> Callable[[Spot], float | None]:
    def wish(spot: Spot) -> float | None:
        heights = [user.y + user.port(i) for user, i in users[spot]]
        return sum(heights) / len(heights) if heights else None

    return wish


def _wish_of_sources(spot: Spot) -> float | None:
    heights = [source.middle + spot.height / 2 - spot.port(i) for i, (source, _) in enumerate(spot.links)]
    return sum(heights) / len(heights) if heights else None


def _or_here(wish: float | None, spot: Spot) -> float:
    return spot.middle if wish is None else wish


def _sweep(columns: list[list[Spot]], wish: Callable[[Spot], float | None]) -> None:
    for column in columns:
        wishes = {spot: _or_here(wish(spot), spot) for spot in column}
        column.sort(key=wishes.__getitem__)
        _stack(column, [wishes[spot] for spot in column])


def _stack(column: list[Spot], middles: list[float]) -> None:
    """Each as near as can be to its wish, in this order, without touching: least squares, pooled neighbours.

    Two that would overlap move as one from there on (pool adjacent violators; Barlow et al. 1972).
    """
    offsets, room = [], 0.0
    for spot, below in zip(column, [*column[1:], None]):
        offsets.append(room + spot.height / 2)
        room += spot.height + (GAP_Y if spot.box and below and below.box else WAY_GAP)
    pools: list[list[float]] = []  # [sum of wishes less offset, weight, count]
    for spot, middle, offset in zip(column, middles, offsets):
        weight = 3.0 if spot.box is None else 1.0  # a line that bends is worse than a box out of line
        pools.append([(middle - offset) * weight, weight, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            last = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], last)]
    shifts = [total / weight for total, weight, count in pools for _ in range(int(count))]
    for spot, shift, offset in zip(column, shifts, offsets):
        spot.y = shift + offset - spot.height / 2


def _crossings(columns: list[list[Spot]]) -> int:
    """How many pairs of edges between neighbouring columns cross: inversions of their ends."""
    count = 0
    for left, right in pairwise(columns):
        row = {spot: i for i, spot in enumerate(left)}
        ends = sorted(
            (row[source], i, port)
            for i, spot in enumerate(right)
            for port, (source, _) in enumerate(spot.links)
        )
        seen: list[tuple[int, int]] = []
        for _, i, port in ends:
            count += len(seen) - bisect.bisect_right(seen, (i, port))
            bisect.insort(seen, (i, port))
    return count


# ---------------------------------------------------------------- columns in bands


def _bands(columns: list[list[Spot]], width: float | None) -> list[list[list[Spot]]]:
    """The columns cut into bands of about equal width, none wider than asked if that can be had."""
    widths = [_room(column) + max(spot.width for spot in column) + GAP_X for column in columns]
    total = sum(widths)
    if width is None or total <= width:
        return [columns]
    count = math.ceil(total / width)
    bands: list[list[list[Spot]]] = [[] for _ in range(count)]
    used = 0.0
    for column, w in zip(columns, widths):  # by the middle of the column
        bands[int((used + w / 2) / total * count)].append(column)
        used += w
    return [band for band in bands if band]


def _room(column: list[Spot]) -> float:
    """Width of the labels on the arrows that arrive in a column."""
    labels = [len(arrow.text) for spot in column if spot.box for _, arrow in spot.links]
    return LABEL_CHAR * max(labels, default=0)


def _set_x(bands: list[list[list[Spot]]]) -> None:
    for b, band in enumerate(bands):
        turning = sum(len(spot.links) for spot in band[0]) if b else 0
        x = MARGIN + (TRACK * turning + 14 if b else 0)
        for i, column in enumerate(band):
            x += _room(column) if i or b else 0
            width = max(spot.width for spot in column)
            for spot in column:
                spot.x = x
                spot.width = width if spot.box is None else spot.width
                spot.right = x + width
            x += width + GAP_X


def _set_bands(bands: list[list[list[Spot]]]) -> Gutters:
    """Put the bands below one another; an arrow that turns gets a track: (its x right, its y, its x left)."""
    gutters: Gutters = {}
    floor = None
    for b, band in enumerate(bands):
        spots = [spot for column in band for spot in column]
        top = min(spot.y for spot in spots)
        turning = [(spot, i) for spot in band[0] for i in range(len(spot.links))] if b else []
        if floor is not None:
            below = floor + GAP_Y + TRACK * len(turning) + 14
            for spot in spots:
                spot.y += below - top
            right = max(spot.x + spot.width for column in bands[b - 1] for spot in column) + 12
            left = min(spot.x - _room(band[0]) for spot in band[0]) - 12
            outer_first = sorted(turning, key=lambda end: end[0].links[end[1]][0].y)
            for k, end in enumerate(outer_first):
                far = TRACK * (len(turning) - 1 - k)
                gutters[end] = (right + far, floor + GAP_Y + TRACK * (len(turning) - k), left - TRACK * k)
        floor = max(spot.y + spot.height for spot in spots)
    return gutters


# ---------------------------------------------------------------- into the scene


def _write(columns: list[list[Spot]], gutters: Gutters) -> None:
    """Places into the boxes, ways into the arrows."""
    spots = [spot for column in columns for spot in column]
    for spot in spots:
        for _, arrow in spot.links:
            arrow.pieces = []
    starts = _starts(spots)
    for spot in spots:
        if spot.box is not None:
            spot.box.x, spot.box.y, spot.box.column = spot.x, spot.y, spot.column
        for i, (source, arrow) in enumerate(spot.links):
            end = (spot.x, spot.y + spot.port(i))
            start = (source.x + source.width, starts[spot, i])
            under = LABEL_CHAR * len(arrow.text) if spot.box is not None else 0.0
            arrow.pieces.append(_piece(start, end, source.right, under, gutters.get((spot, i))))
            if spot.box is None:
                arrow.pieces.append(Piece([end, (spot.x + spot.width, end[1])]))
            arrow.label_at = (end[0] - 4, end[1] - 3)


def _starts(spots: list[Spot]) -> dict[tuple[Spot, int], float]:
    """The height at which each arrow leaves its source: side by side, in the order of their ends."""
    starts: dict[tuple[Spot, int], float] = {}
    for source, ends in _users(spots).items():
        ends = sorted(ends, key=lambda end: end[0].y + end[0].port(end[1]))  # all in the next column
        step = min(SIDE_BY_SIDE, 0.8 * source.height / len(ends)) if ends else 0.0
        for k, end in enumerate(ends):
            starts[end] = source.middle + step * (k - (len(ends) - 1) / 2)
    return starts


def _piece(start: tuple, end: tuple, out: float, under: float, gutter: tuple | None) -> Piece:
    """A curve to the next column, straight `out` of its own and `under` its label; or to the next band."""
    if gutter is not None:
        right, y, left = gutter
        return Piece([start, (right, start[1]), (right, y), (left, y), (left, end[1]), end])
    (x0, y0), (x1, y1) = start, end
    flat = x1 - under
    bend = min((flat - out) / 2, GAP_X)
    points = [start, start, (out, y0)] if out > x0 else []
    points += [(out, y0), (out + bend, y0), (flat - bend, y1), (flat, y1)]
    return Piece(points + [(flat, y1), end, end] if under else points, curved=True)
