"""Streams and events: PyTorch's names over CuPy's.

Work of one stream is done in order, of two streams at once where the device has room. An event marks a place
in a stream: another stream can wait for it without the host, and two of them tell the time between.
"""

from __future__ import annotations

from typing import Any

from ..engine import flags, gpu
from .devices import number_of

__all__ = ["Event", "Stream", "StreamContext", "current_stream", "default_stream", "stream"]


class Stream:
    """A queue of work on a GPU, beside the default one; `with mg.cuda.stream(s):` work goes there."""

    def __init__(self, device: Any = None, priority: int = 0) -> None:
        library, self.device_index = gpu.load_cupy(), number_of(device)
        with library.cuda.Device(self.device_index):
            # CuPy 13 knows no priorities: it is a wish, as in CUDA.
            given = {"priority": priority} if priority and gpu.version(library) >= 14 else {}
            self.raw = library.cuda.Stream(non_blocking=True, **given)

    @classmethod
    def around(cls, raw: Any, device: int) -> Stream:
        """CuPy's stream by our name."""
        made = cls.__new__(cls)
        made.raw, made.device_index = raw, device
        return made

    @property
    def cuda_stream(self) -> int:
        """CUDA's handle."""
        return self.raw.ptr

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.raw.ptr == other.raw.ptr

    def __hash__(self) -> int:
        return hash(self.raw.ptr)

    def __repr__(self) -> str:
        return f"<minigrad.cuda.Stream device=cuda:{self.device_index} cuda_stream={self.raw.ptr:#x}>"

    def synchronize(self) -> None:
        """Wait until its work is done, and hear what was found wrong."""
        self.raw.synchronize()
        flags.read()

    def query(self) -> bool:
        """True if its work is done."""
        return self.raw.done

    def record_event(self, event: Event | None = None) -> Event:
        """Mark the end of what it has to do so far."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Begin no work from here on before the event has come."""
        self.raw.wait_event(event.raw)

    def wait_stream(self, other: Stream) -> None:
        """Begin no work from here on before the other stream's work so far is done."""
        self.wait_event(other.record_event())


class Event:
    """A place in a stream. enable_timing: elapsed_time can be asked."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False) -> None:
        cuda = gpu.load_cupy().cuda
        self.raw = cuda.Event(block=blocking, disable_timing=not enable_timing)
        self.timed = enable_timing

    def record(self, stream: Stream | None = None) -> None:
        """Stand behind what the stream (the current one) has to do so far."""
        self.raw.record((stream or current_stream()).raw)

    def wait(self, stream: Stream | None = None) -> None:
        """Let the stream (the current one) wait for it."""
        (stream or current_stream()).wait_event(self)

    def query(self) -> bool:
        """True if it has come."""
        return self.raw.done

    def synchronize(self) -> None:
        """Wait for it."""
        self.raw.synchronize()

    def elapsed_time(self, end: Event) -> float:
        """Milliseconds from here to a later event, both made with enable_timing=True and come."""
        if not (self.timed and end.timed):
            raise ValueError("elapsed_time: expected events made with enable_timing=True")
        return gpu.load_cupy().cuda.get_elapsed_time(self.raw, end.raw)


def current_stream(device: Any = None) -> Stream:
    """Where work of this thread goes."""
    return Stream.around(gpu.load_cupy().cuda.get_current_stream(), number_of(device))


def default_stream(device: Any = None) -> Stream:
    """Where work goes unless said."""
    return Stream.around(gpu.load_cupy().cuda.Stream.null, number_of(device))


class StreamContext:
    """`with mg.cuda.stream(s):` work of this thread goes to s; nothing changes for None."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        if self.stream is not None:
            self.stream.raw.__enter__()

    def __exit__(self, *error: Any) -> None:
        if self.stream is not None:
            self.stream.raw.__exit__(*error)


def stream(stream: Stream | None) -> StreamContext:
    """Work inside `with` goes to this stream."""
    return StreamContext(stream)
