"""Rows added up by their numbers on the GPU: a radix sort and sums of runs, against NumPy's add.at."""

import numpy as np
import pytest
from cuda_cases import close, from_gpu, on_gpu, took, watched
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.ops.index import put_add


def added(x, shape, index):
    y = np.zeros(shape, np.float64)
    np.add.at(y, index, x.astype(np.float64))
    return y


@given(
    n=st.sampled_from([1, 31, 33, 257, 2049, 5000]),
    size=st.sampled_from([1, 3, 255, 256, 257, 70000]),
    width=st.sampled_from([1, 3, 40]),
    skewed=st.booleans(),
    kind=st.sampled_from(["int32", "int64"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_rows(stand_in_module, n, size, width, skewed, kind, seed):
    rng = np.random.default_rng(seed)
    index = rng.integers(-size, size, n).astype(kind)
    if skewed:
        index[rng.random(n) < 0.7] = size // 2
    x = rng.standard_normal((n, width)).astype(np.float32)
    with watched("put_add") as made:
        y = put_add(on_gpu(x), shape=(size, width), index=on_gpu(index))
    assert took(made)
    close(from_gpu(y), added(x, (size, width), index))


def test_the_same_bits_whatever_else_is_added(stand_in):
    rng = np.random.default_rng(0)
    x, index = rng.standard_normal((300, 4)).astype(np.float32), rng.integers(0, 7, 300)
    y = from_gpu(put_add(on_gpu(x), shape=(7, 4), index=on_gpu(index)))
    expected = np.zeros((7, 4), np.float32)
    for row in range(7):  # in the order of their places, in chunks of 32 sorted rows: close, and always the same
        expected[row] = x[index == row].sum(0, dtype=np.float64)
    close(y, expected)
    again = from_gpu(put_add(on_gpu(x), shape=(7, 4), index=on_gpu(index)))
    assert (y == again).all()


def test_an_axis_in_the_middle_and_several_arrays(stand_in):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    i, j = rng.integers(0, 6, (3, 4)), rng.integers(0, 7, (3, 1))
    every = slice(None)
    cases = [
        (x, (2, 6, 5), (every, i), (every, on_gpu(i))),
        (x[0], (6, 7, 5), (i, j), (on_gpu(i), on_gpu(j))),
        (x[0, :, :, 0], (6, 7), (i, j), (on_gpu(i), on_gpu(j))),
    ]
    for values, shape, here, there in cases:
        with watched("put_add") as made:
            y = put_add(on_gpu(values), shape=shape, index=there)
        assert took(made)
        close(from_gpu(y), added(values, shape, here))


def test_what_is_out_of_range_is_written_nowhere(stand_in):
    from minigrad_kernels.cuda.index import put_add as kernel

    y = kernel(on_gpu(np.ones((3, 2), np.float32)), shape=(2, 2), index=on_gpu(np.array([0, 5, -9])))
    assert from_gpu(y).tolist() == [[1.0, 1.0], [0.0, 0.0]]


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_precisions(stand_in, dtype):
    rng = np.random.default_rng(0)
    x, index = rng.standard_normal((100, 3)).astype(dtype), rng.integers(0, 9, 100)
    y = put_add(on_gpu(x), shape=(9, 3), index=on_gpu(index))
    assert y.dtype == dtype
    close(from_gpu(y), added(x, (9, 3), index), dtype)


def test_the_gradient_of_an_embedding(stand_in):
    table, words = np.random.default_rng(0).standard_normal((11, 6)).astype(np.float32), np.array([[1, 2, 1], [10, 1, 0]])

    def gradient(device):
        w = mg.tensor(table).to(device).requires_grad_()
        (mg.nn.functional.embedding(mg.tensor(words).to(device), w) ** 2).sum().backward()
        return w.grad.cpu().numpy()

    close(gradient("cuda"), gradient("cpu"))
