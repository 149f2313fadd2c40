"""nn.utils against PyTorch: parametrisations, fusion, stateless calls, vectors of parameters."""

import copy
import inspect
import pickle

import numpy as np
import pytest
from against_torch import agree, both_reject, modules_agree, same
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.engine.random import get_state
from minigrad.nn.utils import parametrizations, parametrize, stateless

torch = pytest.importorskip("torch")
TU = torch.nn.utils
TP = pytest.importorskip("torch.nn.utils.parametrize")
TPS = pytest.importorskip("torch.nn.utils.parametrizations")
quick = settings(max_examples=12, deadline=None, derandomize=True)
flags = st.booleans()
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


LAYERS = {
    "Linear": ((4, 3), (5, 4)), "Conv1d": ((2, 3, 2), (3, 2, 5)), "Conv2d": ((2, 4, (2, 1)), (2, 2, 3, 3)),
    "ConvTranspose2d": ((3, 2, 2), (2, 3, 2, 2)), "Bilinear": ((2, 3, 4), None),
}  # fmt: skip
SHAPED = [name for name in LAYERS if LAYERS[name][1]]


def two(name):
    args, _ = LAYERS[name]
    return getattr(nn, name)(*args).double(), getattr(torch.nn, name)(*args).double()


def both_ways(ours, theirs, name, **how):
    modules_agree(ours, theirs, normal(*LAYERS[name][1]), order2=False, **how)


# ---------------------------------------------------------------- weight and spectral norm


@quick
@given(st.sampled_from(SHAPED), st.sampled_from([0, 1, None, -1]), flags)
def test_weight_norm(name, dim, new):
    ours, theirs = two(name)
    ours = (parametrizations if new else nn.utils).weight_norm(ours, dim=dim)
    theirs = (TPS if new else TU).weight_norm(theirs, dim=dim)
    both_ways(ours, theirs, name)
    (parametrize.remove_parametrizations(ours, "weight") if new else nn.utils.remove_weight_norm(ours))
    (TP.remove_parametrizations(theirs, "weight") if new else TU.remove_weight_norm(theirs))
    both_ways(ours, theirs, name)


@quick
@given(st.sampled_from(SHAPED), st.sampled_from([None, 0, 1]), st.integers(1, 3), flags)
def test_spectral_norm(name, dim, times, new):
    ours, theirs = two(name)
    how = {"n_power_iterations": times, "dim": dim}
    ours, theirs = (parametrizations if new else nn.utils).spectral_norm(ours, **how), (TPS if new else TU).spectral_norm(theirs, **how)
    both_ways(ours, theirs, name)
    if new:
        for m, lib in ((ours, parametrize), (theirs, TP)):
            lib.remove_parametrizations(m.eval(), "weight").train()
        both_ways(ours, theirs, name)
    else:  # PyTorch leaves a hook behind that refuses to load
        same(nn.utils.remove_spectral_norm(ours).weight, TU.remove_spectral_norm(theirs).weight, 1e-9, 1e-10, "weight")


def test_spectral_norm_reaches_the_largest_singular_value():
    layer = parametrizations.spectral_norm(nn.Linear(6, 5), n_power_iterations=30)
    assert np.linalg.norm(layer.weight.detach().cpu().numpy(), 2) == pytest.approx(1.0, rel=1e-4)
    bias = parametrizations.spectral_norm(nn.Linear(6, 5), "bias").bias
    assert np.linalg.norm(bias.detach().cpu().numpy()) == pytest.approx(1.0, rel=1e-5)


def test_a_hook_takes_back_what_it_set_and_sits_once():
    for on, off in ((nn.utils.weight_norm, nn.utils.remove_weight_norm), (nn.utils.spectral_norm, nn.utils.remove_spectral_norm)):
        layer = on(nn.Linear(3, 2))
        with pytest.raises(ValueError, match="has it already"):
            on(layer)
        assert isinstance(off(layer).weight, nn.Parameter) and sorted(layer.state_dict()) == ["bias", "weight"]
        with pytest.raises(ValueError, match="has none"):
            off(layer)


# ---------------------------------------------------------------- orthogonal


@quick
@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([None, "matrix_exp", "cayley", "householder"]), flags)
def test_orthogonal(n, k, kind, trivial):
    ours, theirs = nn.Linear(k, n).double(), torch.nn.Linear(k, n).double()
    ours.load_state_dict({name: v.cpu().numpy() for name, v in theirs.state_dict().items()})
    parametrizations.orthogonal(ours, orthogonal_map=kind, use_trivialization=trivial)
    TPS.orthogonal(theirs, orthogonal_map=kind, use_trivialization=trivial)
    if n == k or not trivial:  # else a random completion
        for name, v in theirs.state_dict().items():
            same(ours.state_dict()[name], v, 1e-9, 1e-10, name)
    state = theirs.state_dict()
    signs = ours.parametrizations.weight.original.detach().cpu().numpy() * np.eye(n, k)
    drawn = normal(n, k)
    state["parametrizations.weight.original"] = torch.tensor(drawn * (1 - np.eye(n, k)) + (signs if kind == "householder" or not kind else drawn * np.eye(n, k)))
    theirs.load_state_dict(state)
    ours.load_state_dict({name: mg.tensor(v.cpu().numpy()) for name, v in state.items()})
    w = ours.weight.detach().cpu().numpy()
    np.testing.assert_allclose(w @ w.T if n < k else w.T @ w, np.eye(min(n, k)), atol=1e-10)
    leaves = list(ours.parameters()), list(theirs.parameters())
    agree(ours, theirs, normal(3, k), also=leaves, order2=False, float32=False)


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (2, 4)])
@pytest.mark.parametrize("kind", [None, "matrix_exp", "cayley", "householder"])
def test_an_orthogonal_weight_can_be_assigned(shape, kind):
    layer = parametrizations.orthogonal(nn.Linear(shape[1], shape[0]).double(), orthogonal_map=kind)
    wanted = torch.nn.init.orthogonal_(torch.empty(shape, dtype=torch.float64)).numpy()
    layer.weight = mg.tensor(wanted)
    np.testing.assert_allclose(layer.weight.detach().cpu().numpy(), wanted, atol=1e-12)
    plain = parametrizations.orthogonal(nn.Linear(shape[1], shape[0]).double(), orthogonal_map="householder", use_trivialization=False)
    plain.weight = mg.tensor(wanted)
    np.testing.assert_allclose(plain.weight.detach().cpu().numpy(), wanted, atol=1e-12)
    if kind in ("matrix_exp", "cayley"):
        plain = parametrizations.orthogonal(nn.Linear(3, 3), orthogonal_map=kind, use_trivialization=False)
        with pytest.raises(NotImplementedError, match="use_trivialization=True"):
            plain.weight = mg.eye(3)


def test_the_exponential_of_large_matrices():
    layer = parametrizations.orthogonal(nn.Linear(4, 4).double(), use_trivialization=False)
    layer.parametrizations.weight.original._data[...] = normal(4, 4) * 50.0
    a = np.tril(normal(4, 4) * 50.0)
    np.testing.assert_allclose(layer.weight.detach().cpu().numpy(), torch.linalg.matrix_exp(torch.tensor(a - a.T)).numpy(), atol=1e-11)


# ---------------------------------------------------------------- parametrize


def kinds(lib):
    exp, log, triu = (lambda x: x.exp(), lambda x: x.log(), lambda x: x.triu()) if lib is torch.nn else (mg.exp, mg.log, mg.triu)

    class Exp(lib.Module):
        def forward(self, x):
            return exp(x)

        def right_inverse(self, x):
            return log(x)

    class Symmetric(lib.Module):
        def forward(self, x):
            y = triu(x)
            return y + y.T * 0.5

    class Sum(lib.Module):
        def forward(self, a, b):
            return a + b * b

        def right_inverse(self, x):
            return x * 0.75, abs(x * 0.25) ** 0.5

    class Short(lib.Module):
        def forward(self, x):
            return x[:2]

    class Odd(lib.Module):
        def forward(self, x):
            return x

        def right_inverse(self, x):
            return 3

    return {cls.__name__: cls for cls in (Exp, Symmetric, Sum, Short, Odd)}


OURS, THEIRS = kinds(nn), kinds(torch.nn)


@quick
@given(st.lists(st.sampled_from(["Exp", "Symmetric"]), min_size=1, max_size=3), flags, st.sampled_from([None, "Sum"]))
def test_chains_of_parametrisations(chain, leave, bias):
    ours, theirs = nn.Linear(3, 3).double(), torch.nn.Linear(3, 3).double()
    theirs.load_state_dict({k: v.abs() + 0.1 for k, v in theirs.state_dict().items()})
    ours.load_state_dict({k: v.cpu().numpy() for k, v in theirs.state_dict().items()})
    for name in chain:
        assert parametrize.register_parametrization(ours, "weight", OURS[name]()) is ours
        TP.register_parametrization(theirs, "weight", THEIRS[name]())
    if bias:
        parametrize.register_parametrization(ours, "bias", OURS[bias]()), TP.register_parametrization(theirs, "bias", THEIRS[bias]())
    for k, v in theirs.state_dict().items():
        same(ours.state_dict()[k], v, 1e-12, 1e-13, k)
    modules_agree(ours, theirs, normal(2, 3), rtol=1e-8)
    for name in ("weight", "bias", "x", None):
        assert parametrize.is_parametrized(ours, name) == TP.is_parametrized(theirs, name)
    assert parametrize.type_before_parametrizations(ours) is nn.Linear
    kept = ours.parametrizations.weight.original
    parametrize.remove_parametrizations(ours, "weight", leave), TP.remove_parametrizations(theirs, "weight", leave)
    assert ours.weight is kept
    if bias:
        parametrize.remove_parametrizations(ours, "bias"), TP.remove_parametrizations(theirs, "bias")
    assert type(ours) is nn.Linear and isinstance(ours.bias, nn.Parameter)
    assert sorted(ours.state_dict()) == sorted(theirs.state_dict())
    for k, v in theirs.state_dict().items():
        same(ours.state_dict()[k], v, 1e-12, 1e-13, k)


def test_a_parametrised_buffer_stays_a_buffer():
    ours, theirs = nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3)
    parametrize.register_parametrization(ours, "running_var", OURS["Exp"]()), TP.register_parametrization(theirs, "running_var", THEIRS["Exp"]())
    assert list(ours.state_dict()) == list(theirs.state_dict()) and repr(ours) == repr(theirs)
    assert len(list(ours.parameters())) == 2
    np.testing.assert_allclose(ours.running_var.cpu().numpy(), 1.0)
    parametrize.remove_parametrizations(ours, "running_var"), TP.remove_parametrizations(theirs, "running_var")
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_assigning_goes_backwards_and_training_works():
    layer = nn.Linear(2, 2, bias=False).double()
    nn.init.ones_(layer.weight)
    parametrize.register_parametrization(layer, "weight", OURS["Exp"]())
    layer.weight = mg.tensor([[1.0, 2.0], [3.0, 4.0]], dtype="float64")
    np.testing.assert_allclose(layer.parametrizations.weight.original.detach().cpu().numpy(), np.log([[1, 2], [3, 4]]))
    optimiser = mg.optim.SGD(layer.parameters(), lr=0.1)
    before = layer.weight.detach().cpu().numpy()
    layer(mg.ones(1, 2, dtype="float64")).sum().backward()
    optimiser.step()
    assert (layer.weight.detach().cpu().numpy() < before).all()
    with pytest.raises(ValueError, match="no right_inverse"):
        parametrize.register_parametrization(nn.Linear(2, 2), "weight", OURS["Symmetric"]()).weight = mg.ones(2, 2)


def test_cached_computes_once():
    layer = parametrize.register_parametrization(nn.Linear(3, 3), "weight", OURS["Symmetric"]())
    assert layer.weight is not layer.weight
    with parametrize.cached():
        first = layer.weight
        with parametrize.cached():
            assert layer.weight is first
        assert layer.weight is first
    assert layer.weight is not first
    with parametrize.cached():
        assert layer.weight is not first, "a new block computes anew"
    exp = nn.Linear(2, 2)
    nn.init.ones_(exp.weight)
    parametrize.register_parametrization(exp, "weight", OURS["Exp"]())
    with parametrize.cached():
        before = exp.weight
        exp.weight = mg.ones(2, 2) * 3.0
        assert exp.weight is not before
        np.testing.assert_allclose(exp.weight.detach().cpu().numpy(), 3.0, rtol=1e-6)


@pytest.mark.parametrize("persistent", [True, False])
def test_a_buffer_is_saved_or_not_as_before(persistent):
    module = nn.Module()
    module.register_buffer("scale", mg.ones(2), persistent)
    parametrize.register_parametrization(module, "scale", OURS["Exp"]())
    assert list(module.state_dict()) == (["parametrizations.scale.original"] if persistent else [])
    parametrize.remove_parametrizations(module, "scale")
    assert list(module.state_dict()) == (["scale"] if persistent else []) and [n for n, _ in module.named_buffers()] == ["scale"]


@pytest.mark.parametrize("remade", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_independent(remade):
    layer = parametrizations.weight_norm(nn.Linear(3, 2))
    twin = remade(layer)
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and parametrize.is_parametrized(twin, "weight")
    np.testing.assert_allclose(twin.weight.detach().cpu().numpy(), layer.weight.detach().cpu().numpy(), rtol=1e-6)


def test_transfer():
    source = parametrizations.weight_norm(nn.Linear(3, 2))
    target = parametrize.transfer_parametrizations_and_params(source, nn.Linear(3, 2))
    assert target.parametrizations.weight.original0 is source.parametrizations.weight.original0
    np.testing.assert_array_equal(target.weight.detach().cpu().numpy(), source.weight.detach().cpu().numpy())
    plain = nn.Linear(3, 2)
    assert parametrize.transfer_parametrizations_and_params(nn.Linear(3, 2), plain) is plain and type(plain) is nn.Linear


def wrong(lib, u, p, ps, kinds):
    reg, done = p.register_parametrization, lambda name="Symmetric": p.register_parametrization(lib.Linear(3, 3), "weight", kinds[name](), unsafe=True)
    return [
        lambda: reg(lib.Linear(3, 3), "weight", kinds["Short"]()), lambda: reg(lib.Linear(3, 3), "weight", kinds["Odd"]()),
        lambda: reg(lib.Linear(3, 3), "foo", kinds["Exp"]()), lambda: reg(lib.Linear(3, 3), "in_features", kinds["Exp"]()),
        lambda: reg(done(), "weight", kinds["Short"]()), lambda: p.remove_parametrizations(lib.Linear(3, 3), "weight"),
        lambda: p.remove_parametrizations(done("Sum"), "weight", False), lambda: ps.weight_norm(lib.Linear(3, 3), "foo"),
        lambda: ps.weight_norm(lib.Linear(3, 3), dim=5), lambda: u.weight_norm(lib.Linear(3, 3), dim=5), lambda: u.weight_norm(lib.Linear(3, 3), "foo"),
        lambda: ps.spectral_norm(lib.Linear(3, 3), n_power_iterations=0), lambda: ps.spectral_norm(lib.Linear(3, 3), dim=5),
        lambda: u.spectral_norm(lib.Linear(3, 3), n_power_iterations=0), lambda: u.spectral_norm(lib.Linear(3, 3), dim=5),
        lambda: ps.orthogonal(lib.Linear(3, 3), "bias"), lambda: ps.orthogonal(lib.Linear(3, 3), orthogonal_map="x"), lambda: ps.orthogonal(lib.Linear(3, 3), "foo"),
        lambda: u.fuse_conv_bn_eval(lib.Conv1d(2, 3, 1), lib.BatchNorm1d(3)), lambda: u.skip_init(lib.Sequential),
        lambda: u.fuse_linear_bn_eval(lib.Linear(2, 3).eval(), lib.BatchNorm1d(2).eval()),
    ]  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs"), list(zip(
    wrong(nn, nn.utils, parametrize, parametrizations, OURS), wrong(torch.nn, TU, TP, TPS, THEIRS), strict=True)))  # fmt: skip
def test_mistakes_are_told(ours, theirs):
    both_reject(ours, theirs)


def test_a_refused_parametrisation_changes_nothing():
    layer = nn.Linear(3, 3)
    before = {k: v.cpu().numpy().copy() for k, v in layer.state_dict().items()}
    for bad in ("Short", "Odd"):
        with pytest.raises(ValueError, match="expected"):
            parametrize.register_parametrization(layer, "weight", OURS[bad]())
    assert type(layer) is nn.Linear
    for k, v in layer.state_dict().items():
        np.testing.assert_array_equal(v.cpu().numpy(), before[k])


# ---------------------------------------------------------------- stateless


def test_functional_call():
    ours, theirs = (lib.Sequential(lib.Linear(3, 4), lib.BatchNorm1d(4), lib.Linear(4, 2)).double() for lib in (nn, torch.nn))
    state = {k: v.cpu().numpy() + (0.5 if v.dtype == torch.float64 else 0) for k, v in theirs.state_dict().items()}
    names = [n for n, _ in theirs.named_parameters()]
    rest = {k: v for k, v in state.items() if k not in names}
    before = {k: v.cpu().numpy().copy() for k, v in ours.state_dict().items()}

    def run(lib, call, module):
        return lambda x, *ws: call(module, {**dict(zip(names, ws, strict=True)), **{k: lib.tensor(v.copy()) for k, v in rest.items()}}, x, strict=True)

    agree(run(mg, stateless.functional_call, ours), run(torch, torch.func.functional_call, theirs), normal(5, 3), *[state[n] for n in names], rtol=1e-8, float32=False)
    for k, v in ours.state_dict().items():
        np.testing.assert_array_equal(v.cpu().numpy(), before[k])
    assert all(isinstance(p, nn.Parameter) for p in ours.parameters()) and len(list(ours.parameters())) == 6


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = [nn.Parameter(mg.ones(2)), {"scale": nn.Parameter(mg.ones(2))}]
        self.twin = self.blocks[0]

    def forward(self, x, shift=0.0):
        if x is None:
            raise ArithmeticError
        return x * self.blocks[0] + self.twin + self.blocks[1]["scale"] + shift


def test_functional_call_of_tied_and_nested_tensors():
    model, x, two_ = Tied(), mg.ones(2), mg.ones(2) * 2.0
    call = stateless.functional_call
    assert call(model, {"twin": two_}, x).tolist() == [5.0, 5.0]
    assert call(model, {"twin": two_}, x, tie_weights=False).tolist() == [4.0, 4.0]
    assert call(model, {"blocks.1.scale": two_}, (x,), {"shift": 1.0}).tolist() == [5.0, 5.0]
    assert model(x).tolist() == [3.0, 3.0] and model.twin is model.blocks[0]
    for given_, how, told in (
        ({"foo": two_}, {}, "no parameter or buffer foo"), ({"twin": two_, "blocks.0": x}, {}, "are one tensor"),
        ({"twin": two_}, {"strict": True}, "missing with strict=True: blocks.1.scale"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=told):
            call(model, given_, x, **how)
    with pytest.raises(TypeError, match="expected a Tensor"):
        call(model, {"twin": 2.0}, x)
    with pytest.raises(ArithmeticError):
        call(model, {"twin": two_}, (None,))
    assert model(x).tolist() == [3.0, 3.0]


# ---------------------------------------------------------------- fusion, skip_init, vectors


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("kind", ["Linear", "Conv1d", "Conv2d", "ConvTranspose2d"])
def test_fusion(kind, bias, affine):
    size, shape = {"Linear": (4, (5, 3)), "Conv1d": (4, (2, 3, 5)), "Conv2d": (4, (2, 3, 4, 4)), "ConvTranspose2d": (4, (2, 3, 3, 3))}[kind]
    if kind == "Linear" and not affine:
        pytest.skip("PyTorch needs the affine weights here")
    pair = []
    for lib in (torch.nn, nn):
        layer = getattr(lib, kind)(3, size, *(() if kind == "Linear" else (2,)), bias=bias).double()
        norm = getattr(lib, "BatchNorm2d" if kind.endswith("2d") else "BatchNorm1d")(size, affine=affine).double()
        pair.append(lib.Sequential(layer, norm).eval())
    theirs, ours = pair
    theirs.load_state_dict({k: torch.tensor(normal(*v.shape) ** 2 + 0.1) if v.dtype == torch.float64 else v for k, v in theirs.state_dict().items()})
    ours.load_state_dict({k: v.cpu().numpy() for k, v in theirs.state_dict().items()})
    fused = []
    for lib, net in ((nn, ours), (torch.nn, theirs)):
        fused.append(lib.utils.fuse_linear_bn_eval(*net) if kind == "Linear" else lib.utils.fuse_conv_bn_eval(*net, transpose="Transpose" in kind))
    x = mg.tensor(normal(*shape))
    np.testing.assert_allclose(fused[0](x).detach().cpu().numpy(), ours(x).detach().cpu().numpy(), rtol=1e-10, atol=1e-12)
    for (k, v), (j, w) in zip(fused[0].named_parameters(), fused[1].named_parameters(), strict=True):
        assert k == j and v.requires_grad == w.requires_grad
        same(v, w, 1e-12, 1e-13, k)
    assert ours[0].weight is not fused[0].weight


def test_skip_init_draws_nothing():
    state = get_state()
    layer = nn.utils.skip_init(nn.Linear, 3, 2, bias=False)
    assert type(layer) is nn.Linear and layer.weight.shape == (2, 3) and layer.bias is None
    assert get_state() == state
    layer.reset_parameters()
    assert np.abs(layer.weight.detach().cpu().numpy()).max() <= 3**-0.5
    assert type(nn.utils.skip_init(nn.BatchNorm1d, 3)) is nn.BatchNorm1d


@quick
@given(st.lists(st.lists(st.integers(1, 3), max_size=3), min_size=1, max_size=4))
def test_vectors_of_parameters(shapes):
    ps = [mg.tensor(normal(*s, seed=i), requires_grad=True) for i, s in enumerate(shapes)]
    vector = nn.utils.parameters_to_vector(iter(ps))
    same(vector, TU.parameters_to_vector([torch.tensor(p.detach().cpu().numpy()) for p in ps]), 0, 0, "vector")
    (vector * vector).sum().backward()
    for p in ps:
        np.testing.assert_allclose(p.grad.cpu().numpy(), 2 * p.detach().cpu().numpy())
    nn.utils.vector_to_parameters(vector * 2.0, ps)
    for i, (p, s) in enumerate(zip(ps, shapes, strict=True)):
        np.testing.assert_allclose(p.detach().cpu().numpy(), 2 * normal(*s, seed=i))
    with pytest.raises(ValueError, match="expected a vector of"):
        nn.utils.vector_to_parameters(mg.zeros(1000), ps)


SIGNATURES = [
    *[(getattr(nn.utils, n), getattr(TU, n)) for n in (
        "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm", "parameters_to_vector", "vector_to_parameters",
        "weight_norm", "remove_weight_norm", "spectral_norm", "remove_spectral_norm", "skip_init", "fuse_conv_bn_eval",
        "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights")],
    *[(getattr(parametrizations, n), getattr(TPS, n)) for n in TPS.__all__],
    *[(getattr(parametrize, n), getattr(TP, n)) for n in TP.__all__],
    (stateless.functional_call, torch.nn.utils.stateless.functional_call),
    *[(getattr(nn, n).__init__, getattr(torch.nn, n).__init__) for n in (
        "BatchNorm1d", "InstanceNorm2d", "LayerNorm", "GroupNorm", "RMSNorm", "LocalResponseNorm", "CrossMapLRN2d", "Dropout", "AlphaDropout", "FeatureAlphaDropout")],
    *[(getattr(nn.functional, n), getattr(torch.nn.functional, n)) for n in (
        "batch_norm", "instance_norm", "layer_norm", "group_norm", "rms_norm", "local_response_norm", "normalize", "dropout", "dropout1d",
        "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")],
]  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs"), SIGNATURES, ids=[f"{t.__module__}.{t.__qualname__}" for _, t in SIGNATURES])
def test_signatures(ours, theirs):
    listed = [[(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()] for f in (ours, theirs)]
    assert listed[0] == listed[1]


def test_a_parametrization_list_is_what_stands_behind_a_tensor():
    seen = []
    for lib, tools in ((mg, parametrize), (torch, TP)):
        layer = lib.nn.Linear(2, 2)
        tools.register_parametrization(layer, "weight", lib.nn.Identity())
        made = tools.ParametrizationList([lib.nn.Identity(), lib.nn.Identity()], lib.nn.Parameter(lib.ones(2, 2)))
        assert isinstance(layer.parametrizations.weight, tools.ParametrizationList)
        seen.append((list(made.state_dict()), len(made), made.is_tensor, made().detach().cpu().numpy().tolist()))
        with pytest.raises(ValueError):
            tools.ParametrizationList([], lib.nn.Parameter(lib.ones(2, 2)))
    assert seen[0] == seen[1]
