"""What Python makes anew before every replay of a graph: one small array, sent over in one copy."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

__all__: list[str] = []

ROOM = 1 << 20  # bytes: numbers of 100,000 parameters
LINE = 64  # bytes that a place is a multiple of
RING = 2  # pinned buffers: one is written while the copy of the other may still be under way


class Control:
    """Numbers at known places on the device, and the calls that make them."""

    def __init__(self, lib: Any) -> None:
        self.lib, self.calls, self.used = lib, [], 0
        self.there = lib.empty(ROOM, np.uint8)
        self.pinned = [lib.cuda.alloc_pinned_memory(ROOM) for _ in range(RING)]
        self.here = [
            np.frombuffer((ctypes.c_ubyte * ROOM).from_address(m.ptr), np.uint8) for m in self.pinned
        ]
        self.sent = [lib.cuda.Event() for _ in range(RING)]
        self.turn = 0

    def keep(self, make: Callable[[], Any], shape: tuple, dtype: Any) -> Any:
        """A place for what make() gives, filled before every replay."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        start, self.used = self.used, self.used + -(-size // LINE) * LINE
        if self.used > ROOM:
            raise ValueError(
                f"capture: the step's rates and counts need more than {ROOM} bytes; capture less of it"
            )

        def fill(buffer: np.ndarray) -> None:
            buffer[start : start + size].view(dtype)[...] = np.reshape(make(), -1)

        self.calls.append(fill)
        return self.there[start : start + size].view(dtype).reshape(shape)

    def then(self, call: Callable[[], Any]) -> None:
        """A call that comes between these, and has no place."""
        self.calls.append(lambda buffer: call())

    def refresh(self) -> None:
        """Call all in their order, and send what they gave."""
        buffer, sent = self.here[self.turn], self.sent[self.turn]
        self.turn = (self.turn + 1) % RING
        sent.synchronize()  # the copy from this buffer, two replays ago
        for fill in self.calls:
            fill(buffer)
        if self.used:
            stream = self.lib.cuda.get_current_stream()
            self.there[: self.used].set(buffer[: self.used], stream=stream)
            sent.record(stream)
