"""A hundred wrong answers as learners write them, by hand in NumPy; each with the name that it should be told by.

A topic is a function to trace, its inputs, and (input, name of the mistake, wrong answer) for each mistake.
Nothing here uses what makes the guesses: forward and backward are written out.
"""

import numpy as np

import minigrad as mg


def rng(seed):
    return np.random.default_rng(seed)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# ---------------------------------------------------------------- hinge loss: max(0, 1 - w x y)


def hinge():
    w, x, y = 2.0, 0.3, 1.0

    def loss(w, x, y):
        margin = w * x * y
        return mg.maximum(0.0, 1.0 - margin)

    return loss, (w, x, y), [
        ("w", "sign", x * y),  # the minus of 1 - margin
        ("w", "missing local factor", -y),  # the factor x
        ("w", "swapped factor", -w * y),
        ("x", "missing local factor", -y),
        ("x", "swapped factor", -x * y),
        ("y", "sign", w * x),
        ("w", "stale after a second backward", -2 * x * y),
    ]  # fmt: skip


def satisfied_hinge():
    w, x, y = 2.0, 0.9, 1.0

    def loss(w, x, y):
        margin = w * x * y
        return mg.maximum(0.0, 1.0 - margin)

    return loss, (w, x, y), [
        ("w", "wrong at a tie or kink", -x * y),  # the margin is kept, and yet
        ("x", "wrong at a tie or kink", -w * y),
    ]  # fmt: skip


def hinge_at_the_kink():
    w, x, y = 2.0, 0.5, 1.0

    def loss(w, x, y):
        margin = w * x * y
        return mg.maximum(0.0, 1.0 - margin)

    return loss, (w, x, y), [
        ("w", "wrong at a tie or kink", -x * y),  # all of it at the tie
        ("x", "wrong at a tie or kink", 0.0),  # nothing at the tie
    ]  # fmt: skip


# ---------------------------------------------------------------- two-layer network with squared loss


def two_layers():
    phi, y = np.array([1.5, -0.7, 0.6]), 1.8
    v1, v2, w = np.array([1.1, -1.0, -0.5]), np.array([2.0, 1.0, 1.2]), np.array([1.7, 0.6])
    h1, h2 = sigmoid(v1 @ phi), sigmoid(v2 @ phi)
    z1 = v1 @ phi
    residual = w[0] * h1 + w[1] * h2 - y

    def loss(v1, v2, w, phi):
        h1 = mg.sigmoid(mg.dot(v1, phi))
        h2 = mg.sigmoid(mg.dot(v2, phi))
        residual = w[0] * h1 + w[1] * h2 - y
        return residual**2

    d1, d2 = 2 * residual * w[0] * h1 * (1 - h1), 2 * residual * w[1] * h2 * (1 - h2)
    return loss, (v1, v2, w, phi), [
        ("v1", "missing local factor", 2 * residual * w[0] * phi),  # h (1 - h)
        ("v1", "missing local factor", 2 * residual * h1 * (1 - h1) * phi),  # w1
        ("v1", "missing local factor", np.full(3, d1)),  # phi
        ("v1", "power not lowered", residual * w[0] * h1 * (1 - h1) * phi),
        ("v1", "power not lowered", 2 * residual**2 * w[0] * h1 * (1 - h1) * phi),
        ("v1", "derivative at the wrong place", 2 * residual * w[0] * z1 * (1 - z1) * phi),
        ("v2", "derivative at the wrong place", 2 * residual * w[1] * sigmoid(h2) * (1 - sigmoid(h2)) * phi),
        ("v2", "missing local factor", w[1] * h2 * (1 - h2) * phi),  # 2 residual
        ("v2", "sign", -d2 * phi),
        ("w", "missing local factor", 2 * residual * np.array([1.0, 1.0])),
        ("w", "swapped factor", 2 * residual * w),
        ("phi", "assigned instead of added", d1 * v1),
        ("phi", "assigned instead of added", d2 * v2),
        ("phi", "missing local factor", 2 * residual * (w[0] * v1 + w[1] * v2)),
        ("w", "stale after a second backward", 4 * residual * np.array([h1, h2])),
    ]  # fmt: skip


# ---------------------------------------------------------------- softmax regression, the mean over a batch


def softmax_regression():
    r = rng(3)
    X, W, b, t = r.normal(size=(5, 4)), r.normal(size=(4, 3)), r.normal(size=3), np.array([0, 2, 1, 1, 2])
    p, onehot, n = softmax(X @ W + b), np.eye(3)[t], 5

    def loss(W, b, X):
        scores = X @ W + b
        return mg.nn.functional.cross_entropy(scores, mg.tensor(t))

    d = (p - onehot) / n
    return loss, (W, b, X), [
        ("W", "lost 1/n", X.T @ (p - onehot)),
        ("W", "softmax without the target", X.T @ p / n),
        ("W", "softmax without the target", -X.T @ onehot / n),
        ("W", "sign", X.T @ (onehot - p) / n),
        ("W", "transposed", d.T @ X),
        ("W", "extra 1/n", X.T @ d / n),
        ("b", "lost 1/n", (p - onehot).sum(0)),
        ("b", "not summed over a broadcast axis", d),
        ("b", "not summed over a broadcast axis", d.mean(0)),
        ("b", "not summed over a broadcast axis", d[0]),
        ("b", "not summed over a broadcast axis", d[-1]),
        ("X", "lost 1/n", (p - onehot) @ W.T),
        ("W", "softmax as if elementwise", X.T @ ((p - 1) * onehot) / n),
    ]  # fmt: skip


def log_likelihood():
    r = rng(4)
    X, W, t = r.normal(size=(6, 2)), r.normal(size=(2, 3)), np.array([0, 2, 1, 1, 2, 0])
    p, onehot, n = softmax(X @ W), np.eye(3)[t], 6

    def loss(W, X):
        logp = mg.nn.functional.log_softmax(X @ W, dim=-1)
        return -(logp * mg.tensor(onehot)).sum() / n

    return loss, (W, X), [
        ("W", "lost 1/n", X.T @ (p - onehot)),
        ("W", "sign", -X.T @ (p - onehot) / n),
        ("W", "softmax without the target", X.T @ (-onehot) / n),
        ("X", "softmax without the target", p @ W.T / n),
        ("W", "softmax as if elementwise", X.T @ (-onehot * (1 - p)) / n),
    ]  # fmt: skip


# ---------------------------------------------------------------- linear layer with a broadcast bias, mean squared error


def linear_layer():
    r = rng(5)
    X, W, b, T = r.normal(size=(6, 3)), r.normal(size=(3, 3)), r.normal(size=3), r.normal(size=(6, 3))
    error = X @ W + b - T
    n = error.size

    def loss(X, W, b):
        error = X @ W + b - mg.tensor(T)
        return (error**2).mean()

    d = 2 * error / n
    return loss, (X, W, b), [
        ("W", "lost 1/n", X.T @ (2 * error)),
        ("W", "lost 1/n", X.T @ (2 * error / 6)),  # over the batch only
        ("W", "power not lowered", X.T @ (error / n)),
        ("W", "transposed", d.T @ X),
        ("X", "transposed", d @ W),
        ("X", "missing local factor", d),
        ("b", "not summed over a broadcast axis", d),
        ("b", "not summed over a broadcast axis", d.sum()),
        ("b", "not summed over a broadcast axis", d.mean(0)),
        ("b", "not summed over a broadcast axis", d[-1]),
        ("b", "lost 1/n", (2 * error).sum(0)),
        ("W", "missing incoming gradient", X.T @ np.ones((6, 3))),
    ]  # fmt: skip


# ---------------------------------------------------------------- vanilla RNN over three steps


def vanilla_rnn():
    r = rng(6)
    W, U, V = r.normal(size=(2, 2)), r.normal(size=(2, 2)), r.normal(size=(2, 2))
    b, c, x, t = r.normal(size=2), r.normal(size=2), r.normal(size=(3, 2)), r.normal(size=(3, 2))

    def loss(W, U, V, b, c):
        h, total = mg.zeros(2, dtype="float64"), 0.0
        for k in range(3):
            a = b + W @ h + U @ mg.tensor(x[k])
            h = mg.tanh(a)
            o = c + V @ h
            total = total + 0.5 * ((o - mg.tensor(t[k])) ** 2).sum()
        return total

    h, a, do = [np.zeros(2)], [None], [None]
    for k in range(3):
        a.append(b + W @ h[-1] + U @ x[k])
        h.append(np.tanh(a[-1]))
        do.append(c + V @ h[-1] - t[k])

    def back(slope=lambda k: 1 - h[k] ** 2, through=W.T, depth=3, out=V.T, first=3):
        """The gradients da of the pre-activations, as one writes the loop; each argument one thing to get wrong."""
        da, later = {}, np.zeros(2)
        for k in range(3, 0, -1):
            dh = (out @ do[k] if k <= first else 0) + (through @ later if 3 - k < depth else 0)
            da[k] = later = dh * slope(k)
        return da

    da = back()
    dW = lambda da: sum(np.outer(da[k], h[k - 1]) for k in (1, 2, 3))
    dU = lambda da: sum(np.outer(da[k], x[k - 1]) for k in (1, 2, 3))
    return loss, (W, U, V, b, c), [
        ("W", "missing local factor", dW(back(slope=lambda k: 1.0))),
        ("U", "derivative at the wrong place", dU(back(slope=lambda k: 1 - a[k] ** 2))),
        ("U", "derivative at the wrong place", dU(back(slope=lambda k: 1 - np.tanh(h[k]) ** 2))),
        ("W", "transposed", dW(back(through=W))),
        ("b", "transposed", sum(back(out=V).values())),
        ("W", "path left out", dW(back(depth=0))),  # no step back in time
        ("b", "path left out", sum(back(depth=0).values())),
        ("W", "assigned instead of added", np.outer(da[3], h[2])),
        ("U", "assigned instead of added", np.outer(da[1], x[0])),
        ("b", "assigned instead of added", da[1]),
        ("b", "assigned instead of added", da[3]),
        ("W", "shifted in time", sum(np.outer(da[k], h[k]) for k in (1, 2, 3))),
        ("U", "shifted in time", sum(np.outer(da[k], x[k - 2]) for k in (2, 3))),
        ("V", "assigned instead of added", np.outer(do[3], h[3])),
        ("V", "transposed", sum(np.outer(h[k], do[k]) for k in (1, 2, 3))),
        ("V", "shifted in time", sum(np.outer(do[k], h[k - 1]) for k in (1, 2, 3))),
        ("c", "assigned instead of added", do[3]),
        ("c", "missing local factor", 2 * sum(do[1:])),
        ("U", "sign", -dU(da)),
    ]  # fmt: skip


# ---------------------------------------------------------------- batch norm by hand


def batch_norm():
    r = rng(7)
    x, gamma, beta, m = r.normal(size=(5, 3)) * 2, r.normal(size=3), r.normal(size=3), r.normal(size=(5, 3))
    std = np.sqrt(x.var(0) + 1e-5)
    xhat = (x - x.mean(0)) / std

    def loss(x, gamma, beta):
        centred = x - x.mean(0)
        var = (centred**2).mean(0)
        xhat = centred / mg.sqrt(var + 1e-5)
        y = gamma * xhat + beta
        return (y * mg.tensor(m)).sum()

    u = m * gamma
    through_var = -(u * xhat).mean(0) * xhat / std
    return loss, (x, gamma, beta), [
        ("x", "path left out", u / std),  # mean and variance as constants
        ("x", "path left out", (u - u.mean(0)) / std),  # the variance as a constant
        ("x", "path left out", u / std + through_var),  # the mean as a constant
        ("x", "lost 1/n", (u - u.sum(0)) / std + through_var),
        ("gamma", "missing local factor", m.sum(0)),
        ("gamma", "not summed over a broadcast axis", m * xhat),
        ("gamma", "not summed over a broadcast axis", (m * xhat).mean(0)),
        ("beta", "not summed over a broadcast axis", m.mean(0)),
        ("x", "missing local factor", (m - m.mean(0)) / std - (m * xhat).mean(0) * xhat / std),  # gamma
        ("x", "sign", (u - u.mean(0)) / std - through_var),
    ]  # fmt: skip


# ---------------------------------------------------------------- convolution 3x3


def convolution():
    r = rng(8)
    x, w, m = r.normal(size=(1, 1, 5, 5)), r.normal(size=(1, 1, 3, 3)), r.normal(size=(1, 1, 3, 3))
    b = np.array([0.4])

    def loss(x, w, b):
        y = mg.nn.functional.conv2d(x, w, b)
        return (y * mg.tensor(m)).mean()

    g = m[0, 0] / 9
    dw = np.array([[(g * x[0, 0, i : i + 3, j : j + 3]).sum() for j in range(3)] for i in range(3)])

    def spread(g, w):
        dx = np.zeros((5, 5))
        for i in range(3):
            for j in range(3):
                dx[i : i + 3, j : j + 3] += g[i, j] * w
        return dx[None, None]

    kernel = w[0, 0]
    return loss, (x, w, b), [
        ("w", "flipped kernel", dw[None, None, ::-1, ::-1]),
        ("w", "transposed", dw.T[None, None]),
        ("w", "lost 1/n", 9 * dw[None, None]),
        ("w", "missing incoming gradient", np.array([[x[0, 0, i : i + 3, j : j + 3].sum() for j in range(3)] for i in range(3)])[None, None]),
        ("x", "flipped kernel", spread(g, kernel[::-1, ::-1])),
        ("x", "lost 1/n", spread(9 * g, kernel)),
        ("b", "not summed over a broadcast axis", g[None, None]),
        ("b", "not summed over a broadcast axis", g.mean()[None]),
        ("b", "lost 1/n", 9 * g.sum()[None]),
    ]  # fmt: skip


# ---------------------------------------------------------------- attention by hand


def attention():
    r = rng(9)
    Q, K, V, m = (r.normal(size=(3, 3)) for _ in range(4))
    scale = 1 / np.sqrt(3)
    P = softmax(Q @ K.T * scale)

    def loss(Q, K, V):
        scores = Q @ K.T * scale
        P = mg.nn.functional.softmax(scores, dim=-1)
        return ((P @ V) * mg.tensor(m)).sum()

    dP = m @ V.T
    dS = P * (dP - (dP * P).sum(-1, keepdims=True))
    return loss, (Q, K, V), [
        ("Q", "missing local factor", dS @ K),  # 1/sqrt(d)
        ("Q", "softmax as if elementwise", (P * (1 - P) * dP) @ K * scale),
        ("K", "softmax as if elementwise", (P * dP).T @ Q * scale),
        ("K", "transposed", dS @ Q * scale),
        ("K", "transposed", Q.T @ dS * scale),
        ("V", "transposed", P @ m),
        ("Q", "missing local factor", dP @ K * scale),  # the whole softmax
        ("Q", "missing local factor", dS * scale),  # K
        ("V", "missing local factor", m),
        ("Q", "transposed", dS @ K.T * scale),
    ]  # fmt: skip


# ---------------------------------------------------------------- ties, shared variables, gates


def tied_maximum():
    a = np.array([1.0, 3.0, 3.0, 2.0])
    return lambda a: a.max() * 4.0, (a,), [
        ("a", "wrong at a tie or kink", np.array([0.0, 4, 4, 0])),
        ("a", "wrong at a tie or kink", np.array([0.0, 4, 0, 0])),
        ("a", "wrong at a tie or kink", np.array([0.0, 0, 4, 0])),
        ("a", "missing local factor", np.array([0.0, 0.5, 0.5, 0])),
    ]  # fmt: skip


def shared():
    b, k = 3.0, 5.0

    def f(b):
        a = b + b
        return a * k

    return f, (b,), [
        ("b", "assigned instead of added", k),
        ("b", "stale after a second backward", 4 * k),
        ("b", "sign", -2 * k),
    ]  # fmt: skip


def gate():
    c, f, i, z, o = 0.7, 0.3, -0.4, 0.9, 0.2  # the state, and the four pre-activations
    F, I, Z, O = sigmoid(f), sigmoid(i), np.tanh(z), sigmoid(o)
    new = F * c + I * Z
    T = np.tanh(new)

    def cell(c, f, i, z, o):
        forget, write, offer = mg.sigmoid(f), mg.sigmoid(i), mg.tanh(z)
        new = forget * c + write * offer
        return mg.sigmoid(o) * mg.tanh(new)

    dnew = O * (1 - T**2)
    return cell, (c, f, i, z, o), [
        ("f", "missing local factor", dnew * c),
        ("f", "derivative at the wrong place", dnew * c * f * (1 - f)),
        ("c", "swapped factor", dnew * c),
        ("c", "missing local factor", O * F),
        ("z", "missing local factor", dnew * (1 - Z**2)),
        ("z", "derivative at the wrong place", dnew * I * (1 - z**2)),
        ("o", "missing local factor", O * (1 - O)),
        ("i", "missing incoming gradient", Z * I * (1 - I)),
    ]  # fmt: skip


TOPICS = [
    hinge, satisfied_hinge, hinge_at_the_kink, two_layers, softmax_regression, log_likelihood, linear_layer,
    vanilla_rnn, batch_norm, convolution, attention, tied_maximum, shared, gate,
]  # fmt: skip
