"""draw(y): the graph that made y as an SVG picture, with values, gradients and local derivatives.

The numbers come from the engine's own `backprop()`, the picture from a small layered layout: a
node's column is the length of the longest path to it, rows are ordered to keep edges short.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from ..engine import backend
from ..engine.backprop import backprop
from ..engine.tensor import Node, Tensor, wrap

MOST_NODES = 200  # more make a picture nobody reads
CHAR, LINE, GAP_X, GAP_Y = 6.7, 15, 84, 16  # pixels: of a character, a text line, between boxes
FILL = {"leaf": "#dbeafe", "op": "#ffffff", "output": "#dcfce7", "constant": "#f1f5f9"}
INK = {"title": 'font-weight="bold" fill="#0f172a"', "value": 'fill="#0f172a"', "gradient": 'fill="#b91c1c"'}


class Picture(str):
    """SVG text that a notebook shows as a picture."""

    def _repr_svg_(self) -> str:
        return str(self)

    def save(self, path: Any) -> None:
        """Write the SVG to a file."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self)


def draw(y: Tensor, **names: Tensor) -> Picture:
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
    columns = _columns(boxes)
    return Picture("\n".join(_svg(boxes, columns)))


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
    seen, stack = {y._node}, [y._node]
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


def _columns(boxes: list[Box]) -> list[list[Box]]:
    """Place the boxes; boxes come inputs first, so that one pass finds the longest paths."""
    for box in boxes:
        box.column = max((source.column + 1 for source, _ in box.inputs), default=0)
    users: dict[Box, list[Box]] = {box: [] for box in boxes}
    for box in boxes:
        for source, _ in box.inputs:
            users[source].append(box)
    for box in boxes:
        if not box.inputs and users[box]:  # a leaf stands next to its first user
            box.column = min(user.column for user in users[box]) - 1
    columns: list[list[Box]] = [[] for _ in range(1 + max(box.column for box in boxes))]
    for box in boxes:
        columns[box.column].append(box)
    for column in columns:
        _stack(column)
    for _ in range(8):  # move each box towards its neighbours, now from the left, now from the right
        for column in (*columns, *reversed(columns)):
            near = {box: [n.middle for n in (*[s for s, _ in box.inputs], *users[box])] for box in column}
            column.sort(key=lambda box, near=near: sum(near[box]) / len(near[box]) if near[box] else 0.0)
            _stack(column)
    x = 12.0
    for column in columns:
        for box in column:
            box.x = x
        x += max((box.width for box in column), default=0.0) + GAP_X
    return columns


def _stack(column: list[Box]) -> None:
    """One above the other, centred around 0."""
    y = -(sum(box.height for box in column) + GAP_Y * (len(column) - 1)) / 2
    for box in column:
        box.y = y
        y += box.height + GAP_Y


# ---------------------------------------------------------------- SVG


def _svg(boxes: list[Box], columns: list[list[Box]]) -> Iterator[str]:
    """The picture's lines: frame, edges, boxes."""
    top = min(box.y for box in boxes) - 14
    width = max(box.x + box.width for box in boxes) + 12
    height = max(box.y + box.height for box in boxes) + 14 - top
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 {top:.0f} {width:.0f} {height:.0f}" font-family="monospace" font-size="11">'
    )
    yield f'<rect x="0" y="{top:.0f}" width="{width:.0f}" height="{height:.0f}" rx="6" fill="#fcfcfd"/>'
    for box in boxes:
        for i, (source, label) in enumerate(box.inputs):
            yield from _edge(source, box, (i + 1) / (len(box.inputs) + 1), label)
    for box in boxes:
        yield from _rectangle(box)
    yield "</svg>"


def _edge(source: Box, box: Box, share: float, label: str) -> Iterator[str]:
    """A curve from source to box, arriving at `share` of its height, its label near the arrival."""
    x0, y0 = source.x + source.width, source.middle
    x1, y1 = box.x, box.y + share * box.height
    bend = GAP_X / 2
    yield (
        f'<path d="M{x0:.1f} {y0:.1f} C{x0 + bend:.1f} {y0:.1f} {x1 - bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}" '
        'fill="none" stroke="#94a3b8" stroke-width="1.3"/>'
    )
    if label:
        yield (
            f'<text x="{x1 - 5:.1f}" y="{y1 - 4:.1f}" text-anchor="end" font-size="10" fill="#7c3aed" '
            f'stroke="#fcfcfd" stroke-width="3" paint-order="stroke">{escape(label)}</text>'
        )


def _rectangle(box: Box) -> Iterator[str]:
    """A box and its lines of text."""
    yield (
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="5" '
        f'fill="{FILL[box.kind]}" stroke="#475569"/>'
    )
    x = box.x + box.width / 2
    for row, (text, kind) in enumerate(box.lines):
        y = box.y + LINE * (row + 1) - 1
        yield f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" {INK[kind]}>{escape(text)}</text>'
