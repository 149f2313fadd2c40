"""The walks through time of LSTM, GRU and RNN, compiled: every thread goes alone with its share of the batch.

Arrays are flat, except weights, which are packed in panels; positions count rows times their width. Step s
has count[s] rows from row first[s] on. Units are taken LANES at a time; where LANES does not divide their
number, the last vector overlaps the one before it and the same is computed twice.
"""

from __future__ import annotations

from typing import Any

from numba import prange

from .jit import jit, parallel
from .maths import sigmoid, tanh
from .panels import WIDE, product
from .simd import LANES, fma, load, maximum, splat, store, where_greater, zeros

__all__ = ["walk_gru", "walk_gru_back", "walk_lstm", "walk_lstm_back", "walk_rnn", "walk_rnn_back"]


@jit
def both_sums(
    x: Any, w_ih: Any, y: Any, h0: Any, w_hh: Any, first: Any, count: Any, s: Any, low: Any, high: Any,
    room: Any, of_x: Any, of_h: Any,
) -> Any:  # fmt: skip
    """x W_ih^T and h W_hh^T of step s for sequences low to high, into `room` from of_x and of_h on.

    Returns how many sequences go on from the step before, whose h is in y; the others' is in h0.
    """
    kept = min(high, count[s - 1]) if s else 0
    inputs, width, pitch = w_ih.shape[1], w_hh.shape[1], w_hh.shape[0] * WIDE
    product(x, (first[s] + low) * inputs, w_ih, room, of_x, high - low)
    if kept > low:
        product(y, (first[s - 1] + low) * width, w_hh, room, of_h, kept - low)
    new = max(low, kept)
    if high > new:
        product(h0, new * width, w_hh, room, of_h + (new - low) * pitch, high - new)
    return kept


# ---------------------------------------------------------------- LSTM


@parallel
def walk_lstm(
    x: Any, w_ih: Any, h0: Any, c0: Any, w_hh: Any, bias: Any, y: Any, cells: Any, gates: Any, tanhs: Any,
    first: Any, count: Any, batch: Any, room: Any, shares: Any,
) -> None:  # fmt: skip
    width, pitch, half = w_hh.shape[1], w_hh.shape[0] * WIDE, room.size // (2 * shares)
    for share in prange(shares):
        low, above = batch * share // shares, batch * (share + 1) // shares
        of_x, of_h = 2 * share * half, (2 * share + 1) * half
        for s in range(count.size):
            high = min(above, count[s])
            if high <= low:
                continue
            kept = both_sums(x, w_ih, y, h0, w_hh, first, count, s, low, high, room, of_x, of_h)
            for r in range(low, high):
                at, here = (first[s] + r) * width, (r - low) * pitch
                before, ib = (cells, (first[s - 1] + r) * width) if r < kept else (c0, r * width)
                lstm_cells(
                    room, of_x + here, of_h + here, bias, before, ib, y, cells, gates, tanhs, at, width
                )


@jit
def lstm_cells(
    room: Any, ix: Any, ih: Any, bias: Any, before: Any, ib: Any, y: Any, cells: Any, gates: Any, tanhs: Any,
    at: Any, width: Any,
) -> None:  # fmt: skip
    """One sequence, one step: gates i, f, a, o from the sums, then c' = f c + i a and h' = o tanh(c')."""
    for start in range(0, width, LANES):
        j = min(start, width - LANES)
        i, f, a, o = ix + j, ix + j + width, ix + j + 2 * width, ix + j + 3 * width
        d = ih - ix
        i = sigmoid(load(room, i) + load(room, i + d) + load(bias, j))
        f = sigmoid(load(room, f) + load(room, f + d) + load(bias, j + width))
        a = tanh(load(room, a) + load(room, a + d) + load(bias, j + 2 * width))
        o = sigmoid(load(room, o) + load(room, o + d) + load(bias, j + 3 * width))
        c = fma(f, load(before, ib + j), i * a)
        t = tanh(c)
        g = 4 * at + j
        store(gates, g, i), store(gates, g + width, f)
        store(gates, g + 2 * width, a), store(gates, g + 3 * width, o)
        store(cells, at + j, c), store(tanhs, at + j, t), store(y, at + j, o * t)


@parallel
def walk_lstm_back(
    g: Any, gates: Any, tanhs: Any, before: Any, w_hh: Any, d: Any, dh: Any, dc: Any, first: Any, count: Any,
    batch: Any, shares: Any,
) -> None:  # fmt: skip
    width, pitch = dc.size // batch, w_hh.shape[0] * WIDE
    for share in prange(shares):
        low, above = batch * share // shares, batch * (share + 1) // shares
        for s in range(count.size - 1, -1, -1):
            high = min(above, count[s])
            if high <= low:
                continue
            for r in range(low, high):
                lstm_cells_back(
                    g, gates, tanhs, before, d, dh, r * pitch, dc, r * width, (first[s] + r) * width, width
                )
            product(d, (first[s] + low) * 4 * width, w_hh, dh, low * pitch, high - low)


@jit
def lstm_cells_back(
    g: Any,
    gates: Any,
    tanhs: Any,
    before: Any,
    d: Any,
    dh: Any,
    ih: Any,
    dc: Any,
    ic: Any,
    at: Any,
    width: Any,
) -> None:
    """One sequence, one step: the gradients of the gates' sums, and of c before."""
    one = splat(1.0)
    tail = load(dc, ic + width - LANES)  # the last vector may overlap the one before it, whose dc is new then
    for start in range(0, width, LANES):
        j = min(start, width - LANES)
        k = 4 * at + j
        i, f, a, o = (
            load(gates, k),
            load(gates, k + width),
            load(gates, k + 2 * width),
            load(gates, k + 3 * width),
        )
        t, dm = load(tanhs, at + j), load(dh, ih + j) + load(g, at + j)
        do = dm * o
        dc_ = (load(dc, ic + j) if start == j else tail) + do * (one - t * t)
        store(d, k, dc_ * a * i * (one - i))
        store(d, k + width, dc_ * load(before, at + j) * f * (one - f))
        store(d, k + 2 * width, dc_ * i * (one - a * a))
        store(d, k + 3 * width, dm * t * o * (one - o))
        store(dc, ic + j, dc_ * f)


# ---------------------------------------------------------------- GRU


@parallel
def walk_gru(
    x: Any, w_ih: Any, h0: Any, w_hh: Any, b_ih: Any, b_hh: Any, y: Any, gates: Any, inner: Any, first: Any,
    count: Any, batch: Any, room: Any, shares: Any,
) -> None:  # fmt: skip
    width, pitch, half = w_hh.shape[1], w_hh.shape[0] * WIDE, room.size // (2 * shares)
    for share in prange(shares):
        low, above = batch * share // shares, batch * (share + 1) // shares
        of_x, of_h = 2 * share * half, (2 * share + 1) * half
        for s in range(count.size):
            high = min(above, count[s])
            if high <= low:
                continue
            kept = both_sums(x, w_ih, y, h0, w_hh, first, count, s, low, high, room, of_x, of_h)
            for r in range(low, high):
                at, here = (first[s] + r) * width, (r - low) * pitch
                before, ib = (y, (first[s - 1] + r) * width) if r < kept else (h0, r * width)
                gru_cells(room, of_x + here, of_h + here, b_ih, b_hh, before, ib, y, gates, inner, at, width)


@jit
def gru_cells(
    room: Any, ix: Any, ih: Any, b_ih: Any, b_hh: Any, before: Any, ib: Any, y: Any, gates: Any, inner: Any,
    at: Any, width: Any,
) -> None:  # fmt: skip
    """One sequence, one step: gates r and z, n = tanh(x_n + r h_n), and h' = n + z (h - n)."""
    for start in range(0, width, LANES):
        j = min(start, width - LANES)
        k, m = j + width, j + 2 * width
        r = sigmoid(load(room, ix + j) + load(b_ih, j) + load(room, ih + j) + load(b_hh, j))
        z = sigmoid(load(room, ix + k) + load(b_ih, k) + load(room, ih + k) + load(b_hh, k))
        of_h = load(room, ih + m) + load(b_hh, m)
        n = tanh(fma(r, of_h, load(room, ix + m) + load(b_ih, m)))
        g = 3 * at + j
        store(gates, g, r), store(gates, g + width, z), store(gates, g + 2 * width, n)
        store(inner, at + j, of_h), store(y, at + j, fma(z, load(before, ib + j) - n, n))


@parallel
def walk_gru_back(
    g: Any, gates: Any, inner: Any, before: Any, w_hh: Any, d_ih: Any, d_hh: Any, dh: Any, of_h: Any,
    first: Any, count: Any, batch: Any, shares: Any,
) -> None:  # fmt: skip
    """Through time: the gradient of h comes by z, in dh, and by the sums, in of_h."""
    width, pitch = dh.size // batch, w_hh.shape[0] * WIDE
    for share in prange(shares):
        low, above = batch * share // shares, batch * (share + 1) // shares
        for s in range(count.size - 1, -1, -1):
            high = min(above, count[s])
            if high <= low:
                continue
            for r in range(low, high):
                at = (first[s] + r) * width
                gru_cells_back(g, gates, inner, before, d_ih, d_hh, dh, r * width, of_h, r * pitch, at, width)
            product(d_hh, (first[s] + low) * 3 * width, w_hh, of_h, low * pitch, high - low)


@jit
def gru_cells_back(
    g: Any, gates: Any, inner: Any, before: Any, d_ih: Any, d_hh: Any, dh: Any, ic: Any, of_h: Any, ih: Any,
    at: Any, width: Any,
) -> None:  # fmt: skip
    """One sequence, one step: the gradients of both sums, and of h before by z."""
    one = splat(1.0)
    tail = load(dh, ic + width - LANES)  # the last vector may overlap the one before it, whose dh is new then
    for start in range(0, width, LANES):
        j = min(start, width - LANES)
        k = 3 * at + j
        r, z, n = load(gates, k), load(gates, k + width), load(gates, k + 2 * width)
        dy = (load(dh, ic + j) if start == j else tail) + load(of_h, ih + j) + load(g, at + j)
        dn = dy * (one - z) * (one - n * n)
        dz = dy * (load(before, at + j) - n) * z * (one - z)
        dr = dn * load(inner, at + j) * r * (one - r)
        store(d_ih, k, dr), store(d_ih, k + width, dz), store(d_ih, k + 2 * width, dn)
        store(d_hh, k, dr), store(d_hh, k + width, dz), store(d_hh, k + 2 * width, dn * r)
        store(dh, ic + j, dy * z)


# ---------------------------------------------------------------- RNN


@parallel
def walk_rnn(
    x: Any, w_ih: Any, h0: Any, w_hh: Any, bias: Any, y: Any, relu: Any, first: Any, count: Any, batch: Any,
    room: Any, shares: Any,
) -> None:  # fmt: skip
    width, pitch, half = w_hh.shape[1], w_hh.shape[0] * WIDE, room.size // (2 * shares)
    for share in prange(shares):
        low, above = batch * share // shares, batch * (share + 1) // shares
        of_x, of_h = 2 * share * half, (2 * share + 1) * half
        for s in range(count.size):
            high = min(above, count[s])
            if high <= low:
                continue
            both_sums(x, w_ih, y, h0, w_hh, first, count, s, low, high, room, of_x, of_h)
            for r in range(low, high):
                at, here = (first[s] + r) * width, (r - low) * pitch
                for start in range(0, width, LANES):
                    j = min(start, width - LANES)
                    v = load(room, of_x + here + j) + load(room, of_h + here + j) + load(bias, j)
                    store(y, at + j, maximum(v, zeros()) if relu else tanh(v))


@parallel
def walk_rnn_back(
    g: Any, y: Any, relu: Any, w_hh: Any, d: Any, dh: Any, first: Any, count: Any, batch: Any, shares: Any
) -> None:
    width, pitch, one = w_hh.shape[1], w_hh.shape[0] * WIDE, splat(1.0)
    for share in prange(shares):
        low, above = batch * share // shares, batch * (share + 1) // shares
        for s in range(count.size - 1, -1, -1):
            high = min(above, count[s])
            if high <= low:
                continue
            for r in range(low, high):
                at = (first[s] + r) * width
                for start in range(0, width, LANES):
                    j = min(start, width - LANES)
                    v = load(y, at + j)
                    slope = where_greater(v, zeros(), one, zeros()) if relu else one - v * v
                    store(d, at + j, (load(dh, r * pitch + j) + load(g, at + j)) * slope)
            product(d, (first[s] + low) * width, w_hh, dh, low * pitch, high - low)
