"""Softmax and cross-entropy kernels against the readable text: odd widths, infinities, labels, weights."""

import numpy as np
import pytest

pytest.importorskip("numba")

import minigrad as mg
from minigrad.engine.kernels import anysize
from minigrad.nn import functional as F
from minigrad_kernels.cpu import softmax as kernels

rng = np.random.default_rng(0)
SHAPES = [(1, 1), (5, 3), (3, 8), (2, 17), (7, 65), (2, 3, 10), (1, 2050)]


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def both(f, x):
    """Output and gradient, with kernels and without."""
    for with_kernels in (True, False):
        leaf = mg.tensor(x, requires_grad=True)
        with anysize() if with_kernels else mg.reference_mode(), np.errstate(all="ignore"):
            y = f(leaf)
            y.backward(mg.tensor(np.cos(np.arange(y.size, dtype=np.float32)).reshape(y.shape)))
        yield y.detach().numpy(), leaf.grad.numpy()


@pytest.fixture
def taken(monkeypatch):
    """The kernels that took a job."""
    names = []

    def counted(name, function):
        def call(*args):
            names.append(name)
            return function(*args)

        return call

    for name in ("_softmax", "_slopes", "_losses"):
        monkeypatch.setattr(kernels, name, counted(name, getattr(kernels, name)))
    return names


def check(f, x):
    fast, plain = both(f, x)
    for a, b in zip(fast, plain, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("op", [mg.softmax, mg.log_softmax])
def test_rows_of_every_width(taken, op, shape):
    check(op, 10 * normal(*shape))
    assert taken == ["_softmax", "_slopes"]


@pytest.mark.parametrize("op", [mg.softmax, mg.log_softmax])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38])
def test_what_is_not_finite_comes_out_the_same(taken, op, value):
    x = normal(3, 20)
    x[1, 4], x[2] = value, -np.inf
    check(op, x)
    assert taken == ["_softmax", "_slopes"]


def test_other_axes_and_views_are_left_to_the_readable_text(taken):
    check(lambda x: mg.softmax(x, axis=0), normal(4, 5))
    check(lambda x: mg.softmax(x.T), normal(4, 5))
    check(lambda x: mg.log_softmax(x[:, ::2]), normal(4, 6))
    assert "_softmax" not in taken


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_cross_entropy(taken, reduction, smoothing, weighted, dtype):
    for n, c in [(1, 1), (5, 3), (33, 65), (9, 10)]:
        target = rng.integers(0, c, n).astype(dtype)
        ignored = 0 if n > 8 else -100
        weight = mg.tensor(np.abs(normal(c)) + 0.1) if weighted else None
        how = {"reduction": reduction, "label_smoothing": smoothing, "ignore_index": ignored}
        check(lambda x: F.cross_entropy(x, mg.tensor(target), weight, **how), 5 * normal(n, c))
    assert taken == ["_losses"] * 4


def test_infinite_scores_and_nan(taken):
    x, target = normal(4, 11), mg.tensor([1, 2, 3, 4])
    x[0, 5], x[1, 2], x[2, 7] = -np.inf, -np.inf, np.nan
    check(lambda x: F.cross_entropy(x, target, reduction="none"), x)
    assert taken == ["_losses"]


def test_wrong_labels_get_the_same_error_and_none_that_count_the_same_nan():
    x = mg.ones(3, 4)
    with anysize():
        for labels in ([0, 4, 1], [0, -1, 1]):
            with pytest.raises(ValueError, match=r"target\[1\] ="):
                F.cross_entropy(x, mg.tensor(labels))
        assert np.isnan(F.cross_entropy(x, mg.tensor([-100] * 3)).item())
