"""Padding: the function and the layers against PyTorch over random shapes, modes and widths."""

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

RNG = np.random.default_rng(0)
QUICK = settings(max_examples=60, deadline=None, derandomize=True)
MODES = ["constant", "reflect", "replicate", "circular"]


@st.composite
def paddings(draw, crops=True):
    """(x, widths, mode, value) that PyTorch takes."""
    mode, axes = draw(st.sampled_from(MODES)), draw(st.integers(1, 3))
    lengths = [draw(st.integers(2, 4)) for _ in range(axes)]
    widths = []
    for n in reversed(lengths):
        most = {"reflect": n - 1, "circular": n}.get(mode, 5)
        low, high = draw(st.integers(-1 if crops else 0, most)), draw(st.integers(0, most))
        if low < 0 and mode == "circular":  # what is cropped is not there to continue with
            high = min(high, n + low)
        widths += draw(st.permutations([low, high]))
    lead = [draw(st.integers(1, 2)) for _ in range(draw(st.integers(1, 2)))]
    value = draw(st.sampled_from([None, 0.0, 1.5])) if mode == "constant" else None
    return RNG.normal(size=(*lead, *lengths)), tuple(widths), mode, value


@given(paddings())
@QUICK
def test_pad_equals_pytorch(p):
    x, widths, mode, value = p
    agree(lambda x: F.pad(x, widths, mode, value), lambda x: TF.pad(x, widths, mode, value), x)


@given(paddings(), st.booleans())
@QUICK
def test_padding_layers_equal_pytorch(p, alike):
    x, widths, mode, value = p
    dims = len(widths) // 2
    padding = 1 if alike else widths
    names = {"constant": "ZeroPad" if value is None else "ConstantPad", "reflect": "ReflectionPad", "replicate": "ReplicationPad", "circular": "CircularPad"}
    rest = () if value is None else (value,)
    ours, theirs = (getattr(lib, f"{names[mode]}{dims}d")(padding, *rest) for lib in (nn, torch.nn))
    modules_agree(ours, theirs, x, order2=False)
    assert ours.padding == tuple(theirs.padding)


@given(paddings(crops=False))
@QUICK
def test_numpys_pad_is_the_same(p):
    x, widths, mode, value = p
    pairs = [(0, 0)] * (x.ndim - len(widths) // 2) + [(widths[i], widths[i + 1]) for i in range(len(widths) - 2, -1, -2)]
    name = {"replicate": "edge", "circular": "wrap"}.get(mode, mode)
    wanted = np.pad(x, pairs, name, **({"constant_values": value} if value else {}))
    assert np.array_equal(F.pad(mg.tensor(x), widths, mode, value).cpu().numpy(), wanted)
    assert np.array_equal(mg.pad(mg.tensor(x), pairs, name, value or 0.0).cpu().numpy(), wanted)


@pytest.mark.parametrize("mode", MODES)
def test_pad_behaves(mode):
    behaves(lambda x: F.pad(x, (2, 1, 0, 2), mode), RNG.normal(size=(3, 2, 3, 4)))
    behaves(lambda x: F.pad(x, (1, -1), mode), RNG.normal(size=(3, 2, 4)))


def test_integers_lists_and_nothing_to_pad():
    x = np.arange(6).reshape(1, 2, 3)
    for mode in MODES:
        wanted = TF.pad(torch.tensor(x), [1, 2], mode).numpy()
        got = F.pad(mg.tensor(x), [1, 2], mode).cpu().numpy()
        assert np.array_equal(got, wanted) and got.dtype == wanted.dtype
    assert F.pad(mg.ones(3), ()).tolist() == [1.0, 1.0, 1.0]
    assert F.pad(mg.ones(0), (1, 1)).tolist() == [0.0, 0.0]
    assert F.pad(mg.ones(3), (-2, -1)).shape == (0,)
    assert F.pad(mg.ones(2), (1, 0), value=float("-inf")).tolist() == [-np.inf, 1.0, 1.0]


def test_a_mirror_shows_what_is_cropped_at_the_other_end():
    x = mg.arange(5.0).reshape(1, 1, 5)
    assert F.pad(x, (-2, 4), "reflect").tolist() == [[[2, 3, 4, 3, 2, 1, 0]]]
    assert F.pad(x, (-2, 3), "circular").tolist() == [[[2, 3, 4, 2, 3, 4]]]


def test_gradients_gather_at_the_source():
    x = mg.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    F.pad(x, (2, 1), "reflect").sum().backward()
    assert x.grad.tolist() == [[1.0, 3.0, 2.0]]
    x.grad = None
    F.pad(x, (2, 1), "replicate").sum().backward()
    assert x.grad.tolist() == [[3.0, 1.0, 2.0]]
    x.grad = None
    F.pad(x, (2, 1), "circular").sum().backward()
    assert x.grad.tolist() == [[2.0, 2.0, 2.0]]


REFUSED = {
    "odd": lambda F, o: F.pad(o((3,)), (1,)),
    "too many": lambda F, o: F.pad(o((3,)), (1, 1, 1, 1)),
    "a number": lambda F, o: F.pad(o((3,)), 1),
    "fractions": lambda F, o: F.pad(o((3,)), (1.0, 1.0)),
    "mode": lambda F, o: F.pad(o((3,)), (1, 1), "wrap"),
    "crop too far": lambda F, o: F.pad(o((3,)), (-4, 2)),
    "crop too far together": lambda F, o: F.pad(o((3,)), (-2, -2)),
    "crop past the border": lambda F, o: F.pad(o((3,)), (4, -4)),
    "value for reflect": lambda F, o: F.pad(o((1, 1, 3)), (1, 1), "reflect", 1.0),
    "no channel axis": lambda F, o: F.pad(o((3,)), (1, 1), "reflect"),
    "two leading axes too many": lambda F, o: F.pad(o((2, 2, 2, 3)), (1, 1), "circular"),
    "nothing": lambda F, o: F.pad(o((2, 2, 2, 3)), (), "replicate"),
    "reflect n": lambda F, o: F.pad(o((1, 1, 3)), (3, 0), "reflect"),
    "circular n + 1": lambda F, o: F.pad(o((1, 1, 3)), (0, 4), "circular"),
    "reflect of nothing": lambda F, o: F.pad(o((1, 1, 0)), (0, 0), "reflect"),
    "replicate of nothing": lambda F, o: F.pad(o((1, 1, 0)), (1, 1), "replicate"),
    "circular of nothing": lambda F, o: F.pad(o((1, 1, 0)), (1, 1), "circular"),
    "reflect without channels": lambda F, o: F.pad(o((1, 0, 3)), (1, 1), "reflect"),
    "replicate to nothing": lambda F, o: F.pad(o((1, 1, 5)), (-2, -3), "replicate"),
    "circular beyond what is left": lambda F, o: F.pad(o((1, 1, 5)), (-2, 4), "circular"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_pad_refuses_what_pytorch_refuses(what):
    both_reject(lambda: REFUSED[what](F, mg.ones), lambda: REFUSED[what](TF, torch.ones))


@pytest.mark.parametrize("mode", MODES[1:])
def test_an_empty_batch_passes_and_lone_samples_are_not_one(mode):
    assert F.pad(mg.ones(0, 1, 3), (1, 1), mode).shape == (0, 1, 5)
    if mode != "circular":
        both_reject(lambda: F.pad(mg.ones(0, 3), (1, 1), mode), lambda: TF.pad(torch.ones(0, 3), (1, 1), mode))


def test_layers_refuse_at_construction():
    for make in (lambda: nn.ConstantPad1d((1, 2, 3), 0.0), lambda: nn.ZeroPad2d((1, 2)), lambda: nn.ReflectionPad1d("a"), lambda: nn.CircularPad3d(1.5)):
        with pytest.raises(ValueError, match=r"\w+Pad\dd: expected .*padding="):
            make()
    both_reject(lambda: nn.CircularPad1d(1)(mg.ones(1, 1, 3, 3)), lambda: torch.nn.CircularPad1d(1)(torch.ones(1, 1, 3, 3)))
    both_reject(lambda: nn.ReflectionPad2d(1)(mg.ones(3, 3)), lambda: torch.nn.ReflectionPad2d(1)(torch.ones(3, 3)))
