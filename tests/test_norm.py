"""Normalisation against PyTorch and against itself."""

import numpy as np
import pytest
from against_torch import agree, behaves, both_reject, modules_agree
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

torch = pytest.importorskip("torch")
TF = torch.nn.functional
quick = settings(max_examples=15, deadline=None, derandomize=True)
flags = st.booleans()
EPS = st.sampled_from([1e-5, 1e-3, 0.5])


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape) * 2.0 + 1.0


lengths = st.integers(2, 4)
shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


@st.composite
def images(draw, low=0, high=3, smallest=1):
    """(N, C, ...) with `low` to `high` further axes."""
    return (draw(lengths), draw(lengths), *draw(st.lists(st.integers(smallest, 4), min_size=low, max_size=high)))


@quick
@given(images(), EPS, flags, flags, flags, st.sampled_from([0.1, 0.7, None]))
def test_batch_norm_layers(shape, eps, affine, bias, track, momentum):
    kind = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d", 5: "BatchNorm3d"}[len(shape)]
    how = {"eps": eps, "affine": affine, "bias": bias, "track_running_stats": track, "momentum": momentum}
    ours, theirs = getattr(nn, kind)(shape[1], **how), getattr(torch.nn, kind)(shape[1], **how)
    modules_agree(ours, theirs, normal(*shape), rtol=1e-8, float32=False)


@quick
@given(images(1, 3, 2), EPS, flags, flags, flags, flags)
def test_instance_norm_layers(shape, eps, affine, bias, track, batched):
    kind = f"InstanceNorm{len(shape) - 2}d"
    how = {"eps": eps, "affine": affine, "bias": bias, "track_running_stats": track, "momentum": 0.3}
    x = normal(*shape)
    x = x if batched else x[0]
    modules_agree(getattr(nn, kind)(shape[1], **how), getattr(torch.nn, kind)(shape[1], **how), x, rtol=1e-8, float32=False)


@quick
@given(shapes, shapes, EPS, flags, flags)
def test_layer_norm(lead, shape, eps, affine, bias):
    how = {"eps": eps, "elementwise_affine": affine, "bias": bias}
    given_ = shape[0] if len(shape) == 1 else list(shape)
    modules_agree(nn.LayerNorm(given_, **how), torch.nn.LayerNorm(given_, **how), normal(*lead, *shape), rtol=1e-8)


@quick
@given(shapes, shapes, st.sampled_from([None, 1e-3]), flags)
def test_rms_norm(lead, shape, eps, affine):
    how = {"eps": eps, "elementwise_affine": affine}
    modules_agree(nn.RMSNorm(shape, **how), torch.nn.RMSNorm(shape, **how), normal(*lead, *shape))


@quick
@given(lengths, st.integers(1, 3), st.integers(1, 3), st.lists(st.integers(1, 3), max_size=3), EPS, flags, flags)
def test_group_norm(n, groups, per, rest, eps, affine, bias):
    how = {"eps": eps, "affine": affine, "bias": bias}
    ours, theirs = nn.GroupNorm(groups, groups * per, **how), torch.nn.GroupNorm(groups, groups * per, **how)
    modules_agree(ours, theirs, normal(n, groups * per, *rest), rtol=1e-8)


@quick
@given(images(1, 3), st.integers(1, 6), st.floats(1e-3, 2.0), st.floats(0.2, 2.0), st.floats(0.5, 3.0))
def test_local_response_norm(shape, size, alpha, beta, k):
    how = {"alpha": alpha, "beta": beta, "k": k}
    modules_agree(nn.LocalResponseNorm(size, **how), torch.nn.LocalResponseNorm(size, **how), normal(*shape))


@quick
@given(images(2, 2), st.integers(1, 5), st.floats(1e-3, 2.0), st.floats(0.2, 2.0))
def test_cross_map_lrn(shape, size, alpha, beta):
    """PyTorch never takes channel 0 out of its moving sum again; before that, the two agree."""
    ours, theirs = nn.CrossMapLRN2d(size, alpha, beta, 2), torch.nn.CrossMapLRN2d(size, alpha, beta, 2)
    assert repr(ours) == repr(theirs)
    x, right = normal(*shape), (size - 1) // 2 + 1
    y = ours(mg.tensor(x)).cpu().numpy()
    np.testing.assert_allclose(y[:, :right], theirs(torch.tensor(x)).numpy()[:, :right], rtol=1e-12)
    if size % 2:
        agree(ours, torch.nn.LocalResponseNorm(size, alpha, beta, 2), x)


@quick
@given(shapes, shapes, flags, flags)
def test_functions_with_any_of_weight_and_bias(lead, shape, with_weight, with_bias):
    x, w, b = normal(*lead, *shape), normal(*shape, seed=1), normal(*shape, seed=2)
    w, b = w if with_weight else None, b if with_bias else None
    how = {"rtol": 1e-8, "order2": with_weight or not with_bias}  # PyTorch fails where there is a bias alone
    agree(lambda x, w, b: F.layer_norm(x, shape, w, b), lambda x, w, b: TF.layer_norm(x, shape, w, b), x, w, b, **how)
    agree(lambda x, w: F.rms_norm(x, shape, w), lambda x, w: TF.rms_norm(x, shape, w), x, w)


@quick
@given(images(1, 2, 2), flags, flags, flags)
def test_channel_functions_with_any_of_weight_and_bias(shape, with_weight, with_bias, training):
    c = shape[1]
    x, w, b = normal(*shape), normal(c, seed=1) if with_weight else None, normal(c, seed=2) if with_bias else None
    running = normal(c, seed=3), normal(c, seed=4) ** 2 + 0.1

    how = {"rtol": 1e-8, "order2": with_weight or not with_bias, "float32": False}

    def kept(lib):
        return [lib.tensor(a.copy()) for a in running]

    agree(
        lambda x, w, b: F.batch_norm(x, *kept(mg), w, b, training, 0.2),
        lambda x, w, b: TF.batch_norm(x, *kept(torch), w, b, training, 0.2), x, w, b, **how,
    )  # fmt: skip
    agree(
        lambda x, w, b: F.instance_norm(x, *kept(mg), w, b, training, 0.2),
        lambda x, w, b: TF.instance_norm(x, *kept(torch), w, b, training, 0.2), x, w, b, **how,
    )  # fmt: skip
    b = b if with_weight else None  # with a bias alone PyTorch fails in backward
    agree(lambda x, w, b: F.group_norm(x, c, w, b), lambda x, w, b: TF.group_norm(x, c, w, b), x, w, b, **how)


@quick
@given(shapes, st.sampled_from([0, 1.0, 2.0, 3.0, 0.5, float("inf")]), st.integers(0, 2), st.sampled_from([1e-12, 5.0]))
def test_normalize(shape, p, dim, eps):
    x, dim = normal(*shape), dim % len(shape)
    agree(lambda x: F.normalize(x, p, dim, eps), lambda x: TF.normalize(x, p, dim, eps), x)


def test_normalize_fills_out():
    x, out = mg.tensor(normal(2, 3)), mg.zeros(2, 3, dtype="float64")
    assert F.normalize(x, out=out) is out
    np.testing.assert_allclose(out.cpu().numpy(), TF.normalize(torch.tensor(normal(2, 3))).numpy(), rtol=1e-12)
    with pytest.raises(ValueError, match="out= cannot carry a gradient"):
        F.normalize(mg.tensor(normal(2, 3), requires_grad=True), out=out)
    with pytest.raises(ValueError, match="expected out of shape"):
        F.normalize(x, out=mg.zeros(3, 2, 3))
    zero = mg.zeros(2, 3, requires_grad=True)
    F.normalize(zero).sum().backward()
    assert np.isfinite(zero.grad.cpu().numpy()).all()


def weights(c):
    return mg.tensor(normal(c, seed=1)), mg.tensor(normal(c, seed=2))


@pytest.mark.parametrize("f", [
    lambda x: F.layer_norm(x, (3, 4), *(v.reshape(3, 4) for v in weights(12))), lambda x: F.rms_norm(x, (4,)),
    lambda x: F.group_norm(x, 3, *weights(6)), lambda x: F.instance_norm(x, weight=weights(6)[0]),
    lambda x: F.local_response_norm(x, 3), lambda x: F.normalize(x), nn.BatchNorm2d(6).double().eval(),
], ids=["layer", "rms", "group", "instance", "lrn", "normalize", "batch_eval"])  # fmt: skip
def test_against_itself(f):
    behaves(f, normal(5, 6, 3, 4), rtol=1e-11)


@pytest.mark.parametrize("kind", ["BatchNorm1d", "InstanceNorm1d", "GroupNorm", "LayerNorm", "RMSNorm"])
def test_an_empty_batch_passes_both_ways_and_leaves_statistics(kind):
    layer = nn.GroupNorm(1, 3) if kind == "GroupNorm" else getattr(nn, kind)(3 if kind[-1] == "d" else 2)
    before = {k: v.cpu().numpy().copy() for k, v in layer.state_dict().items() if "running" in k}
    x = mg.ones(0, 3, 2, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert y.shape == x.grad.shape == (0, 3, 2)
    for p in layer.parameters():
        assert not p.grad.cpu().numpy().any()
    for k, v in before.items():
        assert np.array_equal(layer.state_dict()[k].cpu().numpy(), v), k


@pytest.mark.parametrize("kind", [mg.nn.LayerNorm, mg.nn.RMSNorm])
def test_gradients_of_a_weight_as_large_as_the_input(kind):
    layer, x, g = kind((2, 3)), mg.tensor([[1.0, 2.0, 4.0], [0.5, -1.0, 3.0]]), mg.ones(2, 3)
    layer.weight.data[...] = mg.tensor([[3.0, 2.0, 1.0], [4.0, 5.0, 6.0]]).data
    z = (layer(x) / layer.weight).detach()  # the bias is 0
    layer(x.requires_grad_()).backward(g)
    np.testing.assert_allclose(layer.weight.grad.cpu().numpy(), z.cpu().numpy(), rtol=1e-5)


def test_statistics_are_stable_far_from_zero():
    x = normal(64, 32) + 1e4
    y = nn.LayerNorm(32)(mg.tensor(x.astype(np.float32))).detach().cpu().numpy()
    x = x.astype(np.float32).astype(float)
    wanted = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, wanted, atol=2e-3)


def test_a_refused_batch_leaves_the_statistics_as_they_were():
    layer = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        layer(mg.ones(1, 3))
    assert int(layer.num_batches_tracked) == 0 and not layer.running_mean.cpu().numpy().any()


def mistakes(lib, f, z):
    return [
        lambda: lib.LayerNorm(-1), lambda: lib.GroupNorm(3, 4), lambda: lib.GroupNorm(0, 4), lambda: lib.BatchNorm1d(-1),
        lambda: lib.LocalResponseNorm(0)(z(2, 3, 4)), lambda: lib.LocalResponseNorm(3)(z(2, 3)),
        lambda: lib.CrossMapLRN2d(3)(z(2, 3, 4)), lambda: lib.InstanceNorm1d(3)(z(2, 3, 1)),
        lambda: lib.InstanceNorm1d(3, affine=True)(z(2, 4, 5)), lambda: lib.InstanceNorm2d(3)(z(2, 3)),
        lambda: lib.GroupNorm(1, 3)(z(3)), lambda: lib.GroupNorm(3, 3)(z(1, 3)), lambda: lib.GroupNorm(1, 3)(z(2, 4)),
        lambda: lib.BatchNorm1d(3)(z(2, 3, 4, 5)), lambda: lib.BatchNorm2d(3)(z(2, 3)), lambda: lib.BatchNorm1d(3, eps=-1.0)(z(4, 3)),
        lambda: lib.LayerNorm((2, 3))(z(3, 2)), lambda: lib.RMSNorm(3)(z(3, 2)), lambda: lib.LayerNorm(3)(z(2)),
        lambda: f.layer_norm(z(2, 3), 3), lambda: f.layer_norm(z(2, 3), ()), lambda: f.layer_norm(z(2, 3), (3,), z(2)),
        lambda: f.rms_norm(z(2, 3), (3,), z(2)), lambda: f.group_norm(z(2, 4), 2, z(3)),
        lambda: f.instance_norm(z(2, 3, 4), use_input_stats=False), lambda: f.instance_norm(z(2, 3, 4), z(4), z(4)),
        lambda: f.batch_norm(z(2, 3), z(3), None, training=True), lambda: f.batch_norm(z(2, 3), None, None),
        lambda: f.batch_norm(z(2, 3), z(4), z(4)), lambda: f.batch_norm(z(2, 3), None, None, z(4), training=True),
        lambda: f.batch_norm(z(3), z(3), z(3)), lambda: f.normalize(z(3), dim=1),
    ]  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs"), list(zip(mistakes(nn, F, mg.zeros), mistakes(torch.nn, TF, torch.zeros), strict=True)))
def test_mistakes_are_told(ours, theirs):
    both_reject(ours, theirs)
