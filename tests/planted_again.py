"""A third set: residual blocks, tables, columns, a GRU, pooling, entropies, norms, a deep network. See planted.py."""

import numpy as np
from planted import rng, sigmoid, softmax

import minigrad as mg
from minigrad.nn import functional as F


def residual():
    r = rng(21)
    x, W1, W2, t = r.normal(size=(3, 4)), r.normal(size=(4, 4)) * 0.5, r.normal(size=(4, 4)) * 0.5, r.normal(size=(3, 4))
    h = np.tanh(x @ W1)
    y = x + h @ W2
    d = (y - t) / 3

    def loss(x, W1, W2):
        h = mg.tanh(x @ W1)
        y = x + h @ W2
        return 0.5 * ((y - mg.tensor(t)) ** 2).sum() / 3

    da = (d @ W2.T) * (1 - h**2)
    return (
        loss,
        (x, W1, W2),
        [
            ("x", "path left out", d),
            ("x", "path left out", da @ W1.T),
            ("x", "transposed", d + da @ W1),
            ("x", "missing local factor", d + (d @ W2.T) @ W1.T),
            ("W1", "lost 1/n", 3 * x.T @ da),
            ("W2", "lost 1/n", 3 * h.T @ d),
            ("W2", "missing local factor", 2 * h.T @ d),
            ("W1", "derivative at the wrong place", x.T @ ((d @ W2.T) * (1 - (x @ W1) ** 2))),
            ("x", "sign", -(d + da @ W1.T)),
            ("x", "sign", d - da @ W1.T),
        ],
    )


def embedding():
    r = rng(22)
    E, w, idx = r.normal(size=(5, 3)), r.normal(size=3), np.array([1, 3, 1, 0])

    def loss(E, w):
        return mg.sigmoid(E[mg.tensor(idx)] @ w).sum()

    s = sigmoid(E[idx] @ w)
    g = (s * (1 - s))[:, None] * w
    right = np.zeros((5, 3))
    np.add.at(right, idx, g)
    wrong = np.zeros((5, 3))
    wrong[idx] = g
    flat = np.zeros((5, 3))
    np.add.at(flat, idx, s[:, None] * 0 + w)
    return (
        loss,
        (E, w),
        [
            ("E", "assigned instead of added", wrong),
            ("E", "missing local factor", flat),
            ("w", "missing local factor", E[idx].sum(0)),
            ("w", "derivative at the wrong place", (((E[idx] @ w) * (1 - E[idx] @ w))[:, None] * E[idx]).sum(0)),
            ("w", "stale after a second backward", 2 * ((s * (1 - s))[:, None] * E[idx]).sum(0)),
        ],
    )


def columns():
    r = rng(23)
    x, s, t = r.normal(size=(4, 3)), r.uniform(0.5, 2, size=(4, 1)), r.normal(size=(4, 3))

    def loss(x, s):
        y = x / s
        return ((y - mg.tensor(t)) ** 2).mean()

    y = x / s
    d = 2 * (y - t) / 12
    return (
        loss,
        (x, s),
        [
            ("s", "sign", (d * x / s**2).sum(1, keepdims=True)),
            ("s", "not summed over a broadcast axis", -d * x / s**2),
            ("s", "missing reciprocal", (-d * x / s).sum(1, keepdims=True)),
            ("s", "not summed over a broadcast axis", (-d * x / s**2).mean(1, keepdims=True)),
            ("s", "not summed over a broadcast axis", (-d * x / s**2).sum(0, keepdims=True)),
            ("x", "missing reciprocal", d * s),
            ("x", "missing local factor", d),
            ("x", "lost 1/n", 12 * d / s),
            ("x", "power not lowered", d / s / 2),
        ],
    )


def gru():
    r = rng(24)
    x, h, Wr, Wz, Wn, Ur, Uz, Un = (r.normal(size=(1, 2)), r.normal(size=(1, 2)), *(r.normal(size=(2, 2)) for _ in range(6)))
    m = r.normal(size=(1, 2))

    def loss(h, Wr, Wz, Wn, Un):
        x_ = mg.tensor(x)
        rr = mg.sigmoid(x_ @ Wr + h @ mg.tensor(Ur))
        z = mg.sigmoid(x_ @ Wz + h @ mg.tensor(Uz))
        n = mg.tanh(x_ @ Wn + (rr * h) @ Un)
        new = (1 - z) * n + z * h
        return (new * mg.tensor(m)).sum()

    R = sigmoid(x @ Wr + h @ Ur)
    Z = sigmoid(x @ Wz + h @ Uz)
    N = np.tanh(x @ Wn + (R * h) @ Un)
    dn = m * (1 - Z)
    dan = dn * (1 - N**2)
    dz = m * (h - N)
    daz = dz * Z * (1 - Z)
    drh = dan @ Un.T
    dar = drh * h * R * (1 - R)
    dh = m * Z + drh * R + dar @ Ur.T + daz @ Uz.T
    return (
        loss,
        (h, Wr, Wz, Wn, Un),
        [
            ("Wn", "missing local factor", x.T @ dn),
            ("Wn", "missing local factor", x.T @ (m * (1 - N**2))),
            ("Wz", "sign", x.T @ (m * (h + N) * Z * (1 - Z))),
            ("Wz", "path left out", x.T @ (m * h * Z * (1 - Z))),
            ("h", "path left out", m * Z),
            ("h", "path left out", dh - m * Z),
            ("h", "path left out", dh - dar @ Ur.T),
            ("Wr", "missing local factor", x.T @ (drh * h)),
            ("Wr", "missing local factor", x.T @ (drh * R * (1 - R))),
            ("Wr", "transposed", x.T @ ((dan @ Un) * h * R * (1 - R))),
            ("Un", "wrong factor", h.T @ dan),
            ("Un", "transposed", dan.T @ (R * h)),
            ("h", "missing local factor", dh - m * Z + m),
        ],
    )


def pooling():
    r = rng(25)
    x = r.normal(size=(1, 1, 4, 4))
    m = r.normal(size=(1, 1, 2, 2))

    def loss(x):
        return (F.max_pool2d(x, 2) * mg.tensor(m)).sum()

    up = np.kron(m[0, 0], np.ones((2, 2)))[None, None]
    big = x == np.kron(x.reshape(2, 2, 2, 2).max((1, 3)), np.ones((2, 2)))
    return (
        loss,
        (x,),
        [
            ("x", "wrong at a tie or kink", up),
            ("x", "wrong at a tie or kink", up / 4),
            ("x", "missing local factor", big * 1.0),
            ("x", "sign", -up * big),
        ],
    )


def entropy():
    r = rng(26)
    s = r.normal(size=5)

    def f(s):
        p = mg.nn.functional.softmax(s, dim=0)
        return -(p * mg.log(p)).sum()

    p = softmax(s)
    dp = -(np.log(p) + 1)
    ds = p * (dp - (dp * p).sum())
    return (
        f,
        (s,),
        [
            ("s", "sign", -ds),
            ("s", "softmax as if elementwise", p * (1 - p) * dp),
            ("s", "missing local factor", dp),
            ("s", "softmax as if elementwise", p * dp),
        ],
    )


def norm():
    r = rng(27)
    w, x = r.normal(size=4), r.normal(size=4)

    def f(w, x):
        n = mg.sqrt((w**2).sum())
        u = w / n
        return (u * x).sum()

    n = np.linalg.norm(w)
    u = w / n
    return (
        f,
        (w, x),
        [
            ("w", "path left out", x / n),
            ("w", "sign", x / n + (x @ w) * w / n**3),
            ("w", "missing local factor", x / n - (x @ w) / n**2 * 2 * w),
            ("x", "wrong factor", w),
            ("x", "stale after a second backward", 2 * u),
            ("w", "power not lowered", x / n - (x @ w) * w / n**3 / 2),
        ],
    )


def deep():
    r = rng(28)
    Ws = [r.normal(size=(3, 3)) for _ in range(4)]
    x = r.normal(size=(2, 3))

    def f(A, B, C, D):
        h = mg.tensor(x)
        for W in (A, B, C, D):
            h = mg.relu(h @ W)
        return h.mean()

    hs = [x]
    zs = []
    for W in Ws:
        zs.append(hs[-1] @ W)
        hs.append(np.maximum(zs[-1], 0))

    def back(k, gate=lambda i: zs[i] > 0, tr=True, start=1 / 6):
        d = np.full((2, 3), start)
        for i in range(3, k, -1):
            d = d * gate(i) @ (Ws[i].T if tr else Ws[i])
        return hs[k].T @ (d * gate(k))

    return (
        f,
        tuple(Ws),
        [
            ("A", "wrong at a tie or kink", back(0, gate=lambda i: 1.0)),
            ("B", "transposed", back(1, tr=False)),
            ("A", "lost 1/n", back(0, start=1.0)),
            ("C", "lost 1/n", back(2, start=1 / 2)),
            ("B", "wrong at a tie or kink", back(1, gate=lambda i: (zs[i] > 0) if i != 2 else 1.0)),
            ("D", "transposed", back(3).T),
            ("C", "missing local factor", hs[2].T @ ((np.full((2, 3), 1 / 6) * (zs[3] > 0)) * (zs[2] > 0))),
        ],
    )


TOPICS = [residual, embedding, columns, gru, pooling, entropy, norm, deep]
