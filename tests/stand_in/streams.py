"""Devices, streams, events and graphs. Work is done at once and in order, unless its stream is capturing.

Between begin_capture and end_capture nothing is done: each piece of work is kept as a function over the memory
it would have read and written, and Graph.launch() runs them in order, over that same memory.
"""

import itertools
import threading
import time
import weakref

import numpy as np

from .settings import ledger, older, settings

__all__ = ["CUDARuntimeError", "Device", "Event", "Graph", "Stream", "current_device", "current_stream", "no_capture", "submit"]


class CUDARuntimeError(RuntimeError):
    def __init__(self, status, message):
        self.status = status
        super().__init__(message)


class _Thread(threading.local):
    def __init__(self):
        self.streams, self.devices = [Stream.null], [0]


class Capture:
    """The work of one capture, the streams that take part in it, and those that have not come back yet."""

    def __init__(self, origin):
        self.origin, self.work, self.streams, self.away, self.open = origin, [], {origin}, set(), True


class Stream:
    null = None
    known = weakref.WeakValueDictionary()  # number -> stream
    _numbers = itertools.count(1)

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        if priority is not None and older(14):
            raise TypeError("__init__() got an unexpected keyword argument 'priority'")
        self.ptr = 0 if null else next(Stream._numbers) * 4096
        self.non_blocking, self.capture, self.device_id = non_blocking, None, -1 if null else current_device()
        self.before = []
        Stream.known[self.ptr] = self

    def __repr__(self):
        return f"<Stream {self.ptr} (device {self.device_id})>"

    def __eq__(self, other):
        return isinstance(other, Stream) and self.ptr == other.ptr

    def __hash__(self):
        return self.ptr

    def __enter__(self):
        self.before.append(thread.streams)
        thread.streams = [*thread.streams, self]
        return self

    def __exit__(self, *error):
        thread.streams = self.before.pop()

    def use(self):
        thread.streams = [*thread.streams[:-1], self]
        return self

    @property
    def done(self):
        return True

    @property
    def is_non_blocking(self):
        return self.non_blocking

    def synchronize(self):
        if self.capture:
            raise CUDARuntimeError(900, "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing")
        ledger.add("sync", "Stream.synchronize")

    def record(self, event=None):
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event):
        theirs = event.capture
        if self.capture is None and theirs is not None and theirs.open:
            self.capture = theirs
            theirs.streams.add(self)
            theirs.away.add(self)
        elif self.capture is not None and theirs is not self.capture:
            raise CUDARuntimeError(905, "cudaErrorStreamCaptureIsolation: dependency created on uncaptured work in another stream")
        elif self.capture is not None and self is self.capture.origin:
            self.capture.away.discard(event.stream)

    def begin_capture(self, mode=None):
        if self.ptr == 0:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        if self.capture:
            raise CUDARuntimeError(901, "cudaErrorStreamCaptureInvalidated: the stream is capturing already")
        self.capture = Capture(self)

    def end_capture(self):
        capture = self.capture
        if capture is None or capture.origin is not self:
            raise CUDARuntimeError(401, "cudaErrorIllegalState: the stream is not capturing")
        capture.open = False
        for stream in capture.streams:
            stream.capture = None
        if capture.away:
            raise CUDARuntimeError(904, "cudaErrorStreamCaptureUnjoined: a forked stream was not joined to the capturing one")
        return Graph(capture.work)

    def is_capturing(self):
        return self.capture is not None


class Event:
    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self.capture, self.stream, self.time, self.timed = None, None, None, not disable_timing

    def record(self, stream=None):
        self.stream = stream or current_stream()
        self.capture, self.time = self.stream.capture, time.perf_counter()

    @property
    def done(self):
        return True

    def synchronize(self):
        if self.capture is not None and self.capture.open:
            raise CUDARuntimeError(900, "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing")
        ledger.add("sync", "Event.synchronize")


def get_elapsed_time(start, end):
    """Milliseconds between two events."""
    return (end.time - start.time) * 1e3


class Graph:
    """Recorded work."""

    def __init__(self, work):
        self.work = work

    def __len__(self):
        return len(self.work)

    def launch(self, stream=None):
        submit("graph", f"{len(self.work)} nodes", self._run, stream)

    def _run(self):
        for _, action in self.work:
            action()

    def upload(self, stream=None):
        pass

    def debug_dot(self):
        return [name for name, _ in self.work]


def submit(kind, name, action, stream=None):
    """Do this piece of work, or keep it if the stream is capturing."""
    stream = stream or current_stream()
    ledger.add(kind, name)
    if stream.capture is not None:
        stream.capture.work.append((name, action))
        return
    with np.errstate(all="ignore"):
        action()


def no_capture(what, stream=None):
    """The host waits here: not allowed while the stream is capturing."""
    if (stream or current_stream()).capture is not None:
        raise RuntimeError(f"the current stream is capturing, so {what} are disallowed")


class Device:
    def __init__(self, device=None):
        self.id = current_device() if device is None else int(device)

    def __enter__(self):
        self._check()
        thread.devices.append(self.id)
        return self

    def __exit__(self, *error):
        thread.devices.pop()

    def use(self):
        self._check()
        thread.devices[-1] = self.id

    def _check(self):
        if not 0 <= self.id < settings.devices:
            raise CUDARuntimeError(101, "cudaErrorInvalidDevice: invalid device ordinal")

    def __int__(self):
        return self.id

    def __eq__(self, other):
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self):
        return self.id

    def __repr__(self):
        return f"<CUDA Device {self.id}>"

    def synchronize(self):
        no_capture("synchronous API calls")
        ledger.add("sync", "Device.synchronize")

    @property
    def compute_capability(self):
        return "90"

    @property
    def mem_info(self):
        from .memory import POOLS

        return settings.memory - sum(pool.total for pool in POOLS), settings.memory

    @property
    def attributes(self):
        return {"MultiProcessorCount": 132, "MaxSharedMemoryPerBlockOptin": 227 * 1024, "WarpSize": 32}


def current_stream(device_id=-1):
    return thread.streams[-1]


def current_device():
    return thread.devices[-1] if thread else 0


thread = None
Stream.null = Stream(null=True)
Stream.null.device_id = -1
thread = _Thread()


def reset():
    """As in a new process."""
    thread.streams, thread.devices, Stream.null.capture = [Stream.null], [0], None
