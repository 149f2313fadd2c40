"""A recorded step, ready to be replayed: its calls as a flat list over one list of values."""

from __future__ import annotations

import functools
import importlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .calls import Effect, Gather, gather, nothing
from .lower import SMALL, taken_apart
from .recorder import Call, Recorder
from .structure import Slot, filler, leaves, raw

__all__: list[str] = []

LARGE = 4096  # bytes: smaller arrays may stay until the next replay writes over them


class Program:
    """The calls of one step. Arrays that stay (`fixed`) are written again by every replay."""

    def __init__(self, recorder: Recorder, result: Any) -> None:
        template = recorder.template(result)
        self.recorder, self.template = recorder, template
        self.inputs, self.outside, self.result = recorder.inputs, recorder.outside, filler(template)
        self.learns = [getattr(x, "_node", None) is not None for x, _ in self.outside]
        self.slots = len(recorder.values)  # those of the record; what bind() adds comes after
        self.wanted = [leaf.index for leaf in leaves(template) if isinstance(leaf, Slot)]
        self.bind()

    def bind(self) -> None:
        """The calls for the arrays that stand outside now."""
        recorder = self.recorder
        del recorder.values[self.slots :]
        written = {slot for call in recorder.calls for slot in call.writes}
        self.values = [None if i in written else value for i, value in enumerate(recorder.values)]
        self.bound = [raw(x) for x, _ in self.outside]
        for array, (_, slot) in zip(self.bound, self.outside, strict=True):
            self.values[slot] = array
        self.fixed = {i for i, v in enumerate(self.values) if v is not None} - set(self.inputs)
        ends = self.ends(written - set(self.wanted))
        calls: list[Callable] = []
        for i, call in enumerate(recorder.calls):
            calls += self.lowered(call) or ([] if call.run is nothing else [self.own(call.run)])
            passed = [slot for slot in ends.get(i, ()) if slot not in self.fixed]
            if passed:
                calls.append(functools.partial(clear, passed))
        self.calls = list(blocks(gathered_late(calls)))
        self.copied = [slot for slot in self.wanted if slot in self.fixed]
        self.passing = sorted((written | set(self.inputs)) - self.fixed)
        self.forget(written)

    def forget(self, written: set[int]) -> None:
        """Let go of the recorded step's large arrays: only their shapes are still asked for."""
        values = self.recorder.values
        for slot in written:
            x = values[slot]
            if isinstance(x, np.ndarray) and x.size > SMALL:
                values[slot] = np.broadcast_to(np.zeros((), x.dtype), x.shape)  # one number
        self.recorder.done()

    def __call__(self, inputs: list[Any]) -> Any:
        v = self.values
        if any(raw(x) is not array for (x, _), array in zip(self.outside, self.bound, strict=True)):
            self.bind()
            v = self.values
        for x, slot in zip(inputs, self.inputs, strict=True):
            v[slot] = raw(x)
        try:
            for run in self.calls:
                run(v)
            return self.result(self.owned(v) if self.copied else v)
        finally:
            for slot in self.passing:
                v[slot] = None

    def fits(self) -> bool:
        """Whether what learned still learns, and nothing else does."""
        return all(
            (getattr(x, "_node", None) is not None) == b for (x, _), b in zip(self.outside, self.learns)
        )

    def owned(self, v: list) -> list:
        """The values, those to be returned as copies where the next replay would write over them."""
        v = list(v)
        for slot in self.copied:
            v[slot] = v[slot].copy()
        return v

    def own(self, run: Callable) -> Callable:
        """A call that brings a gradient to .grad: late, and as a copy, if it is in an array that stays."""
        if isinstance(run, Gather) and run.args[1] in self.fixed:
            return Late(gather, *run.args[:-1], True)
        return run

    def lowered(self, call: Call) -> list[Callable]:
        """A call as ufuncs that write into arrays that stay; empty if it cannot be."""
        values, found = self.recorder.values, []
        for reads, f, out in call.pure or ():
            apart = taken_apart(f, [values[slot] for slot in reads], values[out])
            if apart is None or (apart[1][0] == "in" and reads[apart[1][1]] not in self.fixed):
                return []
            found.append((reads, out, *apart))
        return [run for one in found for run in self.written(*one)]

    def written(self, reads: list[int], out: int, calls: list, result: tuple) -> Iterator[Callable]:
        """The ufuncs of one result, their arrays found or made."""
        made: list[int] = []
        place = lambda ref: reads[ref[1]] if ref[0] == "in" else made[ref[1]]
        for ufunc, refs in calls:
            operands = [place(r) if isinstance(r, tuple) else self.constant(r) for r in refs]
            made.append(self.constant(ufunc(*[self.recorder.values[slot] for slot in operands])))
            yield self.ufunc(ufunc, operands, made[-1])
        last = place(result)
        self.values[out] = self.values[last]
        self.fixed.add(out)

    def constant(self, value: Any) -> int:
        """A slot whose value stays."""
        self.recorder.values.append(value)
        self.values.append(value)
        self.fixed.add(len(self.values) - 1)
        return len(self.values) - 1

    def ufunc(self, ufunc: Any, operands: list[int], out: int) -> Callable:
        """ufunc(*operands, out): with all arrays at hand if they stay, else looked up at every replay."""
        buffer = self.values[out]
        if all(slot in self.fixed for slot in operands):
            return Bound(ufunc, *[self.values[slot] for slot in operands], out=buffer)

        def run(v: list) -> None:
            ufunc(*[v[slot] for slot in operands], out=buffer)

        return run

    def ends(self, passing: set[int]) -> dict[int, list[int]]:
        """After which call no other reads a large array: {number of the call: slots}."""
        recorder, found = self.recorder, {}
        last = {slot: i for i, call in enumerate(recorder.calls) for slot in (*call.reads, *call.writes)}
        for slot, i in last.items():
            value = recorder.values[slot]
            if slot in passing and (
                value is None or (isinstance(value, np.ndarray) and value.nbytes >= LARGE)
            ):
                found.setdefault(i, []).append(slot)
        return found


class Bound(functools.partial):
    """A call whose arrays are all known."""


class Late(functools.partial):
    """A call that only an effect has to wait for."""


def gathered_late(calls: list[Callable]) -> Iterator[Callable]:
    """The calls, those that bring gradients put off to the next effect: so the others form long runs."""
    late: list[Late] = []
    for call in calls:
        if isinstance(call, Late):
            late.append(call)
            continue
        if isinstance(call, Effect):
            yield from late
            late = []
        yield call
    yield from late


def blocks(calls: list[Callable]) -> Iterator[Callable]:
    """The calls with every run of bound ones as one."""
    for kind, group in itertools.groupby(calls, lambda call: isinstance(call, Bound)):
        run = list(group)
        yield from [functools.partial(in_turn, joined(run))] if kind else run


def joined(calls: list[Bound]) -> list[Callable]:
    """Bound calls, those that the compiled table of ufuncs covers in as few calls as possible."""
    table = compiled_table()
    if table is None:
        return calls
    arrays = [[as_array(a, c.args) for a in c.args] for c in calls]
    outs = [c.keywords["out"] for c in calls]
    rows = [table.instruction(c.func.__name__, *given) for c, *given in zip(calls, arrays, outs, strict=True)]
    done: list[Callable] = []
    for covered, group in itertools.groupby(zip(calls, rows, strict=True), lambda pair: pair[1] is not None):
        pairs = list(group)
        if covered and len(pairs) > 1:
            instructions = np.array([row for _, row in pairs], np.int64)
            done.append(Table(table.run, instructions, [arrays, outs]))
        else:
            done += [call for call, _ in pairs]
    return done


def as_array(x: Any, beside: tuple) -> Any:
    """A number as an array of the dtype it takes beside arrays: numbers are weak."""
    return (
        x
        if isinstance(x, np.ndarray)
        else np.asarray(x, next(a.dtype for a in beside if hasattr(a, "dtype")))
    )


@functools.cache
def compiled_table() -> Any:
    """The kernel that carries out many small ufuncs in one call; None without Numba."""
    try:
        return importlib.import_module("minigrad_kernels.cpu.ufuncs")
    except ImportError:
        return None


class Table:
    """One call of the compiled table, with the arrays it points to kept alive."""

    def __init__(self, run: Callable, instructions: Any, kept: list) -> None:
        self.run, self.instructions, self.kept = run, instructions, kept

    def __call__(self) -> None:
        self.run(self.instructions)


def in_turn(calls: list[Bound], v: list) -> None:
    for call in calls:
        call()


def clear(slots: list[int], v: list) -> None:
    for slot in slots:
        v[slot] = None
