"""The gradient of a convolution in its weights on the CPU against the readable text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

import minigrad as mg
from minigrad.ops.conv import conv_grad_w
from minigrad_kernels.cpu.conv_weights import conv_grad_w as kernel
from minigrad_kernels.cpu.simd import LANES


def draw(rng, x_shape, w_shape, stride, padding, dilation, groups):
    """gy and x as convolution leaves them (batch last in memory), and the settings."""
    lengths = zip(x_shape[2:], w_shape[2:], stride, padding, dilation, strict=True)
    out = [(n + a + b - d * (k - 1) - 1) // s + 1 for n, k, s, (a, b), d in lengths]
    make = lambda batch, *rest: np.moveaxis(rng.standard_normal((*rest, batch), np.float32), -1, 0)
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "w_shape": w_shape}
    return make(x_shape[0], w_shape[0], *out), make(*x_shape), how


def plain(gy, x, how):
    with mg.reference_mode():
        return conv_grad_w(gy, x, **how)


def check(gy, x, how):
    fast, slow = kernel(gy, x, **how), plain(gy, x, how)
    assert fast is not NotImplemented and fast.dtype == slow.dtype
    assert fast.shape == slow.shape and fast.flags.c_contiguous
    np.testing.assert_allclose(fast, slow, rtol=1e-5, atol=3e-6 * np.abs(slow).max(initial=0))


@st.composite
def sizes(draw):
    dims = draw(st.integers(1, 3))
    each = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(dims))
    kernel, stride, dilation = each(1, 4), each(1, 3), each(1, 3)
    padding = tuple(zip(each(0, 4), each(0, 4), strict=True))
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    lengths = [max(r - a - b, 1) + e for r, (a, b), e in zip(reach, padding, each(0, 20 // dims), strict=True)]
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels, filters = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    batch = draw(st.sampled_from([LANES, 2 * LANES, LANES + 1, 3 * LANES - 1, 1, 3]))
    x_shape, w_shape = (batch, channels * groups, *lengths), (filters * groups, channels, *kernel)
    return x_shape, w_shape, stride, padding, dilation, groups


@settings(max_examples=50, deadline=None)
@given(sizes())
def test_any_shape(sizes):
    gy, x, how = draw(np.random.default_rng(0), *sizes)
    if gy.shape[-1] * gy.shape[0] < LANES:  # less than a vector to an output row
        assert kernel(gy, x, **how) is NotImplemented
    else:
        check(gy, x, how)


ONE, NONE, UNIT = ((1, 1), (1, 1)), ((0, 0), (0, 0)), (1, 1)


@pytest.mark.parametrize("x_shape, w_shape, stride, padding", [
    ((16, 3, 40, 70), (10, 3, 3, 3), UNIT, ONE),  # rows longer than a block, no whole number of blocks
    ((13, 5, 9, 90), (7, 5, 3, 3), UNIT, NONE),  # and no whole number of vectors: x as it is
    ((32, 8, 16, 16), (16, 8, 3, 3), (2, 2), ONE), ((32, 8, 16, 16), (16, 8, 1, 1), (2, 2), NONE),
    ((8, 24, 64, 64), (8, 24, 3, 3), UNIT, ONE),  # more taps than stay in the second cache
])  # fmt: skip
def test_sizes_of_networks(x_shape, w_shape, stride, padding):
    check(*draw(np.random.default_rng(1), x_shape, w_shape, stride, padding, UNIT, 1))


def test_views_and_other_orders_of_memory():
    gy, x, how = draw(np.random.default_rng(2), (16, 3, 10, 12), (5, 3, 3, 3), UNIT, ONE, UNIT, 1)
    border = np.full((5, 14, 15, 16), np.nan, np.float32)
    border[:, 2:12, 1:13] = np.moveaxis(gy, 0, -1)
    inner = np.moveaxis(border[:, 2:12, 1:13], -1, 0)
    for g in (inner, np.ascontiguousarray(gy), np.asfortranarray(gy), np.broadcast_to(gy[:1], gy.shape)):
        check(g, x, how)
        check(g, np.ascontiguousarray(x), how)
        check(g[:, :, ::-1], x[:, :, :, ::-1], how)
        check(g[:, ::-1, ::-1], x[:, ::-1, ::-1], how)
    wide = np.moveaxis(np.random.default_rng(3).standard_normal((3, 20, 12, 16), np.float32), -1, 0)
    check(gy[:, :, :8, :10], wide[:, :, ::2], {**how, "padding": NONE})


@pytest.mark.parametrize("batch", [16, 5])
def test_nan_and_infinity_stay_where_they_are(batch):
    """Also where the last numbers of a row fill no whole vector, and what was read twice is left out."""
    gy, x, how = draw(np.random.default_rng(4), (batch, 3, 7, 7), (2, 3, 3, 3), UNIT, ONE, UNIT, 1)
    x[0, 0, 3, 3], x[batch - 1, 1, 0, 6] = np.inf, -np.inf
    gy[0, 1, 6, 6] = np.nan
    fast, slow = kernel(gy, x, **how), plain(gy, x, how)
    np.testing.assert_array_equal(np.isnan(fast), np.isnan(slow))
    np.testing.assert_array_equal(np.isinf(fast), np.isinf(slow))
    assert np.isinf(slow).any() and np.isnan(slow).any() and np.isfinite(slow).any()


def test_what_does_not_fit_is_declined():
    gy, x, how = draw(np.random.default_rng(5), (16, 4, 6, 6), (6, 4, 3, 3), UNIT, ONE, UNIT, 1)
    assert kernel(gy[:, :, 1:], x, **how) is NotImplemented
    assert kernel(gy[:4], x, **how) is NotImplemented
    assert kernel(gy, x[:, :3], **how) is NotImplemented
    assert kernel(gy[:0], x[:0], **how) is NotImplemented
    assert kernel(gy, x, **{**how, "groups": 2}) is NotImplemented
    assert kernel(gy.astype(int), x, **how) is NotImplemented


def test_the_same_every_time():
    gy, x, how = draw(np.random.default_rng(6), (16, 8, 32, 32), (12, 8, 3, 3), UNIT, ONE, UNIT, 1)
    assert len({kernel(gy, x, **how).tobytes() for _ in range(5)}) == 1
