"""Sequences cut, moved, made noisy and warped in time.

A batch of sequences is (N, ..., L); `axis` is where time runs, the last unless said: 1 for (N, L, C).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...engine.random import Generator
from .base import check_stream

__all__ = [
    "GaussianNoise",
    "RandomNoise",
    "RandomSequenceCrop",
    "RandomShift",
    "TimeWarp",
]


def _time_axis(name: str, x: np.ndarray, axis: int) -> int:
    """The axis counted from the front; 0 is the batch."""
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{name}: expected an array, got {type(x).__name__}; use .numpy()")
    if x.ndim < 2 or not -x.ndim < axis < x.ndim or axis % x.ndim == 0:
        raise ValueError(
            f"{name}: expected sequences (N, ..., L) with time on axis {axis}, got shape {x.shape}"
        )
    return axis % x.ndim


def _take(x: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
    """Sequence i read at the places at[i] (N, M)."""
    shape = [len(x)] + [1] * (x.ndim - 1)
    shape[axis] = at.shape[1]
    return np.take_along_axis(x, at.reshape(shape), axis)


class RandomSequenceCrop:
    """A piece of each sequence, `length` long, from a place of its own. Keeps the dtype."""

    def __init__(self, length: int, axis: int = -1) -> None:
        if isinstance(length, bool) or not isinstance(length, int | np.integer) or length < 1:
            raise ValueError(f"RandomSequenceCrop: expected a whole number >= 1 (length={length!r})")
        self.length, self.axis = length, axis

    def __call__(self, x: np.ndarray, generator: Generator) -> np.ndarray:
        axis = _time_axis("RandomSequenceCrop", x, self.axis)
        check_stream("RandomSequenceCrop", generator)
        room = x.shape[axis] - self.length
        if room < 0:
            raise ValueError(
                f"RandomSequenceCrop: expected sequences of at least {self.length}, got {x.shape}"
            )
        start = np.floor(generator.random(len(x)) * (room + 1)).astype(np.int64)
        return _take(x, start[:, None] + np.arange(self.length), axis)


class RandomShift:
    """Each sequence moved by a whole number of steps, at most `shift` either way. Keeps the dtype.

    What comes in is `fill`; with wrap=True it is what went out at the other end.
    """

    def __init__(self, shift: int, fill: float = 0, wrap: bool = False, axis: int = -1) -> None:
        if isinstance(shift, bool) or not isinstance(shift, int | np.integer) or shift < 0:
            raise ValueError(f"RandomShift: expected a whole number >= 0 (shift={shift!r})")
        self.shift, self.fill, self.wrap, self.axis = shift, fill, wrap, axis

    def __call__(self, x: np.ndarray, generator: Generator) -> np.ndarray:
        axis = _time_axis("RandomShift", x, self.axis)
        check_stream("RandomShift", generator)
        length = x.shape[axis]
        moved = np.floor(generator.random(len(x)) * (2 * self.shift + 1)).astype(np.int64) - self.shift
        at = np.arange(length) - moved[:, None]
        out = _take(x, at % max(length, 1), axis)
        if not self.wrap:
            shape = [len(x)] + [1] * (x.ndim - 1)
            shape[axis] = length
            outside = np.broadcast_to(((at < 0) | (at >= length)).reshape(shape), x.shape)
            out[outside] = self.fill
        return out


class GaussianNoise:
    """x + mean + sigma z, z normal; sigma may be a range that each item draws from.

    With clip, for images, the result stays in [0, 1]. Floats only.
    """

    def __init__(self, mean: float = 0.0, sigma: Any = 0.1, clip: bool = True) -> None:
        pair = tuple(sigma) if isinstance(sigma, list | tuple) else (sigma, sigma)
        if len(pair) != 2 or not 0 <= pair[0] <= pair[1]:
            raise ValueError(f"GaussianNoise: expected a number >= 0 or a range (sigma={sigma})")
        self.mean, self.sigma, self.clip = mean, pair, clip

    def __call__(self, x: np.ndarray, generator: Generator) -> np.ndarray:
        check_stream("GaussianNoise", generator)
        if x.dtype.kind != "f":
            raise TypeError(f"GaussianNoise: expected floats, got {x.dtype}; put ToFloat() before it")
        low, high = self.sigma
        sigma = low + generator.random(len(x)) * (high - low)
        sigma = sigma.astype(x.dtype).reshape(-1, *(1,) * (x.ndim - 1))
        out = x + (x.dtype.type(self.mean) + sigma * generator.standard_normal(x.shape, x.dtype))
        return np.clip(out, 0, 1) if self.clip else out


class RandomNoise(GaussianNoise):
    """x + sigma z, z normal, of any size; sigma may be a range that each item draws from. Floats only."""

    def __init__(self, sigma: Any = 0.1) -> None:
        super().__init__(0.0, sigma, clip=False)


class TimeWarp:
    """Each sequence played at a speed that changes smoothly; beginning, end and length stay.

    The speed's logarithm is normal with deviation `sigma` at `knots` even places, and linear between them.
    Values between two steps are interpolated linearly. Floats only. Um et al. 2017.
    """

    def __init__(self, sigma: float = 0.2, knots: int = 4, axis: int = -1) -> None:
        if not sigma >= 0:
            raise ValueError(f"TimeWarp: expected a number >= 0 (sigma={sigma})")
        if isinstance(knots, bool) or not isinstance(knots, int | np.integer) or knots < 2:
            raise ValueError(f"TimeWarp: expected a whole number >= 2 (knots={knots!r})")
        self.sigma, self.knots, self.axis = sigma, knots, axis

    def __call__(self, x: np.ndarray, generator: Generator) -> np.ndarray:
        axis = _time_axis("TimeWarp", x, self.axis)
        check_stream("TimeWarp", generator)
        if x.dtype.kind != "f":
            raise TypeError(f"TimeWarp: expected floats, got {x.dtype}; use ToFloat()")
        length = x.shape[axis]
        if length < 2:
            return x.copy()
        at = self.places(length, generator.standard_normal((len(x), self.knots)))
        before = np.clip(np.floor(at), 0, length - 2).astype(np.int64)
        shape = [len(x)] + [1] * (x.ndim - 1)
        shape[axis] = length
        part = (at - before).reshape(shape).astype(x.dtype)
        left, right = _take(x, before, axis), _take(x, before + 1, axis)
        return left + part * (right - left)

    def places(self, length: int, z: np.ndarray) -> np.ndarray:
        """Where each step reads (N, length), from 0 to length - 1, for the normal numbers z (N, knots)."""
        step = np.linspace(0, self.knots - 1, length - 1)  # of each interval, in knots
        k = np.minimum(step.astype(np.int64), self.knots - 2)
        part = step - k
        speed = np.exp(self.sigma * ((1 - part) * z[:, k] + part * z[:, k + 1]))
        way = np.concatenate((np.zeros((len(z), 1)), np.cumsum(speed, 1)), 1)
        return way * ((length - 1) / way[:, -1:])
