"""Activations against PyTorch: values, gradients of both orders, in-place forms, layers, what is refused."""

import inspect
import warnings

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
quick = settings(max_examples=25, deadline=None, derandomize=True)
positive = st.floats(0.1, 3.0)
seeds = st.integers(0, 1000)
shapes = st.lists(st.integers(1, 4), max_size=4).map(tuple)

# name: the options it takes. Points drawn lie off the kinks with probability one.
# PyTorch rounds 1 / alpha of celu to float32: powers of 2 stand that.
PLAIN = {
    "relu": {}, "relu6": {}, "selu": {}, "silu": {}, "mish": {}, "hardswish": {}, "hardsigmoid": {}, "sigmoid": {}, "tanh": {},
    "logsigmoid": {}, "softsign": {}, "tanhshrink": {}, "elu": {"alpha": positive}, "celu": {"alpha": st.sampled_from([0.25, 0.5, 2.0])},
    "leaky_relu": {"negative_slope": positive}, "gelu": {"approximate": st.sampled_from(["none", "tanh"])},
    "softplus": {"beta": positive, "threshold": st.floats(1.0, 30.0)}, "softshrink": {"lambd": positive},
    "hardshrink": {"lambd": positive}, "threshold": {"threshold": st.floats(-2.0, 2.0), "value": st.floats(-9.0, 9.0)},
    "hardtanh": {"min_val": st.floats(-3.0, 0.0), "max_val": positive}, "rrelu": {"lower": st.floats(0.0, 0.2), "upper": positive},
}  # fmt: skip
INPLACE = ["relu", "elu", "selu", "celu", "leaky_relu", "threshold", "hardtanh", "rrelu"]
BY_OPTION = [*INPLACE, "relu6", "hardsigmoid", "hardswish", "silu", "mish"]


def numbers(seed, shape):
    return np.asarray(3.0 * np.random.default_rng(seed).normal(size=shape))


def options(data, name):
    return {k: data.draw(v) for k, v in PLAIN[name].items()}


@pytest.mark.parametrize("name", PLAIN)
@given(data=st.data(), seed=seeds, shape=shapes)
@settings(max_examples=5, deadline=None, derandomize=True)
def test_functions(name, data, seed, shape):
    how = options(data, name)
    if name == "hardsigmoid":  # PyTorch's slope is 1/6 rounded to float32, so its gradient is 3e-8 off: equal to that rounding
        raw = numbers(seed, shape)
        x, t = mg.tensor(raw, requires_grad=True), torch.tensor(raw, requires_grad=True)
        F.hardsigmoid(x).sum().backward(), TF.hardsigmoid(t).sum().backward()
        np.testing.assert_allclose(F.hardsigmoid(x).detach().cpu().numpy(), TF.hardsigmoid(t).detach().numpy(), rtol=1e-12)
        np.testing.assert_allclose(x.grad.cpu().numpy(), t.grad.cpu().numpy(), rtol=4e-8)
        np.testing.assert_array_equal(x.grad.cpu().numpy(), np.where(abs(raw) < 3, 1 / 6, 0))
        return
    agree(lambda x: getattr(F, name)(x, **how), lambda x: getattr(TF, name)(x, **how), numbers(seed, shape))


@pytest.mark.parametrize("name", [n for n in PLAIN if n != "hardsigmoid"])
def test_kinks_and_huge_inputs(name):
    """At 0, +-0.5, +-3, 6 and +-1000 too: the same values and the same one-sided gradients, all finite."""
    x = np.array([-1000.0, -50.0, -20.0, -6.0, -3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, 6.0, 20.0, 50.0, 1000.0])
    how = {"threshold": {"threshold": 0.5, "value": 7.0}}.get(name, {})
    f, g = (lambda x: getattr(F, name)(x, **how)), (lambda x: getattr(TF, name)(x, **how))
    agree(f, g, x, order2=False)
    for dtype in ("float32", "float64"):
        t = mg.tensor(x, dtype=dtype, requires_grad=True)
        y = f(t)
        y.sum().backward()
        assert np.isfinite(y.detach().cpu().numpy()).all() and np.isfinite(t.grad.cpu().numpy()).all()


@pytest.mark.parametrize("name", PLAIN)
def test_nan_stays_nan(name):
    how = {"threshold": {"threshold": 0.5, "value": 7.0}}.get(name, {})
    assert np.isnan(getattr(F, name)(mg.tensor([np.nan]), **how).cpu().numpy()).all()


@pytest.mark.parametrize("name", PLAIN)
def test_against_itself(name):
    how = {"threshold": {"threshold": 0.5, "value": 7.0}}.get(name, {})
    behaves(lambda x: getattr(F, name)(x, **how), numbers(0, (4, 3)))


def test_sigmoid_and_tanh_by_hand():
    """sigmoid'(0) = 1/4; tanh z = 2 sigmoid(2 z) - 1; sigmoid' = s (1 - s)."""
    x = mg.tensor(np.array([0.0, 1.3, -0.4]), requires_grad=True)
    s = F.sigmoid(x)
    s.sum().backward()
    assert s[0].item() == 0.5 and x.grad[0].item() == 0.25
    np.testing.assert_allclose(x.grad.cpu().numpy(), (s * (1 - s)).detach().cpu().numpy(), rtol=1e-15)
    np.testing.assert_allclose(F.tanh(x).detach().cpu().numpy(), (2 * F.sigmoid(2 * x) - 1).detach().cpu().numpy(), rtol=1e-14, atol=1e-16)


# ---------------------------------------------------------------- in place


def ways(name):
    """Each way of saying it in place: the argument, and the name with "_" where there is one."""
    found = [lambda lib, x, **how: getattr(lib, name)(x, **how, inplace=True)]
    return found + ([lambda lib, x, **how: getattr(lib, name + "_")(x, **how)] if name in INPLACE else [])


@pytest.mark.parametrize("name", BY_OPTION)
@given(data=st.data(), seed=seeds)
@settings(max_examples=2, deadline=None, derandomize=True)
def test_in_place_is_done(name, data, seed):
    """The input becomes the result, in both libraries, and what was computed from it before keeps its gradient."""
    how = options(data, name)
    for call in ways(name):
        if name == "hardsigmoid":
            continue
        def run(lib, functional, x):
            y = x * 2.0
            z = call(functional, y, **how)
            assert z is y
            return y * 3.0
        agree(lambda x: run(mg, F, x), lambda x: run(torch, TF, x), numbers(seed, (3, 4)))


@pytest.mark.parametrize("name", BY_OPTION)
def test_in_place_on_constants_and_leaves(name):
    how = {"threshold": {"threshold": 0.5, "value": 7.0}}.get(name, {})
    raw = numbers(1, (3, 4))
    wanted = getattr(F, name)(mg.tensor(raw), **how).cpu().numpy()
    for call in ways(name):
        x = mg.tensor(raw)
        view = x[1:]
        assert call(F, x, **how) is x
        np.testing.assert_array_equal(x.cpu().numpy(), wanted)
        np.testing.assert_array_equal(view.cpu().numpy(), wanted[1:])  # written in memory: views see it
        both_reject(lambda: call(F, mg.tensor(raw, requires_grad=True), **how), lambda: call(TF, torch.tensor(raw, requires_grad=True), **how))
        leaf = mg.tensor(raw, requires_grad=True)
        with mg.no_grad():
            call(F, leaf, **how)
        np.testing.assert_array_equal(leaf.detach().cpu().numpy(), wanted)


def test_a_computed_tensor_may_be_overwritten_where_pytorch_cannot():
    """exp saved its output; overwriting that would spoil the gradient, a new array does not."""
    x = mg.tensor([-1.0, 1.0], requires_grad=True)
    y = mg.exp(x)
    F.threshold_(y, 1.0, 0.0)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.cpu().numpy(), [0.0, np.e], rtol=1e-6)


def test_in_place_after_the_input_was_saved_is_an_error_not_a_wrong_gradient():
    x, w = mg.tensor([-1.0, 2.0]), mg.tensor([1.0, 1.0], requires_grad=True)
    y = (x * w).sum()
    F.relu_(x)
    with pytest.raises(ValueError, match="changed in place"):
        y.backward()


def test_in_place_on_whole_numbers():
    both_reject(lambda: F.elu_(mg.tensor([1, -2])), lambda: TF.elu_(torch.tensor([1, -2])))
    assert F.relu_(mg.tensor([1, -2])).tolist() == [1, 0]


# ---------------------------------------------------------------- random ones


def test_rrelu_in_training():
    mg.manual_seed(0)
    x = mg.tensor(-np.ones(20000), requires_grad=True)
    y = F.rrelu(x, 0.2, 0.6, training=True)
    y.sum().backward()
    slopes = -y.detach().cpu().numpy()
    np.testing.assert_array_equal(x.grad.cpu().numpy(), slopes)
    assert slopes.min() >= 0.2 and slopes.max() < 0.6
    assert abs(slopes.mean() - 0.4) < 4 * 0.4 / np.sqrt(12 * 20000)
    assert abs(slopes.std() - 0.4 / np.sqrt(12)) < 0.002
    layer = nn.RReLU(0.2, 0.6)
    assert len(np.unique(layer(x).detach().cpu().numpy())) > 1000
    assert np.unique(layer.eval()(x).detach().cpu().numpy()).tolist() == [-0.4]
    assert F.rrelu(mg.tensor([2.0]), training=True).tolist() == [2.0]
    agree(lambda x: F.rrelu(x, 0.3, 0.3, True), lambda x: TF.rrelu(x, 0.3, 0.3, True), numbers(0, (3, 4)), float32=False)


def test_gumbel_softmax():
    """A hard sample is one-hot with the gradient of the soft one; classes come as often as softmax says."""
    mg.manual_seed(0)
    logits = np.log([0.1, 0.2, 0.7])
    drawn = F.gumbel_softmax(mg.tensor(np.tile(logits, (30000, 1))), tau=0.7, hard=True)
    assert drawn.dtype == np.float64 and set(np.round(np.unique(drawn.cpu().numpy()), 12)) == {0.0, 1.0}
    np.testing.assert_allclose(drawn.cpu().numpy().mean(0), [0.1, 0.2, 0.7], atol=4 * 0.5 / np.sqrt(30000))
    grads = []
    for hard in (False, True):
        mg.manual_seed(1)
        x = mg.tensor(numbers(3, (4, 5)), requires_grad=True)
        y = F.gumbel_softmax(x, 0.5, hard, dim=0)
        np.testing.assert_allclose(y.detach().cpu().numpy().sum(0), 1.0, rtol=1e-12)
        (y * mg.tensor(numbers(4, (4, 5)))).sum().backward()
        grads.append(x.grad.cpu().numpy())
    np.testing.assert_array_equal(*grads)
    assert F.gumbel_softmax(mg.ones(2, 3)).dtype == np.float32
    cold = F.gumbel_softmax(mg.tensor(numbers(0, (6,))), tau=1e-3)
    assert cold.cpu().numpy().max() > 0.99
    with pytest.raises(ValueError, match="eps has no effect"):
        F.gumbel_softmax(mg.ones(3), eps=1e-5)


# ---------------------------------------------------------------- along an axis


@given(data=st.data(), seed=seeds, shape=st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple))
@quick
def test_softmaxes(data, seed, shape):
    for name in ("softmax", "log_softmax", "softmin"):  # a lone number has axis 0 and -1 too
        agree(lambda x: getattr(F, name)(x, -1), lambda x: getattr(TF, name)(x, -1), numbers(seed, ()))
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = numbers(seed, shape)
    for name in ("softmax", "log_softmax", "softmin"):
        agree(lambda x: getattr(F, name)(x, dim), lambda x: getattr(TF, name)(x, dim), x)
        y = getattr(F, name)(mg.tensor(x), dim, dtype="float32")
        assert y.dtype == np.float32


@pytest.mark.parametrize("ndim", [0, 1, 2, 3, 4])
def test_the_implied_axis_is_pytorchs_and_warned_of(ndim):
    x = numbers(0, (2,) * ndim)
    for name in ("Softmax", "LogSoftmax", "Softmin"):
        with pytest.warns(UserWarning, match="no axis given") as told:
            y = getattr(nn, name)()(mg.tensor(x))
        assert told[0].filename == __file__  # the caller is blamed, not the library
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.testing.assert_allclose(y.cpu().numpy(), getattr(torch.nn, name)()(torch.tensor(x)).numpy(), rtol=1e-12)
    with pytest.warns(UserWarning) as told:
        F.softmax(mg.tensor(x))
    assert told[0].filename == __file__


@pytest.mark.parametrize("size", [1000.0, -1000.0])
def test_softmax_of_huge_scores(size):
    for dtype in ("float32", "float64"):
        x = mg.tensor([size, 0.0, 0.0], dtype=dtype, requires_grad=True)
        for f, wanted in ((F.softmax, [1, 0, 0] if size > 0 else [0, 0.5, 0.5]), (F.softmin, [0, 0.5, 0.5] if size > 0 else [1, 0, 0])):
            assert f(x, 0).tolist() == wanted
        y = F.log_softmax(x, 0)
        y[0].backward()
        assert np.isfinite(y.detach().cpu().numpy()).all() and np.isfinite(x.grad.cpu().numpy()).all()


@given(seed=seeds, shape=st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple), dim=st.integers(-4, 3))
@quick
def test_glu(seed, shape, dim):
    dim %= len(shape)
    shape = tuple(2 * n if i == dim else n for i, n in enumerate(shape))
    agree(lambda x: F.glu(x, dim), lambda x: TF.glu(x, dim), numbers(seed, shape))


@given(seed=seeds, shape=st.lists(st.integers(1, 4), max_size=4).map(tuple), one=st.booleans())
@quick
def test_prelu(seed, shape, one):
    channels = 1 if one or len(shape) < 2 else shape[1]
    w = np.random.default_rng(seed).uniform(0.1, 0.9, channels)
    agree(F.prelu, TF.prelu, numbers(seed, shape), w)


# ---------------------------------------------------------------- layers

LAYERS = {
    "CELU": [{}, {"alpha": 0.5}], "ELU": [{}, {"alpha": 0.7}], "GELU": [{}, {"approximate": "tanh"}], "GLU": [{}, {"dim": 1}],
    "Hardshrink": [{}, {"lambd": 0.3}], "Hardswish": [{}], "Hardtanh": [{}, {"min_val": -0.5, "max_val": 2.0}],
    "LeakyReLU": [{}, {"negative_slope": 0.3}], "LogSigmoid": [{}], "LogSoftmax": [{"dim": 1}], "Mish": [{}],
    "PReLU": [{}, {"num_parameters": 4, "init": 0.1}], "RReLU": [{"lower": 0.25, "upper": 0.25}], "ReLU": [{}], "ReLU6": [{}],
    "SELU": [{}], "SiLU": [{}], "Sigmoid": [{}], "Softmax": [{"dim": 2}], "Softmin": [{"dim": -1}], "Softplus": [{}, {"beta": 2.0, "threshold": 5.0}],
    "Softshrink": [{}, {"lambd": 0.3}], "Softsign": [{}], "Tanh": [{}], "Tanhshrink": [{}], "Threshold": [{"threshold": 0.2, "value": -1.0}],
    "Softmax2d": [{}],
}  # fmt: skip


@pytest.mark.parametrize(("name", "how"), [(n, how) for n, cases in LAYERS.items() for how in cases])
def test_layers(name, how):
    ours, theirs = modules_agree(getattr(nn, name)(**how), getattr(torch.nn, name)(**how), numbers(2, (2, 4, 2, 2)))
    for k, v in how.items():
        assert getattr(ours, k) == v
    if "inplace" in inspect.signature(type(ours)).parameters:
        ours, theirs = (getattr(lib, name)(**how, inplace=True) for lib in (nn, torch.nn))
        assert repr(ours) == repr(theirs)
        x = mg.tensor(numbers(2, (3, 4)))
        assert ours.eval()(x) is x


def test_every_layer_has_pytorchs_arguments():
    for name in nn.activation.__all__:
        ours, theirs = (inspect.signature(getattr(lib, name)).parameters.values() for lib in (nn, torch.nn))
        theirs = [p for p in theirs if p.name not in ("args", "kwargs", "min_value", "max_value")]  # the last two are deprecated
        assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs], name
        assert list(inspect.signature(getattr(nn, name).forward).parameters)[1:] == ["input"]


def test_every_function_has_pytorchs_arguments():
    for name in F.activation.__all__:
        assert next(iter(inspect.signature(getattr(F, name)).parameters)) == ("logits" if name == "gumbel_softmax" else "input")
        try:
            theirs = inspect.signature(getattr(TF, name)).parameters.values()
        except ValueError:
            continue  # a builtin
        assert [(p.name, p.default) for p in inspect.signature(getattr(F, name)).parameters.values()] == [(p.name, p.default) for p in theirs], name


REFUSED = [
    lambda lib, f, t: f.celu(t([1.0]), 0.0),
    lambda lib, f, t: f.gelu(t([1.0]), approximate="erf"),
    lambda lib, f, t: f.glu(t([1.0, 2.0, 3.0])),
    lambda lib, f, t: f.glu(t(1.0)),
    lambda lib, f, t: f.glu(t([1.0, 2.0]), 1),
    lambda lib, f, t: f.softmax(t([1.0]), 1),
    lambda lib, f, t: f.log_softmax(t([1.0]), -2),
    lambda lib, f, t: f.softshrink(t([1.0]), -0.1),
    lambda lib, f, t: f.hardtanh(t([1.0]), 2.0, 1.0),
    lambda lib, f, t: f.rrelu(t([1.0]), 0.5, 0.2),
    lambda lib, f, t: f.rrelu(t([1.0]), 0.5, 0.2, True),
    lambda lib, f, t: f.prelu(t([[1.0, 2.0, 3.0]]), t([0.1, 0.2])),
    lambda lib, f, t: f.prelu(t([[1.0, 2.0]]), t([[0.1, 0.2]])),
    lambda lib, f, t: f.gumbel_softmax(t([1.0]), dim=1),
    lambda lib, f, t: lib.Softmax2d()(t([1.0])),
    lambda lib, f, t: lib.Hardtanh(1.0, 1.0),
    lambda lib, f, t: lib.GELU("fast")(t([1.0])),
    lambda lib, f, t: lib.CELU(0.0)(t([1.0])),
    lambda lib, f, t: lib.Softshrink(-1.0)(t([1.0])),
    lambda lib, f, t: lib.RReLU(0.5, 0.2)(t([1.0])),
    lambda lib, f, t: lib.PReLU(2)(t([[1.0, 2.0, 3.0]])),
    lambda lib, f, t: lib.Threshold(1.0),
    lambda lib, f, t: lib.ReLU(slope=0.1),
]  # fmt: skip


@pytest.mark.parametrize("call", REFUSED)
def test_what_pytorch_refuses_is_refused(call):
    ours, theirs = (lambda: call(nn, F, mg.tensor)), (lambda: call(torch.nn, TF, torch.tensor))
    if call is REFUSED[-1] or call is REFUSED[-2]:  # Python's own words
        for refused in (theirs, ours):
            with pytest.raises(TypeError):
                refused()
    else:
        both_reject(ours, theirs)


def test_refused_when_made_not_when_used():
    for make in (lambda: nn.GELU("fast"), lambda: nn.CELU(0.0), lambda: nn.Softshrink(-1.0), lambda: nn.RReLU(0.5, 0.2), lambda: nn.PReLU(0), lambda: nn.Softplus(0)):
        with pytest.raises(ValueError, match=":"):
            make()
    with pytest.raises(ValueError, match="beta=0"):  # where PyTorch gives inf
        F.softplus(mg.ones(2), beta=0)
