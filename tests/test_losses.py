"""Losses of numbers, probabilities and classes against PyTorch: values, gradients of both orders, options, extremes."""

import math

import numpy as np
import pytest
from against_torch import agree, behaves, both_reject
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_draws import Draws, both, few, reductions, seeds, shapes

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

torch = pytest.importorskip("torch")
TF = torch.nn.functional
pytestmark = pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")  # PyTorch on its kl_div


# ---------------------------------------------------------------- numbers


@given(seed=seeds, shape=shapes, reduction=reductions, weighted=st.booleans(), size=st.floats(0.2, 3.0))
@few
def test_distances_of_numbers(seed, shape, reduction, weighted, size):
    d = Draws(seed)
    x, t, w = d.n(*shape), d.n(*shape), d.u(*shape)
    for name, how in (("mse_loss", {}), ("l1_loss", {}), ("huber_loss", {"delta": size})):
        if weighted:
            agree(
                lambda x, t, w: getattr(F, name)(x, t, weight=w, reduction=reduction, **how),
                lambda x, t, w: getattr(TF, name)(x, t, weight=w, reduction=reduction, **how),
                x, t, w,
            )  # fmt: skip
        else:
            both(name, x, t, reduction=reduction, **how)
    both("smooth_l1_loss", x, t, reduction=reduction, beta=size)
    both("smooth_l1_loss", x, t, reduction=reduction, beta=0.0)


@given(seed=seeds, shape=shapes, reduction=reductions, log_input=st.booleans(), full=st.booleans())
@few
def test_poisson(seed, shape, reduction, log_input, full):
    d = Draws(seed)
    x = d.n(*shape) if log_input else d.u(*shape, high=5.0)
    both("poisson_nll_loss", x, d.u(*shape, low=1.1, high=6.0), log_input=log_input, full=full, eps=1e-3, reduction=reduction)
    counts = d.labels(7, *shape)  # 0 and 1 have no Stirling term; as whole numbers they are the same target
    agree(
        lambda x: F.poisson_nll_loss(x, mg.tensor(counts), log_input, full, reduction=reduction),
        lambda x: TF.poisson_nll_loss(x, torch.tensor(counts, dtype=x.dtype), log_input, full, reduction=reduction),
        x,
    )


@given(seed=seeds, shape=st.lists(st.integers(2, 4), min_size=1, max_size=3).map(tuple), reduction=reductions, full=st.booleans(), form=st.sampled_from(["same", "row", "one", "number"]))
@few
def test_gaussian(seed, shape, reduction, full, form):
    d = Draws(seed)
    x, t = d.n(*shape), d.n(*shape)
    how = {"full": full, "eps": 0.3, "reduction": reduction}  # some variances lie below eps
    if form == "number":
        return both("gaussian_nll_loss", x, t, var=0.7, **how)
    var = {"same": shape, "row": shape[:-1], "one": (*shape[:-1], 1)}[form]
    return both("gaussian_nll_loss", x, t, d.u(*var, high=2.0), **how)


# ---------------------------------------------------------------- probabilities


@given(seed=seeds, shape=shapes, reduction=reductions)
@few
def test_binary_cross_entropy(seed, shape, reduction):
    d = Draws(seed)
    both("binary_cross_entropy", d.u(*shape), d.u(*shape), reduction=reduction)
    weight = d.u(*shape[-1:])
    agree(
        lambda x, t: F.binary_cross_entropy(x, t, mg.tensor(weight), reduction=reduction),
        lambda x, t: TF.binary_cross_entropy(x, t, torch.tensor(weight), reduction=reduction),
        d.u(*shape), d.u(*shape), float32=False,
    )  # fmt: skip


def test_binary_cross_entropy_at_0_and_1():
    x, t = np.array([0.0, 0.0, 1.0, 1.0, 1e-45, 1e-50]), np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.5])
    agree(lambda x: F.binary_cross_entropy(x, mg.tensor(t), reduction="none"), lambda x: TF.binary_cross_entropy(x, torch.tensor(t), reduction="none"), x, order2=False, float32=False)  # fmt: skip
    x = mg.tensor([0.0, 1.0], requires_grad=True)
    loss = F.binary_cross_entropy(x, mg.tensor([1.0, 0.0]), reduction="sum")
    loss.backward()
    assert loss.item() == 200.0 and np.isfinite(x.grad.cpu().numpy()).all()


@given(seed=seeds, shape=shapes, reduction=reductions, weighted=st.booleans(), positive=st.booleans())
@few
def test_binary_cross_entropy_with_logits(seed, shape, reduction, weighted, positive):
    d = Draws(seed)
    names = [n for n, there in (("weight", weighted), ("pos_weight", positive)) if there]
    extra = {n: d.u(*shape[-1:]) for n in names}
    agree(
        lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction=reduction, **{n: mg.tensor(w) for n, w in extra.items()}),
        lambda x, t: TF.binary_cross_entropy_with_logits(x, t, reduction=reduction, **{n: torch.tensor(w) for n, w in extra.items()}),
        d.n(*shape), d.u(*shape), float32=False,
    )  # fmt: skip


@given(seed=seeds, shape=shapes, reduction=st.sampled_from(["none", "mean", "sum", "batchmean"]), log_target=st.booleans())
@few
def test_kl_div(seed, shape, reduction, log_target):
    d = Draws(seed)
    target = d.u(*shape, low=-3.0, high=0.0) if log_target else d.u(*shape)
    both("kl_div", d.u(*shape, low=-4.0, high=0.0), target, reduction=reduction, log_target=log_target)


def test_kl_div_at_0():
    t = np.array([[0.0, 1.0], [0.5, 0.5]])
    agree(lambda x: F.kl_div(x, mg.tensor(t), "sum"), lambda x: TF.kl_div(x, torch.tensor(t), reduction="sum"), np.log([[0.3, 0.7], [0.4, 0.6]]), float32=False)
    agree(lambda t: F.kl_div(mg.zeros(2, 2).double(), t, "sum"), lambda t: TF.kl_div(torch.zeros(2, 2).double(), t, reduction="sum"), t[1:].repeat(2, 0), float32=False)


# ---------------------------------------------------------------- classes


def class_case(data, d):
    """Scores (C,), (N, C) or (N, C, d1, ...), and the shape of their labels."""
    classes = data.draw(st.integers(1, 5))
    n, extra = data.draw(st.integers(1, 4)), data.draw(st.lists(st.integers(1, 3), max_size=2))
    lone = not extra and data.draw(st.booleans())
    return (d.n(classes), (), classes) if lone else (d.n(n, classes, *extra), (n, *extra), classes)


@given(data=st.data(), seed=seeds, reduction=reductions, weighted=st.booleans(), ignored=st.booleans(), smoothing=st.sampled_from([0.0, 0.2, 1.0]))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_cross_entropy_and_nll(data, seed, reduction, weighted, ignored, smoothing):
    d = Draws(seed)
    x, shape, classes = class_case(data, d)
    labels = d.labels(classes, *shape)
    ignore = int(labels.flat[0]) if ignored and (labels != labels.flat[0]).any() else -100
    w = d.u(classes) if weighted else None
    how = {"reduction": reduction, "ignore_index": ignore}
    for name, more in (("nll_loss", {}), ("cross_entropy", {"label_smoothing": smoothing})):
        agree(
            lambda x: getattr(F, name)(x, mg.tensor(labels), None if w is None else mg.tensor(w), **how, **more),
            lambda x: getattr(TF, name)(x, torch.tensor(labels), None if w is None else torch.tensor(w), **how, **more),
            x, float32=w is None,
        )  # fmt: skip


@given(data=st.data(), seed=seeds, reduction=reductions, weighted=st.booleans(), smoothing=st.sampled_from([0.0, 0.3]))
@few
def test_cross_entropy_of_soft_targets(data, seed, reduction, weighted, smoothing):
    d = Draws(seed)
    x, _, classes = class_case(data, d)
    t = d.u(*x.shape)
    w = d.u(classes) if weighted else None
    how = {"reduction": reduction, "label_smoothing": smoothing}
    agree(
        lambda x, t: F.cross_entropy(x, t, None if w is None else mg.tensor(w), **how),
        lambda x, t: TF.cross_entropy(x, t, None if w is None else torch.tensor(w), **how),
        x, t, float32=w is None,
    )  # fmt: skip


def test_uniform_scores_cost_ln_k_and_huge_ones_stay_finite():
    for k in (2, 7, 1000):
        assert F.cross_entropy(mg.zeros(1, k, dtype="float64"), mg.tensor([1])).item() == pytest.approx(math.log(k), rel=1e-15)
    for dtype in ("float32", "float64"):
        x = mg.tensor([[1000.0, -1000.0, 0.0]], dtype=dtype, requires_grad=True)
        for label, wanted in ((0, 0.0), (1, 2000.0), (2, 1000.0)):
            loss = F.cross_entropy(x, mg.tensor([label]))
            x.grad = None
            loss.backward()
            assert loss.item() == wanted
            np.testing.assert_array_equal(x.grad.cpu().numpy()[0], np.eye(3)[0] - np.eye(3)[label])


def test_classes_ruled_out_by_minus_infinity():
    """A mask of -inf on other classes, and on the (unread) first class of an ignored row, leaves loss and gradient finite."""
    x, labels = np.array([[1.0, -np.inf, 2.0], [-np.inf, 0.5, 1.0]]), np.array([2, -100])
    for reduction in ("mean", "sum", "none"):
        agree(lambda x: F.cross_entropy(x, mg.tensor(labels), reduction=reduction), lambda x: TF.cross_entropy(x, torch.tensor(labels), reduction=reduction), x, order2=False)  # fmt: skip


def test_all_labels_ignored_has_no_mean():
    for f in (F.nll_loss, F.cross_entropy):
        assert math.isnan(f(mg.zeros(2, 3), mg.tensor([-100, -100])).item())
        assert f(mg.zeros(2, 3), mg.tensor([-100, -100]), reduction="sum").item() == 0.0


@pytest.mark.parametrize("how", [{}, {"label_smoothing": 0.1}], ids=str)
def test_all_labels_ignored_leaves_the_parameters_alone(how):
    """A batch without one label to learn from: the mean is nan, its gradient 0, whichever way it is found."""
    for f in (F.nll_loss, F.cross_entropy) if not how else (F.cross_entropy,):
        x = mg.ones(2, 3, requires_grad=True)
        loss = f(x, mg.tensor([1, 1]), ignore_index=1, **how)
        assert (mg.grad(loss, [x], create_graph=True)[0].detach().cpu().numpy() == 0).all()
        loss.backward()
        assert (x.grad.cpu().numpy() == 0).all()


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
@pytest.mark.parametrize("name", ["binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div", "mse_loss", "multilabel_soft_margin_loss", "poisson_nll_loss"])
def test_whole_targets_widen_nothing(name, dtype):
    x, t = mg.tensor([[0.5, 0.25]], requires_grad=True), mg.tensor([[1, 0]])
    loss = getattr(F, name)(x, t.astype(dtype))
    assert loss.dtype == "float32" and loss.item() == getattr(F, name)(x, t.astype("float32")).item()


WEIGHTED = {
    "cross_entropy": lambda f, x, t, w: f.cross_entropy(x, t, w), "nll_loss": lambda f, x, t, w: f.nll_loss(x, t, w),
    "multi_margin_loss": lambda f, x, t, w: f.multi_margin_loss(x, t, weight=w), "linear": lambda f, x, t, w: f.linear_cross_entropy(x, x.detach(), t, weight=w),
    "bce": lambda f, x, t, w: f.binary_cross_entropy(x, x.detach(), w), "logits": lambda f, x, t, w: f.binary_cross_entropy_with_logits(x, x.detach(), w),
    "pos_weight": lambda f, x, t, w: f.binary_cross_entropy_with_logits(x, x.detach(), pos_weight=w),
}  # fmt: skip


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights_that_require_grad_are_refused_not_forgotten(name):
    def call(lib, f):
        x, w = lib.tensor([[0.1, 0.7], [0.2, 0.3]], requires_grad=True), lib.tensor([1.0, 2.0], requires_grad=True)
        return WEIGHTED[name](f, x, lib.tensor([0, 1]), w).sum().backward()

    both_reject(lambda: call(mg, F), lambda: call(torch, TF))


def test_squared_error_of_the_two_layer_net():
    """Its worked example: score 2.3439769527315795, target 1.8."""
    score = mg.tensor(np.array(2.3439769527315795), requires_grad=True)
    loss = nn.MSELoss()(score, mg.tensor(np.array(1.8)))
    loss.backward()
    assert loss.item() == pytest.approx(0.2959109251031350, rel=1e-14)
    assert score.grad.item() == pytest.approx(1.0879539054631590, rel=1e-14)


def test_one_against_the_rest():
    """-log s(z_y) - sum over the others of log(1 - s(z_k)): the form with a sigmoid a class, unlike softmax's -log p_y."""
    z = np.array([[2.0, -1.0, 0.5]])
    s = 1 / (1 + np.exp(-z))
    wanted = -np.log(s[0, 0]) - np.log(1 - s[0, 1]) - np.log(1 - s[0, 2])
    got = F.binary_cross_entropy_with_logits(mg.tensor(z), mg.tensor(np.eye(3)[:1]), reduction="sum")
    assert got.item() == pytest.approx(wanted, rel=1e-14)
    assert F.cross_entropy(mg.tensor(z), mg.tensor([0])).item() == pytest.approx(np.log(np.exp(z).sum()) - 2.0, rel=1e-14)


# ---------------------------------------------------------------- against itself

ROWS = {
    "mse_loss": 2, "l1_loss": 2, "huber_loss": 2, "smooth_l1_loss": 2, "binary_cross_entropy_with_logits": 2, "kl_div": 2, "poisson_nll_loss": 2,
    "soft_margin_loss": 2, "hinge_embedding_loss": 2, "margin_ranking_loss": 3, "multilabel_soft_margin_loss": 2,
    "triplet_margin_loss": 3, "triplet_margin_with_distance_loss": 3,
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_against_itself(name):
    d = Draws(3)
    arrays = [d.u(4, 3) for _ in range(ROWS[name])]
    behaves(lambda *xs: getattr(F, name)(*xs, reduction="none"), *arrays)


def test_classes_and_distances_against_themselves():
    d = Draws(4)
    labels = d.labels(3, 4)
    for f in (F.cross_entropy, F.nll_loss, F.multi_margin_loss):
        behaves(lambda x, t: f(x, t, reduction="none"), d.n(4, 3), labels)
    behaves(lambda x, t: F.multilabel_margin_loss(x, t, reduction="none"), d.n(4, 3), d.labels(4, 4, 3) - 1)
    w = mg.tensor(d.n(3, 5))
    options = nn.LinearCrossEntropyOptions(batch_chunk_size=3)
    behaves(lambda x, t: F.linear_cross_entropy(x, w, t, reduction="none", options=options), d.n(4, 5), labels, rtol=1e-11)
    behaves(F.cosine_similarity, d.n(4, 3), d.n(4, 3))
    behaves(F.pairwise_distance, d.n(4, 3), d.n(4, 3))
    weight = mg.tensor(d.n(2, 3, 5))
    behaves(lambda a, b: F.bilinear(a, b, weight), d.n(4, 3), d.n(4, 5))
    behaves(lambda a, b, v: F.gaussian_nll_loss(a, b, v, reduction="none"), d.n(4, 3), d.n(4, 3), d.u(4, 3))
    behaves(lambda *xs: F.mixture_nll_loss(*xs, reduction="none"), d.n(4, 2), d.n(4, 2, 3), d.n(4, 2, 3), d.n(4, 3))
    behaves(lambda x, t: F.binary_cross_entropy(x, t, reduction="none"), d.u(4, 3), d.u(4, 3))
