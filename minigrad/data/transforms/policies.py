"""Policies: a fixed set of changes, of which each image gets some at random.

Images (N, C, H, W) are floats in [0, 1] with 1 or 3 channels; the results keep shape and float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...engine.random import Generator
from .base import check_stream, each
from .color import (
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    adjust_sharpness,
    autocontrast,
    check_colors,
    equalize,
    invert,
    posterize,
    solarize,
)
from .geometry import affine

__all__ = [
    "AutoAugment",
    "RandAugment",
    "TrivialAugmentWide",
]


def _lying(images: np.ndarray, slope: Any, fill: float) -> np.ndarray:
    """Slanted along y: along x, with the axes exchanged."""
    return _slanted(images.swapaxes(2, 3), slope, fill).swapaxes(2, 3)


def _slanted(images: np.ndarray, slope: Any, fill: float) -> np.ndarray:
    return affine(images, shear=np.degrees(np.arctan(slope)), fill=fill)


# Each change of images by a magnitude per image; `fill` is what comes in from outside.
CHANGES: dict[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]] = {
    "Identity": lambda x, m, fill: x,
    "ShearX": _slanted,
    "ShearY": _lying,
    "TranslateX": lambda x, m, fill: affine(x, translate=(np.trunc(m), 0.0), fill=fill),
    "TranslateY": lambda x, m, fill: affine(x, translate=(0.0, np.trunc(m)), fill=fill),
    "Rotate": lambda x, m, fill: affine(x, -m, fill=fill),
    "Brightness": lambda x, m, fill: adjust_brightness(x, 1 + m),
    "Color": lambda x, m, fill: adjust_saturation(x, 1 + m),
    "Contrast": lambda x, m, fill: adjust_contrast(x, 1 + m),
    "Sharpness": lambda x, m, fill: adjust_sharpness(x, 1 + m),
    "Posterize": lambda x, m, fill: posterize(x, np.rint(m)),
    "Solarize": lambda x, m, fill: solarize(x, m),
    "AutoContrast": lambda x, m, fill: autocontrast(x),
    "Equalize": lambda x, m, fill: equalize(x),
    "Invert": lambda x, m, fill: invert(x),
}
SIGNED = (
    "ShearX",
    "ShearY",
    "TranslateX",
    "TranslateY",
    "Rotate",
    "Brightness",
    "Color",
    "Contrast",
    "Sharpness",
)
NAMES = list(CHANGES)
OFFERED = NAMES[:-1]  # RandAugment and TrivialAugment do without Invert


def _standard(share: np.ndarray, height: int, width: int) -> dict[str, np.ndarray]:
    """Magnitudes for shares of the largest, 0 to 1. Cubuk et al. 2019, table 6."""
    return {
        "ShearX": 0.3 * share, "ShearY": 0.3 * share,
        "TranslateX": 150 / 331 * width * share, "TranslateY": 150 / 331 * height * share,
        "Rotate": 30 * share, "Posterize": 8 - 4 * share, "Solarize": 1 - share,
    } | dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), 0.9 * share)  # fmt: skip


def _wide(share: np.ndarray, height: int, width: int) -> dict[str, np.ndarray]:
    """The wider magnitudes of Müller & Hutter 2021, table 1."""
    return {
        "ShearX": 0.99 * share, "ShearY": 0.99 * share, "TranslateX": 32 * share, "TranslateY": 32 * share,
        "Rotate": 135 * share, "Posterize": 8 - 6 * share, "Solarize": 1 - share,
    } | dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), 0.99 * share)  # fmt: skip


def _changed(
    images: np.ndarray, choice: np.ndarray, share: np.ndarray, sign: np.ndarray, space: Callable, fill: float
) -> np.ndarray:
    """Image i after change NAMES[choice[i]] of strength share[i], in the direction sign[i]."""
    strength = space(share, *images.shape[2:])

    def change(name: str) -> Callable:
        m = strength.get(name, share) * (sign if name in SIGNED else 1)
        return lambda x, rows: CHANGES[name](x, m[rows], fill)

    return each(choice, [change(name) for name in NAMES], images)


def _signs(u: np.ndarray) -> np.ndarray:
    return np.where(u < 0.5, -1.0, 1.0)


def _begin(name: str, images: np.ndarray, generator: Any) -> np.ndarray:
    check_colors(name, images)
    check_stream(name, generator)
    return np.array(images, np.float32, order="C")


def _whole(name: str, least: int, **given: Any) -> None:
    for argument, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name}: expected a whole number >= {least} ({argument}={value!r})")


class RandAugment:
    """num_ops changes in turn, each any of 14, all of one magnitude. Cubuk et al. 2020.

    magnitude: 0 to num_magnitude_bins - 1, the last being the strongest. fill: what comes in from outside.
    """

    def __init__(
        self, num_ops: int = 2, magnitude: int = 9, num_magnitude_bins: int = 31, fill: float = 0.0
    ) -> None:
        _whole("RandAugment", 0, num_ops=num_ops, magnitude=magnitude)
        _whole("RandAugment", 2, num_magnitude_bins=num_magnitude_bins)
        if magnitude >= num_magnitude_bins:
            raise ValueError(
                f"RandAugment: expected magnitude < {num_magnitude_bins} (magnitude={magnitude})"
            )
        self.num_ops, self.share, self.fill = num_ops, magnitude / (num_magnitude_bins - 1), float(fill)

    def __call__(self, images: np.ndarray, generator: Generator) -> np.ndarray:
        images = _begin("RandAugment", images, generator)
        share = np.full(len(images), self.share)
        for _ in range(self.num_ops):
            u = generator.random((2, len(images)))
            choice = np.floor(u[0] * len(OFFERED)).astype(int)
            images = _changed(images, choice, share, _signs(u[1]), _standard, self.fill)
        return images


class TrivialAugmentWide:
    """One change, any of 14, of any magnitude. Müller & Hutter 2021."""

    def __init__(self, num_magnitude_bins: int = 31, fill: float = 0.0) -> None:
        _whole("TrivialAugmentWide", 2, num_magnitude_bins=num_magnitude_bins)
        self.bins, self.fill = num_magnitude_bins, float(fill)

    def __call__(self, images: np.ndarray, generator: Generator) -> np.ndarray:
        images = _begin("TrivialAugmentWide", images, generator)
        u = generator.random((3, len(images)))
        choice = np.floor(u[0] * len(OFFERED)).astype(int)
        share = np.floor(u[2] * self.bins) / (self.bins - 1)
        return _changed(images, choice, share, _signs(u[1]), _wide, self.fill)


# Each line is a policy's two steps: change, probability, magnitude (0 to 9, - for none).
CIFAR10 = """
Invert 0.1 -, Contrast 0.2 6
Rotate 0.7 2, TranslateX 0.3 9
Sharpness 0.8 1, Sharpness 0.9 3
ShearY 0.5 8, TranslateY 0.7 9
AutoContrast 0.5 -, Equalize 0.9 -
ShearY 0.2 7, Posterize 0.3 7
Color 0.4 3, Brightness 0.6 7
Sharpness 0.3 9, Brightness 0.7 9
Equalize 0.6 -, Equalize 0.5 -
Contrast 0.6 7, Sharpness 0.6 5
Color 0.7 7, TranslateX 0.5 8
Equalize 0.3 -, AutoContrast 0.4 -
TranslateY 0.4 3, Sharpness 0.2 6
Brightness 0.9 6, Color 0.2 8
Solarize 0.5 2, Invert 0.0 -
Equalize 0.2 -, AutoContrast 0.6 -
Equalize 0.2 -, Equalize 0.6 -
Color 0.9 9, Equalize 0.6 -
AutoContrast 0.8 -, Solarize 0.2 8
Brightness 0.1 3, Color 0.7 0
Solarize 0.4 5, AutoContrast 0.9 -
TranslateY 0.9 9, TranslateY 0.7 9
AutoContrast 0.9 -, Solarize 0.8 3
Equalize 0.8 -, Invert 0.1 -
TranslateY 0.7 9, AutoContrast 0.9 -
"""
POLICIES = {"cifar10": CIFAR10}


class AutoAugment:
    """One of 25 pairs of changes, each made with a probability of its own, as found for CIFAR-10.

    Cubuk et al. 2019, table 7.
    """

    def __init__(self, policy: str = "cifar10", fill: float = 0.0) -> None:
        if policy not in POLICIES:
            raise ValueError(f"AutoAugment: expected one of {', '.join(POLICIES)} (policy={policy!r})")
        steps = [step.split() for line in POLICIES[policy].split("\n") if line for step in line.split(",")]
        self.choice = np.array([NAMES.index(name) for name, _, _ in steps]).reshape(-1, 2)
        self.chance = np.array([float(p) for _, p, _ in steps]).reshape(-1, 2)
        self.share = np.array([0.0 if m == "-" else int(m) / 9 for _, _, m in steps]).reshape(-1, 2)
        self.fill = float(fill)

    def __call__(self, images: np.ndarray, generator: Generator) -> np.ndarray:
        images = _begin("AutoAugment", images, generator)
        u = generator.random((5, len(images)))
        policy = np.floor(u[0] * len(self.choice)).astype(int)
        for k in (0, 1):
            made = u[1 + k] < self.chance[policy, k]
            choice = np.where(made, self.choice[policy, k], NAMES.index("Identity"))
            images = _changed(images, choice, self.share[policy, k], _signs(u[3 + k]), _standard, self.fill)
        return images
