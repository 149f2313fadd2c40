"""Attention and recurrent layers."""

from __future__ import annotations

import math
from functools import partial

from minigrad_kernels.cuda import find

from .base import Job, Row, Traffic, calling, numbers, products

HEADS = {"batch": 4, "heads": 16, "length": 4096, "width": 64}
ATTENTION = {"scale": None, "causal": False, "dropout_p": 0.0, "seed": None, "block_size": None}


def attended(item: int, batch: int, heads: int, length: int, width: int) -> Traffic:
    """q, k, v read, y written, with a float32 for each query; two products of length x length x width."""
    rows = batch * heads * length
    return Traffic(4 * item * rows * width + 4 * rows, 2 * 2 * rows * length * width)


def attended_back(item: int, batch: int, heads: int, length: int, width: int) -> Traffic:
    """g, y, q, k, v read, three gradients written; five products (the scores are made again)."""
    rows = batch * heads * length
    return Traffic(8 * item * rows * width + 4 * rows, 5 * 2 * rows * length * width)


def make_attention(
    back: bool, packed: bool, dtype: str, batch: int, heads: int, length: int, width: int
) -> Job:
    shape, name = (batch, heads, length, width), "packed_attention" if packed else "attention"
    given = [numbers(dtype, 3, *shape)] if packed else [numbers(dtype, *shape) for _ in range(3)]
    if not back:
        return calling(name, *given, **ATTENTION)
    y, saved = find(name)(*given, **ATTENTION)
    g, needs, kernel = numbers(dtype, *shape), (True,) * len(given) + (False,), find(f"{name}.joint")
    return Job(lambda: kernel(g, needs, y, *given, None, None, saved, **ATTENTION), (g, y, *given, saved))


GATES = {"lstm_sequence": 4, "gru_sequence": 3, "rnn_sequence": 1}
KEPT = {"lstm_sequence": 6, "gru_sequence": 4, "rnn_sequence": 0}  # numbers of each h that backward needs too
STEPS = {"steps": 256, "batch": 128, "width": 256}


def walked(name: str, back: bool, item: int, steps: int, batch: int, width: int) -> Traffic:
    """Forward x, weights and states read, h and what backward needs written; products with x and with h.

    Backward g, x, h, weights and what was kept read, gradients written; each product has two gradients. The
    weights count once, though a step cannot begin before the last one is done: a card that does not keep
    them on its multiprocessors reads them at every step.
    """
    rows, weights = steps * batch * width, 2 * GATES[name] * (width * width + width)
    moved = (weights + (2 + KEPT[name]) * rows, 2 * weights + (4 + KEPT[name]) * rows)[back]
    return Traffic(item * moved, (2 if back else 1) * 2 * 2 * rows * GATES[name] * width)


def make_walk(name: str, back: bool, dtype: str, steps: int, batch: int, width: int) -> Job:
    gates, near = GATES[name] * width, 1.0 / math.sqrt(width)
    states = [numbers(dtype, batch, width) for _ in range(1 + (name == "lstm_sequence"))]
    weights = [numbers(dtype, gates, width) * near for _ in range(2)]
    x, biases = numbers(dtype, steps * batch, width), [numbers(dtype, gates) for _ in range(2)]
    sizes = (batch,) * steps
    if not back:
        return calling(name, x, *states, *weights, *biases, sizes=sizes)
    y, saved = find(name)(x, *states, *weights, *biases, sizes=sizes)
    g, needs = numbers(dtype, *y.shape), (True,) * (5 + len(states)) + (False,) * (name == "lstm_sequence")
    given = (x, *states, *weights) + ((None,) if name == "lstm_sequence" else ())
    head, how = ((y,), {"nonlinearity": "tanh"}) if name == "rnn_sequence" else ((), {})
    run = lambda: find(f"{name}.joint")(g, needs, *head, *given, saved, sizes=sizes, reverse=False, **how)
    return Job(run, (g, *[a for a in given if a is not None]))


FEW_HEADS, FEW_STEPS = (
    {"batch": 1, "heads": 2, "length": 37, "width": 8},
    {"steps": 2, "batch": 3, "width": 5},
)


def attention_rows() -> list[Row]:
    """Attention at 4,096 keys, forward and backward; packed attention is the same kernel over views."""
    rows = []
    for packed in (False, True):
        for back in (False, True):
            name = "packed_attention" if packed else "attention"
            what = name.replace("_", " ") + " backward" * back
            given = attended_back if back else attended, partial(make_attention, back, packed)
            for dtype in ("bfloat16",) if packed else ("bfloat16", "float32"):
                rows.append(products(name + ".joint" * back, what, dtype, HEADS, FEW_HEADS, *given))
    return rows


def recurrent_rows() -> list[Row]:
    """LSTM, GRU and RNN: a chain of small products, each waiting for the last."""
    rows = []
    for name in GATES:
        for back in (False, True):
            what = name.split("_")[0].upper() + " backward" * back
            given = STEPS, FEW_STEPS, partial(walked, name, back), partial(make_walk, name, back)
            rows.append(Row((name + ".joint" * back,), what, "latency", "float32", *given))
    return rows
