"""Padding: a border of one value, or one copied from inside, whose gradient goes back where it came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..engine.backend import Array
from ..engine.op import op
from ..engine.tensor import NUMPY, Tensor

__all__ = ["pad"]

MODES = {"reflect": "reflect", "edge": "edge", "replicate": "edge", "wrap": "wrap", "circular": "wrap"}


def _crop(g: Any, width: tuple) -> Any:
    return g[tuple(slice(a, n - b) for (a, b), n in zip(width, np.shape(g), strict=True))]


@op(x=lambda g, width: _crop(g, width))
def pad_constant(xp: Any, x: Array, *, width: tuple, value: float = 0.0) -> Array:
    """x with a border of `value`: (before, after) elements on each axis."""
    y = xp.full(tuple(a + n + b for (a, b), n in zip(width, x.shape, strict=True)), value, dtype=x.dtype)
    y[tuple(slice(a, a + n) for (a, _), n in zip(width, x.shape, strict=True))] = x
    return y


def _borders(before: int, n: int, after: int, mode: str) -> Iterator[tuple[slice, slice, bool]]:
    """Where each border of one padded axis lies, where its elements come from, and whether they turn round.

    Both in padded coordinates, in which the original lies at before .. before + n.
    """
    end = before + n
    if before:
        source = {
            "reflect": slice(before + 1, 2 * before + 1),
            "edge": slice(before, before + 1),
            "wrap": slice(n, end),
        }
        yield slice(0, before), source[mode], mode == "reflect"
    if after:
        source = {
            "reflect": slice(end - 1 - after, end - 1),
            "edge": slice(end - 1, end),
            "wrap": slice(before, before + after),
        }
        yield slice(end, end + after), source[mode], mode == "reflect"


# One axis after another, so that corners are borders of borders. Axes commute, for the adjoint too.


@op(x=lambda g, width, mode: pad_border_sum(g, width=width, mode=mode))
def pad_border(xp: Any, x: Array, *, width: tuple, mode: str) -> Array:
    """x with borders copied from itself: 'reflect' (without the edge), 'edge', 'wrap'."""
    y = xp.empty(tuple(a + n + b for (a, b), n in zip(width, x.shape, strict=True)), x.dtype)
    y[tuple(slice(a, a + n) for (a, _), n in zip(width, x.shape, strict=True))] = x
    for axis, ((a, b), n) in enumerate(zip(width, x.shape, strict=True)):
        for border, source, turn in _borders(a, n, b, mode):
            lead = (slice(None),) * axis
            piece = y[(*lead, source)]
            y[(*lead, border)] = xp.flip(piece, axis) if turn else piece
    return y


@op(x=lambda g, width, mode: pad_border(g, width=width, mode=mode))
def pad_border_sum(xp: Any, x: Array, *, width: tuple, mode: str) -> Array:
    """The adjoint of pad_border: each border element is added where it was copied from."""
    y = x.copy()
    lengths = [m - a - b for (a, b), m in zip(width, x.shape, strict=True)]
    for axis, ((a, b), n) in enumerate(zip(width, lengths, strict=True)):
        for border, source, turn in _borders(a, n, b, mode):
            lead = (slice(None),) * axis
            piece = y[(*lead, border)]
            if mode == "edge":
                piece = piece.sum(axis, keepdims=True)
            y[(*lead, source)] += xp.flip(piece, axis) if turn else piece
    return xp.ascontiguousarray(y[tuple(slice(a, a + n) for (a, _), n in zip(width, lengths, strict=True))])


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
    for axis, ((before, after), n) in enumerate(zip(width, np.shape(x), strict=True)):
        if not (before or after):
            continue
        if n == 0:
            raise ValueError(f"pad: axis {axis} is empty; only mode='constant' can pad it")
        room = n - 1 if mode == "reflect" else n
        if MODES[mode] != "edge" and max(before, after) > room:
            raise ValueError(
                f"pad: {mode} allows at most {room} on axis {axis} of length {n}, got {before, after}"
            )
    return pad_border(x, width=width, mode=MODES[mode])


NUMPY[np.pad] = lambda x, pad_width, mode="constant", constant_values=0.0: pad(
    x, pad_width, mode, constant_values
)
Tensor.pad = pad
