"""Pooling against PyTorch over shapes and options, and against itself."""

import inspect

import numpy as np
import pytest
from against_torch import agree, behaves, both_reject, modules_agree
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

torch = pytest.importorskip("torch")
TF, tnn = torch.nn.functional, torch.nn
many = settings(max_examples=25, deadline=None, derandomize=True)
RNG = np.random.default_rng(0)
DIMS = st.sampled_from([1, 1, 2, 2, 2, 3])


def pair(name):
    """The function of both libraries."""
    return getattr(F, name), getattr(TF, name)


@st.composite
def images(draw, batches=True, ties=True):
    """(dims, x): a few small images; some whole numbers, with many equal."""
    dims = draw(DIMS)
    lead = (2, 3) if not batches or draw(st.booleans()) else (3,)
    shape = (*lead, *[draw(st.integers(1, 7 if dims < 3 else 4)) for _ in range(dims)])
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.integers(0, 3, shape).astype(float) if ties and draw(st.booleans()) else rng.normal(size=shape)
    return dims, x


def per_axis(draw, dims, low, high):
    """A number, or one an axis."""
    numbers = st.integers(low, high)
    return draw(st.one_of(numbers, st.tuples(*[numbers] * dims)))


@st.composite
def pooling(draw, dims):
    """kernel_size, stride, padding, ceil_mode."""
    kernel = per_axis(draw, dims, 1, 4)
    stride = per_axis(draw, dims, 1, 3) if draw(st.booleans()) else None
    least = kernel if isinstance(kernel, int) else min(kernel)
    return kernel, stride, per_axis(draw, dims, 0, least // 2), draw(st.booleans())


def accepted(theirs, ours, x):
    """What PyTorch refuses (a window that does not fit) we refuse too; True if there is something to compare."""
    try:
        theirs(torch.tensor(x))
    except RuntimeError:
        with pytest.raises(ValueError, match=":"):
            ours(mg.tensor(x))
        return False
    return True


# ---------------------------------------------------------------- maximum


@many
@given(st.data(), images(), st.booleans())
def test_max_pool(data, case, indices):
    dims, x = case
    kernel, stride, padding, ceil = data.draw(pooling(dims))
    f, g = pair(f"max_pool{dims}d")
    ours, theirs = (lambda t, h=h: h(t, kernel, stride, padding, 1, ceil, indices) for h in (f, g))
    if accepted(theirs, ours, x):
        agree(ours, theirs, x)


@many
@given(images(), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_dilated_max_pool(case, kernel, stride, dilation, indices):
    dims, x = case
    f, g = pair(f"max_pool{dims}d")
    ours, theirs = (lambda t, h=h: h(t, kernel, stride, 0, dilation, False, indices) for h in (f, g))
    if accepted(theirs, ours, x):
        agree(ours, theirs, x)


@many
@given(images(), st.integers(2, 3), st.integers(1, 3), st.integers(2, 3), st.booleans())
def test_dilated_max_pool_with_a_border(case, kernel, stride, dilation, ceil):
    """Here PyTorch crashes: the indices point at what the plain form finds."""
    dims, x = case
    how = {"kernel_size": kernel, "stride": stride, "padding": 1, "dilation": dilation, "ceil_mode": ceil}
    f = getattr(F, f"max_pool{dims}d")
    try:
        y, index = f(mg.tensor(x), **how, return_indices=True)
    except ValueError:
        return
    assert np.array_equal(y.cpu().numpy(), f(mg.tensor(x), **how).cpu().numpy())
    flat = x.reshape(*x.shape[:-dims], -1)
    assert np.array_equal(np.take_along_axis(flat, index.cpu().numpy().reshape(*x.shape[:-dims], -1), -1).ravel(), y.cpu().numpy().ravel())


@pytest.mark.parametrize("options", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 1, "padding": 1}])
def test_max_pool_of_nan_and_of_minus_infinity(options):
    a = RNG.normal(size=(1, 2, 4, 4))
    a[0, 0, 0, 1] = a[0, 0, 1, 0] = np.nan
    a[0, 1] = -np.inf
    x, t = mg.tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
    y, z = F.max_pool2d(x, **options), TF.max_pool2d(t, **options)
    v = RNG.normal(size=y.shape)
    y.backward(mg.tensor(v)), z.backward(torch.tensor(v))
    np.testing.assert_array_equal(y.detach().cpu().numpy(), z.detach().cpu().numpy())
    np.testing.assert_allclose(x.grad.cpu().numpy(), t.grad.cpu().numpy(), rtol=1e-12)
    found, index = F.max_pool2d(x, **options, return_indices=True)
    np.testing.assert_array_equal(found.detach().cpu().numpy(), z.detach().cpu().numpy())
    np.testing.assert_array_equal(index.cpu().numpy(), TF.max_pool2d(t, **options, return_indices=True)[1].numpy())


@pytest.mark.parametrize(("name", "size"), [("max_pool2d", 2), ("adaptive_max_pool2d", 3)])
def test_forms_that_always_return_indices(name, size):
    f, g = pair(f"{name}_with_indices")
    agree(lambda t: f(t, size), lambda t: g(t, size), RNG.normal(size=(2, 3, 6, 6)))


# ---------------------------------------------------------------- means


@many
@given(st.data(), images(ties=False), st.booleans(), st.sampled_from([None, None, 3, -2]))
def test_avg_pool(data, case, pads_count, divisor):
    dims, x = case
    kernel, stride, padding, ceil = data.draw(pooling(dims))
    f, g = pair(f"avg_pool{dims}d")
    last = () if dims == 1 else (divisor,)
    ours, theirs = (lambda t, h=h: h(t, kernel, stride, padding, ceil, pads_count, *last) for h in (f, g))
    if accepted(theirs, ours, x):
        agree(ours, theirs, x)


@settings(many, max_examples=15)
@given(st.data(), images(batches=False), st.sampled_from([1, 2, 3.0, 2.5, float("inf"), -float("inf")]))
def test_lp_pool(data, case, power):
    dims, x = case
    kernel, stride, _, ceil = data.draw(pooling(dims))
    f, g = pair(f"lp_pool{dims}d")
    assume(dims > 1 or isinstance(kernel, int))
    whole = isinstance(power, float) and not np.isinf(power)
    kernel = (kernel,) * dims if dims > 1 and isinstance(kernel, int) else kernel
    ours, theirs = (lambda t, h=h: h(abs(t) + 0.1 if whole else t, power, kernel, stride, ceil) for h in (f, g))
    if accepted(theirs, ours, x):
        agree(ours, theirs, x, order2=not (x == 0).any())


# ---------------------------------------------------------------- adaptive


@many
@given(st.data(), images())
def test_adaptive_pools(data, case):
    dims, x = case
    length = st.integers(1, 8) if dims == 1 else st.none() | st.integers(1, 8)
    size = data.draw(st.integers(1, 8) | st.tuples(*[length] * dims))
    f, g = pair(f"adaptive_avg_pool{dims}d")
    agree(lambda t: f(t, size), lambda t: g(t, size), x)
    f, g = pair(f"adaptive_max_pool{dims}d")
    agree(lambda t: f(t, size, True), lambda t: g(t, size, True), x)
    assert np.array_equal(f(mg.tensor(x), size).cpu().numpy(), f(mg.tensor(x), size, True)[0].cpu().numpy())


def test_adaptive_pools_to_nothing():
    for name in ("adaptive_avg_pool2d", "adaptive_max_pool2d"):
        f, g = pair(name)
        assert f(mg.zeros(2, 3, 4, 4), (0, 2)).shape == tuple(g(torch.zeros(2, 3, 4, 4), (0, 2)).shape)


# ---------------------------------------------------------------- fractional


@many
@given(st.data(), st.sampled_from([2, 3]), st.integers(0, 99))
def test_fractional_max_pool(data, dims, seed):
    rng = np.random.default_rng(seed)
    shape = (2, 3, *[data.draw(st.integers(4, 9 if dims == 2 else 6)) for _ in range(dims)])
    x, u = rng.normal(size=shape), rng.random((2, 3, dims))
    kernel = per_axis(data.draw, dims, 1, 3)
    how = data.draw(st.sampled_from([(2, None), (3, None), ((2, 3, 1)[:dims], None), (None, (0.5, 0.3, 0.7)[:dims])]))
    f, g = pair(f"fractional_max_pool{dims}d")
    ours = lambda t: f(t, kernel, *how, True, mg.tensor(u).astype(t.dtype))
    theirs = lambda t: g(t, kernel, *how, True, torch.tensor(u).to(t.dtype))
    try:
        theirs(torch.tensor(x))
    except RuntimeError:
        with pytest.raises(ValueError, match="do not fit"):
            ours(mg.tensor(x))
    else:
        agree(ours, theirs, x)


def test_fractional_max_pool_draws_from_the_random_stream():
    x = mg.tensor(RNG.normal(size=(2, 3, 9, 9)))
    pool = nn.FractionalMaxPool2d(2, output_ratio=0.5)
    mg.manual_seed(1)
    first = pool(x).cpu().numpy()
    assert not np.array_equal(first, pool(x).cpu().numpy())
    mg.manual_seed(1)
    assert np.array_equal(first, pool(x).cpu().numpy())


# ---------------------------------------------------------------- back


@many
@given(st.data(), images(), st.booleans())
def test_max_unpool(data, case, sized):
    dims, x = case
    kernel = per_axis(data.draw, dims, 1, 2)
    size = x.shape[-dims:] if sized else None

    def there_and_back(f, back):
        def go(t):
            values, index = f(t, kernel, return_indices=True)
            return back(values * values, index, kernel, output_size=size)

        return go

    f, g = pair(f"max_pool{dims}d")
    back, tback = pair(f"max_unpool{dims}d")
    ours, theirs = there_and_back(f, back), there_and_back(g, tback)
    if accepted(theirs, ours, x):
        agree(ours, theirs, x)


def test_max_unpool_of_one_index_twice():
    index = np.array([[[0, 1], [1, 2]]])  # the last stays, both receive
    torch.set_num_threads(1)  # with more, PyTorch's threads race for the place that two write to
    agree(
        lambda t: F.max_unpool2d(t, mg.tensor(index), 2),
        lambda t: TF.max_unpool2d(t, torch.tensor(index), 2),
        RNG.normal(size=(1, 2, 2)),
    )


# ---------------------------------------------------------------- layers


LAYERS = [
    ("MaxPool1d", (2,), {}, (2, 3, 7)), ("MaxPool2d", ((2, 3),), {"padding": 1}, (2, 3, 7, 6)),
    ("MaxPool2d", (3, 2, 1), {"return_indices": True, "ceil_mode": True}, (2, 3, 7, 6)),
    ("MaxPool3d", (2,), {"return_indices": True}, (2, 3, 4, 5, 4)),
    ("AvgPool1d", (2, 1, 1), {"count_include_pad": False}, (2, 3, 7)), ("AvgPool2d", ((2, 3),), {"divisor_override": 3}, (2, 3, 7, 6)),
    ("AvgPool3d", (2,), {"ceil_mode": True}, (2, 3, 4, 5, 4)), ("LPPool1d", (3, 2), {}, (2, 3, 7)),
    ("LPPool2d", (2, (2, 3), 2, True), {}, (2, 3, 7, 6)), ("LPPool3d", (1, (2, 2, 2)), {}, (2, 3, 4, 5, 4)),
    ("AdaptiveAvgPool1d", (4,), {}, (2, 3, 7)), ("AdaptiveAvgPool2d", ((None, 4),), {}, (2, 3, 7, 6)),
    ("AdaptiveAvgPool3d", (3,), {}, (2, 3, 4, 5, 4)), ("AdaptiveMaxPool1d", (4,), {}, (2, 3, 7)),
    ("AdaptiveMaxPool2d", ((None, 4), True), {}, (2, 3, 7, 6)), ("AdaptiveMaxPool3d", (3,), {}, (2, 3, 4, 5, 4)),
    ("FractionalMaxPool2d", (2, 3), {"_random_samples": True}, (2, 3, 7, 6)),
    ("FractionalMaxPool3d", (2,), {"output_ratio": 0.6, "return_indices": True, "_random_samples": True}, (2, 3, 5, 6, 5)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "options", "shape"), LAYERS)
def test_layers(name, args, options, shape):
    def made(lib, tensor):
        u = np.random.default_rng(3).random((2, 3, len(shape) - 2))
        given = {k: tensor(u) if k == "_random_samples" else v for k, v in options.items()}
        return getattr(lib, name)(*args, **given)

    x = RNG.normal(size=shape)
    modules_agree(made(nn, mg.tensor), made(tnn, torch.tensor), abs(x) + 0.1 if "LP" in name else x, float32=False)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_unpool_layers(dims):
    x = RNG.normal(size=(2, 3, 6, 4, 4)[: dims + 2])
    args = (2,) if dims == 1 else ((2, 2, 1)[:dims], 2)

    def go(lib):
        pool, back = getattr(lib, f"MaxPool{dims}d")(*args, return_indices=True), getattr(lib, f"MaxUnpool{dims}d")(*args)
        return pool, back

    (pool, back), (tpool, tback) = go(nn), go(tnn)
    assert repr(back) == repr(tback)
    agree(lambda t: back(*pool(t), output_size=x.shape), lambda t: tback(*tpool(t), output_size=x.shape), x)


@pytest.mark.parametrize("name", [n for n in dir(tnn) if "Pool" in n])
def test_signatures_of_layers(name):
    wanted, got = (list(inspect.signature(getattr(lib, name)).parameters.values()) for lib in (tnn, nn))
    assert [(p.name, p.default) for p in got] == [(p.name, p.default) for p in wanted]


@pytest.mark.parametrize("name", [n for n in dir(TF) if "_pool" in n or "_unpool" in n if not n.startswith("_")])
def test_signatures_of_functions(name):
    got = inspect.signature(getattr(F, name))
    assert getattr(F, name).__name__ == name
    assert getattr(F, name).__doc__
    try:  # the plain names of PyTorch choose at call time and show nothing; their _with_indices form shows it
        wanted = inspect.signature(getattr(TF, name + "_with_indices" if hasattr(TF, name + "_with_indices") else name))
    except ValueError:
        return
    assert [(p.name, p.default) for p in got.parameters.values()] == [(p.name, p.default) for p in wanted.parameters.values()]


# ---------------------------------------------------------------- against itself


@pytest.mark.parametrize(
    "f",
    [
        lambda t: F.max_pool2d(t, 3, 2, 1, ceil_mode=True), lambda t: F.max_pool2d(t, 3, 2, 1, return_indices=True),
        lambda t: F.avg_pool2d(t, 2, 1, 1, count_include_pad=False), lambda t: F.adaptive_avg_pool2d(t, (3, 4)),
        lambda t: F.adaptive_max_pool2d(t, (3, 4), True), lambda t: F.lp_pool2d(t * t + 0.1, 3, 2),
        lambda t: F.max_unpool2d(*F.max_pool2d(t, 2, return_indices=True), 2),
        lambda t: F.fractional_max_pool2d(t, 2, 3, _random_samples=mg.tensor(np.full((3, 2, 2), 0.4))),
    ],
)  # fmt: skip
def test_behaves(f):
    behaves(f, RNG.normal(size=(3, 2, 6, 6)))


@pytest.mark.parametrize("indices", [False, True])
def test_whole_numbers_pool_as_they_are(indices):
    x = RNG.integers(-9, 9, size=(1, 2, 4, 4))
    agree(lambda t: F.max_pool2d(t, 2, return_indices=indices), lambda t: TF.max_pool2d(t, 2, return_indices=indices), x)


X = RNG.normal(size=(2, 3, 8, 8)).astype(np.float32)
REJECTED = [
    ("max_pool2d", (0,)), ("max_pool2d", (2.0,)), ("max_pool2d", (True,)), ("max_pool2d", ((2, 2, 2),)), ("max_pool2d", (2, 0)),
    ("max_pool2d", (2, 2, 2)), ("max_pool2d", (3, 1, 2, 2)), ("max_pool2d", (2, 2, -1)), ("max_pool2d", (2, 2, 0, 0)), ("max_pool2d", (9,)),
    ("max_pool2d", (11, 2, 0, 1, True)), ("max_pool1d", (2,)), ("avg_pool2d", (2, 2, 2)), ("avg_pool2d", (2, None, 0, False, True, 0)),
    ("avg_pool2d", (9,)), ("avg_pool3d", ((3, 9, 9), 1, (0, 1, 1))), ("avg_pool3d", ((1, 9, 9), 3, 0, True)), ("lp_pool2d", (0, 2)), ("lp_pool2d", (2, 0)),
    ("lp_pool2d", (2, 9)), ("adaptive_avg_pool2d", ((2,),)), ("adaptive_avg_pool2d", (-1,)), ("adaptive_avg_pool2d", (2.5,)),
    ("adaptive_max_pool2d", ((2, 2, 2),)), ("adaptive_max_pool2d", (-1,)), ("adaptive_avg_pool3d", ((2, 2),)),
    ("fractional_max_pool2d", (2,)), ("fractional_max_pool2d", (2, 8)), ("fractional_max_pool2d", (9, 1)), ("fractional_max_pool2d", (2, None, (1.5, 0.5))),
    ("fractional_max_pool3d", (2, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args"), REJECTED)
def test_functions_reject(name, args):
    f, g = pair(name)
    both_reject(lambda: f(mg.tensor(X), *args), lambda: g(torch.tensor(X), *args))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("FractionalMaxPool2d", (2,)), ("FractionalMaxPool2d", (2, 3, 0.5)), ("FractionalMaxPool2d", (2, None, 1.0)),
        ("FractionalMaxPool3d", ((0, 1, 1), 3)),
    ],
)  # fmt: skip
def test_layers_reject_as_pytorch(name, args):
    both_reject(lambda: getattr(nn, name)(*args), lambda: getattr(tnn, name)(*args))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("MaxPool2d", (0,)), ("MaxPool2d", (2, 0)), ("MaxPool2d", (2, 2, 2)), ("MaxPool1d", (2, 2, 0, 0)), ("AvgPool2d", (2, 2, 2)),
        ("AvgPool2d", (2, 2, 0, False, True, 0)), ("AvgPool3d", ((1, 2),)), ("LPPool2d", (0, 2)), ("LPPool1d", (2, 2.5)),
        ("AdaptiveAvgPool2d", ((2,),)), ("AdaptiveAvgPool1d", (None,)), ("AdaptiveMaxPool3d", (-1,)), ("MaxUnpool2d", (2, 0)),
    ],
)  # fmt: skip
def test_layers_reject_at_once(name, args):
    """PyTorch finds these out at the first call."""
    with pytest.raises(ValueError, match=f"^{name}: "):
        getattr(nn, name)(*args)


def test_empty_channels_and_lengths_are_refused():
    for shape in ((1, 0, 4, 4), (1, 1, 0, 4)):
        for name in ("max_pool2d", "avg_pool2d"):
            f, g = pair(name)
            both_reject(lambda: f(mg.zeros(shape), 2), lambda: g(torch.zeros(shape), 2))


@pytest.mark.parametrize("index", [[[[0, 99], [1, 2]]], [[[0, -1], [1, 2]]], [[[0, 1, 2], [1, 2, 3]]], [[[0.0, 1.0], [1.0, 2.0]]]])
def test_unpool_rejects_indices(index):
    x = X[0, :1, :2, :2]
    both_reject(lambda: F.max_unpool2d(mg.tensor(x), mg.tensor(index), 2), lambda: TF.max_unpool2d(torch.tensor(x), torch.tensor(index), 2))


@pytest.mark.parametrize("size", [(6, 4), (1, 4, 4), (4,), (2, 4)])
def test_unpool_rejects_sizes(size):
    x, index = X[0, :1, :2, :2], [[[0, 1], [1, 2]]]
    both_reject(
        lambda: F.max_unpool2d(mg.tensor(x), mg.tensor(index), 2, output_size=size),
        lambda: TF.max_unpool2d(torch.tensor(x), torch.tensor(index), 2, output_size=size),
    )


@pytest.mark.parametrize("shape", [(1, 3, 2), (2, 2, 2), (2, 3, 3)])
def test_fractional_max_pool_rejects_samples(shape):
    both_reject(
        lambda: F.fractional_max_pool2d(mg.tensor(X), 2, 3, _random_samples=mg.zeros(shape)),
        lambda: TF.fractional_max_pool2d(torch.tensor(X), 2, 3, _random_samples=torch.zeros(shape)),
    )
