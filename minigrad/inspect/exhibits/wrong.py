"""Wrong backward passes that people really write, each whole, each on the smallest graph where it fails.

They run on the gallery's `Value`. A graph is a function of a class of values, so that the same graph also
runs on the engine's tensors, which give the truth. Lines marked `# !` are where it goes wrong.
"""

from __future__ import annotations

import sys
from collections import deque

import numpy as np

from .micro import Value, backward, topological_order

__all__: list[str] = []


# ---------------------------------------------------------------- graphs


def doubled(V):
    a = V(1.0)
    b = a + a
    return {"a": a, "b": b}


def doubled_twice(V):
    a = V(1.0)
    b = a + a
    c = b + b
    return {"a": a, "b": b, "c": c}


def shortcut(V):
    a = V(1.0)
    b = a + a
    c = b + b
    d = b + c
    return {"a": a, "b": b, "c": c, "d": d}


def product(V):
    w, x = V(2.0), V(3.0)
    y = w * x
    return {"w": w, "x": x, "y": y}


def chain(V, depth=5000):
    values = {"a": V(1.0), "step": V(0.001)}
    last = values["a"]
    for i in range(1, depth + 1):
        last = values[f"h{i}"] = last + values["step"]
    return values


def exponential(V):
    x = V(2.0)
    y = x.exp()
    return {"x": x, "y": y}


def times_its_exponential(V):
    x = V(2.0)
    e = x.exp()
    y = x * e
    return {"x": x, "e": e, "y": y}


def scaled_exponential(V):
    w, x = V(3.0), V(2.0)
    e = x.exp()
    y = w * e
    return {"w": w, "x": x, "e": e, "y": y}


def tie(V):
    a, b = V(2.0), V(2.0)
    y = a.maximum(b)
    return {"a": a, "b": b, "y": y}


def the_test_of_micrograd(V):
    x, two = V(-4.0), V(2.0)
    z = two * x + two + x
    q = z.relu() + z * x
    h = (z * z).relu()
    y = h + q + q * x
    return {"x": x, "y": y}


def bias(V):
    x, b = V(np.array([1.0, 2.0, 3.0])), V(0.5)
    h = x + b
    y = h.sum()
    return {"x": x, "b": b, "h": h, "y": y}


# ---------------------------------------------------------------- no topological order


def breadth_first(root):
    queue, seen = deque([root]), {root}
    root.grad = 1.0
    while queue:
        value = queue.popleft()
        value._backward()  # ! another path to this value may still be on its way
        for source in value.inputs:
            if source not in seen:
                seen.add(source)
                queue.append(source)


def depth_first(root):
    seen = set()
    root.grad = 1.0

    def visit(value):
        if value not in seen:
            seen.add(value)
            value._backward()  # ! before the values that use it have all been visited
            for source in value.inputs:
                visit(source)

    visit(root)


class RunsOnAtOnce(Value):
    def __add__(self, other):
        out = type(self)(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad += out.grad
            self._backward()  # ! goes on with the part that has arrived
            other.grad += out.grad
            other._backward()  # ! and here with that part once more

        out._backward = _backward
        return out


def call_the_root(root):
    root.grad = 1.0
    root._backward()


# ---------------------------------------------------------------- recursion


def recursive_sort(root):
    order, seen = [], set()

    def build(value):
        if value not in seen:
            seen.add(value)
            for source in value.inputs:
                build(source)  # ! a Python call for every step of depth
            order.append(value)

    build(root)
    root.grad = 1.0
    for value in reversed(order):
        value._backward()


def with_the_usual_limit(root):
    """Python's limit of 1,000 calls, whatever it is here; the old one is put back."""
    before, depth, frame = sys.getrecursionlimit(), 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    sys.setrecursionlimit(depth + 1000)
    try:
        recursive_sort(root)
    finally:
        sys.setrecursionlimit(before)


# ---------------------------------------------------------------- what is left from before


def no_zeroing(root):
    for _ in range(2):  # two training steps
        root.grad = 1.0
        for value in reversed(topological_order(root)):
            value._backward()  # ! the second time on top of the first


def zeroes_the_parameters_only(root):
    for _ in range(2):  # two training steps
        for value in topological_order(root):
            if not value.inputs:  # ! the values in between keep their old gradient
                value.grad = 0.0
        root.grad = 1.0
        for value in reversed(topological_order(root)):
            value._backward()


def no_seed(root):
    for value in topological_order(root):
        value.grad = 0.0  # ! the root as well, and then it stays so
    for value in reversed(topological_order(root)):
        value._backward()


# ---------------------------------------------------------------- wrong ops


class Assigns(Value):
    def __add__(self, other):
        out = type(self)(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad = out.grad  # ! what was there is lost
            other.grad = out.grad  # !

        out._backward = _backward
        return out


class KeepsTheShape(Value):
    def __add__(self, other):
        out = type(self)(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad = self.grad + out.grad
            other.grad = other.grad + out.grad  # ! has the shape of the sum, not of `other`

        out._backward = _backward
        return out


class PowerRule(Value):
    def exp(self):
        out = type(self)(np.exp(self.data), (self,), "exp")

        def _backward():
            self.grad += self.data * np.exp(self.data - 1) * out.grad  # ! "n x^(n-1)"

        out._backward = _backward
        return out


class ForgetsTheChain(Value):
    def exp(self):
        out = type(self)(np.exp(self.data), (self,), "exp")

        def _backward():
            self.grad += out.data  # ! only the local derivative

        out._backward = _backward
        return out


class BothWin(Value):
    def maximum(self, other):
        out = type(self)(np.maximum(self.data, other.data), (self, other), "max")

        def _backward():
            self.grad += (self.data >= other.data) * out.grad  # ! at a tie
            other.grad += (other.data >= self.data) * out.grad  # ! both get all of it

        out._backward = _backward
        return out


# ---------------------------------------------------------------- wrong programs


def update_before_backward(root):
    w, _x = root.inputs
    w.data -= 0.5  # ! y was computed with the old w, and d y / d x reads the new one
    backward(root)


def detached(V):
    x = V(2.0)
    e = V(x.exp().data)  # ! the same number, but nothing leads back to x
    y = x * e
    return {"x": x, "e": e, "y": y}
