"""Device memory: pools that hand out blocks of large buffers, and take them back.

A block that was given back is filled with 0xff (NaN), and so is a new one: what is read without having been
written, or after it was given back, is seen in the numbers. Behind each block lies a strip that no kernel may
write to; it is looked at after every launch.
"""

import collections
import threading
import weakref

import numpy as np

from .settings import ledger, settings

__all__ = ["Memory", "MemoryHook", "MemoryPointer", "MemoryPool", "OutOfMemoryError", "PinnedMemoryPool", "current", "using_allocator"]

UNIT = 512
POOLS = weakref.WeakSet()
LIVE = weakref.WeakSet()  # the blocks in use


class OutOfMemoryError(MemoryError):
    def __init__(self, size, total, limit=0):
        self._size, self._total, self._limit = size, total, limit
        end = f", limit set to: {limit:,} bytes" if limit else ""
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes{end}).")

    def __reduce__(self):
        return type(self), (self._size, self._total, self._limit)


class Memory:
    """A block in use; it goes back to its pool when nothing refers to it any more."""

    def __init__(self, pool, segment, start, length, size, stream):
        self.pool, self.segment, self.start, self.length, self.size, self.stream = pool, segment, start, length, size, stream
        self.ptr = segment.address + start
        self.device_id = segment.device_id
        LIVE.add(self)

    @property
    def buffer(self):
        return self.segment.bytes[self.start : self.start + self.size]

    def __del__(self):
        if self.pool is not None:
            self.pool._take_back(self)


class Segment:
    """What the driver gave: a buffer of its own."""

    def __init__(self, length, device_id):
        raw = np.full(length + UNIT, 0xFF, np.uint8)
        shift = -raw.ctypes.data % UNIT
        self.bytes = raw[shift : shift + length]
        self.address, self.length, self.device_id = raw.ctypes.data + shift, length, device_id


class MemoryPointer:
    """An address inside a block, which it keeps in use."""

    def __init__(self, mem, offset):
        self.mem, self.ptr, self.device_id = mem, mem.ptr + offset, mem.device_id

    def __int__(self):
        return self.ptr

    def __add__(self, offset):
        return MemoryPointer(self.mem, self.ptr - self.mem.ptr + offset)


class MemoryPool:
    """Blocks by best fit, one store of free blocks per stream, neighbours joined when they come back."""

    def __init__(self, allocator=None):
        self.free = collections.defaultdict(list)  # stream -> [(segment, start, length)]
        self.segments, self.used, self.total, self.limit = [], 0, 0, 0
        POOLS.add(self)
        self.lock = threading.RLock()  # a block may come back (garbage collection) while another is looked for

    def malloc(self, size):
        from .streams import current_device, current_stream

        length = -(-max(size, 1) // UNIT) * UNIT + UNIT  # the last unit is a strip that nobody asked for
        given = {"device_id": current_device(), "size": size, "mem_size": length - UNIT}
        for hook in hooks():
            hook.malloc_preprocess(**given)
        with self.lock:
            stream = current_stream().ptr
            segment, start = self._found(length, stream) or self._grown(length)
            self.used += length - UNIT
            memory = Memory(self, segment, start, length, size, stream)
        segment.bytes[start : start + length] = 0xFF
        ledger.add("alloc", "malloc", size)
        for hook in hooks():
            hook.malloc_postprocess(**given, mem_ptr=memory.ptr, pmem_id=id(memory))
        return MemoryPointer(memory, 0)

    def _found(self, length, stream):
        from .streams import current_device

        fits = [b for b in self.free[stream] if b[2] >= length and b[0].device_id == current_device()]
        if not fits:
            return None
        block = segment, start, rest = min(fits, key=lambda b: b[2])
        self.free[stream].remove(block)
        if rest > length:
            self.free[stream].append((segment, start + length, rest - length))
        return segment, start

    def _grown(self, length):
        from .streams import current_device

        everywhere = sum(pool.total for pool in POOLS)
        asked = length - UNIT
        if (self.limit and self.total + asked > self.limit) or everywhere + asked > settings.memory:
            self.free_all_blocks()
            everywhere = sum(pool.total for pool in POOLS)
            if (self.limit and self.total + asked > self.limit) or everywhere + asked > settings.memory:
                raise OutOfMemoryError(asked, self.total, self.limit)
        for hook in hooks():
            hook.alloc_preprocess(device_id=current_device(), mem_size=asked)
        segment = Segment(length, current_device())
        self.segments.append(segment)
        self.total += asked
        for hook in hooks():
            hook.alloc_postprocess(device_id=current_device(), mem_size=asked, mem_ptr=segment.address)
        return segment, 0

    def _take_back(self, memory):
        given = {"device_id": memory.device_id, "mem_size": memory.length - UNIT, "mem_ptr": memory.ptr, "pmem_id": id(memory)}
        for hook in hooks():
            hook.free_preprocess(**given)
        with self.lock:
            segment, start, stop = memory.segment, memory.start, memory.start + memory.length
            segment.bytes[start:stop] = 0xFF
            blocks = self.free[memory.stream]
            for block in [b for b in blocks if b[0] is segment and (b[1] + b[2] == start or b[1] == stop)]:
                blocks.remove(block)
                start, stop = min(start, block[1]), max(stop, block[1] + block[2])
            blocks.append((segment, start, stop - start))
            self.used -= memory.length - UNIT
        for hook in hooks():
            hook.free_postprocess(**given)

    def free_all_blocks(self, stream=None):
        """Give back to the driver every segment of which nothing is in use."""
        with self.lock:
            for blocks in self.free.values() if stream is None else [self.free[stream.ptr]]:
                for block in [b for b in blocks if b[2] == b[0].length]:
                    blocks.remove(block)
                    self.segments.remove(block[0])
                    self.total -= block[2] - UNIT

    def n_free_blocks(self):
        return sum(map(len, self.free.values()))

    def used_bytes(self):
        return self.used

    def total_bytes(self):
        return self.total

    def free_bytes(self):
        return self.total - self.used

    def set_limit(self, size=None, fraction=None):
        self.limit = int(fraction * settings.memory) if fraction is not None else size or 0

    def get_limit(self):
        return self.limit


class PinnedMemoryPool:
    """Host memory that the device reaches; only counted."""

    def n_free_blocks(self):
        return 0

    def free_all_blocks(self):
        pass


def live_ranges(more=()):
    """First and last address of every block in use and of those in `more`, sorted, overlapping ones as one."""
    merged = []
    for first, end in sorted([*((m.ptr, m.ptr + m.size) for m in list(LIVE) if m.size), *more]):
        if merged and first < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((first, end))
    return merged


class MemoryHook:
    """`with hook:` its methods are called at every allocation of this thread."""

    name = "MemoryHook"

    def __enter__(self):
        if self.name in thread.hooks:
            raise KeyError(f"memory hook {self.name} already exists")
        thread.hooks[self.name] = self
        return self

    def __exit__(self, *error):
        del thread.hooks[self.name]

    def alloc_preprocess(self, **kwargs): ...
    def alloc_postprocess(self, **kwargs): ...
    def malloc_preprocess(self, **kwargs): ...
    def malloc_postprocess(self, **kwargs): ...
    def free_preprocess(self, **kwargs): ...
    def free_postprocess(self, **kwargs): ...


class _Thread(threading.local):
    def __init__(self):
        self.hooks, self.allocators = {}, []


class _Process:
    pool = MemoryPool()
    allocator = pool.malloc
    pinned = PinnedMemoryPool()


thread, process = _Thread(), _Process()


def hooks():
    return list(thread.hooks.values())


class using_allocator:
    """`with using_allocator(pool.malloc):` new arrays of this thread come from there."""

    def __init__(self, allocator=None):
        self.allocator = allocator

    def __enter__(self):
        thread.allocators.append(self.allocator)

    def __exit__(self, *error):
        thread.allocators.pop()


def set_allocator(allocator=None):
    if thread.allocators:
        raise ValueError("Allocator cannot be changed inside a using_allocator context")
    process.allocator = allocator or process.pool.malloc


def current():
    """The allocator of this thread."""
    return (thread.allocators[-1] if thread.allocators else None) or process.allocator


def reset():
    """As in a new process: what former tests still hold is not counted."""
    POOLS.clear()
    process.pool, thread.hooks, thread.allocators = MemoryPool(), {}, []
    process.allocator = process.pool.malloc
