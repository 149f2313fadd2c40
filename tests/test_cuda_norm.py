"""Normalisation on the GPU against the readable text: layouts, what weight and bias span, long lines, accuracy."""

import numpy as np
import pytest
from cuda_cases import close, from_gpu, on_gpu, took, watched
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.engine.op import REGISTRY
from minigrad_kernels.cuda import norm as kernels

rng = np.random.default_rng(0)
many = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def plain(*shape):
    return rng.standard_normal(shape, np.float32)


def batch_last(*shape):
    """Random numbers of a shape (N, C, ...) whose memory is (C, ..., N)."""
    return np.moveaxis(rng.standard_normal((*shape[1:], shape[0]), np.float32), -1, 0)


def there(x):
    """x sent over in its own memory order."""
    if x is None:
        return None
    order = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
    return on_gpu(x.transpose(order).copy()).transpose(*np.argsort(order).tolist())


def lay(x):
    """The steps in memory, where there is more than one."""
    return [step for step, n in zip(x.strides, x.shape, strict=True) if n > 1]


def alike(fast, slow, least=0.0):
    """Within float32's rounding of the largest; gradients that cancel are held against what cancelled."""
    assert (fast is None) == (slow is None)
    if fast is not None:
        assert fast.shape == slow.shape and fast.dtype == slow.dtype
        scale = max(float(np.abs(slow).max()), least)
        np.testing.assert_allclose(from_gpu(fast), slow, rtol=1e-5, atol=1e-5 * scale)


def check(name, x, w, b, axes):
    """Forward, what it saves, moments and all gradients."""
    op, arrays = REGISTRY[name], (w, b) if name == "normalise" else (w,)
    more = [{"moments": {}}, {"moments": {}}] if name == "normalise" else [{}, {}]
    slow, saved = op.forward(np, x, *arrays, axes=axes, eps=1e-3, **more[0])
    sent, given_ = there(x), [there(v) for v in arrays]
    fast, kept = getattr(kernels, name)(sent, *given_, axes=axes, eps=1e-3, **more[1])
    assert lay(fast) == lay(sent) and (fast is kept[0]) == (slow is saved[0])
    for a, c in zip((fast, *kept), (slow, *saved), strict=True):
        alike(a, c)
    for a, c in zip(*[m.get("moments", {}).values() for m in reversed(more)], strict=True):
        alike(a, c, 1.0)
    g = np.empty_like(x)
    g[...] = rng.standard_normal(x.shape)
    needs = (True, *[v is not None for v in arrays])
    expected = op.joint(g, needs, *arrays, saved, axes)
    got = getattr(kernels, f"{name}_joint")(there(g), needs, *given_, kept, axes=axes)
    for a, c in zip(got, expected, strict=True):
        alike(a, c, 3.0)


CASES = {  # x, shape of weight and bias, axes
    "batch norm": (batch_last(13, 6, 5, 7), (1, 6, 1, 1), (0, 2, 3)),
    "batch norm, rows of whole packs": (batch_last(16, 3, 4, 4), (1, 3, 1, 1), (0, 2, 3)),
    "batch norm, long channels": (batch_last(8, 3, 40, 64), (1, 3, 1, 1), (0, 2, 3)),
    "batch norm of vectors": (plain(70, 40), (1, 40), (0,)),
    "batch norm of many vectors": (plain(3000, 5), (1, 5), (0,)),
    "layer norm": (plain(3, 5, 129), (129,), (2,)),
    "layer norm, many rows": (plain(300, 20), (20,), (1,)),
    "layer norm over two axes": (plain(70, 5, 6), (5, 6), (1, 2)),
    "layer norm of a block's rows": (plain(30, 600), (600,), (1,)),
    "layer norm of long rows": (plain(3, 8300), (8300,), (1,)),
    "layer norm of batch-last images": (batch_last(33, 3, 4, 5), (3, 4, 5), (1, 2, 3)),
    "layer norm of steps in another order": (plain(4, 3, 64).transpose(1, 0, 2), (64,), (2,)),
    "layer norm of long columns": (batch_last(4, 3, 10, 10), (3, 10, 10), (1, 2, 3)),
    "instance norm": (plain(3, 4, 5, 6), (1, 4, 1, 1), (2, 3)),
    "instance norm, batch-last": (batch_last(5, 4, 3, 6), (1, 4, 1, 1), (2, 3)),
    "group norm": (plain(5, 2, 3, 4, 4), (1, 2, 3, 1, 1), (2, 3, 4)),
    "group norm, batch-last": (batch_last(7, 2, 3, 4, 5), (1, 2, 3, 1, 1), (2, 3, 4)),
    "without weight": (plain(3, 4, 40), None, (2,)),
    "everything": (plain(3, 40), (), (0, 1)),
    "one number to a line": (plain(4, 1), (1,), (1,)),
    "a weight for every number": (plain(4, 6), (4, 6), (1,)),
    "a weight for every number but the last axis's": (plain(4, 6, 8), (4, 6, 1), (1,)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("given_", ["both", "weight", "bias"])
def test_normalise(stand_in, case, given_):
    x, shape, axes = CASES[case]
    w = None if shape is None or given_ == "bias" else plain(*shape)
    b = None if shape is None or given_ == "weight" else plain(*shape)
    check("normalise", x, w, b, axes)


@pytest.mark.parametrize("case", CASES)
def test_rms_norm(stand_in, case):
    x, shape, axes = CASES[case]
    check("rms_norm", x, None if shape is None else plain(*shape), None, axes)


@many
@given(st.data())
def test_any_axes(stand_in, data):
    shape = data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=4))
    axes = tuple(sorted(data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))))
    memory = [a for a in range(len(shape)) if a not in axes]
    cut = data.draw(st.integers(0, len(memory)))
    memory[cut:cut] = axes  # they lie together
    x = plain(*[shape[a] for a in memory]).transpose(np.argsort(memory))
    full = data.draw(st.sampled_from(["lines", "places", "none"]))
    weight = [n if (a in axes) == (full == "places") else 1 for a, n in enumerate(shape)]
    w = None if full == "none" else plain(*weight)
    check(data.draw(st.sampled_from(["normalise", "rms_norm"])), x, w, w, axes)


@pytest.mark.parametrize("n", [300, 20_000])
@pytest.mark.parametrize("first", [0.0, 1000.0])
def test_large_means_keep_their_digits(stand_in, n, first):
    x, moments = (1000 + rng.standard_normal((2, n))).astype(np.float32), {}
    x[:, 0] = first  # sums are taken relative to it: the best of choices, and the worst
    z, _ = kernels.normalise(on_gpu(x), axes=(1,), eps=1e-5, moments=moments)
    exact = x.astype(np.float64)
    mean, var = exact.mean(1, keepdims=True), exact.var(1, keepdims=True)
    np.testing.assert_allclose(from_gpu(moments["mean"]), mean, rtol=2e-7)
    np.testing.assert_allclose(from_gpu(moments["var"]), var, rtol=3e-6)
    if first:
        np.testing.assert_allclose(from_gpu(z), (exact - mean) / np.sqrt(var + 1e-5), atol=3e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [20, 9000])
def test_what_is_not_finite(stand_in, value, n):
    x, fast, slow = plain(3, n), {}, {}
    x[1, 4] = x[2, 0] = value
    y, _ = kernels.normalise(on_gpu(x), axes=(1,), eps=1e-5, moments=fast)
    with np.errstate(all="ignore"):
        expected, _ = REGISTRY["normalise"].forward(np, x, axes=(1,), eps=1e-5, moments=slow)
    close(from_gpu(y), expected)
    for name in ("mean", "var"):
        np.testing.assert_allclose(from_gpu(fast[name]), slow[name], rtol=1e-5, atol=1e-6)


def test_half_precision_sums_in_float32(stand_in):
    x, w, g = (plain(*shape).astype(np.float16) for shape in [(5, 64), (64,), (5, 64)])
    op = REGISTRY["normalise"]
    wide = [v.astype(np.float32) for v in (x, w, g)]
    y, saved = op.forward(np, wide[0], wide[1], axes=(1,), eps=1e-5)
    expected = op.joint(wide[2], (True, True, False), wide[1], None, saved, (1,))
    fast, kept = kernels.normalise(on_gpu(x), on_gpu(w), axes=(1,), eps=1e-5)
    got = kernels.normalise_joint(on_gpu(g), (True, True, False), on_gpu(w), None, kept, axes=(1,))
    assert fast.dtype == kept[0].dtype == got[0].dtype == got[1].dtype == np.float16
    for a, c in zip((fast, *got[:2]), (y, *expected[:2]), strict=True):
        close(from_gpu(a), c, "float16")


def test_only_what_is_needed(stand_in):
    x, w = on_gpu(plain(4, 8)), on_gpu(plain(8))
    _, saved = kernels.normalise(x, w, w, axes=(1,))
    made = kernels.normalise_joint(x, (False, True, False), w, w, saved, axes=(1,))
    assert made[0] is None and made[1].shape == (8,) and made[2] is None


def test_what_is_declined(stand_in):
    x = on_gpu(plain(4, 6, 8))
    weights = [on_gpu(plain(*shape)) for shape in [(8,), (6, 1), (2, 1, 1, 1)]]
    declined = [
        kernels.normalise(x, axes=(0, 2)), kernels.normalise(x[:, ::2], axes=(2,)),
        kernels.normalise(x[:0], axes=(2,)), kernels.normalise(x, axes=(-1,)),
        kernels.normalise(x, weights[0], weights[1], axes=(2,)), kernels.normalise(x, weights[2], axes=(2,)),
        kernels.normalise(x, weights[0].astype("float64"), axes=(2,)),
        kernels.normalise(x, weights[0], axes=(1, 2)),
    ]  # fmt: skip
    assert all(result is NotImplemented for result in declined)


@pytest.mark.parametrize("kind", [mg.nn.BatchNorm2d, mg.nn.InstanceNorm2d])
def test_layers_use_them(stand_in, kind):
    def step(x, device):
        layer = kind(3, affine=True, track_running_stats=True).to(device)
        x = x.requires_grad_()
        y = layer(x)
        (y * y * y).sum().backward()
        return [y.detach(), x.grad, layer.weight.grad, layer.bias.grad, layer.running_mean, layer.running_var]

    x = batch_last(6, 3, 4, 5)
    with mg.reference_mode():
        slow = step(mg.Tensor(x), "cpu")
    with watched("normalise", "normalise.joint", "follow_moments") as made:
        fast = step(mg.Tensor(there(x)), "cuda")
    assert took(made)
    for a, b in zip(fast, slow, strict=True):
        alike(a.data, b.numpy(), 1.0)
