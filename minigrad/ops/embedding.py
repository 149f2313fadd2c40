"""Rows of a table by their numbers, what limits and weighs them, and the largest of each run."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.backend import Array
from ..engine.node import mutated
from ..engine.op import op
from ..engine.recording import effect
from ..engine.tensor import Tensor
from .reduce import norm


@op(x=lambda g, factor: g * factor)
def weigh_gradient(xp: Any, x: Array, *, factor: Any) -> Array:
    """x as it is; its gradient comes back times `factor` (a number or an array that broadcasts to x).

    Factor 0 stops it, -1 turns it round (Ganin & Lempitsky 2015).

    >>> import minigrad as mg
    >>> from minigrad.ops.embedding import weigh_gradient
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> weigh_gradient(x, factor=-1.0).sum().backward()
    >>> x.grad
    tensor([-1., -1.])
    """
    return x


@effect
def check_rows(name: str, index: Array, size: int) -> None:
    """Row numbers: int32 or int64, in [0, size); IndexError names the first that is not."""
    if index.dtype not in (np.int32, np.int64):
        raise TypeError(f"{name}: expected int32 or int64 indices, got {index.dtype}; use .astype('int64')")
    if index.size and (int(index.min()) < 0 or int(index.max()) >= size):
        at = tuple(int(i[0]) for i in ((index < 0) | (index >= size)).nonzero())
        raise IndexError(
            f"{name}: expected indices in [0, {size}) (num_embeddings={size}), got {int(index[at])} at {at}"
        )


def counts_of(xp: Any, index: Array, size: int) -> Array:
    """How often each index occurs in all of `index`: in its shape, as float64."""
    return xp.bincount(index.reshape(-1), minlength=size)[index].astype(np.float64)


@effect
def limit_rows(xp: Any, weight: Tensor, index: Array, limit: float, p: float) -> None:
    """Rows that are used and longer than `limit` in the p-norm are shortened to it, in place."""
    used = xp.unique(index)
    rows = weight._data[used]
    lengths = norm(rows, p, 1, True)
    long = (lengths > limit)[:, 0]
    if long.any():  # 1e-7 as in PyTorch: a row just shortened is not found too long again
        weight._data[used[long]] = rows[long] * (limit / (lengths[long] + 1e-7))
        mutated(weight._data)


def last_of_runs(xp: Any, runs: Array) -> Array:
    """Where each run of equal numbers ends."""
    if not len(runs):
        return xp.zeros(0, np.int64)
    return xp.concatenate((runs[1:] != runs[:-1], xp.ones(1, bool))).nonzero()[0]


def largest_of_runs(xp: Any, rows: Array, runs: Array) -> Array:
    """Where the largest element of each run and column stands (the first of equals).

    rows (N, D), runs (N,) sorted -> (runs, D). Each place looks back 1, 2, 4, ... places within its run,
    so the last of a run has seen all of it.
    """
    ends = last_of_runs(xp, runs)
    value = rows.copy()
    place = xp.zeros(rows.shape, np.int64) + xp.arange(len(rows))[:, None]
    longest = int(xp.diff(ends, prepend=-1).max()) if len(ends) else 0
    step = 1
    while step < longest:
        earlier = (runs[step:] == runs[:-step])[:, None] & (value[:-step] >= value[step:])
        value[step:] = xp.where(earlier, value[:-step], value[step:])
        place[step:] = xp.where(earlier, place[:-step], place[step:])
        step *= 2
    return place[ends]
