"""Resampling along an axis: each output is a weighted sum of a few neighbouring inputs.

A `Band` holds the few: a matrix whose rows have their non-zero elements side by side. Its transpose is
a band too, so one op is its own adjoint: `resample(x, band)`, gradient `resample(g, band.T)`. Interpolation
in two or three dimensions goes axis by axis.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.backend import Array, constant, is_float
from ..engine.op import op


class Band:
    """An (m, n) matrix: row i is weights[i] at columns first[i], first[i] + 1, ..."""

    def __init__(self, rows: np.ndarray, columns: np.ndarray, values: np.ndarray, shape: tuple[int, int]):
        """From the elements that are not zero; what stands twice adds up."""
        m, n = self.shape = shape
        self.first, last = np.full(m, n), np.zeros(m, int)
        np.minimum.at(self.first, rows, columns)
        np.maximum.at(last, rows, columns)
        self.first = np.minimum(self.first, last)
        self.weights = np.zeros((m, int(np.max(last - self.first, initial=0)) + 1))
        np.add.at(self.weights, (rows, columns - self.first[rows]), values)

    @functools.cached_property
    def T(self) -> Band:
        """The transposed matrix."""
        rows, taps = np.nonzero(self.weights)
        return Band(self.first[rows] + taps, rows, self.weights[rows, taps], self.shape[::-1])


@op(x=lambda g, band, axis: resample(g, band=band.T, axis=axis))
def resample(xp: Any, x: Array, *, band: Band, axis: int) -> Array:
    """The band's matrix times x along an axis of its length n; the axis becomes m long."""
    n = band.shape[1]
    along = (-1,) + (1,) * (x.ndim - axis - 1)
    y = None
    for k in range(band.weights.shape[1]):
        place = constant(xp, np.minimum(band.first + k, max(n - 1, 0)))
        part = xp.take(x, place, axis) * constant(xp, band.weights[:, k], x.dtype).reshape(along)
        y = part if y is None else xp.add(y, part, out=y)
    return y


@functools.lru_cache(maxsize=32)
def bins(n: int, m: int) -> Band:
    """Means of m bins over n elements: bin i spans floor(i n / m) to ceil((i + 1) n / m)."""
    start = np.arange(m) * n // max(m, 1)
    stop = -(-(np.arange(m) + 1) * n // max(m, 1))
    rows = np.repeat(np.arange(m), stop - start)
    columns = np.concatenate(
        [np.arange(a, b) for a, b in zip(start, stop, strict=True)] or [np.zeros(0, int)]
    )
    return Band(rows, columns, 1.0 / (stop - start)[rows], (m, n))


# ---------------------------------------------------------------- where outputs lie among inputs


def _step(n: int, m: int, align: bool, scale: float | None) -> float:
    """Inputs per output."""
    if align:
        return (n - 1) / (m - 1) if m > 1 else 0.0
    return 1.0 / scale if scale else n / m


@functools.lru_cache(maxsize=32)
def _nearest(n: int, m: int, scale: float | None, exact: bool, small: bool, double: bool) -> Band:
    """Each output repeats one input: floor(i s), or floor((i + 1/2) s) if exact.

    Where that is nearly whole, rounding decides. PyTorch's: in the dtype of x, then to float32; for `small`
    images (2-D, lengths adding up to 128) in float32, and m = n and 2n count as scales 1 and 2 unless exact.
    """
    work = np.float64 if double and not small else np.float32
    free = scale is None or (small and not exact and m in (n, 2 * n))
    step = work(n) / work(m) if free else work(1.0 / scale)
    place = (np.arange(m, dtype=work) + work(0.5 * exact)) * step
    place = np.minimum(np.floor(place.astype(np.float32)).astype(int), n - 1)
    return Band(np.arange(m), place, np.ones(m), (m, n))


def near(x: Any, a: float) -> Any:
    """The cubic convolution kernel for |x| < 1, with the slope a at 1: Keys 1981, equation 4. far: 1 to 2."""
    return ((a + 2) * x - (a + 3)) * x * x + 1


def far(x: Any, a: float) -> Any:
    """See near."""
    return a * (((x - 5) * x + 8) * x - 4)


def _cubic(x: np.ndarray, a: float) -> np.ndarray:
    x = np.abs(x)
    return np.where(x < 1, near(x, a), np.where(x < 2, far(x, a), 0.0))


def _hat(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0.0)


def _lanczos(x: np.ndarray) -> np.ndarray:
    """sinc(x) sinc(x / 3) for |x| < 3; Duchon 1979."""
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


KERNELS: dict[str, tuple[int, Callable, Callable]] = {  # reach, kernel, kernel when antialiasing
    "linear": (1, _hat, _hat),
    "cubic": (2, lambda x: _cubic(x, -0.75), lambda x: _cubic(x, -0.5)),
    "lanczos": (3, _lanczos, _lanczos),
}


@functools.lru_cache(maxsize=32)
def _interpolation(n: int, m: int, kind: str, align: bool, scale: float | None) -> Band:
    """Each output from the inputs around it; beyond the ends the last input stands on."""
    step, (reach, kernel, _) = _step(n, m, align, scale), KERNELS[kind]
    place = np.arange(m) * step if align else (np.arange(m) + 0.5) * step - 0.5
    if kind == "linear":
        place = np.arange(m) * 1.0 if n == m else np.maximum(place, 0.0)
    low = np.floor(place).astype(int)
    low = np.minimum(low, n - 1)
    fraction = np.clip(place - low, 0.0, 1.0)
    taps = np.arange(1 - reach, reach + 1)
    weights = kernel(fraction[:, None] - taps)
    columns = np.clip(low[:, None] + taps, 0, n - 1)
    return _of_taps(columns, weights, n)


@functools.lru_cache(maxsize=32)
def _antialiased(n: int, m: int, kind: str, align: bool, scale: float | None) -> Band:
    """The kernel widened to the step, so that shrinking averages; weights within the image add up to 1."""
    if n == m:
        return bins(n, n)
    step, (reach, _, kernel) = _step(n, m, align, scale), KERNELS[kind]
    width = max(step, 1.0)
    center = (np.arange(m) + 0.5) * step
    low = np.maximum((center - reach * width + 0.5).astype(int), 0)
    high = np.minimum((center + reach * width + 0.5).astype(int), n)
    columns = low[:, None] + np.arange(int(np.max(high - low)))
    weights = np.where(columns < high[:, None], kernel((columns - center[:, None] + 0.5) / width), 0.0)
    return _of_taps(np.minimum(columns, n - 1), weights / weights.sum(1, keepdims=True), n)


def _of_taps(columns: np.ndarray, weights: np.ndarray, n: int) -> Band:
    """A band from the columns and weights of each row, zeros left out."""
    rows, taps = np.nonzero(weights)
    return Band(rows, columns[rows, taps], weights[rows, taps], (len(columns), n))


# ---------------------------------------------------------------- interpolate

MODES = {  # kernel, axes of the input
    "linear": ("linear", 3), "bilinear": ("linear", 4), "trilinear": ("linear", 5),
    "bicubic": ("cubic", 4), "lanczos": ("lanczos", 4),
}  # fmt: skip
SIMPLE = ("nearest", "nearest-exact", "area")


def check_mode(name: str, mode: str, align_corners: bool | None, antialias: bool = False) -> None:
    """A mode that exists; align_corners and antialias only where they mean something."""
    if mode not in MODES and mode not in SIMPLE:
        raise ValueError(f"{name}: expected one of {', '.join([*SIMPLE, *MODES])} (mode={mode!r})")
    if mode in SIMPLE and align_corners is not None:
        raise ValueError(
            f"{name}: mode={mode!r} knows no align_corners, leave it None (align_corners={align_corners})"
        )
    if antialias and mode not in ("bilinear", "bicubic", "lanczos"):
        raise ValueError(
            f"{name}: antialias=True needs mode 'bilinear', 'bicubic' or 'lanczos' (mode={mode!r})"
        )
    if mode == "lanczos" and (align_corners or not antialias):
        raise ValueError(f"{name}: mode='lanczos' needs antialias=True and no align_corners")


def check_size_or_scale(name: str, size: Any, scale_factor: Any) -> None:
    """Exactly one of the two."""
    if (size is None) == (scale_factor is None):
        got = f"(size={size!r}, scale_factor={scale_factor!r})"
        raise ValueError(f"{name}: expected one of size and scale_factor {got}")


def _per_length(name: str, argument: str, given: Any, dims: int, fits: Callable[[Any], bool]) -> tuple:
    """A value per spatial axis from one or several."""
    values = tuple(given) if isinstance(given, tuple | list) else (given,) * dims
    if len(values) != dims or not all(fits(v) and v > 0 for v in values):
        raise ValueError(f"{name}: expected a number > 0, or {dims} of them ({argument}={given!r})")
    return values


def interpolate(
    x: Any, size: Any, scale_factor: Any, mode: str, align_corners: bool | None,
    recompute_scale_factor: bool | None, antialias: bool,
) -> Any:  # fmt: skip
    """x (N, C, ...) with new lengths, by PyTorch's arguments, checked."""
    name = "interpolate"
    check_mode(name, mode, align_corners, antialias)
    if not 3 <= x.ndim <= 5 or (mode in MODES and x.ndim != MODES[mode][1]):
        wanted = MODES[mode][1] if mode in MODES else "3, 4 or 5"
        raise ValueError(f"{name}: expected {wanted} axes for mode={mode!r}, got shape {x.shape}")
    if 0 in x.shape[1:]:
        raise ValueError(
            f"{name}: expected channels and lengths >= 1, only the batch may be empty, got shape {x.shape}"
        )
    if not mode.startswith("nearest") and not is_float(x.dtype):
        raise TypeError(
            f"{name}: mode={mode!r} needs a floating dtype, got {x.dtype}; use x.astype('float32')"
        )
    if recompute_scale_factor and size is not None:
        raise ValueError(f"{name}: recompute_scale_factor needs scale_factor (size={size!r})")
    lengths, scales = _lengths(name, x.shape[2:], size, scale_factor)
    scales = (None,) * len(lengths) if recompute_scale_factor else scales
    for axis, (m, scale) in enumerate(zip(lengths, scales, strict=True), start=2):
        n = x.shape[axis]
        if mode.startswith("nearest"):
            small = x.ndim == 4 and sum(lengths) <= 128
            band = _nearest(n, m, scale, mode == "nearest-exact", small, x.dtype == np.float64)
        elif mode == "area":
            band = bins(n, m)
        else:
            make = _antialiased if antialias else _interpolation
            band = make(n, m, MODES[mode][0], bool(align_corners), scale)
        x = resample(x, band=band, axis=axis)
    return x


def _lengths(name: str, shape: tuple, size: Any, scale_factor: Any) -> tuple[tuple, tuple]:
    """New lengths, and the scales to compute places by (None: the ratio of lengths)."""
    dims = len(shape)
    check_size_or_scale(name, size, scale_factor)
    if size is not None:
        whole = lambda v: isinstance(v, int | np.integer) and not isinstance(v, bool)
        return tuple(map(int, _per_length(name, "size", size, dims, whole))), (None,) * dims
    number = lambda v: isinstance(v, int | float | np.number) and not isinstance(v, bool) and math.isfinite(v)
    scales = tuple(map(float, _per_length(name, "scale_factor", scale_factor, dims, number)))
    lengths = tuple(int(n * s) for n, s in zip(shape, scales, strict=True))
    if 0 in lengths:
        raise ValueError(
            f"{name}: lengths {shape} times scale_factor={scale_factor!r} leave nothing; use a larger one"
        )
    return lengths, scales
