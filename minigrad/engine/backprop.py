"""Backprop is a generator: it walks the graph from the output back, one Step per node.

`backward()` exhausts it, `grad()` listens for some nodes, the stepper shows it. There is no other
implementation. Creation numbers are the topological order: the newest pending node has
received all its gradient, so a heap does it, without recursion, at any depth.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad_kernels.layout import on_gpu

from . import autocast, random
from .adjoint import cast, identity, sum_to
from .backend import xp_of
from .gpu import several
from .half import SINGLE, is_half, widened
from .node import Node, Sink, changed_since, last_change, mode
from .op import Op
from .recording import effect, enable_grad, no_grad, recording
from .tensor import Tensor, wrap
from .vjp import Plan

__all__ = ["Step", "backprop", "checkpoint", "grad"]


class Step(NamedTuple):
    """One move of backprop: `node` received `g` in full and sends `input_grads` to its inputs."""

    node: Node
    g: Any
    input_grads: Sequence


# ---------------------------------------------------------------- the engine


def backprop(
    y: Tensor, g: Any = None, retain_graph: bool = False, create_graph: bool = False, only: set | None = None
) -> Iterator[Step]:
    """Yield one Step per node that carries gradient from `y`, newest first.

    Gradients are raw arrays, or Tensors under create_graph. `only` limits the walk to some nodes.
    """
    root, g = _seed(y, g, create_graph)
    pending = {root: g}
    heap = [(-root.number, root)]
    send = _pull_recorded if create_graph else getattr(mode.recording, "pull", pull)
    push, pop = heapq.heappush, heapq.heappop
    take, received = pending.pop, pending.get
    step = tuple.__new__  # a NamedTuple without the cost of its keyword-aware constructor
    while heap:
        node = pop(heap)[1]
        g = take(node)
        if node.hooks is not None:
            g = _run_hooks(node, g, create_graph)
        if node.plan is None:
            yield step(Step, (node, g, ()))
            continue
        if node.plan.op is CHECKPOINT:  # the graph behind it is made now, newer than all that is pending
            behind = _replay(node)
            sources, grads = (behind,), (g if behind is not None else None,)
        else:
            sources, grads = node.inputs, send(node, g, only)
        yield step(Step, (node, g, grads))
        for source, gi in zip(sources, grads):
            if gi is None:
                continue
            before = received(source)
            if before is None:
                pending[source] = gi
                push(heap, (-source.number, source))
            else:
                pending[source] = before + gi
        if node.saved and not (retain_graph or create_graph):  # a node without any serves again: a cast, say
            node.saved = None


def pull(node: Node, g: Any, only: set | None) -> list:
    """The gradient of every input of `node` as raw arrays, None where there is no need."""
    saved, plan, inputs, meta = node.saved, node.plan, node.inputs, node.meta
    if several:
        _ = xp_of(g)  # the work goes where this gradient is
    if saved is None or node.number < last_change[0] or node.watch is not None:
        _check_usable(node)
    grads = [None] * len(inputs)
    if node.dtype is not SINGLE and is_half(node.dtype) and type(g) is np.ndarray:
        g, saved = widened(g), widened(saved)
    if plan.joint is not None:
        for i, gi in enumerate(plan.joint(g, saved, meta)):
            source = inputs[i]
            if source is not None and gi is not None:
                gi = _fit(node, i, gi)
                grads[i] = gi if source.plan is not None else _own(g, gi)
    else:
        for i, call in plan.calls:
            source = inputs[i]
            if only is not None and source not in only:
                continue
            gi = call(g, saved, meta)
            if gi.shape != source.shape or gi.dtype is not source.dtype:
                gi = _fit(node, i, gi)
            grads[i] = gi if source.plan is not None else _own(g, gi)
    if node.watch is not None:
        node.watch.check_gradients(node, g, grads)
    return grads


def _pull_recorded(node: Node, g: Tensor, only: set | None) -> list:
    """The same with Tensors, so that the gradients can be differentiated again; in the forward's dtypes."""
    if autocast.state() == autocast.PLAIN:
        return _pull_graph(node, g, only)
    with autocast.within(autocast.PLAIN):
        return _pull_graph(node, g, only)


def _pull_graph(node: Node, g: Tensor, only: set | None) -> list:
    _check_usable(node)
    plan, inputs = node.plan, node.inputs
    needed = [s is not None and (only is None or s in only) for s in inputs]
    if plan.op.reference is not None:
        return _pull_reference(node, g, needed)
    saved = tuple(
        [_as_tensor(node, entry, value) for entry, value in zip(plan.keep, node.saved, strict=True)]
    )
    if plan.joint is not None:
        found = enumerate(plan.joint(g, saved, node.meta))
    else:
        found = ((i, call(g, saved, node.meta)) for i, call in plan.calls if needed[i])
    grads: list = [None] * len(inputs)
    for i, gi in found:
        if needed[i]:
            grads[i] = _fit(node, i, gi)
    return grads


def _as_tensor(node: Node, entry: tuple[int, bool], value: Any) -> Any:
    """A saved array with its history: position 0 is the node's output, i + 1 its input i."""
    position, only_shape = entry
    if only_shape or position < 0 or not hasattr(value, "dtype"):
        return value
    return wrap(value, node if position == 0 else node.inputs[position - 1])


def _pull_reference(node: Node, g: Tensor, needed: list) -> list:
    """A fused op at higher order: differentiate what it stands for, in plain ops.

    The inputs are fresh copies: in fused(x, tanh(x)) the live ones would count the path through
    tanh twice, once here and once when backprop reaches it.
    """
    values = node.saved[: len(node.inputs)]
    sources = [
        v if v is None or s is None else identity(wrap(v, s))
        for v, s in zip(values, node.inputs, strict=True)
    ]
    y = node.plan.op.reference(*sources, **node.meta)
    wanted = [s for s, need in zip(sources, needed, strict=True) if need]
    found = iter(grad(y, wanted, g, create_graph=True, allow_unused=True))
    return [next(found) if need else None for need in needed]


def _own(g: Any, gi: Any) -> Any:
    """A leaf's .grad must be an array of its own: neither g itself nor a view of something."""
    return gi.copy() if gi is g or getattr(gi, "base", None) is not None else gi


def _check_usable(node: Node) -> None:
    """What the node saved must still be there, and still be what it was."""
    if node.saved is None:
        raise ValueError(
            f"backward: the graph through '{node.op.name}' was already used and freed; "
            "pass retain_graph=True to the first backward()"
        )
    if node.number < last_change[0]:
        names = ("the result", *node.op.arrays)
        for (position, only_shape), value in zip(node.plan.keep, node.saved, strict=True):
            kept = not only_shape and (isinstance(value, np.ndarray) or on_gpu(value))
            if kept and changed_since(value, node.number):
                name = names[position] if 0 <= position < len(names) else "what it saved"
                raise ValueError(
                    f"backward: '{node.op.name}' saved {name} {value.shape}, which was changed in place "
                    "since; write to a copy, or after backward()"
                )
    if node.watch is not None:
        node.watch.check_saved(node)


def _fit(node: Node, i: int, gi: Any) -> Any:
    """A gradient in its input's shape and dtype: un-broadcast for elementwise ops, else it must fit."""
    source, op = node.inputs[i], node.op
    if gi is None:
        return None
    if gi.shape != source.shape:
        if not op.elementwise:
            name = op.arrays[i] if i < len(op.arrays) else f"input {i}"
            raise ValueError(
                f"{op.name}: the VJP of {name} must return its shape {source.shape}, got {gi.shape}"
            )
        gi = sum_to(gi, source.shape)
    return gi if gi.dtype == source.dtype else cast(gi, dtype=source.dtype)


def _seed(y: Tensor, g: Any, create_graph: bool) -> tuple[Node, Any]:
    """The root of the walk and its gradient: 1 for a scalar, else what the caller gave."""
    if not isinstance(y, Tensor):
        raise TypeError(f"backward: expected a Tensor, got {type(y).__name__}")
    if y._node is None:
        raise ValueError("backward: this tensor has no history of tensors that require grad")
    if g is None:
        if y.size != 1:
            raise ValueError(
                f"backward: expected a scalar, got shape {y.shape}; reduce it (.sum()) or pass gradient="
            )
        g = _one(y)
    given = g if isinstance(g, Tensor) else Tensor(g, device=y.device)
    if given.shape != y.shape:
        raise ValueError(f"backward: expected gradient of shape {y.shape}, got {given.shape}")
    if given.dtype != y.dtype:
        given = cast(given, dtype=y.dtype)
    if create_graph:
        return y._node, given
    return y._node, given._data if y._node.plan is not None else given._data.copy()


@effect
def _one(y: Tensor) -> Tensor:
    """d y / d y."""
    return wrap(xp_of(y._data).ones_like(y._data), None)


def _run_hooks(node: Node, g: Any, create_graph: bool) -> Any:
    for hook in node.hooks:
        new = hook(g if create_graph else wrap(g, None))
        if new is not None:
            if new.shape != node.shape:
                raise ValueError(f"hook: expected a gradient of shape {node.shape}, got {new.shape}")
            g = new if create_graph else new._data
    return g


# ---------------------------------------------------------------- what users call


def backward(
    self: Tensor, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False
) -> None:
    """Add d self / d leaf to `.grad` of every leaf that self depends on.

    gradient: the weight of each element of self, same shape; needed unless self is a scalar.
    Raises ValueError for a non-scalar without it, and on a second pass over a freed graph.

    >>> import minigrad as mg
    >>> a = mg.tensor(1.0, requires_grad=True)
    >>> b = a + a
    >>> (b + b).backward()
    >>> a.grad
    tensor(4.)
    """
    retain = create_graph if retain_graph is None else retain_graph
    with recording(create_graph):
        put = getattr(mode.recording, "gather", gather)
        for node, g, _ in backprop(self, gradient, retain, create_graph):
            if node.sink is not None:
                put(node, g)


def gather(node: Node, g: Any) -> None:
    """Add g to the node's .grad; in place where nobody else can hold the array."""
    sink: Sink = node.sink
    if isinstance(g, Tensor):
        sink.grad = g if sink.grad is None else sink.grad + g
        return
    if node.plan is not None:
        g = g.copy()  # a computed tensor's gradient goes on to others
    if sink.grad is None:
        sink.grad = wrap(g if hasattr(g, "flags") and g.ndim else xp_of(g).asarray(g), None)
    elif sink.grad._node is None:
        sink.grad._data += g
    else:
        sink.grad = wrap(sink.grad._data + g, None)


def kept(node: Node, g: Any) -> Tensor:
    """A gradient as a Tensor of its own."""
    return wrap(xp_of(g).array(g), None)


def grad(
    y: Tensor,
    xs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> Any:
    """d y / d x for each x of xs: a Tensor for a Tensor, a tuple for a sequence. No .grad changes.

    create_graph: the result can be differentiated again. allow_unused: None for an x that y does
    not depend on, instead of a ValueError.

    >>> import minigrad as mg
    >>> x = mg.tensor(3.0, requires_grad=True)
    >>> slope = mg.grad(x * x * x, x, create_graph=True)
    >>> slope.item(), mg.grad(slope, x).item()
    (27.0, 18.0)
    """
    single = isinstance(xs, Tensor)
    targets = [xs] if single else list(xs)
    for i, x in enumerate(targets):
        if x._node is None:
            raise ValueError(f"grad: xs[{i}] does not require grad; create it with requires_grad=True")
    wanted = {x._node for x in targets}
    found: dict[Node, Any] = {}
    root, _ = _seed(y, grad_outputs, create_graph)
    retain = create_graph if retain_graph is None else retain_graph
    with recording(create_graph):
        keep = getattr(mode.recording, "kept", kept)
        for node, g, _ in backprop(y, grad_outputs, retain, create_graph, _between(root, wanted)):
            if node in wanted:
                found[node] = g if isinstance(g, Tensor) else keep(node, g)
    missing = [i for i, x in enumerate(targets) if x._node not in found]
    if missing and not allow_unused:
        raise ValueError(
            f"grad: y does not depend on xs[{missing[0]}]; pass allow_unused=True to get None for it"
        )
    result = tuple(found.get(x._node) for x in targets)
    return result[0] if single else result


def _between(root: Node, wanted: set[Node]) -> set[Node] | None:
    """The nodes on some path from root down to a wanted node: only these need their gradient.

    None, for all, if there is a checkpoint: what lies behind it is known only when it is replayed.
    """
    seen, stack = {root}, [root]
    while stack:
        for source in stack.pop().inputs:
            if source is not None and source not in seen:
                seen.add(source)
                stack.append(source)
    useful: set[Node] = set()
    for node in sorted(seen, key=lambda n: n.number):  # inputs come before their users
        if node.op is CHECKPOINT:
            return None
        if node in wanted or any(s in useful for s in node.inputs):
            useful.add(node)
    return useful


# ---------------------------------------------------------------- checkpointing


CHECKPOINT = Op(lambda xp, *arrays: None, {}, joint=lambda g: ())
CHECKPOINT.name = "checkpoint"


def checkpoint(f: Callable[..., Tensor], *args: Any, **kw: Any) -> Tensor:
    """f(*args, **kw) without keeping its graph; backward runs f again, with the same random numbers.

    Trades one more forward for the memory of what f's ops would save. Tensors that f closes over
    (parameters) get their gradients too. Chen et al. 2016, "Training Deep Nets with Sublinear
    Memory Cost". Raises TypeError unless f returns one Tensor.
    """
    state = random.get_state()
    with no_grad():
        y = f(*args, **kw)
    if not isinstance(y, Tensor):
        raise TypeError(f"checkpoint: f must return one Tensor, got {type(y).__name__}")
    if not mode.recording:
        return y
    inputs = [a._node if isinstance(a, Tensor) else None for a in args]
    plan = Plan(CHECKPOINT, 1 << len(args))
    plan.keep = [(i + 1, False) for i in range(len(args))]
    meta = {"f": f, "kw": kw, "tensors": [isinstance(a, Tensor) for a in args], "random_state": state}
    meta["autocast"] = autocast.state()
    saved = tuple(a._data if isinstance(a, Tensor) else a for a in args)
    t = wrap(y._data, Node(plan, inputs, meta, saved, y._data))
    if mode.recording is True:
        return t
    return mode.recording.watch(t, [a if is_tensor else None for a, is_tensor in zip(saved, meta["tensors"])])


def _replay(node: Node) -> Node | None:
    """Run a checkpointed f again, recording, from its saved inputs; the root of the new graph."""
    _check_usable(node)
    saved, meta, now = node.saved, node.meta, random.get_state()
    args = [wrap(a, n) if t else a for a, n, t in zip(saved, node.inputs, meta["tensors"], strict=True)]
    random.set_state(meta["random_state"])
    try:
        with enable_grad(), autocast.within(meta["autocast"]):
            y = meta["f"](*args, **meta["kw"])
    finally:
        random.set_state(now)
    if y.shape != node.shape:
        raise ValueError(
            f"checkpoint: f gave {node.shape}, then {y.shape}; it must depend on its arguments alone"
        )
    return y._node


Tensor.backward = backward
