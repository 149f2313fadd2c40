"""The calls that a replay makes: each a function of the list of values, which it reads and writes."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine import backprop
from ..engine.backend import xp_of
from ..engine.node import Node
from ..engine.op import Op
from ..engine.tensor import wrap
from .structure import is_array, leaves, raw

__all__: list[str] = []


def nothing(v: list) -> None:
    """A line of the record that a replay need not run."""


def forward_call(op: Op, places: list[int], meta: Callable, y: int, saved: int) -> Callable[[list], None]:
    """op(*arrays, **meta) on raw arrays, by its kernel if it takes the job."""

    def run(v: list) -> None:
        arrays = [v[p] for p in places]
        xp = next((xp_of(a) for a in arrays if is_array(a)), np)
        made = op.run(xp, arrays, meta(v))
        if op.extra:
            made, v[saved] = made
        v[y] = np.asarray(made) if xp is np else made

    return run


def pull_call(
    node: Node, meta: Callable | None, needs: list | None, g: int, kept: list, outs: list
) -> Callable[[list], None]:
    """The engine's pull on a node of the first recording, with what it saved put there again."""
    twin = Node(node.plan, node.inputs, node.meta, (), node)  # type: ignore[arg-type]
    twin.number = sys.maxsize  # younger than every change in place: the record was checked when it was made
    only = None if needs is None else {s for s, need in zip(node.inputs, needs, strict=True) if need}
    pairs = [(i, out) for i, out in enumerate(outs) if out is not None]

    def run(v: list) -> None:
        twin.saved = tuple([v[p].shape if shape else v[p] for p, shape in kept])
        if meta is not None:
            twin.meta = meta(v)
        grads = backprop.pull(twin, v[g], only)
        twin.saved = None
        for i, out in pairs:
            v[out] = grads[i]

    return run


def pure_forward(op: Op, places: list[int], meta: dict, y: int) -> list | None:
    """An elementwise forward as a function of its arrays."""
    if not op.elementwise:
        return None
    return [(places, lambda *arrays: op.forward(np, *arrays, **meta), y)]


def pure_pull(node: Node, g: int, kept: list, outs: list) -> list | None:
    """Every VJP of an elementwise op as a function of the gradient and of what the node kept."""
    if not node.op.elementwise or any(shape for _, shape in kept):
        return None
    places = [g, *[p for p, _ in kept]]

    def pure(i: int, vjp: Callable) -> Callable:
        def f(g: Any, *saved: Any) -> Any:
            gi, source = vjp(g, saved, node.meta), node.inputs[i]
            return gi if gi.shape == source.shape and gi.dtype is source.dtype else None

        return f

    calls = [(i, vjp) for i, vjp in node.plan.calls if outs[i] is not None]
    return [(places, pure(i, vjp), outs[i]) for i, vjp in calls]


class Gather(functools.partial):
    """A call that brings a gradient to .grad."""


class Effect(functools.partial):
    """A call that does more than compute, and may look at anything."""


def gather_call(node: Node, at: int, fresh: bool) -> Callable[[list], None]:
    return Gather(gather, node, at, fresh, False)


def gather(node: Node, at: int, fresh: bool, copies: bool, v: list) -> None:
    """Bring value `at` to node's .grad; as a copy if the next replay writes over it."""
    sink = node.sink
    if fresh:  # a leaf that the step made: at every call a new one
        sink.grad = None
    if sink.grad is None and node.plan is None:
        sink.grad = wrap(v[at].copy() if copies else v[at], None)
    else:
        backprop.gather(node, v[at])


def effect_call(f: Callable, given: Callable, outs: list[int], whole: bool) -> Callable[[list], None]:
    """f once more; what it returns goes to `outs`, as one value if `whole`, else the arrays in it apart."""

    def run(v: list) -> None:
        args, kw = given(v)
        result = f(*args, **kw)
        if outs:  # most effects return nothing
            for out, value in zip(outs, [result] if whole else leaves(result), strict=True):
                v[out] = raw(value)

    return Effect(run)
