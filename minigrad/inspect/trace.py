"""trace(fn, *inputs): every step of a computation and of its backward pass, as the engine made them.

The backward steps come from the engine's own `backprop()`. Nothing is computed a second time, and no
`.grad` changes: what backward() would have added to it stands in the trace.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..engine.backend import to_numpy
from ..engine.backprop import backprop
from ..engine.recording import enter, leave
from ..engine.tensor import Tensor
from ..ops.diagonal import trace as trace_of_a_matrix
from .edges import EdgeReport, check_edges
from .memory import MemoryLane
from .names import give_names, input_names
from .places import Places
from .record import Backward, Edge, Forward, Value
from .recorder import Recorder
from .table import table

if TYPE_CHECKING:
    from .exercise import Question
    from .page import Frame
    from .paths import Paths

__all__ = ["Trace", "trace"]


@overload
def trace(fn: Callable[..., Any], *inputs: Any, gradient: Any = None) -> Trace: ...


@overload
def trace(fn: Tensor | np.ndarray | list, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor: ...


def trace(fn: Any, *inputs: Any, gradient: Any = None, **matrix: Any) -> Any:
    """Run y = fn(*inputs) and its backward pass, and keep every step: a Trace.

    fn: any function of Tensors that returns one Tensor, or a Module. Numbers, lists and arrays of floats
    given as inputs become leaves that require grad (float64, or the array's own type); Tensors are taken as
    they are, and integers in arrays stay constants (labels). gradient: the weight of each element of y, same
    shape; needed unless y is a scalar. Random numbers are drawn and buffers change as in a plain call.

    Given a matrix in place of a function it is NumPy's trace(x, offset, axis1, axis2): a diagonal's sum.

    Raises TypeError unless fn returns one Tensor; ValueError if that has no history, is not a scalar and
    has no `gradient`, or was computed before fn ran.

    >>> import minigrad as mg
    >>> t = mg.trace(lambda w, x: mg.tanh(w * x), 2.0, 0.5)
    >>> print(t.loss.data, t["w"].grad, t.forward[0].formula)
    0.7615941559557649 0.20998717080701307 mul = w · x
    >>> mg.trace([[1.0, 2.0], [3.0, 4.0]]).item()
    5.0
    """
    if isinstance(fn, Tensor) or not callable(fn):
        return trace_of_a_matrix(fn, *inputs, **matrix)
    if matrix:
        raise TypeError(f"trace: unknown argument {next(iter(matrix))!r}, expected gradient")
    given = [_as_input(x) for x in inputs]
    return record(fn, given, gradient, input_names(fn, given))


def record(
    fn: Callable, given: list, gradient: Any, names: dict[Any, str], result: str | None = None
) -> Trace:
    """trace() with the inputs as they are, and names for values (by node, or identity of the array)."""
    places = Places(fn, given)
    recorder = Recorder(places, [x for x in given if isinstance(x, Tensor)])
    enter(recorder)
    try:
        with places.watching():
            y = fn(*given)
        _check_result(y, gradient)
        backward = _walk(recorder, y, gradient)
    finally:
        leave()
        places.close()
    return Trace(given, y, recorder, backward, names, result)


def _as_input(x: Any) -> Any:
    """Floats become leaves; integers in arrays and everything else stay what they are."""
    if isinstance(x, Tensor) or x is None or isinstance(x, bool | str):
        return x
    if isinstance(x, int | float):
        return Tensor(np.asarray(x, np.float64)).requires_grad_()
    if isinstance(x, list | tuple):
        try:
            x = np.asarray(x)
        except ValueError:
            return x
    if not hasattr(x, "dtype"):
        return x
    return Tensor(x).requires_grad_() if x.dtype.kind == "f" else Tensor(x)


def _check_result(y: Any, gradient: Any) -> None:
    if not isinstance(y, Tensor):
        raise TypeError(f"trace: fn must return one Tensor, got {type(y).__name__}; pick one of its results")
    if y.node is None:
        raise ValueError("trace: no input of fn's result requires grad; pass floats, or requires_grad=True")
    if y.node.plan is not None and y.node.saved is None:
        raise ValueError("trace: fn called backward() itself; return the loss and leave that to trace")
    if gradient is None and y.size != 1:
        raise ValueError(
            f"trace: expected a scalar result, got shape {y.shape}; return a loss, or pass gradient="
        )


def _walk(recorder: Recorder, y: Tensor, gradient: Any) -> list[Backward | Forward]:
    """Exhaust backprop(): its steps in order, what is replayed behind a checkpoint between them."""
    if y.node not in recorder.by_node:  # fn gave back one of its inputs
        recorder._input(y.node, y._data)
    recorder.replaying = True
    moments: list[Backward | Forward] = []
    known = len(recorder.forward)
    for i, (node, g, grads) in enumerate(backprop(y, gradient)):
        value = recorder.by_node[node]
        step = Backward(i, value, value.made_by, _plain(g))
        value.grad = step.g
        replayed, known = recorder.forward[known:], len(recorder.forward)  # behind a checkpoint, just now
        sources = [replayed[-1].node] if replayed else node.inputs
        moments += replayed
        for position, (source, sent) in enumerate(zip(sources, grads)):
            if source is not None and sent is not None:
                _send(step, recorder.by_node[source], position, _plain(sent))
        if value.made_by is not None:
            value.made_by.freed = step
        moments.append(step)
    return moments


def _plain(array: Any) -> np.ndarray:
    return np.asarray(to_numpy(array) if hasattr(array, "get") else array)


def _send(step: Backward, to: Value, position: int, sent: np.ndarray) -> None:
    edge = Edge(step, to, position, sent, len(to.contributions))
    to.contributions.append(edge)
    step.edges.append(edge)


class Trace:
    """The record of one computation: print it, index it by name, step through it, save it as a page.

    forward, backward: the steps in order; `steps` is all of them as they happened. values: every array.
    """

    def __init__(
        self,
        given: list,
        y: Tensor,
        recorder: Recorder,
        moments: list[Backward | Forward],
        names: dict[Any, str],
        result: str | None,
    ) -> None:
        self.values: list[Value] = recorder.values
        self.forward: list[Forward] = recorder.forward
        self.backward = [step for step in moments if isinstance(step, Backward)]
        self.steps = [f for f in self.forward if not f.replay] + moments
        self.output = recorder.by_node[y.node]
        self.inputs = [recorder.by_array.get(id(x._data)) if isinstance(x, Tensor) else None for x in given]
        self.classes = recorder.places.classes
        self.sequences = give_names(self.values, self.output, recorder, names, result)
        for step in self.backward:
            step.lane = lambda: self.memory
        self._by_name: dict[str, Value] = {}
        for value in self.values:  # of numbers that stand there twice, the first
            self._by_name.setdefault(value.name, value)

    @cached_property
    def memory(self) -> MemoryLane:
        """What is held for the backward pass, step by step."""
        return MemoryLane(self.steps)

    @property
    def loss(self) -> Value:
        """What fn returned."""
        return self.output

    @property
    def grads(self) -> dict[str, np.ndarray]:
        """The gradients of all leaves by name: bit for bit what backward() adds to their `.grad`."""
        leaves = ("input", "parameter")
        return {v.name: v.grad for v in self.values if v.kind in leaves and v.grad is not None}

    def __getitem__(self, name: str) -> Value:
        """The value of that name, or the only one that an op of that name made; else KeyError."""
        if isinstance(name, Value):
            return name
        if name in self._by_name:
            return self._by_name[name]
        made = [f.output for f in self.forward if f.op == name]
        if len(made) == 1:
            return made[0]
        near = [n for n in self._by_name if name in n] or [v.name for v in made] or list(self._by_name)
        raise KeyError(f"trace: no value {name!r}; there are {', '.join(near[:12])}")

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        return table(self)

    def __repr__(self) -> str:
        return (
            f"<Trace of {self.output.name}: {len(self.forward)} steps forward, {len(self.backward)} back; "
            "print() it, .show() it>"
        )

    def check(self) -> EdgeReport:
        """Compare what every edge sends with finite differences of its op; see EdgeReport."""
        return check_edges(self)

    def paths(self, name: str, index: Any = (), limit: int = 10_000) -> Paths:
        """The gradient of the result with respect to one element, as a sum over paths; see Paths."""
        from .paths import paths

        return paths(self, self[name], index, limit)

    def microscope(self, name: str, index: Any = (), depth: int = 1) -> Trace:
        """One element of one array, opened into scalars: the Trace of its own small graph."""
        from .microscope import microscope

        return microscope(self, self[name], index, depth)

    def opened(self, name: str) -> Trace:
        """Inside a fused op: the Trace of what it stands for, in plain ops, at the recorded numbers."""
        from .opened import opened

        return opened(self[name])

    def exercise(self, name: str) -> Question:
        """Predict, then reveal: a question about the gradient of one value."""
        from .exercise import ask

        return ask(self, name)

    def export(self, path: str | Path, start: int = 0, stop: int | None = None, **options: float) -> Any:
        """A range of steps as SVG frames, PDF pages or an animated GIF, by `path`'s suffix: see export()."""
        from .frames import export

        return export(self, path, start, stop, **options)

    def save(self, path: str | Path, title: str | None = None) -> Path:
        """Write the stepper: one HTML page that needs no network; returns its path."""
        from .page import save

        return save(self, path, title)

    def show(self, height: int = 720, title: str | None = None) -> Frame:
        """The stepper, inside a notebook."""
        from .page import show

        return show(self, height, title)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"
