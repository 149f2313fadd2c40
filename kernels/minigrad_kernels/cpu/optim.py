"""Adam and SGD: all parameters of a group in one pass over memory, shared among the threads.

Written with NumPy, an update reads and writes its arrays a dozen times, and a model of sixty small
tensors pays for a dozen calls sixty times. Here a table holds the addresses of all parameters,
gradients and averages; each thread takes an even share of the elements of all of them, as if they lay one
behind the other, and does for an element at once all that is to be done.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, prange, types
from numba.extending import intrinsic

from .jit import jit, parallel, threads

__all__ = ["adam", "sgd"]

SHARED = 1 << 15  # elements from which on more than one thread pays

# ---------------------------------------------------------------- arrays by their addresses


@jit
def _enter(table: Any, i: int, p: Any, g: Any, a: Any, b: Any) -> None:
    """Row i of the table: where four arrays of one size lie, and the size."""
    table[i, 0], table[i, 1] = p.ctypes.data, g.ctypes.data
    table[i, 2], table[i, 3] = a.ctypes.data, b.ctypes.data
    table[i, 4] = p.size


@intrinsic
def _pointer(typing: Any, address: Any) -> Any:
    """An address as a pointer to float32."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], ir.FloatType().as_pointer())

    return types.CPointer(types.float32)(address), code


@jit
def _part(table: Any, i: int, which: int, low: int, high: int) -> Any:
    """Elements low to high of an array in the table."""
    return carray(_pointer(table[i, which] + 4 * low), (high - low,))


@jit
def _bounds(table: Any, i: int, before: int, low: int, high: int) -> tuple[int, int]:
    """What of array i belongs to elements low to high of all, if so many elements lie before it."""
    return max(low - before, 0), min(high - before, table[i, 4])


def _table(arrays: tuple[Any, ...], width: int) -> Any:
    """The table of `arrays`, `width` for each parameter; None if one does not fit, or is a view with gaps."""
    table = np.empty((len(arrays) // width, 5), np.int64)
    for i in range(len(table)):
        p, g, *more = some = arrays[width * i : width * (i + 1)]
        for a in some:
            if not a.flags.carray or a.shape != p.shape or a.dtype.char != "f":
                return None
        _enter(table, i, p, g, *(*more, g)[:2])
    return table


def _run(alone: Any, shared: Any, table: Any, numbers: Any, count: int) -> None:
    """An update of all that is in the table, by one thread or by all; `count` settings are the group's."""
    total, rates, settings = int(table[:, 4].sum()), numbers[8:].reshape(-1, 2), tuple(numbers[:count])
    if total < SHARED:
        alone(table, rates, settings, 0, total)
    else:
        shared(table, rates, settings, total, threads())


# ---------------------------------------------------------------- Adam


@jit
def _adam_share(table: Any, rates: Any, settings: Any, low: int, high: int) -> None:
    """Elements low to high of all parameters."""
    shrink, decay, b1, rest1, b2, rest2, sign = settings
    before = 0
    for i in range(len(table)):
        start, end = _bounds(table, i, before, low, high)
        before += table[i, 4]
        if start < end:
            p, g = _part(table, i, 0, start, end), _part(table, i, 1, start, end)
            m, v = _part(table, i, 2, start, end), _part(table, i, 3, start, end)
            size, eps = rates[i, 0], rates[i, 1]
            for j in range(end - start):
                d = sign * g[j]
                if decay != 0:
                    d += decay * p[j]
                m[j] = b1 * m[j] + rest1 * d
                v[j] = b2 * v[j] + rest2 * (d * d)
                p[j] = shrink * p[j] - size * (m[j] / (np.sqrt(v[j]) + eps))


@parallel
def _adam(table: Any, rates: Any, settings: Any, total: int, shares: int) -> None:
    for share in prange(shares):
        _adam_share(table, rates, settings, total * share // shares, total * (share + 1) // shares)


def adam(*arrays: Any, numbers: Any) -> Any:
    """Updates parameters in place, given as p, g, m, v for each.

    numbers: the factor of p, that of the p which is added to g, b1, 1 - b1, b2, 1 - b2, the sign of g and a
    number not used; then for each parameter the factor of m, and eps.
    """
    table = _table(arrays, 4)
    return NotImplemented if table is None else _run(_adam_share, _adam, table, numbers, 7)


# ---------------------------------------------------------------- SGD


@jit
def _sgd_share(table: Any, parts: Any, settings: Any, low: int, high: int) -> None:
    """Elements low to high of all parameters."""
    lr, momentum, decay, sign, nesterov = settings
    before = 0
    for i in range(len(table)):
        start, end = _bounds(table, i, before, low, high)
        before += table[i, 4]
        if start < end:
            p, g = _part(table, i, 0, start, end), _part(table, i, 1, start, end)
            v, part = _part(table, i, 2, start, end), parts[i, 0]
            if momentum == 0:
                for j in range(end - start):
                    p[j] -= lr * (sign * g[j] + decay * p[j] if decay != 0 else sign * g[j])
            else:
                for j in range(end - start):
                    d = sign * g[j] + decay * p[j] if decay != 0 else sign * g[j]
                    v[j] = momentum * v[j] + part * d
                    p[j] -= lr * (d + momentum * v[j] if nesterov != 0 else v[j])


@parallel
def _sgd(table: Any, parts: Any, settings: Any, total: int, shares: int) -> None:
    for share in prange(shares):
        _sgd_share(table, parts, settings, total * share // shares, total * (share + 1) // shares)


def sgd(*arrays: Any, numbers: Any) -> Any:
    """Updates parameters in place, given as p, g, v for each (v is p itself without momentum).

    numbers: lr, momentum, weight decay, the sign of g, whether Nesterov's, and three not used; then for each
    parameter what v takes in of its gradient, and a number not used.
    """
    table = _table(arrays, 3)
    return NotImplemented if table is None else _run(_sgd_share, _sgd, table, numbers, 5)
