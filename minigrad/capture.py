"""capture(step): one training step, recorded once and then replayed as a flat list of calls.

    step = mg.capture(train_step)          # def train_step(x, y): ... loss.backward(); optimizer.step(); return loss
    for x, y in loader:
        loss = step(x, y)

A plain step spends part of its time on Python: reading arguments, making nodes, ordering them. All of that is the
same at every call. The recorder takes the place of the recording switch, as every watcher does, and writes down
which forward, which VJP and which effect ran on which arrays; a replay makes the same calls on the same kernels in
the same order, so its numbers are bit for bit those of the plain step.

Three things make that safe. Whatever acts besides computing (`@effect`: the optimiser's step, random draws, running
statistics, checks of labels) is called again, with the same objects. Whatever reads a number out of a tensor is
refused, with its line, since Python could decide something by it. And the first two calls are plain and both
recorded: if they differ (another branch, a number or an array that came from elsewhere), the error says where.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .engine import backprop
from .engine.kernels import mode as kernel_mode
from .engine.node import Node, mode
from .engine.op import Op, agree, settle
from .engine.recording import version
from .engine.tensor import Tensor, wrap

__all__ = ["Captured", "capture"]

PACKAGE = str(Path(__file__).parent)
LARGE = 4096  # bytes: smaller arrays may stay until the next replay writes over them


# ---------------------------------------------------------------- values in structures


class Slot:
    """Stands for value number `index` of a replay, in a structure of arguments; a Tensor around it if `wrapped`."""

    def __init__(self, index: int, wrapped: bool = False) -> None:
        self.index, self.wrapped = index, wrapped

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slot) and (self.index, self.wrapped) == (other.index, other.wrapped)

    __hash__ = None  # type: ignore[assignment]


def leaves(x: Any) -> Iterator[Any]:
    """What a structure of tuples, lists and dicts holds."""
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, tuple | list):
        for item in x:
            yield from leaves(item)
    else:
        yield x


def mapped(x: Any, f: Callable[[Any], Any]) -> Any:
    """The structure with f of what it holds; the very object where nothing changed."""
    if isinstance(x, dict):
        new = {key: mapped(item, f) for key, item in x.items()}
        return new if any(new[key] is not x[key] for key in x) else x
    if isinstance(x, tuple | list):
        parts = [mapped(item, f) for item in x]
        if all(a is b for a, b in zip(parts, x, strict=True)):
            return x
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    return f(x)


def filler(template: Any) -> Callable[[list], Any]:
    """A function values -> the structure with its slots filled."""
    slots = [leaf for leaf in leaves(template) if isinstance(leaf, Slot)]
    if not slots:
        return lambda values: template

    def fill(leaf: Any, values: list) -> Any:
        if not isinstance(leaf, Slot):
            return leaf
        return wrap(values[leaf.index], None) if leaf.wrapped else values[leaf.index]

    return lambda values: mapped(template, lambda leaf: fill(leaf, values))


def alike(a: Any, b: Any) -> bool:
    """Whether two recordings say the same here: arrays and objects by identity, plain values by value."""
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, dict):
        filled = lambda x: isinstance(x, np.ndarray)  # a dict of arrays is a place that a forward fills anew
        same = isinstance(b, dict) and a.keys() == b.keys()
        return same and all(filled(a[k]) or alike(a[k], b[k]) for k in a)
    if isinstance(a, Slot | int | float | complex | str | bytes | slice | np.dtype | np.generic):
        return type(a) is type(b) and (a == b or a != a)
    return a is b


# ---------------------------------------------------------------- recording


class Call:
    """One call of a replay: a function of the values, what it reads and writes, and what it says of itself."""

    def __init__(self, run: Callable, reads: list[int], writes: list[int], told: tuple) -> None:
        self.run, self.reads, self.writes, self.told = run, reads, writes, told
        self.line = caller()


class Switch:
    """What `mode.recording` holds while a step is recorded: true where ops make nodes, watching either way."""

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
            f"capture: {what} at {caller()} reads a value inside the step, and a replay would not read it again; "
            "return the tensor and read it after the step"
        )


class Recorder:
    """Writes down the calls of one plain step."""

    def __init__(self, inputs: list[Any]) -> None:
        self.calls: list[Call] = []
        self.values: list[Any] = []  # of every slot, as this step saw it: arrays stay alive, so ids stay theirs
        self.slots: dict[int, int] = {}  # id of an array -> its slot
        self.outside: list[tuple[Any, int]] = []  # tensors and arrays that were there before
        self.nodes: dict[Node, tuple[list[int], int, int]] = {}  # -> slots of the inputs, the result, `saved`
        self.sent: dict[Node, list[int]] = {}  # gradients on their way to a node
        self.arrived: dict[Node, int] = {}
        self.loud, self.silent = Switch(self, True), Switch(self, False)
        self.inputs = [self.new(raw(a)) for a in inputs]

    # -- slots

    def new(self, value: Any) -> int:
        """A slot for a value."""
        self.values.append(value)
        if isinstance(value, np.ndarray):
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
            at = self.slots.get(id(raw(leaf))) if isinstance(leaf, Tensor | np.ndarray) else None
            outside = isinstance(leaf, Tensor) and (leaf._node is not None and leaf._node.plan is None)
            return leaf if at is None or outside else Slot(at, isinstance(leaf, Tensor))

        return mapped(x, put)

    def add(self, run: Callable, reads: list[int], writes: list[int], *told: Any) -> None:
        self.calls.append(Call(run, reads, writes, told))

    # -- forward

    def watch(self, t: Tensor, arrays: list, args: tuple) -> Tensor:
        """An op that made a node."""
        node: Node = t._node
        if node.op is backprop.CHECKPOINT:
            raise ValueError(f"capture: checkpoint() at {caller()} cannot be captured; call its function as it is")
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

    def forward(self, t: Tensor, op: Op, arrays: list, args: tuple, meta: dict) -> tuple[list[int], int, int]:
        places = [self.place(op, array, arg) for array, arg in zip(arrays, args, strict=True)]
        how = self.template(meta)
        reads = places + [leaf.index for leaf in leaves(how) if isinstance(leaf, Slot)]
        y, saved = self.new(t._data), self.new(None)
        self.add(forward_call(op, places, filler(how), y, saved), reads, [y, saved], op.name, places, how)
        return places, y, saved

    def place(self, op: Op, array: Any, arg: Any) -> int:
        """The slot of an operand, after the conversions that the op's call makes."""
        if not isinstance(arg, Tensor | np.ndarray):
            if any(isinstance(leaf, Tensor) for leaf in leaves(arg)):
                raise ValueError(f"capture: {op.name} at {caller()} takes a list of tensors; use mg.stack on it")
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
        args = tuple([list(a) if isinstance(a, Iterator) else a for a in args])
        given = self.template((args, kw))
        result = f(*args, **kw)
        reads = [leaf.index for leaf in leaves(given) if isinstance(leaf, Slot)]
        if not any(isinstance(leaf, Tensor | np.ndarray) for leaf in leaves(result)):
            self.add(effect_call(f, filler(given), []), reads, [], "effect", f, given)
            return result
        outs = [self.born(leaf) for leaf in leaves(result)]
        self.add(effect_call(f, filler(given), outs), reads, outs, "effect", f, given)
        return result

    def born(self, leaf: Any) -> int:
        if isinstance(leaf, Tensor) and leaf._node is not None and leaf.is_leaf:
            self.outside.append((leaf, self.new(leaf._data)))
        return self.new(raw(leaf))

    # -- backward

    def pull(self, node: Node, g: Any, only: set | None) -> list:
        """The engine's pull, and what it sent."""
        if node not in self.nodes:
            raise ValueError(f"capture: backward() at {caller()} reaches a graph that was made before the step")
        grads = backprop.pull(node, g, only)
        at = self.arrive(node, g)
        outs = [None if gi is None else self.new(gi) for gi in grads]
        for source, out in zip(node.inputs, outs, strict=True):
            if out is not None:
                self.sent.setdefault(source, []).append(out)
        operands, y, saved = self.nodes[node]
        kept = [(saved if p < 0 else y if p == 0 else operands[p - 1], shape) for p, shape in node.plan.keep]
        needs = None if only is None else [s in only for s in node.inputs]
        run = pull_call(node, needs, at, kept, outs)
        reads = [at, *[place for place, _ in kept]]
        self.add(run, reads, [out for out in outs if out is not None], "backward", node.op.name, at, needs)
        return grads

    def arrive(self, node: Node, g: Any) -> int:
        """The slot of a node's whole gradient: the sum of what was sent to it, in the order it came."""
        if node in self.arrived:
            return self.arrived[node]
        if node.hooks:
            raise ValueError(f"capture: a hook on a gradient cannot be captured (backward() at {caller()})")
        parts = self.sent.pop(node, None)
        if parts is None:  # the root: 1, or a gradient that was given
            at = self.slots.get(id(g))
            at = self.new(g) if at is None else at
            self.add(nothing, [], [], "root", node.shape, bool((g == 1).all()) or Slot(at))
        else:
            at = parts[0]
            for part in parts[1:]:
                at = self.sum(at, part)
        self.arrived[node] = at
        return at

    def sum(self, a: int, b: int) -> int:
        y = self.new(self.values[a] + self.values[b])

        def run(v: list) -> None:
            v[y] = v[a] + v[b]

        self.add(run, [a, b], [y], "sum", a, b)
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


def nothing(v: list) -> None:
    """A line of the record that a replay need not run."""


def raw(x: Any) -> Any:
    return x._data if isinstance(x, Tensor) else x


def raw_node(x: Any) -> Node | None:
    return x._node if isinstance(x, Tensor) else None


def caller() -> str:
    """file:line of the user's code that is running."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return "the step" if frame is None else f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


# ---------------------------------------------------------------- the calls of a replay


def forward_call(op: Op, places: list[int], meta: Callable, y: int, saved: int) -> Callable[[list], None]:
    """op(*arrays, **meta) on raw arrays, by its kernel if it takes the job."""
    if op.extra:

        def run(v: list) -> None:
            v[y], v[saved] = op.run(np, [v[p] for p in places], meta(v))

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


def pull_call(node: Node, needs: list | None, g: int, kept: list, outs: list) -> Callable[[list], None]:
    """The engine's pull on a node of the first recording, with what it saved put there again."""
    twin = Node(node.plan, node.inputs, node.meta, (), node)  # type: ignore[arg-type]
    twin.number = sys.maxsize  # younger than every change in place: the record was checked when it was made
    only = None if needs is None else {s for s, need in zip(node.inputs, needs, strict=True) if need}
    plan, pairs = node.plan, [(i, out) for i, out in enumerate(outs) if out is not None]
    if plan.joint is None and only is None and len(plan.calls) == len(pairs) == 1:
        return single_call(node, plan.calls[0], g, kept, pairs[0][1])

    def run(v: list) -> None:
        twin.saved = tuple([v[p].shape if shape else v[p] for p, shape in kept])
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


def gather_call(node: Node, at: int, fresh: bool) -> Callable[[list], None]:
    def run(v: list) -> None:
        if fresh:  # a leaf that the step made: at every call a new one
            node.sink.grad = None
        backprop.gather(node, v[at])

    return run


def effect_call(f: Callable, given: Callable, outs: list[int]) -> Callable[[list], None]:
    def run(v: list) -> None:
        args, kw = given(v)
        result = f(*args, **kw)
        for out, leaf in zip(outs, leaves(result), strict=False):
            v[out] = raw(leaf)

    return run


# ---------------------------------------------------------------- replay


class Program:
    """The calls of one step, ready to be made again."""

    def __init__(self, recorder: Recorder, result: Any) -> None:
        result = recorder.template(result)
        self.inputs, self.outside, self.result = recorder.inputs, recorder.outside, filler(result)
        written = {slot for call in recorder.calls for slot in call.writes}
        self.values = [None if i in written else value for i, value in enumerate(recorder.values)]
        wanted = {leaf.index for leaf in leaves(result) if isinstance(leaf, Slot)}
        self.calls = list(cleared(recorder, written - wanted))
        self.made = [slot for slot in written | set(self.inputs)]

    def __call__(self, inputs: list[Any]) -> Any:
        v = self.values
        for x, slot in self.outside:
            v[slot] = raw(x)
        for x, slot in zip(inputs, self.inputs, strict=True):
            v[slot] = raw(x)
        try:
            for run in self.calls:
                run(v)
            return self.result(v)
        finally:
            for slot in self.made:
                v[slot] = None


def cleared(recorder: Recorder, passing: set[int]) -> Iterator[Callable]:
    """The calls, and after each one an end to the large arrays that none after it reads."""
    last = {slot: i for i, call in enumerate(recorder.calls) for slot in (*call.reads, *call.writes)}
    ends: dict[int, list[int]] = {}
    for slot, i in last.items():
        value = recorder.values[slot]
        if slot in passing and (not isinstance(value, np.ndarray) or value.nbytes >= LARGE):
            ends.setdefault(i, []).append(slot)
    for i, call in enumerate(recorder.calls):
        if call.run is not nothing:
            yield call.run
        if i in ends:
            yield functools.partial(clear, ends[i])


def clear(slots: list[int], v: list) -> None:
    for slot in slots:
        v[slot] = None


# ---------------------------------------------------------------- what users call


class Captured:
    """A step that is recorded at its first two calls (for every shape anew) and replayed from then on."""

    def __init__(self, step: Callable) -> None:
        if not callable(step):
            raise TypeError(f"capture: expected a function (step), got {type(step).__name__}")
        self.step = step
        self.recordings: dict[Any, Any] = {}  # by kinds of arguments: a Recorder (seen once) or a Program
        self.version = version[0]
        functools.update_wrapper(self, step, updated=())

    def __call__(self, *args: Any, **kw: Any) -> Any:
        """step(*args, **kw), replayed if its like was recorded."""
        if self.version != version[0]:  # train() or eval(), or something learns that did not: all recordings are old
            self.recordings, self.version = {}, version[0]
        inputs = [x for x in leaves((args, kw)) if is_input(x)]
        key = (bool(mode.recording), kernel_mode.reference, *kinds((args, kw)))
        found = self.recordings.get(key)
        if isinstance(found, Program):
            return found(inputs)
        if mode.recording not in (True, False):  # inside another watcher or another capture: as it is
            return self.step(*args, **kw)
        recorder = Recorder(inputs)
        former = mode.recording
        mode.recording = recorder.loud if former else recorder.silent
        try:
            result = self.step(*args, **kw)
        finally:
            mode.recording = former
        if self.version != version[0]:
            return result
        if found is None:
            self.recordings[key] = recorder
        else:
            compare(found, recorder)
            self.recordings[key] = Program(recorder, result)
        return result

    def __repr__(self) -> str:
        ready = [p for p in self.recordings.values() if isinstance(p, Program)]
        calls = ", ".join(str(len(p.calls)) for p in ready)
        return f"capture({getattr(self.step, '__name__', self.step)}): {len(ready)} recorded ({calls or 'no'} calls)"


def is_input(x: Any) -> bool:
    """Tensors and arrays among the arguments; a leaf that learns is an object of its own, like a parameter."""
    return isinstance(x, np.ndarray) or (isinstance(x, Tensor) and x._node is None)


def kinds(x: Any) -> Iterator[Any]:
    """What must be the same for a recording to fit: structure, shapes, dtypes, and all that is no array."""
    if isinstance(x, dict):
        yield from ("{", *x.keys())
        x = list(x.values())
    if isinstance(x, tuple | list):
        yield from (type(x), len(x))
        for item in x:
            yield from kinds(item)
    elif is_input(x):
        yield from (type(x), x.shape, x.dtype, str(getattr(x, "device", "")))
    else:
        yield x


def compare(first: Recorder, second: Recorder) -> None:
    """The second call must have done what the first did; ValueError says where it did not."""
    for a, b in zip(first.calls, second.calls, strict=False):
        if not alike(a.told, b.told):
            what, before = (" ".join(str(part) for part in c.told[:2] if isinstance(part, str)) for c in (b, a))
            if what == before:
                raise ValueError(
                    f"capture: '{what}' at {b.line} got another number or object at the second call than at the first; "
                    "what changes from step to step has to be an argument of the step, as a tensor"
                )
            raise ValueError(
                f"capture: the second call of the step made '{what}' at {b.line}, the first '{before}' at {a.line}; "
                "a step that takes different ways cannot be captured"
            )
    if len(first.calls) != len(second.calls):
        raise ValueError(
            f"capture: the step made {len(first.calls)} calls at first and {len(second.calls)} then; "
            "a step that takes different ways cannot be captured"
        )
    for (a, _), (b, at) in zip(first.outside, second.outside, strict=True):
        if a is not b and raw(a) is not raw(b):
            line = next((c.line for c in second.calls if at in c.reads), "the step")
            raise ValueError(
                f"capture: an array of shape {raw(b).shape} used at {line} is another one at every call, and no "
                "minigrad op made it; pass it as an argument of the step"
            )


def capture(step: Callable) -> Captured:
    """A function like `step` that replays it: the same numbers bit for bit, without the cost of making the graph.

    The first two calls run `step` itself and record it, once for every combination of shapes, dtypes and other
    arguments. From then on its calls are made as a flat list: forwards, VJPs, and effects (optimiser and schedule,
    random draws, running statistics, checks of labels and indices). What changes from step to step is an argument,
    a Tensor or NumPy array; numbers are recorded by value. Results carry no history. Raises ValueError, with the
    line, where the step reads a number out of a tensor (item, bool, print), takes another way at its second call,
    or uses an array that is made anew outside minigrad.

    >>> import minigrad as mg
    >>> w = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> opt = mg.optim.SGD([w], lr=0.1)
    >>> @mg.capture
    ... def step(x):
    ...     opt.zero_grad()
    ...     loss = (w * x).sum()
    ...     loss.backward()
    ...     opt.step()
    ...     return loss
    >>> [round(step(mg.tensor([1.0, k])).item(), 4) for k in (1.0, 2.0, 3.0)]
    [3.0, 4.5, 5.7]
    >>> w.grad
    tensor([1., 3.])
    """
    return Captured(step)
