"""The wrong answers that the notebooks' own exercises list: written by hand, before anything could name them."""

import numpy as np
from planted import rng, sigmoid, softmax

import minigrad as mg


def quotient():
    a, b = 3.0, 2.0
    return lambda a, b: a / b, (a, b), [
        ("b", "sign", a / b**2),
        ("b", "missing reciprocal", -a / b),
        ("b", "gradient of another value", 1 / b),
    ]  # fmt: skip


def many_ways():
    def f(a):
        b = a * a
        return a * b

    return f, (3.0,), [
        ("a", "path left out", 9.0),  # the direct way alone
        ("a", "power not lowered", 18.0),  # half of the square; or the ways through b alone, which is as much
        ("a", "stale after a second backward", 54.0),
    ]  # fmt: skip


def hinge():
    w, phi, y = np.array([0.4, -0.2, 0.1]), np.array([1.5, -0.7, 0.6]), -1.0

    def loss(w, phi):
        slack = 1.0 - (w * phi).sum() * y
        return mg.maximum(slack, 0.0)

    return loss, (w, phi), [
        ("w", "sign", phi * y),
        ("w", "wrong at a tie or kink", 0 * w),
        ("w", "swapped factor", -y * w),
        ("w", "missing local factor", np.full(3, -y)),
    ]  # fmt: skip


def two_layers():
    phi, y = np.array([1.5, -0.7, 0.6]), 1.8
    v1, v2, w1, w2 = np.array([1.1, -1.0, -0.5]), np.array([2.0, 1.0, 1.2]), 2.0, 0.6

    def loss(v1, v2, w1, w2, phi):
        z1, z2 = (v1 * phi).sum(), (v2 * phi).sum()
        h1, h2 = mg.sigmoid(z1), mg.sigmoid(z2)
        residual = w1 * h1 + w2 * h2 - y
        return residual**2

    z2, h1, h2 = v2 @ phi, sigmoid(v1 @ phi), sigmoid(v2 @ phi)
    residual = w1 * h1 + w2 * h2 - y
    d1, d2 = 2 * residual * w1 * h1 * (1 - h1), 2 * residual * w2 * h2 * (1 - h2)
    return loss, (v1, v2, w1, w2, phi), [
        ("v2", "missing local factor", 2 * residual * w2 * phi),
        ("v2", "power not lowered", residual * w2 * h2 * (1 - h2) * phi),
        ("v2", "missing local factor", 2 * residual * h2 * (1 - h2) * phi),
        ("v2", "derivative at the wrong place", 2 * residual * w2 * z2 * (1 - z2) * phi),
        ("v2", "gradient of another value", d1 * phi),
        ("v2", "sign", -d2 * phi),
        ("v2", "swapped factor", d2 * v2),
        ("phi", "assigned instead of added", d1 * v1),
        ("phi", "assigned instead of added", d2 * v2),
        ("phi", "swapped factor", (d1 + d2) * phi),
        ("phi", "missing local factor", 2 * residual * (w1 * v1 + w2 * v2)),
    ]  # fmt: skip


def broadcast_column():
    r = rng(41)
    c, m = r.normal(size=(3, 1)), r.normal(size=(3, 4))
    return lambda c: (c * mg.tensor(m)).sum(), (c,), [
        ("c", "not summed over a broadcast axis", m),
        ("c", "not summed over a broadcast axis", m.sum(0)),
        ("c", "not summed over a broadcast axis", m.mean(1, keepdims=True)),
        ("c", "swapped factor", (c * np.ones((3, 4))).sum(1, keepdims=True)),
    ]  # fmt: skip


def transposed_product():
    r = rng(42)
    a, b, g = r.normal(size=(5, 2)), r.normal(size=(5, 3)), r.normal(size=(2, 3))
    return lambda A, B: ((A.T @ B) * mg.tensor(g)).sum(), (a, b), [
        ("A", "transposed", g @ b.T),
        ("A", "gradient of another value", a @ g),
        ("A", "missing local factor", b @ np.ones((3, 2))),
    ]  # fmt: skip


def quadratic_form():
    r = rng(43)
    v, a = r.normal(size=4), r.normal(size=(4, 4))

    def form(x):
        y = mg.tensor(a) @ x
        return x @ y

    return form, (v,), [
        ("x", "path left out", a @ v),
        ("x", "path left out", a.T @ v),
        ("x", "transposed", 2 * a @ v),
    ]  # fmt: skip


def swish():
    r = rng(44)
    v, g = r.normal(size=6), r.normal(size=6)
    s = sigmoid(v)

    def loss(x):
        gate = mg.sigmoid(x)
        return (x * gate * mg.tensor(g)).sum()

    return loss, (v,), [
        ("x", "path left out", g * s * v * (1 - s)),
        ("x", "path left out", g * s),
        ("x", "missing local factor", s + v * s * (1 - s)),
        ("x", "sign", g * (s - v * s * (1 - s))),
    ]  # fmt: skip


def running_sum():
    r = rng(45)
    v, g = r.normal(size=5), r.normal(size=5)
    return lambda x: (mg.cumsum(x, 0) * mg.tensor(g)).sum(), (v,), [
        ("x", "transposed", np.cumsum(g)),
        ("x", "missing local factor", g),
    ]  # fmt: skip


def log_softmax():
    r = rng(46)
    v, k = r.normal(size=4), 2
    p, one = softmax(v), np.eye(4)[2]
    return lambda x: -mg.log_softmax(x)[k], (v,), [
        ("x", "sign", one - p),
        ("x", "softmax as if elementwise", one * (p - 1)),
        ("x", "softmax without the target", -one),
    ]  # fmt: skip


def ridge():
    X, y, w, lam, n = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 1.0]]), np.array([1.0, 0.0, 2.0]), np.array([0.3, -0.4]), 0.1, 3

    def loss(w):
        error = mg.tensor(X) @ w - mg.tensor(y)
        return (error**2).mean() + lam * (w**2).sum()

    fit, decay = X.T @ (X @ w - y), lam * w
    return loss, (w,), [
        ("w", "lost 1/n", 2 * fit + 2 * decay),
        ("w", "power not lowered", fit / n + decay),
        ("w", "power not lowered", 2 / n * fit + decay),
        ("w", "power not lowered", fit / n + 2 * decay),
        ("w", "sign", 2 / n * fit - 2 * decay),
        ("w", "path left out", 2 / n * fit),
        ("w", "extra 1/n", 2 / n * (fit + decay)),
    ]  # fmt: skip


def residual_block():
    r = rng(47)
    W, h, g = r.normal(size=(4, 4)), r.normal(size=4), r.normal(size=4)

    def block(h):
        f = mg.tanh(mg.tensor(W) @ h)
        y = h + f
        return (y * mg.tensor(g)).sum()

    slope = 1 - np.tanh(W @ h) ** 2
    return block, (h,), [
        ("h", "transposed", g + W @ (slope * g)),
        ("h", "path left out", W.T @ (slope * g)),
        ("h", "path left out", g),
        ("h", "missing local factor", g + W.T @ g),
        ("h", "missing incoming gradient", 1 + W.T @ (slope * g)),
    ]  # fmt: skip


def recurrence():
    """The vanilla RNN once more, with time along the rows, as the notebook has it."""
    r = rng(48)
    U, W, V, b, c = r.normal(size=(3, 2)), r.normal(size=(3, 3)), r.normal(size=(2, 3)), r.normal(size=3), r.normal(size=2)
    x, labels, steps = r.normal(size=(4, 2)), [0, 1, 1, 0], 4

    def loss(U, W, V, b, c):
        h, total = mg.zeros(3, dtype="float64"), 0.0
        for t in range(steps):
            h = mg.tanh(b + W @ h + U @ mg.tensor(x[t]))
            o = c + V @ h
            total = total - mg.log_softmax(o)[labels[t]]
        return total

    h = [np.zeros(3)]
    for t in range(steps):
        h.append(np.tanh(b + W @ h[-1] + U @ x[t]))
    h = np.array(h)
    dO = softmax(c + h[1:] @ V.T) - np.eye(2)[labels]
    dH, later = np.zeros((steps, 3)), np.zeros(3)
    for t in reversed(range(steps)):
        dH[t] = V.T @ dO[t] + later
        later = W.T @ (dH[t] * (1 - h[t + 1] ** 2))
    da = dH * (1 - h[1:] ** 2)
    return loss, (U, W, V, b, c), [
        ("V", "shifted in time", dO.T @ h[:-1]),
        ("V", "transposed", h[1:].T @ dO),
        ("V", "extra 1/n", dO.T @ h[1:] / steps),
        ("V", "assigned instead of added", np.outer(dO[-1], h[-1])),
        ("V", "assigned instead of added", np.outer(dO[0], h[1])),
        ("b", "missing local factor", dH.sum(0)),
        ("b", "not summed over a broadcast axis", da),
        ("b", "assigned instead of added", da[-1]),
    ]  # fmt: skip


def gate():
    def one_step(f, c0, i, g):
        c1 = f * c0 + i * g
        return c1**2

    f, c0, i, g = 0.9, 0.5, 0.2, -0.7
    return one_step, (f, c0, i, g), [("f", "missing local factor", 2 * (f * c0 + i * g))]


TOPICS = [
    quotient, many_ways, hinge, two_layers, broadcast_column, transposed_product, quadratic_form, swish, running_sum,
    log_softmax, ridge, residual_block, recurrence, gate,
]  # fmt: skip
