"""Rule: one thing that a learner may do wrong on an edge of the backward pass, and how it is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from .. import formulas
from ..record import Edge, Forward, Value
from .rerun import Send

__all__ = [
    "ASSIGNED", "COUNT", "CUT", "EXTRA_COUNT", "FACTOR", "FLIPPED", "INCOMING", "ONEHOT", "OTHER", "PLACE",
    "POWER", "RECIPROCAL", "SHAPE", "SHIFTED", "SIGN", "SOFTMAX", "STALE", "SWAPPED", "TIE", "TRANSPOSED",
    "UNSUMMED", "UPDATED", "WRONG", "Rule",
    "formula", "local", "minus_of", "other_name", "plain", "rules", "spot",
]  # fmt: skip

SIGN = "sign"
FACTOR = "missing local factor"
INCOMING = "missing incoming gradient"
SWAPPED = "swapped factor"
TRANSPOSED = "transposed"
UNSUMMED = "not summed over a broadcast axis"
COUNT = "lost 1/n"
EXTRA_COUNT = "extra 1/n"
ASSIGNED = "assigned instead of added"
STALE = "stale after a second backward"
TIE = "wrong at a tie or kink"
PLACE = "derivative at the wrong place"
POWER = "power not lowered"
RECIPROCAL = "missing reciprocal"
ONEHOT = "softmax without the target"
SOFTMAX = "softmax as if elementwise"
CUT = "path left out"
UPDATED = "updated weight"
SHIFTED = "shifted in time"
FLIPPED = "flipped kernel"
OTHER = "gradient of another value"
WRONG = "wrong factor"
SHAPE = "shape"

RESHAPING = ("reshape", "copy", "cast", "identity")
MOST_LETTERS = 48  # of a formula that tells where something is


@dataclass(frozen=True)
class Rule:
    """A mistake on one edge. weight: the smaller, the likelier. ops: where it can be made, None for anywhere.

    send: (edge, g) -> what is sent by mistake, None where it cannot be made. told: the sentence.
    together: made on all inputs of the op at once.
    """

    family: str
    weight: float
    send: Send
    told: Callable[[Edge], str]
    ops: Sequence[str] | None = None
    together: bool = False

    def fits(self, edge: Edge) -> bool:
        """True if the mistake can be made here at all."""
        forward = edge.step.forward
        return forward is not None and (self.ops is None or forward.op in self.ops)


# ---------------------------------------------------------------- words


def plain(value: Value) -> Value:
    """What a value is but for its shape: the reader's h where an op had to take h as a column."""
    while value.made_by is not None and value.made_by.op in RESHAPING:
        value = value.made_by.inputs[0]
    return value


def names(forward: Forward) -> list[str | None]:
    """The inputs' names, looked through reshapes."""
    return [None if v is None else plain(v).name for v in forward.inputs]


def formula(edge: Edge) -> str:
    """'∂L/∂a = ∂L/∂y · b', in plain names."""
    f = edge.step.forward
    return formulas.edge_text(f.op, edge.arg, names(f), f.output.name, f.meta)


def local(edge: Edge) -> str:
    """'b', in plain names."""
    if edge not in _locals:
        f = edge.step.forward
        _locals[edge] = formulas.local_text(f.op, edge.arg, names(f), f.output.name, f.meta)
    return _locals[edge]


_locals: WeakKeyDictionary[Edge, str] = WeakKeyDictionary()  # asked for again and again


def spot(edge: Edge) -> str:
    """Where an edge starts, for the reader: 'tanh(a) (line 12: h = tanh(a))'; looked through reshapes."""
    f = edge.step.forward
    while f.op in RESHAPING and len(f.output.contributions) == 1 and f.output.contributions[0].step.forward:
        f = f.output.contributions[0].step.forward
    made = formulas.forward_text(f.op, names(f), "y", f.meta).removeprefix("y = ")
    made = made if len(made) <= MOST_LETTERS else f.op
    return f"{made} (line {f.line}: {f.code.strip()})" if f.code else made


def minus_of(edge: Edge) -> bool:
    """True if the local derivative begins with a minus."""
    return local(edge).startswith("−")


def other_name(edge: Edge) -> str:
    """The name of the other input of an op of two, of all others of an op of more."""
    return " and ".join(n for i, n in enumerate(names(edge.step.forward)) if i != edge.position and n)


def rules(family: str, ops: Sequence[str], *rows: tuple[float, Send, str]) -> list[Rule]:
    """Rules of one family at the same ops: (weight, send, words) each."""
    return [
        Rule(family, weight, send, lambda e, words=words: f"{words} at {spot(e)}: {formula(e)}", ops)
        for weight, send, words in rows
    ]


def as_columns(g: np.ndarray, shape: tuple[int, ...], axes: tuple[int, ...]) -> np.ndarray:
    """A reduced array with its axes back, at length 1, then broadcast to `shape`."""
    kept = g.reshape(tuple(1 if i in axes else n for i, n in enumerate(shape)))
    return np.broadcast_to(kept, shape)
