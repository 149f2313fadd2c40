"""The gallery's own engine: micrograd's idea in forty lines, so that a wrong algorithm can be shown whole.

After Karpathy 2020, "micrograd": every Value keeps a closure that sends its gradient on to its inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Event", "Value", "Watched", "backward", "topological_order", "watching"]


class Value:
    """A number or an array, its gradient, and how to send that on to its inputs."""

    def __init__(self, data, inputs=(), op=""):
        self.data = np.float64(data) if np.ndim(data) == 0 else np.asarray(data, dtype=float)
        self.inputs = inputs
        self.op = op
        self.grad = 0.0
        self._backward = lambda: None

    def __add__(self, other):
        out = type(self)(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad += unbroadcast(out.grad, self.data)
            other.grad += unbroadcast(out.grad, other.data)

        out._backward = _backward
        return out

    def __mul__(self, other):
        out = type(self)(self.data * other.data, (self, other), "*")

        def _backward():
            self.grad += unbroadcast(other.data * out.grad, self.data)
            other.grad += unbroadcast(self.data * out.grad, other.data)

        out._backward = _backward
        return out

    def exp(self):
        out = type(self)(np.exp(self.data), (self,), "exp")

        def _backward():
            self.grad += out.data * out.grad

        out._backward = _backward
        return out

    def relu(self):
        out = type(self)(np.maximum(self.data, 0.0), (self,), "relu")

        def _backward():
            self.grad += (out.data > 0) * out.grad

        out._backward = _backward
        return out

    def maximum(self, other):
        out = type(self)(np.maximum(self.data, other.data), (self, other), "max")

        def _backward():
            tie = (self.data == other.data) / 2  # the two share it
            self.grad += ((self.data > other.data) + tie) * out.grad
            other.grad += ((other.data > self.data) + tie) * out.grad

        out._backward = _backward
        return out

    def sum(self):
        out = type(self)(self.data.sum(), (self,), "sum")

        def _backward():
            self.grad += out.grad * np.ones_like(self.data)

        out._backward = _backward
        return out


def unbroadcast(g, data):
    """Sum over the axes that broadcasting made: the reverse of copying is adding up."""
    extra = np.ndim(g) - np.ndim(data)
    return np.sum(g, axis=tuple(range(extra))) if extra else g


def topological_order(root):
    """Every value after all of its inputs; a stack of our own, so that depth is no limit."""
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        value, done = stack.pop()
        if done:
            order.append(value)
        elif value not in seen:
            seen.add(value)
            stack.append((value, True))
            stack.extend((source, False) for source in value.inputs)
    return order


def backward(root):
    """The right way: seed with 1, then the values in reverse topological order, each once."""
    order = topological_order(root)
    for value in order:
        value.grad = np.zeros_like(value.data)
    root.grad = np.ones_like(root.data)
    for value in reversed(order):
        value._backward()


# ---------------------------------------------------------------- watching a run


class Event(NamedTuple):
    """A write to `source`'s gradient from inside `user`'s _backward; no user: a seed, or a reset to zero."""

    user: Any
    source: Any
    before: Any
    after: Any


class Watched(Value):
    """A Value that writes down who changed its gradient, in the order in which it happens."""

    events: list[Event]  # one list for all values of a run: see `watching`
    calling: list[Watched]

    @property
    def grad(self) -> Any:
        return np.copy(self._grad)  # `+=` on an array would change what was written down before

    @grad.setter
    def grad(self, new: Any) -> None:
        user = self.calling[-1] if self.calling else None
        self.events.append(Event(user, self, getattr(self, "_grad", 0.0), new))
        self._grad = new

    @property
    def _backward(self) -> Callable[[], None]:
        return self._called

    @_backward.setter
    def _backward(self, send: Callable[[], None]) -> None:
        def called() -> None:
            self.calling.append(self)
            try:
                send()
            finally:
                self.calling.pop()

        self._called = called


def watching(kind: type[Value]) -> type[Value]:
    """A class of Values of this kind that write down their events in a list of its own."""
    bases = (Watched,) if kind is Value else (kind, Watched)
    return type(kind.__name__, bases, {"events": [], "calling": []})
