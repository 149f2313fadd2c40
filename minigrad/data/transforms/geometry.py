"""Images turned, moved, stretched, slanted and mirrored."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...engine.random import Generator
from .base import around, check_chance, check_images, check_stream, within

__all__ = [
    "RandomAffine",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomVerticalFlip",
    "affine",
    "sample",
]


class _Flip:
    """Each image mirrored with probability p."""

    axis = -1

    def __init__(self, p: float = 0.5) -> None:
        self.p = check_chance(type(self).__name__, p)

    def __call__(self, images: np.ndarray, generator: Generator) -> np.ndarray:
        check_images(type(self).__name__, images)
        check_stream(type(self).__name__, generator)
        out = images.copy()
        chosen = generator.random(len(images)) < self.p
        out[chosen] = np.flip(images[chosen], self.axis)
        return out


class RandomHorizontalFlip(_Flip):
    """Each image mirrored, left to right, with probability p.

    >>> import numpy as np
    >>> from minigrad.data.transforms import RandomHorizontalFlip
    >>> from minigrad.engine.random import Generator
    >>> RandomHorizontalFlip(p=1.0)(np.array([[[[1, 2, 3]]]]), Generator(0)).tolist()
    [[[[3, 2, 1]]]]
    """


class RandomVerticalFlip(_Flip):
    """Each image mirrored, upside down, with probability p."""

    axis = -2


class RandomAffine:
    """Each image turned, moved, stretched and slanted at random.

    degrees: an angle (drawn from both sides of 0) or a range, clockwise. translate: largest shift as a
    fraction of width and height. scale: lowest and highest factor, drawn for each axis on its own (where
    torchvision has one for both). shear: an angle in degrees, or a range, along x. fill: what lies outside.
    All are uniform. (N, C, H, W) -> the same shape, float32 (bytes too: 255 stays 255).
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
        degrees: Any = 0.0,
        translate: tuple[float, float] | None = None,
        scale: tuple[float, float] | None = None,
        shear: Any = 0.0,
        fill: float = 0.0,
    ) -> None:
        name = "RandomAffine"
        self.translate = (0.0, 0.0) if translate is None else tuple(translate)
        self.scale = (1.0, 1.0) if scale is None else tuple(scale)
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"{name}: expected 0 < lowest <= highest (scale={scale})")
        if len(self.translate) != 2 or not min(self.translate) >= 0:
            raise ValueError(f"{name}: expected two fractions >= 0 (translate={translate})")
        self.degrees = around(name, "degrees", degrees)
        self.shear = around(name, "shear", 0.0 if shear is None else shear, -90, 90)
        if max(map(abs, self.shear)) >= 90:
            raise ValueError(f"{name}: expected angles within 90 degrees (shear={shear})")
        self.fill = float(fill)

    def __call__(self, images: np.ndarray, generator: Generator) -> np.ndarray:
        check_images("RandomAffine", images)
        check_stream("RandomAffine", generator)
        n, _, height, width = images.shape
        u = generator.random((6, n))
        signed = u * 2.0 - 1.0
        mid, half = (self.scale[0] + self.scale[1]) / 2, (self.scale[1] - self.scale[0]) / 2
        return affine(
            images,
            _spread(signed[0], self.degrees),
            (signed[4] * self.translate[0] * width, signed[5] * self.translate[1] * height),
            (mid + half * signed[2], mid + half * signed[3]),
            _spread(signed[1], self.shear),
            self.fill,
        )


def _spread(signed: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Numbers in [-1, 1) spread over the limits."""
    low, high = limits
    return signed * high if low == -high else (low + high) / 2 + signed * (high - low) / 2


class RandomRotation:
    """Each image turned about its centre, anticlockwise, by an angle within `degrees`.

    degrees: a number (to both sides) or a range. fill: what lies outside. Keeps the shape; float32.
    """

    def __init__(self, degrees: Any, fill: float = 0.0) -> None:
        self.degrees, self.fill = around("RandomRotation", "degrees", degrees), float(fill)

    def __call__(self, images: np.ndarray, generator: Generator) -> np.ndarray:
        check_images("RandomRotation", images)
        check_stream("RandomRotation", generator)
        return affine(images, -within(generator.random(len(images)), self.degrees), fill=self.fill)


def affine(
    images: np.ndarray,
    angle: Any = 0.0,
    translate: tuple[Any, Any] = (0.0, 0.0),
    scale: tuple[Any, Any] = (1.0, 1.0),
    shear: Any = 0.0,
    fill: float = 0.0,
) -> np.ndarray:
    """Images slanted along x, stretched along both axes, turned clockwise and moved, about the centre.

    translate is in pixels. Each parameter is a number, or an array of one per image; angles are in degrees.
    """
    every = lambda v: np.broadcast_to(np.asarray(v, np.float64), len(images))
    turn, slant = np.radians(every(angle)), np.tan(np.radians(every(shear)))
    (dx, dy), (sx, sy) = map(every, translate), map(every, scale)
    # Where each output pixel comes from: the inverse map.
    cos, sin = np.cos(turn), np.sin(turn)
    a, b = cos / sx, (sin + cos * slant) / sx
    c, d = -sin / sy, (cos - sin * slant) / sy
    if fill:
        return sample(images.astype(np.float32) - np.float32(fill), a, b, c, d, dx, dy) + np.float32(fill)
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
