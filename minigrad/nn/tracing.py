"""What the ops of one forward pass do: multiply-adds, and how much of the input a result sees.

A Tracer takes the place of the recording switch, and so sees each recorded op with its arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from ..engine.node import Node
from ..engine.tensor import Tensor
from .sizes import Field, widen

# ---------------------------------------------------------------- multiply-adds

PRODUCTS: dict[str, Callable[[Node, list], int]] = {  # op -> count, of its node and arrays
    "conv": lambda y, a: prod(y.shape) * prod(a[1].shape[1:]),
    "conv_grad_x": lambda y, a: prod(a[0].shape) * prod(a[1].shape[1:]),
    "linear": lambda y, a: prod(y.shape) * a[0].shape[-1],
    "matmul": lambda y, a: prod(y.shape) * a[0].shape[-1],
    "einsum": lambda y, a: prod(_letters(y, a).values()),
    "attention": lambda y, a: prod(y.shape[:-1]) * a[1].shape[-2] * (a[0].shape[-1] + a[2].shape[-1]),
    "packed_attention": lambda y, a: 2 * prod(y.shape) * y.shape[-2],
}


def _letters(y: Node, arrays: list) -> dict[str, int]:
    """The length of each letter of an einsum."""
    names = y.meta["subscripts"].split("->")[0].split(",")
    return {c: n for name, a in zip(names, arrays, strict=True) for c, n in zip(name, a.shape, strict=True)}


def multiply_adds(y: Node, arrays: list) -> int:
    """Of one op, if it multiplies matrices or convolves; else 0."""
    name = y.op.name
    if name.endswith("_sequence"):  # recurrent, fused: every step uses every weight once
        given = dict(zip(y.op.arrays, arrays, strict=True))
        weights = [given.get(w) for w in ("w_ih", "w_hh", "w_hr")]
        return sum(len(given["x"]) * w.size for w in weights if w is not None)
    return PRODUCTS[name](y, arrays) if name in PRODUCTS else 0


# ---------------------------------------------------------------- receptive fields

START: Field = ()  # the input itself: an element sees 1, with step 1, along however many axes
WINDOWS = ("conv", "max_pool", "window_sum")
SAME = ("concatenate", "copy", "dropout", "normalise", "pad_border", "pad_constant", "rms_norm")


class Tracer:
    """Counts multiply-adds and follows receptive fields from the inputs that it was given.

    A field is None once it is lost: after a product of matrices, a flattening, a mean over places.
    Normalising by an image's own statistics counts as looking at the place alone, as is usual.
    """

    def __init__(self, inputs: list[Any]) -> None:
        self.count: Callable[[int], None] = lambda n: None
        self.fields: dict[int, Field | None] = {x.node.number: START for x in inputs if x.node is not None}

    def field(self, y: Any) -> Field | None:
        """What was found of a result."""
        node = y.node if isinstance(y, Tensor) else None
        return self.fields.get(node.number) if node is not None else None

    def aside(self, y: Tensor, op: Any, args: tuple, meta: dict) -> Tensor:
        """A result without history is none of its business."""
        return y

    def watch(self, y: Tensor, arrays: list, args: tuple = ()) -> Tensor:
        """Called by the engine with each fresh result."""
        node: Any = y.node
        self.count(multiply_adds(node, arrays))
        known = [n for n in node.inputs if n is not None and n.number in self.fields]
        if known:  # else y depends on weights alone
            self.fields[node.number] = self._behind(node, known, arrays)
        return y

    def _behind(self, y: Node, known: list[Node], arrays: list) -> Field | None:
        fields = [self.fields[n.number] for n in known]
        if any(f is None for f in fields):
            return None
        name, first = y.op.name, fields[0]
        if name in WINDOWS and known[0] is y.inputs[0]:
            kernel = y.meta["kernel"] if "kernel" in y.meta else arrays[1].shape[2:]
            dilation = y.meta.get("dilation", (1,) * len(kernel))
            before = first or ((1, 1),) * len(kernel)
            return widen(before, kernel, y.meta["stride"], dilation) if len(before) == len(kernel) else None
        if name == "take_index":
            return _cut(first, len(known[0].shape), y.meta["index"])
        if name == "reshape":
            kept = len(first or known[0].shape)
            return first if y.shape[-kept:] == known[0].shape[-kept:] else None
        if name == "transpose":
            axes = y.meta["axes"] or range(len(y.shape))[::-1]
            still = all(
                a % len(y.shape) == i for i, a in enumerate(axes) if i >= len(y.shape) - len(first or ())
            )
            return first if still else None
        return _joined(fields) if y.op.elementwise or name in SAME else None


def _joined(fields: list) -> Field | None:
    """The widest, axis by axis, where branches meet."""
    fields = [f for f in fields if f] or [START]
    if len({len(f) for f in fields}) > 1:
        return None
    return tuple((max(r for r, _ in axis), max(j for _, j in axis)) for axis in zip(*fields, strict=True))


def _cut(field: Field | None, axes: int, index: Any) -> Field | None:
    """A slice with a step widens the step; what picks single places loses the field."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if not all(isinstance(p, int | slice) or p is None or p is Ellipsis for p in parts):
        return None
    named = sum(p is not None and p is not Ellipsis for p in parts)
    at = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
    parts[at : at + 1] = [slice(None)] * (axes - named)
    parts = [p for p in parts if p is not None]
    if not field:
        return field if all(not isinstance(p, slice) or p.step in (None, 1) for p in parts) else None
    last = parts[-len(field) :]
    if not all(isinstance(p, slice) for p in last):
        return None
    return tuple((r, j * abs(p.step or 1)) for (r, j), p in zip(field, last, strict=True))
