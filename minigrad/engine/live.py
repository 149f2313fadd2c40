"""Numbers that Python makes anew at every step: a learning rate, a step count, a place in the random stream.

A step captured as a CUDA graph is replayed without Python, so such numbers must lie where its kernels can
read them. `live` is how the rest of the engine says "this is one": plainly it is a call and no more.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

__all__: list[str] = []


class _Mode(threading.local):
    keep: Callable[[Callable[[], Any]], Any] | None = None


_mode = _Mode()


def live(make: Callable[[], Any]) -> Any:
    """make(), a NumPy array of numbers; while a graph is captured, its place on the device.

    What `make` does besides (it counts a step, it moves the random stream) happens once for every
    replay. A kernel takes either: numbers go with the launch, a place is read when the kernel runs.
    """
    return make() if _mode.keep is None else _mode.keep(make)


@contextlib.contextmanager
def kept(keep: Callable[[Callable[[], Any]], Any]) -> Iterator[None]:
    """Inside, live(make) is keep(make): a place on the device, refreshed before every replay."""
    former, _mode.keep = _mode.keep, keep
    try:
        yield
    finally:
        _mode.keep = former
