"""Padding layers: a border of `padding` elements, from the last axis back, around (C, ...) or (N, C, ...)."""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from ..ops.windows import per_axis
from .functional.pad import pad
from .module import Module

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _Pad(Module):
    """One number for every side, or (left, right, top, bottom, ...); negative ones crop."""

    _dims = 0
    _mode = "constant"

    def __init__(self, padding: Any) -> None:
        super().__init__()
        name, sides = type(self).__name__, 2 * self._dims
        if isinstance(padding, tuple | list) and len(padding) != sides:
            raise ValueError(f"{name}: expected one number or {sides} (padding={padding!r})")
        self.padding = per_axis(name, "padding", padding, sides, least=None)

    def forward(self, x: Tensor) -> Tensor:
        """x with its border."""
        if self._mode != "constant" and x.ndim - self._dims not in (1, 2):
            axes = f"{self._dims + 1} or {self._dims + 2} axes"
            raise ValueError(f"{type(self).__name__}: expected {axes}, got shape {x.shape}")
        return pad(x, self.padding, self._mode)

    def extra_repr(self) -> str:
        """The widths."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        """x with a border of `value`."""
        return pad(x, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        """The widths and the value."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """(..., L) -> (..., left + L + right), filled with `value`."""

    _dims = 1


class ConstantPad2d(_ConstantPad):
    """(..., H, W) -> (..., top + H + bottom, left + W + right), filled with `value`."""

    _dims = 2


class ConstantPad3d(_ConstantPad):
    """(..., D, H, W), a border of `value` on each of the three axes."""

    _dims = 3


class ZeroPad1d(_Pad):
    """(..., L) -> (..., left + L + right), filled with 0."""

    _dims = 1


class ZeroPad2d(_Pad):
    """(..., H, W) -> (..., top + H + bottom, left + W + right), filled with 0.

    >>> import minigrad as mg
    >>> mg.nn.ZeroPad2d((1, 0, 0, 1))(mg.ones(1, 1, 2))
    tensor([[[0., 1., 1.],
             [0., 0., 0.]]])
    """

    _dims = 2


class ZeroPad3d(_Pad):
    """(..., D, H, W), a border of 0 on each of the three axes."""

    _dims = 3


class ReflectionPad1d(_Pad):
    """A mirror at each end of (C, L) or (N, C, L), the edge not repeated: padding < L.

    >>> import minigrad as mg
    >>> mg.nn.ReflectionPad1d(2)(mg.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    _dims, _mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """A mirror around (C, H, W) or (N, C, H, W), the edge not repeated: padding < length."""

    _dims, _mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """A mirror around (C, D, H, W) or (N, C, D, H, W), the edge not repeated: padding < length."""

    _dims, _mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """(C, L) or (N, C, L) with its edge elements repeated."""

    _dims, _mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """(C, H, W) or (N, C, H, W) with its edge elements repeated."""

    _dims, _mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """(C, D, H, W) or (N, C, D, H, W) with its edge elements repeated."""

    _dims, _mode = 3, "replicate"


class CircularPad1d(_Pad):
    """(C, L) or (N, C, L) continued at its other end: padding <= L."""

    _dims, _mode = 1, "circular"


class CircularPad2d(_Pad):
    """(C, H, W) or (N, C, H, W) continued at the other ends: padding <= length."""

    _dims, _mode = 2, "circular"


class CircularPad3d(_Pad):
    """(C, D, H, W) or (N, C, D, H, W) continued at the other ends: padding <= length."""

    _dims, _mode = 3, "circular"
