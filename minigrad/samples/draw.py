"""Random arrays for samples, by short names."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np

from ..engine.random import Generator

Sample = tuple[tuple, dict[str, Any]]


class Draw:
    """Short names for random arrays of a fixed stream."""

    def __init__(self, seed: int, topic: str) -> None:
        self.generator = Generator(seed).fork(crc32(topic.encode()))

    def n(self, *shape: int) -> np.ndarray:
        """Normal numbers."""
        return self.generator.standard_normal(shape)

    def u(self, low: float, high: float, *shape: int) -> np.ndarray:
        """Uniform numbers."""
        return self.generator.uniform(low, high, shape)

    def apart(self, *shape: int) -> np.ndarray:
        """Distinct numbers, at least 0.3 apart and off 0: no ties, no kinks nearby."""
        size = int(np.prod(shape))
        steps = (self.generator.permutation(size) - size // 2 + 0.5) * 0.37
        return steps.reshape(shape)

    def matrix(self, n: int) -> np.ndarray:
        """A well-conditioned symmetric positive definite matrix."""
        a = self.n(n, n)
        return a @ a.T / n + 2.0 * np.eye(n)
