"""Rows of a table by their numbers, what limits and weighs them, and the largest of each run."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.backend import Array, scatter_add, xp_of
from ..engine.flags import check_range
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
    if not isinstance(index, np.ndarray):
        text = f"{name}: expected indices in [0, {size}) (num_embeddings={size}), got {{value}} at {{place}}"
        check_range(xp_of(index), index, 0, size - 1, IndexError, text)
    elif index.size and (int(index.min()) < 0 or int(index.max()) >= size):
        at = tuple(int(i[0]) for i in ((index < 0) | (index >= size)).nonzero())
        raise IndexError(
            f"{name}: expected indices in [0, {size}) (num_embeddings={size}), got {int(index[at])} at {at}"
        )


def counts_of(xp: Any, index: Array, size: int) -> Array:
    """How often each index occurs in all of `index`: in its shape, as float64."""
    return count(xp, index.reshape(-1), size)[index].astype(np.float64)


def count(xp: Any, index: Array, size: int) -> Array:
    """How often each of 0 .. size - 1 occurs in index (N,)."""
    if xp is np:
        return xp.bincount(index, minlength=size)
    found = xp.zeros(size, np.float32 if index.size < 1 << 24 else np.float64)  # exact: whole numbers
    scatter_add(xp, found, index, xp.ones((), found.dtype))
    return found


@effect
def limit_rows(xp: Any, weight: Tensor, index: Array, limit: float, p: float) -> None:
    """Rows that are used and longer than `limit` in the p-norm are shortened to it, in place."""
    used = xp.unique(index) if xp is np else index.reshape(-1)
    rows = weight._data[used]
    lengths = norm(rows, p, 1, True)
    long = (lengths > limit)[:, 0]
    if xp is not np:  # a row that is used twice is written twice, with the same numbers
        weight._data[used] = xp.where(long[:, None], rows * (limit / (lengths + 1e-7)), rows)
        mutated(weight._data)
    elif long.any():  # 1e-7 as in PyTorch: a row just shortened is not found too long again
        weight._data[used[long]] = rows[long] * (limit / (lengths[long] + 1e-7))
        mutated(weight._data)


def last_of_runs(runs: Array) -> Array:
    """True where a run of equal numbers ends."""
    xp = xp_of(runs)
    if not len(runs):
        return xp.zeros(0, bool)
    return xp.concatenate((runs[1:] != runs[:-1], xp.ones(1, bool)))


def largest_of_runs(xp: Any, rows: Array, runs: Array) -> Array:
    """Where the largest element of each run and column so far stands (the first of equals).

    rows (N, D), runs (N,) sorted -> (N, D). Each place looks back 1, 2, 4, ... places within its run,
    so the last of a run has seen all of it.
    """
    value = rows.copy()
    place = xp.zeros(rows.shape, np.int64) + xp.arange(len(rows))[:, None]
    longest = len(runs)  # the device keeps to itself how long the longest run is
    if xp is np and longest:
        longest = int(np.diff(last_of_runs(runs).nonzero()[0], prepend=-1).max())
    step = 1
    while step < longest:
        earlier = (runs[step:] == runs[:-step])[:, None] & (value[:-step] >= value[step:])
        value[step:] = xp.where(earlier, value[:-step], value[step:])
        place[step:] = xp.where(earlier, place[:-step], place[step:])
        step *= 2
    return place
