"""Dropout, penalties and clipping: against PyTorch where it is not random, else by statistics."""

import numpy as np
import pytest
from against_torch import agree, behaves, both_reject
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

torch = pytest.importorskip("torch")
TF = torch.nn.functional
quick = settings(max_examples=20, deadline=None, derandomize=True)

# name -> input shape and how many leading axes have a draw of their own
KINDS = {
    "dropout": ((40, 50), 2), "dropout1d": ((60, 30, 4), 2), "dropout2d": ((60, 30, 2, 2), 2), "dropout3d": ((60, 30, 2, 1, 2), 2),
    "alpha_dropout": ((40, 50), 2), "feature_alpha_dropout": ((60, 30, 2, 2), 2),
}  # fmt: skip
LAYERS = {
    "dropout": "Dropout", "dropout1d": "Dropout1d", "dropout2d": "Dropout2d", "dropout3d": "Dropout3d",
    "alpha_dropout": "AlphaDropout", "feature_alpha_dropout": "FeatureAlphaDropout",
}  # fmt: skip
EVERY = pytest.mark.parametrize("name", KINDS)


def drop(name, x, p, inplace=False):
    return getattr(F, name)(x, p, True, inplace)


# ---------------------------------------------------------------- dropout


@EVERY
@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_the_rate_and_what_becomes_of_each_element(name, p):
    mg.manual_seed(1)
    shape, axes = KINDS[name]
    x = mg.rand(*shape, dtype="float64") + 1.0
    y = drop(name, x, p).cpu().numpy()
    a = 1.0507009873554805 * 1.6732632423543772
    scale = ((1 - p) * (1 + p * a * a)) ** -0.5
    low, slope, up = (-a * scale + a * p * scale, scale, a * p * scale) if "alpha" in name else (0.0, 1 / (1 - p), 0.0)
    dropped = np.isclose(y, low)
    np.testing.assert_allclose(y[~dropped], (x.cpu().numpy() * slope + up)[~dropped], rtol=1e-12)
    whole = dropped.reshape(*shape[:axes], -1)
    assert (whole.all(-1) == whole.any(-1)).all(), "a channel is dropped whole"
    draws = whole[..., 0].size
    assert abs(whole[..., 0].mean() - p) < 4 * np.sqrt(p * (1 - p) / draws)


@EVERY
@pytest.mark.parametrize("p", [0.0, 1.0])
@pytest.mark.parametrize("training", [True, False])
def test_the_ends_agree_with_pytorch(name, p, training):
    x = np.random.default_rng(0).normal(size=KINDS[name][0][:1] + (3,) + KINDS[name][0][2:])
    agree(lambda x: getattr(F, name)(x, p, training), lambda x: getattr(TF, name)(x, p, training), x)


def test_alpha_dropout_keeps_mean_and_variance():
    mg.manual_seed(2)
    x = mg.randn(400, 500, dtype="float64")
    for y in (F.alpha_dropout(x, 0.3, True), F.feature_alpha_dropout(x.reshape(400, 500, 1), 0.3, True)):
        assert abs(y.cpu().numpy().mean()) < 0.01 and abs(y.cpu().numpy().var() - 1.0) < 0.02
    y = F.dropout(x + 3.0, 0.3).cpu().numpy()
    assert abs(y.mean() - 3.0) < 0.02


@EVERY
def test_the_gradient_is_that_of_what_was_drawn(name):
    shape = KINDS[name][0]
    x = mg.tensor(np.random.default_rng(0).normal(size=shape), requires_grad=True)
    mg.manual_seed(3)
    y = drop(name, x, 0.4)
    mg.manual_seed(3)
    at_zero = drop(name, x * 0.0, 0.4).detach()
    (slope,) = mg.grad(y.sum(), [x])
    np.testing.assert_allclose(y.detach().cpu().numpy(), (slope * x + at_zero).detach().cpu().numpy(), rtol=1e-9, atol=1e-12)


@EVERY
@pytest.mark.filterwarnings("ignore:dropout2d")
def test_axes_share_draws_as_in_pytorch(name):
    """Also without a batch: dropout2d takes three axes for (N, C, L), the others for one sample."""
    mg.manual_seed(0), torch.manual_seed(0)
    for axes in range(2, 6):
        x, t = mg.ones(*(3,) * axes), torch.ones((3,) * axes)
        if axes not in {"dropout1d": (2, 3), "dropout2d": (3, 4), "dropout3d": (4, 5)}.get(name, range(2, 6)):
            with pytest.raises(ValueError, match=f"{name}: expected .* axes"):
                drop(name, x, 0.5)
            continue
        ours = [drop(name, x, 0.5).cpu().numpy() for _ in range(20)]
        theirs = [getattr(TF, name)(t, 0.5, True).cpu().numpy() for _ in range(20)]
        for axis in range(axes):
            assert all(np.ptp(y, axis).max() == 0 for y in ours) == all(np.ptp(y, axis).max() == 0 for y in theirs)


@EVERY
def test_in_place(name):
    shape = KINDS[name][0]
    data = np.random.default_rng(0).normal(size=shape)
    constant = mg.tensor(data)
    view = constant[:]
    mg.manual_seed(5)
    wanted = drop(name, mg.tensor(data), 0.5).cpu().numpy()
    mg.manual_seed(5)
    assert drop(name, constant, 0.5, inplace=True) is constant
    np.testing.assert_array_equal(view.cpu().numpy(), wanted)  # in memory

    leaf = mg.tensor(data, requires_grad=True)
    h = leaf * 2.0
    mg.manual_seed(5)
    y = drop(name, h, 0.5, inplace=True)
    assert y is h
    y.sum().backward()
    mg.manual_seed(5)
    again = mg.tensor(data, requires_grad=True)
    drop(name, again * 2.0, 0.5).sum().backward()
    np.testing.assert_array_equal(leaf.grad.cpu().numpy(), again.grad.cpu().numpy())

    for lib, functions in ((mg, F), (torch, TF)):
        leaf = lib.tensor(data, requires_grad=True)
        with pytest.raises((ValueError, RuntimeError), match="leaf"):
            getattr(functions, name)(leaf, 0.5, True, True)
        with lib.no_grad():
            assert getattr(functions, name)(leaf, 0.5, True, True) is leaf
        assert getattr(functions, name)(leaf, 0.5, False, True) is leaf


@EVERY
def test_layers(name):
    for inplace in (False, True):
        ours, theirs = getattr(nn, LAYERS[name])(0.25, inplace), getattr(torch.nn, LAYERS[name])(0.25, inplace)
        assert repr(ours) == repr(theirs) and not ours.state_dict()
        x = mg.tensor(np.random.default_rng(0).normal(size=KINDS[name][0]))
        kept = x.cpu().numpy().copy()
        mg.manual_seed(7)
        y = ours(x)
        assert (y is x) == inplace
        mg.manual_seed(7)
        np.testing.assert_array_equal(y.cpu().numpy(), drop(name, mg.tensor(kept), 0.25).cpu().numpy())
        assert ours.eval()(x) is x


@EVERY
def test_dropout_leaves_inputs_alone_and_passes_empty_batches(name):
    shape = KINDS[name][0]

    def seeded(x):
        mg.manual_seed(0)
        return drop(name, x, 0.5)

    behaves(seeded, np.random.default_rng(0).normal(size=(4, *shape[1:])), split=False)


def refused(lib, f, z, n):
    return [
        lambda: lib.Dropout(1.5), lambda: lib.Dropout(-0.1), lambda: lib.AlphaDropout(2.0), lambda: f.dropout(z(2, 3), 1.5, False),
        lambda: f.dropout1d(z(3)), lambda: f.dropout1d(z(2, 3, 4, 5)), lambda: f.feature_alpha_dropout(z(3), 0.5, True),
        lambda: f.dropout(n([1, 2]), 0.5), lambda: f.alpha_dropout(n([1, 2]), 0.5, True), lambda: f.dropout2d(z(2, 3, 4), float("nan")),
    ]  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs"), list(zip(refused(nn, F, mg.zeros, mg.tensor), refused(torch.nn, TF, torch.zeros, torch.tensor), strict=True)))
def test_mistakes_are_told(ours, theirs):
    both_reject(ours, theirs)


# ---------------------------------------------------------------- penalties


def a_model():
    return nn.Sequential(nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3), nn.Flatten(), nn.LayerNorm([3, 2]), nn.Linear(6, 2)).double()


@pytest.mark.parametrize(("pattern", "names"), [
    ("weight", ["0.weight", "4.weight"]), ("*bias", ["0.bias", "1.bias", "3.bias", "4.bias"]), ("4.*", ["4.weight", "4.bias"]),
])  # fmt: skip
def test_penalties_of_a_model_by_name(pattern, names):
    model = a_model()
    rng = np.random.default_rng(0)
    for p in model.parameters():
        p.copy_(mg.tensor(rng.normal(size=p.shape))) if not p.requires_grad else p._data.__setitem__(..., rng.normal(size=p.shape))
    w = {name: p.detach().cpu().numpy() for name, p in model.named_parameters()}
    l1 = sum(np.abs(w[n]).sum() for n in names)
    l2 = sum((w[n] ** 2).sum() for n in names)
    slopes = {
        nn.l1_penalty: (0.3 * l1, lambda v: 0.3 * np.sign(v), (0.3,)),
        nn.l2_penalty: (0.3 * l2, lambda v: 0.6 * v, (0.3,)),
        nn.elastic_net_penalty: (0.3 * l1 + 0.2 * l2, lambda v: 0.3 * np.sign(v) + 0.4 * v, (0.3, 0.2)),
    }
    for penalty, (value, slope, strengths) in slopes.items():
        model.zero_grad()
        y = penalty(model, *strengths, parameters=pattern)
        assert y.shape == ()
        np.testing.assert_allclose(y.item(), value, rtol=1e-12)
        y.backward()
        for name, p in model.named_parameters():
            assert (p.grad is not None) == (name in names)
            if name in names:
                np.testing.assert_allclose(p.grad.cpu().numpy(), slope(w[name]), rtol=1e-12)
        given = [p for name, p in model.named_parameters() if name in names]
        assert penalty(given, *strengths).item() == pytest.approx(value, rel=1e-12)


def test_l2_is_half_of_weight_decay():
    models = a_model(), a_model()
    models[1].load_state_dict(models[0].state_dict())
    weights = [[p for p in m.parameters() if p.ndim == 3 or p.shape == (2, 6)] for m in models]
    first, second = mg.optim.SGD(weights[0], lr=0.1, weight_decay=0.4), mg.optim.SGD(weights[1], lr=0.1)
    for p in weights[0]:
        p.grad = mg.zeros_like(p)
    nn.l2_penalty(models[1], 0.2).backward()
    first.step(), second.step()
    for p, q in zip(*weights, strict=True):
        np.testing.assert_allclose(p.detach().cpu().numpy(), q.detach().cpu().numpy(), rtol=1e-12)


@pytest.mark.parametrize("model", [None, [1.0, 2.0], a_model])
def test_penalties_are_of_tensors(model):
    with pytest.raises(TypeError, match=r"l1_penalty: expected a Module or tensors \(model\), got"):
        nn.l1_penalty(model, 1.0)


@pytest.mark.parametrize(("call", "told"), [
    (lambda: nn.l1_penalty(a_model(), -1.0), r"strength=-1.0"), (lambda: nn.l2_penalty(a_model(), 1.0, "wieght"), r"parameters='wieght'"),
    (lambda: nn.elastic_net_penalty(a_model(), 1.0, float("nan")), r"l2=nan"), (lambda: nn.l1_penalty([mg.ones(2)], 1.0, "*"), r"parameters='\*'"),
    (lambda: nn.l1_penalty(nn.ReLU(), 1.0), r"ReLU has no such parameter"),
])  # fmt: skip
def test_penalties_refuse(call, told):
    with pytest.raises(ValueError, match=told) as error:
        call()
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------- clipping

arrays = st.lists(st.lists(st.floats(-100, 100), min_size=1, max_size=4), min_size=0, max_size=4)
norms = st.sampled_from([1.0, 2.0, 2, 3.5, float("inf"), 0.5])


def both(values):
    ours, theirs = [mg.zeros(len(v), dtype="float64", requires_grad=True) for v in values], [torch.zeros(len(v), dtype=torch.float64) for v in values]
    for p, q, v in zip(ours, theirs, values, strict=True):
        p.grad, q.grad = mg.tensor(np.array(v)), torch.tensor(v, dtype=torch.float64)
    ours.append(mg.ones(2, requires_grad=True)), theirs.append(torch.ones(2, requires_grad=True))  # without a gradient
    return ours, theirs


def same_gradients(ours, theirs):
    for p, q in zip(ours[:-1], theirs[:-1], strict=True):
        np.testing.assert_allclose(p.grad.cpu().numpy(), q.grad.cpu().numpy(), rtol=1e-12, atol=1e-13)
    assert ours[-1].grad is None


@quick
@given(arrays, norms, st.floats(0.0, 50.0), st.sampled_from([None, True, False]))
def test_clipping_by_norm(values, norm_type, max_norm, foreach):
    ours, theirs = both(values)
    y, z = (lib.utils.clip_grad_norm_(ps, max_norm, norm_type, False, foreach) for lib, ps in ((nn, ours), (torch.nn, theirs)))
    np.testing.assert_allclose(y.cpu().numpy(), z.cpu().numpy(), rtol=1e-12)
    same_gradients(ours, theirs)
    y, z = (lib.utils.get_total_norm([p.grad for p in ps[:-1]], norm_type) for lib, ps in ((nn, ours), (torch.nn, theirs)))
    np.testing.assert_allclose(y.cpu().numpy(), z.cpu().numpy(), rtol=1e-12)
    if values:
        nn.utils.clip_grads_with_norm_(ours, 0.5, y), torch.nn.utils.clip_grads_with_norm_(theirs, 0.5, z)
        same_gradients(ours, theirs)


@quick
@given(arrays.filter(len), st.floats(0.0, 50.0))  # PyTorch fails without gradients
def test_clipping_by_value(values, limit):
    ours, theirs = both(values)
    nn.utils.clip_grad_value_(iter(ours), limit), torch.nn.utils.clip_grad_value_(iter(theirs), limit)
    same_gradients(ours, theirs)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_norm_that_is_not_finite_changes_nothing_if_asked(bad):
    ours, theirs = both([[1.0, bad], [2.0]])
    for lib, ps in ((nn, ours), (torch.nn, theirs)):
        with pytest.raises((ValueError, RuntimeError), match="finite"):
            lib.utils.clip_grad_norm_(ps, 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(ours[0].grad.cpu().numpy(), [1.0, bad])
    with pytest.raises(ValueError, match="get_total_norm: expected a finite norm"):
        nn.utils.get_total_norm(ours[0].grad, error_if_nonfinite=True)


def test_the_norm_of_half_gradients_is_finite():
    p = mg.zeros(2, dtype="float16", requires_grad=True)
    p.grad = mg.tensor([300.0, 400.0], dtype="float16")  # 300^2 is infinite in float16
    assert nn.utils.clip_grad_norm_(p, 5.0).item() == 500.0
    assert p.grad.dtype == np.float16
    np.testing.assert_allclose(p.grad.cpu().numpy(), [3.0, 4.0], rtol=1e-3)


@pytest.mark.parametrize("call", [lambda: nn.Dropout("a"), lambda: F.dropout(mg.ones(2), "a"), lambda: nn.MultiheadAttention(2, 1, dropout="a")])
def test_a_probability_that_is_no_number_is_a_type_error(call):
    with pytest.raises(TypeError, match=r"expected a probability in \[0, 1\] \((p|dropout)='a'\)"):
        call()


def test_clipping_keeps_float32_and_takes_one_tensor():
    p = mg.zeros(2, requires_grad=True)
    p.grad = mg.tensor([3.0, 4.0])
    norm = nn.utils.clip_grad_norm_(p, 1.0)
    assert norm.dtype == p.grad.dtype == np.float32 and norm.item() == 5.0


@pytest.mark.parametrize("call", [
    lambda p: nn.utils.clip_grad_norm_(p, -1.0), lambda p: nn.utils.clip_grad_norm_(p, float("nan")), lambda p: nn.utils.clip_grad_value_(p, -1.0),
    lambda p: nn.utils.clip_grad_norm_(p, 1.0, foreach=3), lambda p: nn.utils.clip_grads_with_norm_(p, 1.0, 2.0),
])  # fmt: skip
def test_clipping_refuses(call):
    p = mg.ones(2, requires_grad=True)
    p.grad = mg.ones(2)
    with pytest.raises((ValueError, TypeError), match=r"expected .*="):
        call([p])
    np.testing.assert_array_equal(p.grad.cpu().numpy(), [1.0, 1.0])
