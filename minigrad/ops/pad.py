"""Padding: each mode is an index or a border, so its gradient folds the border back in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.backend import Array
from ..engine.op import op
from ..engine.tensor import NUMPY, Tensor
from .index import take
from .shape import axes_of

MODES = {"reflect": "reflect", "edge": "edge", "replicate": "edge", "wrap": "wrap", "circular": "wrap"}


def _crop(g: Any, width: tuple) -> Any:
    return g[tuple(slice(a, n - b) for (a, b), n in zip(width, np.shape(g), strict=True))]


@op(x=lambda g, width: _crop(g, width))
def pad_constant(xp: Any, x: Array, *, width: tuple, value: float = 0.0) -> Array:
    """x with a border of `value`: (before, after) elements on each axis."""
    y = xp.full(tuple(a + n + b for (a, b), n in zip(width, x.shape, strict=True)), value, dtype=x.dtype)
    y[tuple(slice(a, a + n) for (a, _), n in zip(width, x.shape, strict=True))] = x
    return y


def _widths(pad_width: Any, ndim: int) -> tuple[tuple[int, int], ...]:
    """NumPy's pad_width as one (before, after) per axis."""
    try:
        widths = np.broadcast_to(np.asarray(pad_width), (ndim, 2))
    except ValueError:
        raise ValueError(
            f"pad: expected (before, after) for each of {ndim} axes (pad_width={pad_width})"
        ) from None
    if widths.dtype.kind not in "iu" or (widths < 0).any():
        raise ValueError(f"pad: expected whole numbers >= 0 (pad_width={pad_width})")
    return tuple((int(a), int(b)) for a, b in widths)


def pad(x: Any, pad_width: int | Sequence, mode: str = "constant", constant_values: float = 0.0) -> Any:
    """x with a border: NumPy's pad_width; modes constant, reflect, edge (replicate), wrap (circular).

    >>> import minigrad as mg
    >>> mg.pad(mg.tensor([1.0, 2.0, 3.0]), 2, mode="reflect")
    tensor([3., 2., 1., 2., 3., 2., 1.])
    """
    width = _widths(pad_width, np.ndim(x))
    if mode == "constant":
        return pad_constant(x, width=width, value=constant_values)
    if mode not in MODES:
        raise ValueError(f"pad: expected constant, {', '.join(MODES)} (mode={mode!r})")
    for axis, (before, after) in enumerate(width):
        n = np.shape(x)[axis]
        room = n - 1 if mode == "reflect" else n
        if mode not in ("edge", "replicate") and max(before, after) > room:
            raise ValueError(
                f"pad: {mode} allows at most {room} on axis {axis} of length {n}, got {before, after}"
            )
        if before or after:
            if n == 0:
                raise ValueError(f"pad: axis {axis} is empty; only mode='constant' can pad it")
            x = take(
                x,
                np.pad(np.arange(n), (before, after), mode=MODES[mode]),
                axes_of("pad", axis, np.ndim(x))[0],
            )
    return x


NUMPY[np.pad] = lambda x, pad_width, mode="constant", constant_values=0.0: pad(
    x, pad_width, mode, constant_values
)
Tensor.pad = pad
