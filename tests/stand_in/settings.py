"""What a test may change about the stand-in, and the account of what the program did."""

import collections
import os
import sys
from typing import NamedTuple

__all__ = ["Entry", "Ledger", "ledger", "settings"]

HERE = os.path.dirname(__file__)


class Settings:
    order = "forward"  # or "reverse": threads, warps and blocks run last to first; no result may change
    checked = False  # look at every access of a kernel: outside of arrays, races, shared memory not yet written
    devices = 1  # how many GPUs there are
    memory = 16 << 30  # bytes of each


class Entry(NamedTuple):
    kind: str  # h2d, d2h, alloc, kernel, launch, graph, sync
    what: str
    size: int
    line: str


class Ledger:
    """Transfers, allocations, kernels and waits, each with the line of the program that caused it.

    h2d, d2h   a copy between host and device; d2h waits for the device too
    sync       any other wait for the device
    alloc      memory taken from a pool
    kernel     work of CuPy's own on the device (a ufunc, a fill, a copy on the device)
    launch     a kernel of a RawModule
    graph      a recorded graph, launched
    """

    def __init__(self):
        self.entries = collections.deque(maxlen=200_000)

    def add(self, kind, what, size=0):
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename.startswith(HERE):
            frame = frame.f_back
        self.entries.append((kind, what, size, frame.f_code.co_filename, frame.f_lineno))

    def clear(self):
        self.entries.clear()

    def all(self, *kinds):
        """The entries of these kinds (of every kind if none is named), in order."""
        return [
            Entry(kind, what, size, f"{file}:{line}")
            for kind, what, size, file, line in self.entries
            if not kinds or kind in kinds
        ]

    def count(self, *kinds):
        return len(self.all(*kinds))

    def transfers(self):
        """What goes between host and device or waits: a training step on the device should have none."""
        return self.all("h2d", "d2h", "sync")


def older(version):
    """Whether a test has made this an older CuPy: monkeypatch.setattr(stand_in.cupy, "__version__", "13.6.0")."""
    return int(sys.modules["cupy"].__version__.partition(".")[0]) < version if "cupy" in sys.modules else False


settings = Settings()
ledger = Ledger()
