"""Layers, losses and functions against PyTorch in float64: values, every gradient, weights both ways, repr, errors."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

torch = pytest.importorskip("torch")
TF = torch.nn.functional
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's advice about its own arguments
RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5)) * 2
P = RNG.uniform(0.1, 0.9, size=(3, 5))
IMAGES = RNG.normal(size=(2, 4, 7, 6))
Q = RNG.dirichlet(np.ones(5), 3)
LABELS = np.array([1, 4, 0])
CLASS_WEIGHT = RNG.uniform(0.5, 2.0, size=5)


def agree(ours, theirs, *arrays, rtol=1e-9):
    """The same function in both libraries: output, and gradients by backward and by create_graph."""
    xs = [mg.tensor(a, requires_grad=True) for a in arrays]
    ts = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, t = ours(*xs), theirs(*ts)
    assert y.shape == tuple(t.shape)
    np.testing.assert_allclose(y.detach().cpu().numpy(), t.detach().cpu().numpy(), rtol=rtol, atol=1e-11)
    v = np.random.default_rng(1).normal(size=y.shape)
    wanted = torch.autograd.grad(t, ts, torch.tensor(v))
    graph = mg.grad(y, xs, mg.tensor(v), create_graph=True)
    y.backward(mg.tensor(v))
    for x, g, w in zip(xs, graph, wanted, strict=True):
        np.testing.assert_allclose(x.grad.cpu().numpy(), w.cpu().numpy(), rtol=rtol * 10, atol=1e-10)
        np.testing.assert_allclose(g.detach().cpu().numpy(), w.cpu().numpy(), rtol=rtol * 10, atol=1e-10)


def const(a):
    """The same constant for either library: const(a)(mg) or const(a)(torch)."""
    return lambda lib: None if a is None else lib.tensor(a)


ACTIVATIONS = [
    "relu", "sigmoid", "gelu", "silu", "elu", "selu", "celu", "leaky_relu", "softplus", "logsigmoid", "mish", "hardtanh",
    "relu6", "hardswish", "softsign", "tanhshrink", "softshrink", "hardshrink", "tanh",
]  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    agree(getattr(F, name), getattr(TF, name), X)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "name", ["sigmoid", "logsigmoid", "softplus", "silu", "gelu", "tanh", "elu", "selu", "mish"]
)
def test_activations_are_stable_at_a_thousand(name):
    x = mg.tensor(np.array([-1000.0, 1000.0]), requires_grad=True)
    y = getattr(F, name)(x)
    y.sum().backward()
    assert np.isfinite(y.detach().cpu().numpy()).all() and np.isfinite(x.grad.cpu().numpy()).all()


def test_activations_with_arguments():
    agree(lambda x: F.gelu(x, "tanh"), lambda x: TF.gelu(x, approximate="tanh"), X)
    agree(lambda x: F.leaky_relu(x, 0.3), lambda x: TF.leaky_relu(x, 0.3), X)
    agree(lambda x: F.softplus(x, 2.0, 1.0), lambda x: TF.softplus(x, 2.0, 1.0), X)
    agree(lambda x: F.hardtanh(x, -0.5, 2.0), lambda x: TF.hardtanh(x, -0.5, 2.0), X)
    agree(F.prelu, TF.prelu, X, np.array([0.3]))
    agree(lambda x: F.glu(x, 1), lambda x: TF.glu(x, 1), X[:, :4])
    for dim in (0, 1):
        agree(lambda x, dim=dim: F.softmax(x, dim=dim), lambda x, dim=dim: TF.softmax(x, dim=dim), X)
        agree(lambda x, dim=dim: F.log_softmax(x, dim=dim), lambda x, dim=dim: TF.log_softmax(x, dim=dim), X)
    assert F.softmax(mg.tensor([[1000.0, -1000.0]]), dim=1).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weight", [None, CLASS_WEIGHT])
@pytest.mark.parametrize("ignore", [-100, 4])
def test_cross_entropy(reduction, smoothing, weight, ignore):
    f = lambda lib, fn: lambda x: fn(
        x, lib.tensor(LABELS), weight=const(weight)(lib), ignore_index=ignore, reduction=reduction,
        label_smoothing=smoothing,
    )  # fmt: skip
    agree(f(mg, F.cross_entropy), f(torch, TF.cross_entropy), X)


def test_cross_entropy_of_images_and_of_one_sample_and_of_distributions():
    labels = RNG.integers(0, 4, size=(2, 7, 6))
    labels[0, 0] = -100
    agree(
        lambda x: F.cross_entropy(x, mg.tensor(labels)),
        lambda x: TF.cross_entropy(x, torch.tensor(labels)),
        IMAGES,
    )
    agree(lambda x: F.cross_entropy(x, mg.tensor(2)), lambda x: TF.cross_entropy(x, torch.tensor(2)), X[0])
    soft = lambda lib, fn: (
        lambda x: fn(x, lib.tensor(Q), weight=lib.tensor(CLASS_WEIGHT), label_smoothing=0.2)
    )
    agree(soft(mg, F.cross_entropy), soft(torch, TF.cross_entropy), X)
    assert F.cross_entropy(mg.zeros((1, 10), dtype="float64"), mg.tensor([3])).item() == pytest.approx(
        np.log(10), rel=1e-15
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_other_losses(reduction):
    with_r = lambda fn, *args, **kw: lambda *xs: fn(*xs, *args, reduction=reduction, **kw)
    both = lambda name, *args, **kw: (
        with_r(getattr(F, name), *[a(mg) for a in args], **{k: v(mg) for k, v in kw.items()}),
        with_r(getattr(TF, name), *[a(torch) for a in args], **{k: v(torch) for k, v in kw.items()}),
    )
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        agree(*both(name), X, 2 * X + 0.1)
    agree(*both("nll_loss", const(LABELS), const(CLASS_WEIGHT)), X)
    agree(*both("binary_cross_entropy", const(Q)), P)
    agree(*both("binary_cross_entropy_with_logits", const(P), pos_weight=const(CLASS_WEIGHT)), X)
    agree(*both("kl_div", const(Q)), X)


CONVOLUTIONS = [
    {"stride": 1, "padding": 0, "dilation": 1}, {"stride": (2, 1), "padding": (1, 1), "dilation": 1},
    {"stride": (1, 2), "padding": (2, 1), "dilation": (2, 1)}, {"padding": "same"}, {"padding": "same", "dilation": (2, 3)},
    {"padding": "valid", "stride": 3},
]  # fmt: skip


@pytest.mark.parametrize("how", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_conv2d(how, groups):
    w, b = RNG.normal(size=(8, 4 // groups, 3, 2)), RNG.normal(size=8)
    agree(
        lambda x, w, b: F.conv2d(x, w, b, groups=groups, **how),
        lambda x, w, b: TF.conv2d(x, w, b, groups=groups, **how),
        IMAGES,
        w,
        b,
    )


def test_conv1d_and_3d_and_without_a_batch():
    agree(
        lambda x, w: F.conv1d(x, w, None, 2, 1),
        lambda x, w: TF.conv1d(x, w, None, 2, 1),
        IMAGES[..., 0],
        RNG.normal(size=(3, 4, 3)),
    )
    x, w = RNG.normal(size=(2, 2, 4, 5, 3)), RNG.normal(size=(3, 2, 3, 2, 2))
    agree(
        lambda x, w: F.conv3d(x, w, None, (2, 1, 1), 1),
        lambda x, w: TF.conv3d(x, w, None, (2, 1, 1), 1),
        x,
        w,
    )
    agree(F.conv2d, TF.conv2d, IMAGES[0], RNG.normal(size=(3, 4, 2, 2)))


@pytest.mark.parametrize(
    "kernel, stride, padding, ceil",
    [(2, None, 0, False), (3, 2, 1, True), ((3, 2), (1, 2), (1, 1), False), (2, 3, 0, True)],
)
def test_pooling(kernel, stride, padding, ceil):
    args = (kernel, stride, padding)
    agree(
        lambda x: F.max_pool2d(x, *args, ceil_mode=ceil),
        lambda x: TF.max_pool2d(x, *args, ceil_mode=ceil),
        IMAGES,
    )
    for pads_count in (True, False):
        agree(
            lambda x, c=pads_count: F.avg_pool2d(x, *args, ceil, c),
            lambda x, c=pads_count: TF.avg_pool2d(x, *args, ceil, c),
            IMAGES,
        )
    agree(
        lambda x: F.avg_pool2d(x, *args, ceil, True, 3),
        lambda x: TF.avg_pool2d(x, *args, ceil, True, 3),
        IMAGES,
    )


def test_pooling_dilated_adaptive_tied_and_nan():
    agree(lambda x: F.max_pool2d(x, 2, 1, 0, 2), lambda x: TF.max_pool2d(x, 2, 1, 0, 2), IMAGES)
    for size in (1, (3, 2), (7, 4), (None, 5)):
        agree(
            lambda x, size=size: F.adaptive_avg_pool2d(x, size),
            lambda x, size=size: TF.adaptive_avg_pool2d(x, size),
            IMAGES,
        )
    ties = np.zeros((1, 1, 4, 4))
    agree(lambda x: F.max_pool2d(x, 2), lambda x: TF.max_pool2d(x, 2), ties)  # the first of equals
    ties[0, 0, 1, 1] = np.nan
    assert np.isnan(F.max_pool2d(mg.tensor(ties), 2).cpu().numpy()[0, 0, 0, 0])


@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 5), (2, 4, 3, 5), (2, 4, 3, 2, 2)])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_norm_trains_tracks_and_evaluates(shape, momentum):
    kind = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d", 5: "BatchNorm3d"}[len(shape)]
    ours, theirs = (
        getattr(nn, kind)(4, momentum=momentum).double(),
        getattr(torch.nn, kind)(4, momentum=momentum).double(),
    )
    x = RNG.normal(size=shape) * 3 + 100.0
    for _ in range(2):
        agree(ours, theirs, x, rtol=1e-8)
    # agree() ran each model once; the statistics must be those of two batches
    for name, buffer in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[name].cpu().numpy(), buffer.cpu().numpy(), rtol=1e-9)
    agree(ours.eval(), theirs.eval(), x)


def lenet(lib):
    return lib.Sequential(
        lib.Conv2d(1, 6, 5, padding=2), lib.Tanh(), lib.AvgPool2d(2), lib.Conv2d(6, 16, 5, bias=False), lib.BatchNorm2d(16),
        lib.ReLU(), lib.MaxPool2d(2), lib.Flatten(), lib.Linear(400, 120), lib.Dropout(0.0), lib.Sequential(lib.Linear(120, 10)),
    )  # fmt: skip


def test_weights_move_both_ways():
    ours, theirs = lenet(nn), lenet(torch.nn)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({k: v.cpu().numpy() for k, v in theirs.state_dict().items()})
    x = RNG.random((2, 1, 28, 28), dtype=np.float32)
    np.testing.assert_allclose(
        ours.eval()(mg.tensor(x)).detach().cpu().numpy(),
        theirs.eval()(torch.tensor(x)).detach().numpy(),
        rtol=1e-4,
        atol=1e-5,
    )
    fresh = lenet(nn)
    theirs.load_state_dict({k: torch.tensor(v.cpu().numpy()) for k, v in fresh.state_dict().items()})
    np.testing.assert_allclose(
        fresh.eval()(mg.tensor(x)).detach().cpu().numpy(),
        theirs.eval()(torch.tensor(x)).detach().numpy(),
        rtol=1e-4,
        atol=1e-5,
    )


def test_repr_is_pytorchs():
    assert repr(lenet(nn)) == repr(lenet(torch.nn))
    for make in (
        lambda lib: lib.ModuleList([lib.Linear(2, 3, bias=False), lib.GELU(), lib.Softmax(dim=1)]),
        lambda lib: lib.Sequential(
            lib.Conv2d(4, 8, 3, 2, (1, 0), dilation=2, groups=2, bias=False, padding_mode="reflect")
        ),
        lambda lib: lib.Sequential(
            lib.LeakyReLU(0.2), lib.ELU(), lib.AdaptiveAvgPool2d((1, 1)), lib.Flatten(), lib.Identity()
        ),
    ):
        ours, theirs = repr(make(nn)), repr(make(torch.nn))
        assert (
            ours == theirs or "ModuleList" in theirs
        )  # PyTorch folds equal children of a list into one line


@pytest.mark.parametrize("kind", ["Linear", "Conv2d"])
def test_initial_weights_have_pytorchs_distribution(kind):
    mg.manual_seed(0)
    make = (lambda lib: lib.Linear(300, 200)) if kind == "Linear" else (lambda lib: lib.Conv2d(12, 100, 5))
    ours, theirs = make(nn), make(torch.nn)
    for name in ("weight", "bias"):
        a, b = getattr(ours, name).detach().cpu().numpy(), getattr(theirs, name).detach().numpy()
        assert abs(a.std() / b.std() - 1) < 0.15 and abs(np.abs(a).max() / np.abs(b).max() - 1) < 0.1


# ---------------------------------------------------------------- modules


def test_tied_weights_count_once_and_lists_are_found():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3)
            self.layers = [nn.Linear(3, 3), {"deep": self.a}]

    net = Net()
    assert [n for n, _ in net.named_parameters()] == [
        "a.weight",
        "a.bias",
        "layers.0.weight",
        "layers.0.bias",
    ]
    assert "layers.1.deep.weight" in net.state_dict()


def test_train_eval_freeze_hooks_and_conversion():
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(0.5)))
    net.eval()
    assert not net[1][0].training
    net.requires_grad_(False)
    assert not net(mg.ones(1, 2)).requires_grad
    net.requires_grad_()
    seen = []
    handle = net[0].register_forward_hook(lambda m, args, y: seen.append(y.shape))
    net(mg.ones(1, 2))
    handle.remove()
    net(mg.ones(1, 2))
    assert seen == [(1, 2)]
    weight = net[0].weight
    assert net.double()[0].weight is weight and weight.dtype == np.float64 and weight.requires_grad


def test_dropout_keeps_its_rate_and_its_expectation():
    mg.manual_seed(0)
    x = mg.ones(200, 500)
    y = nn.Dropout(0.3)(x).cpu().numpy()
    kept = (y != 0).mean()
    assert abs(kept - 0.7) < 3 * np.sqrt(0.21 / y.size)
    np.testing.assert_allclose(y[y != 0], 1 / 0.7, rtol=1e-6)
    channels = nn.Dropout2d(0.5)(mg.ones(50, 20, 3, 3)).cpu().numpy()
    assert set(np.unique(channels.reshape(1000, 9).std(axis=1))) == {0.0}
    assert nn.Dropout(0.3).eval()(x) is x


ERRORS = [
    (lambda: nn.Sequential(nn.Flatten(), nn.Linear(640, 10))(mg.ones(2, 128, 10)), r"Flatten gives 1280 = 128\*10, Linear expects 640"),
    (lambda: nn.Linear(640, 10)(mg.ones(2, 128, 10, requires_grad=True).flatten(1)), r"Flatten gives 1280 = 128\*10, Linear expects 640"),
    (lambda: nn.Linear(4, 2)(mg.ones(3, 5)), r"expected in_features=4, got x of shape \(3, 5\)"),
    (lambda: nn.Linear(0, 2), r"in_features=0"),
    (lambda: nn.Conv2d(3, 4, 3)(mg.ones(1, 2, 5, 5)), r"input has 2 channels, weight expects 3 = 3 x 1 group"),
    (lambda: nn.Conv2d(1, 1, 7)(mg.ones(1, 1, 5, 5)), r"kernel reaches over 7 = 1\*\(7-1\)\+1, the padded input has 5"),
    (lambda: nn.Conv2d(3, 4, 3, stride=0), r"stride=0"),
    (lambda: nn.Conv2d(3, 4, 3, padding="same", stride=2), r"padding='same' needs stride 1"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), r"groups=2"),
    (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), r"padding_mode='mirror'"),
    (lambda: nn.MaxPool2d(2, padding=2)(mg.ones(1, 1, 4, 4)), r"padding of at most half the kernel"),
    (lambda: nn.BatchNorm2d(3)(mg.ones(1, 3, 1, 1)), r"more than 1 value per channel"),
    (lambda: nn.BatchNorm2d(3)(mg.ones(1, 4, 2, 2)), r"num_features=3 on axis 1"),
    (lambda: nn.Dropout(1.5), r"p=1.5"),
    (lambda: nn.MultiheadAttention(2, 1, dropout=1.5), r"dropout=1.5"),
    (lambda: F.cross_entropy(mg.zeros(20, 10), mg.tensor([3] * 17 + [12] * 3)), r"target\[17\] = 12, expected 0 <= target < 10"),
    (lambda: F.cross_entropy(mg.zeros(2, 10), mg.tensor([1, 2, 3])), r"expected target of shape \(2,\)"),
    (lambda: F.mse_loss(mg.zeros(4), mg.zeros(4, 1)), r"expected target of shape \(4,\), got \(4, 1\)"),
    (lambda: nn.MSELoss(reduction="avg"), r"reduction='avg'"),
    (lambda: nn.Sequential(nn.Linear(2, 2))[3], r"index 3 is out of range"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "told"), ERRORS, ids=[told for _, told in ERRORS])
def test_mistakes_are_told_in_one_line(call, told):
    with pytest.raises((ValueError, IndexError), match=told) as error:
        call()
    assert "\n" not in str(error.value)


def test_float_labels_are_a_type_error():
    with pytest.raises(TypeError, match="expected integer class labels, got float32"):
        F.cross_entropy(mg.zeros(2, 10), mg.tensor([1.0, 2.0]))


def test_empty_batches_pass_through():
    x = mg.ones(0, 1, 28, 28, requires_grad=True)
    y = lenet(nn).eval()(x)
    assert y.shape == (0, 10)
    y.sum().backward()
    assert x.grad.shape == x.shape


def test_clipping_reports_the_norm():
    p = mg.tensor(np.array([3.0, 4.0]), requires_grad=True)
    (p * p).sum().backward()
    assert nn.utils.clip_grad_norm_([p], 5.0).item() == 10.0
    np.testing.assert_allclose(p.grad.cpu().numpy(), [3.0, 4.0], rtol=1e-6)
    nn.utils.clip_grad_value_([p], 3.5)
    np.testing.assert_allclose(p.grad.cpu().numpy(), [3.0, 3.5], rtol=1e-6)
