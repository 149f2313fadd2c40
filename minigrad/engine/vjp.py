"""What a node saves, and how its VJPs are called back.

A VJP's parameter names say what it needs. They are read once, when the op is declared; at run
time a `Plan` knows which positions of (y, *arrays, saved) to keep and how to pass them on.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .backend import Array
from .kernels import vjp_with_kernel


class Plan:
    """For one op and one set of inputs that carry gradients: what to save, what to call."""

    __slots__ = ("op", "needs", "keep", "calls", "joint", "save")

    def __init__(self, op: Any, mask: int) -> None:
        self.op = op
        self.needs = tuple(bit == "1" for bit in bin(mask)[3:])  # bin: "0b1", then a bit per input
        if op.joint:
            wanted = [(0, op.joint, *self._read(op.joint))]
        else:
            vjps = [(i, op.vjps[name]) for i, name in enumerate(op.arrays)]
            wanted = [(i, v, *self._read(v)) for i, v in vjps if v and self.needs[i]]
        # One entry per thing some VJP names: a position in (y, *arrays, saved), whole or only its shape.
        named = {entry for _, _, entries, _ in wanted for entry in entries}
        if op.reference:  # higher orders differentiate the reference, from all inputs, which come first
            inputs = [(i + 1, False) for i in range(len(self.needs))]
            self.keep = [*inputs, *sorted(named.difference(inputs))]
        else:
            self.keep = sorted(named)
        self.save = _saver(self.keep)
        kind = (lambda i: "joint") if op.joint else op.arrays.__getitem__
        self.calls = [(i, self._caller(v, f"{op.name}.{kind(i)}", e, m)) for i, v, e, m in wanted]
        self.joint = self.calls[0][1] if op.joint else None

    def _read(self, vjp: Callable) -> tuple[list[tuple[int, bool]], tuple[str, ...]]:
        """What a VJP names: entries (position, only its shape?) in its own order, and metadata."""
        op = self.op
        first, *params = inspect.signature(vjp).parameters.values()
        position = {"y": 0, **{name: i + 1 for i, name in enumerate(op.arrays)}}
        if op.extra:
            position["saved"] = -1
        entries, meta = [], []
        for k, p in enumerate(params):
            if p.kind is p.VAR_KEYWORD:
                meta = list(op.meta)
            elif p.name in op.meta:
                meta.append(p.name)
            elif p.name in position and not meta:
                entries.append((position[p.name], False))
            elif p.name.endswith("_shape") and p.name[:-6] in position and not meta:
                entries.append((position[p.name[:-6]], True))
            elif p.name == op.variadic and not meta:  # all of *arrays, as one tuple
                entries += [(i + 1, False) for i in range(len(self.needs))]
            elif not (op.joint and p.name == "needs" and k == 0):
                raise TypeError(
                    f"op {op.name}: a VJP names {p.name!r}: expected g, [needs of a joint one,] "
                    "then y, arrays or x_shape, then metadata"
                )
        if first.name != "g":
            raise TypeError(f"op {op.name}: a VJP's first parameter is g, got {first.name!r}")
        return entries, tuple(meta)

    def _caller(
        self, vjp: Callable, name: str, entries: list, meta: tuple[str, ...]
    ) -> Callable[[Any, tuple, dict], Any]:
        """A function (g, saved, meta) that calls the VJP, or its kernel, with what it names."""
        places = [self.keep.index(e) for e in entries]
        names = list(inspect.signature(vjp).parameters)
        vjp = vjp_with_kernel(name, vjp)
        if self.op.joint:
            lead = (self.needs,) if "needs" in names else ()
            if self.op.variadic in names:
                return lambda g, saved, given: vjp(
                    g, *lead, tuple([saved[p] for p in places]), **{name: given[name] for name in meta}
                )
            return lambda g, saved, given: vjp(
                g, *lead, *[saved[p] for p in places], **{name: given[name] for name in meta}
            )
        if meta:
            return lambda g, saved, given: vjp(
                g, *[saved[p] for p in places], **{name: given[name] for name in meta}
            )
        if not places:
            return lambda g, saved, _: vjp(g)
        if len(places) == 1:
            p = places[0]
            return lambda g, saved, _: vjp(g, saved[p])
        if len(places) == 2:
            p, q = places
            return lambda g, saved, _: vjp(g, saved[p], saved[q])
        return lambda g, saved, _: vjp(g, *[saved[p] for p in places])


def _saver(keep: list[tuple[int, bool]]) -> Callable[[Array, list, Any], tuple]:
    """A function (y, arrays, saved) -> the tuple a node keeps."""
    if not keep:
        return lambda y, arrays, saved: ()
    if keep == [(0, False)]:
        return lambda y, arrays, saved: (y,)
    if len(keep) == 1 and keep[0][0] > 0 and not keep[0][1]:
        i = keep[0][0] - 1
        return lambda y, arrays, saved: (arrays[i],)

    def save(y: Array, arrays: list, saved: Any) -> tuple:
        full = (y, *arrays, saved)
        return tuple([np.shape(full[i]) if shape else full[i] for i, shape in keep])

    return save
