"""The one table that drives every op: its samples (minigrad/samples/) and a slow, plain reference of its forward.

A registered op without samples or without a reference fails the suite. A reference takes the op's own
arguments as NumPy arrays and is written in other means than the op: loops, math, or NumPy's own function.
"""

import itertools
import math

import numpy as np
from references import TOPICS

from minigrad.gradtable import as_function
from minigrad.samples import samples

SAMPLES = samples(seed=0)


def each(f):
    """A function of numbers, element by element, broadcasting."""
    return lambda *arrays: np.vectorize(f, otypes=[float])(*arrays) if np.broadcast(*arrays).size else np.zeros(np.broadcast(*arrays).shape)


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def conv(x, w, bias=None, *, stride, padding, dilation, groups):
    """Seven loops."""
    x = np.pad(x, [(0, 0), (0, 0), *padding])
    out = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], w.shape[2:], stride, dilation, strict=True)]
    y = np.zeros((x.shape[0], w.shape[0], *out))
    per = w.shape[0] // groups
    for n, o in np.ndindex(*y.shape[:2]):
        for at in np.ndindex(*out):
            total = 0.0 if bias is None else bias[o]
            for c in range(w.shape[1]):
                for k in np.ndindex(*w.shape[2:]):
                    place = tuple(a * s + i * d for a, s, i, d in zip(at, stride, k, dilation, strict=True))
                    total += w[(o, c, *k)] * x[(n, o // per * w.shape[1] + c, *place)]
            y[(n, o, *at)] = total
    return y


def conv_grad_x(gy, w, *, x_shape, **how):
    """By the definition: the gradient in x is J^T gy, J column by column."""
    return np.array([(conv(e.reshape(x_shape), w, **how) * gy).sum() for e in np.eye(math.prod(x_shape))]).reshape(x_shape)


def conv_grad_w(gy, x, *, w_shape, **how):
    return np.array([(conv(x, e.reshape(w_shape), **how) * gy).sum() for e in np.eye(math.prod(w_shape))]).reshape(w_shape)


def windows(x, kernel, stride, padding, dilation, ceil_mode):
    """(n, c, *place) and the indices of x in that window."""
    out = []
    for n, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True):
        room = n + sum(p) - d * (k - 1) - 1
        length = (math.ceil(room / s) if ceil_mode else room // s) + 1
        out.append(length - (ceil_mode and (length - 1) * s >= n + p[0]))
    for n, c in np.ndindex(*x.shape[:2]):
        for at in np.ndindex(*out):
            places = []
            for k in itertools.product(*map(range, kernel)):
                i = [a * s + o * d - p[0] for a, s, o, d, p in zip(at, stride, k, dilation, padding, strict=True)]
                inside = all(0 <= v < m for v, m in zip(i, x.shape[2:], strict=True))
                places.append((n, c, *i) if inside else None)
            yield (n, c, *at), places


def pooled(x, choose, *, kernel, stride, padding, ceil_mode, dilation=None):
    found = {at: choose(at, places) for at, places in windows(x, kernel, stride, padding, dilation or (1,) * len(kernel), ceil_mode)}
    y = np.zeros(tuple(max(at[i] for at in found) + 1 for i in range(x.ndim)))
    for at, value in found.items():
        y[at] = value
    return y


def max_pool(x, **how):
    return pooled(x, lambda at, places: max(x[p] for p in places if p is not None), **how)


def window_sum(x, **how):
    return pooled(x, lambda at, places: sum(x[p] for p in places if p is not None), **how)


def window_take(x, *, chosen, **how):
    return pooled(x, lambda at, places: 0.0 if places[chosen[at]] is None else x[places[chosen[at]]], **how)


def transposed(forward):
    """The adjoint of a linear forward, by its definition."""
    return lambda g, *, x_shape, **how: np.array(
        [(forward(e.reshape(x_shape), **how) * g).sum() for e in np.eye(math.prod(x_shape))]
    ).reshape(x_shape)


def cross_entropy(x, target, weight=None, *, reduction, ignore_index, label_smoothing):
    losses = np.zeros(target.shape)
    for at in np.ndindex(*target.shape):
        scores = x[(at[0], slice(None), *at[1:])]
        logp = [s - max(scores) - math.log(sum(math.exp(t - max(scores)) for t in scores)) for s in scores]
        if target[at] != ignore_index:
            losses[at] = -(1 - label_smoothing) * logp[target[at]] - label_smoothing * sum(logp) / len(logp)
    kept = (target != ignore_index).sum()
    return {"none": losses, "sum": losses.sum(), "mean": losses.sum() / kept}[reduction]


def put(x, values, *, index):
    y = x.copy()
    y[index] = values
    return y


def put_add(x, *, shape, index):
    y = np.zeros(shape)
    np.add.at(y, index, x)
    return y


def dropout(x, *, p, generator):
    if p in (0.0, 1.0):
        return x * (1.0 - p)
    from minigrad.engine.random import Generator

    return np.where(Generator(5).random(x.shape, np.float32) < p, 0.0, x / (1.0 - p))


def masked(x, keep):
    return np.where(keep, x, 0.0)


def others(x):
    return np.array([[[1.0 if i == j else v for i, v in enumerate(row)] for j in range(len(row))] for row in x])


def sum_to(x, *, shape):
    y = np.zeros(shape)
    for i in np.ndindex(*x.shape):
        y[tuple(k if n > 1 else 0 for k, n in zip(i[x.ndim - len(shape) :], shape, strict=True))] += x[i]
    return y


def diagonal_adjoint(x, *, shape, offset, axis1, axis2):
    y = np.zeros(shape)
    for k in range(x.shape[-1]):
        place = [slice(None)] * len(shape)
        place[axis1], place[axis2] = k + max(-offset, 0), k + max(offset, 0)
        y[tuple(place)] = x[..., k]
    return y


REFERENCES = {
    "add": each(lambda a, b: a + b), "sub": each(lambda a, b: a - b), "mul": each(lambda a, b: a * b),
    "div": each(lambda a, b: a / b), "pow": each(lambda a, b: a**b), "neg": each(lambda x: -x), "positive": each(lambda x: x),
    "floor_divide": each(lambda a, b: a // b), "remainder": each(lambda a, b: a % b), "square": each(lambda x: x * x),
    "sqrt": each(math.sqrt), "rsqrt": each(lambda x: x**-0.5), "cbrt": each(lambda x: math.copysign(abs(x) ** (1 / 3), x)),
    "reciprocal": each(lambda x: 1 / x), "exp": each(math.exp), "exp2": each(lambda x: 2.0**x), "expm1": each(math.expm1),
    "log": each(math.log), "log2": each(math.log2), "log10": each(math.log10), "log1p": each(math.log1p),
    "logaddexp": each(lambda a, b: math.log(math.exp(a) + math.exp(b))), "abs": each(abs), "floor": each(math.floor),
    "sign": each(lambda x: (x > 0) - (x < 0)), "ceil": each(math.ceil), "trunc": each(math.trunc),
    "round": lambda x, *, decimals: each(lambda v: round(v, decimals))(x),
    "maximum": each(max), "minimum": each(min), "where": each(lambda c, a, b: a if c else b),
    "clip": lambda x, *, min, max: each(lambda v: sorted((v, *(b for b in (min, max) if b is not None)))[min is not None])(x),
    "sin": each(math.sin), "cos": each(math.cos), "tan": each(math.tan), "arcsin": each(math.asin), "arccos": each(math.acos),
    "arctan": each(math.atan), "arctan2": each(math.atan2), "hypot": each(math.hypot), "sinh": each(math.sinh),
    "cosh": each(math.cosh), "tanh": each(math.tanh), "arcsinh": each(math.asinh), "arccosh": each(math.acosh),
    "arctanh": each(math.atanh), "erf": each(math.erf), "erfc": each(math.erfc),
    "relu": each(lambda x: max(x, 0.0)), "sigmoid": each(sigmoid), "logsigmoid": each(lambda x: math.log(sigmoid(x))),
    "silu": each(lambda x: x * sigmoid(x)), "gelu_erf": each(lambda x: 0.5 * x * math.erfc(-x / math.sqrt(2))),
    "softplus": lambda x, *, beta, threshold: each(lambda v: v if beta * v > threshold else math.log1p(math.exp(beta * v)) / beta)(x),
    "leaky_relu": lambda x, *, negative_slope: each(lambda v: v if v > 0 else negative_slope * v)(x),
    "elu": lambda x, *, alpha: each(lambda v: v if v > 0 else alpha * math.expm1(v))(x),
    "celu": lambda x, *, alpha: each(lambda v: v if v > 0 else alpha * math.expm1(v / alpha))(x),
    "hardtanh": lambda x, *, min_val, max_val: each(lambda v: min(max(v, min_val), max_val))(x),
    "hardsigmoid": each(lambda v: min(max(v + 3, 0), 6) / 6), "hardswish": each(lambda v: v * min(max(v + 3, 0), 6) / 6),
    "softshrink": lambda x, *, lambd: each(lambda v: math.copysign(max(abs(v) - lambd, 0.0), v))(x),
    "hardshrink": lambda x, *, lambd: each(lambda v: v if abs(v) > lambd else 0.0)(x),
    "threshold": lambda x, *, threshold, value: each(lambda v: v if v > threshold else value)(x),
    "prelu": each(lambda v, w: v if v > 0 else w * v),
    "sum_to": sum_to, "broadcast_to": lambda x, *, shape: x + np.zeros(shape), "cast": lambda x, *, dtype: x.astype(dtype),
    "identity": lambda x: x, "copy": lambda x: x, "transfer": lambda x, **_: x,
    "reshape": lambda x, *, shape: np.array(x.ravel().tolist()).reshape(shape),
    "transpose": lambda x, *, axes: np.einsum(x, list(range(x.ndim)), list(axes or range(x.ndim)[::-1])),
    "concatenate": lambda *xs, axis: np.concatenate(xs, axis), "flip": lambda x, *, axis: np.flip(x, axis),
    "roll": lambda x, *, shift, axis: np.roll(x, shift, axis),
    "tril": lambda x, *, k: masked(x, np.subtract.outer(np.arange(x.shape[-2]), np.arange(x.shape[-1])) >= -k),
    "triu": lambda x, *, k: masked(x, np.subtract.outer(np.arange(x.shape[-2]), np.arange(x.shape[-1])) <= -k),
    "diagonal": lambda x, *, offset, axis1, axis2: np.diagonal(x, offset, axis1, axis2), "diagonal_adjoint": diagonal_adjoint,
    "take_index": lambda x, *, index: x[index], "put_add": put_add, "put": put,
    "pad_constant": lambda x, *, width, value: np.pad(x, width, constant_values=value), "dropout": dropout,
    "sum": lambda x, *, axis, keepdims: np.add.reduce(x, axis if axis is not None else tuple(range(x.ndim)), keepdims=keepdims),
    "mean": lambda x, *, axis, keepdims: np.mean(x, axis, keepdims=keepdims),
    "norm2": lambda x, *, axis, keepdims: np.sqrt(np.sum(np.abs(x) ** 2, axis, keepdims=keepdims)),
    "logsumexp": lambda x, *, axis, keepdims: np.log(np.sum(np.exp(x), axis, keepdims=keepdims)),
    "prod": lambda x, *, axis, keepdims: np.prod(x, axis, keepdims=keepdims),
    "max": lambda x, *, axis, keepdims: -np.min(-x, axis, keepdims=keepdims),
    "min": lambda x, *, axis, keepdims: -np.max(-x, axis, keepdims=keepdims),
    "cumsum": lambda x, *, axis: np.cumsum(x, axis), "cumprod": lambda x, *, axis: np.cumprod(x, axis),
    "softmax": lambda x, *, axis: np.exp(x) / np.exp(x).sum(axis, keepdims=True),
    "log_softmax": lambda x, *, axis: np.log(np.exp(x) / np.exp(x).sum(axis, keepdims=True)),
    "others": others, "off_diagonal": lambda x: x * (1 - np.eye(x.shape[-1])), "half_diagonal": lambda x: 0.5 * x * np.eye(x.shape[-1]),
    "matmul": lambda a, b: np.einsum("...ij,...jk->...ik", a, b), "einsum": lambda *xs, subscripts: np.einsum(subscripts, *xs),
    "inv": lambda x: np.linalg.solve(x, np.eye(len(x))), "det": lambda x: np.prod(np.linalg.eigvals(x), axis=-1).real,
    "logabsdet": lambda x: math.log(abs(np.linalg.det(x))), "solve": lambda a, b: np.linalg.inv(a) @ b,
    "cholesky": np.linalg.cholesky,
    "linear": lambda x, weight, bias: np.einsum("...i,oi->...o", x, weight) + (0 if bias is None else bias),
    "conv": conv, "conv_grad_x": conv_grad_x, "conv_grad_w": conv_grad_w, "max_pool": max_pool, "window_sum": window_sum,
    "window_take": window_take, "window_put": transposed(window_take), "window_spread": transposed(window_sum),
    "cross_entropy": cross_entropy,
    "equal": each(lambda a, b: a == b), "not_equal": each(lambda a, b: a != b), "less": each(lambda a, b: a < b),
    "less_equal": each(lambda a, b: a <= b), "greater": each(lambda a, b: a > b), "greater_equal": each(lambda a, b: a >= b),
    "logical_and": each(lambda a, b: bool(a) and bool(b)), "logical_or": each(lambda a, b: bool(a) or bool(b)),
    "logical_xor": each(lambda a, b: bool(a) != bool(b)), "logical_not": each(lambda a: not a),
    "bitwise_and": each(lambda a, b: a & b), "bitwise_or": each(lambda a, b: a | b), "bitwise_xor": each(lambda a, b: a ^ b),
    "left_shift": each(lambda a, b: a * 2**b), "right_shift": each(lambda a, b: a // 2**b),
    "invert": each(lambda a: ~int(a)), "isnan": each(math.isnan), "isinf": each(math.isinf), "isfinite": each(math.isfinite),
    "all": lambda x, *, axis, keepdims: np.min(x != 0, axis, keepdims=keepdims),
    "any": lambda x, *, axis, keepdims: np.max(x != 0, axis, keepdims=keepdims),
    "count_nonzero": lambda x, *, axis: np.sum(x != 0, axis), "argmax": lambda x, **how: np.argmin(-x, **how),
    "argmin": lambda x, **how: np.argmax(-x, **how), "isclose": lambda a, b, **how: np.isclose(a, b, **how),
    "argsort": lambda x, *, axis, descending, stable: np.argsort(-x if descending else x, axis, kind="stable"),
}  # fmt: skip
for topic in TOPICS:
    REFERENCES |= topic.REFERENCES

ALL = [(name, k) for name, cases in sorted(SAMPLES.items()) for k in range(len(cases))]

__all__ = ["ALL", "REFERENCES", "SAMPLES", "as_function"]
