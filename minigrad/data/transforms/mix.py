"""Images mixed with one another, and their labels with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...engine.random import Generator
from ...ops.loss import check_labels
from ..dataset import Dataset
from .base import check_images, check_stream

__all__ = [
    "CutMix",
    "MixUp",
    "MixedDataset",
]


def beta(generator: Generator, alpha: float, n: int) -> np.ndarray:
    """n draws from Beta(alpha, alpha): a / (a + b) of gamma draws, by their logarithms: they may be tiny."""
    log = _log_gamma(generator, alpha, 2 * n).reshape(2, n)
    return 1.0 / (1.0 + np.exp(np.clip(log[1] - log[0], -700, 700)))


def _log_gamma(generator: Generator, alpha: float, n: int) -> np.ndarray:
    """Logarithms of n draws from Gamma(alpha): Marsaglia & Tsang 2000, for alpha + 1, times u^(1/alpha)."""
    d = alpha + 2.0 / 3.0
    out, left = np.empty(n), np.arange(n)
    while left.size:
        x, u = generator.standard_normal(left.size), generator.random(left.size)
        v = np.maximum(1.0 + x / np.sqrt(9.0 * d), 0.0) ** 3
        log_v = np.log(np.maximum(v, 1e-300))
        good = (v > 0) & (np.log(1.0 - u) < 0.5 * x * x + d * (1.0 - v + log_v))
        out[left[good]] = np.log(d) + log_v[good]
        left = left[~good]
    return out + np.log(1.0 - generator.random(n)) / alpha


class _Mix:
    """What MixUp and CutMix share: each image has the one before it in the batch as its partner."""

    def __init__(self, *, alpha: float = 1.0, num_classes: int | None = None) -> None:
        name = type(self).__name__
        if not (alpha > 0 and np.isfinite(alpha)):
            raise ValueError(f"{name}: expected a number > 0 (alpha={alpha})")
        if num_classes is not None and (not isinstance(num_classes, int | np.integer) or num_classes < 1):
            raise ValueError(f"{name}: expected a whole number >= 1 or None (num_classes={num_classes!r})")
        self.alpha, self.num_classes = alpha, num_classes

    def __call__(
        self, images: np.ndarray, labels: np.ndarray, generator: Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        name = type(self).__name__
        check_images(name, images)
        check_stream(name, generator)
        if images.dtype.kind != "f":
            raise TypeError(f"{name}: expected floats, got {images.dtype}; put ToFloat() before it")
        soft = self._soft(name, labels, images)
        mixed, share = self.mix(images, beta(generator, self.alpha, len(images)), generator)
        share = share.astype(np.float32)[:, None]
        return mixed, share * soft + (1 - share) * np.roll(soft, 1, 0)

    def mix(
        self, images: np.ndarray, share: np.ndarray, generator: Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The mixed images, and what is left of the first of each pair."""
        raise NotImplementedError

    def _soft(self, name: str, labels: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Labels (N,), or soft ones (N, K), as float32 (N, K)."""
        if len(labels) != len(images):
            raise ValueError(f"{name}: expected {len(images)} labels as images, got {len(labels)}")
        if labels.ndim == 2 and labels.dtype.kind == "f":
            return labels.astype(np.float32)
        if labels.ndim != 1:
            raise ValueError(
                f"{name}: expected labels (N,), or floats (N, K), got {labels.shape} {labels.dtype}"
            )
        if self.num_classes is None:
            raise ValueError(f"{name}: expected the number of classes for whole labels; pass num_classes=")
        check_labels(name, labels, self.num_classes)
        return np.eye(self.num_classes, dtype=np.float32)[labels]


class MixUp(_Mix):
    """l x + (1 - l) x', and the labels likewise; l is drawn for each image from Beta(alpha, alpha).

    images (N, C, H, W) of floats and labels (N,) become mixed images and soft labels (N, num_classes) in
    float32, which cross_entropy takes. Partners are neighbours in the batch, so shuffle. Zhang et al. 2018.

    >>> import numpy as np
    >>> from minigrad.data.transforms import MixUp
    >>> from minigrad.engine.random import Generator
    >>> images = np.arange(2.0).reshape(2, 1, 1, 1)
    >>> mixed, labels = MixUp(num_classes=2)(images, np.array([0, 1]), Generator(0))
    >>> bool(np.allclose(mixed.ravel(), labels[:, 1]))
    True
    """

    def mix(
        self, images: np.ndarray, share: np.ndarray, generator: Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """l x + (1 - l) x'."""
        lam = share.astype(images.dtype).reshape(-1, 1, 1, 1)
        return lam * images + (1 - lam) * np.roll(images, 1, 0), share


class CutMix(_Mix):
    """A rectangle of each image replaced by the partner's, and the labels mixed by area.

    The rectangle has the image's shape and, for l from Beta(alpha, alpha), the area 1 - l; its centre lies
    anywhere, what reaches over the edge is cut off. Arguments and results as MixUp's. Yun et al. 2019.
    """

    def mix(
        self, images: np.ndarray, share: np.ndarray, generator: Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The partner's pixels inside the rectangle."""
        n, _, height, width = images.shape
        u, side = generator.random((2, n)), np.sqrt(1 - share) / 2
        inside = [
            (np.arange(size) >= np.floor(centre - half)[:, None])
            & (np.arange(size) < np.floor(centre + half)[:, None])
            for size, centre, half in (
                (height, np.floor(u[0] * height), side * height),
                (width, np.floor(u[1] * width), side * width),
            )
        ]
        hit = inside[0][:, :, None] & inside[1][:, None, :]
        return np.where(hit[:, None], np.roll(images, 1, 0), images), 1 - hit.mean((1, 2))


class MixedDataset(Dataset):
    """A dataset of (images, labels) whose batches are mixed by MixUp or CutMix, in the loader's workers.

    mix(images, labels, generator) is called for each batch; `dataset[i]` is the untouched item.
    Raises TypeError unless `dataset` gives whole batches, as TensorDataset does.
    """

    def __init__(self, dataset: Any, mix: Callable[..., tuple]) -> None:
        if not hasattr(dataset, "batch"):
            raise TypeError(f"MixedDataset: expected a dataset with batch(), got {type(dataset).__name__}")
        if not callable(mix):
            raise TypeError(f"MixedDataset: expected MixUp, CutMix or a function (mix), got {mix!r}")
        self.dataset, self.mix = dataset, mix

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]

    def batch(self, indices: np.ndarray, generator: Generator) -> tuple:
        """The rows of all indices, mixed with one another."""
        return tuple(self.mix(*self.dataset.batch(indices, generator.fork(0)), generator.fork(1)))

    def item(self, index: int, generator: Generator) -> tuple:
        """Refused: one item has no partner."""
        raise TypeError("MixedDataset: mixing needs whole batches; leave the loader's collate_fn out")
