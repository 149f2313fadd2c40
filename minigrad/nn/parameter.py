"""Parameter and Buffer: the tensors that a module holds, and how a layer makes its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.backend import as_dtype, default_device, default_dtype, to_device
from ..engine.tensor import Tensor

__all__ = ["Buffer", "Parameter"]


class Parameter(Tensor):
    """A Tensor that a module learns: a leaf that requires grad."""

    __slots__ = ()

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        super().__init__(np.zeros(0, np.float32) if data is None else data)
        self._node = None
        if requires_grad:
            self.requires_grad_()

    def __deepcopy__(self, memo: dict) -> Parameter:
        twin = super().__deepcopy__(memo)
        twin.grad = None  # a copied model begins without gradients
        return twin  # type: ignore[return-value]

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A Tensor that belongs to a module's state but is not learned; persistent: saved with it."""

    __slots__ = ("persistent",)

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        super().__init__(np.zeros(0, np.float32) if data is None else data)
        self._node = None
        self.persistent = persistent

    def __deepcopy__(self, memo: dict) -> Buffer:
        twin = super().__deepcopy__(memo)
        twin.persistent = self.persistent  # type: ignore[attr-defined]
        return twin  # type: ignore[return-value]

    def __reduce__(self) -> tuple:
        return (*super().__reduce__(), (None, {"persistent": self.persistent}))


def as_parameter(value: Any) -> Any:
    """A tensor as a Parameter of the same memory; anything else as it is."""
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def new_parameter(*shape: int, device: Any = None, dtype: Any = None) -> Parameter:
    """An unset parameter of the given shape."""
    raw = np.empty(shape, default_dtype() if dtype is None else as_dtype(dtype))
    return Parameter(to_device(raw, default_device() if device is None else type(default_device())(device)))


def check_size(layer: str, **sizes: Any) -> None:
    """Sizes must be whole numbers >= 1: refuse at construction, by name."""
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{layer}: expected a whole number >= 1 ({name}={value!r})")
