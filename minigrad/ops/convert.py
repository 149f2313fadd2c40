"""Changing dtype and device: a gradient comes back in the dtype and on the device it left from."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import backend, gpu
from ..engine.adjoint import cast
from ..engine.backend import Array, Device, as_dtype, device_of
from ..engine.op import op
from ..engine.recording import effect
from ..engine.tensor import Tensor, wrap

__all__ = ["transfer"]


@op(x=lambda g, source: transfer(g, target=source, source=str(g.device)))
def transfer(xp: Any, x: Array, *, target: str, source: str, non_blocking: bool = False) -> Array:
    """A copy of x on another device."""
    there = Device(target)
    if non_blocking and there.kind == "cuda" and isinstance(x, np.ndarray):
        _ = there.xp
        return gpu.sent(x)
    return backend.to_device(x, there)


def to(self: Tensor, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False) -> Tensor:
    """t.to("cuda"), t.to("float64"), t.to(dtype=..., device=...) or t.to(other): PyTorch's forms.

    The tensor itself if nothing changes. non_blocking: from pinned memory to a GPU Python does not wait for
    the copy. Raises TypeError for a device that is not there.
    """
    for arg in args:
        if isinstance(arg, Tensor):
            dtype, device = arg.dtype, arg.device
        elif isinstance(arg, Device) or (isinstance(arg, str) and arg.partition(":")[0] in ("cpu", "cuda")):
            device = arg
        elif isinstance(arg, bool):  # PyTorch's to(device, dtype, non_blocking)
            non_blocking = arg
        else:
            dtype = arg
    result = self
    if device is not None and Device(device) != self.device:
        _ = Device(device).xp  # a device that is not there is refused with its remedy
        places = {"target": str(Device(device)), "source": str(device_of(self._data))}
        result = transfer(result, **places, non_blocking=non_blocking)
    if dtype is not None and as_dtype(dtype) != result.dtype:
        result = cast(result, dtype=as_dtype(dtype))
    return result


@effect
def pin_memory(self: Tensor) -> Tensor:
    """A copy in page-locked memory, itself if it lies there: .to("cuda", non_blocking=True) need not wait.

    Raises TypeError for a tensor on a GPU, and where there is no GPU.
    """
    if not isinstance(self._data, np.ndarray):
        raise TypeError(f"pin_memory: expected a tensor on the CPU, got one on {self.device}")
    return self if gpu.is_pinned(self._data) else wrap(gpu.pinned(self._data), None)


Tensor.to = to
Tensor.pin_memory = pin_memory
Tensor.is_pinned = lambda self: gpu.is_pinned(self._data)
Tensor.cpu = lambda self: to(self, "cpu")
Tensor.cuda = lambda self, device="cuda", non_blocking=False: to(self, device, non_blocking=non_blocking)
Tensor.double = lambda self: to(self, "float64")
Tensor.float = lambda self: to(self, "float32")
Tensor.half = lambda self: to(self, "float16")
Tensor.bfloat16 = lambda self: to(self, "bfloat16")
Tensor.long = lambda self: to(self, "int64")
Tensor.int = lambda self: to(self, "int32")
Tensor.bool = lambda self: to(self, "bool")
Tensor.type_as = lambda self, other: to(self, other.dtype)
Tensor.contiguous = lambda self: self
Tensor.numel = lambda self: self._data.size
Tensor.dim = lambda self: self.ndim
