"""Attention row by row, key by key."""

import math

import numpy as np

from minigrad.engine.random import words


def attention(q, k, v, bias, mask, *, scale, causal, dropout_p, seed, block_size):
    lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    rows, keys = q.shape[-2], k.shape[-2]
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scored = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    spread = lambda a, tail: np.broadcast_to(a, (*lead, *tail))
    q, k, v = (spread(a, a.shape[-2:]) for a in (q, k, v))
    bias = spread(0.0 if bias is None else bias, (rows, keys))
    mask = spread(True if mask is None else mask, (rows, keys))
    kept = spread(dropped(scored, rows, keys, dropout_p, seed), (rows, keys))
    y = np.zeros((*lead, rows, v.shape[-1]))
    for at in np.ndindex(*lead):
        for i in range(rows):
            part = [j for j in range(keys) if mask[(*at, i, j)] and (j <= i or not causal)]
            e = {j: math.exp(scale * float(q[(*at, i)] @ k[(*at, j)]) + bias[(*at, i, j)]) for j in part}
            for j in part:
                y[(*at, i)] += e[j] / sum(e.values()) * kept[(*at, i, j)] * v[(*at, j)]
    return y


def dropped(lead, rows, keys, p, seed):
    """0 or 1 / (1 - p): columns in stretches of 64, each stretch a run of 32-bit draws over all the rows."""
    if not p:
        return 1.0
    n = math.prod(lead) * rows
    stretches = -(-keys // 64)
    draws = words(np, seed, 0, stretches * n * 32).view(np.uint32).reshape(stretches, n, 64)
    table = draws.transpose(1, 0, 2).reshape(*lead, rows, stretches * 64)[..., :keys]
    return (table >= p * 2**32) / (1 - p)


def packed_attention(packed, bias, mask, **how):
    return attention(*packed, bias, mask, **how)


REFERENCES = {"attention": attention, "packed_attention": packed_attention}
