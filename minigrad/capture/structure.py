"""Structures of arguments: tuples, lists and dicts, with slots for the values that a replay computes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minigrad_kernels.layout import on_gpu

from ..engine import op
from ..engine.backend import Device
from ..engine.backprop import pull
from ..engine.node import Node
from ..engine.tensor import Tensor, wrap

__all__: list[str] = []

PACKAGE = str(Path(__file__).parent.parent)


class Slot:
    """Stands for value number `index` of a replay, in a structure; a Tensor around it if `wrapped`."""

    def __init__(self, index: int, wrapped: bool = False) -> None:
        self.index, self.wrapped = index, wrapped

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slot) and (self.index, self.wrapped) == (other.index, other.wrapped)

    __hash__ = None  # type: ignore[assignment]


def leaves(x: Any) -> Iterator[Any]:
    """What a structure of tuples, lists and dicts holds."""
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, tuple | list):
        for item in x:
            yield from leaves(item)
    else:
        yield x


def mapped(x: Any, f: Callable[[Any], Any]) -> Any:
    """The structure with f of what it holds (and of whole tuples); the very object if nothing changed."""
    if isinstance(x, tuple) and f(x) is not x:
        return f(x)
    if isinstance(x, dict):
        new = {key: mapped(item, f) for key, item in x.items()}
        return new if any(new[key] is not x[key] for key in x) else x
    if isinstance(x, tuple | list):
        parts = [mapped(item, f) for item in x]
        if all(a is b for a, b in zip(parts, x, strict=True)):
            return x
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    return f(x)


def filler(template: Any) -> Callable[[list], Any]:
    """A function values -> the structure with its slots filled."""
    slots = [leaf for leaf in leaves(template) if isinstance(leaf, Slot)]
    if not slots:
        return lambda values: template

    def fill(leaf: Any, values: list) -> Any:
        if not isinstance(leaf, Slot):
            return leaf
        return wrap(values[leaf.index], None) if leaf.wrapped else values[leaf.index]

    return lambda values: mapped(template, lambda leaf: fill(leaf, values))


def alike(a: Any, b: Any) -> bool:
    """Whether two recordings say the same here: arrays and objects by identity, plain values by value."""
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, dict):
        same = isinstance(b, dict) and a.keys() == b.keys()
        # an array in a dict is what a forward puts there anew
        return same and all(is_array(a[k]) or alike(a[k], b[k]) for k in a)
    if isinstance(a, Slot | int | float | complex | str | bytes | slice | np.dtype | np.generic | Device):
        return type(a) is type(b) and (a == b or a != a)
    return a is b


def is_array(x: Any) -> bool:
    """An array of NumPy's or of a GPU's library."""
    return isinstance(x, np.ndarray) or on_gpu(x)


def raw(x: Any) -> Any:
    return x._data if isinstance(x, Tensor) else x


def raw_node(x: Any) -> Node | None:
    return x._node if isinstance(x, Tensor) else None


def caller() -> str:
    """file:line of the user's code that is running."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return "the step" if frame is None else f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def inside_op() -> bool:
    """Whether an op's forward or a VJP is running, on raw arrays."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not pull.__code__ and frame.f_code.co_filename != op.__file__:
        frame = frame.f_back
    return frame is not None
