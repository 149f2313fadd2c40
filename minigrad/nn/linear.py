"""Linear layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.backend import as_dtype, default_device, default_dtype, to_device
from ..engine.tensor import Tensor
from ..ops.linear import linear
from . import init
from .module import Module, Parameter

__all__ = [
    "Linear",
]


def check_size(layer: str, **sizes: Any) -> None:
    """Sizes must be whole numbers >= 1: refuse at construction, by name."""
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{layer}: expected a whole number >= 1 ({name}={value!r})")


def new_parameter(*shape: int, device: Any = None, dtype: Any = None) -> Parameter:
    """An unset parameter of the given shape."""
    raw = np.empty(shape, default_dtype() if dtype is None else as_dtype(dtype))
    return Parameter(to_device(raw, default_device() if device is None else type(default_device())(device)))


def _wrong_width(x: Tensor, wanted: int) -> str:
    """Say what came; where x was flattened just before, say out of what."""
    node = x.node
    if x.ndim == 2 and node is not None and node.op is not None and node.op.name == "reshape":
        before = node.inputs[0].shape
        if len(before) > 2 and before[0] == x.shape[0]:
            n, sizes = x.shape[1], "*".join(map(str, before[1:]))
            return f"Linear: Flatten gives {n} = {sizes}, Linear expects {wanted}; set in_features={n}"
    return f"Linear: expected in_features={wanted}, got x of shape {x.shape}"


class Linear(Module):
    """y = x W^T + b: (..., in_features) -> (..., out_features).

    >>> from minigrad import nn
    >>> nn.Linear(3, 2)
    Linear(in_features=3, out_features=2, bias=True)
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        check_size("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = new_parameter(out_features, in_features, device=device, dtype=dtype)
        self.bias = new_parameter(out_features, device=device, dtype=dtype) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again from uniform +-1/sqrt(in_features)."""
        init.layer_default_(self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x W^T + b."""
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(_wrong_width(x, self.in_features))
        return linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Widths."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
        )
