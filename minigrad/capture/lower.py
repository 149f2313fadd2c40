"""Small elementwise work as bare NumPy calls that write into arrays kept from replay to replay.

On small arrays most of a call's time is Python's: arguments, a lambda, a new array for the result. So a
forward or VJP that is nothing but ufuncs is taken apart once: it runs on arrays that note which ufuncs
are called on them. What anything else happens in (a reduction, an index, a decision) is left as it is,
and a list of ufuncs is only believed after it gave the same bits on the recorded values and on others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.half import any_half

__all__: list[str] = []

SMALL = 4096  # elements: beyond, a new array costs little beside the work, and kernels may take the job


class Opaque(Exception):
    """Something else than a ufunc was done."""


class Noting(np.ndarray):
    """An array that notes the ufuncs it goes through."""

    tape: Any = None

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kw: Any) -> Any:
        tape = next((x.tape for x in inputs if isinstance(x, Noting) and x.tape is not None), None)
        if method != "__call__" or kw or ufunc.nout != 1 or tape is None:
            raise Opaque
        result = ufunc(*[x.view(np.ndarray) if isinstance(x, Noting) else x for x in inputs])
        if type(result) is not np.ndarray:
            raise Opaque
        return tape.note(ufunc, inputs, result)

    def __array_function__(self, *args: Any) -> Any:
        raise Opaque


class Tape:
    """The ufuncs called so far: (ufunc, its operands), each ("in", i), ("out", k) or a number."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, list]] = []
        self.results: list[np.ndarray] = []
        self.names: dict[int, Any] = {}
        self.kept: list[Any] = []

    def name(self, array: np.ndarray, name: tuple) -> Noting:
        noting = array.view(Noting)
        noting.tape = self
        self.names[id(noting)] = name
        self.kept.append(noting)
        return noting

    def ref(self, x: Any) -> Any:
        if isinstance(x, Noting):
            if id(x) not in self.names:
                raise Opaque
            return self.names[id(x)]
        if isinstance(x, np.ndarray):
            raise Opaque
        return x

    def note(self, ufunc: Any, inputs: tuple, result: np.ndarray) -> Noting:
        self.calls.append((ufunc, [self.ref(x) for x in inputs]))
        self.results.append(result)
        return self.name(result, ("out", len(self.calls) - 1))


def taken_apart(f: Callable, args: list[Any], expected: np.ndarray) -> tuple[list, Any] | None:
    """f(*args) as (calls, which of their results or of args it is); None if it is more than ufuncs."""
    arrays = [*[a for a in args if isinstance(a, np.ndarray)], expected]
    if any(type(a) is not np.ndarray or a.size > SMALL or a.ndim == 0 for a in arrays):
        return None
    if any_half(arrays):  # the engine works on these in float32
        return None
    with np.errstate(all="ignore"):  # the step itself has said what is to be said
        return _taken_apart(f, args, expected)


def _taken_apart(f: Callable, args: list[Any], expected: np.ndarray) -> tuple[list, Any] | None:
    tape = Tape()
    given = [tape.name(a, ("in", i)) if isinstance(a, np.ndarray) else a for i, a in enumerate(args)]
    try:
        result = tape.ref(f(*given))
    except (Opaque, TypeError, ValueError, IndexError, AttributeError):
        return None
    if not isinstance(result, tuple) or not same(replayed(tape.calls, result, args), expected):
        return None
    others = [other(a, i) for i, a in enumerate(args)]
    return (tape.calls, result) if same(replayed(tape.calls, result, others), f(*others)) else None


def replayed(calls: list, result: tuple, args: list[Any]) -> Any:
    """What a list of ufuncs makes of other arguments."""
    made: list[Any] = []
    value = lambda r: r if not isinstance(r, tuple) else args[r[1]] if r[0] == "in" else made[r[1]]
    for ufunc, refs in calls:
        made.append(ufunc(*map(value, refs)))
    return value(result)


def same(a: Any, b: Any) -> bool:
    """The same bits."""
    alike = (
        isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape
    )
    return alike and a.tobytes() == b.tobytes()


def other(a: Any, seed: int) -> Any:
    """Other values of the same kind."""
    if not isinstance(a, np.ndarray) or a.dtype.kind not in "f":
        return a
    return np.random.default_rng(seed).standard_normal(a.shape).astype(a.dtype)
