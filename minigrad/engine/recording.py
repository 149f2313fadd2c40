"""Whether ops record nodes: no_grad, inference_mode, enable_grad, set_grad_enabled, per thread."""

from __future__ import annotations

import contextlib
from typing import Any

from .node import mode

__all__ = ["enable_grad", "inference_mode", "is_grad_enabled", "no_grad", "set_grad_enabled"]


def enter(state: Any) -> None:
    """Record (True), do not (False), or record and watch (an object), until the matching leave()."""
    mode.__dict__.setdefault("former", []).append(mode.recording)
    mode.recording = state


def leave() -> None:
    """Back to what was before the last enter() of this thread."""
    mode.recording = mode.__dict__["former"].pop()


class recording(contextlib.ContextDecorator):
    """Set for this thread whether ops record nodes; restores what was before."""

    def __init__(self, on: bool) -> None:
        self.on = on

    def __enter__(self) -> None:
        enter(self.on and (mode.recording or True))  # a watcher that looks for anomalies stays

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
        mode.recording = bool(mode_on)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        mode.recording = self.former


def is_grad_enabled() -> bool:
    """True if ops record nodes in this thread."""
    return bool(mode.recording)
