"""The modules `cupy.cuda` and `cupyx`."""

import ctypes
import types
import weakref

import numpy as np

from . import memory, modules, streams
from .functions import scatter_add
from .settings import ledger, settings

__all__ = ["cuda", "cupyx"]

pinned = weakref.WeakSet()  # host memory that the device reaches


class PinnedMemoryPointer(bytearray):
    """Page-locked host memory; `np.frombuffer(it, ...)` is an array over it."""

    __hash__, __eq__ = object.__hash__, object.__eq__

    def __init__(self, size):
        super().__init__(max(size, 1))
        self.ptr = ctypes.addressof((ctypes.c_char * len(self)).from_buffer(self))
        pinned.add(self)

    def size(self):
        return len(self)


def empty_pinned(shape, dtype=float, order="C"):
    """A NumPy array in page-locked memory: copies from it to the device may be asynchronous."""
    shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    return np.ndarray(shape, dtype, PinnedMemoryPointer(size), order=order)


def is_pinned(address):
    return any(held.ptr <= address < held.ptr + len(held) for held in pinned)


class runtime(types.ModuleType):
    memcpyHostToHost, memcpyHostToDevice, memcpyDeviceToHost, memcpyDeviceToDevice, memcpyDefault = range(5)
    streamCaptureModeGlobal, streamCaptureModeThreadLocal, streamCaptureModeRelaxed = range(3)
    CUDARuntimeError = streams.CUDARuntimeError
    is_hip = False

    def getDeviceCount(self):
        return settings.devices

    def getDevice(self):
        return streams.current_device()

    def setDevice(self, device):
        streams.Device(device).use()

    def deviceSynchronize(self):
        streams.Device().synchronize()

    def driverGetVersion(self):
        return 12080

    def runtimeGetVersion(self):
        return 12080

    def memGetInfo(self):
        return streams.Device().mem_info

    def getDeviceProperties(self, device):
        return {
            "name": b"Stand-in for a GPU", "totalGlobalMem": settings.memory, "major": 9, "minor": 0, "multiProcessorCount": 132,
            "sharedMemPerBlockOptin": 227 * 1024, "sharedMemPerBlock": 48 * 1024, "warpSize": 32, "l2CacheSize": 50 << 20,
            "clockRate": 1980000, "memoryClockRate": 2619000, "memoryBusWidth": 5120, "maxThreadsPerMultiProcessor": 2048,
        }  # fmt: skip

    def memcpyAsync(self, dst, src, size, kind, stream=0):
        kinds = {1: "h2d", 2: "d2h"}
        if kind in kinds:
            ledger.add(kinds[kind], "memcpyAsync", size)
            if not is_pinned(src if kind == 1 else dst):
                streams.no_capture("copies of host memory that is not pinned", _stream(stream))
        streams.submit("kernel", "memcpyAsync", lambda: ctypes.memmove(dst, src, size), _stream(stream))

    def memcpy(self, dst, src, size, kind):
        streams.no_capture("synchronous API calls")
        self.memcpyAsync(dst, src, size, kind)
        ledger.add("sync", "memcpy")

    def memsetAsync(self, ptr, value, size, stream=0):
        streams.submit("kernel", "memsetAsync", lambda: ctypes.memset(ptr, value, size), _stream(stream))

    def streamSynchronize(self, stream):
        _stream(stream).synchronize()

    def streamIsCapturing(self, stream):
        return _stream(stream).is_capturing()


def _stream(ptr):
    return streams.Stream.known.get(ptr, streams.Stream.null)


runtime = runtime("cupy.cuda.runtime")
cuda = types.ModuleType("cupy.cuda")
cuda.memory, cuda.stream = types.ModuleType("cupy.cuda.memory"), types.ModuleType("cupy.cuda.stream")
cuda.runtime = runtime
for _name in ("OutOfMemoryError", "Memory", "MemoryPointer", "MemoryPool", "MemoryHook", "PinnedMemoryPool"):
    setattr(cuda.memory, _name, getattr(memory, _name))
for _name in ("MemoryPointer", "MemoryPool", "MemoryHook", "PinnedMemoryPool", "using_allocator", "set_allocator"):
    setattr(cuda, _name, getattr(memory, _name))
for _name in ("Stream", "Event", "get_elapsed_time"):
    setattr(cuda, _name, getattr(streams, _name))
    setattr(cuda.stream, _name, getattr(streams, _name))
cuda.Device, cuda.Graph, cuda.Function = streams.Device, streams.Graph, modules.Function
cuda.PinnedMemoryPointer, cuda.alloc_pinned_memory = PinnedMemoryPointer, PinnedMemoryPointer
cuda.get_current_stream = cuda.stream.get_current_stream = streams.current_stream
cuda.get_device_id, cuda.is_available = streams.current_device, lambda: True
cuda.alloc = lambda size: memory.current()(size)
cuda.get_allocator = memory.current
cuda.set_pinned_memory_allocator = lambda allocator=None: None

cupyx = types.ModuleType("cupyx")
cupyx.scatter_add, cupyx.empty_pinned = scatter_add, empty_pinned
cupyx.zeros_pinned = empty_pinned
