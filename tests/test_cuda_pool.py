"""Pooling on the GPU against the readable text: any setting, what is not finite, orders of memory, packs."""

import numpy as np
import pytest
from cuda_cases import close, from_gpu, on_gpu
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minigrad.ops import pool as ops
from minigrad_kernels.cuda import pool as kernels

rng = np.random.default_rng(0)
many = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=[kernels.ENOUGH, 0], ids=["single", "packs"])
def packs(request, monkeypatch):
    """Small jobs with a number to a thread, as they come; or in packs, as large ones do."""
    monkeypatch.setattr(kernels, "ENOUGH", request.param)


def images(batch, *rest, few=False):
    """Images as layers leave them, the batch last in memory; with `few` values many are equal."""
    x = rng.integers(-3, 3, (*rest, batch)).astype(np.float32) if few else None
    return np.moveaxis(rng.standard_normal((*rest, batch), np.float32) if x is None else x, -1, 0)


def there(x):
    """x sent over, the batch last in memory."""
    return on_gpu(np.moveaxis(x, 0, -1).copy()).transpose(x.ndim - 1, *range(x.ndim - 1))


def same(name, x, sent=None, **how):
    """The kernel's result, once it is seen to be the text's: values, dtype, order of memory."""
    on_device = {k: there(v) if isinstance(v, np.ndarray) else v for k, v in how.items()}
    fast = getattr(kernels, name)(there(x) if sent is None else sent, **on_device)
    with np.errstate(invalid="ignore"):
        slow = getattr(ops, name).op.forward(np, x, **how)
    assert fast is not NotImplemented
    pairs = [(fast, slow)] if name != "max_pool" else [(fast[0], slow[0]), (fast[1][0], slow[1][0])]
    for a, b in pairs:
        assert a.dtype == b.dtype and a.transpose(*range(1, a.ndim), 0).flags.c_contiguous
        close(from_gpu(a), b)
    if name == "max_pool":
        np.testing.assert_array_equal(from_gpu(fast[0]), slow[0])
    return slow


@st.composite
def settings_of_pooling(draw):
    dims = draw(st.integers(1, 3))
    each = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(dims))
    kernel = each(1, 4)
    padding = tuple((draw(st.integers(0, k // 2)), draw(st.integers(0, k // 2))) for k in kernel)
    lengths = tuple(k + e for k, e in zip(kernel, each(0, 6), strict=True))
    how = {"kernel": kernel, "stride": each(1, 5), "padding": padding, "ceil_mode": draw(st.booleans())}
    return (draw(st.sampled_from([1, 3, 4, 8])), draw(st.integers(1, 3)), *lengths), how


@many
@given(settings_of_pooling(), st.booleans())
def test_any_setting(stand_in, packs, setting, few):
    shape, how = setting
    x = images(*shape, few=few)
    maximum = {**how, "dilation": (1,) * len(how["kernel"])}
    y, (chosen,) = same("max_pool", x, **maximum)
    g = images(*y.shape)
    same("window_put", g, chosen=chosen, x_shape=shape, **maximum)
    same("window_sum", x, **how)
    same("window_spread", g, x_shape=shape, **how)


@many
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(8, 15), st.booleans())
def test_dilated(stand_in, kernel, stride, dilation, length, ceil_mode):
    pad = ((kernel // 2, kernel // 2), (0, 0))
    how = {"kernel": (kernel, 2), "stride": (stride, 1), "padding": pad, "dilation": (dilation, 3)}
    x = images(3, 2, length, 6)
    y, (chosen,) = same("max_pool", x, ceil_mode=ceil_mode, **how)
    same("window_put", y, chosen=chosen, x_shape=x.shape, ceil_mode=ceil_mode, **how)


TWO = {"kernel": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "ceil_mode": False}
TWO_OF_EACH = {**TWO, "dilation": (1, 1)}
THREE = {**TWO_OF_EACH, "kernel": (3, 3), "padding": ((1, 1), (1, 1))}


@pytest.mark.parametrize("how", [TWO_OF_EACH, THREE])
def test_nan_infinity_and_equals(stand_in, packs, how):
    x = images(8, 3, 8, 8, few=True).copy()
    x[rng.random(x.shape) < 0.2] = np.nan
    x[rng.random(x.shape) < 0.2] = -np.inf
    x[0], x[:, 1, :4] = -np.inf, np.nan
    y, (chosen,) = same("max_pool", x, **how)
    same("window_put", y, chosen=chosen, x_shape=x.shape, **how)
    how = {k: v for k, v in how.items() if k != "dilation"}
    same("window_sum", x, **how)
    same("window_spread", y, x_shape=x.shape, **how)


def test_several_blocks_to_a_row(stand_in, packs):
    x = images(96, 2, 4, 18)
    y, (chosen,) = same("max_pool", x, **THREE)
    same("window_put", y, chosen=chosen, x_shape=x.shape, **THREE)


def test_other_orders_of_memory(stand_in, packs):
    x = images(8, 3, 10, 14)
    sent = there(x)
    for cut in ((..., slice(1, -1)), (slice(None), slice(None, None, 2)), (slice(None, None, 2),)):
        same("max_pool", x[cut], sent[cut], **TWO_OF_EACH)
    same("window_sum", x, on_gpu(np.ascontiguousarray(x)), **TWO)
    flat = on_gpu(np.arange(1 + 8 * 4 * 4, dtype=np.float32))[1:]  # no pack begins there
    memory = from_gpu(flat).reshape(2, 4, 2, 8)
    same("window_sum", np.moveaxis(memory, -1, 0), flat.reshape(2, 4, 2, 8).transpose(3, 0, 1, 2), **TWO)


def test_half_precision(stand_in):
    x = images(4, 2, 6, 6).astype(np.float16)
    sums = kernels.window_sum(there(x), **{**TWO, "kernel": (5, 5)})
    assert sums.dtype == np.float16
    wide = x.astype(np.float32)
    close(from_gpu(sums), ops.window_sum.op.forward(np, wide, **{**TWO, "kernel": (5, 5)}), "float16")
    y, (chosen,) = kernels.max_pool(there(x), **TWO_OF_EACH)
    slow, (places,) = ops.max_pool.op.forward(np, wide, **TWO_OF_EACH)
    np.testing.assert_array_equal(from_gpu(y), slow)
    np.testing.assert_array_equal(from_gpu(chosen), places)


def test_what_is_declined(stand_in):
    x = there(images(4, 2, 6, 6))
    y, (chosen,) = kernels.max_pool(x, **TWO_OF_EACH)
    alone = {**TWO_OF_EACH, "kernel": (3, 1), "padding": ((1, 1), (0, 0)), "dilation": (7, 1)}
    declined = [
        kernels.max_pool(x[:0], **TWO_OF_EACH), kernels.max_pool(x.astype("int32"), **TWO_OF_EACH),
        kernels.max_pool(x, **{**TWO_OF_EACH, "kernel": (16, 16), "padding": ((8, 8), (8, 8))}),
        kernels.max_pool(x[:, :, :2], **alone),
        kernels.window_put(y[:, :, 1:], chosen=chosen, x_shape=x.shape, **TWO_OF_EACH),
        kernels.window_put(y, chosen=chosen[:, :, 1:], x_shape=x.shape, **TWO_OF_EACH),
        kernels.window_put(y, chosen=chosen.astype("int32"), x_shape=x.shape, **TWO_OF_EACH),
        kernels.window_spread(y[:, :1], x_shape=x.shape, **TWO),
        kernels.window_sum(x, **{**TWO, "kernel": (7, 2)}),
    ]  # fmt: skip
    assert all(result is NotImplemented for result in declined)
