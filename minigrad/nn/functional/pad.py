"""Padding with PyTorch's signature."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...engine.tensor import Tensor
from ...ops.pad import pad as _pad

__all__ = [
    "pad",
]

MODES = ("constant", "reflect", "replicate", "circular")


def pad(input: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """x with borders of (left, right, top, bottom, ...) elements, last axis first; negative ones crop.

    mode 'constant' fills with `value` (0 if None), 'reflect' mirrors without repeating the edge, 'replicate'
    repeats the edge, 'circular' continues at the other end. All but 'constant' pad the last one, two or
    three axes of inputs that have one or two axes more: (C, L) or (N, C, L), and so on.

    Raises ValueError for an odd number of widths, too many of them, a crop longer than the axis, and a
    border wider than x can fill: reflect needs pad < length, circular pad <= length.

    >>> import minigrad as mg
    >>> mg.nn.functional.pad(mg.tensor([[1.0, 2.0, 3.0]]), (2, -1))
    tensor([[0., 0., 1., 2.]])
    >>> mg.nn.functional.pad(mg.tensor([[1.0, 2.0, 3.0]]), (1, 2), mode="circular")
    tensor([[3., 1., 2., 3., 1., 2.]])
    """
    widths = _checked(input.ndim, pad, mode, value)
    pairs = [(0, 0)] * (input.ndim - len(widths) // 2) + list(zip(widths[-2::-2], widths[::-2], strict=True))
    borders = [(max(a, 0), max(b, 0)) for a, b in pairs]
    if mode == "constant":
        return _pad(_cropped(input, pairs), borders, mode, 0.0 if value is None else value)
    if mode == "circular":
        return _pad(_cropped(input, pairs), borders, mode)
    first = input.ndim - len(widths) // 2 - 1  # the channels: only a batch may be empty
    if 0 in input.shape[first:]:
        raise ValueError(f"pad: expected an input that is not empty for mode={mode!r}, got {input.shape}")
    if any(n + a + b < 1 for n, (a, b) in zip(input.shape[first:], pairs[first:], strict=True)):
        raise ValueError(f"pad: {mode} must leave an element on each axis (pad={widths}), got {input.shape}")
    # A mirror shows what is cropped at the other end, so the borders come first here.
    return _cropped(_pad(input, borders, mode), pairs)


def _checked(ndim: int, pad: Any, mode: str, value: float | None) -> tuple[int, ...]:
    """The widths, if PyTorch would take them."""
    if not isinstance(pad, tuple | list) or any(
        isinstance(w, bool) or not isinstance(w, int | np.integer) for w in pad
    ):
        raise TypeError(f"pad: expected a tuple of whole numbers, two for each axis (pad={pad!r})")
    if mode not in MODES:
        raise ValueError(f"pad: expected one of {', '.join(MODES)} (mode={mode!r})")
    axes = len(pad) // 2
    if len(pad) % 2 or axes > ndim:
        raise ValueError(f"pad: expected pairs for at most {ndim} axes (pad={tuple(pad)})")
    if mode != "constant":
        if value:
            raise ValueError(f"pad: a value is for mode='constant' only (value={value}, mode={mode!r})")
        if axes not in (1, 2, 3) or ndim - axes not in (1, 2):
            raise ValueError(
                f"pad: {mode} pads the last 1, 2 or 3 axes of inputs with one or two axes more "
                f"(pad={tuple(pad)}), got {ndim} axes"
            )
    return tuple(int(w) for w in pad)


def _cropped(x: Tensor, pairs: list[tuple[int, int]]) -> Tensor:
    """x without what negative widths take off."""
    if all(a >= 0 and b >= 0 for a, b in pairs):
        return x
    cut = [(max(-a, 0), max(-b, 0)) for a, b in pairs]
    for axis, ((a, b), n) in enumerate(zip(cut, x.shape, strict=True)):
        if a + b > n:
            raise ValueError(f"pad: cannot crop {a} + {b} elements from axis {axis} of length {n}")
    return x[tuple(slice(a, n - b) for (a, b), n in zip(cut, x.shape, strict=True))]
