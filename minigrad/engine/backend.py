"""Devices and dtypes: the file that knows there are two array libraries.

Every op receives `xp`, the library its arrays belong to: NumPy on the CPU, CuPy on a GPU.
What the two do differently lives here, one named function each; only gpu.py, which loads it, names CuPy.
"""

from __future__ import annotations

import collections
import importlib
import re
import threading
from types import ModuleType
from typing import Any

import numpy as np

from . import flags, gpu
from .gpu import at_device, library_of, loaded
from .gpu import load_cupy as load_cupy
from .live import capturing

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
        self.index = int(found[2]) if found[2] else _defaults.gpu if self.kind == "cuda" else 0
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
        set_default_device(_defaults.formers.pop())

    @property
    def xp(self) -> ModuleType:
        """The array library of this device; TypeError if it cannot be used here."""
        return np if self.kind == "cpu" else at_device(self.index)


CPU = Device("cpu")
device = Device  # PyTorch's name


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.device: Device = CPU
        self.gpu = 0  # what "cuda" means: mg.cuda.set_device
        self.formers: list[Device] = []  # what the open `with device(...)` will restore


class _Process:
    dtype = np.dtype("float32")


_defaults = _PerThread()


def default_device() -> Device:
    """Where new arrays are born (per thread)."""
    return _defaults.device


def set_default_device(name: str | Device) -> None:
    """Make `name` the place where new arrays are born, in this thread."""
    chosen = Device(name)
    _ = chosen.xp  # an unusable device is refused now, not at the first array; CuPy's arrays are born there
    _defaults.device = chosen


def current_gpu() -> int:
    """The number of the GPU that "cuda" means in this thread."""
    return _defaults.gpu


def set_current_gpu(index: int) -> None:
    """Let "cuda" mean that GPU, in this thread."""
    at_device(index)
    _defaults.gpu = index
    if _defaults.device.kind == "cuda":
        _defaults.device = Device(f"cuda:{index}")


def xp_of(array: Array) -> ModuleType:
    """The library that `array` belongs to."""
    if isinstance(array, np.ndarray | np.generic):
        return np
    return np if is_number(array) else gpu.library_at(array)


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
        return to_numpy(array)
    if here.kind == "cpu":
        gpu.refuse_bfloat16(array.dtype)
        gpu.tell("h2d", "to_device", array.nbytes)
    return target.xp.array(array)


def to_numpy(array: Array) -> np.ndarray:
    """The array on the CPU: itself if it is there, else one device-to-host copy.

    That waits for the GPU, so it is where wrong labels and indices are told (see flags.py).
    """
    if isinstance(array, np.ndarray):
        return array
    gpu.tell("d2h", "to_numpy", array.nbytes)
    there = array.get()
    flags.read()
    return there


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
    if isinstance(dtype, str) and dtype == "bfloat16":
        return _bfloat16()
    try:
        return np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype: expected a name like 'float32', got {dtype!r}") from None


def _bfloat16() -> np.dtype:
    """NumPy's bfloat16 comes from a package, also for arrays on a GPU."""
    try:
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    except ImportError:
        raise TypeError("dtype: 'bfloat16' needs the package ml_dtypes; pip install ml_dtypes") from None


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


def matmul(xp: ModuleType, a: Array, b: Array, out: Array | None = None) -> Array:
    """xp.matmul of stacks of matrices; on a GPU by cuBLAS itself.

    CuPy's copies its operands, cannot multiply stacks of bfloat16, and refuses to be captured in a graph.
    """
    if xp is not np:
        linalg = importlib.import_module("minigrad_kernels.cuda.linalg")
        dtype = a.dtype if a.dtype == b.dtype else np.result_type(np.float32, a.dtype, b.dtype)
        a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)
        if out is not None and out.size and a.size and out.dtype == dtype:
            return linalg.matmul_into(a, b, out)
        y = linalg.matmul(a, b) if out is None else NotImplemented
        if y is not NotImplemented:
            return y
    return xp.matmul(a, b, out=out)


def concatenate(xp: ModuleType, arrays: Any, axis: int = 0) -> Array:
    """xp.concatenate of arrays that fit together.

    CuPy sends the addresses of more than AT_ONCE arrays to the GPU, a copy at every call that no CUDA graph
    can hold: so many are written to their places one by one.
    """
    arrays = list(arrays)
    if xp is np or len(arrays) <= AT_ONCE:
        return xp.concatenate(arrays, axis)
    axis %= arrays[0].ndim
    shape = list(arrays[0].shape)
    shape[axis] = sum(a.shape[axis] for a in arrays)
    y, start = xp.empty(tuple(shape), np.result_type(*{a.dtype for a in arrays})), 0
    for a in arrays:
        stop = start + a.shape[axis]
        y[(*(slice(None),) * axis, slice(start, stop))] = a
        start = stop
    return y


def stack(xp: ModuleType, arrays: Any) -> Array:
    """xp.stack of arrays of one shape, in the same way."""
    return concatenate(xp, [a[None] for a in arrays])


AT_ONCE = 8


def scatter_add(xp: ModuleType, target: Array, index: Any, values: Array) -> None:
    """target[index] += values in place, adding once per occurrence of an index."""
    if xp is np:
        np.add.at(target, index, values)
    else:
        library_of("cupyx").scatter_add(target, index, values)


def sum_runs(xp: ModuleType, rows: Array, starts: Array) -> Array:
    """The sums of rows[starts[i] : starts[i + 1]], in an order of its own: the same bits every time."""
    return np.add.reduceat(rows, starts, axis=0)


def running_sums(xp: ModuleType, rows: Array, runs: Array) -> Array:
    """For each row the sum of its run (equal numbers in `runs`, sorted) up to it: the run's last has it all.

    Where there is no reduceat, and atomic additions come in any order: each row adds the sums that end 1, 2,
    4, ... rows before it, as far as they are of its run. How long the longest run is only the device knows,
    so all log2(n) passes are made.
    """
    step = 1
    while step < len(rows):
        here = (runs[step:] == runs[:-step]).reshape(-1, *(1,) * (rows.ndim - 1))
        before = xp.where(here, rows[:-step], xp.zeros((), rows.dtype))
        rows = xp.concatenate((rows[:step], rows[step:] + before))
        step *= 2
    return rows


_constants: collections.OrderedDict[tuple, Array] = collections.OrderedDict()
_captured: dict[tuple, Array] = {}  # those whose addresses a CUDA graph knows: never given up
CONSTANTS = 256  # how many others are kept


def constant(xp: ModuleType, table: Any, dtype: Any = None, key: Any = None) -> Array:
    """A small table made by Python (positions, weights of pixels) where xp's arrays are: never written to.

    It goes over once: the next call with the same numbers gets the array that is there already. Or with the
    same `key`, which says all that the numbers depend on; then `table` is a function that makes them.
    """
    if xp is np:
        return np.asarray(table if key is None else table(), dtype)
    if key is None:
        table = np.asarray(table, dtype)
        key = (table.shape, table.tobytes())
    key = (xp, xp.cuda.runtime.getDevice(), np.dtype(dtype or table.dtype), key)
    found = _constants.get(key)
    if found is None:
        found = _constants[key] = xp.asarray(np.asarray(table() if callable(table) else table, dtype))
    _constants.move_to_end(key)
    if capturing():
        _captured[key] = found
    if len(_constants) > CONSTANTS:
        _constants.popitem(last=False)
    return found


def check_index(xp: ModuleType, op: str, index: Array, size: int, axis: int) -> None:
    """CuPy wraps an index out of range round silently: look, here or (at the next read) on the device."""
    if not isinstance(index, np.ndarray):
        text = f"{op}: index {{value}} is out of range for axis {axis} of size {size}"
        flags.check_range(xp, index, -size, size - 1, IndexError, text)
        return
    if index.size == 0:
        return
    low, high = int(index.min()), int(index.max())
    if low < -size or high >= size:
        bad = low if low < -size else high
        raise IndexError(f"{op}: index {bad} is out of range for axis {axis} of size {size}")


def synchronize(index: int | None = None) -> None:
    """Wait for a GPU, and hear what it found wrong; without one there is nothing to wait for."""
    cupy = loaded()
    if cupy is not None:
        with cupy.cuda.Device(current_gpu() if index is None else index) as there:
            there.synchronize()
        flags.read()
