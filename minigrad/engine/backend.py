"""Devices and dtypes: the one file that knows there are two array libraries.

Every op receives `xp`, the library its arrays belong to: NumPy on the CPU, CuPy on a GPU.
What the two do differently lives here, one named function each; no other file names CuPy.
"""

from __future__ import annotations

import importlib
import re
import threading
from types import ModuleType
from typing import Any

import numpy as np

__all__ = [
    "Device", "default_device", "default_dtype", "device", "is_float", "set_default_device",
    "set_default_dtype",
]  # fmt: skip

Array = Any  # numpy.ndarray or cupy.ndarray
NUMBERS = (bool, int, float, complex, np.generic)


# ---------------------------------------------------------------- devices


class Device:
    """A place where arrays live: `device("cpu")`, `device("cuda")`, `device("cuda:1")`.

    `with device("cuda"):` new arrays are born there; leaving it restores the former default.
    """

    __slots__ = ("kind", "index")

    def __init__(self, name: str | Device = "cpu") -> None:
        if isinstance(name, Device):
            self.kind, self.index = name.kind, name.index
            return
        found = re.fullmatch(r"(cpu|cuda)(?::(\d+))?", str(name))
        if not found:
            raise ValueError(f"device: expected 'cpu', 'cuda' or 'cuda:N', got {name!r}")
        self.kind = found[1]
        self.index = int(found[2] or 0)
        if self.kind == "cpu" and self.index:
            raise ValueError(f"device: there is one CPU device, got {name!r}; use 'cpu'")

    def __repr__(self) -> str:
        return f"device({str(self)!r})"

    def __str__(self) -> str:
        return "cpu" if self.kind == "cpu" else f"cuda:{self.index}"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            other = Device(other)
        return isinstance(other, Device) and (self.kind, self.index) == (other.kind, other.index)

    def __hash__(self) -> int:
        return hash((self.kind, self.index))

    @property
    def type(self) -> str:
        """PyTorch's name for `kind`: "cpu" or "cuda"."""
        return self.kind

    def __enter__(self) -> Device:
        former = _defaults.device
        set_default_device(self)
        _defaults.formers.append(former)
        return self

    def __exit__(self, *error: object) -> None:
        _defaults.device = _defaults.formers.pop()

    @property
    def xp(self) -> ModuleType:
        """The array library of this device; TypeError if it cannot be used here."""
        return np if self.kind == "cpu" else load_cupy()


CPU = Device("cpu")
device = Device  # PyTorch's name


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.device: Device = CPU
        self.formers: list[Device] = []  # what the open `with device(...)` will restore


class _Process:
    dtype = np.dtype("float32")


_defaults = _PerThread()


def load_cupy() -> ModuleType:
    """Import CuPy and see that a GPU answers; TypeError saying what to do otherwise."""
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
    return cupy


def cuda_is_available() -> bool:
    """True when CuPy is installed and a GPU answers."""
    try:
        load_cupy()
    except TypeError:
        return False
    return True


def default_device() -> Device:
    """Where new arrays are born (per thread)."""
    return _defaults.device


def set_default_device(name: str | Device) -> None:
    """Make `name` the place where new arrays are born, in this thread."""
    chosen = Device(name)
    _ = chosen.xp  # an unusable device is refused now, not at the first array
    _defaults.device = chosen


def xp_of(array: Array) -> ModuleType:
    """The library that `array` belongs to."""
    if isinstance(array, np.ndarray | np.generic):
        return np
    return np if is_number(array) else importlib.import_module("cupy")


def device_of(array: Array) -> Device:
    """The device that `array` lives on."""
    if isinstance(array, np.ndarray):
        return CPU
    return Device(f"cuda:{array.device.id}")


def to_device(array: Array, target: Device) -> Array:
    """A copy of `array` on `target`, or `array` itself if it lives there already."""
    here = device_of(array)
    if here == target:
        return array
    if target.kind == "cpu":
        return array.get()
    cupy = load_cupy()
    with cupy.cuda.Device(target.index):
        return cupy.array(array)


def to_numpy(array: Array) -> np.ndarray:
    """The array on the CPU: itself if it is there, else one device-to-host copy."""
    return array if isinstance(array, np.ndarray) else array.get()


# ---------------------------------------------------------------- dtypes


def is_number(value: object) -> bool:
    """True for Python and NumPy scalars, which are weak in promotion."""
    return isinstance(value, NUMBERS)


_FLOATS = {np.dtype(name) for name in ("float16", "float32", "float64", "longdouble")}


def is_float(dtype: Any) -> bool:
    """True for the dtypes that carry gradients.

    bfloat16 is no `np.floating` (its kind is 'V'), so it is told by its name.
    """
    return dtype in _FLOATS or getattr(dtype, "name", None) == "bfloat16"


def as_dtype(dtype: Any) -> np.dtype:
    """A NumPy dtype from a name, a type or a dtype; TypeError otherwise."""
    if dtype is float:
        return _Process.dtype
    try:
        return np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype: expected a name like 'float32', got {dtype!r}") from None


def default_dtype() -> np.dtype:
    """The dtype of tensors made from Python floats: float32 unless set."""
    return _Process.dtype


def set_default_dtype(dtype: Any) -> None:
    """Set the dtype of tensors made from Python floats, in every thread."""
    chosen = as_dtype(dtype)
    if not is_float(chosen):
        raise TypeError(f"set_default_dtype: expected a floating dtype, got {chosen}")
    _Process.dtype = chosen


# ---------------------------------------------------------------- what NumPy and CuPy do differently


def scatter_add(xp: ModuleType, target: Array, index: Any, values: Array) -> None:
    """target[index] += values in place, adding once per occurrence of an index."""
    if xp is np:
        np.add.at(target, index, values)
    else:
        importlib.import_module("cupyx").scatter_add(target, index, values)


def sum_runs(xp: ModuleType, rows: Array, starts: Array) -> Array:
    """The sums of rows[starts[i] : starts[i + 1]], in an order of its own: the same bits every time.

    CuPy has no reduceat, and its atomic additions come in any order. There each row adds the sums
    that end 1, 2, 4, ... rows before it, as far as they are of its run; the last row has them all.
    """
    if xp is np:
        return np.add.reduceat(rows, starts, axis=0)
    return scan_runs(xp, rows, starts)


def scan_runs(xp: ModuleType, rows: Array, starts: Array) -> Array:
    """sum_runs without reduceat."""
    ends = xp.concatenate((starts[1:], xp.full(1, len(rows), starts.dtype)))
    run = xp.zeros(len(rows), np.int64)
    run[starts] = 1
    age = xp.arange(len(rows)) - starts[xp.cumsum(run) - 1]  # rows since the run began
    step, longest = 1, int((ends - starts).max())
    while step < longest:
        here = (age[step:] >= step).reshape(-1, *(1,) * (rows.ndim - 1))
        before = xp.where(here, rows[:-step], xp.zeros((), rows.dtype))
        rows = xp.concatenate((rows[:step], rows[step:] + before))
        step *= 2
    return rows[ends - 1]


def check_index(xp: ModuleType, op: str, index: Array, size: int, axis: int) -> None:
    """CuPy wraps an index out of range round silently; both devices raise here."""
    if index.size == 0:
        return
    low, high = int(index.min()), int(index.max())
    if low < -size or high >= size:
        bad = low if low < -size else high
        raise IndexError(f"{op}: index {bad} is out of range for axis {axis} of size {size}")


def synchronize() -> None:
    """Wait for the GPU's queue; on the CPU there is nothing to wait for."""
    if _defaults.device.kind == "cuda":
        load_cupy().cuda.get_current_stream().synchronize()
