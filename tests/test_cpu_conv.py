"""Convolution's CPU kernels against the readable text: any sizes, strides, dilations, groups and layouts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

import minigrad as mg
from minigrad.ops import conv as ops
from minigrad_kernels.cpu import conv as kernels

RNG = np.random.default_rng(0)
QUICK = settings(max_examples=50, deadline=None, derandomize=True)


def normal(*shape, layout="last"):
    """Numbers of that shape: batch last in memory, batch first, or every second of a larger array."""
    if layout == "gaps":
        return RNG.standard_normal((shape[0], 2 * shape[1], *shape[2:]), dtype=np.float32)[:, ::2]
    x = RNG.standard_normal(shape, dtype=np.float32)
    return x if layout == "first" else np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0)


def same(fast, plain):
    assert fast is not NotImplemented
    assert fast.shape == plain.shape and fast.dtype == plain.dtype
    assert np.moveaxis(fast, 0, -1).flags.c_contiguous  # batch last, as the next layer wants it
    np.testing.assert_allclose(fast, plain, rtol=0, atol=1e-5 * max(1e-30, np.abs(plain).max()))


def both_kernels(x_shape, w_shape, bias, layout="last", **how):
    """Forward and gradient in x by the kernels and by the text."""
    x, w, b = normal(*x_shape, layout=layout), normal(*w_shape, layout="first"), normal(w_shape[0], layout="first") if bias else None
    with mg.reference_mode():
        y = ops.conv(x, w, b, **how)
    same(kernels.conv(x, w, b, **how), y)
    g = normal(*y.shape, layout=layout)
    with mg.reference_mode():
        gx = ops.conv_grad_x(g, w, x_shape=x_shape, **how)
    same(kernels.conv_grad_x(g, w, x_shape=x_shape, **how), gx)


@st.composite
def convolutions(draw):
    dims = draw(st.sampled_from([1, 2, 2, 3]))
    each = lambda least, most: tuple(draw(st.integers(least, most)) for _ in range(dims))
    kernel, stride, dilation, groups = each(1, 3), each(1, 3), each(1, 2), draw(st.sampled_from([1, 1, 2, 3]))
    padding = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(dims))
    least = [max(1, d * (k - 1) + 1 - sum(p)) for d, k, p in zip(dilation, kernel, padding, strict=True)]
    lengths = tuple(draw(st.integers(n, n + 12 // dims)) for n in least)
    ins, outs = draw(st.sampled_from([1, 2, 3, 5])), draw(st.sampled_from([*range(1, 8), 13]))
    batch = draw(st.sampled_from([*([1, 2, 3] if stride[-1] == 1 else []), 4, 7, 8, 12, 16, 17, 32, 64]))
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (batch, ins * groups, *lengths), (outs * groups, ins, *kernel), draw(st.booleans()), draw(st.sampled_from(["last", "first", "gaps"])), how


@given(convolutions())
@QUICK
def test_any_convolution(c):
    x_shape, w_shape, bias, layout, how = c
    both_kernels(x_shape, w_shape, bias, layout, **how)


SIZES = [  # x, w, stride, padding: layers of the benchmarks' kind, with several blocks of channels and odd sizes
    ((16, 64, 12, 12), (64, 64, 3, 3), 1, 1),
    ((32, 70, 8, 8), (33, 70, 3, 3), 2, 1),
    ((5, 130, 9, 7), (20, 130, 3, 3), 1, 1),
    ((32, 16, 16, 16), (32, 16, 1, 1), 2, 0),
    ((64, 6, 14, 14), (16, 6, 5, 5), 1, 0),
    ((32, 1, 100), (32, 1, 7), 1, 3),
    ((1, 300, 20), (7, 300, 2), 1, 1),
    ((100, 3, 9, 9), (5, 3, 3, 3), 2, 1),
    ((130, 3, 40), (5, 3, 3), 1, 1),
]


@pytest.mark.parametrize(("x", "w", "stride", "pad"), SIZES)
def test_larger_layers(x, w, stride, pad):
    dims = len(x) - 2
    both_kernels(x, w, True, stride=(stride,) * dims, padding=((pad, pad),) * dims, dilation=(1,) * dims, groups=1)


def test_nan_and_infinity_stay_where_they_fall():
    x = np.zeros((16, 1, 5), np.float32)
    x[0, 0, 1], x[1, 0, 3] = np.nan, np.inf
    y = kernels.conv(x, np.ones((1, 1, 3), np.float32), stride=(1,), padding=((1, 1),), dilation=(1,), groups=1)
    assert np.isnan(y[0, 0]).tolist() == [True, True, True, False, False]
    assert np.isinf(y[1, 0]).tolist() == [False, False, True, True, True] and not y[2:].any()


HOW = {"stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}


@pytest.mark.parametrize(
    ("x", "w", "bias"),
    [((2, 3, 8), (4, 2, 3), None), ((2, 3, 2), (4, 3, 3), None), ((0, 3, 8), (4, 3, 3), None), ((2, 3, 8), (4, 3, 3), (3,)), ((2, 3, 8), (4, 3, 3), (4, 1))],
)
def test_what_does_not_fit_is_left_to_the_text(x, w, bias):
    assert kernels.conv(normal(*x), normal(*w), bias and normal(*bias), **HOW) is NotImplemented


def test_a_stride_over_few_images_is_left_to_the_text():
    assert kernels.conv(normal(3, 3, 8), normal(4, 3, 3), **{**HOW, "stride": (2,)}) is NotImplemented


def test_gradients_that_do_not_fit_are_left_to_the_text():
    g, w = normal(2, 4, 6), normal(4, 3, 3)
    assert kernels.conv_grad_x(g, w, x_shape=(2, 3, 8), **HOW).shape == (2, 3, 8)
    for shape in [(2, 3, 9), (1, 3, 8), (2, 4, 8)]:
        assert kernels.conv_grad_x(g, w, x_shape=shape, **HOW) is NotImplemented
    assert kernels.conv_grad_x(g, w.astype(np.float64), x_shape=(2, 3, 8), **HOW) is NotImplemented
