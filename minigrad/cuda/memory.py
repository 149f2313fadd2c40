"""How much memory of a GPU is in use: PyTorch's names over CuPy's pool.

The pool keeps what arrays no longer use ("reserved") for the next ones. Counting the largest use ever
costs at each allocation, so it begins with reset_peak_memory_stats(), for this thread's allocations.
"""

from __future__ import annotations

from typing import Any

from ..engine import gpu
from ..engine.gpu import amount
from .devices import number_of

__all__ = [
    "empty_cache", "max_memory_allocated", "max_memory_reserved", "mem_get_info", "memory_allocated",
    "memory_reserved", "memory_stats", "memory_summary", "reset_peak_memory_stats",
    "set_per_process_memory_fraction",
]  # fmt: skip


def _asked(device: Any, question: str) -> int:
    """The pool's answer for a device."""
    library, index = gpu.load_cupy(), number_of(device)
    with library.cuda.Device(index):
        return getattr(library.get_default_memory_pool(), question)()


def memory_allocated(device: Any = None) -> int:
    """Bytes that arrays use."""
    return _asked(device, "used_bytes")


def memory_reserved(device: Any = None) -> int:
    """Bytes that the pool holds: in use, or free for the next arrays."""
    return _asked(device, "total_bytes")


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(free, total) bytes of the device, whoever uses them."""
    library, index = gpu.load_cupy(), number_of(device)
    with library.cuda.Device(index):
        free, total = library.cuda.runtime.memGetInfo()
    return free, total


def empty_cache() -> None:
    """Give back to the driver what the pools hold and no array uses. Does nothing without a GPU."""
    if gpu.cuda_is_available():
        gpu.free_unused()


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """Let arrays use at most this part of the device's memory. ValueError outside [0, 1]."""
    if not 0.0 <= fraction <= 1.0:
        raise ValueError(
            f"set_per_process_memory_fraction: expected a number in [0, 1] (fraction={fraction})"
        )
    library, index = gpu.load_cupy(), number_of(device)
    with library.cuda.Device(index):
        library.get_default_memory_pool().set_limit(fraction=fraction)


# ---------------------------------------------------------------- the largest use


_peaks: dict[int, list[int]] = {}  # device -> [bytes in use, the most so far]
_open: list[Any] = []  # the hook that counts


def reset_peak_memory_stats(device: Any = None) -> None:
    """From now on max_memory_allocated counts, beginning with what is in use."""
    index = number_of(device)
    _peaks[index] = [memory_allocated(index)] * 2
    if not _open or _open[0].library is not gpu.load_cupy():
        _open[:] = [_counting(gpu.load_cupy())]
        _open[0].__enter__()


def _counting(library: Any) -> Any:
    class Hook(library.cuda.MemoryHook):
        name = "minigrad peak memory"

        def malloc_postprocess(self, **told: Any) -> None:
            peak = _peaks.get(told["device_id"])
            if peak is not None and told["mem_ptr"]:
                peak[0] += told["mem_size"]
                peak[1] = max(peak)

        def free_postprocess(self, **told: Any) -> None:
            peak = _peaks.get(told["device_id"])
            if peak is not None:
                peak[0] -= told["mem_size"]

    hook = Hook()
    hook.library = library
    return hook


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes arrays used since reset_peak_memory_stats(); before that, what the pool holds."""
    peak = _peaks.get(number_of(device))
    return memory_reserved(device) if peak is None else peak[1]


def max_memory_reserved(device: Any = None) -> int:
    """What the pool holds: it only grows, unless emptied."""
    return memory_reserved(device)


# ---------------------------------------------------------------- summaries


def memory_stats(device: Any = None) -> dict[str, int]:
    """The numbers by PyTorch's keys."""
    free, total = mem_get_info(device)
    return {
        "allocated_bytes.all.current": memory_allocated(device),
        "allocated_bytes.all.peak": max_memory_allocated(device),
        "reserved_bytes.all.current": memory_reserved(device),
        "device_bytes.free": free,
        "device_bytes.total": total,
    }


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """The same as a table."""
    rows = [(key, amount(value)) for key, value in memory_stats(device).items()]
    return "\n".join(f"{key:<30}{value:>12}" for key, value in rows[: 3 if abbreviated else None])
