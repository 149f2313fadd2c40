"""Transforms of whole batches of images (N, C, H, W), drawn from a given random stream."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..engine.random import Generator

Transform = Callable[[np.ndarray, Generator], np.ndarray]


class Compose:
    """One transform after another; each draws from a stream of its own."""

    def __init__(self, transforms: list[Transform]) -> None:
        self.transforms = list(transforms)

    def __call__(self, images: np.ndarray, generator: Generator) -> np.ndarray:
        for i, transform in enumerate(self.transforms):
            images = transform(images, generator.fork(i))
        return images


class RandomAffine:
    """Each image turned, moved and scaled at random, sampled bilinearly, zeros outside.

    degrees: largest angle. translate: largest shift as a fraction of width and height. scale: lowest
    and highest factor. shear: largest angle in degrees.
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
        self.degrees, self.translate, self.scale, self.shear = degrees, translate, scale, shear

    def __call__(self, images: np.ndarray, generator: Generator) -> np.ndarray:
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
    # A border of one zero pixel all round: whatever lies outside reads zero.
    framed = np.zeros((n, channels, height + 2, width + 2), images.dtype)
    framed[:, :, 1:-1, 1:-1] = images
    flat = framed.reshape(n, channels, -1)
    xi = np.clip(left, -1, width - 1).astype(np.int32) + 1
    yi = np.clip(top, -1, height - 1).astype(np.int32) + 1
    fx = np.where((px < -1) | (px > width), 0, fx)
    outside = ((px <= -1) | (px >= width) | (py <= -1) | (py >= height))[:, None]
    at = (yi * (width + 2) + xi)[:, None]
    step = np.array([0, 1, width + 2, width + 3], np.int32)
    corner = [np.take_along_axis(flat, np.broadcast_to(at + s, (n, channels, at.shape[-1])), 2) for s in step]
    fx, fy = fx[:, None], fy[:, None]
    upper = corner[0] + fx * (corner[1] - corner[0])
    lower = corner[2] + fx * (corner[3] - corner[2])
    out = np.where(outside, 0, upper + fy * (lower - upper))
    return out.astype(images.dtype, copy=False).reshape(images.shape)


class Normalize:
    """(x - mean) / std per channel."""

    def __init__(self, mean: float | tuple, std: float | tuple) -> None:
        self.mean = np.asarray(mean, np.float32).reshape(-1, 1, 1)
        self.std = np.asarray(std, np.float32).reshape(-1, 1, 1)
        if not (self.std > 0).all():
            raise ValueError(f"Normalize: expected positive deviations (std={std})")

    def __call__(self, images: np.ndarray, generator: Generator | None = None) -> np.ndarray:
        return (images - self.mean) / self.std


class Pad:
    """Zeros round each image: `padding` pixels on every side."""

    def __init__(self, padding: int) -> None:
        self.padding = padding

    def __call__(self, images: np.ndarray, generator: Generator | None = None) -> np.ndarray:
        p = self.padding
        return np.pad(images, ((0, 0), (0, 0), (p, p), (p, p)))
