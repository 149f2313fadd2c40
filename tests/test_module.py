"""Modules and containers: loading is all or nothing, containers and layers are PyTorch's."""

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
    before = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    state = {k: mg.tensor(v + 1) for k, v in before.items()}
    del state["0.bias"]
    state["extra.key"] = mg.zeros(3)
    state["2.weight"] = mg.zeros((7, 7))
    with pytest.raises((ValueError, KeyError, RuntimeError)) as caught:
        model.load_state_dict(state)
    assert all(name in str(caught.value) for name in ("0.bias", "extra.key", "2.weight"))
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_what_was_loaded_is_a_copy():
    model = nn.Linear(3, 2)
    source = np.ones((2, 3), np.float32)
    model.load_state_dict({"weight": mg.tensor(source), "bias": mg.zeros(2)})
    source[:] = 7
    np.testing.assert_array_equal(model.weight.detach().numpy(), np.ones((2, 3)))


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

    with pytest.raises(TypeError, match="forward"):
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
    np.testing.assert_allclose(y.detach().numpy(), s.detach().numpy(), rtol=1e-10, atol=1e-12)
    y.sum().backward()
    s.sum().backward()
    rtol = 1e-7 if name == "Hardsigmoid" else 1e-10  # PyTorch's slope there is 1/6 rounded to float32
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=rtol, atol=1e-12)


def test_a_wrong_width_after_flatten_says_the_arithmetic():
    with pytest.raises(ValueError, match=r"1280 = 128\*10.*640"):
        nn.Sequential(nn.Flatten(), nn.Linear(640, 10))(mg.zeros((2, 128, 10)))


@pytest.mark.parametrize("label", [-1, 12])
def test_the_first_bad_label_is_named(label):
    labels = np.zeros(20, int)
    labels[17] = label
    with pytest.raises((ValueError, IndexError), match=rf"target\[17\] = {label}"):
        F.cross_entropy(mg.zeros((20, 10)), mg.tensor(labels))
