"""PyTorch's names of arguments, heard beside NumPy's: sum(x, dim=1) is sum(x, axis=1)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Container
from typing import Any

SPELLINGS = {
    "dim": "axis", "dims": "axis", "keepdim": "keepdims", "input": "x", "shifts": "shift", "diagonal": "k",
}  # fmt: skip


def own_names(given: dict, known: Container[str]) -> dict:
    """Arguments by our names; one that is given twice, or meant otherwise, keeps the name it came with."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        own = SPELLINGS.get(name, name)
        found[own if own in known and own not in given and own not in found else name] = value
    return found


def spelt_either_way(function: Callable) -> Callable:
    """A plain function that takes PyTorch's names of arguments too, as every op does."""
    known = inspect.signature(function).parameters

    @functools.wraps(function)
    def call(*args: Any, **given: Any) -> Any:
        return function(*args, **(own_names(given, known) if given else given))

    return call
