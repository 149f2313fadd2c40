"""Borders by NumPy's own pad; windows by loops; adjoints by their definition, J^T g column by column."""

import math

import numpy as np


def pad_border(x, *, width, mode):
    return np.pad(x, width, mode=mode)


def pad_border_sum(g, *, width, mode):
    shape = tuple(m - a - b for m, (a, b) in zip(g.shape, width, strict=True))
    return np.array([(pad_border(e.reshape(shape), width=width, mode=mode) * g).sum() for e in np.eye(math.prod(shape))]).reshape(shape)


def im2col(x, *, kernel, stride, padding, dilation):
    x = np.pad(x, [(0, 0), (0, 0), *padding])
    out = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)]
    y = np.zeros((*x.shape[:2], math.prod(kernel), math.prod(out)))
    for row, offset in enumerate(np.ndindex(*kernel)):
        for column, at in enumerate(np.ndindex(*out)):
            place = tuple(a * s + o * d for a, s, o, d in zip(at, stride, offset, dilation, strict=True))
            y[:, :, row, column] = x[(slice(None), slice(None), *place)]
    return y.reshape(x.shape[0], -1, math.prod(out))


def col2im(g, *, x_shape, **how):
    return np.array([(im2col(e.reshape(x_shape), **how) * g).sum() for e in np.eye(math.prod(x_shape))]).reshape(x_shape)


REFERENCES = {"pad_border": pad_border, "pad_border_sum": pad_border_sum, "im2col": im2col, "col2im": col2im}
