"""Transforms of whole batches of images (N, C, H, W), drawn from a given random stream.

A transform is anything called as transform(images, generator). One that draws nothing ignores the generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..engine.random import Generator

Transform = Callable[[np.ndarray, Generator], np.ndarray]


def _check(name: str, images: np.ndarray) -> None:
    """Images come in batches, channels first."""
    if images.ndim != 4:
        raise ValueError(f"{name}: expected images (N, C, H, W), got shape {images.shape}; reshape them")


class Compose:
    """One transform after another; each draws from a stream of its own."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self.transforms = list(transforms)

    def __call__(self, images: np.ndarray, generator: Generator | None = None) -> np.ndarray:
        for i, transform in enumerate(self.transforms):
            images = transform(images, generator.fork(i) if generator is not None else None)
        return images


class RandomAffine:
    """Each image turned, moved, stretched and slanted at random, sampled bilinearly, zeros outside.

    degrees: largest angle. translate: largest shift as a fraction of width and height. scale: lowest
    and highest factor, drawn for each axis. shear: largest angle in degrees. All are uniform, and drawn
    in one go for the batch. (N, C, H, W) -> the same shape, float32 (bytes too: 255 stays 255).
    Simard, Steinkraus & Platt 2003.

    >>> import numpy as np
    >>> from minigrad.data.transforms import RandomAffine
    >>> from minigrad.engine.random import Generator
    >>> ones = np.ones((1, 1, 3, 3), np.float32)
    >>> bool((RandomAffine()(ones, Generator(0)) == ones).all())  # nothing asked, nothing changed
    True
    """

    def __init__(
        self,
        degrees: float = 0.0,
        translate: tuple[float, float] = (0.0, 0.0),
        scale: tuple[float, float] = (1.0, 1.0),
        shear: float = 0.0,
    ) -> None:
        if not 0 < scale[0] <= scale[1]:
            raise ValueError(f"RandomAffine: expected 0 < lowest <= highest (scale={scale})")
        if degrees < 0 or min(translate) < 0 or not 0 <= shear < 90:
            raise ValueError(
                "RandomAffine: expected degrees and shifts >= 0 and 0 <= shear < 90 "
                f"(degrees={degrees}, translate={translate}, shear={shear})"
            )
        self.degrees, self.translate, self.scale, self.shear = degrees, translate, scale, shear

    def __call__(self, images: np.ndarray, generator: Generator) -> np.ndarray:
        _check("RandomAffine", images)
        if generator is None:
            raise ValueError("RandomAffine: expected a random stream; pass generator=Generator(seed)")
        n, _, height, width = images.shape
        u = generator.random((6, n)) * 2.0 - 1.0
        angle, shear = u[0] * math.radians(self.degrees), np.tan(u[1] * math.radians(self.shear))
        mid, half = (self.scale[0] + self.scale[1]) / 2, (self.scale[1] - self.scale[0]) / 2
        sx, sy = mid + half * u[2], mid + half * u[3]
        dx, dy = u[4] * self.translate[0] * width, u[5] * self.translate[1] * height
        # Where each output pixel comes from: the inverse map, about the centre.
        cos, sin = np.cos(angle), np.sin(angle)
        a, b = cos / sx, (sin + cos * shear) / sx
        c, d = -sin / sy, (cos - sin * shear) / sy
        return sample(images, a, b, c, d, dx, dy)


def sample(
    images: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    d: np.ndarray,
    dx: np.ndarray,
    dy: np.ndarray,
) -> np.ndarray:
    """images (N, C, H, W) at x' = a x + b y, y' = c x + d y of centred, shifted coordinates: bilinear."""
    n, channels, height, width = images.shape
    f = np.float32
    ys, xs = np.mgrid[0:height, 0:width].astype(f)
    ys, xs = ys.ravel() - f((height - 1) / 2), xs.ravel() - f((width - 1) / 2)
    column = lambda v: v.astype(f)[:, None]
    x0, y0 = xs - column(dx), ys - column(dy)
    px = column(a) * x0 + column(b) * y0 + f((width - 1) / 2)
    py = column(c) * x0 + column(d) * y0 + f((height - 1) / 2)
    left, top = np.floor(px), np.floor(py)
    fx, fy = px - left, py - top
    # A frame of two zero pixels: what lies outside is moved onto it and reads zero at all four corners.
    wide, high = width + 4, height + 4
    framed = np.zeros((channels, n, high, wide), f)
    framed[:, :, 2:-2, 2:-2] = images.swapaxes(0, 1)
    at = np.clip(top, -2, height).astype(np.int64) * wide + np.clip(left, -2, width).astype(np.int64)
    at += (np.arange(n) * (high * wide) + 2 * wide + 2)[:, None]
    out = np.empty(images.shape, f)
    for channel in range(channels):
        corner = framed[channel].ravel()
        upper, lower = corner.take(at), corner[wide:].take(at)
        upper += fx * (corner[1:].take(at) - upper)
        lower += fx * (corner[wide + 1 :].take(at) - lower)
        out[:, channel] = (upper + fy * (lower - upper)).reshape(n, height, width)
    return out


class ToFloat:
    """x / top as float32: ToFloat(255.0) takes bytes to 0..1."""

    def __init__(self, top: float = 255.0) -> None:
        if not top > 0:
            raise ValueError(f"ToFloat: expected a positive number (top={top})")
        self.top = np.float32(top)

    def __call__(self, images: np.ndarray, generator: Generator | None = None) -> np.ndarray:
        return images.astype(np.float32) / self.top


class Normalize:
    """(x - mean) / std per channel."""

    def __init__(self, mean: float | tuple, std: float | tuple) -> None:
        self.mean = np.asarray(mean, np.float32).reshape(-1, 1, 1)
        self.std = np.asarray(std, np.float32).reshape(-1, 1, 1)
        if not (self.std > 0).all():
            raise ValueError(f"Normalize: expected positive deviations (std={std})")

    def __call__(self, images: np.ndarray, generator: Generator | None = None) -> np.ndarray:
        _check("Normalize", images)
        if self.mean.shape[0] not in (1, images.shape[1]) or self.std.shape[0] not in (1, images.shape[1]):
            raise ValueError(
                f"Normalize: expected one number or one per channel (mean {self.mean.ravel()}, "
                f"std {self.std.ravel()}), got images {images.shape}"
            )
        return (images - self.mean) / self.std


class Pad:
    """Zeros round each image: `padding` pixels on every side."""

    def __init__(self, padding: int) -> None:
        if isinstance(padding, bool) or not isinstance(padding, int) or padding < 0:
            raise ValueError(f"Pad: expected a whole number >= 0 (padding={padding!r})")
        self.padding = padding

    def __call__(self, images: np.ndarray, generator: Generator | None = None) -> np.ndarray:
        _check("Pad", images)
        p = self.padding
        return np.pad(images, ((0, 0), (0, 0), (p, p), (p, p)))
