"""Initial values: the fixed ones equal PyTorch's, the random ones have its distribution, mistakes are refused."""

import inspect

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn import init

torch = pytest.importorskip("torch")
theirs = torch.nn.init
SHAPE = (200, 50, 3)


def drawn(name, *args, shape=SHAPE, **how):
    return getattr(init, name)(mg.zeros(shape), *args, **how).cpu().numpy()


def test_names_and_arguments_are_pytorchs():
    names = [n for n in vars(theirs) if n.endswith("_") and not n.startswith("_")] + ["calculate_gain"]
    assert len(names) == 15
    for name in names:
        ours, other = (inspect.signature(getattr(lib, name)).parameters for lib in (init, theirs))
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in other.values()], name


@pytest.mark.parametrize(
    ("name", "args", "shape"),
    [
        ("zeros_", (), (2, 3)), ("ones_", (), (2, 3)), ("constant_", (0.7,), (2, 3)), ("eye_", (), (3, 5)),
        ("dirac_", (), (4, 3, 3)), ("dirac_", (2,), (6, 2, 3, 2)), ("dirac_", (), (2, 5, 1, 2, 3)),
    ],
)  # fmt: skip
def test_fixed_values(name, args, shape):
    expected = getattr(theirs, name)(torch.empty(shape), *args).numpy()
    np.testing.assert_array_equal(drawn(name, *args, shape=shape), expected)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("uniform_", {"a": -2.0, "b": 3.0}), ("normal_", {"mean": 1.0, "std": 0.3}),
        ("xavier_uniform_", {"gain": 1.7}), ("xavier_normal_", {"gain": 1.7}),
        ("kaiming_uniform_", {"a": 0.3, "mode": "fan_out"}), ("kaiming_normal_", {"nonlinearity": "relu"}),
        ("trunc_normal_", {"std": 1.5}), ("orthogonal_", {"gain": 2.0}), ("sparse_", {"sparsity": 0.3, "std": 2.0}),
    ],
)  # fmt: skip
def test_distributions(name, how):
    shape = (300, 100) if name == "sparse_" else SHAPE
    mg.manual_seed(0), torch.manual_seed(0)
    ours = drawn(name, shape=shape, **how).ravel()
    other = getattr(theirs, name)(torch.empty(shape), **how).numpy().ravel()
    levels = np.linspace(0.01, 0.99, 99)
    gap = np.abs(np.quantile(ours, levels) - np.quantile(other, levels)).max()
    assert gap < 0.1 * other.std(), "the quantiles of 30,000 numbers, to three standard errors"
    assert abs(np.abs(ours).max() / np.abs(other).max() - 1) < 0.35


def test_orthogonal_rows_and_columns():
    for shape in ((3, 8), (8, 3), (4, 2, 2)):
        w = drawn("orthogonal_", shape=shape).reshape(shape[0], -1)
        small = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        np.testing.assert_allclose(small, np.eye(len(small)), atol=1e-6)


def test_sparse_columns_have_the_same_number_of_zeros():
    assert set((drawn("sparse_", 0.25, shape=(10, 7)) == 0).sum(0)) == {3}


@pytest.mark.parametrize("name", ["linear", "conv2d", "conv_transpose1d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gains(name):
    assert init.calculate_gain(name) == pytest.approx(theirs.calculate_gain(name), rel=1e-15)
    assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(theirs.calculate_gain("leaky_relu", 0.3), rel=1e-15)


@pytest.mark.parametrize(
    "call",
    [
        lambda lib, new: lib.eye_(new(2, 3, 4)), lambda lib, new: lib.dirac_(new(2, 3)), lambda lib, new: lib.dirac_(new(3, 3, 3), 2),
        lambda lib, new: lib.sparse_(new(2, 3, 4), 0.1), lambda lib, new: lib.xavier_uniform_(new(3)), lambda lib, new: lib.orthogonal_(new(3)),
        lambda lib, new: lib.normal_(new(2, 3), 0.0, -1.0), lambda lib, new: lib.uniform_(new(2, 3), 2.0, 1.0),
        lambda lib, new: lib.kaiming_normal_(new(2, 3), mode="fan"), lambda lib, new: lib.calculate_gain("nothing"),
    ],
)  # fmt: skip
def test_what_pytorch_refuses_is_refused(call):
    from against_torch import both_reject

    both_reject(lambda: call(init, lambda *s: mg.zeros(s)), lambda: call(theirs, torch.zeros))


def test_the_array_of_a_weight_is_written_too():
    """`init.normal_(layer.weight.data, 0.0, 0.02)`, as many listings say it."""
    w = mg.zeros(20, 30, requires_grad=True)
    for name, args in (("normal_", ()), ("uniform_", ()), ("constant_", (3.0,)), ("xavier_normal_", ()), ("kaiming_uniform_", ()), ("orthogonal_", ()), ("trunc_normal_", ()), ("sparse_", (0.1,)), ("eye_", ())):
        before = w.detach().cpu().numpy().copy()
        getattr(init, name)(w.data, *args)
        assert not np.array_equal(w.detach().cpu().numpy(), before), name
