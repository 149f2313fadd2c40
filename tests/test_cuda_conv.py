"""Convolution on the GPU against the readable text: three directions, any sizes, strides, dilations, groups, borders."""

import numpy as np
import pytest
from cuda_cases import close, from_gpu, on_gpu, took, watched
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.engine.backend import as_dtype
from minigrad.ops import conv as ops
from minigrad.ops import fold
from minigrad_kernels.cuda import columns, source
from minigrad_kernels.cuda import conv as kernels
from minigrad_kernels.cuda import launch as launcher
from minigrad_kernels.cuda.linalg import matmul

QUICK = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(autouse=True)
def one_tile(monkeypatch):
    """The tile of all sizes is the smallest, where a test does not choose another: each is compiled on its own."""
    choice = kernels._choice
    monkeypatch.setattr(kernels, "_choice", lambda *sizes: (kernels.SCALAR, choice(*sizes)[1]))


def numbers(seed, shape, dtype="float32", layout="last"):
    """Numbers of that dtype: batch last in memory, batch first, or every second channel of a larger array."""
    rng = np.random.default_rng(seed)
    if layout == "gaps":
        return rng.standard_normal((shape[0], 2 * shape[1], *shape[2:])).astype(as_dtype(dtype))[:, ::2]
    x = rng.standard_normal(shape).astype(as_dtype(dtype))
    return x if layout == "first" else np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0)


def sent(x):
    """The array on the GPU, with its own strides."""
    moved = on_gpu(np.moveaxis(x, 0, -1))
    return moved.transpose(-1, *range(x.ndim - 1))


def same(fast, plain, dtype, batch_last=True):
    assert fast is not NotImplemented
    assert fast.shape == plain.shape and str(fast.dtype) == dtype
    memory = fast.transpose(*range(1, fast.ndim), 0) if batch_last else fast
    assert memory.flags.c_contiguous  # as the next layer wants it
    close(from_gpu(fast), plain, dtype)


def check(x, w, bias, how, dtype="float32"):
    """Forward and both gradients, by the kernels and (in float32) by the text."""
    wide = [None if a is None else a.astype(np.float32) for a in (x, w, bias)]
    with mg.reference_mode():
        y = ops.conv(*wide, **how)
        g = numbers(9, y.shape, dtype)
        gx = ops.conv_grad_x(g.astype(np.float32), wide[1], x_shape=x.shape, **how)
        gw = ops.conv_grad_w(g.astype(np.float32), wide[0], w_shape=w.shape, **how)
    x, w, bias, g = sent(x), on_gpu(w), None if bias is None else on_gpu(bias), sent(g)
    same(kernels.conv(x, w, bias, **how), y, dtype)
    same(kernels.conv_grad_x(g, w, x_shape=x.shape, **how), gx, dtype)
    same(kernels.conv_grad_w(g, x, w_shape=w.shape, **how), gw, dtype, batch_last=False)


def check_sizes(x_shape, w_shape, how, dtype="float32", layout="last"):
    check(numbers(0, x_shape, dtype, layout), numbers(1, w_shape, dtype, "first"), numbers(2, w_shape[:1], dtype, "first"), how, dtype)


def settings_of(dims, stride=1, padding=0, dilation=1, groups=1):
    pairs = ((padding, padding),) * dims if isinstance(padding, int) else padding
    return {"stride": (stride,) * dims, "padding": pairs, "dilation": (dilation,) * dims, "groups": groups}


@st.composite
def convolutions(draw):
    dims = draw(st.sampled_from([1, 2, 2, 3]))
    each = lambda least, most: tuple(draw(st.integers(least, most)) for _ in range(dims))
    kernel, stride, dilation, groups = each(1, 3), each(1, 4), each(1, 3), draw(st.sampled_from([1, 1, 2, 3]))
    padding = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(dims))
    least = [max(1, d * (k - 1) + 1 - sum(p)) for d, k, p in zip(dilation, kernel, padding, strict=True)]
    lengths = tuple(draw(st.integers(n, n + 9 // dims)) for n in least)
    ins, outs, batch = draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([1, 2, 5])), draw(st.sampled_from([1, 3, 4, 8, 33]))
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (batch, ins * groups, *lengths), (outs * groups, ins, *kernel), how, draw(st.sampled_from(["last", "first", "gaps"]))


@given(convolutions())
@QUICK
def test_any_convolution(stand_in, c):
    x_shape, w_shape, how, layout = c
    check_sizes(x_shape, w_shape, how, layout=layout)


LAYERS = [  # x, w, settings: several tiles of filters, of columns, of the depth; every tile of the table
    ((8, 5, 6, 7), (130, 5, 3, 3), settings_of(2, padding=1)),
    ((33, 20, 9), (70, 10, 3), settings_of(1, 2, ((1, 2),), groups=2)),
    ((4, 6, 5, 4, 6), (8, 3, 2, 3, 2), settings_of(3, padding=1, groups=2)),
    ((1, 33, 33), (33, 33, 1), settings_of(1)),  # depths one more than whole steps
    ((4, 2, 17, 14), (3, 2, 3, 4), settings_of(2, 4, 1, 2)),  # stride and dilation with a common factor
    ((5, 3, 13), (2, 3, 3), settings_of(1, 4, 3, 6)),
]  # fmt: skip


@pytest.mark.parametrize(("x_shape", "w_shape", "how"), LAYERS)
def test_larger_layers(stand_in, x_shape, w_shape, how):
    check_sizes(x_shape, w_shape, how)


@pytest.mark.parametrize("groups", [1, 2])
def test_kernels_of_one_element_are_plain_products(stand_in, monkeypatch, groups):
    asked = []
    monkeypatch.setattr(kernels, "matmul", lambda a, b: asked.append(a.shape) or matmul(a, b))
    check_sizes((5, 6, 4, 7), (10, 6 // groups, 1, 1), settings_of(2, groups=groups))
    assert len(asked) == 1  # the gradient in x; a forward with a bias adds it in its own kernel
    x, w = numbers(0, (5, 6, 4, 7)), numbers(1, (10, 6 // groups, 1, 1), layout="first")
    with mg.reference_mode():
        y = ops.conv(x, w, None, **settings_of(2, groups=groups))
    same(kernels.conv(sent(x), on_gpu(w), **settings_of(2, groups=groups)), y, "float32")
    assert len(asked) == 2


def test_a_step_stays_on_the_device(stand_in):
    if not stand_in:
        pytest.skip("the ledger is the stand-in's")
    x, w = mg.Tensor(sent(numbers(0, (4, 3, 6, 6)))).requires_grad_(), mg.Tensor(on_gpu(numbers(1, (5, 3, 3, 3)))).requires_grad_()
    stand_in.ledger.clear()
    y = mg.nn.functional.conv2d(x, w, stride=2, padding=1)
    y.backward(mg.ones_like(y))
    assert not stand_in.ledger.all("h2d", "d2h", "sync")


@pytest.mark.parametrize("count", [2, 3, 40])
def test_shares_of_the_depth(stand_in, monkeypatch, count):
    monkeypatch.setattr(kernels, "_choice", lambda *sizes: (kernels.SCALAR, count))
    check_sizes((8, 18, 6, 5), (6, 9, 3, 3), settings_of(2, 2, 1, groups=2))
    check_sizes((3, 150, 7), (3, 150, 3), settings_of(1, 1, 1), "float16" if count == 3 else "float32")
    if count == 40:
        check_sizes((32, 2, 42), (3, 2, 1), settings_of(1))


def test_choices(monkeypatch):
    """Deep products of few columns are shared out; those that fill the processors are not."""
    monkeypatch.undo()
    choice = lambda *sizes: kernels._choice(False, 128, *sizes, 1)
    assert choice(64, 2048, 576)[1] > 1  # 64 filters, 8 x 8 places, 32 images
    assert choice(128, 1 << 20, 1152) == (kernels.TILES[0], 1)
    assert choice(16, 1 << 20, 144) == (kernels.TILES[4], 1)
    assert choice(16, 144, 1 << 15)[1] > 32  # the gradient in w


@pytest.mark.parametrize("tile", kernels.TILES)
def test_every_tile(stand_in, monkeypatch, tile):
    monkeypatch.setattr(kernels, "_choice", lambda *sizes: (tile, 1))
    check_sizes((12, 9, 5, 5), (140, 9, 3, 3), settings_of(2, 1, 1))


@pytest.mark.parametrize(("dtype", "batch"), [("float16", 16), ("float16", 5), ("bfloat16", 16)])
def test_sixteen_bits(stand_in, dtype, batch):
    check_sizes((batch, 6, 5, 5), (20, 3, 3, 3), settings_of(2, 2, ((1, 2), (0, 1)), groups=2), dtype)
    check_sizes((batch, 3, 7), (9, 3, 1), settings_of(1, 2), dtype)  # no tap meets every second place of x


HOW = settings_of(1)


@pytest.mark.parametrize(
    ("x", "w", "bias"),
    [((2, 3, 8), (4, 2, 3), None), ((2, 3, 2), (4, 3, 3), None), ((0, 3, 8), (4, 3, 3), None), ((2, 3, 8), (4, 3, 3), (3,)), ((2, 3, 8), (4, 3, 3), (4, 1))],
)
def test_what_does_not_fit_is_left_to_the_text(stand_in, x, w, bias):
    x, w, bias = (a and on_gpu(np.ones(a, np.float32)) for a in (x, w, bias))
    assert kernels.conv(x, w, bias, **HOW) is NotImplemented


def test_gradients_that_do_not_fit_are_left_to_the_text(stand_in):
    g, w, x = (on_gpu(np.ones(shape, np.float32)) for shape in ((2, 4, 6), (4, 3, 3), (2, 3, 8)))
    for shape in [(2, 3, 9), (1, 3, 8), (2, 4, 8)]:
        assert kernels.conv_grad_x(g, w, x_shape=shape, **HOW) is NotImplemented
    assert kernels.conv_grad_x(g, w.astype(np.float16), x_shape=(2, 3, 8), **HOW) is NotImplemented
    assert kernels.conv_grad_w(g[:, :3], x, w_shape=(4, 3, 3), **HOW) is NotImplemented


def test_layers_find_their_kernels(stand_in):
    names, g = ("conv", "conv_grad_x", "conv_grad_w", "conv.bias"), numbers(3, (4, 5, 3, 3))
    x, w, b = numbers(0, (4, 3, 6, 6)), numbers(1, (5, 3, 3, 3), layout="first"), numbers(2, (5,), layout="first")

    def step(*arrays, g):
        x, w, b = (mg.Tensor(a).requires_grad_() for a in arrays)
        mg.nn.functional.conv2d(x, w, b, stride=2, padding=1).backward(mg.Tensor(g))
        return x.grad.data, w.grad.data, b.grad.data

    with mg.reference_mode():
        expected = step(x, w, b, g=g)
    with watched(*names) as made:
        got = step(on_gpu(x), on_gpu(w), on_gpu(b), g=sent(g))
    assert took(made) and all(made.values())
    for fast, plain in zip(got, expected, strict=True):
        close(from_gpu(fast), plain)


def test_nan_and_infinity_stay_where_they_fall(stand_in):
    x = np.zeros((16, 1, 5), np.float32)
    x[0, 0, 1], x[1, 0, 3] = np.nan, np.inf
    y = kernels.conv(on_gpu(x), on_gpu(np.ones((1, 1, 3), np.float32)), **settings_of(1, padding=1))
    y = from_gpu(y)
    assert np.isnan(y[0, 0]).tolist() == [True, True, True, False, False]
    assert np.isinf(y[1, 0]).tolist() == [False, False, True, True, True] and not y[2:].any()


@pytest.mark.parametrize("tile", [kernels.TILES[0], kernels.TILES[3], kernels.TILES[4]])
def test_tensor_cores(stand_in, monkeypatch, tile):
    monkeypatch.setattr(kernels, "_choice", lambda *sizes: (tile, 1))
    check_sizes((24, 11, 5, 4), (20, 11, 3, 3), settings_of(2, 1, 1), "float16")


def rounded(x):
    """float32 with 10 bits of fraction, ties away from zero: TF32."""
    return ((x.view(np.uint32) + 0x1000) & ~np.uint32(0x1FFF)).view(np.float32)


def test_tf32_rounds_the_factors_and_nothing_else(stand_in):
    """The text on rounded factors gives the same; on whole ones it does not."""
    how = settings_of(2, 2, ((1, 0), (0, 1)))
    for batch in (8, 3):  # by fours, one by one
        x, w, b = numbers(0, (batch, 9, 6, 6)), numbers(1, (20, 9, 3, 3), layout="first"), numbers(2, (20,), layout="first")
        with mg.reference_mode():
            y, whole = ops.conv(rounded(x), rounded(w), b, **how), ops.conv(x, w, b, **how)
            g = numbers(9, y.shape)
            gx = ops.conv_grad_x(rounded(g), rounded(w), x_shape=x.shape, **how)
            gw = ops.conv_grad_w(rounded(g), rounded(x), w_shape=w.shape, **how)
        assert np.abs(y - whole).max() > 1e-4
        x, w, b, g = sent(x), on_gpu(w), on_gpu(b), sent(g)
        mg.set_float32_matmul_precision("high")
        try:
            got = kernels.conv(x, w, b, **how), kernels.conv_grad_x(g, w, x_shape=x.shape, **how), kernels.conv_grad_w(g, x, w_shape=w.shape, **how)
        finally:
            mg.set_float32_matmul_precision("highest")
        for fast, plain in zip(got, (y, gx, gw), strict=True):
            close(from_gpu(fast), plain)


def forget_compiled():
    for kept in vars(launcher).values():
        if hasattr(kept, "cache_clear"):
            kept.cache_clear()


def test_cards_without_tensor_cores(stand_in, monkeypatch):
    """What cards before sm_80 compile of the same instances; there TF32 is float32."""
    if not stand_in:
        pytest.skip("compiles for a card that is not there")
    monkeypatch.setattr(launcher, "source", lambda name: source(name).replace("#define HAS_MMA 1", "#define HAS_MMA 0", 1))
    forget_compiled()
    how = settings_of(2, 1, 1, groups=2)
    mg.set_float32_matmul_precision("high")
    try:
        for dtype in ("float16", "float32"):
            check_sizes((16, 6, 5, 5), (20, 3, 3, 3), how, dtype)
    finally:
        mg.set_float32_matmul_precision("highest")
        forget_compiled()


def test_memory_that_does_not_begin_at_16_bytes(stand_in):
    x, w = numbers(0, (2 * 4 * 9 + 1,), layout="first"), numbers(1, (3, 2, 3), layout="first")
    inner = on_gpu(x)[1:].reshape(2, 9, 4).transpose(2, 0, 1)
    plain = x[1:].reshape(2, 9, 4).transpose(2, 0, 1)
    with mg.reference_mode():
        y = ops.conv(plain, w, None, **HOW)
    same(kernels.conv(inner, on_gpu(w), **HOW), y, "float32")


def test_the_order_of_threads_is_no_matter(stand_in, monkeypatch):
    """Threads run last to first give the same bits: no result depends on who comes first."""
    if not stand_in:
        pytest.skip("a GPU chooses its own order")
    x, w, g = sent(numbers(0, (8, 5, 9))), on_gpu(numbers(1, (6, 5, 3), layout="first")), sent(numbers(2, (8, 6, 7)))
    made = []
    for order in ("forward", "reverse"):
        monkeypatch.setattr(stand_in.settings, "order", order)
        made.append((kernels.conv(x, w, **HOW), kernels.conv_grad_w(g, x, w_shape=(6, 5, 3), **HOW)))
    for one, other in zip(*made, strict=True):
        np.testing.assert_array_equal(from_gpu(one), from_gpu(other))


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "how"),
    [
        ((8, 5, 9, 7), (5, 1, 3, 3), settings_of(2, padding=1, groups=5)),
        ((3, 4, 8, 9), (8, 1, 4, 2), settings_of(2, 2, ((1, 2), (0, 1)), 2, groups=4)),
        ((4, 2, 5, 6, 4), (6, 1, 2, 3, 2), settings_of(3, 3, 2, groups=2)),
        ((33, 3, 40), (3, 1, 5), settings_of(1, padding=2, groups=3)),
        ((8, 2, 40, 40), (2, 1, 3, 3), settings_of(2, padding=1, groups=2)),  # several shares
    ],
)
def test_depthwise(stand_in, monkeypatch, x_shape, w_shape, how):
    monkeypatch.setattr(kernels, "_choice", None)  # it would be needed for a product
    check_sizes(x_shape, w_shape, how)


@pytest.mark.parametrize(("dtype", "batch"), [("float16", 8), ("bfloat16", 3)])
def test_depthwise_in_sixteen_bits(stand_in, dtype, batch):
    check_sizes((batch, 5, 9, 7), (5, 1, 3, 3), settings_of(2, 2, 1, groups=5), dtype)


def check_columns(x_shape, how, dtype="float32", layout="last"):
    x = numbers(0, x_shape, dtype, layout)
    with mg.reference_mode():
        y = fold.im2col(x, **how)
        g = numbers(1, y.shape, dtype)
        gx = fold.col2im(g.astype(np.float64), x_shape=x_shape, **how)
    fast = columns.im2col(sent(x), **how)
    same(fast, y, dtype)
    np.testing.assert_array_equal(from_gpu(fast), y)
    same(columns.col2im(sent(g), x_shape=x_shape, **how), gx, dtype)


@given(convolutions())
@QUICK
def test_columns_and_back(stand_in, c):
    x_shape, w_shape, how, layout = c
    how = {name: value for name, value in how.items() if name != "groups"} | {"kernel": w_shape[2:]}
    check_columns(x_shape, how, layout=layout)


def test_columns_in_other_precisions(stand_in):
    how = {"kernel": (3, 2), "stride": (2, 1), "padding": ((1, 0), (2, 2)), "dilation": (1, 2)}
    for dtype, batch in (("float16", 8), ("float64", 4)):
        check_columns((batch, 3, 6, 7), how, dtype)


@pytest.mark.parametrize(("shape", "dtype"), [((8, 3, 40, 33), "float32"), ((3, 5, 7), "float32"), ((16, 4, 9), "float16")])
def test_gradient_in_the_bias(stand_in, shape, dtype):
    g = numbers(0, shape, dtype)
    y = kernels.conv_bias(sent(g))
    assert y.base is None and str(y.dtype) == dtype
    close(from_gpu(y), g.astype(np.float64).sum((0, *range(2, g.ndim))), dtype)
    assert kernels.conv_bias(on_gpu(np.ascontiguousarray(g))) is NotImplemented  # batch first: it would have to be copied
