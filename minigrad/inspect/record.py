"""What a trace is made of: values, forward steps, backward steps and edges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..engine.node import Node
from . import formulas
from .places import Place

__all__ = ["Backward", "Edge", "Forward", "Recipe", "Value"]


@dataclass(eq=False)
class Value:
    """One array of the graph: an input, a parameter, a constant, or what an op made."""

    id: int
    kind: str  # "input", "parameter", "constant" or "result"
    data: np.ndarray
    name: str = ""
    module: str = ""
    time: int | None = None  # its place in a sequence: the k-th of the values made by one line of a loop
    made_by: Forward | None = None
    recipe: Value | Recipe | None = None  # of a constant: what it was made from, if not from nothing
    grad: np.ndarray | None = None  # complete; None where no gradient arrives
    contributions: list[Edge] = field(default_factory=list)  # in the order they arrive
    view_of: Value | None = None  # a constant that shows an older value in another shape

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name} {self.shape} {self.dtype}>"


@dataclass(eq=False)
class Recipe:
    """How a constant came from values of the graph, by ops without a gradient: the mask x > 0, an order."""

    op: str
    inputs: list[Value | Recipe | Any]  # a value, another recipe, or an array or number that nothing changes
    meta: dict[str, Any]
    dtype: np.dtype
    saved: tuple = ()


@dataclass(eq=False)
class Forward:
    """One op of the forward pass."""

    id: int
    node: Node
    inputs: list[Value | None]
    output: Value
    saved_arrays: tuple  # as the node kept them; leaves are copies, so that a later step changes nothing
    place: Place
    replay: bool = False  # made again behind a checkpoint, during the backward pass
    freed: Backward | None = None
    recipes: dict[int, Value | Recipe] = field(default_factory=dict)  # of arrays in its index, by identity

    @property
    def op(self) -> str:
        """The op's name."""
        return self.node.op.name

    @property
    def meta(self) -> dict[str, Any]:
        """The op's keyword arguments."""
        return self.node.meta

    @property
    def args(self) -> list[str]:
        """The op's names for its inputs."""
        names = list(self.node.op.arrays)
        more = range(len(self.inputs) - len(names))
        return names + [f"{self.node.op.variadic or 'input'}[{i}]" for i in more]

    @property
    def module(self) -> str:
        return self.place.module

    @property
    def file(self) -> str:
        return self.place.file

    @property
    def line(self) -> int:
        return self.place.line

    @property
    def code(self) -> str:
        """The reader's line of source that made it; '' where there is no source."""
        return self.place.code

    @property
    def saved(self) -> list[tuple[str, np.ndarray]]:
        """What the backward pass will need, by name: 'y' is the result, 'extra' what a fused op keeps."""
        names = {0: "y", -1: "extra", **{i + 1: name for i, name in enumerate(self.args)}}
        found = []
        plan = self.node.plan
        for (position, only_shape), value in zip(plan.keep, self.saved_arrays):
            parts = value if isinstance(value, tuple | list) and not only_shape else (value,)
            found += [(names[position], p) for p in parts if hasattr(p, "nbytes") and not only_shape]
        return found

    @property
    def bytes(self) -> int:
        """Bytes of what it saved, whoever else holds the same arrays."""
        return sum(array.nbytes for _, array in self.saved)

    @property
    def formula(self) -> str:
        """'y = a · b', in the reader's names."""
        return formulas.forward_text(self.op, self.input_names, self.output.name, self.meta)

    @property
    def numbers(self) -> str | None:
        """'0.6 = 2 · 0.3' where all are single numbers."""
        if any(v is not None and v.data.size != 1 for v in [*self.inputs, self.output]):
            return None
        given = [None if v is None else v.data.item() for v in self.inputs]
        return formulas.numbers_text(self.op, given, self.output.data.item(), self.meta)

    @property
    def input_names(self) -> list[str]:
        return ["None" if v is None else v.name for v in self.inputs]

    def __repr__(self) -> str:
        return f"<forward {self.id}: {self.formula}>"


@dataclass(eq=False)
class Backward:
    """One move of backprop: `value` has its gradient `g` in full and sends to the inputs of its op."""

    id: int
    value: Value
    forward: Forward | None  # None for a leaf: nothing to send on
    g: np.ndarray
    edges: list[Edge] = field(default_factory=list)
    lane: Callable[[], Any] | None = None  # of its trace: the memory over time

    @property
    def live(self) -> int:
        """Bytes saved for backward that are still held after this step."""
        return self.lane().after(self) if self.lane else 0

    def __repr__(self) -> str:
        return f"<backward {self.id}: {self.value.name} has its gradient, sends to {len(self.edges)}>"


@dataclass(eq=False)
class Edge:
    """What one backward step sends to one input."""

    step: Backward
    input: Value
    position: int  # which input of the op
    sent: np.ndarray
    order: int  # the how-manieth contribution to that input's gradient, from 0

    @property
    def arg(self) -> str:
        """The op's name for the input."""
        return self.step.forward.args[self.position] if self.step.forward else ""

    @property
    def total(self) -> np.ndarray:
        """What has gathered at the input after this edge: summed in the engine's order."""
        total = self.input.contributions[0].sent
        for edge in self.input.contributions[1 : self.order + 1]:
            total = total + edge.sent
        return total

    @property
    def formula(self) -> str:
        """'∂L/∂a = ∂L/∂y · b'."""
        f = self.step.forward
        if f.op == "checkpoint":  # hands the gradient to what was made again behind it
            return f"∂L/∂{self.input.name} = ∂L/∂{f.output.name}"
        return formulas.edge_text(f.op, self.arg, f.input_names, f.output.name, f.meta)

    @property
    def local_formula(self) -> str:
        """'b': the local derivative."""
        f = self.step.forward
        if f.op == "checkpoint":
            return "1"
        return formulas.local_text(f.op, self.arg, f.input_names, f.output.name, f.meta)

    def local(self) -> np.ndarray | None:
        """The local derivative in numbers, at the recorded values.

        For an elementwise op an array of the output's shape, what each element is multiplied with; else
        the Jacobian, (output elements, input elements), where it has at most 4,096 numbers; else None.
        """
        from .edges import local_derivative

        return local_derivative(self)

    def __repr__(self) -> str:
        return f"<edge {self.step.value.name} → {self.input.name}>"
