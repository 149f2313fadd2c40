"""Pooling on the CPU against the readable text, bit for bit: sums are taken in the same order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

import minigrad as mg
from minigrad.ops import pool as ops
from minigrad_kernels.cpu import pool as kernels
from minigrad_kernels.cpu.simd import LANES


def images(rng, batch, *rest, few=False):
    """Images as layers leave them, the batch last in memory; with `few` values many are equal."""
    x = rng.integers(-3, 3, (*rest, batch)).astype(np.float32) if few else None
    return np.moveaxis(rng.standard_normal((*rest, batch), np.float32) if x is None else x, -1, 0)


def same(name, x, **how):
    """The kernel's result, once it is seen to be the text's: values, dtype, order of memory."""
    fast = getattr(kernels, name)(x, **how)
    with np.errstate(invalid="ignore"):
        slow = getattr(ops, name).op.forward(np, x, **how)
    assert fast is not NotImplemented
    pairs = [(fast, slow)] if name != "max_pool" else [(fast[0], slow[0]), (fast[1][0], slow[1][0])]
    for a, b in pairs:
        assert a.dtype == b.dtype and np.moveaxis(a, 0, -1).flags.c_contiguous
        np.testing.assert_array_equal(a, b)
    return fast


@st.composite
def settings_of_pooling(draw):
    dims = draw(st.integers(1, 3))
    each = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(dims))
    kernel = each(1, 4)
    padding = tuple((draw(st.integers(0, k // 2)), draw(st.integers(0, k // 2))) for k in kernel)
    lengths = tuple(k + e for k, e in zip(kernel, each(0, 9), strict=True))
    batch = draw(st.sampled_from([LANES, 2 * LANES, LANES + 3, 3 * LANES - 1]))
    how = {"kernel": kernel, "stride": each(1, 5), "padding": padding, "ceil_mode": draw(st.booleans())}
    return (batch, draw(st.integers(1, 3)), *lengths), how


@settings(max_examples=40, deadline=None)
@given(settings_of_pooling(), st.booleans())
def test_any_setting(setting, few):
    shape, how = setting
    rng = np.random.default_rng(0)
    x = images(rng, *shape, few=few)
    maximum = {**how, "dilation": (1,) * len(how["kernel"])}
    y, (chosen,) = same("max_pool", x, **maximum)
    g = images(rng, *y.shape)
    same("window_put", g, chosen=chosen, x_shape=shape, **maximum)
    same("window_sum", x, **how)
    same("window_spread", g, x_shape=shape, **how)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(8, 15), st.booleans())
def test_dilated(kernel, stride, dilation, length, ceil_mode):
    pad = ((kernel // 2, kernel // 2), (0, 0))
    how = {"kernel": (kernel, 2), "stride": (stride, 1), "padding": pad, "dilation": (dilation, 3)}
    x = images(np.random.default_rng(0), LANES, 2, length, 6)
    y, (chosen,) = same("max_pool", x, ceil_mode=ceil_mode, **how)
    same("window_put", y, chosen=chosen, x_shape=x.shape, ceil_mode=ceil_mode, **how)


TWO = {"kernel": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "ceil_mode": False}
TWO_OF_EACH = {**TWO, "dilation": (1, 1)}


@pytest.mark.parametrize("how", [TWO, {**TWO, "kernel": (3, 3), "padding": ((1, 1), (1, 1))}])
def test_nan_infinity_and_equals(how):
    rng = np.random.default_rng(1)
    x = images(rng, LANES + 1, 3, 8, 8, few=True).copy()
    x[rng.random(x.shape) < 0.2] = np.nan
    x[rng.random(x.shape) < 0.2] = -np.inf
    x[0], x[:, 1, :4] = -np.inf, np.nan
    how = {**how, "dilation": (1, 1)}
    y, (chosen,) = same("max_pool", x, **how)
    same("window_put", y, chosen=chosen, x_shape=x.shape, **how)
    del how["dilation"]
    same("window_sum", x, **how)
    same("window_spread", y, x_shape=x.shape, **how)


def test_views_and_other_orders_of_memory():
    rng = np.random.default_rng(2)
    x = images(rng, 16, 3, 10, 14)
    for view in (x[:, :, 1:-1, 2:-2], np.ascontiguousarray(x), x[:, ::-1], x[::-1], np.asfortranarray(x)):
        y, (chosen,) = same("max_pool", view, **TWO_OF_EACH)
        for g in (y, images(rng, *y.shape[:2], 9, 9)[:, :, 1 : y.shape[2] + 1, 2 : y.shape[3] + 2], y[:1] * 1):
            g = np.broadcast_to(g, y.shape)
            for order in (chosen, np.ascontiguousarray(chosen)):
                same("window_put", g, chosen=order, x_shape=view.shape, **TWO_OF_EACH)
            same("window_spread", g, x_shape=view.shape, **TWO)
        same("window_sum", view, **TWO)


def test_what_is_declined():
    x = images(np.random.default_rng(3), LANES, 2, 6, 6)
    y, (chosen,) = kernels.max_pool(x, **TWO_OF_EACH)
    alone = {**TWO_OF_EACH, "kernel": (3, 1), "padding": ((1, 1), (0, 0)), "dilation": (7, 1)}
    declined = [
        kernels.max_pool(x[: LANES - 1], **TWO_OF_EACH), kernels.max_pool(x[:, :0], **TWO_OF_EACH),
        kernels.max_pool(x, **{**TWO_OF_EACH, "kernel": (16, 16), "padding": ((8, 8), (8, 8))}),
        kernels.max_pool(x.astype(int), **TWO_OF_EACH), kernels.max_pool(x[:, :, :2], **alone),
        kernels.window_put(y[:, :, 1:], chosen=chosen, x_shape=x.shape, **TWO_OF_EACH),
        kernels.window_put(y, chosen=chosen[:, :, 1:], x_shape=x.shape, **TWO_OF_EACH),
        kernels.window_put(y, chosen=chosen.astype(np.int32), x_shape=x.shape, **TWO_OF_EACH),
        kernels.window_spread(y[:, :1], x_shape=x.shape, **TWO),
        kernels.window_sum(x, **{**TWO, "kernel": (7, 2)}),
    ]  # fmt: skip
    assert all(result is NotImplemented for result in declined)


def test_layers_take_the_kernels(monkeypatch):
    taken = []
    for name in ("_maxima", "_puts", "_sums"):
        run = getattr(kernels, name)
        monkeypatch.setattr(kernels, name, lambda *args, name=name, run=run: (taken.append(name), run(*args)))
    x = mg.tensor(np.random.default_rng(4).random((32, 8, 24, 24), np.float32), requires_grad=True)
    f = mg.nn.functional
    mg.sum(f.max_pool2d(x, 2)).backward()
    mg.sum(f.avg_pool2d(x, 2)).backward()
    mg.sum(f.adaptive_avg_pool2d(x, 1)).backward()
    assert taken == ["_maxima", "_puts", *["_sums"] * 4]
