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


Keep = Callable[[Callable[[], Any], tuple, Any], Any]


class _Mode(threading.local):
    keep: Keep | None = None


_mode = _Mode()


def live(make: Callable[[], Any], shape: tuple, dtype: Any) -> Any:
    """make(), a NumPy array of numbers; while a graph is captured, a device array to be filled with it.

    A capture does not call `make`: what it does besides (it counts a step, it moves the random stream)
    happens once for every replay. A kernel takes either: numbers go with the launch, an array is read when
    the kernel runs.
    """
    return make() if _mode.keep is None else _mode.keep(make, shape, dtype)


def capturing() -> bool:
    """Whether device work is being captured rather than done: then nothing may be read, nothing counted."""
    return _mode.keep is not None


@contextlib.contextmanager
def kept(keep: Keep) -> Iterator[None]:
    """Inside, live(make, ...) is keep(make, ...): an array on the device, filled before every replay."""
    former, _mode.keep = _mode.keep, keep
    try:
        yield
    finally:
        _mode.keep = former
