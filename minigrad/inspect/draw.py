"""draw(y): the graph that made y as an SVG picture, with values, gradients and local derivatives.

The numbers come from the engine's own `backprop()`, the picture from a small layered layout: a
node's column is the length of the longest path to it, rows keep edges short and uncrossed.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from ..engine import backend
from ..engine.backprop import backprop
from ..engine.node import Node
from ..engine.tensor import Tensor, wrap

__all__ = ["Picture", "draw"]

MOST_NODES = 200  # more make a picture nobody reads
CHAR, LINE, GAP_X, GAP_Y = 6.7, 15, 56, 16  # pixels: of a character, a text line, between boxes
FILL = {"leaf": "#dbeafe", "op": "#ffffff", "output": "#dcfce7", "constant": "#f1f5f9"}
STROKE = 'fill="none" stroke="#94a3b8" stroke-width="1.3"'
INK = {"title": 'font-weight="bold" fill="#0f172a"', "value": 'fill="#0f172a"', "gradient": 'fill="#b91c1c"'}


class Picture(str):
    """SVG text that a notebook shows as a picture."""

    def _repr_svg_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"<Picture: {len(self):,} characters of SVG>"

    def save(self, path: Any) -> None:
        """Write the SVG to a file."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self)


def draw(y: Tensor, /, **names: Any) -> Picture:
    """The graph of a computed tensor `y`, inputs on the left, as SVG text.

    Each box shows a tensor: its name, its value where that is known (named, or saved for the backward
    pass) and, in red, the gradient of y with respect to it. An edge into a scalar carries the
    local derivative of that one op, so a gradient is the product of the edges on the way to y, summed
    over the ways. `names` gives tensors their names: draw(loss, w=w, x=x).

    Raises ValueError if y was not computed, its graph was already freed by backward(), or has more
    than 200 nodes.

    >>> import minigrad as mg
    >>> from minigrad.inspect import draw
    >>> a = mg.tensor(3.0, requires_grad=True)
    >>> picture = draw(a * a, a=a)
    >>> picture[:4], "gradient 6" in picture
    ('<svg', True)
    """
    if not isinstance(y, Tensor) or y.is_leaf:
        raise ValueError("draw: expected a tensor computed from tensors that require grad, got no such graph")
    boxes = _boxes(y, names)
    return Picture("\n".join(_svg(_place(boxes))))


# ---------------------------------------------------------------- what there is to draw


class Box:
    """One rectangle: a tensor or a constant, with the lines of text in it."""

    def __init__(self, kind: str, title: str, value: Any = None, gradient: Any = None) -> None:
        self.kind = kind
        self.lines = [(title, "title")]
        if value is not None:
            self.lines.append((number(value), "value"))
        if gradient is not None:
            self.lines.append((f"gradient {number(gradient)}", "gradient"))
        self.inputs: list[tuple[Box, str]] = []  # an input and the label of its edge
        self.width = CHAR * max(len(text) for text, _ in self.lines) + 16
        self.height = LINE * len(self.lines) + 9.0
        self.column = 0
        self.x = self.y = 0.0

    def arrivals(self) -> Iterator[tuple[Box, str, float]]:
        """Each input, the label of its edge and the height at which it arrives, in the op's order."""
        for i, (source, label) in enumerate(self.inputs):
            yield source, label, self.y + self.height * (i + 1) / (len(self.inputs) + 1)

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def _boxes(y: Tensor, names: dict[str, Tensor]) -> list[Box]:
    """A box per node of the graph, oldest first, linked by edges; constants come with their user."""
    nodes = _nodes(y)
    xp = backend.xp_of(y._data)
    gradients = {step.node: step.g for step in backprop(y, xp.ones_like(y._data), retain_graph=True)}
    titles = {t._node: name for name, t in names.items() if isinstance(t, Tensor) and t._node is not None}
    values = _values(nodes, [y, *names.values()])
    boxes: dict[Node, Box] = {}
    made = []
    for node in nodes:
        op = "" if node.op is None else node.op.name
        title = " = ".join(part for part in (titles.get(node), op) if part) or f"leaf {node.shape}"
        kind = "output" if node is y._node else "op" if op else "leaf"
        box = boxes[node] = Box(kind, title, values.get(node), gradients.get(node))
        local = _local_derivatives(node, xp)
        for i, source in enumerate(node.inputs):
            if source is None:
                made.append(Box("constant", _constant(node, i)))
            box.inputs.append((made[-1] if source is None else boxes[source], local[i]))
        made.append(box)
    return made


def _nodes(y: Tensor) -> list[Node]:
    """The nodes that y depends on, oldest first."""
    root: Any = y._node
    seen, stack = {root}, [root]
    while stack:
        for source in stack.pop().inputs:
            if source is not None and source not in seen:
                seen.add(source)
                stack.append(source)
        if len(seen) > MOST_NODES:
            raise ValueError(f"draw: expected at most {MOST_NODES} nodes, got more; draw a smaller part")
    return sorted(seen, key=lambda node: node.number)


def _values(nodes: list[Node], tensors: list[Any]) -> dict[Node, Any]:
    """Values of nodes: of the tensors at hand, and of what some op saved for its backward pass."""
    values = {t._node: t._data for t in tensors if isinstance(t, Tensor) and t._node is not None}
    for node in nodes:
        for position, array in _saved(node):
            owner = node if position == 0 else node.inputs[position - 1]
            if owner is not None:
                values.setdefault(owner, array)
    return values


def _saved(node: Node) -> Iterator[tuple[int, Any]]:
    """What a node saved as (position, array): position 0 is its output, i + 1 its input i."""
    if node.op is not None and node.saved is not None:
        for (position, only_shape), array in zip(node.plan.keep, node.saved, strict=True):
            if not only_shape and 0 <= position <= len(node.inputs):
                yield position, array


def _constant(node: Node, i: int) -> str:
    """Title of an input without gradient: its value if the op saved it."""
    return next((number(array) for position, array in _saved(node) if position == i + 1), "constant")


def _local_derivatives(node: Node, xp: Any) -> list[str]:
    """d node / d input per input, for a scalar node: the first step of backprop begun at it with 1."""
    if node.op is None or node.shape not in ((), (1,)):
        return [""] * len(node.inputs)
    one = xp.ones(node.shape, node.dtype)
    step = next(backprop(wrap(one, node), one, retain_graph=True))
    return ["" if g is None else number(g) for g in step.input_grads]


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


# ---------------------------------------------------------------- where to draw it


def _place(boxes: list[Box]) -> list[Box]:
    """Give every box its position, and each long edge its ways; returns all of them."""
    for box in boxes:  # inputs come first, so one pass finds the longest paths
        box.column = max((source.column + 1 for source, _ in box.inputs), default=0)
    users = _users(boxes)
    for box in boxes:
        if not box.inputs:  # a leaf stands next to its first user
            box.column = min(user.column for user in users[box]) - 1
    boxes = boxes + _ways(boxes)
    columns: list[list[Box]] = [[] for _ in range(1 + max(box.column for box in boxes))]
    for box in boxes:
        columns[box.column].append(box)
    _order(columns, _users(boxes))
    x = 12.0
    for column in columns:
        label = max((len(text) for box in column for _, text in box.inputs), default=0)
        x += 6 * label if column is not columns[0] else 0
        width = max(box.width for box in column)
        for box in column:
            box.x = x
            box.width = width if box.kind == "way" else box.width
        x += width + GAP_X
    return boxes


def _users(boxes: list[Box]) -> dict[Box, list[Box]]:
    """The boxes that each box has an edge to."""
    users: dict[Box, list[Box]] = {box: [] for box in boxes}
    for box in boxes:
        for source, _ in box.inputs:
            users[source].append(box)
    return users


def _ways(boxes: list[Box]) -> list[Box]:
    """An edge that passes whole columns runs through a slot of its own in each, not behind boxes."""
    made = []
    for box in boxes:
        for i, (source, label) in enumerate(box.inputs):
            for column in range(source.column + 1, box.column):
                way = Box("way", "")
                way.column, way.height, way.inputs = column, 4.0, [(source, "")]
                made.append(way)
                source = way
            box.inputs[i] = (source, label)
    return made


def _order(columns: list[list[Box]], users: dict[Box, list[Box]]) -> None:
    """From the output back, every box stands as near as can be to where its edges arrive."""
    for column in reversed(columns):
        wish = {}
        for box in column:
            heights = [y for user in users[box] for source, _, y in user.arrivals() if source is box]
            wish[box] = sum(heights) / max(len(heights), 1)
        column.sort(key=wish.__getitem__)
        _stack(column, sum(wish.values()) / len(wish))


def _stack(column: list[Box], centre: float) -> None:
    """One above the other, around a height."""
    y = centre - (sum(box.height for box in column) + GAP_Y * (len(column) - 1)) / 2
    for box in column:
        box.y = y
        y += box.height + GAP_Y


# ---------------------------------------------------------------- SVG


def _svg(boxes: list[Box]) -> Iterator[str]:
    """The picture's lines: frame, edges, boxes."""
    top = min(box.y for box in boxes) - 14
    width = max(box.x + box.width for box in boxes) + 12
    height = max(box.y + box.height for box in boxes) + 14 - top
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 {top:.0f} {width:.0f} {height:.0f}" style="max-width: 100%" '
        'font-family="monospace" font-size="11">'
    )
    yield f'<rect x="0" y="{top:.0f}" width="{width:.0f}" height="{height:.0f}" rx="6" fill="#fcfcfd"/>'
    for box in boxes:
        for source, label, y in box.arrivals():
            yield from _edge(source.x + source.width, source.middle, box.x, y, label)
    for box in boxes:
        yield from _rectangle(box)
    yield "</svg>"


def _edge(x0: float, y0: float, x1: float, y1: float, label: str) -> Iterator[str]:
    """A curve between two points, its label at the end on a pale ground."""
    bend = (x1 - x0) / 2 if x1 - x0 < 2 * GAP_X else GAP_X
    yield (
        f'<path d="M{x0:.1f} {y0:.1f} C{x0 + bend:.1f} {y0:.1f} {x1 - bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}" '
        f"{STROKE}/>"
    )
    if label:
        place = f'x="{x1 - 4:.1f}" y="{y1 - 3:.1f}" text-anchor="end" font-size="10"'
        for ink in ('stroke="#fcfcfd" stroke-width="3"', 'fill="#7c3aed"'):
            yield f"<text {place} {ink}>{escape(label)}</text>"


def _rectangle(box: Box) -> Iterator[str]:
    """A box and its lines of text; the piece of a long edge that passes a column is a line."""
    if box.kind == "way":
        yield f'<path d="M{box.x:.1f} {box.middle:.1f} h{box.width:.1f}" {STROKE}/>'
        return
    yield (
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="5" '
        f'fill="{FILL[box.kind]}" stroke="#475569"/>'
    )
    x = box.x + box.width / 2
    for row, (text, kind) in enumerate(box.lines):
        y = box.y + LINE * (row + 1) - 1
        yield f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" {INK[kind]}>{escape(text)}</text>'
