"""The recorder: it takes the place of the recording switch, so the engine shows it each result as it is made.

It copies nothing but leaves and constants, and changes nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.backend import to_numpy
from ..engine.node import Node
from ..engine.tensor import Tensor
from .places import Places
from .record import Forward, Recipe, Value

__all__ = ["Recorder"]


class Recorder:
    """Sits in the place of the recording switch while fn runs: called with each fresh result."""

    def __init__(self, places: Places, inputs: list[Tensor]) -> None:
        self.places = places
        self.values: list[Value] = []
        self.forward: list[Forward] = []
        self.replaying = False
        self.by_node: dict[Node, Value] = {}
        self.by_array: dict[int, Value] = {}  # leaves and constants, by identity
        self._aside: dict[int, tuple] = {}  # results without history: op, arguments, settings, by identity
        self._results: dict[int, Value] = {}  # by identity of their arrays: what detach() gives
        self._kept: list[Any] = []  # what those identities belong to must stay alive
        self._copies: dict[int, np.ndarray] = {}  # of arrays that may change after the trace, by identity
        for x in inputs:
            self._leaf(x._node, x._data, "input")

    def aside(self, y: Tensor, op: Any, args: tuple, meta: dict) -> Tensor:
        """Called by the engine with a result without history: it may become a constant of the graph."""
        given = [(a._node, a._data) if isinstance(a, Tensor) else (None, a) for a in args]
        self._aside[id(y._data)] = (op.name, given, meta, y._data)
        return y

    def watch(self, y: Tensor, arrays: list, args: tuple = ()) -> Tensor:
        """Called by the engine: `arrays` went in (`args`, before they were made of one dtype), y came out."""
        node = y._node
        origins = [a._data if isinstance(a, Tensor) else a for a in args or arrays]
        inputs = [self._input(n, a, o) for n, a, o in zip(node.inputs, arrays, origins)]
        array, place = y._data, self.places.here()
        if self._copies.keys() & _owners(array):  # a view of a leaf changes with it
            self._copies[id(array)] = np.array(to_numpy(array))
            self._kept.append(array)
        value = self._value("result", self._copies.get(id(array), _plain(array)))
        self.by_node[node] = self._results[id(array)] = value
        self._kept.append(array)
        value.module = place.module
        value.made_by = Forward(
            len(self.forward), node, inputs, value, self._frozen(node.saved), place, self.replaying
        )
        value.made_by.recipes = self._recipes_in(node.meta)
        self.forward.append(value.made_by)
        return y

    def find(self, what: Any) -> Value | None:
        """The value of a node, or of a constant by the identity of its array."""
        return self.by_node.get(what) if isinstance(what, Node) else self.by_array.get(what)

    def _recipe(self, array: Any) -> Value | Recipe | None:
        """What an array without history was made from; None if from nothing that the graph knows."""
        if id(array) in self._results:
            return self._results[id(array)]
        known = self.by_array.get(id(array))
        if known is not None:
            return known if known.kind != "constant" else known.recipe
        if id(array) not in self._aside:
            return None
        op, given, meta, y = self._aside[id(array)]
        inputs = [self.by_node.get(n) if n is not None else self._recipe(a) for n, a in given]
        if all(i is None for i in inputs):
            return None
        whole = [a if i is None else i for i, (_, a) in zip(inputs, given)]
        return Recipe(op, whole, meta, y.dtype)

    def _recipes_in(self, meta: dict) -> dict[int, Value | Recipe]:
        """Of the arrays in an index: where they came from."""
        index = meta.get("index", ())
        arrays = [a for a in (index if isinstance(index, tuple) else (index,)) if hasattr(a, "dtype")]
        found = {id(a): self._recipe(a) for a in arrays}
        return {key: recipe for key, recipe in found.items() if recipe is not None}

    def _input(self, node: Node | None, array: Any, origin: Any = None) -> Value | None:
        if node is None:
            return None if array is None else self._constant(array, origin=origin)
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

    def _constant(self, array: Any, kind: str = "constant", origin: Any = None) -> Value:
        known = self.by_array.get(id(array))
        if known is not None and hasattr(array, "dtype"):
            return known
        older = next((self.by_array[i] for i in _owners(array) if i in self.by_array), None)
        recipe = self._recipe(array if origin is None else origin)
        value = self._copied(kind, array)
        value.view_of, value.recipe = older, recipe
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
        """The saved arrays on the CPU, with the copies of leaves in the place of arrays that may change."""
        copies = self._copies
        return tuple([copies[id(a)] if id(a) in copies else _on_cpu(a) for a in saved])


def _on_cpu(value: Any) -> Any:
    """Arrays, and what a fused op keeps in tuples, as NumPy's; everything else as it is."""
    if isinstance(value, tuple | list):
        return type(value)([_on_cpu(v) for v in value])
    return to_numpy(value) if hasattr(value, "get") and hasattr(value, "dtype") else value


def _owners(array: Any) -> set[int]:
    """The identities of the arrays that this one is a view of."""
    found = set()
    while getattr(array, "base", None) is not None:
        array = array.base
        found.add(id(array))
    return found


def _plain(array: Any) -> np.ndarray:
    return array if type(array) is np.ndarray else np.asarray(to_numpy(array))
