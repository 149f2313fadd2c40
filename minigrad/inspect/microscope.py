"""One element of an array, opened into scalars: a pixel of a convolution becomes its patch times its weights.

Which elements meet is not written down op by op: it is read from the op's own VJP. The gradient of one output
element is 0 wherever an input has no part in it, and if a factor's values are replaced by their numbers
1, 2, 3 ... the gradient of the other factor says which element each is multiplied with.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add, mul
from typing import Any

import numpy as np

from ..engine.backprop import grad
from ..engine.recording import enter, leave
from ..engine.tensor import Tensor
from ..ops.elementwise import exp, log, maximum, minimum, sqrt
from .opened import can_open, opened
from .paths import element, element_index
from .record import Forward, Value

__all__ = ["microscope"]

MOST_SCALARS = 3000
PRODUCTS = ("matmul", "linear", "conv", "einsum")  # Σ a · b, and a bias


def microscope(trace: Any, value: Value, index: Any, depth: int) -> Any:
    """trace.microscope(name, index, depth): the Trace of the scalar graph behind one element.

    depth: how many ops to look back; those that only move elements do not count. The gradient that enters is
    the recorded one of this element, so the numbers inside are this element's share of the whole.

    Raises ValueError for an input, an op that has no form in scalars, or more than 3,000 scalars.

    >>> import minigrad as mg
    >>> t = mg.trace(lambda x, w: (x @ w).sum(), [[1.0, 2.0]], [[3.0], [4.0]])
    >>> m = t.microscope("matmul", (0, 0))
    >>> print([f.numbers for f in m.forward])
    ['3 = 1 · 3', '8 = 2 · 4', '11 = 3 + 8']
    """
    from .trace import record

    where = element_index(value, index)
    if value.made_by is None:
        raise ValueError(f"microscope: {value.name} is an input; ask for something that an op made")
    if not isinstance(depth, int) or depth < 1:
        raise ValueError(f"microscope: expected a number of ops to look back, at least 1 (depth={depth!r})")
    lens = _Lens()
    at = int(np.ravel_multi_index(where, value.shape)) if where else 0
    seed = np.float64(1.0 if value.grad is None else value.grad[where])
    return record(lambda: lens.scalar(value, at, depth), [], seed, lens.names, element(value.name, where))


class _Lens:
    """Builds the scalars, each element once."""

    def __init__(self) -> None:
        self.names: dict[Any, str] = {}  # by node, or of a constant by the identity of its array
        self.made: dict[tuple[Value, int], Tensor] = {}

    def scalar(self, value: Value, at: int, depth: int) -> Tensor:
        """One element as a Tensor: an op on other elements, or a leaf where the depth ends."""
        key = (value, at)
        if key not in self.made:
            if len(self.made) >= MOST_SCALARS:
                raise ValueError(f"microscope: more than {MOST_SCALARS:,} scalars; look back fewer ops")
            leaf = value.made_by is None or depth == 0
            x = self.made[key] = self.leaf(value, at) if leaf else self.result(value, at, depth)
            self.names.setdefault(x._node or id(x._data), self.name(value, at))
        return self.made[key]

    def name(self, value: Value, at: int) -> str:
        return element(value.name, tuple(int(i) for i in np.unravel_index(at, value.shape)))

    def leaf(self, value: Value, at: int) -> Tensor:
        x = Tensor(np.asarray(np.ravel(value.data)[at], np.float64))
        return x.requires_grad_() if value.data.dtype.kind == "f" else x

    def result(self, value: Value, at: int, depth: int) -> Tensor:
        forward = value.made_by
        if can_open(forward):  # a fused op: what it stands for, its inputs called as outside
            return self.scalar(opened(value).output, at, depth)
        if forward.op == "dropout":
            return self.dropped(forward, at, depth)
        if forward.node.op.elementwise:
            return self.elementwise(forward, at, depth)
        if forward.op in PRODUCTS:
            return self.products(forward, at, depth)
        if forward.op in REDUCTIONS:
            seen = [self.scalar(forward.inputs[0], i, depth - 1) for i in looked_at(forward, at)]
            own = self.scalar(forward.inputs[0], at, depth - 1) if forward.op in SAME else None
            return REDUCTIONS[forward.op](seen, own)
        return self.weighted(forward, at, depth)

    def dropped(self, forward: Forward, at: int, depth: int) -> Tensor:
        mask = dict(forward.saved)["extra"]
        return self.scalar(forward.inputs[0], at, depth - 1) * float(np.ravel(mask)[at])

    def elementwise(self, forward: Forward, at: int, depth: int) -> Tensor:
        shape = forward.output.shape
        parts = []
        for v in forward.inputs:
            numbers = np.arange(v.data.size).reshape(v.shape)
            parts.append(self.scalar(v, int(np.broadcast_to(numbers, shape).ravel()[at]), depth - 1))
        return forward.node.op.call(*parts, **forward.meta)

    def products(self, forward: Forward, at: int, depth: int) -> Tensor:
        """Σ a · b + bias, the partner of each a read from the VJP."""
        a, b, *rest = forward.inputs
        numbered = np.arange(1.0, b.data.size + 1).reshape(b.shape)
        arrays = [v.data if v is not None else None for v in forward.inputs]
        partners = row(forward, [arrays[0], numbered, *arrays[2:]], 0, at)
        total = None
        for i in np.flatnonzero(partners):
            x, w = self.scalar(a, int(i), depth - 1), self.scalar(b, round(partners[i]) - 1, depth - 1)
            total = x * w if total is None else total + x * w
        for bias in rest:
            if bias is not None:
                (k,) = np.flatnonzero(row(forward, arrays, 2, at))
                total = total + self.scalar(bias, int(k), depth - 1)
        return total

    def weighted(self, forward: Forward, at: int, depth: int) -> Tensor:
        """A linear op: Σ c · x with numbers c that do not depend on x. A single c = 1 moves an element."""
        found, arrays = [], [None if v is None else v.data for v in forward.inputs]
        for k, v in enumerate(forward.inputs):
            if v is not None and v.dtype.kind == "f":
                here = row(forward, arrays, k, at)
                if not np.allclose(here, row(forward, _moved(arrays, k), k, at), rtol=1e-9, atol=1e-12):
                    raise ValueError(f"microscope: {forward.op} has no form in scalars; look at its inputs")
                found += [(v, int(i), float(here[i])) for i in np.flatnonzero(here)]
        if len(found) == 1 and found[0][2] == 1.0:
            return self.scalar(found[0][0], found[0][1], depth)
        if not found:  # a border, a constant
            return Tensor(np.asarray(np.ravel(forward.output.data)[at], np.float64))
        factors = {c for _, _, c in found}
        terms = [self.scalar(v, i, depth - 1) for v, i, _ in found]
        if len(factors) > 1:
            terms = [x * c for x, (_, _, c) in zip(terms, found)]
        total = reduce(add, terms)
        factor = factors.pop()
        return total if factors or factor == 1.0 else total * factor


def row(forward: Forward, arrays: list, position: int, at: int) -> np.ndarray:
    """The gradient of one output element in one input, the op run again on these arrays."""
    x = Tensor(np.asarray(arrays[position], np.float64)).requires_grad_()
    enter(True)  # this is a probe, not a part of the scalar graph that is being traced
    try:
        y = forward.node.op.call(*[x if i == position else a for i, a in enumerate(arrays)], **forward.meta)
        unit = np.zeros(y.shape)
        unit.reshape(-1)[at] = 1.0
        return grad(y, x, unit).numpy().ravel()
    finally:
        leave()


def _moved(arrays: list, k: int) -> list:
    """The same with other numbers in the k-th place."""
    other = arrays[k] + np.cos(np.arange(arrays[k].size)).reshape(arrays[k].shape)
    return [other if i == k else a for i, a in enumerate(arrays)]


# ---------------------------------------------------------------- reductions that are not sums


def looked_at(forward: Forward, at: int) -> list[int]:
    """The elements of its input that one output element of a reduction depends on."""
    x, meta = forward.inputs[0], forward.meta
    index = np.unravel_index(at, forward.output.shape)
    if "kernel" in meta:
        spans = [
            [p * s + k * d - low for k in range(n) if 0 <= p * s + k * d - low < length]
            for p, s, d, n, (low, _), length in zip(
                index[2:], meta["stride"], meta["dilation"], meta["kernel"], meta["padding"], x.shape[2:]
            )
        ]
        chosen = np.ix_([index[0]], [index[1]], *spans)
    else:
        axes = meta["axis"] if meta["axis"] is not None else tuple(range(x.data.ndim))
        over = [int(a) % x.data.ndim for a in np.atleast_1d(axes)]
        kept = list(index) if len(index) == x.data.ndim else _with_axes(list(index), over)
        chosen = tuple(slice(None) if a in over else i for a, i in enumerate(kept))
    return [int(i) for i in np.arange(x.data.size).reshape(x.shape)[chosen].ravel()]


def _with_axes(index: list, over: list[int]) -> list:
    for axis in sorted(over):
        index.insert(axis, 0)
    return index


def _softmax(seen: list[Tensor], x: Tensor) -> Tensor:
    top = max(s.item() for s in seen)  # a number: it shifts, and changes nothing
    return exp(x - top) / reduce(add, [exp(s - top) for s in seen])


def _logsumexp(seen: list[Tensor], _: Any = None) -> Tensor:
    top = max(s.item() for s in seen)
    return log(reduce(add, [exp(s - top) for s in seen])) + top


SAME = ("softmax", "log_softmax")  # an output element for each of the input's
REDUCTIONS: dict[str, Callable[[list, Any], Tensor]] = {
    "max": lambda seen, _: reduce(maximum, seen),
    "min": lambda seen, _: reduce(minimum, seen),
    "max_pool": lambda seen, _: reduce(maximum, seen),
    "prod": lambda seen, _: reduce(mul, seen),
    "norm2": lambda seen, _: sqrt(reduce(add, [s * s for s in seen])),
    "softmax": _softmax,
    "log_softmax": lambda seen, x: x - _logsumexp(seen),
    "logsumexp": _logsumexp,
}
