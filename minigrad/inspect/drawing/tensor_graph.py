"""The scene of a computed tensor's graph: values, gradients by the engine's backprop(), local derivatives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...engine import backend
from ...engine.backprop import backprop
from ...engine.node import Node
from ...engine.tensor import Tensor, wrap
from .scene import Arrow, Box, Scene, number

__all__ = ["tensor_scene"]

MOST_NODES = 200  # more make a picture nobody reads


def tensor_scene(y: Tensor, names: dict[str, Tensor]) -> Scene:
    """A box per node of y's graph, oldest first, with a constant's box before its user's."""
    nodes = _nodes(y)
    xp = backend.xp_of(y._data)
    gradients = {step.node: step.g for step in backprop(y, xp.ones_like(y._data), retain_graph=True)}
    titles = {t._node: name for name, t in names.items() if t._node is not None}
    values = _values(nodes, [y, *names.values()])
    boxes: dict[Node, Box] = {}
    made = []
    for node in nodes:
        op = "" if node.op is None else node.op.name
        title = " = ".join(part for part in (titles.get(node), op) if part) or f"leaf {node.shape}"
        kind = "output" if node is y._node else "op" if op else "leaf"
        box = boxes[node] = Box(kind, _lines(title, values.get(node), gradients.get(node)))
        local = _local_derivatives(node, xp)
        for i, source in enumerate(node.inputs):
            if source is None:
                made.append(_constant(node, i, names))
            box.inputs.append(Arrow(made[-1] if source is None else boxes[source], local[i]))
        made.append(box)
    return Scene(made)


def _lines(title: str, value: Any, gradient: Any) -> list[tuple[str, str]]:
    lines = [(title, "title")]
    if value is not None:
        lines.append((number(value), "value"))
    if gradient is not None:
        lines.append((f"gradient {number(gradient)}", "gradient"))
    return lines


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
            raise ValueError(
                f"draw: expected at most {MOST_NODES} nodes, got more; draw a smaller part, or a trace "
                "(draw(mg.trace(f, x))), which folds its modules"
            )
    return sorted(seen, key=lambda node: node.number)


def _values(nodes: list[Node], tensors: list[Tensor]) -> dict[Node, Any]:
    """Values of nodes: of the tensors at hand, and of what some op saved for its backward pass."""
    values = {t._node: t._data for t in tensors if t._node is not None}
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


def _constant(node: Node, i: int, names: dict[str, Tensor]) -> Box:
    """An input without gradient: its name if it was given, its value if the op saved it."""
    array = next((array for position, array in _saved(node) if position == i + 1), None)
    if array is None:
        return Box("constant", [("constant", "title")])
    name = next((name for name, t in names.items() if t._data is array), None)
    lines = [(number(array), "title")] if name is None else [(name, "title"), (number(array), "value")]
    return Box("constant", lines)


def _local_derivatives(node: Node, xp: Any) -> list[str]:
    """d node / d input per input, for a scalar node: the first step of backprop begun at it with 1."""
    if node.op is None or node.shape not in ((), (1,)):
        return [""] * len(node.inputs)
    one = xp.ones(node.shape, node.dtype)
    step = next(backprop(wrap(one, node), one, retain_graph=True))
    return ["" if g is None else number(g) for g in step.input_grads]
