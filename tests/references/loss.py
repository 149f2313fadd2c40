"""Slow, plain references of the losses' forwards."""

import itertools
import math

import numpy as np


def log_p(scores):
    top = max(scores)
    return [s - top - math.log(sum(math.exp(t - top) for t in scores)) for s in scores]


def linear_cross_entropy(x, weight, target, bias=None, class_weight=None, *, ignore_index, rows, dtype):
    """One row, one class after another."""
    losses = np.zeros(len(x))
    for n, (row, label) in enumerate(zip(x, target, strict=True)):
        scores = [sum(a * b for a, b in zip(row, w, strict=True)) + (0.0 if bias is None else bias[c]) for c, w in enumerate(weight)]
        if label != ignore_index:
            losses[n] = -log_p(scores)[label] * (1.0 if class_weight is None else class_weight[label])
    return losses


def spelt(path, blank):
    """What a path writes: repeats dropped, then blanks."""
    return [c for c, _ in itertools.groupby(path) if c != blank]


def ctc_loss(x, targets, input_lengths, target_lengths, *, blank):
    """By the definition: over every path there is."""
    losses = np.zeros(x.shape[1])
    for n, (steps, length) in enumerate(zip(input_lengths, target_lengths, strict=True)):
        wanted = targets[n, :length].tolist()
        paths = itertools.product(range(x.shape[2]), repeat=int(steps))
        p = sum(math.exp(sum(x[t, n, c] for t, c in enumerate(path))) for path in paths if spelt(path, blank) == wanted)
        losses[n] = -math.log(p) if p else math.inf
    return losses


def binary_cross_entropy(x, target):
    return -np.vectorize(lambda v, t: t * math.log(v) + (1 - t) * math.log(1 - v))(x, target)


REFERENCES = {"binary_cross_entropy": binary_cross_entropy, "ctc_loss": ctc_loss, "linear_cross_entropy": linear_cross_entropy}
