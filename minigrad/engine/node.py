"""Node: an op, its inputs, and what it saved. The graph is nothing else.

A Node knows nothing of Tensors. Nodes hold raw arrays and point only to older nodes, so there
are no reference cycles, and a graph dies with the last name that reaches it.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

from .backend import Array

__all__ = ["Node"]

tick = itertools.count(1).__next__  # one clock for nodes and for in-place changes


class _Mode(threading.local):
    recording = True  # off inside no_grad()


mode = _Mode()


class Node:
    """What made an array: `op(*inputs, **meta)`, and what its VJPs will need.

    `number` orders nodes by creation, so an input's number is below its user's: sorting by it
    is a topological sort. `inputs` holds the input's nodes, None for a constant. A leaf is a
    node without an op. `plan` knows the op's VJPs and what they saved. `sink`, where there is
    one, is where `.grad` gathers.
    """

    __slots__ = ("plan", "inputs", "meta", "saved", "number", "shape", "dtype", "sink", "hooks", "watch")

    def __init__(self, plan: Any, inputs: Sequence, meta: dict, saved: tuple | None, y: Array) -> None:
        self.plan = plan
        self.inputs = inputs
        self.meta = meta
        self.saved = saved
        self.number = tick()
        self.shape = y.shape
        self.dtype = y.dtype
        self.sink = None
        self.hooks = None
        self.watch = None

    @property
    def op(self) -> Any:
        """The op that ran; None for a leaf."""
        return None if self.plan is None else self.plan.op

    def __repr__(self) -> str:
        name = self.op.name if self.op else "leaf"
        return f"<{name} #{self.number} {self.shape} {self.dtype}>"


class Sink:
    """The one place where a node's gradient gathers: what `tensor.grad` reads."""

    __slots__ = ("grad",)

    def __init__(self) -> None:
        self.grad: Any = None


class Hook:
    """Handle of a registered hook; `remove()` takes it off."""

    def __init__(self, node: Node, hook: Callable) -> None:
        self._node, self._hook = node, hook
        node.hooks = [*(node.hooks or ()), hook]

    def remove(self) -> None:
        """Take the hook off; a second call does nothing."""
        self._node.hooks = [h for h in self._node.hooks or () if h is not self._hook] or None


# ---------------------------------------------------------------- in-place changes
#
# A node remembers when it was made; an array that is written to remembers when that was. So a
# saved array was changed under a node exactly when its last change is younger than the node.

_changed: dict[int, int] = {}  # id of the memory's owner -> tick of its last change
last_change = [0]


def _owner(array: Array) -> int:
    """Identity of the memory behind a view."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return id(array)


def mutated(array: Array) -> None:
    """Announce that `array` was written to in place."""
    _changed[_owner(array)] = last_change[0] = tick()


def changed_since(array: Array, number: int) -> bool:
    """True if the memory of `array` was announced as written after tick `number`."""
    return _changed.get(_owner(array), 0) > number
