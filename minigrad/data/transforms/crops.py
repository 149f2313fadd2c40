"""Images padded, cut out, resized, and with parts erased."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...engine.random import Generator
from .base import check_chance, check_images, check_stream, range_of, size_of, within

__all__ = [
    "CenterCrop",
    "Pad",
    "RandomCrop",
    "RandomErasing",
    "RandomResizedCrop",
    "Resize",
    "crop",
    "resized_crop",
]

TRIES = 10  # shapes drawn until one fits, as torchvision does
MODES = ("constant", "edge", "reflect", "symmetric")


# ---------------------------------------------------------------- padding and cutting


class Pad:
    """A frame round each image: `padding` pixels, or (left and right, above and below), or all four.

    The four are left, top, right, bottom. padding_mode: constant (`fill`), edge, reflect or symmetric.
    """

    def __init__(self, padding: Any, fill: float = 0, padding_mode: str = "constant") -> None:
        self.widths = _frame("Pad", padding)
        if padding_mode not in MODES:
            raise ValueError(f"Pad: expected one of {', '.join(MODES)} (padding_mode={padding_mode!r})")
        self.fill, self.padding_mode = fill, padding_mode

    def __call__(self, images: np.ndarray, generator: Generator | None = None) -> np.ndarray:
        check_images("Pad", images)
        left, top, right, bottom = self.widths
        return _padded(images, ((top, bottom), (left, right)), self.fill, self.padding_mode)


def _frame(name: str, padding: Any) -> tuple:
    """(left, top, right, bottom) of 1, 2 or 4 whole numbers."""
    found = tuple(padding) if isinstance(padding, Sequence | np.ndarray) else (padding,)
    whole = all(isinstance(p, int | np.integer) and not isinstance(p, bool) and p >= 0 for p in found)
    if len(found) not in (1, 2, 4) or not whole:
        raise ValueError(f"{name}: expected 1, 2 or 4 whole numbers >= 0 (padding={padding!r})")
    return found * (4 // len(found))


def _padded(images: np.ndarray, widths: tuple, fill: float, mode: str) -> np.ndarray:
    how = {"constant_values": fill} if mode == "constant" else {}
    return np.pad(images, ((0, 0), (0, 0), *widths), mode, **how)  # type: ignore[call-overload]


class CenterCrop:
    """The middle of each image, `size` (height and width); smaller images get zeros round them."""

    def __init__(self, size: Any) -> None:
        self.size = size_of("CenterCrop", size)

    def __call__(self, images: np.ndarray, generator: Generator | None = None) -> np.ndarray:
        check_images("CenterCrop", images)
        images = _filled_up(images, self.size, 0, "constant")
        top, left = ((n - m) // 2 for n, m in zip(images.shape[2:], self.size, strict=True))
        return images[:, :, top : top + self.size[0], left : left + self.size[1]].copy()


def _filled_up(images: np.ndarray, size: tuple[int, int], fill: float, mode: str) -> np.ndarray:
    """Images at least as large as `size`, padded evenly where they are not."""
    missing = [max(m - n, 0) for n, m in zip(images.shape[2:], size, strict=True)]
    if not any(missing):
        return images
    return _padded(images, tuple((m // 2, m - m // 2) for m in missing), fill, mode)


class RandomCrop:
    """A part of each image, `size` (height and width), at a place of its own.

    padding: first a frame, as Pad has it; with half the size's difference it lets images shift.
    pad_if_needed: a frame where images are smaller. Raises ValueError for images too small.
    """

    def __init__(
        self,
        size: Any,
        padding: Any = None,
        pad_if_needed: bool = False,
        fill: float = 0,
        padding_mode: str = "constant",
    ) -> None:
        self.size = size_of("RandomCrop", size)
        self.pad = Pad(0 if padding is None else padding, fill, padding_mode)
        self.pad_if_needed = pad_if_needed

    def __call__(self, images: np.ndarray, generator: Generator) -> np.ndarray:
        check_images("RandomCrop", images)
        check_stream("RandomCrop", generator)
        images = self.pad(images)
        if self.pad_if_needed:
            images = _filled_up(images, self.size, self.pad.fill, self.pad.padding_mode)
        room = [n - m for n, m in zip(images.shape[2:], self.size, strict=True)]
        if min(room) < 0:
            raise ValueError(
                f"RandomCrop: expected images of at least {self.size} (size), got {images.shape} padded; "
                "use pad_if_needed=True"
            )
        u = generator.random((2, len(images)))
        top, left = (np.floor(row * (free + 1)).astype(np.int64) for row, free in zip(u, room, strict=True))
        return crop(images, top, left, self.size)


def crop(images: np.ndarray, top: np.ndarray, left: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """images[i, :, top[i] : top[i] + height, left[i] : left[i] + width] for each i."""
    windows = np.lib.stride_tricks.sliding_window_view(images, size, (2, 3))
    return windows[np.arange(len(images)), :, top, left]


# ---------------------------------------------------------------- resizing


class Resize:
    """Images at another size (height and width), bilinear; antialias takes means where they shrink.

    (N, C, H, W) -> (N, C, *size), float32.
    """

    def __init__(self, size: Any, antialias: bool = True) -> None:
        self.size, self.antialias = size_of("Resize", size), antialias

    def __call__(self, images: np.ndarray, generator: Generator | None = None) -> np.ndarray:
        check_images("Resize", images)
        n, _, height, width = images.shape
        whole = np.zeros(n), np.zeros(n), np.full(n, height), np.full(n, width)
        return resized_crop(images, *whole, self.size, self.antialias)


class RandomResizedCrop:
    """A part of each image, of random area and shape, resized to `size` (height and width).

    scale: range of the part's area, as a fraction of the image's. ratio: range of width / height, even in
    its logarithm. Where ten such parts do not fit, the middle is taken. float32. Szegedy et al. 2015.
    """

    def __init__(
        self,
        size: Any,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3.0 / 4.0, 4.0 / 3.0),
        antialias: bool = True,
    ) -> None:
        name = "RandomResizedCrop"
        self.size, self.antialias = size_of(name, size), antialias
        self.scale, self.ratio = range_of(name, "scale", scale, 0), range_of(name, "ratio", ratio, 1e-6)

    def __call__(self, images: np.ndarray, generator: Generator) -> np.ndarray:
        check_images("RandomResizedCrop", images)
        check_stream("RandomResizedCrop", generator)
        n, _, height, width = images.shape
        # The ratio here is width / height, so height = sqrt(area / ratio).
        h, w, fits = _shapes(generator, n, (height, width), self.scale, self.ratio, (0, 0))
        low, high = self.ratio
        h = np.where(fits, h, max(min(height, round(width / low)), 1))
        w = np.where(fits, w, max(min(width, round(height * high)), 1))
        top, left = _places(generator, (height, width), h, w)
        top = np.where(fits, top, (height - h) // 2)
        left = np.where(fits, left, (width - w) // 2)
        return resized_crop(images, top, left, h, w, self.size, self.antialias)


def _shapes(
    generator: Generator, n: int, size: tuple[int, int], scale: tuple, ratio: tuple, spare: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of n the first of some random heights and widths that fits size - spare, and if one does."""
    u = generator.random((2, TRIES, n))
    area = within(u[0], scale) * (size[0] * size[1])
    shape = np.exp(within(u[1], (math.log(ratio[0]), math.log(ratio[1]))))
    h, w = np.rint(np.sqrt(area / shape)).astype(np.int64), np.rint(np.sqrt(area * shape)).astype(np.int64)
    fits = (h > 0) & (w > 0) & (h <= size[0] - spare[0]) & (w <= size[1] - spare[1])
    first = fits.argmax(0), np.arange(n)
    return h[first], w[first], fits[first]


def _places(
    generator: Generator, size: tuple[int, int], h: np.ndarray, w: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where parts of those heights and widths begin: anywhere within the size."""
    u = generator.random((2, len(h)))
    return (
        np.floor(u[0] * (size[0] - h + 1)).astype(np.int64),
        np.floor(u[1] * (size[1] - w + 1)).astype(np.int64),
    )


def resized_crop(
    images: np.ndarray,
    top: np.ndarray,
    left: np.ndarray,
    height: np.ndarray,
    width: np.ndarray,
    size: tuple[int, int],
    antialias: bool = True,
) -> np.ndarray:
    """A part of each image (numbers per image), resized: rows and columns by one matrix each."""
    rows = _weights(images.shape[2], top, height, size[0], antialias)
    columns = _weights(images.shape[3], left, width, size[1], antialias)
    return rows[:, None] @ images.astype(np.float32) @ columns[:, None].swapaxes(-1, -2)


def _weights(n: int, start: np.ndarray, length: np.ndarray, size: int, antialias: bool) -> np.ndarray:
    """(N, size, n): how much of each of n pixels goes into each new one; rows add up to 1.

    A new pixel's centre lies at start + (i + 1/2) length / size. Pixels count by a triangle round it, 1 wide
    on both sides, or with antialias as wide as new pixels are; those outside the part do not.
    """
    step = np.asarray(length, np.float64)[:, None, None] / size
    start = np.asarray(start)[:, None, None]
    centre = start + (np.arange(size)[:, None] + 0.5) * step
    pixel = np.arange(n) + 0.5
    inside = (pixel > start) & (pixel < start + size * step)
    if not antialias:  # at the border the nearest pixel stands for those beyond
        centre = np.clip(centre, start + 0.5, start + size * step - 0.5)
    weight = np.maximum(1 - np.abs(pixel - centre) / (np.maximum(step, 1) if antialias else 1.0), 0) * inside
    return (weight / weight.sum(-1, keepdims=True)).astype(np.float32)


# ---------------------------------------------------------------- erasing


class RandomErasing:
    """A rectangle of each image overwritten, with probability p.

    scale: range of its area, as a fraction of the image's. ratio: range of height / width, even in its
    logarithm. value: a number, one per channel, or "random" for normal noise. An image for which ten
    rectangles do not fit stays whole. Zhong et al. 2020.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        value: Any = 0,
    ) -> None:
        name = "RandomErasing"
        self.p, self.scale = check_chance(name, p), range_of(name, "scale", scale, 0, 1)
        self.ratio = range_of(name, "ratio", ratio, 1e-6)
        if isinstance(value, str) and value != "random":
            raise ValueError(f"{name}: expected a number, one per channel, or 'random' (value={value!r})")
        self.value = value

    def __call__(self, images: np.ndarray, generator: Generator) -> np.ndarray:
        check_images("RandomErasing", images)
        check_stream("RandomErasing", generator)
        n, channels, height, width = images.shape
        chosen = generator.random(n) < self.p
        low, high = self.ratio
        h, w, fits = _shapes(generator, n, (height, width), self.scale, (1 / high, 1 / low), (1, 1))
        top, left = _places(generator, (height, width), np.minimum(h, height), np.minimum(w, width))
        y, x = np.arange(height)[:, None], np.arange(width)
        at = lambda v: v[:, None, None]
        hit = (y >= at(top)) & (y < at(top + h)) & (x >= at(left)) & (x < at(left + w)) & at(chosen & fits)
        return np.where(hit[:, None], self._value(images, channels, generator), images)

    def _value(self, images: np.ndarray, channels: int, generator: Generator) -> np.ndarray:
        """What is written, in the images' dtype."""
        if isinstance(self.value, str):
            if images.dtype.kind != "f":
                raise TypeError(
                    f"RandomErasing: value='random' expects floats, got {images.dtype}; use ToFloat()"
                )
            return generator.standard_normal(images.shape, images.dtype)
        value = np.asarray(self.value).astype(images.dtype).reshape(-1, 1, 1)
        if len(value) not in (1, channels):
            raise ValueError(
                f"RandomErasing: expected 1 or {channels} numbers (value={self.value}), got {images.shape}"
            )
        return value
