"""Recurrence, number by number: each sequence taken out of the pack and walked through alone."""

import math

import numpy as np


def sigmoid(v):
    return 1 / (1 + math.exp(-v))


def sums(w, v, b):
    """W v + b as a list of numbers."""
    return [sum(wi * vi for wi, vi in zip(row, v)) + (0.0 if b is None else b[k]) for k, row in enumerate(w)]


def rnn_cell(x, states, w_ih, w_hh, b_ih, b_hh, nonlinearity):
    f = math.tanh if nonlinearity == "tanh" else lambda v: max(v, 0.0)
    return ([f(a + b) for a, b in zip(sums(w_ih, x, b_ih), sums(w_hh, states[0], b_hh))],)


def lstm_cell(x, states, w_ih, w_hh, b_ih, b_hh, w_hr):
    h, c = states
    z = [a + b for a, b in zip(sums(w_ih, x, b_ih), sums(w_hh, h, b_hh))]
    n = len(c)
    c = [sigmoid(z[n + k]) * c[k] + sigmoid(z[k]) * math.tanh(z[2 * n + k]) for k in range(n)]
    h = [sigmoid(z[3 * n + k]) * math.tanh(c[k]) for k in range(n)]
    return (h if w_hr is None else sums(w_hr, h, None)), c


def gru_cell(x, states, w_ih, w_hh, b_ih, b_hh):
    (h,) = states
    a, b, n = sums(w_ih, x, b_ih), sums(w_hh, h, b_hh), len(h)
    r = [sigmoid(a[k] + b[k]) for k in range(n)]
    z = [sigmoid(a[n + k] + b[n + k]) for k in range(n)]
    new = [math.tanh(a[2 * n + k] + r[k] * b[2 * n + k]) for k in range(n)]
    return ([(1 - z[k]) * new[k] + z[k] * h[k] for k in range(n)],)


def sequences(cell, states):
    """All sequences through a cell; `states` of the arrays after x are initial states."""

    def run(x, *arrays, sizes, reverse, **how):
        y, last = np.zeros((len(x), arrays[0].shape[1])), []
        starts = np.cumsum([0, *sizes])
        for k in range(sizes[0]):
            rows = [starts[t] + k for t in range(len(sizes)) if sizes[t] > k]
            now = tuple(a[k] for a in arrays[:states])
            for row in rows[::-1] if reverse else rows:
                now = cell(x[row], now, *arrays[states:], **how)
                y[row] = now[0]
            last.append(now[-1])
        return y if states == 1 else np.concatenate([y.ravel(), np.ravel(last)])

    return run


REFERENCES = {
    "rnn_sequence": sequences(rnn_cell, 1),
    "lstm_sequence": sequences(lstm_cell, 2),
    "gru_sequence": sequences(gru_cell, 1),
}
