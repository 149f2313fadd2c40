"""More wrong answers as learners write them: other networks, other spellings. See planted.py."""

import numpy as np
from planted import rng, sigmoid, softmax

import minigrad as mg
from minigrad.nn import functional as F

# ---------------------------------------------------------------- a ReLU network with squared error


def relu_network():
    r = rng(11)
    X, T = r.normal(size=(4, 3)), r.normal(size=(4, 2))
    W1, b1, W2, b2 = r.normal(size=(3, 5)), r.normal(size=5), r.normal(size=(5, 2)), r.normal(size=2)
    z = X @ W1 + b1
    h = np.maximum(z, 0)
    e = h @ W2 + b2 - T

    def loss(W1, b1, W2, b2):
        h = mg.relu(mg.tensor(X) @ W1 + b1)
        return F.mse_loss(h @ W2 + b2, mg.tensor(T))

    d = 2 * e / 8
    dh = d @ W2.T
    return loss, (W1, b1, W2, b2), [
        ("W1", "wrong at a tie or kink", X.T @ dh),
        ("W1", "wrong at a tie or kink", X.T @ (dh * (z <= 0))),
        ("W1", "lost 1/n", X.T @ (8 * dh * (z > 0))),
        ("W1", "updated weight", X.T @ ((d @ (W2 - 0.1 * h.T @ d).T) * (z > 0))),
        ("b1", "wrong at a tie or kink", dh.sum(0)),
        ("b1", "not summed over a broadcast axis", (dh * (z > 0)).mean(0)),
        ("W2", "power not lowered", h.T @ (e / 8)),
        ("W2", "missing incoming gradient", h.T @ np.ones((4, 2))),
        ("W2", "transposed", d.T @ h),
        ("b2", "not summed over a broadcast axis", d.mean(0, keepdims=True)),
        ("b2", "sign", -d.sum(0)),
    ]  # fmt: skip


# ---------------------------------------------------------------- logistic regression with weight decay


def logistic_regression():
    r = rng(12)
    X, t, w, b, lam = r.normal(size=(6, 3)), np.array([1.0, 0, 0, 1, 1, 0]), r.normal(size=3), 0.3, 0.05
    p = sigmoid(X @ w + b)

    def loss(w, b):
        p = mg.sigmoid(mg.tensor(X) @ w + b)
        fit = -(mg.tensor(t) * mg.log(p) + (1 - mg.tensor(t)) * mg.log(1 - p)).mean()
        return fit + lam * (w**2).sum()

    d = (p - t) / 6
    return loss, (w, b), [
        ("w", "path left out", X.T @ d),  # the decay
        ("w", "power not lowered", X.T @ d + lam * w),
        ("w", "lost 1/n", X.T @ (p - t) + 2 * lam * w),
        ("w", "sign", -X.T @ d + 2 * lam * w),
        ("w", "missing local factor", X.T @ d + 2 * w),
        ("w", "missing local factor", X.T @ (d / (p * (1 - p))) + 2 * lam * w),
        ("b", "missing local factor", (d / (p * (1 - p))).sum()),
        ("b", "lost 1/n", (p - t).sum()),
        ("b", "not summed over a broadcast axis", d),
        ("b", "path left out", (-t * (1 - p)).sum() / 6),
    ]  # fmt: skip


# ---------------------------------------------------------------- softmax and its loss by hand


def softmax_by_hand():
    r = rng(13)
    X, W, t = r.normal(size=(4, 3)), r.normal(size=(3, 3)), np.array([0, 2, 1, 1])
    p, onehot = softmax(X @ W), np.eye(3)[t]

    def loss(W):
        e = mg.exp(mg.tensor(X) @ W)
        p = e / e.sum(1, keepdims=True)
        return -(mg.tensor(onehot) * mg.log(p)).sum() / 4

    return loss, (W,), [
        ("W", "lost 1/n", X.T @ (p - onehot)),
        ("W", "sign", X.T @ (onehot - p) / 4),
        ("W", "path left out", X.T @ (-onehot) / 4),  # the denominator as a constant
        ("W", "transposed", (p - onehot).T @ X / 4),
    ]  # fmt: skip


# ---------------------------------------------------------------- an RNN over a batch, with row vectors


def batched_rnn():
    r = rng(14)
    x = r.normal(size=(3, 4, 2))  # time, batch, features
    U, W, b = r.normal(size=(2, 3)), r.normal(size=(3, 3)), r.normal(size=3)

    def loss(U, W, b):
        h = mg.zeros((4, 3), dtype="float64")
        for t in range(3):
            h = mg.tanh(mg.tensor(x[t]) @ U + h @ W + b)
        return h.sum(1).mean()

    h = [np.zeros((4, 3))]
    for t in range(3):
        h.append(np.tanh(x[t] @ U + h[-1] @ W + b))

    def back(slope=lambda t: 1 - h[t] ** 2, W=W.T, start=0.25):
        da, dh = {}, np.full((4, 3), start)
        for t in (3, 2, 1):
            da[t] = dh * slope(t)
            dh = da[t] @ W
        return da

    da = back()
    dW = lambda da: sum(h[t - 1].T @ da[t] for t in (1, 2, 3))
    dU = lambda da: sum(x[t - 1].T @ da[t] for t in (1, 2, 3))
    return loss, (U, W, b), [
        ("W", "transposed", dW(back(W=W))),
        ("W", "transposed", dW(da).T),
        ("W", "lost 1/n", dW(back(start=1.0))),
        ("W", "missing local factor", dW(back(slope=lambda t: 1.0))),
        ("W", "shifted in time", sum(h[t].T @ da[t] for t in (1, 2, 3))),
        ("W", "assigned instead of added", h[2].T @ da[3]),
        ("U", "derivative at the wrong place", dU(back(slope=lambda t: 1 - np.tanh(h[t]) ** 2))),
        ("U", "assigned instead of added", x[2].T @ da[3]),
        ("U", "missing local factor", dU(back(W=np.eye(3)))),
        ("b", "assigned instead of added", da[1].sum(0)),
        ("b", "not summed over a broadcast axis", sum(da.values())),
        ("b", "not summed over a broadcast axis", sum(da.values()).mean(0)),
        ("b", "stale after a second backward", 2 * sum(da.values()).sum(0)),
    ]  # fmt: skip


# ---------------------------------------------------------------- two steps of an LSTM


def lstm():
    r = rng(15)
    x, Wf, Wi, Wz, Wo = r.normal(size=(2, 3)), *(r.normal(size=(3, 2)) for _ in range(4))

    def loss(Wf, Wi, Wz, Wo):
        c = mg.tensor(np.ones(2) * 0.5)
        total = 0.0
        for t in range(2):
            row = mg.tensor(x[t : t + 1])
            f, i, z, o = mg.sigmoid(row @ Wf), mg.sigmoid(row @ Wi), mg.tanh(row @ Wz), mg.sigmoid(row @ Wo)
            c = f * c + i * z
            h = o * mg.tanh(c)
            total = total + h.sum()
        return total

    c, steps = [np.ones((1, 2)) * 0.5], []
    for t in range(2):
        row = x[t : t + 1]
        f, i, z, o = sigmoid(row @ Wf), sigmoid(row @ Wi), np.tanh(row @ Wz), sigmoid(row @ Wo)
        c.append(f * c[-1] + i * z)
        steps.append((row, f, i, z, o, np.tanh(c[-1])))

    def back(through=True, slope=lambda T: 1 - T**2, gate=lambda s, a: s * (1 - s)):
        later, d = 0.0, [np.zeros((3, 2)) for _ in range(4)]
        for t in (1, 0):
            row, f, i, z, o, T = steps[t]
            dc = o * slope(T) + (later if through else 0.0)
            later = dc * f
            parts = (dc * c[t] * gate(f, row @ Wf), dc * z * gate(i, row @ Wi), dc * i * (1 - z**2), T * gate(o, row @ Wo))
            for k, part in enumerate(parts):
                d[k] += row.T @ part
        return d

    return loss, (Wf, Wi, Wz, Wo), [
        ("Wf", "path left out", back(through=False)[0]),
        ("Wz", "path left out", back(through=False)[2]),
        ("Wf", "missing local factor", back(slope=lambda T: 1.0)[0]),
        ("Wi", "missing local factor", back(gate=lambda s, a: 1.0)[1]),
        ("Wo", "missing local factor", back(gate=lambda s, a: 1.0)[3]),
        ("Wo", "derivative at the wrong place", back(gate=lambda s, a: a * (1 - a))[3]),
        ("Wf", "derivative at the wrong place", back(gate=lambda s, a: sigmoid(s) * (1 - sigmoid(s)))[0]),
        ("Wo", "assigned instead of added", steps[1][0].T @ (steps[1][5] * steps[1][4] * (1 - steps[1][4]))),
    ]  # fmt: skip


# ---------------------------------------------------------------- layer norm, and a convolution of a batch


def layer_norm():
    r = rng(16)
    x, w, b, m = r.normal(size=(3, 4)), r.normal(size=4), r.normal(size=4), r.normal(size=(3, 4))
    mu, std = x.mean(1, keepdims=True), np.sqrt(x.var(1, keepdims=True) + 1e-5)
    xhat, u = (x - mu) / std, m * w

    def loss(x, w, b):
        return (F.layer_norm(x, (4,), w, b) * mg.tensor(m)).sum()

    return loss, (x, w, b), [
        ("x", "path left out", u / std),
        ("x", "path left out", (u - u.mean(1, keepdims=True)) / std),
        ("x", "path left out", (u - xhat * (u * xhat).mean(1, keepdims=True)) / std),
        ("b", "not summed over a broadcast axis", m.mean(0)),
        ("b", "not summed over a broadcast axis", m),
    ]  # fmt: skip


def convolution_of_a_batch():
    r = rng(17)
    x, w, b, m = r.normal(size=(2, 1, 4, 4)), r.normal(size=(2, 1, 3, 3)), r.normal(size=2), r.normal(size=(2, 2, 4, 4))
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)])
    patches = np.lib.stride_tricks.sliding_window_view(padded[:, 0], (3, 3), (1, 2))
    z = np.einsum("nijkl,okl->noij", patches, w[:, 0]) + b[:, None, None]

    def loss(x, w, b):
        z = F.conv2d(x, w, b, padding=1)
        return (mg.relu(z) * mg.tensor(m)).sum()

    g = m * (z > 0)
    dw = lambda g: np.einsum("nijkl,noij->okl", patches, g)[:, None]
    return loss, (x, w, b), [
        ("w", "wrong at a tie or kink", dw(m)),
        ("w", "flipped kernel", dw(g)[..., ::-1, ::-1]),
        ("w", "sign", -dw(g)),
        ("w", "extra 1/n", dw(g) / 2),  # a mean over the batch that nobody asked for
        ("b", "not summed over a broadcast axis", g.sum((2, 3))),
        ("b", "not summed over a broadcast axis", g.mean((0, 2, 3))),
        ("b", "wrong at a tie or kink", m.sum((0, 2, 3))),
    ]  # fmt: skip


# ---------------------------------------------------------------- chains of numbers


def chain():
    x, a, k = 1.3, 0.7, 2.2

    def f(x, a, k):
        u = mg.log(x * a)
        v = mg.exp(u * k)
        return mg.sqrt(v + x**3) / k

    u, v = np.log(x * a), np.exp(np.log(x * a) * k)
    y = np.sqrt(v + x**3)
    dv = 1 / (2 * y) / k
    du = dv * v * k
    return f, (x, a, k), [
        ("a", "missing local factor", du * x),  # 1 / (x a)
        ("a", "missing reciprocal", du * (x * a) * x),
        ("a", "derivative at the wrong place", dv * (u * k) * k / a),
        ("a", "missing local factor", dv * k / a),
        ("a", "missing reciprocal", v * k / a * (1 / 2) * y / k),
        ("a", "swapped factor", du / (x * a) * a),
        ("x", "path left out", du / x),
        ("x", "power not lowered", du / x + dv * x**2),
        ("x", "power not lowered", du / x + dv * 3 * x**3),
        ("k", "path left out", dv * v * u),
        ("k", "sign", dv * v * u + y / k**2),
        ("k", "missing reciprocal", dv * v * u - y / k),
    ]  # fmt: skip


TOPICS = [
    relu_network, logistic_regression, softmax_by_hand, batched_rnn, lstm, layer_norm, convolution_of_a_batch, chain,
]  # fmt: skip
