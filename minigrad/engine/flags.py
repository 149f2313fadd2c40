"""What is wrong with numbers that lie on a GPU: found there, told when the host next waits for it.

To look at labels or indices from Python, the host would have to wait for the device at every step. So a
kernel looks, and writes the first bad element into a word that belongs to the place of the check (the op,
its limits, the shape). `read()` looks at the words: at item(), .cpu(), print, synchronize(), never earlier.
Until then nothing outside an array is touched, because CuPy takes indices modulo the length.
"""

from __future__ import annotations

import math
import os
import threading
from typing import Any, NamedTuple

import numpy as np

from .kernels import kernel
from .live import capturing

__all__: list[str] = []

WHOLE = (1 << 63) - 1  # the largest there is
at_once = os.environ.get("CUDA_LAUNCH_BLOCKING") == "1"  # wait after every check, as CUDA does after kernels
PIECE = 1024  # words made at once; 0 while all is well


class Site(NamedTuple):
    """A place of a check: what to raise, and how to read the word."""

    error: type[Exception]
    text: str
    shape: tuple[int, ...]
    kind: str  # of the dtype: "i", "u", or a float


class Board:
    """The words of one device."""

    def __init__(self, device: int) -> None:
        self.device = device
        self.pieces: list[Any] = []
        self.sites: dict[Site, int] = {}
        self.asked = False  # since the words were last read
        self.clean: Any = None  # the event after which the newest words are 0
        self.streams: set[int] = set()  # those that have waited for it

    def slot(self, xp: Any, site: Site) -> tuple[Any, int]:
        """The array and the place in it where this check writes."""
        number = self.sites.setdefault(site, len(self.sites))
        stream = xp.cuda.get_current_stream()
        if number // PIECE == len(self.pieces):
            with xp.cuda.Device(self.device):
                self.pieces.append(xp.zeros(PIECE, np.uint64))
            self.clean, self.streams = stream.record(), {stream.ptr}
        elif stream.ptr not in self.streams and not capturing():  # before a capture everything is done
            stream.wait_event(self.clean)
            self.streams.add(stream.ptr)
        self.asked = True
        return self.pieces[number // PIECE], number % PIECE

    def first_fault(self) -> tuple[Site, int] | None:
        """What was found, in the order in which the checks first ran; the words are clean then."""
        used = [piece[: len(self.sites) - i * PIECE] for i, piece in enumerate(self.pieces)]
        words = np.concatenate([piece.get() for piece in used])
        self.asked = False
        bad = np.flatnonzero(words)
        if not bad.size:
            return None
        for piece in self.pieces:
            piece.fill(0)
        return list(self.sites)[bad[0]], int(~words[bad[0]])


boards: dict[int, Board] = {}
_lock = threading.RLock()


def check_range(
    xp: Any, x: Any, low: float, high: float, error: type[Exception], text: str, ignored: int | None = None
) -> None:
    """Let the device look whether all of x (on a GPU) lies in [low, high], or is `ignored`.

    `text` is what the error will say: {value} is the first that does not, {at} its place as "1, 2", {place}
    the same as a tuple.
    """
    if not x.size:
        return
    if x.dtype.kind in "iu":
        low, high = _whole(low, math.ceil), _whole(high, math.floor)
    device = x.device.id
    with _lock:
        board = boards.setdefault(device, Board(device))
        words, slot = board.slot(xp, Site(error, text, x.shape, x.dtype.kind))
        run = kernel("check_range", "cuda")
        if run is None or run(x, words, slot, low, high, ignored) is NotImplemented:
            _look(xp, x, words, slot, low, high, ignored)
    if at_once and not capturing():
        read()


def _whole(bound: float, rounded: Any) -> int:
    """A bound for whole numbers."""
    return (WHOLE if bound > 0 else -WHOLE) if math.isinf(bound) else rounded(bound)


def _look(xp: Any, x: Any, words: Any, slot: int, low: float, high: float, ignored: int | None) -> None:
    """The same in array arithmetic, as the kernel's definition."""
    bad = ~((x >= low) & (x <= high)).reshape(-1)
    if ignored is not None:
        bad &= (x != ignored).reshape(-1)
    place = bad.argmax().reshape(1)
    value = x.reshape(-1)[place]
    if x.dtype.kind in "iu":
        value = xp.clip(value.astype(np.int64), -(1 << 31), (1 << 31) - 1).astype(np.int32)
    word = place.astype(np.uint64) << np.uint64(32) | value.astype(
        np.int32 if x.dtype.kind in "iu" else np.float32
    ).view(np.uint32).astype(np.uint64)
    word = xp.where(bad.any(), ~word, xp.zeros(1, np.uint64))
    words[slot : slot + 1] = xp.maximum(words[slot : slot + 1], word)


def replayed() -> None:
    """A captured graph ran: its checks wrote again, though no Python line asked them to."""
    for board in boards.values():
        board.asked = True


def read() -> None:
    """Raise what the devices found since this was last called. The caller has waited for them."""
    for board in list(boards.values()):
        if board.asked:
            with _lock:
                fault = board.first_fault()
            if fault is not None:
                raise _error(*fault)


def forget() -> None:
    """Drop all words: for a device whose memory is gone."""
    with _lock:
        boards.clear()


def _error(site: Site, word: int) -> Exception:
    place, low = word >> 32, np.uint32(word & 0xFFFFFFFF)
    where = tuple(int(i) for i in np.unravel_index(place % max(math.prod(site.shape), 1), site.shape))
    value: Any = low.view(np.int32 if site.kind in "iu" else np.float32).item()
    if site.kind in "iu" and value in (-(1 << 31), (1 << 31) - 1):
        value = f"{value} (or beyond)"
    elif site.kind not in "iu":
        value = f"{value:g}"
    error = site.error(site.text.format(value=value, at=", ".join(map(str, where)), place=where))
    if not at_once:
        error.add_note(
            "found on the GPU while it worked, and told now, at the first read after it; "
            "with CUDA_LAUNCH_BLOCKING=1 it is told where it happens"
        )
    return error
