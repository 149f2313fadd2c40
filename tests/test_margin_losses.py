"""Margin losses against PyTorch: values, gradients of both orders, corners, huge scores."""

import math

import pytest
from against_torch import agree
from hypothesis import given
from hypothesis import strategies as st
from loss_draws import Draws, both, few, reductions, seeds, shapes

import minigrad as mg
from minigrad.nn import functional as F

torch = pytest.importorskip("torch")
TF = torch.nn.functional


@given(seed=seeds, shape=shapes, reduction=reductions, margin=st.floats(0.1, 2.0))
@few
def test_two_sided_margins(seed, shape, reduction, margin):
    d = Draws(seed)
    t = d.signs(*shape)
    for name, arrays, how in (
        ("soft_margin_loss", (d.n(*shape),), {}),
        ("hinge_embedding_loss", (d.n(*shape),), {"margin": margin}),
        ("margin_ranking_loss", (d.n(*shape), d.n(*shape)), {"margin": margin}),
    ):
        agree(
            lambda *xs: getattr(F, name)(*xs, mg.tensor(t), reduction=reduction, **how),
            lambda *ts: getattr(TF, name)(*ts, torch.tensor(t), reduction=reduction, **how),
            *arrays, float32=False,
        )  # fmt: skip


@given(seed=seeds, n=st.integers(0, 4), size=st.integers(1, 4), reduction=reductions, margin=st.floats(-0.5, 0.5))
@few
def test_cosine_embedding(seed, n, size, reduction, margin):
    d = Draws(seed)
    head = (n,) if n else ()
    t = d.signs(*head)
    agree(
        lambda a, b: F.cosine_embedding_loss(a, b, mg.tensor(t), margin, reduction),
        lambda a, b: TF.cosine_embedding_loss(a, b, torch.tensor(t), margin, reduction=reduction),
        d.n(*head, size), d.n(*head, size), float32=False,
    )  # fmt: skip


@given(seed=seeds, n=st.integers(0, 4), classes=st.integers(1, 5), reduction=reductions, p=st.sampled_from([1, 2]), weighted=st.booleans())
@few
def test_multi_margin(seed, n, classes, reduction, p, weighted):
    d = Draws(seed)
    head = (n,) if n else ()
    labels, w = d.labels(classes, *head), d.u(classes) if weighted else None
    agree(
        lambda x: F.multi_margin_loss(x, mg.tensor(labels), p, 0.8, None if w is None else mg.tensor(w), reduction),
        lambda x: TF.multi_margin_loss(x, torch.tensor(labels), p, 0.8, None if w is None else torch.tensor(w), reduction=reduction),
        d.n(*head, classes), order2=False, float32=False,
    )  # fmt: skip


@given(seed=seeds, n=st.integers(0, 4), classes=st.integers(1, 5), reduction=reductions)
@few
def test_multilabel_margin(seed, n, classes, reduction):
    """Labels with repeats, -1 anywhere, and labels behind it that do not count."""
    d = Draws(seed)
    head = (n,) if n else ()
    labels = d.labels(classes + 1, *head, classes) - 1
    agree(
        lambda x: F.multilabel_margin_loss(x, mg.tensor(labels), reduction),
        lambda x: TF.multilabel_margin_loss(x, torch.tensor(labels), reduction=reduction),
        d.n(*head, classes), order2=False,
    )  # fmt: skip


@given(seed=seeds, shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple), reduction=reductions, weighted=st.booleans())
@few
def test_multilabel_soft_margin(seed, shape, reduction, weighted):
    d = Draws(seed)
    w = [d.u(*shape)] if weighted else []
    agree(
        lambda x, t, *w: F.multilabel_soft_margin_loss(x, t, *w, reduction=reduction),
        lambda x, t, *w: TF.multilabel_soft_margin_loss(x, t, *w, reduction=reduction),
        d.n(*shape), d.u(*shape), *w,
    )  # fmt: skip


@given(seed=seeds, shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple), reduction=reductions, p=st.sampled_from([1.0, 2.0, 3.0, math.inf]), swap=st.booleans())
@few
def test_triplets(seed, shape, reduction, p, swap):
    d = Draws(seed)
    triplet = d.n(*shape), d.n(*shape), d.n(*shape)
    both("triplet_margin_loss", *triplet, margin=0.7, p=p, eps=1e-3, swap=swap, reduction=reduction)
    both("triplet_margin_with_distance_loss", *triplet, margin=0.7, swap=swap, reduction=reduction)
    both("triplet_margin_with_distance_loss", *triplet, distance_function=lambda a, b: ((a - b) ** 2).sum(-1), swap=swap, reduction=reduction)


def test_hinges_by_hand():
    """max(0, 1 - margin): slope -t inside, 0 outside; at the corner itself PyTorch's slope, -t."""
    x = mg.tensor([0.5, 1.0, 2.0], requires_grad=True)
    F.margin_ranking_loss(x, mg.zeros(3), mg.ones(3), margin=1.0, reduction="sum").backward()
    assert x.grad.tolist() == [-1.0, -1.0, 0.0]
    assert F.multi_margin_loss(mg.tensor([[0.1, 0.2, 0.4, 0.8]], dtype="float64"), mg.tensor([3])).item() == pytest.approx(0.325, rel=1e-14)
    got = F.multilabel_margin_loss(mg.tensor([[0.1, 0.2, 0.4, 0.8]], dtype="float64"), mg.tensor([[3, 0, -1, 1]])).item()
    assert got == pytest.approx(0.25 * ((1 - (0.1 - 0.2)) + (1 - (0.1 - 0.4)) + (1 - (0.8 - 0.2)) + (1 - (0.8 - 0.4))), rel=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_scores_cost_their_size_and_nothing_overflows(dtype):
    x = mg.tensor([1000.0, -1000.0], dtype=dtype, requires_grad=True)
    ones = mg.ones(2, dtype=dtype)
    for f in (lambda: F.binary_cross_entropy_with_logits(x, ones, reduction="none"), lambda: F.soft_margin_loss(x, ones, reduction="none"), lambda: F.multilabel_soft_margin_loss(x.reshape(2, 1), ones.reshape(2, 1), reduction="none")):
        x.grad = None
        loss = f()
        loss.sum().backward()
        assert loss.tolist() == [0.0, 1000.0] and x.grad.tolist() == [0.0, -1.0]
