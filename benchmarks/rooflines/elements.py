"""Kernels that work number by number: activations, random numbers, optimisers, checks, embedding."""

from __future__ import annotations

from functools import partial

import numpy as np

from minigrad_kernels.cuda import find

from .base import Array, Job, Row, Traffic, calling, library, memory, numbers


def each(arrays: int, flop: int, item: int, n: int) -> Traffic:
    """`arrays` of n numbers are read or written, `flop` operations made for each."""
    return Traffic(arrays * item * n, flop * n)


def elementwise(name: str, inputs: int, dtype: str, n: int) -> Job:
    more = {  # what a backward kernel takes behind its arrays
        "leaky_relu.x": (0.01,), "elu.x": (1.0,), "softplus.x": (1.0, 20.0),
    }.get(name, ())  # fmt: skip
    return calling(name, *[numbers(dtype, n) for _ in range(inputs)], *more)


LONG, SHORT = {"n": 1 << 26}, {"n": 1000}
ACTIVATIONS = {
    "relu": 1,
    "tanh": 1,
    "sigmoid": 3,
    "gelu_erf": 4,
    "silu": 4,
    "leaky_relu": 1,
    "elu": 2,
    "softplus": 3,
}


def activation_rows() -> list[Row]:
    """Each activation forward (reads x, writes y) and backward (reads two arrays, writes one)."""
    rows = []
    for name, flop in ACTIVATIONS.items():
        for way, inputs in (("", 1), (".x", 2)):
            traffic = partial(each, inputs + 1, flop + (way != ""))
            make = partial(elementwise, name + way, inputs)
            what = name + (" backward" if way else "")
            rows.append(Row((name + way,), what, "memory", "float32", LONG, SHORT, traffic, make))
    return rows


def words(item: int, n: int) -> Traffic:
    """Random words of 8 bytes, written only; of the generator's whole numbers none is counted."""
    return Traffic(8 * n, 0)


def place() -> np.ndarray:
    return np.array([1, 2, 0], np.uint64)


def make_words(dtype: str, n: int) -> Job:
    y = library().empty(n, np.uint64)
    return Job(lambda: find("random_words")(y, place=place()), ())


def make_uniform(dtype: str, n: int) -> Job:
    y = library().empty(n, dtype)
    return Job(lambda: find("random_uniform")(y, place=place()), ())


def make_dropout(dtype: str, n: int) -> Job:
    """Reads x; writes y and the mask."""
    from minigrad.engine.random import Generator

    return calling("dropout", numbers(dtype, n), p=0.5, generator=Generator(0))


def checked(item: int, n: int) -> Traffic:
    """Labels of 8 bytes, read and compared twice."""
    return Traffic(8 * n, 0)


def make_check(dtype: str, n: int) -> Job:
    lib = library()
    labels, found = lib.zeros(n, np.int64), lib.zeros(1, np.uint64)
    return Job(lambda: find("check_range")(labels, found, 0, 0, 9), (labels,))


def updated(arrays: int, flop: int, item: int, parameters: int, n: int) -> Traffic:
    """An optimiser's passes over `parameters` arrays of n numbers."""
    return Traffic(arrays * item * parameters * n, flop * parameters * n)


def make_update(
    name: str, written: tuple[int, ...], settings: tuple, dtype: str, parameters: int, n: int
) -> Job:
    """Adam reads p, g, m, v and writes p, m, v; momentum reads p, g, v and writes p, v."""
    width = 4 if name == "adam" else 3
    arrays = tuple(abs(numbers(dtype, n)) for _ in range(parameters * width))
    given = np.array([*settings, *(1e-3, 1e-8) * parameters], np.float32)

    def run() -> list[Array]:
        assert find(name)(*arrays, numbers=given) is not NotImplemented
        return [a for i, a in enumerate(arrays) if i % width in written]

    return Job(run, arrays)


def embedded(item: int, tokens: int, vocabulary: int, width: int) -> Traffic:
    """A row of gradients and its place (8 bytes) for each token read; the table written."""
    return Traffic(item * (tokens + vocabulary) * width + 8 * tokens, tokens * width)


def make_put_add(dtype: str, tokens: int, vocabulary: int, width: int) -> Job:
    index = library().arange(tokens) * 7919 % vocabulary
    g = numbers(dtype, tokens, width)
    return Job(lambda: find("put_add")(g, shape=(vocabulary, width), index=index), (g, index))


PARAMETERS, FEW_PARAMETERS = {"parameters": 16, "n": 1 << 22}, {"parameters": 2, "n": 70}
TOKENS = {"tokens": 1 << 18, "vocabulary": 50_000, "width": 256}
FEW_TOKENS = {"tokens": 20, "vocabulary": 7, "width": 5}
ADAM, SGD = (1.0, 0.0, 0.9, 0.1, 0.999, 0.001, 1.0, 0.0), (1e-3, 0.9, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)


def other_rows() -> list[Row]:
    """What works number by number and is no activation."""
    parameters = PARAMETERS, FEW_PARAMETERS
    adam = partial(updated, 7, 12), partial(make_update, "adam", (0, 2, 3), ADAM)
    sgd = partial(updated, 5, 4), partial(make_update, "sgd", (0, 2), SGD)
    return [
        memory("adam", "Adam, 16 parameters", *parameters, *adam),
        memory("sgd", "SGD with momentum, 16 parameters", *parameters, *sgd),
        memory("erf", "error function", LONG, SHORT, partial(each, 2, 1), partial(elementwise, "erf", 1)),
        memory("erfc", "1 - erf", LONG, SHORT, partial(each, 2, 1), partial(elementwise, "erfc", 1)),
        memory("random_words", "random words", LONG, SHORT, words, make_words),
        memory("random_uniform", "uniform numbers", LONG, SHORT, partial(each, 1, 0), make_uniform),
        memory("dropout", "dropout", LONG, SHORT, partial(each, 3, 2), make_dropout),
        memory("check_range", "labels checked", LONG, SHORT, checked, make_check),
        memory("put_add", "embedding backward", TOKENS, FEW_TOKENS, embedded, make_put_add),
    ]
