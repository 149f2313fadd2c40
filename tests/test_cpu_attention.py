"""Blocked attention on the CPU against the readable text: masks, causality, blocks, heads as views."""

import numpy as np
import pytest

pytest.importorskip("numba")

import minigrad as mg
from minigrad.engine.kernels import anysize
from minigrad.ops.attention import attention
from minigrad.ops.packed_attention import packed_attention
from minigrad_kernels.cpu import attention as kernels

rng = np.random.default_rng(0)


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def both(f, *arrays):
    """Output and gradients, with kernels and without."""
    for with_kernels in (True, False):
        xs = [mg.tensor(a, requires_grad=True) for a in arrays]
        with anysize() if with_kernels else mg.reference_mode():
            y = f(*xs)
            weight = np.sin(np.arange(y.size, dtype=np.float32)).reshape(y.shape)
            y.backward(mg.tensor(weight))
        yield [y.detach().numpy(), *[x.grad.numpy() for x in xs]]


@pytest.fixture
def taken(monkeypatch):
    """How often each kernel took the job."""
    count = {"_forward": 0, "_backward": 0}

    def counted(name, function):
        def call(*args):
            count[name] += 1
            return function(*args)

        return call

    for name in count:
        monkeypatch.setattr(kernels, name, counted(name, getattr(kernels, name)))
    return count


def check(taken, f, *arrays, tolerance=1e-5):
    fast, plain = both(f, *arrays)
    assert taken == {"_forward": 1, "_backward": 1}
    for a, b in zip(fast, plain, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, np.abs(b).max()))


SHAPES = [  # lead, queries, keys, width, value width
    ((), 1, 1, 1, 1), ((2,), 3, 5, 4, 7), ((2, 3), 17, 9, 32, 32), ((1,), 130, 260, 8, 8),
    ((2,), 128, 128, 32, 32), ((3,), 257, 129, 20, 12), ((2, 1, 2), 5, 300, 3, 2),
]  # fmt: skip


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(taken, shape, causal):
    lead, queries, keys, width, deep = shape
    f = lambda q, k, v: attention(q, k, v, causal=causal)
    check(taken, f, normal(*lead, queries, width), normal(*lead, keys, width), normal(*lead, keys, deep))


@pytest.mark.parametrize("bias_shape", [(), (150,), (140, 1), (140, 150), (2, 1, 1, 150), (2, 3, 140, 150)])
@pytest.mark.parametrize("mask_shape", [None, (150,), (140, 150), (2, 1, 140, 1), (2, 1, 1, 150)])
def test_bias_and_mask(taken, bias_shape, mask_shape):
    bias = normal(*bias_shape)
    mask = None if mask_shape is None else rng.random(mask_shape) < 0.6
    q, k, v = normal(2, 3, 140, 6), normal(2, 3, 150, 6), normal(2, 3, 150, 5)
    check(taken, lambda q, k, v: attention(q, k, v, bias, mask, scale=0.3), q, k, v)


@pytest.mark.parametrize("first", ["batch", "time"])
def test_heads_of_one_projection_are_read_and_written_without_copies(taken, first):
    n, t, h, d = 2, 33, 4, 8
    order = (2, 0, 3, 1, 4) if first == "batch" else (2, 1, 3, 0, 4)
    packed = normal(*((n, t) if first == "batch" else (t, n)), 3, h, d)
    seen = []

    def f(x):
        q, k, v = x.transpose(*order)
        seen.append(attention(q, k, v))
        return seen[-1]

    check(taken, f, packed)
    y = seen[0]._data
    assert y.transpose((0, 2, 1, 3) if first == "batch" else (2, 0, 1, 3)).flags.c_contiguous


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("first", ["batch", "time"])
def test_packed(taken, first, causal):
    n, t, h, d = 2, 133, 2, 12
    bias = normal(1, t)
    order = (2, 0, 3, 1, 4) if first == "batch" else (2, 1, 3, 0, 4)
    x = normal(*((n, t) if first == "batch" else (t, n)), 3, h, d)
    check(taken, lambda x: packed_attention(x.transpose(*order), bias, causal=causal), x)
    taken.update(_forward=0, _backward=0)
    check(taken, lambda x: packed_attention(x), normal(3, 4, 9, 5))


def test_rows_without_keys_are_zero(taken):
    mask = np.ones((40, 30), bool)
    mask[[3, 39]] = False
    x = [normal(2, n, 4) for n in (40, 30, 30)]
    check(taken, lambda q, k, v: attention(q, k, v, None, mask), *x)
    y = attention(*[mg.tensor(a) for a in x], None, mask)
    assert (y.numpy()[:, 3] == 0).all()


def test_large_scores_do_not_overflow_and_nan_stays(taken):
    q, k, v = np.round(200 * normal(2, 200, 16)), np.round(2 * normal(2, 200, 16)), normal(2, 200, 4)
    check(taken, attention, q, k, v, tolerance=1e-4)  # a logarithm of 1,000 is known to 6e-5
    q[0, 3, 2] = np.nan
    fast, plain = both(attention, q, k, v)
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))


def test_each_half_works_with_the_readable_other(taken):
    arrays = [normal(2, 50, 6) for _ in range(3)]
    plain = list(both(attention, *arrays))[1]
    for forward, backward in [(anysize, mg.reference_mode), (mg.reference_mode, anysize)]:
        xs = [mg.tensor(a, requires_grad=True) for a in arrays]
        with forward():
            y = attention(*xs, block_size=16)
        with backward():
            y.backward(mg.tensor(np.sin(np.arange(y.size, dtype=np.float32)).reshape(y.shape)))
        for x, b in zip(xs, plain[1:], strict=True):
            np.testing.assert_allclose(x.grad.numpy(), b, rtol=1e-5, atol=1e-5)
    assert taken == {"_forward": 2, "_backward": 2}


@pytest.mark.parametrize("stride", [0, -1])
def test_views_that_are_no_rows_are_copied(taken, stride):
    q, k = normal(2, 20, 6), normal(2, 6, 20)
    f = lambda q, k: attention(q[:, ::-1] if stride else mg.broadcast_to(q[:, :1], (2, 20, 6)), k.mT, k.mT)
    check(taken, f, q, k)


def test_a_bias_with_a_gradient_and_dropout_are_left_to_the_readable_text(taken):
    x = [normal(2, 9, 4) for _ in range(3)]
    fast, plain = both(lambda q, k, v, b: attention(q, k, v, b), *x, normal(9, 9))
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    list(both(lambda q, k, v: attention(q, k, v, dropout_p=0.5, seed=(1, 2)), *x))
    assert taken == {"_forward": 1, "_backward": 0}


def test_wrong_shapes_get_the_same_errors():
    for shapes in [((2, 3), (2, 4), (2, 3)), ((2, 3), (2, 3), (4, 3))]:
        with pytest.raises(ValueError, match="attention: expected"), anysize():
            attention(*[mg.ones(s) for s in shapes])
