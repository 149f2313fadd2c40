"""What a trace is made of: values, forward and backward steps, edges; and the recorder that gathers them.

The recorder takes the place of the recording switch, so the engine shows it each result as it is made. It
copies nothing but leaves and constants, and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..engine.backend import to_numpy
from ..engine.node import Node
from ..engine.tensor import Tensor
from . import formulas
from .places import Place, Places

__all__ = ["Backward", "Edge", "Forward", "Recorder", "Value"]


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
    live: int = 0  # bytes saved for backward that are still held after this step

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


class Recorder:
    """Sits in the place of the recording switch while fn runs: called with each fresh result."""

    def __init__(self, places: Places, inputs: list[Tensor]) -> None:
        self.places = places
        self.values: list[Value] = []
        self.forward: list[Forward] = []
        self.replaying = False
        self.by_node: dict[Node, Value] = {}
        self.by_array: dict[int, Value] = {}  # leaves and constants, by identity
        self._kept: list[Any] = []  # what those identities belong to must stay alive
        self._copies: dict[int, np.ndarray] = {}  # of arrays that may change after the trace, by identity
        for x in inputs:
            self._leaf(x._node, x._data, "input")

    def watch(self, y: Tensor, arrays: list) -> Tensor:
        """Called by the engine: `arrays` went in, y came out."""
        node = y._node
        inputs = [self._input(n, a) for n, a in zip(node.inputs, arrays)]
        array, place = y._data, self.places.here()
        if self._copies.keys() & _owners(array):  # a view of a leaf changes with it
            self._copies[id(array)] = np.array(to_numpy(array))
            self._kept.append(array)
        value = self._value("result", self._copies.get(id(array), _plain(array)))
        self.by_node[node] = value
        value.module = place.module
        value.made_by = Forward(
            len(self.forward), node, inputs, value, self._frozen(node.saved), place, self.replaying
        )
        self.forward.append(value.made_by)
        return y

    def find(self, what: Any) -> Value | None:
        """The value of a node, or of a constant by the identity of its array."""
        return self.by_node.get(what) if isinstance(what, Node) else self.by_array.get(what)

    def _input(self, node: Node | None, array: Any) -> Value | None:
        if node is None:
            return None if array is None else self._constant(array)
        known = self.by_node.get(node)
        if known is not None:
            return known
        if node.plan is None:
            return self._leaf(node, array, "parameter" if node in self.places.parameters else "input")
        raise ValueError(
            f"trace: the result of {node.op.name} {node.shape} was computed before fn ran; compute it "
            "inside fn, or pass x.detach().requires_grad_() as an input"
        )

    def _leaf(self, node: Node | None, array: Any, kind: str) -> Value:
        if node is None:
            return self._constant(array, "input")
        value = self._copied(kind, array)
        self.by_node[node] = value
        return value

    def _constant(self, array: Any, kind: str = "constant") -> Value:
        known = self.by_array.get(id(array))
        if known is not None and hasattr(array, "dtype"):
            return known
        older = next((self.by_array[i] for i in _owners(array) if i in self.by_array), None)
        value = self._copied(kind, array)
        value.view_of = older
        return value

    def _copied(self, kind: str, array: Any) -> Value:
        value = self._value(kind, np.array(to_numpy(array) if hasattr(array, "dtype") else array))
        self.by_array[id(array)] = value
        self._copies[id(array)] = value.data
        self._kept.append(array)
        return value

    def _value(self, kind: str, data: np.ndarray) -> Value:
        value = Value(len(self.values), kind, data)
        self.values.append(value)
        return value

    def _frozen(self, saved: tuple) -> tuple:
        """The saved arrays, with the copies of leaves in the place of arrays that a step may change."""
        copies = self._copies
        return tuple([copies.get(id(a), a) for a in saved])


def _owners(array: Any) -> set[int]:
    """The identities of the arrays that this one is a view of."""
    found = set()
    while getattr(array, "base", None) is not None:
        array = array.base
        found.add(id(array))
    return found


def _plain(array: Any) -> np.ndarray:
    return array if type(array) is np.ndarray else np.asarray(to_numpy(array))
