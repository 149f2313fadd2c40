"""CuPy, loaded when a GPU is first asked for; and what is said when its memory is full.

CuPy's pool keeps freed memory for the next array. Every allocation passes `_allocate`: where the pool and
the device have nothing left, all that is free goes back to the driver, and the allocation is tried once
more. If that fails too, the error tells the op, the sizes and the ways out; nothing was changed.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from . import callers

__all__: list[str] = []


class OutOfMemoryError(MemoryError, RuntimeError):
    """The GPU has no memory left for an array: `mg.cuda.OutOfMemoryError`; a RuntimeError as PyTorch's is."""


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
    return cupy


def loaded() -> ModuleType | None:
    """CuPy, if this program has used a GPU."""
    return _Process.cupy if sys.modules.get("cupy") is _Process.cupy else None


def at_device(index: int) -> ModuleType:
    """CuPy, new arrays of this thread born on GPU number `index` from now on."""
    cupy = load_cupy()
    if index >= _Process.devices:
        last = _Process.devices - 1
        raise TypeError(f"device: there is no 'cuda:{index}'; the GPUs here end with 'cuda:{last}'")
    if _Process.devices > 1 and cupy.cuda.runtime.getDevice() != index:
        cupy.cuda.Device(index).use()
    return cupy


def cuda_is_available() -> bool:
    """True when CuPy is installed and a GPU answers."""
    try:
        load_cupy()
    except TypeError:
        return False
    return True


def _prepare(cupy: ModuleType) -> None:
    """Allocations go through ours; lines of CuPy's are not the user's."""
    folder = str(Path(cupy.__file__ or "").parent)
    if folder not in callers.OURS:
        callers.OURS.append(folder)
    if hasattr(cupy.cuda, "set_allocator"):
        cupy.cuda.set_allocator(_allocate)


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
