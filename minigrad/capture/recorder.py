"""The recorder: takes the place of the recording switch during a plain step, and writes down its calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..engine import backprop
from ..engine.node import Node, mode
from ..engine.op import Op, agree, settle
from ..engine.tensor import Tensor
from .calls import effect_call, forward_call, gather_call, nothing, pull_call, pure_forward, pure_pull
from .structure import Slot, caller, filler, inside_op, is_array, leaves, mapped, raw, raw_node

__all__: list[str] = []


class Call:
    """One call of a replay: a function of the values, what it reads and writes, and what it says of itself.

    `pure`, where there is one, says the same as functions: for each result (what it reads, function, slot).
    """

    def __init__(
        self, run: Callable, reads: list[int], writes: list[int], told: tuple, pure: Any = None
    ) -> None:
        self.run, self.reads, self.writes, self.told, self.pure = run, reads, writes, told, pure
        self.line = caller()


class Switch:
    """What `mode.recording` holds while a step is recorded: true where ops make nodes, watching anyway."""

    def __init__(self, recorder: Recorder, on: bool) -> None:
        self.on, self.recorder = on, recorder
        self.watch, self.aside = recorder.watch, recorder.aside
        self.pull, self.gather, self.kept = recorder.pull, recorder.gather, recorder.kept_gradient

    def __bool__(self) -> bool:
        return self.on

    @property
    def loud(self) -> Switch:
        return self.recorder.loud

    @property
    def quiet(self) -> Switch:
        return self.recorder.silent

    def effect(self, f: Callable, args: tuple, kw: dict) -> Any:
        """Run f unseen, and have it called again."""
        former, mode.recording = mode.recording, self.on
        try:
            return self.recorder.effect(f, args, kw)
        finally:
            mode.recording = former

    def refuse(self, what: str) -> None:
        """Python is about to read a value."""
        raise ValueError(
            f"capture: {what} at {caller()} reads a value inside the step, and a replay would not read it "
            "again; return the tensor and read it after the step"
        )


class Recorder:
    """Writes down the calls of one plain step."""

    def __init__(self, inputs: list[Any]) -> None:
        self.calls: list[Call] = []
        self.values: list[Any] = []  # of every slot, as this step saw it: kept alive, so ids stay theirs
        self.slots: dict[int, int] = {}  # id of an array -> its slot
        self.outside: list[tuple[Any, int]] = []  # tensors and arrays that were there before
        self.nodes: dict[Node, tuple] = {}  # -> slots of its inputs, of its result, of `saved`; its metadata
        self.sent: dict[Node, list[int]] = {}  # gradients on their way to a node
        self.arrived: dict[Node, int] = {}
        self.loud, self.silent = Switch(self, True), Switch(self, False)
        self.inputs = [self.new(raw(a)) for a in inputs]

    def done(self) -> None:
        """Nothing more will be recorded: let go of what knows this step's arrays (and of a cycle)."""
        self.loud = self.silent = None
        for known in (self.slots, self.nodes, self.sent, self.arrived):
            known.clear()

    # -- slots

    def new(self, value: Any) -> int:
        """A slot for a value."""
        self.values.append(value)
        if is_array(value):
            self.slots[id(value)] = len(self.values) - 1
        return len(self.values) - 1

    def slot_of(self, x: Any) -> int:
        """The slot of a Tensor or array; what no call made was there before, and is read anew each time."""
        at = self.slots.get(id(raw(x)))
        if at is None:
            at = self.new(raw(x))
            self.outside.append((x, at))
        return at

    def template(self, x: Any) -> Any:
        """A structure of arguments with slots for the arrays that calls made; others stay themselves."""

        def put(leaf: Any) -> Any:
            at = self.slots.get(id(raw(leaf))) if isinstance(leaf, Tensor | tuple) or is_array(leaf) else None
            outside = isinstance(leaf, Tensor) and (leaf._node is not None and leaf._node.plan is None)
            return leaf if at is None or outside else Slot(at, isinstance(leaf, Tensor))

        return mapped(x, put)

    def add(self, run: Callable, reads: list[int], writes: list[int], *told: Any, pure: Any = None) -> None:
        self.calls.append(Call(run, reads, writes, told, pure))

    # -- forward

    def watch(self, t: Tensor, arrays: list, args: tuple = ()) -> Tensor:
        """An op that made a node."""
        node: Node = t._node
        if node.op is backprop.CHECKPOINT:
            raise ValueError(
                f"capture: checkpoint() at {caller()} cannot be captured; call its function as it is"
            )
        places = self.forward(t, node.op, arrays, args, node.meta)
        self.nodes[node] = places
        return t

    def aside(self, t: Tensor, op: Op, args: tuple, meta: dict) -> Tensor:
        """An op that made none."""
        arrays = [a._data if isinstance(a, Tensor) else a for a in args]
        settle(op, arrays)
        agree(op, arrays)
        self.forward(t, op, arrays, args, meta)
        return t

    def forward(self, t: Tensor, op: Op, arrays: list, args: tuple, meta: dict) -> tuple:
        """Write down an op; where its inputs, its result and what it saved are, and its metadata."""
        places = [self.place(op, array, arg) for array, arg in zip(arrays, args, strict=True)]
        how = self.template(meta)
        reads = places + [leaf.index for leaf in leaves(how) if isinstance(leaf, Slot)]
        y, saved = self.new(t._data), self.new(None)
        run, writes = forward_call(op, places, filler(how), y, saved), [y, saved] if op.extra else [y]
        pure = pure_forward(op, places, meta, y) if len(reads) == len(places) else None
        self.add(run, reads, writes, op.name, places, how, pure=pure)
        return places, y, saved, how

    def place(self, op: Op, array: Any, arg: Any) -> int:
        """The slot of an operand, after the conversions that the op's call makes."""
        if not (isinstance(arg, Tensor) or is_array(arg)):
            if any(isinstance(leaf, Tensor) for leaf in leaves(arg)):
                raise ValueError(
                    f"capture: {op.name} at {caller()} takes a list of tensors; use mg.stack on it"
                )
            at = self.new(array)
            self.add(nothing, [], [], "constant", arg)
            return at
        at = self.slot_of(arg)
        if array is raw(arg):
            return at
        cast, dtype = self.new(array), array.dtype

        def run(v: list) -> None:
            v[cast] = v[at].astype(dtype)

        self.add(run, [at], [cast], "cast", at, dtype)
        return cast

    # -- effects

    def effect(self, f: Callable, args: tuple, kw: dict) -> Any:
        """Run f and have it called again; inside an op or a VJP, which run again as a whole, it is theirs."""
        if inside_op():
            return f(*args, **kw)
        args = tuple([list(a) if isinstance(a, Iterator) else a for a in args])
        given = self.template((args, kw))
        result = f(*args, **kw)
        reads = [leaf.index for leaf in leaves(given) if isinstance(leaf, Slot)]
        whole = isinstance(result, tuple) and bool(result) and all(isinstance(n, int) for n in result)
        outs = []
        if whole:  # a drawn seed: known again as the tuple that it is
            outs = [self.new(result)]
            self.slots[id(result)] = outs[0]
        elif any(isinstance(leaf, Tensor) or is_array(leaf) for leaf in leaves(result)):
            outs = [self.new(raw(leaf)) for leaf in leaves(result)]
        self.add(effect_call(f, filler(given), outs, whole), reads, outs, "effect", f, given)
        return result

    # -- backward

    def pull(self, node: Node, g: Any, only: set | None) -> list:
        """The engine's pull, and what it sent."""
        if node not in self.nodes:
            raise ValueError(
                f"capture: backward() at {caller()} reaches a graph that was made before the step"
            )
        grads = backprop.pull(node, g, only)
        at = self.arrive(node, g)
        outs = [None if gi is None else self.new(gi) for gi in grads]
        for source, out in zip(node.inputs, outs, strict=True):
            if out is not None:
                self.sent.setdefault(source, []).append(out)
        operands, y, saved, how = self.nodes[node]
        kept = [(saved if p < 0 else y if p == 0 else operands[p - 1], shape) for p, shape in node.plan.keep]
        needs = None if only is None else [s in only for s in node.inputs]
        named = [leaf.index for leaf in leaves(how) if isinstance(leaf, Slot)]
        run = pull_call(node, filler(how) if named else None, needs, at, kept, outs)
        reads = [at, *[place for place, _ in kept], *named]
        writes = [out for out in outs if out is not None]
        pure = None if node.plan.joint is not None else pure_pull(node, at, kept, outs)
        self.add(run, reads, writes, "backward", node.op.name, at, needs, pure=pure)
        return grads

    def arrive(self, node: Node, g: Any) -> int:
        """The slot of a node's whole gradient: the sum of what was sent to it, in the order it came."""
        if node in self.arrived:
            return self.arrived[node]
        if node.hooks:
            raise ValueError(f"capture: a hook on a gradient cannot be captured (backward() at {caller()})")
        parts = self.sent.pop(node, None)
        if parts is None:  # the root: 1, or a gradient that was given
            known = self.slots.get(id(g))
            at = self.new(g) if known is None else known
            same = Slot(at) if known is not None else bool((g == 1).all()) or Slot(at)
            self.add(nothing, [], [], "root", node.shape, same)
        else:
            at = parts[0]
            for part in parts[1:]:
                at = self.sum(at, part)
            self.values[at], self.slots[id(g)] = g, at  # the engine's own sum, which may be met again
        self.arrived[node] = at
        return at

    def sum(self, a: int, b: int) -> int:
        y = self.new(self.values[a] + self.values[b])

        def run(v: list) -> None:
            v[y] = v[a] + v[b]

        self.add(run, [a, b], [y], "sum", a, b, pure=[([a, b], np.add, y)])
        return y

    def gather(self, node: Node, g: Any) -> None:
        """A gradient that goes to .grad."""
        at, fresh = self.arrive(node, g), not any(raw_node(x) is node for x, _ in self.outside)
        backprop.gather(node, g)
        self.add(gather_call(node, at, fresh), [at], [], "grad", at, None if fresh else node)

    def kept_gradient(self, node: Node, g: Any) -> Tensor:
        """A gradient that grad() returns."""
        at, t = self.arrive(node, g), backprop.kept(node, g)
        out = self.new(t._data)

        def run(v: list) -> None:
            v[out] = v[at].copy()

        self.add(run, [at], [out], "kept", at)
        return t
