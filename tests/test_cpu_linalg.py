"""Matrix products shared among our threads, against NumPy's, for every layout that they walk without a copy."""

import numpy as np
import pytest

pytest.importorskip("numba")

import minigrad as mg
from minigrad.engine.kernels import anysize
from minigrad_kernels.cpu import linalg

RNG = np.random.default_rng(0)


def made(*shape, dtype=np.float32):
    return RNG.standard_normal(shape).astype(dtype)


PLAIN = [
    ((64, 96), (96, 48)), ((33, 17), (17, 130)), ((1, 200), (200, 70)), ((200, 1), (1, 70)), ((3, 300), (300, 1)),
    ((5, 31, 40), (5, 40, 23)), ((7, 20, 30), (30, 11)), ((20, 30), (3, 30, 40)), ((2, 3, 20, 30), (2, 3, 30, 5)),
    ((2, 1, 20, 30), (1, 3, 30, 5)), ((4, 3, 2, 9, 8), (4, 3, 2, 8, 7)),
]  # fmt: skip


@pytest.fixture(autouse=True)
def all_sizes(monkeypatch):
    """Share also products that are too small for it to pay."""
    for name in ("ALONE", "ALONE_VECTOR", "SHARED"):
        monkeypatch.setattr(linalg, name, 0)


def close(ours, theirs, dtype):
    assert ours is not NotImplemented
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype == dtype
    assert ours.flags.c_contiguous
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=np.abs(theirs).max() * 100 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shapes", PLAIN)
def test_products_of_any_mix_of_transposes(shapes, dtype):
    one, two = shapes
    for turn_a in (False, True):
        for turn_b in (False, True):
            a, b = made(*one, dtype=dtype), made(*two, dtype=dtype)
            a = np.ascontiguousarray(a.swapaxes(-1, -2)).swapaxes(-1, -2) if turn_a else a
            b = np.ascontiguousarray(b.swapaxes(-1, -2)).swapaxes(-1, -2) if turn_b else b
            y = linalg.matmul(a, b)
            close(y, np.matmul(a, b), dtype)
            np.testing.assert_array_equal(y, linalg.matmul(a, b))


VIEWS = [
    (made(12, 7, 4, 8).swapaxes(1, 2), made(12, 7, 4, 8).transpose(0, 2, 3, 1)),  # attention's heads
    (made(60, 90)[::2, ::3], made(30, 40)[:, ::-1]),
    (made(60, 90)[10:50, 20:60], made(90, 41)[5:85:2]),
    (made(90, 60).T[5:25, 30:70], made(50, 40).T),
    (np.broadcast_to(made(20), (30, 20)), made(20, 9)),
    (made(30, 30), None),  # a and its own transpose
]


@pytest.mark.parametrize("a, b", VIEWS)
def test_products_of_views(a, b):
    b = a.T if b is None else b
    close(linalg.matmul(a, b), np.matmul(a, b), np.float32)


def test_transposed_matrices_go_to_gemm_as_they_lie():
    x = made(50, 40)
    for view, turned, row in [(x, False, 40), (x.T, True, 40), (x[::2], False, 80), (x.T[3:9], True, 40)]:
        same, flag, length = linalg._matrix(view)
        assert (same is view, flag, length) == (True, turned, row)
    for view in (x[:, ::2], x[::-1], np.broadcast_to(x[0], x.shape)):
        assert linalg._matrix(view)[0].flags.owndata


def test_nan_and_infinity_pass_through():
    a, b = made(40, 50), made(50, 60)
    a[3, 4], b[5, 6] = np.nan, np.inf
    y = linalg.matmul(a, b)
    assert np.isnan(y[3]).all()
    assert np.isinf(y[:3, 6]).all()
    assert np.isfinite(np.delete(np.delete(y, 3, 0), 6, 1)).all()


def test_what_does_not_fit_is_declined():
    for a, b in [
        (made(4, 5), made(4, 5)), (made(4, 5), made(5, 6, dtype=np.float64)), (made(3, 4, 5), made(2, 5, 6)),
        (made(4, 5).astype(int), made(5, 6).astype(int)), (made(4, 5).astype(">f4"), made(5, 6).astype(">f4")),
        (made(2, 1, 3, 4, 5), made(1, 2, 3, 5, 4)), (made(0, 5), made(5, 6)), (made(4, 0), made(0, 6)),
    ]:  # fmt: skip
        assert linalg.matmul(a, b) is NotImplemented
    with anysize(), pytest.raises(ValueError, match="linear: expected bias"):
        mg.nn.functional.linear(mg.ones(3, 4), mg.ones(5, 4), mg.ones(4))
    with anysize(), pytest.raises(ValueError, match="linear: expected x"):
        mg.nn.functional.linear(mg.ones(3, 4), mg.ones(5, 3))


@pytest.mark.parametrize("shape", [(65, 33), (7, 9, 33), (33,)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_and_its_gradients(shape, bias):
    values = [made(*shape), made(47, 33), *([made(47)] * bias)]
    assert linalg.linear(*values) is not NotImplemented
    results = []
    for fast in (True, False):
        leaves = [mg.tensor(v, requires_grad=True) for v in values]
        with anysize() if fast else mg.reference_mode():
            y = mg.nn.functional.linear(*leaves)
            y.backward(mg.cos(mg.arange(y.numel(), dtype=y.dtype)).reshape(y.shape))
        results.append([y.detach().numpy(), *[leaf.grad.numpy() for leaf in leaves]])
    for ours, theirs in zip(*results, strict=True):
        close(ours, theirs, np.float32)


@pytest.mark.parametrize("shape", [(1, 5), (1001, 7), (3, 50, 129), (9,)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_bias_takes_the_sum_over_the_batch(shape, dtype):
    g = made(*shape, dtype=dtype)
    total = linalg.linear_bias(g)
    close(total, g.reshape(-1, shape[-1]).sum(axis=0), dtype)
    np.testing.assert_array_equal(total, linalg.linear_bias(g))


def test_small_products_stay_with_numpy(monkeypatch):
    monkeypatch.undo()
    assert linalg.matmul(made(64, 64), made(64, 64)) is NotImplemented
    assert linalg.matmul(made(8, 9, 10), made(8, 10, 11)) is NotImplemented
    assert linalg.matmul(made(80, 80), made(80, 80)).shape == (80, 80)
    assert linalg.matmul(made(200, 200), made(200, 1)).shape == (200, 1)
