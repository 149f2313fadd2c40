"""Recurrence, twice: one time step in plain ops, and a whole sequence in one op.

The plain steps are what the cells run and what an unrolled layer shows node by node: backprop
through them is backpropagation through time (Werbos 1990). The sequence ops do the same walk on
raw arrays with a backward of their own. They are fast because all that needs no earlier state is
one product for all time steps (x W_ih^T before the walk; every weight's gradient after it), and
the rest of a step is one small product and a few writes into arrays that are already there.

Sequences are packed: x holds the rows of step 0, then those of step 1, ...; `sizes` says how many
sequences are alive at each step, longest first, so those of a step are the first of the step
before. Equal lengths are sizes (N,) * T. Walking backwards in time (`reverse`), sequences come
alive where the forward walk would lose them, and start from their initial state there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ..engine import backend
from ..engine.backend import Array, constant, xp_of
from ..engine.op import op
from .activation import relu, sigmoid
from .linear import linear
from .shape import concatenate, reshape
from .trig import tanh

# ---------------------------------------------------------------- one step, in plain ops


def rnn_step(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, nonlinearity: str = "tanh") -> Any:
    """tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it. Elman 1990."""
    z = linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh)
    h = relu(z) if nonlinearity == "relu" else tanh(z)
    return h  # noqa: RET504 - a trace shows it by this name


def lstm_step(
    x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, w_hr: Any = None
) -> tuple[Any, Any]:
    """c' = f c + i g, h' = o tanh(c'), with the gates i, f, g, o in one product; h' W_hr^T if projected.

    Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000; projection: Sak et al. 2014.
    """
    z = linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh)
    i, f, g, o = _parts(z, 4)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)
    return (h if w_hr is None else linear(h, w_hr)), c


def gru_step(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Any:
    """(1 - z) n + z h with n = tanh(W_in x + b_in + r (W_hn h + b_hn)) and gates r, z.

    Cho et al. 2014, with the reset gate after the product.
    """
    (xr, xz, xn), (hr, hz, hn) = _parts(linear(x, w_ih, b_ih), 3), _parts(linear(h, w_hh, b_hh), 3)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = tanh(xn + r * hn)
    h = n + z * (h - n)
    return h  # noqa: RET504 - a trace shows it by this name


def _parts(z: Any, count: int) -> list:
    """The gates: equal parts of the last axis."""
    width = np.shape(z)[-1] // count
    return [z[..., k * width : (k + 1) * width] for k in range(count)]


# ---------------------------------------------------------------- the walk


def _walk(x: Any, sizes: Sequence[int], reverse: bool) -> list[tuple[slice, int]]:
    """(rows of x, number of sequences) for every step, in the order they are taken."""
    if not sizes or any(a < b for a, b in pairwise(sizes)) or sum(sizes) != len(x):
        raise ValueError(f"expected sizes that do not grow and sum to len(x) = {len(x)} (sizes={sizes})")
    steps = [(slice(end - n, end), n) for n, end in zip(sizes, accumulate(sizes), strict=True)]
    return steps[::-1] if reverse else steps


def final_rows(sizes: Sequence[int], reverse: bool) -> Any:
    """Which rows of the output are the last that the walk visits, a row per sequence: an index."""
    n, total = sizes[0], sum(sizes)
    if reverse:
        return slice(0, n)
    if sizes[-1] == n:
        return slice(total - n, total)
    rows = np.empty(n, np.intp)
    for size, end in zip(sizes, accumulate(sizes), strict=True):
        rows[:size] = np.arange(end - size, end)
    return rows


def _alive(h: Any, initial: Any, n: int, join: Callable) -> Any:
    """The state of the n sequences of the next step: some end, or some begin."""
    if len(h) == n:
        return h
    return h[:n] if len(h) > n else join([h, initial[len(h) : n]])


def unroll(step: Callable, x: Any, initial: tuple, sizes: Sequence[int], reverse: bool) -> tuple:
    """Every step's states, packed like x: `step(x_t, *states)` in plain ops, one after the other."""
    steps = _walk(x, sizes, reverse)
    states = tuple(s[: steps[0][1]] for s in initial)
    seen = []
    for rows, n in steps:
        states = step(
            x[rows], *(_alive(s, s0, n, concatenate) for s, s0 in zip(states, initial, strict=True))
        )
        seen.append(states)
    return tuple(concatenate(list(s)) for s in zip(*(seen[::-1] if reverse else seen), strict=True))


def _before(xp: Any, states: Sequence, reverse: bool) -> Array:
    """The state that each step started from, packed like x, from those in the walk's order."""
    return backend.concatenate(xp, reversed(states) if reverse else states)


def _weights(needs: tuple, d_ih: Array, d_hh: Array, x: Array, before: Callable, w_ih: Array) -> list:
    """Gradients of x, W_ih, W_hh, b_ih, b_hh from those of the two sums of all steps: one product each.

    z_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh, so  dL/dW_hh = sum_t dz_t h_{t-1}^T  and  dL/dW_ih =
    sum_t dz_t x_t^T: the input of the same step, not of the one before (Goodfellow et al. 2016, 10.2.2).
    """
    gx, gw_ih, gw_hh, gb_ih, gb_hh = needs
    return [
        d_ih @ w_ih if gx else None,
        d_ih.T @ x if gw_ih else None,
        d_hh.T @ before() if gw_hh else None,
        d_ih.sum(axis=0) if gb_ih else None,
        d_hh.sum(axis=0) if gb_hh else None,
    ]


# ---------------------------------------------------------------- RNN


def _rnn_reference(
    x: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None, *, sizes: Any, reverse: bool,
    nonlinearity: str,
) -> Any:  # fmt: skip
    """The same in plain ops, step by step."""
    step = lambda x, h: (rnn_step(x, h, w_ih, w_hh, b_ih, b_hh, nonlinearity),)
    return unroll(step, x, (h0,), sizes, reverse)[0]


def _rnn_gradient(
    g: Any, needs: tuple, y: Any, x: Any, h0: Any, w_ih: Any, w_hh: Any, saved: Any, sizes: Any,
    reverse: bool, nonlinearity: str,
) -> tuple:  # fmt: skip
    d, dh, before = _rnn_back(xp_of(g), g, y, h0, w_hh, saved, _walk(x, sizes, reverse), nonlinearity)
    joined = lambda: _before(xp_of(g), before, reverse)
    gx, *rest = _weights((needs[0], *needs[2:]), d, d, x, joined, w_ih)
    return gx, dh, *rest


def _rnn_back(
    xp: Any, g: Array, y: Array, h0: Array, w_hh: Array, before: list, steps: list, nonlinearity: str
) -> tuple:
    """Through time: dz_t = (g_t + W_hh^T dz_{t+1}) tanh'(z_t), with tanh' = 1 - y^2."""
    d, dh = xp.empty_like(y), xp.zeros_like(h0)
    slope = (y > 0) if nonlinearity == "relu" else 1.0 - y * y
    for rows, n in reversed(steps):
        above, here = dh[:n], d[rows]
        xp.add(above, g[rows], out=here)
        xp.multiply(here, slope[rows], out=here)
        xp.matmul(here, w_hh, out=above)
    return d, dh, before


@op(joint=_rnn_gradient, reference=_rnn_reference, extra=True)
def rnn_sequence(
    xp: Any, x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
    b_hh: Array | None = None, *, sizes: tuple[int, ...], reverse: bool = False, nonlinearity: str = "tanh",
) -> tuple[Array, list]:  # fmt: skip
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh) for all t (or relu): x (P, I), h0 (N, H) -> (P, H).

    Raises ValueError for sizes that do not describe x.
    """
    steps = _walk(x, sizes, reverse)
    y = x @ w_ih.T
    for b in (b_ih, b_hh):
        y = y if b is None else xp.add(y, b, out=y)
    w, product = w_hh.T, xp.empty(h0.shape, y.dtype)
    h, before = h0[: steps[0][1]], []
    for rows, n in steps:
        h = _alive(h, h0, n, xp.concatenate)
        before.append(h)
        here = y[rows]
        xp.add(here, xp.matmul(h, w, out=product[:n]), out=here)
        h = xp.maximum(here, 0.0, out=here) if nonlinearity == "relu" else xp.tanh(here, out=here)
    return y, before


# ---------------------------------------------------------------- LSTM

# sigmoid(z) = tanh(z / 2) / 2 + 1 / 2, so that one tanh serves all four gates: weights of i, f, o are
# halved (exactly) before the walk, and a gate is tanh * scale + shift.


def _gate_scale(xp: Any, kinds: str, width: int, dtype: Any) -> tuple[Array, Array]:
    """(scale, shift) of every gate unit: 1/2 and 1/2 for a sigmoid ("s"), 1 and 0 for a tanh ("t")."""
    scale = xp.concatenate([xp.full(width, 0.5 if k == "s" else 1.0, dtype) for k in kinds])
    return scale, 1.0 - scale


def _lstm_reference(
    x: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None, w_hr: Any = None, *,
    sizes: Any, reverse: bool,
) -> Any:  # fmt: skip
    """The same in plain ops, step by step."""
    step = lambda x, h, c: lstm_step(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr)
    h, c = unroll(step, x, (h0, c0), sizes, reverse)
    return concatenate([reshape(h, -1), reshape(c[final_rows(sizes, reverse)], -1)])


def _lstm_gradient(
    g: Any, needs: tuple, x: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, w_hr: Any, saved: Any, sizes: Any,
    reverse: bool,
) -> tuple:  # fmt: skip
    before, rest = saved[0], saved[1:]
    d, dh, dc, tops = _lstm_back(xp_of(g), g, h0, c0, w_hh, w_hr, rest, _walk(x, sizes, reverse))
    joined = lambda: _before(xp_of(g), before, reverse)
    gx, *weights = _weights((needs[0], *needs[3:7]), d, d, x, joined, w_ih)
    g_hr = tops.T @ rest[-1] if needs[7] else None
    return gx, dh, dc, *weights, g_hr


# With t = tanh(c'), do = dh t and dc += dh o (1 - t^2); then  di = dc g,  df = dc c,  dg = dc i, each times
# its gate's slope: s (1 - s) for a sigmoid, 1 - g^2 for g. Before it, c gets dc f and h gets W_hh^T of them.
def _lstm_back(
    xp: Any, g: Array, h0: Array, c0: Array, w_hh: Array, w_hr: Array | None, saved: tuple, steps: list
) -> tuple:
    """Gradients of the gates' sums at every step, of h0, of c0, and of the projected states."""
    cells, gates, tanhs, _ = saved
    width, rows_of_h = c0.shape[1], len(gates) * h0.shape[1]
    gy = g[:rows_of_h].reshape(len(gates), h0.shape[1])
    dc_all, dh_all = g[rows_of_h:].reshape(c0.shape).copy(), xp.zeros_like(h0)
    d_all, tops = xp.empty_like(gates), None if w_hr is None else xp.empty_like(gy)
    room = xp.empty((2, *c0.shape), g.dtype)
    for (rows, n), c in zip(reversed(steps), reversed(cells), strict=True):
        dh, dc, s, t, d = dh_all[:n], dc_all[:n], gates[rows], tanhs[rows], d_all[rows]
        u, v = room[0, :n], room[1, :n]
        i, f, a, o = (s[:, k * width : (k + 1) * width] for k in range(4))
        di, df, da, do = (d[:, k * width : (k + 1) * width] for k in range(4))
        xp.add(dh, gy[rows], out=dh)
        if tops is not None:
            tops[rows] = dh
            dm = dh @ w_hr
        else:
            dm = dh
        xp.multiply(dm, o, out=u)
        xp.multiply(xp.multiply(u, t, out=v), t, out=v)
        xp.add(dc, xp.subtract(u, v, out=u), out=dc)
        xp.multiply(xp.subtract(1.0, s, out=d), s, out=d)
        xp.subtract(1.0, xp.multiply(a, a, out=da), out=da)
        xp.multiply(xp.multiply(di, dc, out=di), a, out=di)
        xp.multiply(xp.multiply(df, dc, out=df), c, out=df)
        xp.multiply(xp.multiply(da, dc, out=da), i, out=da)
        xp.multiply(xp.multiply(do, dm, out=do), t, out=do)
        xp.multiply(dc, f, out=dc)
        xp.matmul(d, w_hh, out=dh)
    return d_all, dh_all, dc_all, tops


@op(joint=_lstm_gradient, reference=_lstm_reference, extra=True)
def lstm_sequence(
    xp: Any, x: Array, h0: Array, c0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
    b_hh: Array | None = None, w_hr: Array | None = None, *, sizes: tuple[int, ...], reverse: bool = False,
) -> tuple[Array, tuple]:  # fmt: skip
    """lstm_step for all t: x (P, I), h0 (N, R), c0 (N, H), R = H unless projected by w_hr (R, H).

    An op has one output, so both results come in one row: the P R numbers of h_t for all t, then
    the N H of every sequence's last c. Raises ValueError for sizes that do not describe x.
    """
    steps, width, total = _walk(x, sizes, reverse), c0.shape[1], len(x)
    scale, shift = _gate_scale(xp, "ssts", width, w_ih.dtype)
    gates = x @ (w_ih * scale[:, None]).T
    for b in (b_ih, b_hh):
        gates = gates if b is None else xp.add(gates, b * scale, out=gates)
    w, dtype = (w_hh * scale[:, None]).T, gates.dtype
    out = h0.shape[1]
    result = xp.empty(total * out + c0.size, dtype)
    y = result[: total * out].reshape(total, out)
    hidden = y if w_hr is None else xp.empty((total, width), dtype)
    cells, tanhs = xp.empty((total, width), dtype), xp.empty((total, width), dtype)
    product, room = xp.empty((len(h0), 4 * width), dtype), xp.empty(c0.shape, dtype)
    first = steps[0][1]
    h, c, h_before, c_before = h0[:first], c0[:first], [], []
    for rows, n in steps:
        h, c = _alive(h, h0, n, xp.concatenate), _alive(c, c0, n, xp.concatenate)
        h_before.append(h)
        c_before.append(c)
        s = gates[rows]
        xp.add(s, xp.matmul(h, w, out=product[:n]), out=s)
        xp.tanh(s, out=s)
        xp.add(xp.multiply(s, scale, out=s), shift, out=s)
        i, f, a, o = (s[:, k * width : (k + 1) * width] for k in range(4))
        c = xp.multiply(f, c, out=cells[rows])
        xp.add(c, xp.multiply(i, a, out=room[:n]), out=c)
        h = xp.multiply(o, xp.tanh(c, out=tanhs[rows]), out=hidden[rows])
        if w_hr is not None:
            h = xp.matmul(h, w_hr.T, out=y[rows])
    result[total * out :].reshape(c0.shape)[...] = cells[_on(xp, final_rows(sizes, reverse))]
    return result, (h_before, c_before, gates, tanhs, hidden)


def _on(xp: Any, index: Any) -> Any:
    """An index where the arrays are."""
    return index if isinstance(index, slice) else constant(xp, index)


# ---------------------------------------------------------------- GRU


def _gru_reference(
    x: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None, *, sizes: Any, reverse: bool
) -> Any:
    """The same in plain ops, step by step."""
    return unroll(lambda x, h: (gru_step(x, h, w_ih, w_hh, b_ih, b_hh),), x, (h0,), sizes, reverse)[0]


def _gru_gradient(
    g: Any, needs: tuple, x: Any, h0: Any, w_ih: Any, w_hh: Any, saved: Any, sizes: Any, reverse: bool
) -> tuple:
    d_ih, d_hh, dh = _gru_back(xp_of(g), g, h0, w_hh, saved, _walk(x, sizes, reverse))
    joined = lambda: _before(xp_of(g), saved[0], reverse)
    gx, *weights = _weights((needs[0], *needs[2:]), d_ih, d_hh, x, joined, w_ih)
    return gx, dh, *weights


# h' = n + z (h - n):  dz = dh (h - n),  dn = dh (1 - z),  and dh z to the state before. Through
# n = tanh(x_n + r h_n):  dr = dn h_n,  and h_n, the sum that r multiplies, gets dn r where x_n gets dn.
def _gru_back(xp: Any, g: Array, h0: Array, w_hh: Array, saved: tuple, steps: list) -> tuple:
    """Gradients of the sums from x and of those from h (they differ in the last third), and of h0."""
    before, gates, inner = saved
    width = h0.shape[1]
    d_ih, d_hh = xp.empty_like(gates), xp.empty_like(gates)
    dh_all, room = xp.zeros_like(h0), xp.empty(h0.shape, g.dtype)
    for (rows, n), h in zip(reversed(steps), reversed(before), strict=True):
        dh, v, s, d, e = dh_all[:n], room[:n], gates[rows], d_ih[rows], d_hh[rows]
        r, z, a = (s[:, k * width : (k + 1) * width] for k in range(3))
        dr, dz, da = (d[:, k * width : (k + 1) * width] for k in range(3))
        both, of_both = d[:, : 2 * width], s[:, : 2 * width]
        xp.add(dh, g[rows], out=dh)
        xp.subtract(1.0, of_both, out=both)
        xp.multiply(dh, dz, out=da)
        xp.subtract(1.0, xp.multiply(a, a, out=v), out=v)
        xp.multiply(da, v, out=da)
        xp.multiply(both, of_both, out=both)
        xp.multiply(xp.subtract(h, a, out=v), dh, out=v)
        xp.multiply(dz, v, out=dz)
        xp.multiply(dr, xp.multiply(da, inner[rows], out=v), out=dr)
        e[:, : 2 * width] = both
        xp.multiply(da, r, out=e[:, 2 * width :])
        xp.multiply(dh, z, out=dh)
        xp.add(dh, xp.matmul(e, w_hh, out=v), out=dh)
    return d_ih, d_hh, dh_all


@op(joint=_gru_gradient, reference=_gru_reference, extra=True)
def gru_sequence(
    xp: Any, x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
    b_hh: Array | None = None, *, sizes: tuple[int, ...], reverse: bool = False,
) -> tuple[Array, tuple]:  # fmt: skip
    """gru_step for all t: x (P, I), h0 (N, H) -> (P, H).

    Raises ValueError for sizes that do not describe x.
    """
    steps, width, total = _walk(x, sizes, reverse), h0.shape[1], len(x)
    scale, _ = _gate_scale(xp, "sst", width, w_ih.dtype)
    gates = x @ (w_ih * scale[:, None]).T
    if b_ih is not None:
        xp.add(gates, b_ih * scale, out=gates)
    last = None if b_hh is None else b_hh[2 * width :]
    if b_hh is not None:
        xp.add(gates[:, : 2 * width], b_hh[: 2 * width] * 0.5, out=gates[:, : 2 * width])
    w, dtype = (w_hh * scale[:, None]).T, gates.dtype
    y, inner = xp.empty((total, width), dtype), xp.empty((total, width), dtype)
    product, room = xp.empty((len(h0), 3 * width), dtype), xp.empty(h0.shape, dtype)
    h, before = h0[: steps[0][1]], []
    for rows, n in steps:
        h = _alive(h, h0, n, xp.concatenate)
        before.append(h)
        s, of_h, hn, v = gates[rows], product[:n], inner[rows], room[:n]
        both, a = s[:, : 2 * width], s[:, 2 * width :]
        xp.matmul(h, w, out=of_h)
        xp.tanh(xp.add(both, of_h[:, : 2 * width], out=both), out=both)
        xp.add(xp.multiply(both, 0.5, out=both), 0.5, out=both)
        hn[...] = of_h[:, 2 * width :]
        if last is not None:
            xp.add(hn, last, out=hn)
        r, z = both[:, :width], both[:, width:]
        xp.tanh(xp.add(a, xp.multiply(r, hn, out=v), out=a), out=a)
        h = xp.multiply(xp.subtract(h, a, out=v), z, out=y[rows])
        xp.add(h, a, out=h)
    return y, (before, gates, inner)
