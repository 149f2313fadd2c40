"""einsum of two arrays as one batched product.

A letter of both arrays and the result is a batch axis, one of both arrays only is summed, one of a single
array is a row or a column. Axes are brought together as views; memory is moved only where they do not lie
together. CuPy's own einsum calls cuBLAS in a way that cannot be captured into a graph.
"""

from __future__ import annotations

import math
from typing import Any

from .linalg import matmul

__all__ = ["einsum"]


def einsum(*arrays: Any, subscripts: str) -> Any:
    """Explicit subscripts, one letter per axis, no letter twice in an operand; two operands."""
    sources, target = subscripts.split("->")
    names = sources.split(",")
    if len(arrays) != 2 or not target:
        return NotImplemented
    if target[-1] not in names[1]:  # then the columns are the first's: the result comes in C order
        arrays, names = arrays[::-1], names[::-1]
    (a, b), (one, two) = arrays, names
    lengths = dict(zip(one, a.shape, strict=True))
    if any(lengths.setdefault(c, n) != n for c, n in zip(two, b.shape, strict=True)):  # length 1 is repeated
        return NotImplemented
    if any((c not in target) and not (c in one and c in two) for c in one + two):  # a sum over one array only
        return NotImplemented
    batch = [c for c in target if c in one and c in two]
    summed = [c for c in one if c in two and c not in target]
    rows, columns = [c for c in target if c not in two], [c for c in target if c not in one]
    y = matmul(
        _gathered(a, one, lengths, batch, rows, summed), _gathered(b, two, lengths, batch, summed, columns)
    )
    if y is NotImplemented:
        return y
    made = batch + rows + columns
    return y.reshape([lengths[c] for c in made]).transpose([made.index(c) for c in target])


def _gathered(x: Any, names: str, lengths: dict[str, int], *groups: list[str]) -> Any:
    """x as a stack of matrices: the batch's axes, then all of a group's axes as one, twice."""
    batch, down, across = groups
    x = x.transpose([names.index(c) for group in groups for c in group])
    shape = [math.prod(lengths[c] for c in group) for group in (down, across)]
    return x.reshape([lengths[c] for c in batch] + shape)
