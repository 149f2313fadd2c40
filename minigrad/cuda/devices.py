"""Which GPUs there are, and which one is meant: PyTorch's names.

`device` is a number, "cuda", "cuda:1" or a minigrad device; None is the current one. Without a GPU every
question that needs one raises the TypeError of `minigrad.device("cuda")`, which says what to install.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..engine import backend, gpu
from ..engine.backend import Device

__all__ = [
    "DeviceProperties", "current_device", "device", "device_count", "get_device_capability",
    "get_device_name", "get_device_properties", "is_bf16_supported", "set_device", "synchronize",
]  # fmt: skip


class DeviceProperties(NamedTuple):
    """What a GPU is."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int


def number_of(device: Any = None) -> int:
    """The number of a device; TypeError if there is no such GPU."""
    if device is None:
        index = backend.current_gpu()
    elif isinstance(device, int) and not isinstance(device, bool):
        index = Device(f"cuda:{device}").index
    else:
        index = Device(device).index
        if Device(device).kind != "cuda":
            raise ValueError(f"cuda: expected a GPU, got {device!r}")
    gpu.refuse_missing(index)
    return index


def device_count() -> int:
    """How many GPUs there are; 0 without CuPy or a driver."""
    return gpu.load_cupy().cuda.runtime.getDeviceCount() if gpu.cuda_is_available() else 0


def current_device() -> int:
    """The number of the GPU that "cuda" means in this thread."""
    return number_of()


def set_device(device: Any) -> None:
    """From now on "cuda" means this GPU, in this thread."""
    backend.set_current_gpu(number_of(device))


class device:
    """`with mg.cuda.device(1):` "cuda" means that GPU inside."""

    def __init__(self, device: Any) -> None:
        self.index = number_of(device)

    def __enter__(self) -> None:
        self.former = current_device()
        backend.set_current_gpu(self.index)

    def __exit__(self, *error: object) -> None:
        backend.set_current_gpu(self.former)


def get_device_properties(device: Any = None) -> DeviceProperties:
    """Name, compute capability, memory and number of multiprocessors."""
    told = gpu.load_cupy().cuda.runtime.getDeviceProperties(number_of(device))
    name = told["name"].decode() if isinstance(told["name"], bytes) else told["name"]
    return DeviceProperties(
        name, told["major"], told["minor"], told["totalGlobalMem"], told["multiProcessorCount"]
    )


def get_device_name(device: Any = None) -> str:
    """What the maker calls it."""
    return get_device_properties(device).name


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """(major, minor) of its compute capability."""
    told = get_device_properties(device)
    return told.major, told.minor


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """True if bfloat16 works here; without emulation, if the GPU's tensor cores know it (Ampere on)."""
    if not gpu.cuda_is_available() or not gpu.has_bfloat16():
        return False
    return including_emulation or get_device_capability()[0] >= 8


def synchronize(device: Any = None) -> None:
    """Wait for the work of a GPU, and hear what it found wrong; without one there is nothing to wait for."""
    backend.synchronize(None if device is None else number_of(device))
