"""Interpolation, grid sampling and shuffles against PyTorch over shapes and options, and against themselves."""

import inspect

import numpy as np
import pytest
from against_torch import agree, behaves, both_reject, modules_agree
from hypothesis import example, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.gradcheck import gradcheck
from minigrad.nn import functional as F

torch = pytest.importorskip("torch")
TF, tnn = torch.nn.functional, torch.nn
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's advice about align_corners
many = settings(max_examples=30, deadline=None, derandomize=True)
RNG = np.random.default_rng(0)
DIMS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3, "lanczos": 2}


def both(name, *args, **options):
    """The function of both libraries with these arguments."""
    return tuple(lambda *ts, lib=lib: getattr(lib, name)(*ts, *args, **options) for lib in (F, TF))


def image(draw, dims, low=1):
    shape = (draw(st.integers(1, 2)), 2, *[draw(st.integers(low, 9 if dims < 3 else 5)) for _ in range(dims)])
    return np.random.default_rng(draw(st.integers(0, 99))).normal(size=shape)


@st.composite
def resizing(draw, modes):
    """An image and what interpolate is asked for."""
    mode = draw(st.sampled_from(modes))
    dims = DIMS.get(mode) or draw(st.integers(1, 3))
    x = image(draw, dims)
    options = {"mode": mode}
    if mode in DIMS and mode != "lanczos":
        options["align_corners"] = draw(st.sampled_from([None, False, True]))
    if draw(st.booleans()):
        length = st.integers(1, 12)
        return x, {**options, "size": draw(length | st.tuples(*[length] * dims))}
    factors = st.sampled_from([0.3, 0.5, 0.75, 1.0, 1.25, 1.7, 2.0, 2.6, 3.0])
    factor = draw(factors | st.tuples(*[factors] * dims))
    return x, {**options, "scale_factor": factor, "recompute_scale_factor": draw(st.sampled_from([None, False, True]))}


def changes(x, options):
    """False where a scale leaves a length: see test_a_scale_that_leaves_a_length."""
    scale = options.get("scale_factor")
    if scale is None or options.get("recompute_scale_factor"):
        return True
    scales = scale if isinstance(scale, tuple) else (scale,) * (x.ndim - 2)
    return all(s == 1 or int(n * s) != n for n, s in zip(x.shape[2:], scales, strict=True))


def compare(x, options):
    ours, theirs = both("interpolate", **options)
    try:
        something = theirs(torch.tensor(x)).numel()
    except RuntimeError:
        something = 0
    if not something:  # "area" alone gives an empty image where a factor leaves nothing
        with pytest.raises(ValueError, match="leave nothing"):
            ours(mg.tensor(x))
    else:
        agree(ours, theirs, x)


@many
@given(resizing(["nearest", "nearest-exact", "area"]))
@example((np.arange(8.0).reshape(1, 1, 8), {"mode": "nearest", "scale_factor": 5 / 3}))
def test_nearest_and_area(case):
    x, options = case
    if options["mode"] != "nearest" or changes(x, options):
        compare(*case)


@pytest.mark.parametrize(
    ("mode", "shape"),
    [
        *[(mode, shape) for mode in ("nearest", "nearest-exact") for shape in ((1, 2, 30), (1, 1, 30, 30), (1, 1, 99, 30), (1, 2, 2, 4, 30))],
        ("linear", (1, 2, 30)), ("bilinear", (1, 2, 9, 8)), ("bicubic", (1, 2, 9, 8)), ("lanczos", (1, 2, 9, 8)), ("trilinear", (1, 2, 2, 4, 30)),
    ],
)  # fmt: skip
def test_a_scale_that_leaves_a_length(mode, shape):
    """Outputs only: PyTorch's gradient takes it for the identity, whatever its output."""
    x = RNG.normal(size=shape)
    for antialias in {"bilinear": (False, True), "bicubic": (False, True), "lanczos": (True,)}.get(mode, (False,)):
        ours, theirs = both("interpolate", scale_factor=(2.0, 1.2, 1.01)[-len(shape) + 2 :], mode=mode, antialias=antialias)
        np.testing.assert_allclose(ours(mg.tensor(x)).cpu().numpy(), theirs(torch.tensor(x)).numpy(), rtol=1e-12, atol=1e-12)


@many
@given(resizing(["linear", "bilinear", "trilinear", "bicubic"]))
def test_interpolation(case):
    x, options = case
    if options["mode"] != "bicubic" or changes(x, options):
        compare(x, options)


@many
@given(resizing(["bilinear", "bicubic", "lanczos"]))
def test_antialiased_interpolation(case):
    x, options = case
    size, scale = (v[-1] if isinstance(v, tuple) else v for v in map(options.get, ("size", "scale_factor")))
    wide = size != 1 if size else int(x.shape[-1] * scale) != 1  # PyTorch mixes up rows of one pixel
    if wide and changes(x, options):
        compare(x, {**options, "antialias": True})


def test_nearest_of_whole_numbers_and_of_infinities():
    x = RNG.integers(0, 200, size=(1, 2, 4, 5)).astype(np.uint8)
    for mode in ("nearest", "nearest-exact"):
        ours, theirs = both("interpolate", size=(7, 3), mode=mode)
        y, z = ours(mg.tensor(x)), theirs(torch.tensor(x))
        assert y.dtype == np.uint8
        assert np.array_equal(y.cpu().numpy(), z.cpu().numpy())
        far = np.where(x > 100, -np.inf, 1.0)
        assert np.array_equal(ours(mg.tensor(far)).cpu().numpy(), theirs(torch.tensor(far)).numpy())


def test_older_names():
    x = RNG.normal(size=(1, 2, 3, 4))
    for name, options in (
        ("upsample", {"scale_factor": 2, "mode": "bilinear"}), ("upsample_nearest", {"size": (5, 6)}), ("upsample_bilinear", {"scale_factor": 2}),
    ):  # fmt: skip
        agree(*both(name, **options), x)


def test_long_signals_need_no_long_matrices():
    y = F.interpolate(mg.tensor(RNG.normal(size=(1, 1, 200_000)), requires_grad=True), scale_factor=1.5, mode="linear")
    y.sum().backward()
    assert y.shape == (1, 1, 300_000)


# ---------------------------------------------------------------- grids


@many
@given(st.data(), st.sampled_from(["bilinear", "nearest", "bicubic"]), st.sampled_from(["zeros", "border", "reflection"]))
def test_grid_sample(data, mode, padding):
    dims = 2 if mode == "bicubic" else data.draw(st.sampled_from([2, 3]))
    x = image(data.draw, dims)
    out = [data.draw(st.integers(1, 4)) for _ in range(dims)]
    points = np.random.default_rng(data.draw(st.integers(0, 99))).uniform(-2.5, 2.5, (len(x), *out, dims))
    align = data.draw(st.booleans())
    agree(*both("grid_sample", mode=mode, padding_mode=padding, align_corners=align), x, points, order2=False)


@pytest.mark.parametrize(("mode", "padding"), [("bilinear", "zeros"), ("bilinear", "border"), ("bilinear", "reflection"), ("bicubic", "reflection")])
def test_grid_sample_has_second_derivatives(mode, padding):
    """PyTorch has none: against differences."""
    x, points = RNG.normal(size=(1, 1, 2, 3)), RNG.uniform(-1.4, 1.4, (1, 1, 2, 2))
    f = lambda x, g: F.grid_sample(x, g, mode, padding, False)
    gradcheck(f, [x, points], order=2)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grid_sample_far_away_and_nowhere(padding):
    x = RNG.normal(size=(1, 2, 3, 4))
    points = np.array([1e6, -1e6, 1e12, np.nan]).reshape(1, 1, 4, 1) * np.ones(2) + 0.0
    for mode in ("bilinear", "nearest"):
        ours, theirs = both("grid_sample", mode=mode, padding_mode=padding, align_corners=True)
        with np.errstate(invalid="ignore"):
            y, z = ours(mg.tensor(x), mg.tensor(points)), theirs(torch.tensor(x), torch.tensor(points))
        np.testing.assert_allclose(y.cpu().numpy(), z.cpu().numpy(), rtol=1e-4, atol=1e-4)


@many
@given(st.data(), st.sampled_from([2, 3]), st.booleans())
def test_affine_grid(data, dims, align):
    lengths = [data.draw(st.integers(1, 5)) for _ in range(dims)]
    theta = np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=(2, dims, dims + 1))
    agree(*both("affine_grid", (2, 3, *lengths), align), theta)


# ---------------------------------------------------------------- shuffles


@many
@given(st.sampled_from([(), (2,), (2, 3)]), st.integers(1, 3), st.integers(1, 2), st.integers(1, 4), st.integers(1, 4))
def test_pixel_shuffles(lead, r, channels, h, w):
    x = RNG.normal(size=(*lead, channels * r * r, h, w))
    agree(*both("pixel_shuffle", r), x)
    agree(*both("pixel_unshuffle", r), RNG.normal(size=(*lead, channels, h * r, w * r)))
    assert np.array_equal(F.pixel_unshuffle(F.pixel_shuffle(mg.tensor(x), r), r).cpu().numpy(), x)


@many
@given(st.integers(1, 4), st.integers(1, 3), st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_channel_shuffle(groups, each, lengths):
    x = RNG.normal(size=(2, groups * each, *lengths))
    agree(*both("channel_shuffle", groups), x)
    ours, theirs = both("native_channel_shuffle", groups)  # PyTorch's has no derivative
    assert np.array_equal(ours(mg.tensor(x)).cpu().numpy(), theirs(torch.tensor(x)).numpy())


# ---------------------------------------------------------------- layers


@pytest.mark.parametrize(
    ("name", "args", "options"),
    [
        ("PixelShuffle", (2,), {}), ("PixelUnshuffle", (2,), {}), ("ChannelShuffle", (4,), {}), ("Upsample", (), {"scale_factor": 2}),
        ("Upsample", ((3, 5), None, "bilinear", True), {}), ("Upsample", (), {"scale_factor": (2, 1.5), "mode": "bicubic"}),
        ("Upsample", (7,), {"mode": "nearest-exact"}), ("Upsample", (), {"scale_factor": 1.3, "mode": "area", "recompute_scale_factor": True}),
        ("UpsamplingNearest2d", (), {"scale_factor": 3}), ("UpsamplingBilinear2d", (5,), {}), ("UpsamplingBilinear2d", (None, 1.5), {}),
    ],
)  # fmt: skip
def test_layers(name, args, options):
    ours, theirs = (getattr(lib, name)(*args, **options) for lib in (nn, tnn))
    modules_agree(ours, theirs, RNG.normal(size=(2, 8, 4, 6)))


@pytest.mark.parametrize("name", ["PixelShuffle", "PixelUnshuffle", "ChannelShuffle", "Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"])
def test_signatures_of_layers(name):
    wanted, got = (list(inspect.signature(getattr(lib, name)).parameters.values()) for lib in (tnn, nn))
    assert [(p.name, p.default) for p in got] == [(p.name, p.default) for p in wanted]


@pytest.mark.parametrize("name", ["interpolate", "upsample", "upsample_nearest", "upsample_bilinear", "grid_sample", "affine_grid"])
def test_signatures_of_functions(name):
    wanted, got = (list(inspect.signature(getattr(lib, name)).parameters.values()) for lib in (TF, F))
    assert [(p.name, p.default) for p in got] == [(p.name, p.default) for p in wanted]


# ---------------------------------------------------------------- against themselves


@pytest.mark.parametrize(
    "f",
    [
        lambda t: F.interpolate(t, (7, 3)), lambda t: F.interpolate(t, (7, 3), mode="bilinear"), lambda t: F.interpolate(t, 3, mode="area"),
        lambda t: F.interpolate(t, (7, 3), mode="bicubic", antialias=True), lambda t: F.pixel_shuffle(t, 2), lambda t: F.pixel_unshuffle(t, 2),
        lambda t: F.channel_shuffle(t, 2), lambda t: nn.Upsample(scale_factor=2)(t),
    ],
)  # fmt: skip
def test_behaves(f):
    behaves(f, RNG.normal(size=(3, 4, 4, 6)))


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grids_behave(mode):
    behaves(lambda x, g: F.grid_sample(x, g, mode, "reflection", False), RNG.normal(size=(3, 2, 4, 5)), RNG.uniform(-2, 2, (3, 3, 2, 2)))
    behaves(lambda t: F.affine_grid(t, (len(t), 1, 3, 4)), RNG.normal(size=(3, 2, 3)), empty=False)


X = RNG.normal(size=(1, 4, 4, 4)).astype(np.float32)
REJECTED = [
    ({"size": 8, "mode": "linear"}, X), ({"size": 8, "scale_factor": 2}, X), ({}, X), ({"size": 0}, X), ({"size": 3.0}, X), ({"size": (3,)}, X),
    ({"size": (3, 2.0)}, X), ({"scale_factor": -1}, X), ({"scale_factor": 0.1}, X), ({"scale_factor": [2]}, X), ({"size": 3, "mode": "foo"}, X),
    ({"size": 3, "align_corners": False}, X), ({"size": 3, "mode": "area", "align_corners": True}, X), ({"size": 3, "recompute_scale_factor": True}, X),
    ({"size": 3, "mode": "lanczos"}, X), ({"size": 3, "mode": "lanczos", "antialias": True, "align_corners": True}, X),
    ({"size": 3, "antialias": True}, X), ({"size": 3, "mode": "linear", "antialias": True}, X[0]), ({"size": 3}, X[0, 0]), ({"size": 3}, X[None, None]),
    ({"size": 3}, np.zeros((1, 0, 4, 4))), ({"size": 3}, np.zeros((1, 1, 0, 4))), ({"size": 3, "mode": "bilinear"}, np.ones((1, 1, 4, 4), int)),
]  # fmt: skip


@pytest.mark.parametrize(("options", "x"), REJECTED)
def test_interpolate_rejects(options, x):
    ours, theirs = both("interpolate", **options)
    both_reject(lambda: ours(mg.tensor(x)), lambda: theirs(torch.tensor(x)))


GRID = np.zeros((1, 1, 1, 2), np.float32)


@pytest.mark.parametrize(
    ("x", "points", "options"),
    [
        (X, GRID, {"mode": "foo"}), (X, GRID, {"padding_mode": "foo"}), (X, np.zeros((1, 1, 1, 3), np.float32), {}), (X, GRID.astype(float), {}),
        (np.repeat(X, 2, 0), GRID, {}), (X[None], np.zeros((1, 1, 1, 1, 3), np.float32), {"mode": "bicubic"}), (X[0], GRID, {}), (X[:, :, :0], GRID, {}),
    ],
)  # fmt: skip
def test_grid_sample_rejects(x, points, options):
    ours, theirs = both("grid_sample", **options)
    both_reject(lambda: ours(mg.tensor(x), mg.tensor(points)), lambda: theirs(torch.tensor(x), torch.tensor(points)))


@pytest.mark.parametrize(
    ("theta", "size"),
    [
        ((2, 2, 3), (2, 1, 3, 4, 5)), ((2, 2, 3), (1, 1, 3, 4)), ((2, 2, 3), (2, 1, 0, 4)), ((2, 2, 3), (2, 1, 3.5, 4)),
        ((2, 2, 3), (2, 0, 3, 4)), ((2, 3), (2, 1, 3, 4)), ((2, 2, 3), (2, 3, 4)),
    ],
)  # fmt: skip
def test_affine_grid_rejects(theta, size):
    both_reject(lambda: F.affine_grid(mg.zeros(theta), size), lambda: TF.affine_grid(torch.zeros(theta), size))


def test_affine_grid_rejects_whole_numbers():
    theta = np.ones((2, 2, 3), int)
    both_reject(lambda: F.affine_grid(mg.tensor(theta), (2, 1, 3, 4)), lambda: TF.affine_grid(torch.tensor(theta), (2, 1, 3, 4)))


@pytest.mark.parametrize(
    ("name", "shape", "factor"),
    [
        ("pixel_shuffle", (1, 1, 4, 4), 2), ("pixel_shuffle", (2, 2), 2), ("pixel_shuffle", (1, 4, 4, 4), 0), ("pixel_shuffle", (1, 4, 4, 4), 2.0),
        ("pixel_unshuffle", (1, 1, 4, 4), 3), ("pixel_unshuffle", (1, 1, 4, 4), 0), ("channel_shuffle", (1, 3, 4, 4), 2),
        ("channel_shuffle", (4, 3), 2), ("channel_shuffle", (1, 4, 3), 0),
    ],
)  # fmt: skip
def test_shuffles_reject(name, shape, factor):
    ours, theirs = both(name, factor)
    both_reject(lambda: ours(mg.zeros(shape)), lambda: theirs(torch.zeros(shape)))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("PixelShuffle", (0,)), ("PixelUnshuffle", (2.5,)), ("ChannelShuffle", (-1,)), ("Upsample", ()), ("Upsample", (3, 2)),
        ("Upsample", (3, None, "foo")), ("Upsample", (3, None, "nearest", True)), ("UpsamplingNearest2d", ()),
    ],
)  # fmt: skip
def test_layers_reject_at_once(name, args):
    """PyTorch finds these out at the first call."""
    with pytest.raises(ValueError, match=f"^{name}: "):
        getattr(nn, name)(*args)
