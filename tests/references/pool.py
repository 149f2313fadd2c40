"""Pooling by places, window by window."""

import itertools

import numpy as np


def window_argmax(x, *, tables):
    out = [t.shape[-2] for t in tables]
    y = np.zeros((*x.shape[:2], *out), int)
    for n, c in np.ndindex(*x.shape[:2]):
        for at in np.ndindex(*out):
            rows = [(t[i] if t.ndim == 2 else t[n, c, i]) for t, i in zip(tables, at, strict=True)]
            best = max(itertools.product(*rows), key=lambda place: x[(n, c, *place)])
            y[(n, c, *at)] = np.ravel_multi_index(best, x.shape[2:])
    return y


REFERENCES = {"window_argmax": window_argmax}
