"""Normalisation's kernels against the readable text: layouts, what weight and bias span, accuracy, what is declined."""

import numpy as np
import pytest

pytest.importorskip("numba")

import minigrad as mg
from minigrad.engine.op import REGISTRY
from minigrad_kernels.cpu import norm

rng = np.random.default_rng(0)


def batch_last(*shape):
    """Random numbers of a shape (N, C, ...) whose memory is (C, ..., N)."""
    return np.moveaxis(rng.standard_normal((*shape[1:], shape[0]), np.float32), -1, 0)


def plain(*shape):
    return rng.standard_normal(shape, np.float32)


CASES = {  # x, shape of weight and bias, axes
    "batch norm": (batch_last(13, 6, 5, 7), (1, 6, 1, 1), (0, 2, 3)),
    "batch norm 1-D": (batch_last(32, 3, 50), (1, 3, 1), (0, 2)),
    "batch norm, one channel": (batch_last(4, 1, 9, 9), (1, 1, 1, 1), (0, 2, 3)),
    "layer norm": (plain(3, 5, 129), (129,), (2,)),
    "layer norm over two axes": (plain(70, 5, 6), (5, 6), (1, 2)),
    "layer norm of long rows": (plain(3, 5000), (5000,), (1,)),
    "layer norm of batch-last steps": (plain(4, 3, 64).transpose(1, 0, 2), (64,), (2,)),
    "instance norm": (plain(3, 4, 5, 6), (1, 4, 1, 1), (2, 3)),
    "without weight": (plain(3, 4, 40), None, (2,)),
    "everything": (plain(3, 40), (), (0, 1)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("given", ["both", "weight", "bias"])
def test_normalise(case, given):
    x, shape, axes = CASES[case]
    w = None if shape is None or given == "bias" else plain(*shape)
    b = None if shape is None or given == "weight" else plain(*shape)
    fast_moments, slow_moments = {}, {}
    fast, fast_saved = norm.normalise(x, w, b, axes=axes, eps=1e-5, moments=fast_moments)
    op = REGISTRY["normalise"]
    slow, slow_saved = op.forward(np, x, w, b, axes=axes, eps=1e-5, moments=slow_moments)
    same([fast, *fast_saved, *fast_moments.values()], [slow, *slow_saved, *slow_moments.values()])
    assert fast.strides == slow.strides and fast_moments.keys() == slow_moments.keys()
    g = np.empty_like(x)
    g[...] = rng.standard_normal(x.shape)
    needs = (True, w is not None, b is not None)
    same(norm.normalise_joint(g, needs, w, b, slow_saved, axes=axes), op.joint(g, needs, w, b, slow_saved, axes))
    assert norm.normalise_joint(g, (False,) * 3, w, b, slow_saved, axes=axes) == (None,) * 3


@pytest.mark.parametrize("case", [c for c in CASES if c != "everything"])
def test_rms_norm(case):
    x, shape, axes = CASES[case]
    w = None if shape is None else plain(*shape)
    op = REGISTRY["rms_norm"]
    fast, fast_saved = norm.rms_norm(x, w, axes=axes, eps=1e-3)
    slow, slow_saved = op.forward(np, x, w, axes=axes, eps=1e-3)
    same([fast, *fast_saved], [slow, *slow_saved])
    g, needs = np.empty_like(x), (True, w is not None)
    g[...] = rng.standard_normal(x.shape)
    same(norm.rms_norm_joint(g, needs, w, slow_saved, axes=axes), op.joint(g, needs, w, slow_saved, axes))


def same(fast, slow):
    assert fast is not NotImplemented
    for a, b in zip(fast, slow, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == np.float32 and a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=3e-6 * max(1, np.abs(b).max()))


def test_large_means_and_long_rows_keep_their_digits():
    x = (1000 + rng.standard_normal((2, 300_000))).astype(np.float32)
    moments = {}
    norm.normalise(x, axes=(1,), eps=1e-5, moments=moments)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(moments["mean"], exact.mean(1, keepdims=True), rtol=1e-7)
    np.testing.assert_allclose(moments["var"], exact.var(1, keepdims=True), rtol=2e-6)


def test_nan_stays_in_its_row():
    x = plain(3, 20)
    x[1, 4] = np.nan
    y, _ = norm.normalise(x, axes=(1,), eps=1e-5)
    assert np.isnan(y[1]).all() and np.isfinite(y[[0, 2]]).all()


def test_what_is_declined():
    x = plain(4, 6, 8)
    assert norm.normalise(x, axes=(0,)) is NotImplemented  # columns of memory
    assert norm.normalise(x, plain(1, 6, 1), axes=(1, 2)) is NotImplemented  # group norm's weight
    assert norm.normalise(x, plain(8), plain(6, 1), axes=(2,)) is NotImplemented  # two forms
    assert norm.normalise(x, plain(2, 1, 1, 1), axes=(2,)) is NotImplemented  # broadcasts x
    assert norm.normalise(x[:, ::2], axes=(2,)) is NotImplemented
    assert norm.normalise(x.astype(np.int64), axes=(2,)) is NotImplemented
    assert norm.normalise(x, np.ones(8), axes=(2,)) is NotImplemented
    assert norm.normalise(x[:0], axes=(2,)) is NotImplemented
    x = batch_last(4, 6, 5)
    _, saved = norm.normalise(x, axes=(0, 2))
    assert norm.normalise_joint(plain(4, 6, 5), (True,) * 3, None, None, saved, axes=(0, 2)) is NotImplemented


def test_layers_use_them():
    x = batch_last(16, 8, 16, 16)
    with mg.reference_mode():
        slow = mg.nn.BatchNorm2d(8)(mg.tensor(x)).detach().numpy()
    fast = mg.nn.BatchNorm2d(8)(mg.tensor(x)).detach().numpy()
    np.testing.assert_allclose(fast, slow, atol=1e-5)
