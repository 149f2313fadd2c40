"""Slow references of normalisation: one group of elements after another."""

import itertools
import math

import numpy as np


def groups(x, axes):
    """The index of every set of elements that are normalised together."""
    free = [[slice(None)] if a in axes else range(n) for a, n in enumerate(x.shape)]
    return itertools.product(*free)


def affine(y, weight, bias):
    return y * (1 if weight is None else weight) + (0 if bias is None else bias)


def normalise(x, weight=None, bias=None, *, axes, eps, moments):
    y = np.empty_like(x)
    for at in groups(x, axes):
        y[at] = (x[at] - x[at].mean()) / math.sqrt(x[at].var() + eps)
    return affine(y, weight, bias)


def rms_norm(x, weight=None, *, axes, eps):
    y = np.empty_like(x)
    for at in groups(x, axes):
        y[at] = x[at] / math.sqrt(sum(v * v for v in x[at].ravel()) / x[at].size + eps)
    return affine(y, weight, None)


REFERENCES = {"normalise": normalise, "rms_norm": rms_norm}
