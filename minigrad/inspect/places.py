"""Where in the reader's program each op ran: module, line of source, and the names bound there.

Nothing is parsed: names are read from the reader's own variables while fn runs.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import CodeType, FrameType
from typing import Any, NamedTuple

from ..engine.tensor import Tensor
from ..nn.module import Module

__all__ = ["Place", "Places"]

OURS = __name__.partition(".")[0]
GENERIC = {
    "a",
    "b",
    "both",
    "images",
    "input",
    "out",
    "result",
    "target",
    "x",
    "y",
}  # the library's, for anything
LIBRARY = 10**6  # deeper than any function of the reader's: less telling names
INSPECT = OURS + ".inspect"
TRACE = INSPECT + ".trace"
WALKS = OURS + ".ops.recurrent"  # where the library itself goes through time
READERS = ("models", "recipes")  # written as a reader would: their lines are shown


@dataclass(frozen=True)
class Place:
    """Where one op ran."""

    module: str
    file: str
    line: int
    origin: tuple  # the same for two ops made by one spot of one loop
    call: int = 0  # which call of a module of the library's; 0 outside of those, and on a walk over time

    @property
    def code(self) -> str:
        return linecache.getline(self.file, self.line).strip()


class Binding(NamedTuple):
    """A variable of the reader's held a tensor."""

    name: str
    what: Any  # the tensor's node; of a constant, the identity of its array
    depth: int  # fn itself first, then what it calls, the library last
    handed_on: bool  # an argument as it came in
    by_library: bool  # not in the reader's own words


class Seen(NamedTuple):
    """A frame on the way from fn to an op: how near the reader it stands, and where in the chain."""

    frame: FrameType
    order: int  # of its first op among all frames
    depth: int  # 0 of the reader's own
    module: str
    place: int


class Places:
    """Follows the program: which module runs, which line, which names hold what.

    The reader's frames are kept while fn runs, and let go of in close(): their variables tell the names.
    """

    def __init__(self, fn: Callable, inputs: list[Any]) -> None:
        self.modules = modules_of(fn, inputs)
        self.classes = {path: type(module).__name__ for path, module in self.modules.items()}
        self.parameters = {p.node: name for name, p in _parameters(self.modules) if p.node is not None}
        self.bindings: list[Binding] = []
        self._paths = {id(module): path for path, module in self.modules.items()}
        self._stack = [("", 0)]  # path and call of the modules that run
        self._calls = 0
        self._frames: dict[int, Seen] = {}
        self._chain: list[FrameType] = []
        self._bound: dict[tuple, Any] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks on the modules tell which one runs."""
        handles = []
        for path, module in self.modules.items():
            handles.append(module.register_forward_pre_hook(self._enter(path, module), prepend=True))
            handles.append(module.register_forward_hook(self._leave, always_call=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, path: str, module: Module) -> Callable:
        library = _owner(type(module).__module__) == "library"

        def enter(*_: Any) -> None:
            self._calls += 1
            self._stack.append((path, self._calls if library else 0))

        return enter

    def _leave(self, *_: Any) -> None:
        self._stack.pop()

    def here(self) -> Place:
        """The place of the op that was just made."""
        inner = _outside_engine(sys._getframe(2))
        known = self._climb(inner)
        for frame in self._chain[max(known - 1, 0) :]:  # the others have not moved since
            self._read_names(frame)
        reader = next((f for f in reversed(self._chain) if not self._frames[id(f)].depth), None)
        (module, call), shown = self._stack[-1], reader or inner
        if reader is None and inner.f_globals["__name__"].startswith(INSPECT):  # a scalar of the microscope
            return Place(module, "", 0, (object(),))
        if call and any(frame.f_globals.get("__name__") == WALKS for frame in self._chain):
            call = 0
        origin = (module, shown.f_code, shown.f_lasti, inner.f_code, inner.f_lasti)
        return Place(module, shown.f_code.co_filename, shown.f_lineno, origin, call)

    def _climb(self, frame: FrameType | None) -> int:
        """Bring the chain of frames up to date, outermost first; how many of it stood there before."""
        fresh = []
        while frame is not None:
            seen = self._frames.get(id(frame))
            if seen and seen.place < len(self._chain) and self._chain[seen.place] is frame:
                break  # all that is above it is as it was
            whose = _whose(frame)
            if whose == "trace":
                break
            if whose != "inspect":
                fresh.append(frame)
            frame = frame.f_back
        else:
            seen = None
        known = seen.place + 1 if frame is not None and seen else 0
        del self._chain[known:]
        for frame in reversed(fresh):
            self._frames[id(frame)] = Seen(frame, len(self._frames), *self._standing(frame), len(self._chain))
            self._chain.append(frame)
        return known

    def close(self) -> None:
        """fn has returned: what its variables held last; then let the frames go."""
        for frame, *_ in self._frames.values():
            self._read_names(frame)
        self._frames.clear()
        self._chain = []

    def _standing(self, frame: FrameType) -> tuple[int, str]:
        """How near the reader a function stands (0 is nearest), and the module whose method it is."""
        library = _whose(frame) == "library"
        path = self._paths.get(id(frame.f_locals.get("self")), self._stack[-1][0] if library else "")
        return (LIBRARY if library else 0), path

    def _read_names(self, frame: FrameType) -> None:
        """Variables that hold another tensor than when last looked at."""
        names, (_, order, depth, module, _) = frame.f_locals, self._frames[id(frame)]
        code = frame.f_code
        arguments = code.co_varnames[: code.co_argcount] + (code.co_freevars if depth else ())
        if names is frame.f_globals:  # a notebook's: only those that this code mentions
            names = _mentioned(frame)
        elif not depth:
            names = {**names, **{name: x for name, x in _mentioned(frame).items() if name not in names}}
        for name, value in names.items():
            if not isinstance(value, Tensor) or (depth and name in GENERIC and value._node is not None):
                continue
            what = value._node if value._node is not None else id(value._data)
            key = (id(frame), name)
            if self._bound.get(key) != what:
                came_in = order and key not in self._bound and name in arguments
                self._bound[key] = what
                path = f"{module}.{name}" if module else name
                self.bindings.append(Binding(path, what, depth + order, bool(came_in), bool(depth)))


def _mentioned(frame: FrameType) -> dict[str, Any]:
    """The globals that this code mentions."""
    return {name: frame.f_globals[name] for name in frame.f_code.co_names if name in frame.f_globals}


def _outside_engine(frame: FrameType) -> FrameType:
    """The innermost frame that is not the engine's: an op's caller."""
    engine = OURS + ".engine"
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(engine):
        frame = frame.f_back
    return frame


def _whose(frame: FrameType) -> str:
    """'reader', 'library', 'inspect', or 'trace' where trace() itself is reached."""
    return _owner(frame.f_globals.get("__name__", ""))


def _owner(name: str) -> str:
    """The same, of a file by its name as a module."""
    package, _, rest = name.partition(".")
    if name == TRACE:
        return "trace"
    if name.startswith(INSPECT):
        return "inspect"
    return "reader" if package != OURS or rest.partition(".")[0] in READERS else "library"


# ---------------------------------------------------------------- modules


def modules_of(fn: Callable, inputs: list[Any]) -> dict[str, Module]:
    """Every module that fn can reach, by its dotted path; a single model's own name is left out."""
    roots: dict[str, Module] = {}
    for name, thing in [*_reachable(fn), *((f"input{i}", x) for i, x in enumerate(inputs))]:
        for path, module in _modules_in(name, thing):
            if module not in roots.values():
                roots[path] = module
    inside = {id(m) for root in roots.values() for m in root.modules() if m is not root}
    tops = {name: m for name, m in roots.items() if id(m) not in inside}
    found: dict[str, Module] = {}
    for name, root in tops.items():
        for path, module in root.named_modules():
            short = (
                path
                if len(tops) == 1 and len(list(root.children()))
                else ".".join(filter(None, (name, path)))
            )
            if module not in found.values():
                found[short] = module
    return found


def _reachable(fn: Any) -> Iterator[tuple[str, Any]]:
    """What a function can see by name: itself, its closure, its object, the globals that it mentions."""
    if isinstance(fn, partial):
        yield from _reachable(fn.func)
        yield from _numbered(fn.args)
        yield from fn.keywords.items()
    elif isinstance(fn, Module):
        yield "model", fn
    elif hasattr(fn, "__self__") and hasattr(fn, "__func__"):
        yield "self", fn.__self__
        yield from getattr(fn.__self__, "__dict__", {}).items()
        yield from _reachable(fn.__func__)
    elif hasattr(fn, "__code__"):
        for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or ()):
            try:
                yield name, cell.cell_contents
            except ValueError:  # not bound yet
                continue
        for name in _names_in(fn.__code__):
            if name in fn.__globals__:
                yield name, fn.__globals__[name]
        for name, default in zip(
            reversed(fn.__code__.co_varnames[: fn.__code__.co_argcount]), reversed(fn.__defaults__ or ())
        ):
            yield name, default


def _numbered(things: Any) -> Iterator[tuple[str, Any]]:
    return ((f"argument{i}", thing) for i, thing in enumerate(things))


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _modules_in(name: str, thing: Any, depth: int = 2) -> Iterator[tuple[str, Module]]:
    if isinstance(thing, Module):
        yield name, thing
    elif callable(thing) and hasattr(thing, "__code__") and depth == 2 and thing.__closure__:
        for inner, value in _reachable(thing):
            yield from _modules_in(inner, value, 1)
    elif isinstance(thing, list | tuple | dict) and depth and len(thing) <= 1000:
        items = thing.items() if isinstance(thing, dict) else enumerate(thing)
        for key, value in items:
            yield from _modules_in(f"{name}.{key}", value, depth - 1)


def _parameters(modules: dict[str, Module]) -> Iterator[tuple[str, Tensor]]:
    for path, module in modules.items():
        for name, p in module.named_parameters(recurse=False):
            yield ".".join(filter(None, (path, name))), p
