"""Sampling images at arbitrary points, and affine grids of points. Jaderberg et al. 2015.

Points are (x, y) or (x, y, z), the image's last axis first, from -1 to 1 over the image. All is composed of
plain ops, so gradients of any order exist, in the image and in the points.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.backend import Array, constant, is_float, xp_of
from .elementwise import abs, remainder, where
from .index import take_index
from .linalg import matmul
from .resample import far, near
from .shape import moveaxis, reshape, swapaxes

SAMPLING = ("bilinear", "nearest", "bicubic")
PADDINGS = ("zeros", "border", "reflection")


def _raw(x: Any) -> Array:
    return getattr(x, "_data", x)


# ---------------------------------------------------------------- places


def _pixels(x: Any, n: int, align: bool) -> Any:
    """From -1 .. 1 to 0 .. n - 1: the ends are pixel centres (align) or pixel edges."""
    return (x + 1.0) * (0.5 * (n - 1)) if align else (x + 1.0) * (0.5 * n) - 0.5


def _padded(x: Any, n: int, padding: str, align: bool) -> Any:
    """Places brought into the image: cut off at its border, or reflected there first. NaN becomes 0."""
    if padding == "zeros":
        return x
    if padding == "reflection":
        x = _reflected(x, 0.0, n - 1.0) if align else _reflected(x, -0.5, n - 0.5)
    raw = _raw(x)
    ends = (raw >= n - 1).astype(raw.dtype) * (n - 1.0)
    return where((raw > 0) & (raw < n - 1), x, ends)


def _reflected(x: Any, low: float, high: float) -> Any:
    """x folded into [low, high] by mirrors at both ends."""
    span = high - low
    if span == 0:
        return x * 0.0
    away = abs(x - low)
    rest = remainder(away, span)
    return where(_raw(away) // span % 2 == 1, span - rest, rest) + low


def _neighbours(x: Any, mode: str) -> list[tuple[Array, Any]]:
    """Places on one axis as (pixel, weight) each; the weights carry the gradient."""
    xp = xp_of(_raw(x))
    if mode == "nearest":
        return [(xp.rint(_raw(x)), 1.0)]
    low = xp.floor(_raw(x))
    t = x - low
    if mode == "bilinear":
        return [(low, 1.0 - t), (low + 1, t)]
    a = -0.75
    return [
        (low - 1, far(t + 1.0, a)),
        (low, near(t, a)),
        (low + 1, near(1.0 - t, a)),
        (low + 2, far(2.0 - t, a)),
    ]


# ---------------------------------------------------------------- sampling


def _flat(pixels: Sequence[Array], lengths: Sequence[int]) -> tuple[Array, Array]:
    """Pixels (N, P) per axis as rows among N * all pixels, and which lie inside (others name any pixel)."""
    xp, inside, flat = xp_of(pixels[0]), True, 0
    for at, n in zip(pixels, lengths, strict=True):
        inside = inside & (at >= 0) & (at < n)
        flat = flat * n + xp.where((at >= 0) & (at < n), at, 0.0).astype(np.int64)
    return flat + xp.arange(len(flat))[:, None] * math.prod(lengths), inside


def grid_sample(x: Any, grid: Any, mode: str, padding_mode: str, align: bool) -> Any:
    """x (N, C, H, W) at the points of grid (N, *out, 2) -> (N, C, *out); or (N, C, D, H, W) and 3.

    A point's value is the sum over neighbouring pixels of weight times pixel; outside is 0 ("zeros"), the
    nearest pixel ("border") or the mirrored image ("reflection").
    """
    _check(x, grid, mode, padding_mode)
    n, c, *lengths = x.shape
    out = grid.shape[1:-1]
    rows = reshape(moveaxis(x, 1, -1), (n * math.prod(lengths), c))
    axes = []
    for axis, length in enumerate(lengths):
        place = _pixels(reshape(grid[..., len(lengths) - 1 - axis], (n, math.prod(out))), length, align)
        inner, outer = (padding_mode, "zeros") if mode != "bicubic" else ("zeros", padding_mode)
        near_by = _neighbours(_padded(place, length, inner, align), mode)
        axes.append([(_padded(pixel, length, outer, align), weight) for pixel, weight in near_by])
    y = 0.0
    for corner in itertools.product(*axes):
        index, inside = _flat([pixel for pixel, _ in corner], lengths)
        weight = inside.astype(grid.dtype)
        for _, one in corner:
            weight = one * weight
        taken = reshape(take_index(rows, index=index.reshape(-1)), (*index.shape, c))
        y = taken * reshape(weight, (*index.shape, 1)) + y
    return reshape(moveaxis(y, -1, 1), (n, c, *out))


def _check(x: Any, grid: Any, mode: str, padding_mode: str) -> None:
    """What PyTorch rejects."""
    name, dims = "grid_sample", x.ndim - 2
    if mode not in SAMPLING or padding_mode not in PADDINGS:
        raise ValueError(
            f"{name}: expected mode of {', '.join(SAMPLING)} and padding_mode of {', '.join(PADDINGS)} "
            f"(mode={mode!r}, padding_mode={padding_mode!r})"
        )
    if dims not in ((2,) if mode == "bicubic" else (2, 3)) or 0 in x.shape[2:]:
        told = "4 axes" if mode == "bicubic" else "4 or 5 axes"
        raise ValueError(
            f"{name}: expected an image of {told} with lengths >= 1 (mode={mode!r}), got {x.shape}"
        )
    if grid.ndim != x.ndim or grid.shape[0] != x.shape[0] or grid.shape[-1] != dims:
        wanted = (x.shape[0], *("DHW"[-dims:]), dims)
        raise ValueError(
            f"{name}: expected a grid {wanted} for x of {x.shape}, got {grid.shape}".replace("'", "")
        )
    if grid.dtype != x.dtype or not is_float(x.dtype):
        raise TypeError(f"{name}: expected x and grid of one floating dtype, got {x.dtype} and {grid.dtype}")


# ---------------------------------------------------------------- affine grids


def _line(n: int, align: bool) -> np.ndarray:
    """The centres of n pixels over -1 to 1: the first and last at the ends (align) or half a pixel inside."""
    if n == 1:
        return np.zeros(1)
    return np.linspace(-1.0, 1.0, n) * (1.0 if align else (n - 1) / n)


def affine_grid(theta: Any, size: Sequence[int], align: bool) -> Any:
    """The points theta (p, 1)^T for every pixel p of images of `size`: (N, 2, 3) -> (N, H, W, 2), or 3-D."""
    name, size = "affine_grid", tuple(size)
    if len(size) not in (4, 5) or not all(isinstance(m, int | np.integer) and m >= 1 for m in size):
        raise ValueError(f"{name}: expected size (N, C, H, W) or (N, C, D, H, W), all >= 1 (size={size})")
    n, _, *lengths = size
    dims = len(lengths)
    if theta.shape != (n, dims, dims + 1):
        raise ValueError(f"{name}: expected theta {(n, dims, dims + 1)} for size={size}, got {theta.shape}")
    if not is_float(theta.dtype):
        raise TypeError(f"{name}: expected theta of a floating dtype, got {theta.dtype}")
    axes = np.meshgrid(*[_line(m, align) for m in lengths], indexing="ij")
    points = np.stack([*axes[::-1], np.ones_like(axes[0])], axis=-1).reshape(-1, dims + 1)
    xp = xp_of(_raw(theta))
    moved = matmul(constant(xp, points, theta.dtype), swapaxes(theta, -1, -2))
    return reshape(moved, (n, *lengths, dims))
