"""Max pooling by places: with PyTorch's flat indices, over adaptive and random windows, and back again.

`window_argmax` finds where each window's maximum lies and `pick` takes it: the gradient is that of indexing.
Windows are given by tables of positions, one a spatial axis.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ..engine import random as stream
from ..engine.backend import Array, constant, to_numpy, xp_of
from ..engine.flags import check_range
from ..engine.op import op
from .index import plain_index, put, take_index
from .shape import reshape
from .windows import as_given, batched, per_axis


@op(x=None)
def window_argmax(xp: Any, x: Array, *, tables: tuple) -> Array:
    """Where the largest element of each window lies, counted within its plane; the last NaN, else the first.

    x (N, C, ...). A table per spatial axis, (out, k) or one per plane (N, C, out, k): the k positions
    of each window on that axis. A position may stand twice.
    """
    planes = x.shape[:2]
    flat = x.reshape(*planes, math.prod(x.shape[2:]))
    best = index = None
    for at in itertools.product(*[range(t.shape[-1]) for t in tables]):
        place = constant(xp, _places(tables, at, x.shape[2:]))
        if tables[0].ndim == 2:
            here = flat[:, :, place]
        else:
            here = xp.take_along_axis(flat, place.reshape(*planes, math.prod(place.shape[2:])), 2).reshape(
                place.shape
            )
        if best is None:
            best, index = here, xp.broadcast_to(place, here.shape).copy()
        else:
            larger = (here > best) | (here != here)
            best, index = xp.where(larger, here, best), xp.where(larger, place, index)
    return index


def _places(tables: tuple, at: tuple, lengths: tuple) -> np.ndarray:
    """Flat positions of element `at` of every window."""
    first, *rest = [t[..., k] for t, k in zip(tables, at, strict=True)]
    for axis, (t, n) in enumerate(zip(rest, lengths[1:], strict=True), start=1):
        first = first[..., None] * n + t.reshape(*t.shape[:-1], *(1,) * axis, t.shape[-1])
    return first


def _whole(index: Any, length: int) -> Any:
    """Indices within planes (N, C, ...) as flat indices into all planes, one axis."""
    raw = plain_index(index)
    xp, (n, c) = xp_of(raw), raw.shape[:2]
    starts = xp.arange(n * c).reshape(n, c, *(1,) * (raw.ndim - 2)) * length
    return (raw + starts).reshape(-1)


def pick(x: Any, index: Any) -> Any:
    """x (N, C, ...) at flat indices (N, C, *out), each counted within its plane."""
    taken = take_index(reshape(x, (-1,)), index=_whole(index, math.prod(x.shape[2:])))
    return reshape(taken, np.shape(index))


# ---------------------------------------------------------------- tables


def window_table(n: int, out: int, k: int, s: int, pads: tuple, d: int) -> np.ndarray:
    """(out, k): the positions of regular windows; those on the border become the nearest ones inside."""
    start = np.arange(out)[:, None] * s - pads[0]
    low = start + -(-np.maximum(-start, 0) // d) * d
    high = start + np.maximum(n - 1 - start, 0) // d * d
    return np.clip(start + np.arange(k) * d, low, high)


def _bin_table(n: int, m: int) -> np.ndarray:
    """(m, k): the positions of each of m bins over n elements, the last one repeated to fill the row."""
    start = np.arange(m) * n // max(m, 1)
    stop = -(-(np.arange(m) + 1) * n // max(m, 1))
    return np.minimum(start[:, None] + np.arange(max(stop - start, default=1)), stop[:, None] - 1)


# ---------------------------------------------------------------- adaptive


def check_output_size(name: str, output_size: Any, dims: int) -> tuple[int | None, ...]:
    """output_size as one length per axis; None, which keeps a length, only where there are several axes."""
    given = tuple(output_size) if isinstance(output_size, tuple | list) else (output_size,) * dims
    if len(given) != dims or (dims == 1 and None in given):
        raise ValueError(f"{name}: expected {dims} lengths (output_size={output_size!r})")
    per_axis(name, "output_size", tuple(0 if m is None else m for m in given), dims, least=0)
    return given


def wanted_lengths(name: str, x: Any, output_size: Any, dims: int) -> tuple[int, ...]:
    """The lengths of the output."""
    given = check_output_size(name, output_size, dims)
    return tuple(n if m is None else m for m, n in zip(given, x.shape[2:], strict=True))


def adaptive_max_poolnd(x: Any, output_size: Any, dims: int) -> tuple[Any, Any]:
    """Maxima over the bins of adaptive_avg_poolnd, and where each lies."""
    name = f"adaptive_max_pool{dims}d"
    images = batched(name, x, dims)
    wanted = wanted_lengths(name, images, output_size, dims)
    tables = tuple(_bin_table(n, m) for n, m in zip(images.shape[2:], wanted, strict=True))
    index = window_argmax(images, tables=tables)
    return as_given(x, pick(images, index), index)


def check_ratio(name: str, output_size: Any, output_ratio: Any, dims: int) -> tuple:
    """One of output_size and output_ratio, per axis; the other is None."""
    if (output_size is None) == (output_ratio is None):
        raise ValueError(
            f"{name}: expected one of output_size and output_ratio "
            f"(output_size={output_size!r}, output_ratio={output_ratio!r})"
        )
    if output_ratio is None:
        return per_axis(name, "output_size", output_size, dims), None
    ratios = tuple(output_ratio) if isinstance(output_ratio, tuple | list) else (output_ratio,) * dims
    if len(ratios) != dims or not all(isinstance(r, float) and 0 < r < 1 for r in ratios):
        raise ValueError(f"{name}: expected {dims} ratios between 0 and 1 (output_ratio={output_ratio!r})")
    return None, ratios


def fractional_max_poolnd(
    x: Any, kernel_size: Any, output_size: Any, output_ratio: Any, samples: Any, dims: int
) -> tuple[Any, Any]:
    """Maxima over windows that start at random, and where each lies. Graham 2014, pseudorandom, overlapping.

    Window i of m starts at floor(a (i + u)) - floor(a u), a = (n - k) / (m - 1), the last at n - k.
    `samples` holds u in [0, 1) for every plane and axis: (N, C, dims), in 2-D the last axis first.
    """
    name = f"fractional_max_pool{dims}d"
    images = batched(name, x, dims)
    kernel = per_axis(name, "kernel_size", kernel_size, dims)
    wanted, ratios = check_ratio(name, output_size, output_ratio, dims)
    lengths = images.shape[2:]
    wanted = wanted or tuple(int(n * r) for n, r in zip(lengths, ratios, strict=True))
    for n, k, m in zip(lengths, kernel, wanted, strict=True):
        if m + k - (dims == 2) > n:  # in 3-D PyTorch asks for one more
            raise ValueError(f"{name}: {m} windows of {k} do not fit into {n} elements, want fewer")
    u = _samples(name, images, samples, dims)
    u = u[..., ::-1] if dims == 2 else u
    tables = tuple(
        _random_table(u[..., i], *sizes) for i, sizes in enumerate(zip(lengths, wanted, kernel, strict=True))
    )
    index = window_argmax(images, tables=tables)
    return as_given(x, pick(images, index), index)


def _samples(name: str, x: Any, given: Any, dims: int) -> np.ndarray:
    """(N, C, dims) numbers in [0, 1), drawn if none are given."""
    if given is None:
        return stream.default_generator.random((*x.shape[:2], dims), x.dtype)
    n, c = x.shape[:2]
    if given.ndim != 3 or given.shape[0] < n or given.shape[1:] != (c, dims):
        raise ValueError(f"{name}: expected _random_samples of shape {(n, c, dims)}, got {given.shape}")
    if given.dtype != x.dtype:
        raise TypeError(f"{name}: expected _random_samples of dtype {x.dtype}, got {given.dtype}")
    return to_numpy(getattr(given, "_data", given))[:n]


def _random_table(u: np.ndarray, n: int, m: int, k: int) -> np.ndarray:
    """(N, C, m, k): the positions of each window, for one u a plane."""
    start = np.full((*u.shape, m), n - k)
    if m > 1:
        u = u[..., None]
        step = u.dtype.type(n - k) / u.dtype.type(m - 1)
        moved = ((np.arange(m - 1).astype(u.dtype) + u) * step).astype(int)
        start[..., :-1] = moved - (u * step).astype(int)
    return start[..., None] + np.arange(k)


def max_unpoolnd(
    x: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Any, dims: int
) -> Any:
    """Zeros with x at the flat indices that max pooling returned; every x receives what lies at its index."""
    name = f"max_unpool{dims}d"
    if np.shape(indices) != np.shape(x):
        raise ValueError(f"{name}: expected indices of shape {x.shape}, got {np.shape(indices)}")
    raw = plain_index(indices)
    if raw.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integer indices, got {raw.dtype}")
    images = batched(name, x, dims)
    out = _unpooled(name, images.shape[2:], kernel_size, stride, padding, output_size, dims)
    length = math.prod(out)
    told = f"{name}: expected indices in [0, {length}) for an output {out}, got"
    if not isinstance(raw, np.ndarray):
        check_range(xp_of(raw), raw, 0, length - 1, ValueError, f"{told} {{value}} at {{place}}")
        low, high = 0, -1
    else:
        low, high = (int(raw.min()), int(raw.max())) if raw.size else (0, -1)
    if low < 0 or high >= length:
        raise ValueError(f"{told} {low} to {high}")
    empty = xp_of(raw).zeros(math.prod(images.shape[:2]) * length, x.dtype)
    y = put(empty, reshape(images, (-1,)), index=_whole(raw.reshape(images.shape), length))
    return as_given(x, reshape(y, (*images.shape[:2], *out)))


def _unpooled(
    name: str, lengths: tuple, kernel_size: Any, stride: Any, padding: Any, output_size: Any, dims: int
) -> tuple:
    """(n - 1) stride - 2 padding + kernel on each axis, or output_size if it is less than a stride away."""
    kernel = per_axis(name, "kernel_size", kernel_size, dims)
    stride = kernel if stride is None else per_axis(name, "stride", stride, dims)
    pads = per_axis(name, "padding", padding, dims, least=0)
    usual = tuple((n - 1) * s - 2 * p + k for n, k, s, p in zip(lengths, kernel, stride, pads, strict=True))
    out = usual if output_size is None else tuple(output_size)
    out = out[2:] if len(out) == dims + 2 else out
    if len(out) != dims or any(
        not u - s < n < u + s or n < 0 for n, u, s in zip(out, usual, stride, strict=True)
    ):
        raise ValueError(
            f"{name}: expected {dims} lengths, each less than its stride {stride} "
            f"away from {usual} (output_size={output_size!r})"
        )
    return out
