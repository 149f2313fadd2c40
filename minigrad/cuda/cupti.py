"""CUPTI, NVIDIA's profiling interface, through ctypes: what the program asks of the CUDA runtime and driver.

A subscription calls back at every API call, in the thread that makes it, so the Python stack still shows
which line that was. The library comes with the CUDA toolkit, or as the package nvidia-cuda-cupti-cu12.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Call", "CallbackData", "Subscription", "missing"]

DRIVER, RUNTIME = 1, 2  # CUpti_CallbackDomain
ENTER, EXIT = 0, 1  # CUpti_ApiCallbackSite


class Call(NamedTuple):
    """One call of CUDA's: "h2d", "d2h", "d2d", "wait", "launch", "malloc", or "" for any other."""

    kind: str
    name: str
    size: int


class CallbackData(ctypes.Structure):
    """CUpti_CallbackData."""

    _fields_ = [
        ("site", ctypes.c_int), ("function", ctypes.c_char_p), ("params", ctypes.c_void_p),
        ("result", ctypes.c_void_p), ("symbol", ctypes.c_char_p), ("context", ctypes.c_void_p),
        ("context_id", ctypes.c_uint32), ("correlation", ctypes.POINTER(ctypes.c_uint64)),
        ("correlation_id", ctypes.c_uint32),
    ]  # fmt: skip


CALLBACK = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.POINTER(CallbackData)
)

# The calls that matter, by their names without version and stream suffixes; for copies of either direction
# where in their parameters (eight bytes each) the sizes stand, and the direction.
WAITS = (
    "cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cuStreamSynchronize",
    "cuCtxSynchronize", "cuEventSynchronize",
)  # fmt: skip
LAUNCHES = (
    "cudaLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernel", "cuLaunchKernelEx", "cudaGraphLaunch",
    "cuGraphLaunch", "cudaLaunchCooperativeKernel", "cuLaunchCooperativeKernel",
)  # fmt: skip
MALLOCS = ("cudaMalloc", "cudaMallocAsync", "cuMemAlloc", "cuMemAllocAsync")
COPIES = {
    "cudaMemcpy": ((2,), 3), "cudaMemcpyAsync": ((2,), 3),
    "cudaMemcpy2D": ((4, 5), 6), "cudaMemcpy2DAsync": ((4, 5), 6),
}  # fmt: skip
DIRECTIONS = {1: "h2d", 2: "d2h", 3: "d2d", 4: "d2d"}  # cudaMemcpyKind; the last lets the driver find out
DRIVER_COPIES = {"cuMemcpyHtoD": "h2d", "cuMemcpyDtoH": "d2h", "cuMemcpyDtoD": "d2d"}


def _plain(name: str) -> str:
    """cudaMemcpyAsync_v3020, cuMemcpyHtoDAsync_v2_ptsz: without what follows the name."""
    return name.partition("_")[0]


def understood(data: CallbackData) -> Call:
    """What a call does, from its name and parameters."""
    name = _plain((data.function or b"").decode())
    if name in LAUNCHES:
        return Call("launch", (data.symbol or data.function).decode(), 0)
    if name in WAITS:
        return Call("wait", name, 0)
    if name in MALLOCS:
        return Call("malloc", name, 0)
    if name in COPIES:
        sizes, direction = COPIES[name]
        size = 1
        for place in sizes:
            size *= _word(data.params, place)
        kind = ctypes.c_int.from_address(data.params + 8 * direction).value
        return Call(DIRECTIONS.get(kind, ""), name, size)
    for start, kind in DRIVER_COPIES.items():
        if name in (start, start + "Async"):
            return Call(kind, name, _word(data.params, 2))
    return Call("", name, 0)


def _word(params: int, place: int) -> int:
    return ctypes.c_size_t.from_address(params + 8 * place).value


# ---------------------------------------------------------------- the library


def _candidates() -> Iterator[str]:
    """Where libcupti may be: beside CUDA's other libraries, in its wheels, in a toolkit."""
    for wheel in ("nvidia.cuda_cupti", "nvidia.cu13"):
        try:
            spec = importlib.util.find_spec(wheel)
        except ModuleNotFoundError:
            continue
        for folder in (spec.submodule_search_locations or []) if spec else []:
            yield from map(str, sorted(Path(folder).glob("lib/libcupti.so*")))
    for variable in ("CUDA_PATH", "CUDA_HOME"):
        if os.environ.get(variable):
            toolkit = Path(os.environ[variable])
            yield from map(str, sorted(toolkit.glob("extras/CUPTI/lib64/libcupti.so*")))
    yield from ("libcupti.so", "libcupti.so.13", "libcupti.so.12")


@functools.cache
def library() -> Any:
    """CUPTI, or None."""
    for name in _candidates():
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def missing() -> str | None:
    """Why calls cannot be watched; None if they can."""
    return None if library() is not None else "CUPTI was not found: pip install nvidia-cuda-cupti-cu12"


class Subscription:
    """Every call of CUDA's goes to `tell` until end(). RuntimeError if CUPTI refuses (a profiler runs)."""

    def __init__(self, tell: Callable[[Call], None]) -> None:
        self.tell, self.inside = tell, threading.local()
        self.callback, self.handle = (
            CALLBACK(self.called),
            ctypes.c_void_p(),
        )  # kept: CUPTI holds only pointers
        cupti = library()
        _check("cuptiSubscribe", cupti.cuptiSubscribe(ctypes.byref(self.handle), self.callback, None))
        for domain in (RUNTIME, DRIVER):
            _check("cuptiEnableDomain", cupti.cuptiEnableDomain(1, self.handle, domain))

    def called(self, user: Any, domain: int, call: int, data: Any) -> None:
        """A call begins or ends. What the runtime asks of the driver meanwhile is the same call: left out."""
        depth = getattr(self.inside, "depth", 0)
        if domain == RUNTIME:
            self.inside.depth = depth + (1 if data.contents.site == ENTER else -1)
        if data.contents.site == ENTER and depth == 0:
            self.tell(understood(data.contents))

    def end(self) -> None:
        """No more calls."""
        _check("cuptiUnsubscribe", library().cuptiUnsubscribe(self.handle))


def _check(name: str, status: int) -> None:
    if status:
        text = ctypes.c_char_p()
        library().cuptiGetResultString(status, ctypes.byref(text))
        raise RuntimeError(f"ledger: {name} refused ({(text.value or b'?').decode()}); does a profiler run?")
