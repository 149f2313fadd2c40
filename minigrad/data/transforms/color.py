"""Colours: images (N, C, H, W) of floats in [0, 1], C being 3 (red, green, blue) or 1.

The functions take a number, or an array of one per image. Names as in torchvision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...engine.random import Generator
from .base import around, check_chance, check_images, check_stream, range_of, within

__all__ = [
    "ColorJitter",
    "GaussianBlur",
    "Grayscale",
    "RandomGrayscale",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "adjust_sharpness",
    "autocontrast",
    "equalize",
    "gaussian_blur",
    "invert",
    "posterize",
    "rgb_to_grayscale",
    "solarize",
]

LUMA = (0.2989, 0.587, 0.114)  # how bright red, green and blue are: ITU-R BT.601


def check_colors(name: str, images: np.ndarray, channels: Sequence[int] | None = (1, 3)) -> None:
    """Floats, and colours that mean something."""
    check_images(name, images)
    if images.dtype.kind != "f":
        raise TypeError(f"{name}: expected floats in [0, 1], got {images.dtype}; put ToFloat() before it")
    if channels is not None and images.shape[1] not in channels:
        raise ValueError(f"{name}: expected {' or '.join(map(str, channels))} channels, got {images.shape}")


def _blend(images: np.ndarray, other: Any, factor: Any) -> np.ndarray:
    """other + factor (images - other), within [0, 1]."""
    f = np.asarray(factor, images.dtype).reshape(-1, 1, 1, 1)
    return np.clip(f * images + (1 - f) * other, 0, 1)


def rgb_to_grayscale(images: np.ndarray, num_output_channels: int = 1) -> np.ndarray:
    """0.2989 red + 0.587 green + 0.114 blue, as one channel or three alike."""
    check_colors("rgb_to_grayscale", images)
    if num_output_channels not in (1, 3):
        raise ValueError(f"rgb_to_grayscale: expected 1 or 3 (num_output_channels={num_output_channels})")
    gray = images
    if images.shape[1] == 3:
        red, green, blue = images[:, 0:1], images[:, 1:2], images[:, 2:3]
        gray = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    return np.repeat(gray, num_output_channels, 1)


def adjust_brightness(images: np.ndarray, brightness_factor: Any) -> np.ndarray:
    """images times the factor, at most 1; any number of channels."""
    check_colors("adjust_brightness", images, None)
    return _blend(images, np.zeros((), images.dtype), brightness_factor)


def adjust_contrast(images: np.ndarray, contrast_factor: Any) -> np.ndarray:
    """Away from the image's mean grey, times the factor."""
    mean = rgb_to_grayscale(images).mean((1, 2, 3), keepdims=True)
    return _blend(images, mean, contrast_factor)


def adjust_saturation(images: np.ndarray, saturation_factor: Any) -> np.ndarray:
    """Away from each pixel's grey, times the factor; grey images stay as they are."""
    return _blend(images, rgb_to_grayscale(images), saturation_factor)


def adjust_hue(images: np.ndarray, hue_factor: Any) -> np.ndarray:
    """Each pixel's hue moved on by the factor, in turns of the colour circle (-0.5 to 0.5)."""
    check_colors("adjust_hue", images)
    if images.shape[1] == 1:
        return images.copy()
    # Foley & van Dam: value = max, chroma = max - min; the hue's sixth says which channel is the largest.
    red, green, blue = images[:, 0], images[:, 1], images[:, 2]
    value = images.max(1)
    chroma = value - images.min(1)
    span = np.where(chroma == 0, 1, chroma)
    sixth = np.where(
        value == red,
        (green - blue) / span,
        np.where(value == green, 2 + (blue - red) / span, 4 + (red - green) / span),
    )
    sixth = sixth + 6 * np.asarray(hue_factor, images.dtype).reshape(-1, 1, 1)
    # Back: channel k = value - chroma clip(min(h, 4 - h), 0, 1), h = (k + sixth) mod 6 with k = 5, 3, 1.
    out = np.empty_like(images)
    for channel, k in enumerate((5, 3, 1)):
        h = k + sixth
        h = h - 6 * np.floor(h / 6)  # mod 6; np.mod is far slower
        out[:, channel] = value - chroma * np.clip(np.minimum(h, 4 - h), 0, 1)
    return np.clip(out, 0, 1)


def adjust_sharpness(images: np.ndarray, sharpness_factor: Any) -> np.ndarray:
    """Away from a smoothed copy, times the factor: 0 smooths, 1 changes nothing. The border stays."""
    check_colors("adjust_sharpness", images)
    smooth = images.copy()
    if min(images.shape[2:]) > 2:
        rows = images[:, :, :-2] + images[:, :, 1:-1] + images[:, :, 2:]
        nine = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
        smooth[:, :, 1:-1, 1:-1] = (nine + 4 * images[:, :, 1:-1, 1:-1]) / 13
    return _blend(images, smooth, sharpness_factor)


def invert(images: np.ndarray) -> np.ndarray:
    """1 - images."""
    check_colors("invert", images)
    return 1 - images


def solarize(images: np.ndarray, threshold: Any) -> np.ndarray:
    """1 - x where x >= the threshold."""
    check_colors("solarize", images)
    return np.where(images >= np.asarray(threshold, images.dtype).reshape(-1, 1, 1, 1), 1 - images, images)


def posterize(images: np.ndarray, bits: Any) -> np.ndarray:
    """Rounded down to 2^bits levels k / 2^bits."""
    check_colors("posterize", images)
    levels = np.exp2(np.asarray(bits, images.dtype)).reshape(-1, 1, 1, 1)
    return np.clip(np.floor(images * levels), 0, levels - 1) / levels


def autocontrast(images: np.ndarray) -> np.ndarray:
    """Each channel stretched from 0 to 1; one of a single value stays."""
    check_colors("autocontrast", images)
    low, high = images.min((2, 3), keepdims=True), images.max((2, 3), keepdims=True)
    flat = low == high
    return np.clip((images - np.where(flat, 0, low)) / np.where(flat, 1, high - low), 0, 1)


def equalize(images: np.ndarray) -> np.ndarray:
    """Each channel's 256 levels spread so that all are about as frequent.

    With h the histogram: level k becomes floor((sum of h below k + step // 2) / step), where
    step = (pixels - h of the highest level in use) // 255; if that is 0, the channel stays.
    """
    check_colors("equalize", images)
    n, channels, height, width = images.shape
    level = np.clip(np.rint(images * 255), 0, 255).astype(np.int64).reshape(n * channels, -1)
    place = np.arange(n * channels)[:, None] * 256
    counts = np.bincount((level + place).ravel(), minlength=256 * n * channels).reshape(-1, 256)
    step = (height * width - np.take_along_axis(counts, level.max(1, initial=0)[:, None], 1)) // 255
    below = np.cumsum(counts, 1) - counts
    table = np.minimum((below + step // 2) // np.maximum(step, 1), 255)
    new = np.take_along_axis(table, level, 1) / 255.0
    return np.where(step == 0, images.reshape(new.shape), new).reshape(images.shape).astype(images.dtype)


def gaussian_blur(images: np.ndarray, kernel_size: tuple[int, int], sigma: Any) -> np.ndarray:
    """Averaged with weights exp(-d^2 / (2 sigma^2)) over kernel_size (height, width); mirrored outside."""
    check_images("gaussian_blur", images)
    sigma = np.asarray(sigma, np.float64).reshape(-1, 1)
    out = images.astype(np.result_type(images.dtype, np.float32))
    for axis, size in ((2, kernel_size[0]), (3, kernel_size[1])):
        away = np.arange(size) - size // 2
        kernel = np.exp(-(away**2) / (2 * sigma**2))
        kernel = (kernel / kernel.sum(1, keepdims=True)).astype(out.dtype)
        frame = [(size // 2, size // 2) if i == axis else (0, 0) for i in range(4)]
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(out, frame, "reflect"), size, axis)
        out = np.einsum("nchwk,nk->nchw", windows, np.broadcast_to(kernel, (len(out), size)))
    return out


# ---------------------------------------------------------------- transforms


class ColorJitter:
    """Brightness, contrast, saturation and hue changed at random, in a random order (one per batch).

    brightness, contrast, saturation: a factor from 1 - b to 1 + b (not below 0), or a range of factors.
    hue: a shift from -h to h, at most 0.5 of the colour circle, or a range. Floats in [0, 1].
    """

    def __init__(self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0) -> None:
        steps = [
            (adjust_brightness, _factors("brightness", brightness)),
            (adjust_contrast, _factors("contrast", contrast)),
            (adjust_saturation, _factors("saturation", saturation)),
            (adjust_hue, around("ColorJitter", "hue", hue, -0.5, 0.5)),
        ]
        idle = [(1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (0.0, 0.0)]
        self.steps = [step for step, nothing in zip(steps, idle, strict=True) if step[1] != nothing]

    def __call__(self, images: np.ndarray, generator: Generator) -> np.ndarray:
        check_colors("ColorJitter", images)
        check_stream("ColorJitter", generator)
        n = len(self.steps)
        order, u = generator.permutation(n), generator.random((n, len(images)))
        images = images.copy()
        for k in order:
            adjust, limits = self.steps[k]
            images = adjust(images, within(u[k], limits))
        return images


def _factors(argument: str, given: Any) -> tuple[float, float]:
    """The range of a factor: 1 +- a number, or a pair, none below 0."""
    if isinstance(given, Sequence | np.ndarray):
        return range_of("ColorJitter", argument, given, 0)
    low, high = around("ColorJitter", argument, given)
    return max(1 + low, 0.0), 1 + high


class Grayscale:
    """Without colours: one channel, or three alike."""

    def __init__(self, num_output_channels: int = 1) -> None:
        if num_output_channels not in (1, 3):
            raise ValueError(f"Grayscale: expected 1 or 3 (num_output_channels={num_output_channels})")
        self.channels = num_output_channels

    def __call__(self, images: np.ndarray, generator: Generator | None = None) -> np.ndarray:
        return rgb_to_grayscale(images, self.channels)


class RandomGrayscale:
    """Each image without its colours, with probability p; as many channels as before."""

    def __init__(self, p: float = 0.1) -> None:
        self.p = check_chance("RandomGrayscale", p)

    def __call__(self, images: np.ndarray, generator: Generator) -> np.ndarray:
        check_colors("RandomGrayscale", images)
        check_stream("RandomGrayscale", generator)
        chosen = (generator.random(len(images)) < self.p).reshape(-1, 1, 1, 1)
        return np.where(chosen, rgb_to_grayscale(images), images)


class GaussianBlur:
    """Each image blurred by a Gaussian of random width: sigma from a range, over kernel_size pixels (odd)."""

    def __init__(self, kernel_size: Any, sigma: Any = (0.1, 2.0)) -> None:
        pair = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
        if len(pair) != 2 or not all(isinstance(k, int) and k > 0 and k % 2 for k in pair):
            raise ValueError(f"GaussianBlur: expected odd whole numbers (kernel_size={kernel_size!r})")
        self.kernel_size, self.sigma = pair, range_of("GaussianBlur", "sigma", sigma, 0)
        if not self.sigma[0] > 0 or not math.isfinite(self.sigma[1]):
            raise ValueError(f"GaussianBlur: expected widths above 0 (sigma={sigma})")

    def __call__(self, images: np.ndarray, generator: Generator) -> np.ndarray:
        check_images("GaussianBlur", images)
        check_stream("GaussianBlur", generator)
        if any(k // 2 >= n for k, n in zip(self.kernel_size, images.shape[2:], strict=True)):
            raise ValueError(
                f"GaussianBlur: expected images larger than half of {self.kernel_size} (kernel_size), got "
                f"{images.shape}"
            )
        return gaussian_blur(images, self.kernel_size, within(generator.random(len(images)), self.sigma))
