"""CuPy, loaded when a GPU is first asked for; and what is said when its memory is full.

CuPy's pool keeps freed memory for the next array. Every allocation passes `_allocate`: where the pool and
the device have nothing left, all that is free goes back to the driver, and the allocation is tried once
more. If that fails too, the error tells the op, the sizes and the ways out; nothing was changed.
"""

from __future__ import annotations

import collections
import functools
import gc
import importlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from . import callers

__all__: list[str] = []


class OutOfMemoryError(MemoryError, RuntimeError):
    """The GPU has no memory left for an array: `mg.cuda.OutOfMemoryError`; a RuntimeError as PyTorch's is."""


several: list[int] = []  # the GPUs, where there is more than one: work must go where its arrays are
watching: list[Callable[[str, str, int], None]] = []  # told of minigrad's own copies: a ledger without CUPTI


def tell(kind: str, what: str, size: int) -> None:
    """Tell those who watch, if any, of a copy between host and device."""
    for report in watching:
        report(kind, what, size)


class _Process:
    cupy: ModuleType | None = None  # the module that was found to work
    devices = 0  # how many GPUs it sees


def load_cupy() -> ModuleType:
    """Import CuPy and see that a GPU answers; TypeError saying what to do otherwise."""
    if _Process.cupy is not None and sys.modules.get("cupy") is _Process.cupy:
        return _Process.cupy
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        raise TypeError(
            "device: 'cuda' needs CuPy, which is not installed; `minigrad doctor` prints the right command"
        ) from None
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # CuPy raises its own kinds for a missing driver
        raise TypeError(f"device: 'cuda' is not usable here ({error}); run `minigrad doctor`") from None
    if not count:
        raise TypeError("device: no GPU is visible; use device='cpu' or run `minigrad doctor`")
    _prepare(cupy)
    _Process.cupy, _Process.devices = cupy, count
    several[:] = range(count) if count > 1 else ()
    return cupy


def loaded() -> ModuleType | None:
    """CuPy, if this program has used a GPU."""
    return _Process.cupy if sys.modules.get("cupy") is _Process.cupy else None


def at_device(index: int) -> ModuleType:
    """CuPy, new arrays of this thread born on GPU number `index` from now on."""
    cupy = load_cupy()
    refuse_missing(index)
    if several and cupy.cuda.runtime.getDevice() != index:
        cupy.cuda.Device(index).use()
    return cupy


def library_at(array: Any) -> ModuleType:
    """CuPy, and with several GPUs its work from now on where this array is."""
    return at_device(array.device.id) if several else load_cupy()


def refuse_missing(index: int) -> None:
    """TypeError if there is no GPU of that number."""
    load_cupy()
    if index >= _Process.devices:
        last = _Process.devices - 1
        raise TypeError(f"device: there is no 'cuda:{index}'; the GPUs here end with 'cuda:{last}'")


def cuda_is_available() -> bool:
    """True when CuPy is installed and a GPU answers."""
    try:
        load_cupy()
    except TypeError:
        return False
    return True


def _prepare(cupy: ModuleType) -> None:
    """Allocations go through ours, unless the user chose an allocator; lines of CuPy's are not the user's."""
    folder = str(Path(cupy.__file__ or "").parent)
    if folder not in callers.OURS:
        callers.OURS.append(folder)
    chosen = getattr(cupy.cuda, "get_allocator", lambda: None)()
    if chosen is not None and chosen == cupy.get_default_memory_pool().malloc:
        cupy.cuda.set_allocator(_allocate)


def version(cupy: ModuleType) -> int:
    """CuPy's major version."""
    return int(cupy.__version__.partition(".")[0])


def has_bfloat16() -> bool:
    """Whether CuPy computes with bfloat16: from 14 on, with a NumPy that can."""
    cupy = load_cupy()
    return _adds_bfloat16(cupy, cupy.__version__)


@functools.cache
def _adds_bfloat16(cupy: ModuleType, version: str) -> bool:
    return any("E" in types for types in cupy.add.types)


def refuse_bfloat16(dtype: Any) -> None:
    """TypeError for bfloat16 where CuPy would take it for memory only, and fail at the first sum."""
    if dtype.char == "E" and not has_bfloat16():
        raise TypeError(
            f"device: 'bfloat16' on a GPU needs CuPy 14 and NumPy 2.1.2 (here: CuPy "
            f"{load_cupy().__version__}, NumPy {np.__version__}); update them, or use float16"
        )


def library_of(name: str) -> ModuleType:
    """The part of CuPy that is a package of its own: cupyx."""
    return importlib.import_module(name)


# ---------------------------------------------------------------- out of memory


def _allocate(size: int) -> Any:
    """Memory from CuPy's pool; after freeing what can be freed, if need be."""
    cupy = load_cupy()
    pool = cupy.get_default_memory_pool()
    try:
        return pool.malloc(size)
    except MemoryError:
        gc.collect()  # arrays in reference cycles
        free_unused()
    try:
        return pool.malloc(size)
    except MemoryError as error:
        raise OutOfMemoryError(_told(cupy, size)) from error


def free_unused() -> None:
    """Give the driver back what the pools hold and no array uses."""
    cupy = load_cupy()
    cupy.get_default_memory_pool().free_all_blocks()
    cupy.get_default_pinned_memory_pool().free_all_blocks()


def _told(cupy: ModuleType, size: int) -> str:
    """One message: what was asked, by whom, what is there, what can be done."""
    frame = sys._getframe(2)
    op, line = callers.op_running(frame) or "allocation", callers.user_line(frame)
    free, total = cupy.cuda.runtime.memGetInfo()
    pool = cupy.get_default_memory_pool()
    limit = pool.get_limit()
    capped = f", limited to {amount(limit)}" if limit else ""
    return (
        f"{op}: the GPU has no room for {amount(size)} (asked for at {line}): "
        f"{amount(pool.used_bytes())} are in use by arrays{capped}, "
        f"{amount(free)} of {amount(total)} are free on the device. Nothing was changed. "
        "Use a smaller batch, minigrad.checkpoint, a 16-bit dtype, or delete tensors that are not needed"
    )


def amount(size: float) -> str:
    """Bytes in words: 1.5 GiB."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError


# ---------------------------------------------------------------- pinned memory


def pinned(array: np.ndarray) -> np.ndarray:
    """A copy in page-locked memory, from which a GPU reads while Python goes on."""
    load_cupy()
    copy = library_of("cupyx").empty_pinned(array.shape, array.dtype)
    copy[...] = array
    return copy


def is_pinned(array: Any) -> bool:
    """True for an array in page-locked memory of CuPy's."""
    at = array
    while at is not None:
        if type(at).__name__ == "PinnedMemoryPointer":
            return True
        at = at.obj if isinstance(at, memoryview) else getattr(at, "base", None)
    return False


_under_way: collections.deque[tuple[Any, np.ndarray]] = collections.deque()
_lock = threading.Lock()


def sent(array: np.ndarray) -> Any:
    """A copy on the current GPU, its bytes on their way: the current stream has them before it goes on.

    Of pinned memory the host does not wait; what it writes there before the copy is done would go along.
    """
    cupy = load_cupy()
    if not is_pinned(array) or not array.flags.c_contiguous:
        tell("h2d", "non_blocking", array.nbytes)
        return cupy.array(array)
    there = cupy.empty(array.shape, array.dtype)
    copy_to(there, array)
    return there


def copy_to(there: Any, array: np.ndarray) -> None:
    """Let the current stream copy a pinned array to one of the GPU, both in C order; nobody waits."""
    if not array.nbytes:
        return
    tell("h2d", "non_blocking", array.nbytes)
    cupy = load_cupy()
    runtime, stream = cupy.cuda.runtime, cupy.cuda.get_current_stream()
    runtime.memcpyAsync(
        there.data.ptr, array.ctypes.data, array.nbytes, runtime.memcpyHostToDevice, stream.ptr
    )
    with _lock:  # the array is not given back to its pool before it has been read
        while _under_way and _under_way[0][0].done:
            _under_way.popleft()
        _under_way.append((stream.record(), array))
