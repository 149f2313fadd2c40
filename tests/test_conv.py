"""Convolution, transposed convolution, windows as columns: against PyTorch over random shapes and options."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn

torch = pytest.importorskip("torch")
import torch.nn.functional as TF  # noqa: E402
from against_torch import agree, behaves, both_reject, modules_agree  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")
RNG = np.random.default_rng(0)
QUICK = settings(max_examples=50, deadline=None, derandomize=True)


def normal(*shape):
    return RNG.normal(size=shape)


@st.composite
def convolutions(draw, dims=None, transposed=False, strings=True):
    """Sizes and options of one convolution whose output is not empty."""
    dims = dims or draw(st.sampled_from([1, 1, 2, 2, 3]))
    each = lambda values: tuple(draw(values) for _ in range(dims))
    c = {"dims": dims, "groups": draw(st.integers(1, 3)), "kernel": each(st.integers(1, 3)), "dilation": each(st.integers(1, 2)), "stride": each(st.integers(1, 3))}
    c["ins"], c["outs"] = (c["groups"] * draw(st.integers(1, 2)) for _ in range(2))
    c["padding"] = each(st.integers(0, 2))
    c["bias"], c["batch"] = draw(st.booleans()), draw(st.sampled_from([None, 1, 2]))
    if strings and draw(st.integers(0, 3)) == 0:
        c["padding"] = draw(st.sampled_from(["same", "valid"]))
        c["stride"] = (1,) * dims if c["padding"] == "same" else c["stride"]
    reach = [d * (k - 1) + 1 for d, k in zip(c["dilation"], c["kernel"], strict=True)]
    pads = c["padding"] if not isinstance(c["padding"], str) else (0,) * dims
    if transposed:
        least = [max(1, 1 - (r - 2 * p - 1) // s) for r, p, s in zip(reach, pads, c["stride"], strict=True)]
        c["lengths"] = tuple(draw(st.integers(n, n + 3)) for n in least)
        c["extra"] = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(c["stride"], c["dilation"], strict=True))
    else:
        c["lengths"] = tuple(draw(st.integers(max(1, r - 2 * p), max(1, r - 2 * p) + 3)) for r, p in zip(reach, pads, strict=True))
    c["x"] = normal(*(() if c["batch"] is None else (c["batch"],)), c["ins"], *c["lengths"])
    return c


@given(convolutions())
@QUICK
def test_conv_equals_pytorch(c):
    how = (c["stride"], c["padding"], c["dilation"], c["groups"])
    w, b = normal(c["outs"], c["ins"] // c["groups"], *c["kernel"]), normal(c["outs"]) if c["bias"] else None
    ours, theirs = (getattr(lib, f"conv{c['dims']}d") for lib in (F, TF))
    agree(lambda x, w, b: ours(x, w, b, *how), lambda x, w, b: theirs(x, w, b, *how), c["x"], w, b)


@given(convolutions(transposed=True, strings=False))
@QUICK
def test_conv_transpose_equals_pytorch(c):
    how = (c["stride"], c["padding"], c["extra"], c["groups"], c["dilation"])
    w, b = normal(c["ins"], c["outs"] // c["groups"], *c["kernel"]), normal(c["outs"]) if c["bias"] else None
    ours, theirs = (getattr(lib, f"conv_transpose{c['dims']}d") for lib in (F, TF))
    agree(lambda x, w, b: ours(x, w, b, *how), lambda x, w, b: theirs(x, w, b, *how), c["x"], w, b)


@given(convolutions(), st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
@QUICK
def test_conv_layers_equal_pytorch(c, mode):
    if mode in ("reflect", "circular"):  # a border is no longer than what it is copied from
        c["lengths"] = tuple(max(n, 4) for n in c["lengths"])
        c["x"] = normal(*c["x"].shape[: -c["dims"]], *c["lengths"])
    make = lambda lib: getattr(lib, f"Conv{c['dims']}d")(
        c["ins"], c["outs"], c["kernel"], c["stride"], c["padding"], c["dilation"], c["groups"], c["bias"], mode
    )
    modules_agree(make(nn), make(torch.nn), c["x"], order2=False)


@given(convolutions(transposed=True, strings=False))
@QUICK
def test_conv_transpose_layers_equal_pytorch(c):
    make = lambda lib: getattr(lib, f"ConvTranspose{c['dims']}d")(
        c["ins"], c["outs"], c["kernel"], c["stride"], c["padding"], c["extra"], c["groups"], c["bias"], c["dilation"]
    )
    ours, theirs = modules_agree(make(nn), make(torch.nn), c["x"], order2=False)
    least = [s * (n - 1) + d * (k - 1) + 1 - 2 * p for n, k, s, p, d in zip(c["lengths"], c["kernel"], c["stride"], c["padding"], c["dilation"], strict=True)]
    sizes = [n + s - 1 for n, s in zip(least, c["stride"], strict=True)]
    if min(sizes) > 0:
        agree(lambda x: ours(x, output_size=sizes), lambda x: theirs(x, output_size=sizes), c["x"], float32=False, order2=False)
        x, whole = mg.tensor(c["x"]), (*c["x"].shape[: -c["dims"]], *sizes)
        assert np.array_equal(ours(x, whole).detach().cpu().numpy(), ours(x, sizes).detach().cpu().numpy())


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_defaults_and_first_weights_are_pytorchs(dims):
    for name in ("Conv", "ConvTranspose"):
        ours, theirs = (getattr(lib, f"{name}{dims}d")(3, 8, 2) for lib in (nn, torch.nn))
        modules_agree(ours, theirs, normal(2, 3, *(4,) * dims), order2=False)
        layer = getattr(nn, f"{name}{dims}d")(64, 32, 3)
        fan_in = np.prod(layer.weight.shape[1:])
        for p in layer.parameters():
            assert np.abs(p.detach().cpu().numpy()).max() <= fan_in**-0.5
        assert np.abs(layer.weight.detach().cpu().numpy()).max() > 0.95 * fan_in**-0.5
    assert nn.Conv2d(2, 2, 3, dtype="float64").weight.dtype == np.float64


def test_layers_and_functions_behave():
    w, v = mg.tensor(normal(4, 2, 3, 2)), mg.tensor(normal(4, 3, 3, 2))
    behaves(lambda x: F.conv2d(x, w, None, (2, 1), 1, 1, 2), normal(3, 4, 5, 4))
    behaves(lambda x: F.conv_transpose2d(x, v, None, 2, 1, 1), normal(3, 4, 3, 4))
    behaves(lambda x: F.unfold(x, (2, 3), 1, 1, 2), normal(3, 2, 5, 4))
    behaves(lambda x: F.fold(x, (4, 3), 2, 1, 0, 1), normal(3, 8, 6))
    for mode in ("reflect", "replicate", "circular"):
        behaves(nn.Conv1d(2, 3, 3, padding=2, padding_mode=mode).double(), normal(3, 2, 5))
    behaves(lambda x: F.conv_tbc(x, mg.tensor(np.ones((2, 3, 4))), mg.zeros(4), 1), normal(5, 3, 3), batch=1)


# ---------------------------------------------------------------- our own: full and causal padding


@given(convolutions(dims=2, strings=False))
@QUICK
def test_full_padding_meets_every_overlap(c):
    w = normal(c["outs"], c["ins"] // c["groups"], *c["kernel"])
    reach = tuple(d * (k - 1) for d, k in zip(c["dilation"], c["kernel"], strict=True))
    how = (None, c["stride"])
    agree(
        lambda x, w: F.conv2d(x, w, *how, "full", c["dilation"], c["groups"]),
        lambda x, w: TF.conv2d(x, w, *how, reach, c["dilation"], c["groups"]),
        c["x"], w, order2=False,
    )  # fmt: skip


@given(convolutions(dims=1, strings=False))
@QUICK
def test_causal_convolution_pads_before_and_sees_no_later_input(c):
    w = normal(c["outs"], c["ins"] // c["groups"], *c["kernel"])
    reach = c["dilation"][0] * (c["kernel"][0] - 1)
    agree(
        lambda x, w: F.conv1d(x, w, None, c["stride"], "causal", c["dilation"], c["groups"]),
        lambda x, w: TF.conv1d(TF.pad(x, (reach, 0)), w, None, c["stride"], 0, c["dilation"], c["groups"]),
        c["x"], w, order2=False,
    )  # fmt: skip
    layer = nn.Conv1d(c["ins"], c["outs"], c["kernel"], 1, "causal", c["dilation"], c["groups"])
    for t in range(c["lengths"][0]):
        x = mg.tensor(c["x"].astype(np.float32), requires_grad=True)
        layer(x)[..., t].sum().backward()
        assert not x.grad.cpu().numpy()[..., t + 1 :].any(), "the gradient reaches the future"


def test_a_causal_stack_like_wavenets_sees_1024_steps():
    layers = nn.Sequential(*[nn.Conv1d(1, 1, 2, padding="causal", dilation=2**i, bias=False) for i in range(10)])
    x = mg.tensor(np.zeros((1, 1, 1200), np.float32), requires_grad=True)
    for p in layers.parameters():
        p._data[...] = 1.0
    layers(x)[0, 0, -1].backward()
    assert int((x.grad.cpu().numpy() != 0).sum()) == 1024


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_borders_of_a_causal_convolution(mode):
    layer = nn.Conv1d(2, 2, 3, padding="causal", dilation=2, padding_mode=mode).double()
    x = normal(1, 2, 6)
    w, b = (torch.tensor(p.detach().cpu().numpy()) for p in layer.parameters())
    wanted = TF.conv1d(TF.pad(torch.tensor(x), (4, 0), mode), w, b, dilation=2)
    np.testing.assert_allclose(layer(mg.tensor(x)).detach().cpu().numpy(), wanted.cpu().numpy(), rtol=1e-12)


# ---------------------------------------------------------------- identities


@given(convolutions(strings=False))
@QUICK
def test_transposed_convolution_is_the_adjoint(c):
    """<conv(x, w), y> = <x, conv_transpose(y, w)>, with the output_padding that gives x's lengths back."""
    dims, groups = c["dims"], c["groups"]
    w = mg.tensor(normal(c["outs"], c["ins"] // groups, *c["kernel"]))
    x = mg.tensor(c["x"])
    y = getattr(F, f"conv{dims}d")(x, w, None, c["stride"], c["padding"], c["dilation"], groups)
    v = mg.tensor(normal(*y.shape))
    back = [s * (m - 1) + d * (k - 1) + 1 - 2 * p for m, k, s, p, d in zip(y.shape[-dims:], c["kernel"], c["stride"], c["padding"], c["dilation"], strict=True)]
    extra = tuple(n - m for n, m in zip(c["lengths"], back, strict=True))
    z = getattr(F, f"conv_transpose{dims}d")(v, w, None, c["stride"], c["padding"], extra, groups, c["dilation"])
    assert z.shape == x.shape
    np.testing.assert_allclose(float((y * v).sum()), float((x * z).sum()), rtol=1e-10)


def test_depthwise_convolution_keeps_channels_apart():
    x, w = normal(2, 3, 5, 5), normal(3, 1, 3, 3)
    y = F.conv2d(mg.tensor(x), mg.tensor(w), padding=1, groups=3).cpu().numpy()
    for c in range(3):
        alone = F.conv2d(mg.tensor(x[:, c : c + 1]), mg.tensor(w[c : c + 1]), padding=1).cpu().numpy()
        np.testing.assert_allclose(y[:, c : c + 1], alone, rtol=1e-12)


def test_conv_is_unfold_then_a_matrix_product():
    x, w = mg.tensor(normal(2, 3, 6, 5)), mg.tensor(normal(4, 3, 3, 2))
    columns = F.unfold(x, (3, 2), padding=1, stride=2)
    product = (w.reshape(4, -1) @ columns).reshape(2, 4, 3, 3)
    np.testing.assert_allclose(product.cpu().numpy(), F.conv2d(x, w, None, 2, 1).cpu().numpy(), rtol=1e-12)


def test_conv_tbc_equals_pytorch():
    for pad in (0, 1, 3):
        agree(lambda x, w, b, p=pad: F.conv_tbc(x, w, b, p), lambda x, w, b, p=pad: TF.conv_tbc(x, w, b, p), normal(5, 2, 3), normal(3, 3, 4), normal(4), order2=False)


# ---------------------------------------------------------------- fold, unfold


@given(convolutions(dims=2, strings=False))
@QUICK
def test_unfold_and_fold_equal_pytorch(c):
    how = (c["kernel"], c["dilation"], c["padding"], c["stride"])
    agree(lambda x: F.unfold(x, *how), lambda x: TF.unfold(x, *how), c["x"])
    columns = F.unfold(mg.tensor(c["x"]), *how)
    g = normal(*columns.shape)
    agree(lambda g: F.fold(g, c["lengths"], *how), lambda g: TF.fold(g, c["lengths"], *how), g)
    image = F.fold(mg.tensor(g), c["lengths"], *how).cpu().numpy()
    np.testing.assert_allclose((image * c["x"]).sum(), (columns.cpu().numpy() * g).sum(), rtol=1e-9, atol=1e-9)
    modules_agree(nn.Unfold(*how), torch.nn.Unfold(*how), c["x"], order2=False)
    modules_agree(nn.Fold(c["lengths"], *how), torch.nn.Fold(c["lengths"], *how), g, order2=False)


def test_fold_of_unfold_counts_the_overlaps():
    x = mg.tensor(normal(1, 1, 4, 4))
    count = F.fold(F.unfold(mg.ones(1, 1, 4, 4), 2), 4, 2)
    np.testing.assert_allclose(F.fold(F.unfold(x, 2), 4, 2).cpu().numpy(), (x * count).cpu().numpy(), rtol=1e-6)
    assert count[0, 0, 0].tolist() == [1.0, 2.0, 2.0, 1.0]
    assert repr(nn.Fold(5, 2)) == repr(torch.nn.Fold(5, 2)) and repr(nn.Unfold((2, 3))) == repr(torch.nn.Unfold((2, 3)))


# ---------------------------------------------------------------- what is refused

ONES = lambda lib, *shape: lib.ones(shape)
REFUSED = {
    "stride": lambda F, lib: F.conv1d(ONES(lib, 1, 4, 5), ONES(lib, 4, 4, 3), stride=0),
    "fraction": lambda F, lib: F.conv1d(ONES(lib, 1, 4, 5), ONES(lib, 4, 4, 3), stride=1.5),
    "bool stride": lambda F, lib: F.conv2d(ONES(lib, 1, 4, 5, 5), ONES(lib, 4, 4, 3, 3), stride=True),
    "three strides": lambda F, lib: F.conv2d(ONES(lib, 1, 4, 5, 5), ONES(lib, 4, 4, 3, 3), stride=(1, 1, 1)),
    "negative padding": lambda F, lib: F.conv1d(ONES(lib, 1, 4, 5), ONES(lib, 4, 4, 3), padding=-1),
    "word": lambda F, lib: F.conv1d(ONES(lib, 1, 4, 5), ONES(lib, 4, 4, 3), padding="half"),
    "causal 2-D": lambda F, lib: F.conv2d(ONES(lib, 1, 4, 5, 5), ONES(lib, 4, 4, 3, 3), padding="causal"),
    "strided same": lambda F, lib: F.conv1d(ONES(lib, 1, 4, 5), ONES(lib, 4, 4, 3), padding="same", stride=2),
    "channels": lambda F, lib: F.conv1d(ONES(lib, 1, 3, 5), ONES(lib, 4, 4, 3)),
    "groups": lambda F, lib: F.conv1d(ONES(lib, 1, 4, 5), ONES(lib, 4, 2, 3), groups=3),
    "no groups": lambda F, lib: F.conv1d(ONES(lib, 1, 4, 5), ONES(lib, 4, 4, 3), groups=0),
    "bias": lambda F, lib: F.conv1d(ONES(lib, 1, 4, 5), ONES(lib, 4, 4, 3), ONES(lib, 3)),
    "kernel beyond": lambda F, lib: F.conv1d(ONES(lib, 1, 4, 2), ONES(lib, 4, 4, 3)),
    "dilated kernel beyond": lambda F, lib: F.conv1d(ONES(lib, 1, 4, 4), ONES(lib, 4, 4, 3), dilation=2),
    "empty kernel": lambda F, lib: F.conv1d(ONES(lib, 1, 4, 5), ONES(lib, 4, 4, 0)),
    "empty signal": lambda F, lib: F.conv1d(ONES(lib, 1, 4, 0), ONES(lib, 4, 4, 3), padding=2),
    "no filters": lambda F, lib: F.conv1d(ONES(lib, 1, 4, 5), ONES(lib, 0, 4, 3)),
    "axes": lambda F, lib: F.conv2d(ONES(lib, 4, 5), ONES(lib, 4, 4, 3, 3)),
    "weight axes": lambda F, lib: F.conv2d(ONES(lib, 1, 4, 5, 5), ONES(lib, 4, 4, 3)),
    "transposed channels": lambda F, lib: F.conv_transpose1d(ONES(lib, 1, 3, 5), ONES(lib, 4, 4, 3)),
    "transposed groups": lambda F, lib: F.conv_transpose1d(ONES(lib, 1, 4, 5), ONES(lib, 4, 4, 3), groups=3),
    "transposed bias": lambda F, lib: F.conv_transpose1d(ONES(lib, 1, 4, 5), ONES(lib, 4, 3, 3), ONES(lib, 3), groups=2),
    "output padding": lambda F, lib: F.conv_transpose1d(ONES(lib, 1, 4, 5), ONES(lib, 4, 3, 3), output_padding=1),
    "negative output padding": lambda F, lib: F.conv_transpose1d(ONES(lib, 1, 4, 5), ONES(lib, 4, 3, 3), output_padding=-1),
    "nothing left": lambda F, lib: F.conv_transpose1d(ONES(lib, 1, 4, 1), ONES(lib, 4, 3, 3), padding=2),
    "just nothing left": lambda F, lib: F.conv_transpose2d(ONES(lib, 1, 4, 3, 1), ONES(lib, 4, 3, 1, 2), padding=1),
    "transposed same": lambda F, lib: F.conv_transpose1d(ONES(lib, 1, 4, 5), ONES(lib, 4, 3, 3), padding="same"),
    "transposed empty": lambda F, lib: F.conv_transpose1d(ONES(lib, 1, 4, 0), ONES(lib, 4, 3, 3)),
    "tbc axes": lambda F, lib: F.conv_tbc(ONES(lib, 2, 3), ONES(lib, 3, 3, 4), ONES(lib, 4)),
    "tbc channels": lambda F, lib: F.conv_tbc(ONES(lib, 5, 2, 2), ONES(lib, 3, 3, 4), ONES(lib, 4)),
    "tbc bias": lambda F, lib: F.conv_tbc(ONES(lib, 5, 2, 3), ONES(lib, 3, 3, 4), None),
    "tbc pad": lambda F, lib: F.conv_tbc(ONES(lib, 5, 2, 3), ONES(lib, 3, 3, 4), ONES(lib, 4), (1,)),
    "unfold axes": lambda F, lib: F.unfold(ONES(lib, 5, 5), 2),
    "unfold beyond": lambda F, lib: F.unfold(ONES(lib, 1, 1, 2, 2), 3),
    "unfold stride": lambda F, lib: F.unfold(ONES(lib, 1, 1, 2, 2), 1, stride=0),
    "unfold no channels": lambda F, lib: F.unfold(ONES(lib, 1, 0, 5, 5), 2),
    "fold columns": lambda F, lib: F.fold(ONES(lib, 2, 8, 15), (5, 5), 2),
    "fold rows": lambda F, lib: F.fold(ONES(lib, 2, 7, 16), (5, 5), 2),
    "fold axes": lambda F, lib: F.fold(ONES(lib, 1, 1, 8, 16), (5, 5), 2),
    "fold beyond": lambda F, lib: F.fold(ONES(lib, 1, 9, 1), (2, 2), 3),
    "fold three": lambda F, lib: F.fold(ONES(lib, 2, 8, 16), (5, 5), (2, 2, 2)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_functions_refuse_what_pytorch_refuses(what):
    both_reject(lambda: REFUSED[what](F, mg), lambda: REFUSED[what](TF, torch))


LAYERS_REFUSE = {
    "channels and groups": lambda nn, lib: nn.Conv2d(3, 4, 1, groups=2),
    "filters and groups": lambda nn, lib: nn.Conv2d(4, 3, 1, groups=2),
    "no groups": lambda nn, lib: nn.Conv2d(4, 4, 1, groups=0),
    "word": lambda nn, lib: nn.Conv2d(4, 4, 1, padding="half"),
    "strided same": lambda nn, lib: nn.Conv2d(4, 4, 1, 2, padding="same"),
    "border": lambda nn, lib: nn.Conv2d(4, 4, 1, padding_mode="mirror"),
    "transposed border": lambda nn, lib: nn.ConvTranspose1d(4, 4, 1, padding_mode="reflect"),
    "circular twice round": lambda nn, lib: nn.Conv1d(2, 2, 3, padding=5, padding_mode="circular")(ONES(lib, 1, 2, 4)),
    "mirror too wide": lambda nn, lib: nn.Conv1d(2, 2, 3, padding=4, padding_mode="reflect")(ONES(lib, 1, 2, 4)),
    "output size": lambda nn, lib: nn.ConvTranspose2d(2, 2, 3, 2)(ONES(lib, 1, 2, 4, 4), output_size=(11, 9)),
    "output size below": lambda nn, lib: nn.ConvTranspose2d(2, 2, 3, 2)(ONES(lib, 1, 2, 4, 4), output_size=(9, 8)),
    "one output size": lambda nn, lib: nn.ConvTranspose2d(2, 2, 3, 2)(ONES(lib, 1, 2, 4, 4), output_size=(9,)),
    "bare output size": lambda nn, lib: nn.ConvTranspose2d(2, 2, 3, 2)(ONES(lib, 1, 2, 4, 4), output_size=9),
    "output size of another rank": lambda nn, lib: nn.ConvTranspose2d(2, 2, 3, 2)(ONES(lib, 2, 4, 4), output_size=(1, 2, 9, 9)),
    "input axes": lambda nn, lib: nn.Conv2d(2, 2, 3)(ONES(lib, 2, 4)),
    "input axes with a border": lambda nn, lib: nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect")(ONES(lib, 4)),
}


@pytest.mark.parametrize("what", LAYERS_REFUSE)
def test_layers_refuse_what_pytorch_refuses(what):
    both_reject(lambda: LAYERS_REFUSE[what](nn, mg), lambda: LAYERS_REFUSE[what](torch.nn, torch))


@pytest.mark.parametrize("make", [lambda: nn.Conv2d(2, 2, 0), lambda: nn.Conv2d(2, 2, 1, 0), lambda: nn.Conv1d(0, 2, 1), lambda: nn.Conv2d(2, 2, 3, padding="causal"), lambda: nn.ConvTranspose1d(2, 2, 3, output_padding=3), lambda: nn.ConvTranspose1d(2, 2, 3, padding="same"), lambda: nn.Conv2d(2, 2, None), lambda: nn.Unfold(0), lambda: nn.Fold((1, 2, 3), 2)])
def test_layers_refuse_at_construction(make):
    with pytest.raises(ValueError, match=r"\w+: expected .*=.*"):
        make()
