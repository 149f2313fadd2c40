"""Whether float32 products may round their factors to TF32 on the tensor cores: one switch for all kernels.

TF32 keeps float32's range and 10 of its 23 bits of fraction. Products run several times as fast and are wrong
in the fourth digit, so nothing uses it unless it was asked for. `full()` is stronger than the switch.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

__all__ = ["LEVELS", "full", "get", "put", "tf32"]

LEVELS = ("highest", "high", "medium")  # PyTorch's names


class _Process:
    level = "highest"


class _PerThread(threading.local):
    full = 0  # how many full() blocks are open


_mine = _PerThread()


def get() -> str:
    """The level in force, for all threads."""
    return _Process.level


def put(level: str) -> None:
    """Choose the level: "highest" keeps every bit, "high" and "medium" allow TF32."""
    _Process.level = level


def tf32() -> bool:
    """True where a kernel may round float32 factors to TF32.

    >>> tf32()
    False
    """
    return _Process.level != "highest" and not _mine.full


@contextlib.contextmanager
def full() -> Iterator[None]:
    """No TF32 inside this block, whatever the switch says (this thread): for what compares digits."""
    _mine.full += 1
    try:
        yield
    finally:
        _mine.full -= 1
