"""What transforms share, and those made of others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...engine.random import Generator

__all__ = [
    "Compose",
    "Normalize",
    "RandomApply",
    "RandomChoice",
    "ToFloat",
    "Transform",
]

Transform = Callable[[np.ndarray, Generator], np.ndarray]


# ---------------------------------------------------------------- checks


def check_images(name: str, images: np.ndarray) -> None:
    """Images come in batches, channels first."""
    if not isinstance(images, np.ndarray):
        raise TypeError(f"{name}: expected an array, got {type(images).__name__}; use .numpy()")
    if images.ndim != 4:
        raise ValueError(f"{name}: expected images (N, C, H, W), got shape {images.shape}; reshape them")


def check_stream(name: str, generator: Any) -> None:
    """What draws needs a stream."""
    if generator is None:
        raise ValueError(f"{name}: expected a random stream; pass generator=Generator(seed)")


def check_chance(name: str, p: float) -> float:
    """A probability."""
    if isinstance(p, bool) or not 0.0 <= p <= 1.0:
        raise ValueError(f"{name}: expected a probability in [0, 1] (p={p})")
    return p


def range_of(name: str, argument: str, given: Any, low: float = -math.inf, high: float = math.inf) -> tuple:
    """(lowest, highest), of a pair within [low, high]."""
    pair = tuple(given) if isinstance(given, Sequence | np.ndarray) else (given, given)
    if len(pair) != 2 or not low <= pair[0] <= pair[1] <= high:
        raise ValueError(f"{name}: expected {low} <= lowest <= highest <= {high} ({argument}={given})")
    return float(pair[0]), float(pair[1])


def around(name: str, argument: str, given: Any, low: float = -math.inf, high: float = math.inf) -> tuple:
    """(lowest, highest): a pair, or +-a number."""
    if isinstance(given, Sequence | np.ndarray):
        return range_of(name, argument, given, low, high)
    if isinstance(given, bool) or not 0 <= given <= high:
        raise ValueError(f"{name}: expected a number in [0, {high}] or a pair ({argument}={given})")
    return -float(given), float(given)


def size_of(name: str, size: Any) -> tuple[int, int]:
    """(height, width), of a number for both or a pair."""
    pair = (size, size) if isinstance(size, int | np.integer) else tuple(size)
    if len(pair) != 2 or any(
        isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1 for n in pair
    ):
        raise ValueError(f"{name}: expected a whole number >= 1, or height and width (size={size!r})")
    return int(pair[0]), int(pair[1])


def within(u: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Uniforms in [0, 1) spread over the limits."""
    return limits[0] + u * (limits[1] - limits[0])


def each(choice: np.ndarray, transforms: Sequence[Callable], x: np.ndarray) -> np.ndarray:
    """Item i transformed by transforms[choice[i]](items, indices); those of a kind go together.

    Raises ValueError if the results do not have one shape.
    """
    parts = []
    for k in np.unique(choice):
        rows = np.flatnonzero(choice == k)
        parts.append((rows, transforms[int(k)](x[rows], rows)))
    if not parts:
        return x.copy()
    shapes = {part.shape[1:] for _, part in parts}
    if len(shapes) > 1:
        raise ValueError(f"transforms: expected one shape for all items of a batch, got {sorted(shapes)}")
    out = np.empty((len(x), *shapes.pop()), np.result_type(*[part for _, part in parts]))
    for rows, part in parts:
        out[rows] = part
    return out


# ---------------------------------------------------------------- made of others


def _checked(name: str, transforms: Any) -> list:
    """Transforms are called: say early which cannot be."""
    found = list(transforms)
    for i, transform in enumerate(found):
        if not callable(transform):
            raise TypeError(f"{name}: expected transforms to call, got {transform!r} (transforms[{i}])")
    return found


class Compose:
    """One transform after another; each draws from a stream of its own."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self.transforms = _checked("Compose", transforms)

    def __call__(self, images: np.ndarray, generator: Generator | None = None) -> np.ndarray:
        for i, transform in enumerate(self.transforms):
            images = transform(images, generator.fork(i) if generator is not None else None)
        return images


class RandomApply:
    """All of `transforms` in turn, or none, with probability p for each item."""

    def __init__(self, transforms: Sequence[Transform], p: float = 0.5) -> None:
        self.transform, self.p = Compose(transforms), check_chance("RandomApply", p)

    def __call__(self, images: np.ndarray, generator: Generator) -> np.ndarray:
        check_stream("RandomApply", generator)
        chosen = generator.random(len(images)) < self.p
        return each(chosen, [lambda x, _: x, lambda x, _: self.transform(x, generator.fork(0))], images)


class RandomChoice:
    """One of `transforms` for each item, with probabilities proportional to p (all alike by default)."""

    def __init__(self, transforms: Sequence[Transform], p: Sequence[float] | None = None) -> None:
        self.transforms = _checked("RandomChoice", transforms)
        weights = np.ones(len(self.transforms)) if p is None else np.asarray(p, float)
        if weights.shape != (len(self.transforms),) or not (weights >= 0).all() or not weights.sum() > 0:
            raise ValueError(f"RandomChoice: expected {len(self.transforms)} weights >= 0, one above (p={p})")
        self.ends = np.cumsum(weights / weights.sum())

    def __call__(self, images: np.ndarray, generator: Generator) -> np.ndarray:
        check_stream("RandomChoice", generator)
        found = np.searchsorted(self.ends, generator.random(len(images)), side="right")
        choice = np.minimum(found, len(self.ends) - 1)
        calls = [lambda x, _, i=i, t=t: t(x, generator.fork(i)) for i, t in enumerate(self.transforms)]
        return each(choice, calls, images)


# ---------------------------------------------------------------- scales


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

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean = np.asarray(mean, np.float32).reshape(-1, 1, 1)
        self.std = np.asarray(std, np.float32).reshape(-1, 1, 1)
        if not (self.std > 0).all():
            raise ValueError(f"Normalize: expected positive deviations (std={std})")

    def __call__(self, images: np.ndarray, generator: Generator | None = None) -> np.ndarray:
        check_images("Normalize", images)
        if self.mean.shape[0] not in (1, images.shape[1]) or self.std.shape[0] not in (1, images.shape[1]):
            raise ValueError(
                f"Normalize: expected one number or one per channel (mean {self.mean.ravel()}, "
                f"std {self.std.ravel()}), got images {images.shape}"
            )
        return (images - self.mean) / self.std
