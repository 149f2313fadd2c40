"""Ops that move elements without changing them: their gradients move back."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine import backend
from ..engine.adjoint import broadcast_to
from ..engine.backend import Array
from ..engine.op import op
from ..engine.spelling import spelt_either_way
from ..engine.tensor import NUMPY, Tensor

__all__ = [
    "array_split", "atleast_1d", "atleast_2d", "chunk", "concatenate", "copy", "expand_dims", "flatten",
    "flip", "hstack", "moveaxis", "permute", "ravel", "repeat", "reshape", "roll", "split", "squeeze",
    "stack", "swapaxes", "tile", "transpose", "vstack",
]  # fmt: skip


def axes_of(op_name: str, axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Axes as non-negative ints, in order; None means all."""
    if axis is None:
        return tuple(range(ndim))
    axes = (axis,) if isinstance(axis, int | np.integer) else tuple(axis)
    for a in axes:
        if not ndim:
            raise ValueError(f"{op_name}: a tensor of shape () has no axes (axis={axis})")
        if not -ndim <= a < ndim:
            raise ValueError(f"{op_name}: expected an axis in [{-ndim}, {ndim - 1}] (axis={axis})")
    found = tuple(sorted(a % ndim for a in axes))
    if len(set(found)) != len(found):
        raise ValueError(f"{op_name}: expected each axis once (axis={axis})")
    return found


def _flat_ints(values: tuple) -> tuple[int, ...]:
    """(2, 3) from f(2, 3) and from f((2, 3))."""
    if len(values) == 1 and not isinstance(values[0], int | np.integer):
        values = tuple(values[0])
    return tuple(int(v) for v in values)


# ---------------------------------------------------------------- form


@op(x=lambda g: g)
def copy(xp: Any, x: Array) -> Array:
    """The same elements in memory of their own."""
    return x.copy()


@op(x=lambda g, x_shape: reshape(g, x_shape))
def reshape(xp: Any, x: Array, *, shape: int | tuple[int, ...]) -> Array:
    """The same elements, in C order, in another shape; one length may be -1.

    >>> import minigrad as mg
    >>> mg.arange(6).reshape(2, 3)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    try:
        return x.reshape(shape)
    except ValueError:
        raise ValueError(f"reshape: {x.size} elements of {x.shape} do not fit (shape={shape})") from None


def inverse_of(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The order of axes that undoes the order `axes`."""
    return tuple(sorted(range(len(axes)), key=lambda i: axes[i] % len(axes)))


@op(x=lambda g, axes: transpose(g, None if axes is None else inverse_of(axes)))
def transpose(xp: Any, x: Array, *, axes: tuple[int, ...] | None = None) -> Array:
    """Axes in another order, reversed by default.

    >>> import minigrad as mg
    >>> mg.zeros((2, 3)).T.shape
    (3, 2)
    """
    if axes is not None and sorted(a % max(x.ndim, 1) for a in axes) != list(range(x.ndim)):
        raise ValueError(f"transpose: expected each of the {x.ndim} axes once (axes={axes})")
    return x.transpose(axes)


def _transpose_method(self: Tensor, *axes: Any) -> Tensor:
    """t.transpose(): reversed; two ints: exchanged, as in PyTorch; else NumPy's order of axes."""
    if len(axes) == 2:
        return swapaxes(self, *axes)
    return transpose(self, _flat_ints(axes) if axes and axes[0] is not None else None)


def permute(x: Any, *axes: Any) -> Any:
    """PyTorch's transpose to a given order: permute(x, 1, 0) or permute(x, (1, 0))."""
    return transpose(x, tuple(a % np.ndim(x) if np.ndim(x) else a for a in _flat_ints(axes)))


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Axes axis1 and axis2 exchanged."""
    (a,), (b,) = axes_of("swapaxes", axis1, np.ndim(x)), axes_of("swapaxes", axis2, np.ndim(x))
    order = list(range(np.ndim(x)))
    order[a], order[b] = order[b], order[a]
    return transpose(x, tuple(order))


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Axes `source` moved to the places `destination`, the others in order."""
    ndim = np.ndim(x)
    src = [axes_of("moveaxis", a, ndim)[0] for a in np.atleast_1d(source).tolist()]
    dst = [axes_of("moveaxis", a, ndim)[0] for a in np.atleast_1d(destination).tolist()]
    if len(src) != len(dst) or len(set(src)) != len(src) or len(set(dst)) != len(dst):
        raise ValueError(
            f"moveaxis: expected as many distinct places (source={source}, destination={destination})"
        )
    order = [a for a in range(ndim) if a not in src]
    for place, a in sorted(zip(dst, src, strict=True)):
        order.insert(place, a)
    return transpose(x, tuple(order))


@spelt_either_way
def expand_dims(x: Any, axis: int | tuple[int, ...]) -> Any:
    """New axes of length 1 at the given places of the result."""
    count = 1 if isinstance(axis, int | np.integer) else len(axis)
    places = axes_of("expand_dims", axis, np.ndim(x) + count)
    rest = iter(np.shape(x))
    return reshape(x, tuple(1 if i in places else next(rest) for i in range(np.ndim(x) + count)))


@spelt_either_way
def squeeze(x: Any, axis: int | tuple[int, ...] | None = None) -> Any:
    """Without axes of length 1: all of them, or those named."""
    shape = np.shape(x)
    axes = (
        tuple(i for i, n in enumerate(shape) if n == 1)
        if axis is None
        else axes_of("squeeze", axis, len(shape))
    )
    for a in axes:
        if shape[a] != 1:
            raise ValueError(f"squeeze: axis {a} has length {shape[a]}, expected 1 (axis={axis})")
    return reshape(x, tuple(n for i, n in enumerate(shape) if i not in axes))


def atleast_1d(x: Any) -> Any:
    """x with one axis or more."""
    return x if np.ndim(x) else reshape(x, (1,))


def atleast_2d(x: Any) -> Any:
    """x with two axes or more: a vector becomes a row."""
    return x if np.ndim(x) > 1 else reshape(x, (1, -1))


def ravel(x: Any) -> Any:
    """All elements in one row."""
    return reshape(x, (-1,))


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Axes start_dim to end_dim joined into one (PyTorch's argument names).

    >>> import minigrad as mg
    >>> mg.flatten(mg.zeros((2, 3, 4)), 1).shape
    (2, 12)
    """
    shape = np.shape(x)
    if not shape:
        return reshape(x, (1,))
    (first,), (last,) = axes_of("flatten", start_dim, len(shape)), axes_of("flatten", end_dim, len(shape))
    if first > last:
        raise ValueError(f"flatten: expected start_dim <= end_dim (start_dim={start_dim}, end_dim={end_dim})")
    return reshape(x, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


def expand(x: Any, *shape: Any) -> Any:
    """PyTorch's broadcast_to; -1 keeps a length."""
    wanted = _flat_ints(shape)
    lead = len(wanted) - np.ndim(x)
    return broadcast_to(x, tuple(np.shape(x)[i - lead] if n == -1 else n for i, n in enumerate(wanted)))


# ---------------------------------------------------------------- joining and splitting


def _cut_apart(g: Any, needs: tuple, saved: tuple, axis: int) -> tuple:
    """Each input's gradient is its own stretch of g."""
    ends = itertools.accumulate(saved)
    before = (slice(None),) * (axis % g.ndim)
    return tuple(g[(*before, slice(e - n, e))] for e, n in zip(ends, saved, strict=True))


@op(joint=_cut_apart, extra=True)
def _concatenate(xp: Any, *arrays: Array, axis: int = 0) -> tuple[Array, tuple]:
    """The arrays one after another along an axis."""
    return backend.concatenate(xp, arrays, axis), tuple(a.shape[axis] for a in arrays)


@spelt_either_way
def concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    """The arrays one after another along an axis; flattened first if axis is None.

    >>> import minigrad as mg
    >>> a = mg.tensor([1.0], requires_grad=True)
    >>> (mg.concatenate([a, a]) * mg.tensor([2.0, 3.0])).sum().backward()
    >>> a.grad
    tensor([5.])
    """
    arrays = list(arrays)
    if not arrays:
        raise ValueError("concatenate: expected at least one array, got none")
    if axis is None:
        arrays, axis = [ravel(a) for a in arrays], 0
    shapes = [np.shape(a) for a in arrays]
    (axis,) = axes_of("concatenate", axis, len(shapes[0]))
    for i, s in enumerate(shapes):
        if len(s) != len(shapes[0]) or any(
            m != n for k, (m, n) in enumerate(zip(s, shapes[0], strict=True)) if k != axis
        ):
            raise ValueError(
                f"concatenate: expected shapes equal but for axis {axis}, got {shapes[0]} and {s} at {i}"
            )
    return _concatenate(*arrays, axis=axis)


@spelt_either_way
def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """The arrays side by side along a new axis.

    >>> import minigrad as mg
    >>> mg.stack([mg.zeros(3), mg.ones(3)]).shape
    (2, 3)
    """
    arrays = list(arrays)
    shapes = [np.shape(a) for a in arrays]
    if not arrays or any(s != shapes[0] for s in shapes):
        raise ValueError(f"stack: expected one or more arrays of one shape, got {shapes}")
    return concatenate([expand_dims(a, axis) for a in arrays], axis)


def hstack(arrays: Sequence[Any]) -> Any:
    """Joined along the second axis; 1-d arrays along the first."""
    arrays = [reshape(a, (1,)) if np.ndim(a) == 0 else a for a in arrays]
    return concatenate(arrays, 0 if arrays and np.ndim(arrays[0]) == 1 else 1)


def vstack(arrays: Sequence[Any]) -> Any:
    """Rows on top of each other."""
    return concatenate([reshape(a, (1, -1)) if np.ndim(a) < 2 else a for a in arrays], 0)


def array_split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list:
    """Parts along an axis: that many nearly equal ones, or cut before the given indices."""
    (axis,) = axes_of("array_split", axis, np.ndim(x))
    n = np.shape(x)[axis]
    if isinstance(indices_or_sections, int | np.integer):
        parts = int(indices_or_sections)
        if parts < 1:
            raise ValueError(f"array_split: expected at least 1 part (indices_or_sections={parts})")
        sizes = [n // parts + (i < n % parts) for i in range(parts)]
        cuts = np.cumsum(sizes).tolist()[:-1]
    else:
        cuts = [int(c) for c in indices_or_sections]
    before = (slice(None),) * axis
    return [x[(*before, slice(a, b))] for a, b in zip([0, *cuts], [*cuts, n], strict=True)]


def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list:
    """NumPy's split: equal parts along an axis, or cut before the given indices."""
    if isinstance(indices_or_sections, int | np.integer) and np.shape(x)[axis] % int(indices_or_sections):
        n = np.shape(x)[axis]
        raise ValueError(
            f"split: {n} elements do not divide equally (indices_or_sections={indices_or_sections})"
        )
    return array_split(x, indices_or_sections, axis)


def chunk(x: Any, chunks: int, dim: int = 0) -> list:
    """PyTorch's chunk: at most `chunks` parts of ceil(n / chunks)."""
    n = np.shape(x)[dim]
    size = max(1, -(-n // chunks))
    return array_split(x, list(range(size, n, size)), dim)


# ---------------------------------------------------------------- repeating and turning


def tile(x: Any, reps: int | Sequence[int]) -> Any:
    """x laid side by side reps times along each axis."""
    reps = (reps,) if isinstance(reps, int | np.integer) else tuple(reps)
    ndim = max(np.ndim(x), len(reps))
    shape = (1,) * (ndim - np.ndim(x)) + np.shape(x)
    reps = (1,) * (ndim - len(reps)) + reps
    paired = tuple(k for n in shape for k in (1, n))
    spread = tuple(k for r, n in zip(reps, shape, strict=True) for k in (r, n))
    whole = tuple(r * n for r, n in zip(reps, shape, strict=True))
    return reshape(broadcast_to(reshape(x, paired), spread), whole)


def repeat(x: Any, repeats: int | Sequence[int], axis: int | None = None) -> Any:
    """Each element `repeats` times (one number, or one per element) in a row along an axis."""
    if axis is None:
        x, axis = ravel(x), 0
    (axis,) = axes_of("repeat", axis, np.ndim(x))
    shape = np.shape(x)
    if not isinstance(repeats, int | np.integer):
        times = np.asarray(repeats)
        if times.dtype.kind not in "iu" or times.shape != (shape[axis],) or (times < 0).any():
            raise ValueError(
                f"repeat: expected a number >= 0, or {shape[axis]} of them (repeats={repeats!r})"
            )
        return x[(*(slice(None),) * axis, np.repeat(np.arange(shape[axis]), times))]
    if repeats < 0:
        raise ValueError(f"repeat: expected a number >= 0 (repeats={repeats})")
    spread = (*shape[: axis + 1], int(repeats), *shape[axis + 1 :])
    whole = (*shape[:axis], shape[axis] * int(repeats), *shape[axis + 1 :])
    return reshape(broadcast_to(expand_dims(x, axis + 1), spread), whole)


@op(x=lambda g, axis: flip(g, axis))
def flip(xp: Any, x: Array, *, axis: int | tuple | None = None) -> Array:
    """Elements in reverse order along the axes (all by default)."""
    axes = axes_of("flip", axis, x.ndim)
    return x[tuple(slice(None, None, -1) if i in axes else slice(None) for i in range(x.ndim))]


def _back(shift: Any) -> Any:
    return -shift if isinstance(shift, int) else tuple(-s for s in shift)


@op(x=lambda g, shift, axis: roll(g, _back(shift), axis))
def roll(xp: Any, x: Array, *, shift: int | tuple, axis: int | tuple | None = None) -> Array:
    """Elements moved along the axes; what falls off the end returns at the start."""
    return xp.roll(x, shift, axis)


NUMPY[np.shape] = lambda x: x.shape
NUMPY[np.ndim] = lambda x: x.ndim
NUMPY[np.size] = lambda x, axis=None: x.size if axis is None else x.shape[axis]
NUMPY[np.reshape] = reshape
NUMPY[np.transpose] = transpose
NUMPY[np.swapaxes] = Tensor.swapaxes = swapaxes
NUMPY[np.moveaxis] = Tensor.moveaxis = moveaxis
NUMPY[np.expand_dims] = Tensor.unsqueeze = expand_dims
NUMPY[np.squeeze] = Tensor.squeeze = squeeze
NUMPY[np.atleast_1d], NUMPY[np.atleast_2d] = atleast_1d, atleast_2d
NUMPY[np.ravel] = Tensor.ravel = ravel
NUMPY[np.concatenate] = concatenate
NUMPY[np.stack] = stack
NUMPY[np.hstack] = hstack
NUMPY[np.vstack] = vstack
NUMPY[np.split] = split
NUMPY[np.array_split] = array_split
NUMPY[np.tile] = Tensor.tile = tile
NUMPY[np.repeat] = repeat
NUMPY[np.flip] = Tensor.flip = flip
NUMPY[np.roll] = Tensor.roll = roll
NUMPY[np.copy] = Tensor.clone = Tensor.copy = copy
Tensor.flatten = flatten
Tensor.expand = expand
Tensor.permute = permute
Tensor.chunk = chunk
Tensor.reshape = Tensor.view = lambda self, *shape: reshape(self, _flat_ints(shape))
Tensor.transpose = _transpose_method
Tensor.T = property(transpose)
Tensor.mT = property(lambda self: swapaxes(self, -1, -2))
