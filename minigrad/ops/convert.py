"""Changing dtype and device: a gradient comes back in the dtype and on the device it left from."""

from __future__ import annotations

from typing import Any

from ..engine import backend
from ..engine.adjoint import cast
from ..engine.backend import Array, Device, as_dtype, device_of
from ..engine.op import op
from ..engine.tensor import Tensor

__all__ = ["transfer"]


@op(x=lambda g, source: transfer(g, target=source, source=str(g.device)))
def transfer(xp: Any, x: Array, *, target: str, source: str) -> Array:
    """A copy of x on another device."""
    return backend.to_device(x, Device(target))


def to(self: Tensor, *args: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """t.to("cuda"), t.to("float64"), t.to(dtype=..., device=...) or t.to(other): PyTorch's forms.

    The tensor itself if nothing changes. Raises TypeError for a device that is not there.
    """
    for arg in args:
        if isinstance(arg, Tensor):
            dtype, device = arg.dtype, arg.device
        elif isinstance(arg, Device) or (isinstance(arg, str) and arg.partition(":")[0] in ("cpu", "cuda")):
            device = arg
        else:
            dtype = arg
    result = self
    if device is not None and Device(device) != self.device:
        _ = Device(device).xp  # a device that is not there is refused with its remedy
        result = transfer(result, target=str(Device(device)), source=str(device_of(self._data)))
    if dtype is not None and as_dtype(dtype) != result.dtype:
        result = cast(result, dtype=as_dtype(dtype))
    return result


Tensor.to = to
Tensor.cpu = lambda self: to(self, "cpu")
Tensor.cuda = lambda self, device="cuda": to(self, device)
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
