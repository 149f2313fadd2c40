"""Modules and containers: loading is all or nothing, containers and layers are PyTorch's."""

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

torch = pytest.importorskip("torch")
X = np.random.default_rng(0).normal(size=(3, 6)) * 2


def test_a_load_that_fails_names_every_key_and_changes_nothing():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    before = {k: v.cpu().numpy().copy() for k, v in model.state_dict().items()}
    state = {k: mg.tensor(v + 1) for k, v in before.items()}
    del state["0.bias"]
    state["extra.key"] = mg.zeros(3)
    state["2.weight"] = mg.zeros((7, 7))
    with pytest.raises((ValueError, KeyError, RuntimeError)) as caught:
        model.load_state_dict(state)
    assert all(name in str(caught.value) for name in ("0.bias", "extra.key", "2.weight"))
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.cpu().numpy(), before[name])


def test_a_value_that_is_no_number_changes_nothing():
    layer = nn.Linear(2, 1)
    before = layer.weight.detach().cpu().numpy().copy()
    with pytest.raises(ValueError):
        layer.load_state_dict({"weight": np.ones((1, 2)), "bias": np.array(["x"])})
    np.testing.assert_array_equal(layer.weight.detach().cpu().numpy(), before)


def test_what_was_loaded_is_a_copy():
    model = nn.Linear(3, 2)
    source = np.ones((2, 3), np.float32)
    model.load_state_dict({"weight": mg.tensor(source), "bias": mg.zeros(2)})
    source[:] = 7
    np.testing.assert_array_equal(model.weight.detach().cpu().numpy(), np.ones((2, 3)))


@pytest.mark.parametrize("lib", [nn, torch.nn], ids=["ours", "pytorch"])
def test_sequential_is_a_list(lib):
    model = lib.Sequential(OrderedDict(first=lib.Linear(3, 4), act=lib.ReLU(), last=lib.Linear(4, 2)))
    assert len(model) == 3 and model[-1] is model.last and list(model)[1] is model.act
    assert [name for name, _ in model[:2].named_parameters()] == ["first.weight", "first.bias"]
    model.append(lib.Tanh())
    assert list(dict(model.named_children())) == ["first", "act", "last", "3"]


def test_a_module_without_forward_says_so():
    class Nothing(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="forward"):
        Nothing()(mg.zeros(1))


def test_handles_remove_their_hooks():
    seen, layer = [], nn.Linear(2, 2)
    handle = layer.register_forward_hook(lambda module, args, out: seen.append(out.shape))
    layer(mg.zeros((1, 2)))
    handle.remove()
    layer(mg.zeros((1, 2)))
    assert seen == [(1, 2)]


LAYERS = [
    "ReLU", "ReLU6", "SELU", "SiLU", "Mish", "Hardswish", "Hardsigmoid", "Sigmoid", "Tanh", "LogSigmoid",
    "Softsign",
    "Tanhshrink", "LeakyReLU", "ELU", "CELU", "GELU", "Softplus", "Hardtanh", "Softshrink", "Hardshrink",
    "PReLU",
    "GLU",
]


@pytest.mark.parametrize("name", LAYERS)
def test_activation_layers_are_pytorchs(name):
    ours, theirs = getattr(nn, name)().double(), getattr(torch.nn, name)().double()
    assert repr(ours) == repr(theirs)
    x, t = mg.tensor(X, requires_grad=True), torch.tensor(X, requires_grad=True)
    y, s = ours(x), theirs(t)
    np.testing.assert_allclose(y.detach().cpu().numpy(), s.detach().cpu().numpy(), rtol=1e-10, atol=1e-12)
    y.sum().backward()
    s.sum().backward()
    rtol = 1e-7 if name == "Hardsigmoid" else 1e-10  # PyTorch's slope there is 1/6 rounded to float32
    np.testing.assert_allclose(x.grad.cpu().numpy(), t.grad.cpu().numpy(), rtol=rtol, atol=1e-12)


def test_a_wrong_width_after_flatten_says_the_arithmetic():
    with pytest.raises(ValueError, match=r"1280 = 128\*10.*640"):
        nn.Sequential(nn.Flatten(), nn.Linear(640, 10))(mg.zeros((2, 128, 10)))


@pytest.mark.parametrize("label", [-1, 12])
def test_the_first_bad_label_is_named(label):
    labels = np.zeros(20, int)
    labels[17] = label
    with pytest.raises((ValueError, IndexError), match=rf"target\[17\] = {label}"):
        F.cross_entropy(mg.zeros((20, 10)), mg.tensor(labels))


# ---------------------------------------------------------------- against PyTorch: the tree, names, hooks, containers


def both(build):
    """The same tree in both libraries."""
    torch = pytest.importorskip("torch")
    return build(nn, mg), build(torch.nn, torch)


def small(nn, lib):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self._stem = nn.Linear(2, 3)  # a leading underscore hides nothing
            self.blocks = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3), nn.ReLU())])
            self.named = nn.ModuleDict({"a": nn.Linear(3, 1), "b": nn.BatchNorm1d(3)})
            self.scales = nn.ParameterList([lib.zeros(2), 7])
            self.table = nn.ParameterDict({"w": lib.zeros(3), "note": "text"})
            self.mean = nn.Buffer(lib.zeros(3), persistent=False)
            self.twin = self._stem

        def forward(self, x):
            return self.named["a"](self.blocks[0](self._stem(x)))

    return Net()


def test_the_tree_is_pytorchs():
    ours, theirs = both(small)
    for how in ({}, {"remove_duplicate": False}, {"prefix": "net"}):
        assert [n for n, _ in ours.named_modules(**how)] == [n for n, _ in theirs.named_modules(**how)]
        assert [n for n, _ in ours.named_parameters(**how)] == [n for n, _ in theirs.named_parameters(**how)]
        assert [n for n, _ in ours.named_buffers(**how)] == [n for n, _ in theirs.named_buffers(**how)]
    assert [n for n, _ in ours.named_children()] == [n for n, _ in theirs.named_children()]
    assert len(list(ours.parameters(recurse=False))) == len(list(theirs.parameters(recurse=False)))
    assert list(ours.state_dict(prefix="p.")) == list(theirs.state_dict(prefix="p."))
    assert isinstance(ours.state_dict(keep_vars=True)["_stem.weight"], nn.Parameter)
    for name in ("blocks.2.0", "named.b", ""):
        assert type(ours.get_submodule(name)).__name__ == type(theirs.get_submodule(name)).__name__
    assert ours.get_parameter("blocks.0.weight") is ours.blocks[0].weight
    assert ours.get_buffer("named.b.running_mean") is ours.named["b"].running_mean
    for bad in (lambda m: m.get_submodule("no.such"), lambda m: m.get_parameter("mean"), lambda m: m.get_buffer("_stem.weight")):
        for module in (ours, theirs):
            with pytest.raises(AttributeError):
                bad(module)
    for net, lib in ((ours, nn), (theirs, pytest.importorskip("torch").nn)):
        net.set_submodule("named.a", lib.Identity())
        net.add_module("late", lib.Linear(1, 1))
        net.register_module("later", lib.Linear(1, 1))
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_repr_of_containers_is_pytorchs():
    for build in (
        lambda nn, lib: nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU(), nn.Sequential(nn.Linear(2, 2), nn.Tanh())]),
        lambda nn, lib: nn.ModuleDict({"a": nn.Linear(2, 3)}),
        lambda nn, lib: nn.ModuleList(),
        lambda nn, lib: (lambda relu: nn.Sequential(nn.Linear(2, 2), relu, nn.Linear(2, 2), relu))(nn.ReLU()),  # one object, shown twice
        lambda nn, lib: nn.Linear(2, 2).load_state_dict({}, strict=False),
        lambda nn, lib: nn.ReLU().load_state_dict({}),
    ):
        ours, theirs = both(build)
        assert repr(ours) == repr(theirs)


def sequence_of_edits(nn, lib):
    """Every method of the containers once; returns what can be seen."""
    linear = lambda k: nn.Linear(k, 1)
    s, m = nn.Sequential(linear(1), linear(2)), nn.ModuleList([linear(1)])
    s.append(linear(3)).insert(0, linear(4)).extend([linear(5), linear(6)])
    s.pop(1), s.pop(-1)
    s[0] = linear(7)
    del s[1:2]
    s = (s + nn.Sequential(linear(8))) * 2
    s *= 2
    m += [linear(2), linear(3)]
    m.insert(1, linear(4))
    m = m + [linear(9)]
    m.pop(0)
    d = nn.ModuleDict({"x": linear(1), "y": linear(2)})
    d.update([("z", linear(3))])
    d.pop("x")
    p = nn.ParameterDict({"u": lib.zeros(2)})
    p.setdefault("v", lib.zeros(3)), p.popitem(), p.update({"w": lib.zeros(4)})
    p = p | nn.ParameterDict({"k": lib.zeros(1)})
    sizes = lambda module: [tuple(v.shape) for v in module.parameters()]
    return [sizes(s), list(dict(s.named_children())), sizes(s[1:3]), sizes(m), sizes(d), list(d.keys()), list(p.keys()), sizes(p), list(reversed(p))]


def test_containers_edit_as_pytorchs():
    ours, theirs = both(sequence_of_edits)
    assert ours == theirs


@pytest.mark.parametrize(
    "call",
    [
        lambda nn, lib: nn.Sequential(3),
        lambda nn, lib: nn.ModuleList([3]),
        lambda nn, lib: nn.ModuleDict({"a.b": nn.Linear(1, 1)}),
        lambda nn, lib: nn.ModuleDict({"forward": nn.Linear(1, 1)}),
        lambda nn, lib: nn.Sequential(nn.ReLU())[1],
        lambda nn, lib: nn.Sequential(nn.ReLU()) * 0,
        lambda nn, lib: nn.ModuleDict({"a": nn.ReLU()})["b"],
        lambda nn, lib: nn.Linear(1, 1).add_module("x", 3),
        lambda nn, lib: nn.Linear(1, 1).register_buffer("x.y", lib.zeros(1)),
        lambda nn, lib: nn.Linear(1, 1).register_parameter("x", lib.zeros(1)),
        lambda nn, lib: nn.Linear(1, 1).set_submodule("", nn.Linear(1, 1)),
        lambda nn, lib: nn.Linear(1, 1).train(1),
        lambda nn, lib: setattr(nn.Linear(1, 1), "weight", lib.ones(1, 1)),  # it would not be learned
        lambda nn, lib: setattr(nn.Sequential(nn.ReLU()), "0", lib.relu),
        lambda nn, lib: setattr(nn.BatchNorm1d(2), "running_mean", 0.0),  # it would leave the state
        lambda nn, lib: nn.Sequential(nn.ReLU()).register_buffer("0", lib.ones(1)),
        lambda nn, lib: nn.Linear(1, 1).register_buffer("weight", lib.ones(1)),
        lambda nn, lib: nn.Linear(1, 1).register_parameter("in_features", nn.Parameter(lib.ones(1))),
        lambda nn, lib: nn.BatchNorm1d(2).register_parameter("running_mean", nn.Parameter(lib.ones(2))),
        lambda nn, lib: nn.Linear(1, 1).add_module("weight", nn.ReLU()),
    ],
)
def test_what_pytorch_refuses_is_refused(call):
    torch = pytest.importorskip("torch")
    with pytest.raises((TypeError, ValueError, KeyError, IndexError)):
        call(torch.nn, torch)
    with pytest.raises((TypeError, ValueError, KeyError, IndexError)):
        call(nn, mg)


def reassigned(nn, lib):
    """What stays a buffer or parameter when its attribute is set again."""
    m = nn.Module()
    m.mean = nn.Buffer(lib.zeros(2), persistent=True)
    m.seen = nn.Buffer(lib.zeros(1), persistent=False)
    m.mean, m.seen = m.mean * 0.9 + 1.0, m.seen + 1.0
    m.register_buffer("late", None)
    m.late = lib.ones(3)
    m.scale = nn.Parameter(lib.ones(1))
    m.scale = None
    m.scale = nn.Parameter(lib.zeros(1))
    m.part = nn.ReLU()
    m.part = nn.Linear(1, 1, bias=False)
    m.register_buffer("gone", lib.ones(1))
    del m.gone
    m.gone = lib.ones(1)
    m.learned = nn.Buffer(lib.zeros(1), persistent=False)
    m.learned = nn.Parameter(lib.zeros(1))
    m.register_buffer("unsaved", nn.Buffer(lib.zeros(1)), persistent=False)
    m.more = nn.ModuleList([nn.ReLU(), nn.Tanh()])
    delattr(m.more, "0")
    m.more.extend([nn.Linear(1, 1, bias=False), nn.Bilinear(1, 1, 1, bias=False)])
    return sorted(n for n, _ in m.named_buffers()), sorted(m.state_dict()), m.state_dict()["mean"].tolist()


def test_attributes_set_again_are_what_pytorchs_are():
    ours, theirs = both(reassigned)
    assert ours == theirs


def test_a_sequential_with_attributes_of_its_own():
    class Block(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(2, 3), nn.ReLU())
            self.out_channels = 3

    assert len(Block()) == 2 and Block()(mg.zeros(1, 2)).shape == (1, 3)


def hooked(nn, lib):
    """What hooks see and change, forwards and backwards."""
    seen = []
    layer = nn.Linear(2, 2)
    with lib.no_grad():
        layer.weight.copy_(lib.tensor([[1.0, 2.0], [3.0, 4.0]]))
        layer.bias.copy_(lib.tensor([0.5, -0.5]))
    layer.register_forward_pre_hook(lambda m, args, kw: ((args[0] * 2.0,), kw), with_kwargs=True)
    layer.register_forward_hook(lambda m, args, y: seen.append(("forward", y.detach().cpu().numpy().tolist())))
    layer.register_forward_hook(lambda m, args, y: y * 3.0, prepend=True)
    layer.register_full_backward_pre_hook(lambda m, go: (go[0] * 10.0,))
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(("backward", gi[0].cpu().numpy().tolist(), go[0].cpu().numpy().tolist())))
    handle = layer.register_full_backward_hook(lambda m, gi, go: (gi[0] + 1.0,))
    x = lib.tensor([[1.0, -1.0]], requires_grad=True)
    layer(x).sum().backward()
    seen += [x.grad.cpu().numpy().tolist(), layer.weight.grad.cpu().numpy().tolist()]
    handle.remove()
    x.grad = None
    layer(x).sum().backward()
    return [*seen, x.grad.cpu().numpy().tolist()]


def test_hooks_see_and_change_what_pytorchs_do():
    ours, theirs = both(hooked)
    assert ours == theirs


def test_a_backward_hook_is_called_once_under_double_backward():
    """The gradient of a gradient need not come by the module's output: then there is nothing for the hook to see."""
    def twice(nn, lib):
        calls, layer, x = [], nn.Tanh(), lib.tensor([0.5], requires_grad=True)
        layer.register_full_backward_hook(lambda m, gi, go: calls.append(go[0].detach().cpu().numpy().tolist()))
        grad = lib.autograd.grad if lib is not mg else mg.grad
        (g,) = grad(layer(x).sum(), [x], create_graph=True)
        (g * g).sum().backward()
        return len(calls), round(float(x.grad[0].detach()), 5)

    ours, theirs = both(twice)
    assert ours == theirs


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_of_modules_are_pytorchs(again):
    """Gradients stay behind, and what was not saved is not saved."""
    def copied(nn, lib):
        m = nn.Linear(2, 1)
        m.seen = nn.Buffer(lib.zeros(1), persistent=False)
        m(lib.ones(1, 2)).sum().backward()
        two = again(m)
        two.other = again(nn.Buffer(lib.zeros(1)))
        return list(two.state_dict()), [n for n, _ in two.named_buffers()], [p.grad is None for p in two.parameters()], type(two.weight).__name__

    ours, theirs = both(copied)
    assert ours == theirs
    listed = nn.Module()
    listed.all = [nn.Buffer(mg.zeros(1), persistent=False)]
    assert not again(listed).state_dict()


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_a_backward_hook_is_called_where_no_input_requires_grad():
    """The first layer of a network: its gradients are there to be looked at, and not to be changed."""
    def looked_at(nn, lib):
        seen, layer = [], nn.Bilinear(2, 2, 1)
        layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].cpu().numpy().tolist())))
        layer(lib.ones(1, 2), lib.ones(1, 2)).sum().backward()
        layer.register_full_backward_hook(lambda m, gi, go: (lib.ones(1, 2), None))
        with pytest.raises((ValueError, RuntimeError), match="no input"):
            layer(lib.ones(1, 2), lib.ones(1, 2)).sum().backward()
        return seen[0]

    ours, theirs = both(looked_at)
    assert ours == theirs == ((None, None), [[1.0]])


def test_an_always_called_hook_is_called_after_an_error():
    calls = []
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda m, args, y: calls.append(y), always_call=True)
    with pytest.raises(ValueError):
        layer(mg.zeros(1, 3))
    assert calls == [None]


def stateful(nn, lib):
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.count = nn.Linear(1, 1), 3

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    first, second = Counter(), Counter()
    first.count = 8
    seen = []
    first.register_state_dict_post_hook(lambda m, state, prefix, meta: seen.append(list(state)))
    second.register_load_state_dict_post_hook(lambda m, keys: seen.append((list(keys.missing_keys), list(keys.unexpected_keys))))
    state = first.state_dict()
    second.load_state_dict(state)
    del state["inner.bias"]
    second.load_state_dict(state, strict=False)
    return [*seen, second.count]


def test_extra_state_and_state_hooks():
    ours, theirs = both(stateful)
    assert ours == theirs


def test_assign_takes_the_dtype_and_a_copy():
    layer = nn.Linear(2, 2)
    weight = layer.weight
    layer.load_state_dict({"weight": np.ones((2, 2)), "bias": np.zeros(2)}, assign=True)
    assert layer.weight is weight and layer.weight.dtype == np.float64 and layer.weight.requires_grad
