"""Whole sequences of LSTM, GRU and RNN: every thread walks through time with its share of the batch.

Sequences of a batch never meet, so threads need not wait for each other between time steps: one parallel
region for the whole walk, where a library that works step by step starts T of them. Per step a thread makes
two products, x_t W_ih^T and h W_hh^T, and one pass over the gates, all on memory that its own cache holds.
Gradients of weights are products over all time steps, after the walk back.

Sequences are packed as in the op: step s has count[s] rows from row first[s] on, in the order of the walk.
The rows of one that go on from the step before are the first ones; any others start from h0.
"""

from __future__ import annotations

import functools
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numba import prange

from .gemm import addresses, alone, gemm
from .jit import jit, parallel, threads
from .panels import WIDE, pack
from .recurrent_walks import walk_gru, walk_gru_back, walk_lstm, walk_lstm_back, walk_rnn, walk_rnn_back
from .simd import LANES, load, store

__all__ = [
    "gru_sequence", "gru_sequence_joint", "lstm_sequence", "lstm_sequence_joint", "rnn_sequence",
    "rnn_sequence_joint",
]  # fmt: skip


# ---------------------------------------------------------------- the way through time


@functools.lru_cache(maxsize=256)
def steps(sizes: tuple, reverse: bool) -> tuple[Any, Any] | None:
    """(first, count) of every step in the order of the walk; None for sizes that grow."""
    if not sizes or sizes[-1] < 1 or any(a < b for a, b in pairwise(sizes)):
        return None
    count = np.array(sizes, np.int64)
    first = np.cumsum(count) - count
    return (first[::-1].copy(), count[::-1].copy()) if reverse else (first, count)


def fits(gates: int, x: Any, states: tuple, w_ih: Any, w_hh: Any, biases: tuple, sizes: tuple) -> bool:
    """Whether the arrays are float32 and belong together, and the work pays.

    It does not for less units than a vector has, for one step, and for one sequence with weights that
    only several cores' caches hold.
    """
    batch, width = sizes[0], w_hh.shape[-1]
    shapes = [(x, (sum(sizes), w_ih.shape[-1])), (w_ih, (gates * width, w_ih.shape[-1]))]
    shapes += [(w_hh, (gates * width, width)), *((s, (batch, width)) for s in states)]
    shapes += [(b, (gates * width,)) for b in biases if b is not None]
    enough = width >= LANES and len(sizes) > 1 and (batch > 1 or w_hh.size < 1 << 17)
    return enough and all(a.shape == shape and a.dtype == np.float32 for a, shape in shapes)


def final_rows(sizes: tuple, reverse: bool) -> Any:
    """Which rows are the last that the walk visits, a row per sequence."""
    n, total = sizes[0], sum(sizes)
    if reverse or sizes[-1] == n:
        return slice(0, n) if reverse else slice(total - n, total)
    rows = np.empty(n, np.intp)
    for size, end in zip(sizes, accumulate(sizes), strict=True):
        rows[:size] = np.arange(end - size, end)
    return rows


def states_before(y: Any, h0: Any, first: Any, count: Any) -> list[Any]:
    """The state that each step started from, in the order of the walk: views where they lie together."""
    h, before = h0[: count[0]], []
    for at, n in zip(first.tolist(), count.tolist(), strict=True):
        before.append(h[:n] if len(h) >= n else np.concatenate([h, h0[len(h) : n]]))
        h = y[at : at + n]
    return before


def packed_rows(states: list, reverse: bool) -> Any:
    """A list of the walk's states, packed like x."""
    return np.concatenate(states[::-1] if reverse else states)


def joined(b_ih: Any, b_hh: Any, size: int) -> Any:
    """The sum of the biases that there are."""
    there = [b for b in (b_ih, b_hh) if b is not None]
    return sum(there[1:], there[0]) if there else np.zeros(size, np.float32)


def ready(*arrays: Any) -> list[Any]:
    """Each as one run of memory, flat."""
    return [np.ascontiguousarray(a).reshape(-1) for a in arrays]


def scratch(batch: int, *packed: Any) -> tuple[Any, int]:
    """Room for the products of a step in each of the threads' shares, and how many shares there are."""
    shares = min(threads(), batch)
    rows = -(-batch // shares)
    return np.empty(shares * sum(rows * w.shape[0] * WIDE for w in packed), np.float32), shares


# ---------------------------------------------------------------- gradients of weights and of x


@parallel
def weight_gradients(
    address: Any, d_ih: Any, d_hh: Any, x: Any, before: Any, w_ih: Any, gx: Any, gw_ih: Any, gw_hh: Any,
    gb_ih: Any, gb_hh: Any, shares: Any,
) -> None:  # fmt: skip
    """Products and sums over all time steps, into those of the results that are not empty."""
    total, gates = d_ih.shape
    inputs, width, zero, one = x.shape[1], before.shape[1], np.float32(0), np.float32(1)
    for share in prange(shares):
        low, high = total * share // shares, total * (share + 1) // shares
        if gx.size and high > low:
            gemm(address, False, False, high - low, inputs, gates, one, d_ih, low * gates, gates,
                 w_ih, 0, inputs, zero, gx, low * inputs, inputs)  # fmt: skip
        low, high = gates * share // shares, gates * (share + 1) // shares
        if gw_ih.size:
            gemm(address, True, False, high - low, inputs, total, one, d_ih, low, gates,
                 x, 0, inputs, zero, gw_ih, low * inputs, inputs)  # fmt: skip
        if gw_hh.size:
            gemm(address, True, False, high - low, width, total, one, d_hh, low, gates,
                 before, 0, width, zero, gw_hh, low * width, width)  # fmt: skip
        if gb_ih.size:
            add_rows(d_ih, low, high, gb_ih)
        if gb_hh.size:
            add_rows(d_hh, low, high, gb_hh)


@jit
def add_rows(d: Any, low: Any, high: Any, out: Any) -> None:
    """The sum of all rows of d, for columns low to high."""
    out[low:high] = 0
    whole = high - (high - low) % LANES
    for r in range(d.shape[0]):
        at = r * d.shape[1]
        for k in range(low, whole, LANES):
            store(out, k, load(out, k) + load(d, at + k))
        for k in range(whole, high):
            out[k] += d[r, k]


def gradients(needs: tuple, d_ih: Any, d_hh: Any, x: Any, before: Any, w_ih: Any) -> list[Any]:
    """Of x, W_ih, W_hh, b_ih, b_hh; None where not needed."""
    same = d_ih is d_hh and needs[3] and needs[4]  # then both biases have one gradient
    wanted = (*needs[:4], needs[4] and not same)
    shapes = (x.shape, w_ih.shape, (d_hh.shape[1], before.shape[1]), d_ih.shape[1:], d_hh.shape[1:])
    out = [
        np.empty(shape if want else (0,) * len(shape), np.float32)
        for shape, want in zip(shapes, wanted, strict=True)
    ]
    x, w_ih = np.ascontiguousarray(x), np.ascontiguousarray(w_ih)
    with alone():
        weight_gradients(addresses()["f"], d_ih, d_hh, x, before, w_ih, *out, threads())
    found = [a if want else None for a, want in zip(out, wanted, strict=True)]
    return [*found[:4], found[3].copy()] if same else found


# ---------------------------------------------------------------- what the ops call


def lstm_sequence(
    x: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None, w_hr: Any = None, *,
    sizes: tuple, reverse: bool = False,
) -> Any:  # fmt: skip
    """h of all steps and every sequence's last c, flat; without a projection."""
    way = steps(tuple(sizes), reverse)
    if way is None or w_hr is not None or not fits(4, x, (h0, c0), w_ih, w_hh, (b_ih, b_hh), sizes):
        return NotImplemented
    (total, _), (batch, width) = x.shape, h0.shape
    result = np.empty((total + batch) * width, np.float32)
    y, last = result[: total * width].reshape(total, width), result[total * width :].reshape(batch, width)
    cells, gates, tanhs = (np.empty((total, k * width), np.float32) for k in (1, 4, 1))
    packed, bias = (pack(w_ih.T), pack(w_hh.T)), joined(b_ih, b_hh, 4 * width)
    room, shares = scratch(batch, *[packed[1]] * 2)
    x_, h_, c_ = ready(x, h0, c0)
    walk_lstm(
        x_, packed[0], h_, c_, packed[1], bias, *ready(y, cells, gates, tanhs), *way, batch, room, shares
    )
    h_before, c_before = states_before(y, h0, *way), states_before(cells, c0, *way)
    last[...] = cells[final_rows(sizes, reverse)]
    return result, (h_before, c_before, gates, tanhs, y)


def lstm_sequence_joint(
    g: Any, needs: tuple, x: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, w_hr: Any, saved: Any, *,
    sizes: tuple, reverse: bool,
) -> Any:  # fmt: skip
    """Gradients of x, h0, c0, the weights and the biases."""
    if w_hr is not None or w_hh.shape[1] < LANES:
        return NotImplemented
    h_before, c_before, gates, tanhs, _ = saved
    way, (batch, width), total = steps(tuple(sizes), reverse), h0.shape, len(x)
    g = np.ascontiguousarray(g)
    dc = g[total * width :].copy()
    d, w = np.empty_like(gates), pack(w_hh)
    dh = np.zeros((batch, w.shape[0] * WIDE), np.float32)
    given = ready(gates, tanhs, packed_rows(c_before, reverse))
    walk_lstm_back(g, *given, w, d.reshape(-1), dh.reshape(-1), dc, *way, batch, min(threads(), batch))
    gx, *weights = gradients((needs[0], *needs[3:7]), d, d, x, packed_rows(h_before, reverse), w_ih)
    return gx, dh[:, :width], dc.reshape(batch, width), *weights, None


def gru_sequence(
    x: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None, *, sizes: tuple,
    reverse: bool = False,
) -> Any:  # fmt: skip
    """h of all steps."""
    way = steps(tuple(sizes), reverse)
    if way is None or not fits(3, x, (h0,), w_ih, w_hh, (b_ih, b_hh), sizes):
        return NotImplemented
    (total, _), (batch, width) = x.shape, h0.shape
    y, gates, inner = (np.empty((total, k * width), np.float32) for k in (1, 3, 1))
    packed = pack(w_ih.T), pack(w_hh.T)
    room, shares = scratch(batch, *[packed[1]] * 2)
    x_, h_, b_x, b_h = ready(x, h0, joined(b_ih, None, 3 * width), joined(b_hh, None, 3 * width))
    walk_gru(x_, packed[0], h_, packed[1], b_x, b_h, *ready(y, gates, inner), *way, batch, room, shares)
    return y, (states_before(y, h0, *way), gates, inner)


def gru_sequence_joint(
    g: Any, needs: tuple, x: Any, h0: Any, w_ih: Any, w_hh: Any, saved: Any, *, sizes: tuple, reverse: bool
) -> Any:
    """Gradients of x, h0, the weights and the biases."""
    if w_hh.shape[1] < LANES:
        return NotImplemented
    states, gates, inner = saved
    way, (batch, width), before = steps(tuple(sizes), reverse), h0.shape, packed_rows(states, reverse)
    d_ih, d_hh, w = np.empty_like(gates), np.empty_like(gates), pack(w_hh)
    dh, of_h = np.zeros(h0.shape, np.float32), np.zeros((batch, w.shape[0] * WIDE), np.float32)
    flat = ready(g, gates, inner, before), [a.reshape(-1) for a in (d_ih, d_hh, dh, of_h)]
    walk_gru_back(*flat[0], w, *flat[1], *way, batch, min(threads(), batch))
    gx, *weights = gradients((needs[0], *needs[2:]), d_ih, d_hh, x, before, w_ih)
    return gx, dh + of_h[:, :width], *weights


def rnn_sequence(
    x: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None, *, sizes: tuple,
    reverse: bool = False, nonlinearity: str = "tanh",
) -> Any:  # fmt: skip
    """h of all steps."""
    way = steps(tuple(sizes), reverse)
    if way is None or not fits(1, x, (h0,), w_ih, w_hh, (b_ih, b_hh), sizes):
        return NotImplemented
    (total, _), (batch, width) = x.shape, h0.shape
    y, packed, bias = (
        np.empty((total, width), np.float32),
        (pack(w_ih.T), pack(w_hh.T)),
        joined(b_ih, b_hh, width),
    )
    room, shares = scratch(batch, *[packed[1]] * 2)
    x_, h_ = ready(x, h0)
    walk_rnn(
        x_, packed[0], h_, packed[1], bias, y.reshape(-1), nonlinearity == "relu", *way, batch, room, shares
    )
    return y, states_before(y, h0, *way)


def rnn_sequence_joint(
    g: Any, needs: tuple, y: Any, x: Any, h0: Any, w_ih: Any, w_hh: Any, saved: Any, *, sizes: tuple,
    reverse: bool, nonlinearity: str,
) -> Any:  # fmt: skip
    """Gradients of x, h0, the weights and the biases."""
    if w_hh.shape[1] < LANES:
        return NotImplemented
    way, (batch, width), d, w = steps(tuple(sizes), reverse), h0.shape, np.empty_like(y), pack(w_hh)
    dh = np.zeros((batch, w.shape[0] * WIDE), np.float32)
    out = d.reshape(-1), dh.reshape(-1)
    walk_rnn_back(*ready(g, y), nonlinearity == "relu", w, *out, *way, batch, min(threads(), batch))
    gx, *weights = gradients((needs[0], *needs[2:]), d, d, x, packed_rows(saved, reverse), w_ih)
    return gx, dh[:, :width], *weights
