"""Whether ops record nodes: no_grad, inference_mode, enable_grad, set_grad_enabled, per thread."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, TypeVar

from .node import mode

F = TypeVar("F", bound=Callable)

__all__ = ["enable_grad", "inference_mode", "is_grad_enabled", "no_grad", "set_grad_enabled"]


def enter(state: Any) -> None:
    """Record (True), do not (False), or record and watch (an object), until the matching leave()."""
    mode.__dict__.setdefault("former", []).append(mode.recording)
    mode.recording = state


def leave() -> None:
    """Back to what was before the last enter() of this thread."""
    mode.recording = mode.__dict__["former"].pop()


def switched(now: Any, on: bool) -> Any:
    """What the switch holds when turned on or off: a watcher stays on, some (`quiet`) while it is off."""
    return (getattr(now, "loud", None) or now or True) if on else getattr(now, "quiet", False)


class recording(contextlib.ContextDecorator):
    """Set for this thread whether ops record nodes; restores what was before."""

    def __init__(self, on: bool) -> None:
        self.on = on

    def __enter__(self) -> None:
        enter(switched(mode.recording, self.on))

    def __exit__(self, *exc: object) -> None:
        leave()


class no_grad(recording):
    """`with no_grad():` (or `@no_grad()`): ops record nothing, in this thread."""

    def __init__(self) -> None:
        super().__init__(False)


class inference_mode(recording):
    """no_grad() by PyTorch's other name; inference_mode(False) records."""

    def __init__(self, mode: bool = True) -> None:
        super().__init__(not mode)


class enable_grad(recording):
    """`with enable_grad():` records again inside no_grad()."""

    def __init__(self) -> None:
        super().__init__(True)


class set_grad_enabled:
    """`set_grad_enabled(flag)` from now on; as a context manager, until its end."""

    def __init__(self, mode_on: bool) -> None:
        self.former = mode.recording
        mode.recording = switched(mode.recording, bool(mode_on))

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        mode.recording = self.former


def is_grad_enabled() -> bool:
    """True if ops record nodes in this thread."""
    return bool(mode.recording)


# ---------------------------------------------------------------- what a captured step has to know

version = [0]  # changes with whatever makes a recorded step out of date: train(), eval()


def effect(f: F) -> F:
    """Mark a function that does more than compute: it draws, writes into arrays, makes or checks them.

    A captured step calls it again at every replay, with the same objects; else it is f itself.
    """

    @functools.wraps(f)
    def call(*args: Any, **kw: Any) -> Any:
        now = mode.recording
        if now is True or now is False or not hasattr(now, "effect"):
            return f(*args, **kw)
        return now.effect(f, args, kw)

    return call  # type: ignore[return-value]


def host_effect(f: F) -> F:
    """An effect in Python's own objects alone, such as a schedule's next rate: no array is touched.

    A step captured as a graph of launches calls it before each of them.
    """
    f.host = True  # type: ignore[attr-defined]
    return effect(f)


def reading(what: str) -> None:
    """Announce that Python is about to read a value out of a tensor: a step being captured refuses it."""
    now = mode.recording
    if now is not True and now is not False and hasattr(now, "refuse"):
        now.refuse(what)
