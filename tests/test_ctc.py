"""CTC: against the sum over all paths, against PyTorch, at its edges, and fast enough to train with."""

import itertools
import math

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
few = settings(max_examples=20, deadline=None, derandomize=True)


def scores(seed, *shape):
    return 2.0 * np.random.default_rng(seed).normal(size=shape)


def brute_force(logp, labels, blank):
    """-log of the sum over every path that spells the labels: (T, C)."""
    spelt = lambda path: [c for c, _ in itertools.groupby(path) if c != blank]
    paths = [p for p in itertools.product(range(logp.shape[1]), repeat=len(logp)) if spelt(p) == list(labels)]
    total = sum(math.exp(sum(logp[t, c] for t, c in enumerate(p))) for p in paths)
    return -math.log(total) if total else math.inf


def draw_case(data, classes_from=2):
    """Scores, padded labels and lengths; some labels repeat, some targets are empty, all can be spelt in time."""
    seed = data.draw(st.integers(0, 1000))
    rng = np.random.default_rng(seed)
    t, n, c = data.draw(st.tuples(st.integers(2, 7), st.integers(1, 4), st.integers(classes_from, 5)))
    blank = data.draw(st.integers(0, c - 1))
    s = data.draw(st.integers(1, (t + 1) // 2))
    other = np.array([k for k in range(c) if k != blank])
    targets = other[rng.integers(0, len(other), (n, s))]
    lengths = rng.integers(0, s + 1, n)
    steps = np.array([rng.integers(min(max(2 * k - 1, 1), t), t + 1) for k in lengths])
    return scores(seed, t, n, c), targets, steps, lengths, blank


@given(data=st.data())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_every_path_counted(data):
    x, targets, steps, lengths, blank = draw_case(data)
    x = x[:5]
    steps = np.minimum(steps, len(x))
    logp = x - np.log(np.exp(x).sum(-1, keepdims=True))
    got = F.ctc_loss(mg.tensor(logp), mg.tensor(targets), steps.tolist(), lengths.tolist(), blank, "none").cpu().numpy()
    for n in range(len(lengths)):
        wanted = brute_force(logp[: steps[n], n], targets[n, : lengths[n]], blank)
        assert got[n] == pytest.approx(wanted, rel=1e-12, abs=1e-14)


@given(data=st.data(), reduction=st.sampled_from(["none", "mean", "sum"]), joined=st.booleans(), zero=st.booleans())
@few
def test_against_pytorch(data, reduction, joined, zero):
    """Behind log_softmax, where PyTorch's gradient is right; padding may hold anything."""
    x, targets, steps, lengths, blank = draw_case(data)
    given_ = np.concatenate([row[:k] for row, k in zip(targets, lengths, strict=True)]) if joined else targets.copy()
    if not joined:
        given_[np.arange(targets.shape[1]) >= lengths[:, None]] = 77
    how = {"blank": blank, "reduction": reduction, "zero_infinity": zero}
    agree(
        lambda x: F.ctc_loss(F.log_softmax(x, -1), mg.tensor(given_), mg.tensor(steps), mg.tensor(lengths), **how),
        lambda x: TF.ctc_loss(TF.log_softmax(x, -1), torch.tensor(given_), torch.tensor(steps), torch.tensor(lengths), **how),
        x, order2=False,
    )  # fmt: skip


def test_one_sequence_without_a_batch_axis():
    x, labels = scores(0, 6, 4), np.array([1, 2, 2])
    for reduction in ("none", "mean", "sum"):
        agree(
            lambda x: F.ctc_loss(F.log_softmax(x, -1), mg.tensor(labels), mg.tensor(6), mg.tensor(3), reduction=reduction),
            lambda x: TF.ctc_loss(TF.log_softmax(x, -1), torch.tensor(labels), torch.tensor(6), torch.tensor(3), reduction=reduction),
            x, order2=False,
        )  # fmt: skip


def test_the_gradient_is_that_of_the_input_as_given():
    """By differences, without log_softmax before it; PyTorch's own adds e^x, the part of the softmax."""
    x = scores(1, 5, 1, 3)
    f = lambda v: F.ctc_loss(mg.tensor(v), mg.tensor([[1, 2]]), [5], [2]).item()
    t = mg.tensor(x, requires_grad=True)
    F.ctc_loss(t, mg.tensor([[1, 2]]), [5], [2]).backward()
    for i in np.ndindex(*x.shape):
        step = np.zeros(x.shape)
        step[i] = 1e-5
        assert t.grad.cpu().numpy()[i] == pytest.approx((f(x + step) - f(x - step)) / 2e-5, abs=1e-8)
    theirs = torch.tensor(x, requires_grad=True)
    TF.ctc_loss(theirs, torch.tensor([[1, 2]]), [5], [2]).backward()
    np.testing.assert_allclose(theirs.grad.numpy() - np.exp(x) / 2, t.grad.cpu().numpy(), rtol=1e-9, atol=1e-12)


def test_gradients_of_gradients():
    from minigrad.gradcheck import gradcheck

    f = lambda x: F.ctc_loss(F.log_softmax(x, -1), mg.tensor([[1, 1], [2, 0]]), [5, 4], [2, 1], reduction="sum")
    assert gradcheck(f, [scores(2, 5, 2, 3)], order=2).ok


# ---------------------------------------------------------------- at the edges


def test_no_path_is_short_enough():
    """Two equal labels need a blank between them: 3 steps. The loss is infinite; the others keep their gradient."""
    for zero in (False, True):
        x = mg.tensor(scores(3, 3, 2, 3), requires_grad=True)
        targets, steps = mg.tensor([[1, 1], [1, 1]]), mg.tensor([2, 3])
        losses = F.ctc_loss(F.log_softmax(x, -1), targets, steps, mg.tensor([2, 2]), reduction="none", zero_infinity=zero)
        assert losses.tolist()[0] == (0.0 if zero else math.inf) and 0 < losses.tolist()[1] < 100
        losses.sum().backward()
        g = x.grad.cpu().numpy()
        assert (g[:, 0] == 0).all() and np.isfinite(g).all() and (g[:, 1] != 0).any()
    raw = scores(3, 3, 2, 3)
    agree(
        lambda x: F.ctc_loss(F.log_softmax(x, -1), targets, steps, mg.tensor([2, 2]), zero_infinity=True),
        lambda x: TF.ctc_loss(TF.log_softmax(x, -1), torch.tensor([[1, 1], [1, 1]]), torch.tensor([2, 3]), torch.tensor([2, 2]), zero_infinity=True),
        raw, order2=False,
    )  # fmt: skip


def test_an_empty_target_means_blanks_throughout():
    logp = F.log_softmax(mg.tensor(scores(4, 5, 1, 3)), -1)
    got = F.ctc_loss(logp, mg.zeros((1, 0), dtype="int64"), [4], [0], reduction="none").item()
    assert got == pytest.approx(-logp.cpu().numpy()[:4, 0, 0].sum(), rel=1e-14)


def test_no_time_at_all_asks_nothing_of_the_scores():
    x = mg.tensor(scores(4, 3, 2, 3), requires_grad=True)
    losses = F.ctc_loss(F.log_softmax(x, -1), mg.tensor([[1], [1]]), [0, 0], [0, 1], reduction="none")
    assert losses.tolist() == [0.0, math.inf]
    (again,) = mg.grad(losses.sum(), [x], create_graph=True)
    losses.sum().backward()
    assert (x.grad.cpu().numpy() == 0).all() and (again.detach().cpu().numpy() == 0).all()


def test_impossible_classes_and_sharp_scores():
    """Probabilities of exactly 0 and 1, and scores of +-1000, stay finite and right."""
    logp = np.full((3, 1, 3), -np.inf)
    logp[[0, 1, 2], 0, [1, 0, 2]] = 0.0
    assert F.ctc_loss(mg.tensor(logp), mg.tensor([[1, 2]]), [3], [2]).item() == 0.0
    assert F.ctc_loss(mg.tensor(logp), mg.tensor([[2, 1]]), [3], [2]).item() == math.inf
    x = mg.tensor(np.repeat(logp, 2, axis=1), requires_grad=True)
    losses = F.ctc_loss(x, mg.tensor([[1, 2], [2, 1]]), [3, 3], [2, 2], reduction="none", zero_infinity=True)
    losses.sum().backward()
    np.testing.assert_array_equal(x.grad.cpu().numpy()[:, 0], np.where(logp[:, 0] == 0, -1.0, 0.0))  # the one path
    assert losses.tolist() == [0.0, 0.0] and (x.grad.cpu().numpy()[:, 1] == 0).all()
    for dtype in ("float32", "float64"):
        x = mg.tensor(np.where(logp == 0, 1000.0, -1000.0), dtype=dtype, requires_grad=True)
        loss = F.ctc_loss(F.log_softmax(x, -1), mg.tensor([[2, 1]]), [3], [2], reduction="sum")
        loss.backward()
        assert loss.item() == 4000.0 and np.isfinite(x.grad.cpu().numpy()).all()
        x.grad = None
        F.ctc_loss(F.log_softmax(x, -1), mg.tensor([[1, 2]]), [3], [2]).backward()
        np.testing.assert_allclose(x.grad.cpu().numpy(), 0.0, atol=1e-6)


def test_time_beyond_the_input_length_does_not_count():
    x = mg.tensor(scores(5, 6, 2, 3), requires_grad=True)
    F.ctc_loss(x, mg.tensor([[1], [2]]), [4, 6], [1, 1], reduction="sum").backward()
    g = x.grad.cpu().numpy()
    assert (g[4:, 0] == 0).all() and (g[:4, 0] != 0).any() and (g[4:, 1] != 0).any()
    np.testing.assert_allclose(g.sum(-1), -np.array([[1, 1]] * 4 + [[0, 1]] * 2), rtol=1e-12)  # a class at each step, surely


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_sequences(dtype):
    """1000 steps, 60 labels: probabilities near e^-3000, far below any dtype's smallest number."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(1000, 2, 30))
    targets = rng.integers(1, 30, (2, 60))
    ours, theirs = mg.tensor(x, dtype=dtype, requires_grad=True), torch.tensor(x, requires_grad=True)
    loss = F.ctc_loss(F.log_softmax(ours, -1), mg.tensor(targets), [1000, 900], [60, 40], reduction="sum")
    wanted = TF.ctc_loss(TF.log_softmax(theirs, -1), torch.tensor(targets), [1000, 900], [60, 40], reduction="sum")
    loss.backward(), wanted.backward()
    tight = 1e-9 if dtype == "float64" else 1e-4
    assert loss.item() == pytest.approx(wanted.item(), rel=tight)
    np.testing.assert_allclose(ours.grad.cpu().numpy(), theirs.grad.numpy(), rtol=tight, atol=tight)


def test_against_itself():
    """The batch stands on axis 1; parts of it, memory order and an empty batch change nothing."""
    targets, steps, lengths = np.array([[[1, 2], [1, 1], [2, 0]]]), np.array([[6, 5, 3]]), np.array([[2, 2, 1]])
    f = lambda x, t, i, k: F.ctc_loss(x, t[0], i[0], k[0], reduction="none").reshape(1, -1)
    behaves(f, scores(7, 6, 3, 3), targets, steps, lengths, batch=1, rtol=1e-11)


def test_the_layer():
    x = scores(8, 6, 2, 4)
    for how in ({}, {"blank": 3, "reduction": "sum", "zero_infinity": True}):
        def call(m, x):
            lib, f = (mg, F) if isinstance(m, nn.Module) else (torch, TF)
            return m(f.log_softmax(x, -1), lib.tensor([[1, 2], [2, 2]]), lib.tensor([6, 5]), lib.tensor([2, 2]))
        modules_agree(nn.CTCLoss(**how), torch.nn.CTCLoss(**how), x, call=call, order2=False, float32=False)


def test_training_spells():
    """Gradient steps on the scores themselves: the likeliest path becomes the target."""
    mg.manual_seed(0)
    x = mg.zeros((12, 1, 5), requires_grad=True)
    for _ in range(60):
        x.grad = None
        F.ctc_loss(F.log_softmax(x, -1), mg.tensor([[3, 1, 1, 4]]), [12], [4], reduction="sum").backward()
        x = (x.detach() - 2.0 * x.grad).requires_grad_()
    path = x.detach().cpu().numpy()[:, 0].argmax(-1)
    assert [c for c, _ in itertools.groupby(path.tolist()) if c] == [3, 1, 1, 4]


# ---------------------------------------------------------------- refused

X = [[[0.1, 0.2, 0.3]] * 2] * 4
REFUSED = {
    "reduction": lambda f, t: f.ctc_loss(t(X), t([[1], [2]]), t([4, 4]), t([1, 1]), reduction="batchmean"),
    "blank": lambda f, t: f.ctc_loss(t(X), t([[1], [2]]), t([4, 4]), t([1, 1]), blank=3),
    "a negative blank": lambda f, t: f.ctc_loss(t(X), t([[1], [2]]), t([4, 4]), t([1, 1]), blank=-1),
    "too many steps": lambda f, t: f.ctc_loss(t(X), t([[1], [2]]), t([4, 5]), t([1, 1])),
    "negative steps": lambda f, t: f.ctc_loss(t(X), t([[1], [2]]), t([4, -1]), t([1, 1])),
    "too few lengths": lambda f, t: f.ctc_loss(t(X), t([[1], [2]]), t([4]), t([1, 1])),
    "longer than its row": lambda f, t: f.ctc_loss(t(X), t([[1], [2]]), t([4, 4]), t([1, 2])),
    "a negative length": lambda f, t: f.ctc_loss(t(X), t([[1], [2]]), t([4, 4]), t([1, -1])),
    "not the sum": lambda f, t: f.ctc_loss(t(X), t([1, 2, 1]), t([4, 4]), t([1, 1])),
    "rows": lambda f, t: f.ctc_loss(t(X), t([[1], [2], [1]]), t([4, 4]), t([1, 1])),
    "float lengths": lambda f, t: f.ctc_loss(t(X), t([[1], [2]]), t([4.0, 4.0]), t([1, 1])),
    "axes": lambda f, t: f.ctc_loss(t([X]), t([[1], [2]]), t([4, 4]), t([1, 1])),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_pytorch_refuses_is_refused(name):
    both_reject(lambda: REFUSED[name](F, mg.tensor), lambda: REFUSED[name](TF, torch.tensor))


def test_labels_that_are_no_labels():
    """A class out of range, which PyTorch reads past its arrays for; the blank, which its manual forbids; floats."""
    with pytest.raises(TypeError, match="ctc_loss: expected integer labels"):
        F.ctc_loss(mg.tensor(X), mg.tensor([[1.0], [2.0]]), [4, 4], [1, 1])
    for label in (3, -1, 0):
        with pytest.raises(ValueError, match="ctc_loss: expected labels"):
            F.ctc_loss(mg.tensor(X), mg.tensor([[1], [label]]), [4, 4], [1, 1])
