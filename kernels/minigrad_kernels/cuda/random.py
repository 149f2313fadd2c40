"""Launches of random.cu.

`place` is where a draw begins in its stream: (key0, key1, first word) as NumPy's uint64, or on the device.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .launch import CTYPES, ceil_div, ctype, launch, library

__all__ = ["INSTANCES", "dropout", "random_uniform", "random_words"]

INSTANCES = (
    "random_words", "uniform_double",
    *(f"uniform_single<{t}>" for t in CTYPES.values() if t != "double"),
    *(f"dropout_forward<{t}>" for t in CTYPES.values()),
)  # fmt: skip
THREADS = 256


def random_words(y: Any, *, place: Any) -> Any:
    """Fill y (n,) uint64 with the words of the stream from `place` on."""
    _launch("random_words", (y,), y.size, y.size, place)
    return y


def random_uniform(y: Any, *, place: Any) -> Any:
    """Fill y, C order, with uniform numbers in [0, 1): a word each for float64, else half a word."""
    if y.dtype == np.float64:
        _launch("uniform_double", (y,), y.size, y.size, place)
    else:
        _launch(f"uniform_single<{ctype(y.dtype)}>", (y,), y.size, ceil_div(y.size, 2), place)
    return y


def dropout(x: Any, *, p: float = 0.5, generator: Any = None) -> Any:
    """(x m, (m,)), m drawn from the generator: 0 with probability p, else 1 / (1 - p)."""
    if generator is None or not 0.0 < p < 1.0 or not x.flags.c_contiguous:
        return NotImplemented
    empty = library(x).empty
    y, mask, n = empty(x.shape, x.dtype), empty(x.shape, x.dtype), x.size
    words, args = ceil_div(n, 2), (x, y, mask, p, 1.0 / (1.0 - p))
    _launch(f"dropout_forward<{ctype(x.dtype)}>", args, n, words, generator.place(words))
    return y, (mask,)


def _launch(expression: str, args: tuple, n: int, words: int, place: Any) -> None:
    """A thread for every four words; up to three of the first four lie before the draw."""
    if not n:
        return
    given = (*map(int, place), None) if isinstance(place, np.ndarray) else (0, 0, 0, place)
    launch("random", expression, ceil_div(words + 3, 4 * THREADS), THREADS, (*args, *given, n))
