"""The calls that a replay makes: each a function of the list of values, which it reads and writes."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine import backprop
from ..engine.node import Node
from ..engine.op import Op
from ..engine.tensor import wrap
from .structure import leaves, raw

__all__: list[str] = []


def nothing(v: list) -> None:
    """A line of the record that a replay need not run."""


def forward_call(op: Op, places: list[int], meta: Callable, y: int, saved: int) -> Callable[[list], None]:
    """op(*arrays, **meta) on raw arrays, by its kernel if it takes the job."""
    if op.extra:

        def run(v: list) -> None:
            made, v[saved] = op.run(np, [v[p] for p in places], meta(v))
            v[y] = np.asarray(made)

    elif op.kernels or op.meta or len(places) > 2:

        def run(v: list) -> None:
            v[y] = np.asarray(op.run(np, [v[p] for p in places], meta(v)))

    elif len(places) == 1:
        forward, a = op.forward, places[0]

        def run(v: list) -> None:
            v[y] = np.asarray(forward(np, v[a]))

    else:
        forward, (a, b) = op.forward, places

        def run(v: list) -> None:
            v[y] = np.asarray(forward(np, v[a], v[b]))

    return run


def pull_call(
    node: Node, meta: Callable | None, needs: list | None, g: int, kept: list, outs: list
) -> Callable[[list], None]:
    """The engine's pull on a node of the first recording, with what it saved put there again."""
    twin = Node(node.plan, node.inputs, node.meta, (), node)  # type: ignore[arg-type]
    twin.number = sys.maxsize  # younger than every change in place: the record was checked when it was made
    only = None if needs is None else {s for s, need in zip(node.inputs, needs, strict=True) if need}
    plan, pairs = node.plan, [(i, out) for i, out in enumerate(outs) if out is not None]
    if plan.joint is None and only is None and meta is None and len(plan.calls) == len(pairs) == 1:
        return single_call(node, plan.calls[0], g, kept, pairs[0][1])

    def run(v: list) -> None:
        twin.saved = tuple([v[p].shape if shape else v[p] for p, shape in kept])
        if meta is not None:
            twin.meta = meta(v)
        grads = backprop.pull(twin, v[g], only)
        twin.saved = None
        for i, out in pairs:
            v[out] = grads[i]

    return run


def single_call(node: Node, call: tuple, g: int, kept: list, out: int) -> Callable[[list], None]:
    """The same for one VJP, the commonest: what pull would find out at every call is known here."""
    i, vjp = call
    source, meta, leaf = node.inputs[i], node.meta, node.inputs[i].plan is None

    def run(v: list) -> None:
        gi = vjp(v[g], [v[p].shape if shape else v[p] for p, shape in kept], meta)
        if gi.shape != source.shape or gi.dtype is not source.dtype:
            gi = backprop.fit(node, i, gi)
        v[out] = backprop.own(v[g], gi) if leaf else gi

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


def value_call(f: Callable, given: Callable, out: int, v: list) -> None:
    """An effect whose result is no array."""
    args, kw = given(v)
    v[out] = f(*args, **kw)


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


def effect_call(f: Callable, given: Callable, outs: list[int], fixed: Any = None) -> Callable[[list], None]:
    if fixed is not None and not outs:
        args, kw = fixed
        return Effect(lambda v: f(*args, **kw))

    def run(v: list) -> None:
        args, kw = given(v)
        result = f(*args, **kw)
        for out, leaf in zip(outs, leaves(result), strict=False):
            v[out] = raw(leaf)

    return Effect(run)
