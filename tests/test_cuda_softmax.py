"""Softmax and cross-entropy on the GPU against the readable text: widths, axes, memory orders, what is not finite."""

import numpy as np
import pytest
from cuda_cases import close, from_gpu, on_gpu
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minigrad.engine.op import REGISTRY
from minigrad_kernels.cuda import softmax as kernels

rng = np.random.default_rng(0)
many = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SHAPES = {  # shape: axis
    (1, 1): 1, (5, 3): 1, (9, 256): 1, (3, 257): -1, (2, 1028): 1, (2, 8200): 1, (1, 9001): 1,
    (5, 40): 0, (300, 3): 0, (3, 4, 5): 1, (4, 1, 3): 1, (2, 33, 35): -2,
}  # fmt: skip


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def there(x, order=None):
    """x sent over, its axes in memory as `order` says."""
    order = tuple(range(x.ndim)) if order is None else order
    return on_gpu(np.ascontiguousarray(x.transpose(order))).transpose(*np.argsort(order).tolist())


def lay(x):
    """The steps in memory, where there is more than one."""
    return [step for step, n in zip(x.strides, x.shape, strict=True) if n > 1]


def same_softmax(name, x, axis, order=None):
    """Forward and gradient; the result lies in memory as x does. Gradients that cancel are held against g."""
    op, g = REGISTRY[name], normal(*x.shape)
    with np.errstate(all="ignore"):
        y = op.forward(np, x, axis=axis)
        dx = op.vjps["x"](g, y, axis)
    sent = there(x, order)
    got = getattr(kernels, name)(sent, axis=axis)
    assert lay(got) == lay(sent) and got.dtype == x.dtype
    close(from_gpu(got), y)
    gx = from_gpu(getattr(kernels, f"{name}_x")(there(g), got, axis=axis))
    np.testing.assert_allclose(gx, dx, rtol=1e-5, atol=1e-5 * np.abs(g).sum(axis=axis).max())


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_width(stand_in, name, shape):
    same_softmax(name, 10 * normal(*shape), SHAPES[shape])


@many
@given(st.data())
def test_any_axis_and_order_of_memory(stand_in, data):
    shape = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    order = data.draw(st.permutations(range(len(shape))))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    same_softmax(data.draw(st.sampled_from(["softmax", "log_softmax"])), 3 * normal(*shape), axis, tuple(order))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38])
@pytest.mark.parametrize("shape", [(4, 20), (3, 8300), (300, 3)])
def test_what_is_not_finite(stand_in, name, value, shape):
    x, axis = normal(*shape), SHAPES.get(shape, 1)
    lines = np.moveaxis(x, axis, -1)
    lines[0, 3], lines[1] = value, -np.inf
    with np.errstate(all="ignore"):
        y = REGISTRY[name].forward(np, x, axis=axis)
    close(from_gpu(getattr(kernels, name)(on_gpu(x), axis=axis)), y)


def test_bfloat16_sums_in_float32(stand_in):
    pytest.importorskip("ml_dtypes")
    x = normal(3, 50).astype("bfloat16")
    y = kernels.softmax(on_gpu(x))
    assert y.dtype == x.dtype
    close(from_gpu(y), REGISTRY["softmax"].forward(np, x.astype(np.float32)), "bfloat16")


def test_addresses_off_whole_packs_and_gaps(stand_in):
    x = normal(1 + 3 * 8)
    rows = on_gpu(x)[1:].reshape(3, 8)
    close(from_gpu(kernels.softmax(rows)), REGISTRY["softmax"].forward(np, x[1:].reshape(3, 8)))
    assert kernels.softmax(on_gpu(normal(4, 6))[:, ::2]) is NotImplemented
    assert kernels.softmax(on_gpu(normal(0, 6))) is NotImplemented
    assert kernels.softmax(on_gpu(normal(2, 6)), axis=2) is NotImplemented


# ---------------------------------------------------------------- cross-entropy


def same_cross_entropy(x, target, weight=None, order=None, **how):
    how = {"reduction": "mean", "ignore_index": -100, "label_smoothing": 0.0, **how}
    with np.errstate(all="ignore"):
        loss, (slope,) = REGISTRY["cross_entropy"].forward(np, x, target, weight, **how)
    sent = there(x, order)
    w = None if weight is None else on_gpu(weight)
    got, (saved,) = kernels.cross_entropy(sent, on_gpu(target), w, **how)
    assert got.shape == loss.shape and got.dtype == saved.dtype == x.dtype and lay(saved) == lay(sent)
    close(from_gpu(got), loss)
    np.testing.assert_allclose(from_gpu(saved), slope, rtol=1e-5, atol=1e-5 / target.size)


@many
@given(st.data())
def test_cross_entropy(stand_in, data):
    shape = data.draw(st.sampled_from([(1, 1), (5, 3), (33, 65), (3, 300), (4, 3, 5), (2, 40, 3, 2)]))
    target = rng.integers(0, shape[1], (shape[0], *shape[2:])).astype(data.draw(st.sampled_from(["int64", "int32", "uint8"])))
    weight = np.abs(normal(shape[1])) + 0.1 if data.draw(st.booleans()) else None
    how = {
        "reduction": data.draw(st.sampled_from(["mean", "sum", "none"])),
        "label_smoothing": data.draw(st.sampled_from([0.0, 0.1])),
        "ignore_index": data.draw(st.sampled_from([-100, 0])),
    }
    same_cross_entropy(5 * normal(*shape), target, weight, data.draw(st.permutations(range(len(shape)))), **how)


def test_many_labels_and_many_classes(stand_in):
    same_cross_entropy(normal(9000, 2), rng.integers(0, 2, 9000))
    same_cross_entropy(normal(2, 8300), np.array([8299, 7]), label_smoothing=0.2)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_infinite_scores(stand_in, reduction):
    x = normal(4, 11)
    x[0, 5], x[1, 2], x[2, 7], x[3] = -np.inf, -np.inf, np.nan, np.inf
    same_cross_entropy(x[:2], np.array([1, 2]), reduction=reduction)
    same_cross_entropy(x, np.array([1, 2, 3, 4]), reduction=reduction)


def test_labels_without_weight_have_no_mean(stand_in):
    same_cross_entropy(normal(2, 2), np.array([0, 0]), np.float32([0, 1]), label_smoothing=0.1)


def test_nothing_but_ignored_labels_mean_nan(stand_in):
    loss, (slope,) = kernels.cross_entropy(on_gpu(normal(3, 4)), on_gpu(np.array([-100] * 3)))
    assert np.isnan(from_gpu(loss)) and not from_gpu(slope).any()


def test_an_impossible_label_reads_nothing(stand_in):
    target = on_gpu(np.array([1, 4, -1, 2**40]))
    for smoothing in (0.0, 0.1):
        loss, (slope,) = kernels.cross_entropy(on_gpu(normal(4, 4)), target, reduction="none", label_smoothing=smoothing)
        assert np.isnan(from_gpu(loss)).tolist() == [False, True, True, True]
        assert not from_gpu(slope)[1:].any() and from_gpu(slope)[0].any()


def test_half_precision_cross_entropy(stand_in):
    x, target = 3 * normal(6, 10).astype(np.float16), rng.integers(0, 10, 6)
    exact, (slope,) = REGISTRY["cross_entropy"].forward(np, x.astype(np.float32), target)
    loss, (saved,) = kernels.cross_entropy(on_gpu(x), on_gpu(target))
    assert loss.dtype == saved.dtype == np.float16
    close(from_gpu(loss), exact, "float16")
    close(from_gpu(saved), slope, "float16")


def test_cross_entropy_declines(stand_in):
    x, target = on_gpu(normal(3, 4)), on_gpu(np.array([0, 1, 2]))
    assert kernels.cross_entropy(x, target[:2]) is NotImplemented
    assert kernels.cross_entropy(x, on_gpu(np.array([0.0, 1.0, 2.0]))) is NotImplemented
    assert kernels.cross_entropy(x, target, on_gpu(normal(3))) is NotImplemented
    assert kernels.cross_entropy(x, target, reduction="max") is NotImplemented
