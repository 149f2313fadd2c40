"""The ledger: every copy between host and device, wait, launch and allocation, with the line that caused it.

    with mg.cuda.ledger() as seen:
        train_step(x, y)
    print(seen)

Where the events come from are `sources`: NVIDIA's CUPTI on a GPU, which misses nothing; without it what
Python can see, and the table says that this is not all.
"""

from __future__ import annotations

import collections
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from ..engine import callers, gpu
from ..engine.gpu import amount
from . import cupti

__all__ = ["Event", "Ledger", "ledger", "sources"]

KINDS = {
    "h2d": "host to device", "d2h": "device to host", "wait": "wait", "launch": "launch",
    "alloc": "allocation", "d2d": "copy on the device",
}  # fmt: skip


class Event(NamedTuple):
    """One thing that happened: its kind (see KINDS), what did it, bytes, the user's line, minigrad's op."""

    kind: str
    what: str
    size: int
    line: str
    op: str


Report = Callable[[str, str, int], None]


class Source(Protocol):
    """Where events come from: all of these kinds, or (`partial`) not all of them, for the reason given."""

    sees: Iterable[str]
    partial: str

    def start(self, report: Report) -> None:
        """Report every event from now on, on the stack of the line that caused it."""

    def stop(self) -> None:
        """No longer."""


class Ledger:
    """`with mg.cuda.ledger() as seen:` what happens inside; printed, a table.

    >>> import minigrad as mg
    >>> with mg.cuda.ledger() as seen:
    ...     _ = mg.ones(3) * 2.0
    >>> seen.transfers()
    []
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.notes: list[str] = []  # what is not seen
        self._open: list[Source] = []
        self._mine = threading.local()

    def __enter__(self) -> Ledger:
        seen: set[str] = set()
        for make in sources:
            source = make()
            if isinstance(source, str):  # why there is none
                self.notes.append(source)
                continue
            kinds = set(source.sees) - seen
            if kinds:
                source.start(lambda kind, what, size=0, kinds=kinds: self._note(kinds, kind, what, size))
                self._open.append(source)
                self.notes += [source.partial] * bool(source.partial)
                seen |= kinds
        return self

    def __exit__(self, *error: object) -> None:
        while self._open:
            self._open.pop().stop()

    def _note(self, kinds: set[str], kind: str, what: str, size: int) -> None:
        if kind not in kinds or getattr(self._mine, "busy", False):
            return
        self._mine.busy = True  # what looking at the stack does is not the program's doing
        try:
            frame = sys._getframe(1)
            op = callers.op_running(frame)
            self.events.append(Event(kind, what, size, callers.user_line(frame), op))
        finally:
            self._mine.busy = False

    # -- questions

    def all(self, *kinds: str) -> list[Event]:
        """The events of these kinds (of all if none is named), in order. ValueError for an unknown kind."""
        unknown = set(kinds) - set(KINDS)
        if unknown:
            raise ValueError(f"ledger: expected some of {', '.join(KINDS)}, got {sorted(unknown)[0]!r}")
        return [e for e in self.events if not kinds or e.kind in kinds]

    def count(self, *kinds: str) -> int:
        """How many there are."""
        return len(self.all(*kinds))

    def transfers(self, *kinds: str) -> list[Event]:
        """What crosses between host and device or waits: none of it belongs into a training step."""
        return self.all(*kinds or ("h2d", "d2h", "wait"))

    def table(self) -> str:
        """Events of one kind, op and line together, the costliest kinds first."""
        rows = collections.Counter((e.kind, e.op or e.what, _short(e.line)) for e in self.events)
        sizes: collections.Counter = collections.Counter()
        for e in self.events:
            sizes[e.kind, e.op or e.what, _short(e.line)] += e.size
        order = sorted(rows, key=lambda row: (list(KINDS).index(row[0]), -rows[row]))
        told = [
            (KINDS[row[0]], str(rows[row]), amount(sizes[row]) if sizes[row] else "", *row[1:])
            for row in order
        ]
        lines = [("kind", "count", "bytes", "op", "line"), *told]
        widths = [max(len(line[i]) for line in lines) for i in range(4)]
        text = [
            "  ".join([*(c.ljust(w) for c, w in zip(line, widths, strict=False)), line[4]]) for line in lines
        ]
        return "\n".join([*text, *self.notes])

    __str__ = __repr__ = table


def ledger() -> Ledger:
    """A new ledger, to be entered: `with mg.cuda.ledger() as seen:`."""
    return Ledger()


def _short(line: str) -> str:
    """The file from the working directory, if it is there."""
    here = os.getcwd() + os.sep
    return line.removeprefix(here)


# ---------------------------------------------------------------- sources


class Python:
    """What can be seen from here: all allocations of this thread, and minigrad's own launches and copies."""

    sees = KINDS
    partial = "launches, copies and waits are those of minigrad's own code: CuPy's are not seen without CUPTI"

    def start(self, report: Report) -> None:
        library = gpu.load_cupy()
        self.hook = _hook(library, report)
        self.hook.__enter__()
        self.former, gpu.watching[:] = list(gpu.watching), [*gpu.watching, report]
        from minigrad_kernels.cuda import launch

        self.launcher, self.find = launch, launch._loaded

        def found(library: Any, device: int, file: str, expression: str) -> Any:
            run = self.find(library, device, file, expression)

            def reported(*args: Any) -> None:
                report("launch", expression, 0)
                run(*args)

            return reported

        launch._loaded = found  # type: ignore[assignment]

    def stop(self) -> None:
        self.hook.__exit__(None, None, None)
        gpu.watching[:] = self.former
        self.launcher._loaded = self.find


class Cupti:
    """Copies, waits and launches by CUPTI, of all threads; allocations of this thread by CuPy's hook."""

    sees, partial = KINDS, ""

    def __init__(self) -> None:
        self.report: Report = lambda kind, what, size: None
        self.subscription = cupti.Subscription(lambda call: _told(self.report, call))  # or RuntimeError

    def start(self, report: Report) -> None:
        self.report, self.hook = report, _hook(gpu.load_cupy(), report)
        self.hook.__enter__()

    def stop(self) -> None:
        self.subscription.end()
        self.hook.__exit__(None, None, None)


def _told(report: Report, call: cupti.Call) -> None:
    if call.kind in KINDS:
        report(call.kind, call.name, call.size)


def _hook(library: Any, report: Report) -> Any:
    """A CuPy memory hook that reports every allocation."""

    class Hook(library.cuda.MemoryHook):
        name = f"minigrad ledger {id(report)}"

        def malloc_postprocess(self, **given: Any) -> None:
            if given["mem_ptr"]:  # 0: there was no room
                report("alloc", "malloc", given["size"])

    return Hook()


def best() -> Source | str:
    """The source that sees most here; a string says why there is none."""
    if not gpu.cuda_is_available():
        return "there is no GPU here"
    reason = cupti.missing()
    if reason is None:
        try:
            return Cupti()
        except RuntimeError as error:  # another profiler, for instance
            reason = str(error)
    source = Python()
    source.partial = f"{Python.partial} ({reason})"
    return source


# Asked in this order; the first that sees a kind reports it.
sources: list[Callable[[], Source | str]] = [best]
