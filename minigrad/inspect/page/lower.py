"""An op's settings in what JavaScript can have: numbers, lists, slices and arrays, no Python objects."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...engine.backend import to_numpy
from ...engine.tensor import Tensor
from ..record import Forward

__all__ = ["encode_meta", "lower"]


def lower(forward: Forward) -> dict[str, Any]:
    """The settings of a recorded op, as the page's interpreter takes them.

    A random op gets what was drawn (dropout its `mask`), a band its two arrays, an index its parts in a list
    with boolean arrays as the places where they are true. All else stays as it is.
    """
    change = LOWERED.get(forward.op)
    return dict(forward.meta) if change is None else change(forward)


def encode_meta(
    meta: dict[str, Any],
    array_index: Callable[[np.ndarray], int],
    recipe_of: Callable[[Any], dict[str, Any] | None] = lambda array: None,
) -> dict[str, Any]:
    """Settings as JSON; `array_index` takes an array into the page and says its number there.

    slice -> {slice: [a, b, c]}, Ellipsis -> {ellipsis: true}, array -> {array: number}, dtype ->
    {dtype: "float64"}, inf and nan -> {number: "inf"}; anything unknown -> {repr: "..."}. An array that
    `recipe_of` knows how to make again -> {array: number, recipe: ...}.
    """

    def encoded(value: Any) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"number": str(value)}
        if isinstance(value, list | tuple):
            return [encoded(v) for v in value]
        if isinstance(value, dict):
            return {name: encoded(v) for name, v in value.items()}
        if isinstance(value, slice):
            return {"slice": [encoded(v) for v in (value.start, value.stop, value.step)]}
        if value is Ellipsis:
            return {"ellipsis": True}
        if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
            return {"dtype": np.dtype(value).name}
        raw = value._data if isinstance(value, Tensor) else value
        if hasattr(raw, "shape") and hasattr(raw, "dtype"):
            recipe, told = recipe_of(raw), {"array": array_index(to_numpy(raw))}
            return told if recipe is None else {**told, "recipe": recipe}
        return {"repr": repr(value)}

    return {name: encoded(value) for name, value in meta.items()}


# ---------------------------------------------------------------- op by op


def _dropout(forward: Forward) -> dict[str, Any]:
    """The mask that was drawn, with its factor 1 / (1 - p); of a constant it was not kept."""
    return {"p": forward.meta["p"], "mask": dict(forward.saved).get("extra", {"repr": "not kept"})}


def _resample(forward: Forward) -> dict[str, Any]:
    band = forward.meta["band"]
    parts = {"first": band.first, "weights": band.weights, "length": band.shape[1]}
    return {"axis": forward.meta["axis"], "band": parts}


def _indexed(forward: Forward) -> dict[str, Any]:
    index = forward.meta["index"]
    parts = index if isinstance(index, tuple) else (index,)
    return {**forward.meta, "index": [part for given in parts for part in _parts_of_index(given)]}


def _parts_of_index(part: Any) -> list[Any]:
    """One part of an index; a boolean array is an array of places for each of its axes."""
    if isinstance(part, bool) or (hasattr(part, "dtype") and part.dtype == bool and not part.ndim):
        return [{"repr": repr(part)}]  # a lone truth as an index: too rare to know about
    if hasattr(part, "dtype") and part.dtype == bool:
        return list(to_numpy(part).nonzero())
    return [part]


def _without(*names: str) -> Callable[[Forward], dict[str, Any]]:
    return lambda forward: {name: v for name, v in forward.meta.items() if name not in names}


LOWERED: dict[str, Callable[[Forward], dict[str, Any]]] = {
    "checkpoint": lambda forward: {},  # what is behind it is in the graph
    "dropout": _dropout,
    "normalise": _without("moments"),  # where the statistics are told to
    "put": _indexed,
    "put_add": _indexed,
    "resample": _resample,
    "take_index": _indexed,
    "transfer": lambda forward: {},
}
