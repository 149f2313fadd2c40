"""A Trace as the page's JSON: values, steps and edges by number, arrays once each in a table."""

from __future__ import annotations

import base64
import inspect
from typing import Any

import numpy as np

from ...engine.op import REGISTRY, Op
from ..formulas import formula_of
from ..opened import can_open, opened
from ..record import Backward, Edge, Forward, Recipe, Value
from .lower import encode_meta, lower

__all__ = ["encode"]

BUDGET = 3_200_000  # bytes of arrays that are written whole; base64 makes a third more of them
LARGE = 4096  # numbers of an array that may be summarised
SMALL = 256  # numbers of an array whose running totals are written out; the page adds up others itself
MOST_LOCAL = 1024  # numbers of a local derivative that is written out
MOST_EDGES_WITH_LOCAL = 4000
KINDS = {"f": ("f4", "f8"), "i": ("i4", "i8"), "u": ("u1", "i8"), "b": ("b1",)}


def encode(trace: Any, title: str) -> dict[str, Any]:
    """The JSON of the stepper page."""
    arrays = ArrayTable()
    graph = Graph(trace, arrays).encoded()
    page = {
        "format": 1,
        "title": title,
        "dtype": str(trace.output.dtype),
        "engine": "minigrad",
        "graph": graph,
        "sources": (sources := _sources(graph)),
        "words": {op: formula_of(op).words for op in sources},
        "modules": trace.classes,
        "times": _times(trace),
        "exercises": _exercises(trace, arrays),
    }
    return {**page, "arrays": arrays.encoded()}


class ArrayTable:
    """Arrays by number; the same array is written once, and those that are too much as a summary."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self._numbers: dict[int, int] = {}
        self._needed: set[int] = set()

    def __call__(self, array: Any) -> int:
        array = np.asarray(array)
        number = self._numbers.get(id(array))
        if number is None:
            number = self._numbers[id(array)] = len(self.arrays)
            self.arrays.append(array)  # kept, so that its identity stays its own
        return number

    def needed(self, array: Any) -> int:
        """An array that the page computes from, unlike what it can compute: summarised last of all."""
        number = self(array)
        self._needed.add(number)
        return number

    def encoded(self) -> list[dict[str, Any]]:
        """The table as JSON: the largest arrays are summarised until the rest fits the budget."""
        large, total = set(), sum(a.nbytes for a in self.arrays)
        worth = lambda i: (i in self._needed, -self.arrays[i].nbytes)
        for number in sorted((i for i, a in enumerate(self.arrays) if a.size > LARGE), key=worth):
            if total <= BUDGET:
                break
            total -= self.arrays[number].nbytes
            large.add(number)
        whole = [_summary(a, self) if i in large else _whole(a) for i, a in enumerate(list(self.arrays))]
        return whole + [_whole(a) for a in self.arrays[len(whole) :]]


def _whole(array: np.ndarray) -> dict[str, Any]:
    kind = _kind(array.dtype)
    raw = np.ascontiguousarray(array, dtype="<u1" if kind == "b1" else "<" + kind)
    return {"t": kind, "s": list(array.shape), "b": base64.b64encode(raw.tobytes()).decode()}


def _summary(array: np.ndarray, table: ArrayTable) -> dict[str, Any]:
    """Of an array that is too large: smallest, largest, mean, norm and a small picture."""
    numbers = array.astype(np.float64)
    told = {
        "min": numbers.min(),
        "max": numbers.max(),
        "mean": numbers.mean(),
        "norm": np.linalg.norm(numbers),
    }
    flat = numbers.reshape(-1, array.shape[-1])
    rows, columns = -(-flat.shape[0] // 64), -(-flat.shape[1] // 64)
    small = flat[::rows, ::columns].astype(np.float32)
    return {
        "t": _kind(array.dtype),
        "s": list(array.shape),
        "summary": {name: float(x) for name, x in told.items()},
        "picture": table(small),
    }


def _kind(dtype: np.dtype) -> str:
    kinds = KINDS.get(dtype.kind, ("f8",))
    return kinds[0] if len(kinds) == 1 or dtype.itemsize <= int(kinds[0][1]) else kinds[1]


class Graph:
    """One trace, or the inside of a fused op, by numbers."""

    def __init__(self, trace: Any, arrays: ArrayTable) -> None:
        self.trace, self.arrays = trace, arrays
        edges = sum(len(step.edges) for step in trace.backward)
        self.with_local = edges <= MOST_EDGES_WITH_LOCAL
        self.gathered: dict[int, np.ndarray] = {}  # by value, while its edges are written in their order

    def encoded(self) -> dict[str, Any]:
        trace = self.trace
        seed = trace.backward[0].g if trace.backward else np.ones(trace.output.shape)
        return {
            "values": [self.value(v) for v in trace.values],
            "forward": [self.forward(f) for f in trace.forward],
            "backward": [self.backward(b) for b in trace.backward],
            "output": trace.output.id,
            "seed": self.arrays(seed),
        }

    def value(self, v: Value) -> dict[str, Any]:
        return {
            "id": v.id,
            "name": v.name,
            "kind": v.kind,
            "shape": list(v.shape),
            "dtype": str(v.dtype),
            "data": self.arrays(v.data) if v.made_by else self.arrays.needed(v.data),
            "grad": None if v.grad is None else self.arrays(v.grad),
            "module": v.module,
            "time": v.time,
            "recipe": self.recipe(v.recipe),
        }

    def recipe(self, r: Any) -> dict[str, Any] | None:
        """How a constant came about: a value's number, an array, or an op of such."""
        if r is None:
            return None
        if isinstance(r, Value):
            return {"value": r.id}
        if not isinstance(r, Recipe):
            return {"array": self.arrays.needed(r)}
        inputs, meta = [self.recipe(i) for i in r.inputs], encode_meta(lower(r), self.arrays.needed)
        return {"op": r.op, "inputs": inputs, "meta": meta, "dtype": str(r.dtype)}

    def forward(self, f: Forward) -> dict[str, Any]:
        return {
            "id": f.id,
            "op": f.op,
            "inputs": [None if v is None else v.id for v in f.inputs],
            "args": f.args,
            "output": f.output.id,
            "meta": encode_meta(lower(f), self.arrays.needed, lambda a: self.recipe(f.recipes.get(id(a)))),
            "formula": f.formula,
            "numbers": f.numbers,
            "file": f.file.rpartition("/")[2],  # the folder is the reader's own business
            "line": f.line,
            "code": f.code,
            "module": f.module,
            "saved": [{"what": what, "bytes": int(array.nbytes)} for what, array in f.saved],
            "bytes": f.bytes,
            "live": self.trace.memory.after(f),
            "freed": None if f.freed is None else f.freed.id,
            "inside": self.inside(f),
            "replay": f.replay,
        }

    def inside(self, f: Forward) -> dict[str, Any] | None:
        """A fused op, opened into plain ops; its inputs' numbers inside."""
        if not can_open(f):
            return None
        inner = opened(f.output)
        graph = Graph(inner, self.arrays).encoded()
        inputs = [None if v is None else v.id for v in inner.inputs]
        return {**graph, "inputs": inputs, "times": _times(inner)}

    def backward(self, b: Backward) -> dict[str, Any]:
        return {
            "id": b.id,
            "value": b.value.id,
            "forward": None if b.forward is None else b.forward.id,
            "g": self.arrays(b.g),
            "edges": [self.edge(e) for e in b.edges],
            "live": b.live,
        }

    def edge(self, e: Edge) -> dict[str, Any]:
        last = e.order == len(e.input.contributions) - 1
        total = e.sent if e.order == 0 else e.input.grad if last else None
        if e.sent.size <= SMALL:
            so_far = total if total is not None else self.gathered[e.input.id] + e.sent
            total = self.gathered[e.input.id] = so_far
        return {
            "input": e.input.id,
            "arg": e.arg,
            "position": e.position,
            "formula": e.formula,
            "local": self.local(e),
            "sent": self.arrays(e.sent),
            "order": e.order,
            "total": None if total is None else self.arrays(total),
        }

    def local(self, e: Edge) -> dict[str, Any]:
        told = {"formula": e.local_formula, "kind": "none", "data": None}
        elementwise = e.step.forward.node.op.elementwise if e.step.forward else False
        size = e.step.value.data.size * (1 if elementwise else e.input.data.size)
        if not self.with_local or size > MOST_LOCAL:
            return told
        local = e.local()
        if local is None:
            return told
        return {**told, "kind": "elementwise" if elementwise else "jacobian", "data": self.arrays(local)}


def _times(trace: Any) -> list[dict[str, Any]]:
    """What stands at each time step, by number: the sequences of a trace."""
    return [{"name": name, "values": [v.id for v in group]} for name, group in trace.sequences.items()]


def _sources(graph: dict[str, Any]) -> dict[str, str]:
    """Each op's own definition: its forward and its VJPs, as they stand in the library."""
    found: dict[str, str] = {}
    for f in graph["forward"]:
        if f["op"] not in found and f["op"] in REGISTRY:
            found[f["op"]] = source_of(REGISTRY[f["op"]])
        if f["inside"]:
            found |= _sources(f["inside"])
    return found


def source_of(op: Op) -> str:
    """The text of an op: decorator with VJPs, forward, and the joint backward where there is one."""
    parts = [op.joint] if op.joint and op.joint.__name__ != "<lambda>" else []
    try:
        return "\n\n".join(inspect.getsource(part) for part in [*parts, op.forward]).rstrip()
    except (OSError, TypeError):
        return ""


def _exercises(trace: Any, arrays: ArrayTable) -> list[dict[str, Any]]:
    """For each question, the wrong answers that are known, with what is wrong about them."""
    try:
        from ..exercise import page_exercises
    except ImportError:
        return []
    return [
        {**question, "answers": [{**a, "array": arrays(a["array"])} for a in question["answers"]]}
        for question in page_exercises(trace)
    ]
