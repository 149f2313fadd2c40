"""What each value is called: the reader's own words where there are any.

Parameters have their path, inputs the argument's name, results the variable they were bound to. `h@3` is
what one line of a loop made the third time; `x.2` the second value that a variable held.
"""

from __future__ import annotations

import inspect
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from ..engine.tensor import Tensor
from .record import Value
from .recorder import Recorder

__all__ = ["give_names", "input_names"]

SHORT = 24  # characters of a formula that may serve as a name


def input_names(fn: Callable, inputs: list[Any]) -> dict[int, str]:
    """The arguments' names, by the identity of the input's array."""
    try:
        parameters = list(inspect.signature(fn.forward if hasattr(fn, "forward") else fn).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = []
    for p in parameters:
        names += (
            [p.name] if p.kind is not p.VAR_POSITIONAL else [f"{p.name}[{i}]" for i in range(len(inputs))]
        )
    names += [f"input{i}" for i in range(len(names), len(inputs))]
    return {id(x._data): name for x, name in zip(inputs, names) if isinstance(x, Tensor)}


def give_names(
    values: list[Value],
    output: Value,
    recorder: Recorder,
    inputs: dict[Any, str],
    result: str | None,
) -> dict[str, list[Value]]:
    """Name every value, in place; return the sequences that loops made, by name."""
    places = recorder.places
    names = {recorder.by_node[n]: name for n, name in places.parameters.items() if n in recorder.by_node}
    names |= {recorder.find(what): name for what, name in inputs.items() if recorder.find(what)}
    if result:
        names[output] = result
    for value, name in _bound(recorder):
        names.setdefault(value, name)
    names.setdefault(output, "loss" if output.data.size == 1 else "output")
    sequences = _by_variable(values, names) | _by_spot(values, names)
    for sequence in sequences.values():
        begins_before = sequence[0].made_by is None and sequence[-1].made_by is not None
        for t, value in enumerate(sequence, 0 if begins_before else 1):
            value.time = t
            names[value] += f"@{t}"
    taken: set[str] = set()
    for value in values:
        if value.made_by is None and value.data.ndim == 0 and value not in names:
            value.name = f"{value.data.item():.6g}"  # a number is its own name, however often it stands there
        else:
            value.name = _free(names.get(value) or _own_words(value), taken)
    return sequences


def _by_variable(values: list[Value], names: dict[Value, str]) -> dict[str, list[Value]]:
    """What one variable held while a loop ran: made at one spot, or constants; and what it held before."""
    varies = lambda value: value.made_by is not None or value.kind == "constant"
    held: dict[str, list[Value]] = defaultdict(list)
    for value in values:
        if value in names:
            held[names[value]].append(value)
    found = {}
    for name, group in held.items():
        spots = Counter(_spot(value) for value in group if varies(value))
        spot, most = spots.most_common(1)[0] if spots else (None, 0)
        loop = [value for value in group if varies(value) and _spot(value) == spot]
        if most > 1 and not _within_one_call(loop):
            first = group.index(loop[0])
            before = group[first - 1 : first] if spot and first else []
            start = [value for value in before if value.made_by is None]
            found[name] = start + loop
    return found


def _spot(value: Value) -> tuple | None:
    """The spot of the program that made it; None for what was there."""
    return value.made_by.place.origin if value.made_by else None


def _within_one_call(loop: list[Value]) -> bool:
    """A loop inside a module of the library's, over the layers of an LSTM for one: not over time."""
    calls = {value.made_by.place.call if value.made_by else 0 for value in loop}
    return len(calls) == 1 and calls != {0}


def _by_spot(values: list[Value], names: dict[Value, str]) -> dict[str, list[Value]]:
    """What one spot of a loop made, where no variable held it: called by its op."""
    spots: dict[tuple, list[Value]] = defaultdict(list)
    for value in values:
        if (
            value not in names
            and value.made_by
            and not value.made_by.replay
            and value.made_by.op != "take_index"
        ):
            spots[_spot(value)].append(value)
    found, taken = {}, set(names.values())
    for group in spots.values():
        base = _free(_op_name(group[0]), taken)
        for value in group:
            names[value] = base
        if len(group) > 1 and not _within_one_call(group):
            found[base] = group
    return found


def _bound(recorder: Recorder) -> Iterator[tuple[Value, str]]:
    """The variables that held a value: the outermost function's first, then in the order they did.

    An argument as it came in tells least. What the library calls a constant is no name where the reader
    means something else by it: the `b` of matmul(a, b) is not the reader's bias b.
    """
    bindings = sorted(recorder.places.bindings, key=lambda b: (b.handed_on, b.depth))
    readers = {b.name for b in bindings if not b.by_library}
    for b in bindings:
        value = recorder.find(b.what)
        if value is None or (b.handed_on and value.made_by):
            continue
        if not (b.by_library and value.kind == "constant" and b.name in readers):
            yield value, b.name


def _op_name(value: Value) -> str:
    return f"{value.module}.{value.made_by.op}" if value.module else value.made_by.op


def _own_words(value: Value) -> str:
    """For what has no name yet: `w[0]` for a piece, the op's name, or its shape for a constant."""
    f = value.made_by
    if f is None:
        shape = "×".join(map(str, value.shape))
        return f"{value.view_of.name} as {shape}" if value.view_of else f"constant({shape})"
    if f.op == "take_index" and len(f.formula) < SHORT:  # its input is older, so it has its name
        return f.formula.split(" = ")[1]
    return _op_name(value)


def _free(name: str, taken: set[str]) -> str:
    """The name, or the first of name.2, name.3 ... that is free."""
    found, k = name, 1
    while found in taken:
        k += 1
        found = f"{name}.{k}"
    taken.add(found)
    return found
