"""Losses, distances and bilinear maps against PyTorch: values, gradients of both orders, options, layers, what is refused."""

import inspect
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
pytestmark = pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")  # PyTorch on its kl_div
few = settings(max_examples=10, deadline=None, derandomize=True)
seeds = st.integers(0, 1000)
reductions = st.sampled_from(["none", "mean", "sum"])
shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)


class Draws:
    """Arrays of one seed by short names."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def n(self, *shape):
        return np.asarray(2.0 * self.rng.normal(size=shape))

    def u(self, *shape, low=0.05, high=0.95):
        return np.asarray(self.rng.uniform(low, high, size=shape))

    def signs(self, *shape):
        return np.asarray(self.rng.choice([-1.0, 1.0], size=shape))

    def labels(self, classes, *shape):
        return np.asarray(self.rng.integers(0, classes, size=shape))


def both(name, *arrays, order2=True, ours=None, float32=True, **how):
    """One function of both libraries on the same arrays and options."""
    agree(
        lambda *xs: getattr(F, name)(*xs, **how),
        lambda *ts: getattr(TF, name)(*ts, **how),
        *arrays,
        order2=order2,
        float32=float32,
    )


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


@given(seed=seeds, shape=shapes, reduction=reductions, weighted=st.booleans())
@few
def test_binary_cross_entropy(seed, shape, reduction, weighted):
    d = Draws(seed)
    w = [d.u(*shape)] if weighted else []
    agree(
        lambda x, t, *w: F.binary_cross_entropy(x, t, *w, reduction=reduction),
        lambda x, t, *w: TF.binary_cross_entropy(x, t, *[v.detach() for v in w], reduction=reduction),
        d.u(*shape), d.u(*shape), order2=not w,
    ) if not w else both("binary_cross_entropy", d.u(*shape), d.u(*shape), weight=None, reduction=reduction)  # fmt: skip
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
    assert loss.item() == 200.0 and np.isfinite(x.grad.numpy()).all()


@given(seed=seeds, shape=shapes, reduction=reductions, weighted=st.booleans(), positive=st.booleans())
@few
def test_binary_cross_entropy_with_logits(seed, shape, reduction, weighted, positive):
    d = Draws(seed)
    names = [n for n, given_ in (("weight", weighted), ("pos_weight", positive)) if given_]
    agree(
        lambda x, t, *w: F.binary_cross_entropy_with_logits(x, t, reduction=reduction, **dict(zip(names, w, strict=True))),
        lambda x, t, *w: TF.binary_cross_entropy_with_logits(x, t, reduction=reduction, **dict(zip(names, [v.detach() for v in w], strict=True))),
        d.n(*shape), d.u(*shape),
    ) if not names else None  # fmt: skip
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
            np.testing.assert_array_equal(x.grad.numpy()[0], np.eye(3)[0] - np.eye(3)[label])


def test_classes_ruled_out_by_minus_infinity():
    """A mask of -inf on other classes, and on the (unread) first class of an ignored row, leaves loss and gradient finite."""
    x, labels = np.array([[1.0, -np.inf, 2.0], [-np.inf, 0.5, 1.0]]), np.array([2, -100])
    for reduction in ("mean", "sum", "none"):
        agree(lambda x: F.cross_entropy(x, mg.tensor(labels), reduction=reduction), lambda x: TF.cross_entropy(x, torch.tensor(labels), reduction=reduction), x, order2=False)  # fmt: skip # noqa: B023


def test_all_labels_ignored_has_no_mean():
    for f in (F.nll_loss, F.cross_entropy):
        assert math.isnan(f(mg.zeros(2, 3), mg.tensor([-100, -100])).item())
        assert f(mg.zeros(2, 3), mg.tensor([-100, -100]), reduction="sum").item() == 0.0


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


# ---------------------------------------------------------------- a linear layer included


@given(data=st.data(), seed=seeds, reduction=reductions, biased=st.booleans(), weighted=st.booleans(), ignored=st.booleans(), pieces=st.booleans())
@few
def test_linear_cross_entropy(data, seed, reduction, biased, weighted, ignored, pieces):
    d = Draws(seed)
    n, features, classes = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(2, 5)))
    out = () if pieces else data.draw(st.sampled_from([(), (2,), (2, 3)]))
    labels = d.labels(classes, n, *out)
    w = d.u(classes) if weighted else None
    how = {"reduction": reduction, "ignore_index": int(labels.flat[0]) if ignored and (labels != labels.flat[0]).any() else None}
    options = nn.LinearCrossEntropyOptions(batch_chunk_size=data.draw(st.integers(1, 6))) if pieces else None
    bias = [d.n(classes, *out)] if biased else []

    def ours(x, w_, *b):
        extra = {"linear_bias": b[0]} if b else {}
        return F.linear_cross_entropy(x, w_, mg.tensor(labels), weight=None if w is None else mg.tensor(w), options=options, **how, **extra)

    def theirs(x, w_, *b):
        extra = {"linear_bias": b[0]} if b else {}
        return TF.linear_cross_entropy(x, w_, torch.tensor(labels), weight=None if w is None else torch.tensor(w), **how, **extra)

    agree(ours, theirs, d.n(n, features), d.n(classes, *out, features), *bias, float32=w is None)


def test_linear_cross_entropy_of_one_sample_and_of_probabilities():
    d = Draws(0)
    label = np.asarray(2)
    for options in (None, nn.LinearCrossEntropyOptions()):
        agree(
            lambda x, w: F.linear_cross_entropy(x, w, mg.tensor(label), reduction="none", options=options),
            lambda x, w: TF.linear_cross_entropy(x, w, torch.tensor(label), reduction="none"),
            d.n(3), d.n(4, 3),
        )  # fmt: skip
    both("linear_cross_entropy", d.n(2, 3), d.n(4, 5, 3), d.u(2, 4, 5), label_smoothing=0.1)


def test_linear_cross_entropy_in_pieces_never_makes_all_scores():
    import tracemalloc

    n, features, classes = 512, 8, 4096  # all scores: 8 MB in float32
    x, w = mg.ones(n, features, requires_grad=True), mg.zeros(classes, features, requires_grad=True)
    peaks = []
    for options in (None, nn.LinearCrossEntropyOptions(batch_chunk_size=16, chunking_method=None)):
        tracemalloc.start()
        F.linear_cross_entropy(x, w, mg.zeros(n, dtype="int64"), options=options).backward()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2e6 < 16e6 < peaks[0]


@given(n=st.integers(1, 500), features=st.integers(1, 64), classes=st.integers(1, 2000), k=st.integers(1, 4))
@few
def test_pieces_are_as_large_as_pytorchs(n, features, classes, k):
    for method in ("auto", "aspect_ratio", f"aspect_ratio:{k}"):
        theirs = torch.nn.LinearCrossEntropyOptions(chunking_method=method)
        wanted = theirs._adjust(n, features, classes, torch.float32, torch.device("cpu")).batch_chunk_size
        assert nn.LinearCrossEntropyOptions(chunking_method=method).rows(n, features, classes) == wanted


def test_scores_in_pieces_are_gathered_in_the_dtype_asked_for():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(64, 256)).astype("float32"), rng.normal(size=(50, 256)).astype("float32")
    t = mg.tensor(rng.integers(0, 50, 64))
    exact = F.linear_cross_entropy(mg.tensor(x).double(), mg.tensor(w).double(), t).item()
    wide = F.linear_cross_entropy(mg.tensor(x), mg.tensor(w), t, options=nn.LinearCrossEntropyOptions(acc_dtype="float64"), reduction="none")
    assert wide.dtype == np.float32
    single = F.linear_cross_entropy(mg.tensor(x), mg.tensor(w), t, options=nn.LinearCrossEntropyOptions(), reduction="none")
    each = F.linear_cross_entropy(mg.tensor(x).double(), mg.tensor(w).double(), t, reduction="none").numpy()
    off = lambda y: np.abs(y.numpy() / each - 1.0)[each > 1].max()
    assert off(wide) <= 2.0**-24 < off(single)
    assert wide.numpy().astype(float).mean() == pytest.approx(exact, rel=1e-7)


# ---------------------------------------------------------------- margins


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


# ---------------------------------------------------------------- distances and bilinear


@given(data=st.data(), seed=seeds, shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple), p=st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0, math.inf]), keepdim=st.booleans())
@few
def test_distances(data, seed, shape, p, keepdim):
    d = Draws(seed)
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    both("cosine_similarity", d.n(*shape), d.n(*shape), dim=dim)
    both("cosine_similarity", d.n(*shape), d.n(*shape[-1:]), dim=-1)
    if p:
        both("pairwise_distance", d.n(*shape), d.n(*shape[-1:]), p=p, eps=1e-3, keepdim=keepdim)
    a = d.n(*shape)
    ours, theirs = F.pairwise_distance(mg.tensor(a), mg.tensor(a), p, 0.0), TF.pairwise_distance(torch.tensor(a), torch.tensor(a), p, 0.0)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-12)


@given(seed=seeds, n=st.integers(0, 5), size=st.integers(1, 4), p=st.sampled_from([0.0, 1.0, 2.0, 3.0, math.inf]))
@few
def test_pdist(seed, n, size, p):
    x = Draws(seed).n(n, size)
    if p and n > 1:
        both("pdist", x, p=p, order2=False)
    np.testing.assert_allclose(F.pdist(mg.tensor(x), p).numpy(), TF.pdist(torch.tensor(x), p).numpy(), rtol=1e-12)


def test_distance_to_itself_has_gradient_0():
    for f in (lambda x: F.pairwise_distance(x, x.detach(), eps=0.0).sum(), lambda x: F.pdist(mg.concatenate([x, x])).sum()):
        x = mg.tensor([[1.0, 2.0]], requires_grad=True)
        f(x).backward()
        assert np.isfinite(x.grad.numpy()).all()
    x = mg.zeros(1, 2, requires_grad=True)
    F.cosine_similarity(x, mg.ones(1, 2)).sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


@given(seed=seeds, head=st.lists(st.integers(1, 3), max_size=2), sizes=st.tuples(*[st.integers(1, 4)] * 3), biased=st.booleans())
@few
def test_linear_and_bilinear(seed, head, sizes, biased):
    d = Draws(seed)
    i, j, o = sizes
    bias = [d.n(o)] if biased else []
    both("bilinear", d.n(*head, i), d.n(*head, j), d.n(o, i, j), *bias)
    both("linear", d.n(*head, i), d.n(o, i), *bias)
    both("linear", d.n(*head, i), d.n(i))


# ---------------------------------------------------------------- mixture densities, ours


def log_normal(t, mean, scale):
    return -0.5 * ((t - mean) / scale) ** 2 - math.log(scale) - 0.5 * math.log(2 * math.pi)


@given(seed=seeds, head=st.lists(st.integers(1, 3), max_size=2), k=st.integers(1, 3), size=st.integers(1, 3), one=st.booleans(), reduction=reductions)
@few
def test_mixture_nll_is_the_density(seed, head, k, size, one, reduction):
    """Against PyTorch's mixture distributions, and for one component against the normal density by hand."""
    d = Draws(seed)
    dist = torch.distributions
    logits, mean, log_scale, target = d.n(*head, k), d.n(*head, k, size), d.n(*head, k, 1 if one else size), d.n(*head, size)

    def theirs(logits, mean, log_scale, target):
        part = dist.Independent(dist.Normal(mean, log_scale.exp().expand_as(mean)), 1)
        losses = -dist.MixtureSameFamily(dist.Categorical(logits=logits), part).log_prob(target)
        return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()

    agree(lambda *xs: F.mixture_nll_loss(*xs, reduction=reduction), theirs, logits, mean, log_scale, target)


def test_mixture_nll_by_hand_and_far_away():
    """Two components, by the formula; and 10^4 deviations from both, where the density itself is 0 in any dtype."""
    loss = nn.MixtureNLLLoss()
    t = lambda *v: mg.tensor(np.array(v), requires_grad=True)
    got = loss(t(math.log(0.25), math.log(0.75)), t([1.0], [3.0]), t([math.log(0.5)], [math.log(2.0)]), t(2.0))
    wanted = -math.log(0.25 * math.exp(log_normal(2, 1, 0.5)) + 0.75 * math.exp(log_normal(2, 3, 2)))
    assert got.item() == pytest.approx(wanted, rel=1e-14)
    mean = mg.tensor([[0.0], [1.0]], requires_grad=True)
    far = loss(mg.zeros(2), mean, mg.zeros(2, 1), mg.tensor([1e4]))
    far.backward()
    assert far.item() == pytest.approx(0.5 * (1e4 - 1) ** 2, rel=1e-6)
    np.testing.assert_allclose(mean.grad.numpy(), [[0.0], [-9999.0]])


def test_a_mixture_integrates_to_one():
    x = np.linspace(-30, 30, 6001)
    n = len(x)
    every = lambda v: mg.tensor(np.broadcast_to(np.array(v), (n, 2, 1)).copy())
    logits = mg.tensor(np.tile([0.3, -0.5], (n, 1)))
    p = mg.exp(-F.mixture_nll_loss(logits, every([[-2.0], [4.0]]), every([[0.2], [0.7]]), mg.tensor(x[:, None]), reduction="none")).numpy()
    assert p.sum() * (x[1] - x[0]) == pytest.approx(1.0, rel=1e-9)


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


# ---------------------------------------------------------------- layers


def layer_cases():
    d = Draws(5)
    x, y, s = d.n(4, 3), d.n(4, 3), d.signs(4)
    labels = d.labels(3, 4)
    weight = d.u(3)
    cases = {
        "MSELoss": [({}, x, y)], "L1Loss": [({"reduction": "sum"}, x, y)], "SmoothL1Loss": [({"beta": 0.5}, x, y)],
        "HuberLoss": [({"delta": 0.5}, x, y)], "PoissonNLLLoss": [({}, x, y), ({"log_input": False, "full": True, "eps": 1e-3, "reduction": "none"}, d.u(4, 3), d.u(4, 3))],
        "GaussianNLLLoss": [({"full": True, "eps": 0.2}, x, y, d.u(4, 3))], "KLDivLoss": [({"reduction": "batchmean"}, x, d.u(4, 3)), ({"reduction": "sum", "log_target": True}, x, y)],
        "BCELoss": [({}, d.u(4, 3), d.u(4, 3))], "BCEWithLogitsLoss": [({}, x, d.u(4, 3)), ({"weight": weight, "pos_weight": d.u(3)}, x, d.u(4, 3))],
        "NLLLoss": [({"weight": weight}, x, labels), ({"ignore_index": 1}, x, labels)],
        "CrossEntropyLoss": [({}, x, labels), ({"weight": weight, "label_smoothing": 0.1, "ignore_index": 0, "reduction": "sum"}, x, labels)],
        "SoftMarginLoss": [({}, x, d.signs(4, 3))], "HingeEmbeddingLoss": [({"margin": 0.5}, x, d.signs(4, 3))],
        "MarginRankingLoss": [({"margin": 0.5}, d.n(4), d.n(4), s)], "CosineEmbeddingLoss": [({"margin": 0.2}, x, y, s)],
        "MultiMarginLoss": [({}, x, labels), ({"p": 2, "margin": 0.5, "weight": weight}, x, labels)], "MultiLabelMarginLoss": [({}, x, d.labels(4, 4, 3) - 1)],
        "MultiLabelSoftMarginLoss": [({"weight": weight}, x, d.u(4, 3))], "TripletMarginLoss": [({"p": 3.0, "swap": True, "margin": 2.0}, x, y, d.n(4, 3))],
        "TripletMarginWithDistanceLoss": [({"margin": 0.5, "swap": True}, x, y, d.n(4, 3))], "CosineSimilarity": [({"dim": 0}, x, y)],
        "PairwiseDistance": [({"p": 1.0, "eps": 1e-3, "keepdim": True}, x, y)],
        "Bilinear": [({"in1_features": 3, "in2_features": 2, "out_features": 5}, x, d.n(4, 2)), ({"in1_features": 3, "in2_features": 3, "out_features": 1, "bias": False}, x, y)],
        "Linear": [({"in_features": 3, "out_features": 5}, x)],
        "LinearCrossEntropyLoss": [({"in_features": 3, "num_classes": 4}, x, labels), ({"in_features": 3, "num_classes": 4, "out_features": (2,), "bias": True, "ignore_index": 1, "label_smoothing": 0.1}, x, d.labels(4, 4, 2))],
    }  # fmt: skip
    return [(name, *case) for name, several in cases.items() for case in several]


@pytest.mark.parametrize("case", layer_cases(), ids=lambda c: c[0])
def test_layers(case):
    name, how, *arrays = case
    make = lambda lib, tensor: getattr(lib, name)(**{k: tensor(v) if isinstance(v, np.ndarray) else v for k, v in how.items()})
    constants = {i: a for i, a in enumerate(arrays) if i and name in ("CosineEmbeddingLoss", "MarginRankingLoss", "SoftMarginLoss", "HingeEmbeddingLoss") and i == len(arrays) - 1}
    inputs = [a for i, a in enumerate(arrays) if i not in constants]
    pick = lambda xs, lib: [*xs, *[lib.tensor(a) for a in constants.values()]]
    no_order2 = ("MultiMarginLoss", "MultiLabelMarginLoss")
    modules_agree(
        make(nn, mg.tensor), make(torch.nn, torch.tensor), *inputs,
        call=lambda m, *xs: m(*pick(xs, mg if isinstance(m, nn.Module) else torch)), order2=name not in no_order2, float32=False,
    )  # fmt: skip


NAMES = [n for file in ("losses", "margin_losses", "distance", "linear", "adaptive") for n in getattr(nn, file).__all__ if n != "LinearCrossEntropyOptions"]


def test_every_layer_and_function_has_pytorchs_arguments():
    """The deprecated size_average and reduce left out."""
    old = ("size_average", "reduce")
    told = lambda f: [(p.name, p.default) for p in inspect.signature(f).parameters.values() if p.name not in old]
    for name in NAMES:
        assert told(getattr(nn, name)) == told(getattr(torch.nn, name)), name
        ours, theirs = told(getattr(nn, name).forward), told(getattr(torch.nn, name).forward)
        assert ours == theirs, name
    for name in [n for file in ("loss", "class_loss", "margin_loss", "ctc") for n in getattr(F, file).__all__]:
        assert told(getattr(F, name)) == told(getattr(TF, name)), name
    assert told(nn.LinearCrossEntropyOptions) == told(torch.nn.LinearCrossEntropyOptions)
    assert repr(nn.LinearCrossEntropyOptions()) == repr(torch.nn.LinearCrossEntropyOptions())


def test_bilinear_starts_as_pytorchs_does():
    mg.manual_seed(0)
    w = nn.Bilinear(25, 30, 40).weight.detach().numpy()
    assert 0.19 < abs(w).max() <= 0.2 and w.std() == pytest.approx(0.2 / math.sqrt(3), rel=0.02)


# ---------------------------------------------------------------- adaptive softmax


@given(seed=seeds, n=st.integers(0, 6), biased=st.booleans(), cutoffs=st.sampled_from([[3], [2, 5], [1, 2, 9]]))
@few
def test_adaptive_softmax(seed, n, biased, cutoffs):
    d = Draws(seed)
    make = lambda lib: lib.AdaptiveLogSoftmaxWithLoss(8, 12, cutoffs, div_value=1.5, head_bias=biased)
    head = (n,) if n else ()
    labels = d.labels(12, *head)
    ours, theirs = modules_agree(make(nn), make(torch.nn), d.n(*head, 8), labels, order2=False)
    x = d.n(5, 8)
    np.testing.assert_allclose(ours.log_prob(mg.tensor(x)).detach().numpy(), theirs.log_prob(torch.tensor(x)).detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(np.exp(ours.log_prob(mg.tensor(x)).detach().numpy()).sum(1), 1.0, rtol=1e-12)
    assert ours.predict(mg.tensor(x)).tolist() == theirs.predict(torch.tensor(x)).tolist()
    both_reject(lambda: ours(mg.tensor(x), mg.tensor([0, 1, 2, 3, 12])), lambda: theirs(torch.tensor(x), torch.tensor([0, 1, 2, 3, 12])))
    both_reject(lambda: ours(mg.tensor(x), mg.tensor([0, 1])), lambda: theirs(torch.tensor(x), torch.tensor([0, 1])))


def test_adaptive_softmax_starts_again():
    mg.manual_seed(0)
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3, 6], div_value=2.0)
    before = [p.detach().numpy().copy() for p in layer.parameters()]
    layer.reset_parameters()
    assert all((p.detach().numpy() != b).any() for p, b in zip(layer.parameters(), before, strict=True))


# ---------------------------------------------------------------- refused

OK = [[1.0, 2.0], [3.0, 4.0]]
REFUSED = {
    "mse reduction": lambda n, f, t: f.mse_loss(t(OK), t(OK), reduction="avg"),
    "mse weight": lambda n, f, t: f.mse_loss(t(OK), t(OK), weight=t([1.0, 2.0])),
    "l1 weight": lambda n, f, t: f.l1_loss(t(OK), t(OK), weight=t([1.0])),
    "huber weight": lambda n, f, t: f.huber_loss(t(OK), t(OK), weight=t([1.0])),
    "huber delta": lambda n, f, t: f.huber_loss(t(OK), t(OK), delta=0.0),
    "smooth beta": lambda n, f, t: f.smooth_l1_loss(t(OK), t(OK), beta=-1.0),
    "mse shapes": lambda n, f, t: f.mse_loss(t(OK), t([1.0, 2.0, 3.0])),
    "bce shapes": lambda n, f, t: f.binary_cross_entropy(t([0.5]), t([[0.5]])),
    "bce range": lambda n, f, t: f.binary_cross_entropy(t([1.5]), t([0.5])),
    "bce nan": lambda n, f, t: f.binary_cross_entropy(t([float("nan")]), t([0.5])),
    "bce weight": lambda n, f, t: f.binary_cross_entropy(t([0.5, 0.5]), t([0.5, 0.5]), t([1.0, 1.0, 1.0])),
    "logits shapes": lambda n, f, t: f.binary_cross_entropy_with_logits(t([0.5]), t([[0.5]])),
    "logits pos_weight": lambda n, f, t: f.binary_cross_entropy_with_logits(t(OK), t(OK), pos_weight=t([1.0, 1.0, 1.0])),
    "kl reduction": lambda n, f, t: f.kl_div(t(OK), t(OK), reduction="batch"),
    "poisson reduction": lambda n, f, t: f.poisson_nll_loss(t(OK), t(OK), reduction="batchmean"),
    "gaussian negative": lambda n, f, t: f.gaussian_nll_loss(t(OK), t(OK), t([[1.0, -1.0], [1.0, 1.0]])),
    "gaussian number": lambda n, f, t: f.gaussian_nll_loss(t(OK), t(OK), -1.0),
    "gaussian shape": lambda n, f, t: f.gaussian_nll_loss(t(OK), t(OK), t([1.0, 1.0, 1.0])),
    "gaussian reduction": lambda n, f, t: f.gaussian_nll_loss(t(OK), t(OK), t(OK), reduction="batchmean"),
    "nll label": lambda n, f, t: f.nll_loss(t(OK), t([0, 2])),
    "nll negative": lambda n, f, t: f.nll_loss(t(OK), t([0, -1])),
    "nll float labels": lambda n, f, t: f.nll_loss(t(OK), t([0.0, 1.0])),
    "nll weight": lambda n, f, t: f.nll_loss(t(OK), t([0, 1]), t([1.0])),
    "nll shape": lambda n, f, t: f.nll_loss(t(OK), t([[0, 1]])),
    "ce smoothing": lambda n, f, t: f.cross_entropy(t(OK), t([0, 1]), label_smoothing=1.5),
    "ce weight": lambda n, f, t: f.cross_entropy(t(OK), t([0, 1]), t([1.0, 1.0, 1.0])),
    "ce soft weight": lambda n, f, t: f.cross_entropy(t(OK), t(OK), t([1.0, 1.0, 1.0])),
    "ce int of the scores' shape": lambda n, f, t: f.cross_entropy(t(OK), t([[0, 1], [1, 0]])),
    "ce reduction": lambda n, f, t: f.cross_entropy(t(OK), t([0, 1]), reduction="batchmean"),
    "linear ce widths": lambda n, f, t: f.linear_cross_entropy(t(OK), t([[1.0, 2.0, 3.0]]), t([0, 0])),
    "linear ce bias": lambda n, f, t: f.linear_cross_entropy(t(OK), t(OK), t([0, 0]), linear_bias=t([1.0])),
    "linear ce axes": lambda n, f, t: f.linear_cross_entropy(t([OK]), t(OK), t([0])),
    "linear ce lone": lambda n, f, t: f.linear_cross_entropy(t([1.0, 2.0]), t([OK]), t([0, 0])),
    "linear ce ignore": lambda n, f, t: f.linear_cross_entropy(t(OK), t(OK), t(OK), ignore_index=1),
    "linear ce label": lambda n, f, t: f.linear_cross_entropy(t(OK), t(OK), t([0, 5]), options=n.LinearCrossEntropyOptions()),
    "options method": lambda n, f, t: n.LinearCrossEntropyOptions(chunking_method="aspect"),
    "options factor": lambda n, f, t: n.LinearCrossEntropyOptions(chunking_method="aspect_ratio:0"),
    "options policy": lambda n, f, t: n.LinearCrossEntropyOptions(acc_policy="fast"),
    "options size": lambda n, f, t: n.LinearCrossEntropyOptions(batch_chunk_size=0),
    "options dtype": lambda n, f, t: n.LinearCrossEntropyOptions(acc_dtype="int64"),
    "options both": lambda n, f, t: f.linear_cross_entropy(t(OK * 8), t(OK), t([0] * 16), options=n.LinearCrossEntropyOptions(batch_chunk_size=1, chunking_method="aspect_ratio")),
    "linear ce layer": lambda n, f, t: n.LinearCrossEntropyLoss(2, 3, weight=t([1.0, 1.0])),
    "linear ce layer smoothing": lambda n, f, t: n.LinearCrossEntropyLoss(2, 3, label_smoothing=-0.1),
    "multi margin p": lambda n, f, t: f.multi_margin_loss(t(OK), t([0, 1]), p=3),
    "multi margin weight": lambda n, f, t: f.multi_margin_loss(t(OK), t([0, 1]), weight=t(OK)),
    "multi margin label": lambda n, f, t: f.multi_margin_loss(t(OK), t([0, 2])),
    "multi margin shape": lambda n, f, t: f.multi_margin_loss(t(OK), t([0])),
    "multi margin layer": lambda n, f, t: n.MultiMarginLoss(p=3),
    "multi margin layer weight": lambda n, f, t: n.MultiMarginLoss(weight=t(OK)),
    "multilabel shape": lambda n, f, t: f.multilabel_margin_loss(t(OK), t([0, 1])),
    "multilabel label": lambda n, f, t: f.multilabel_margin_loss(t(OK), t([[0, 2], [0, 1]])),
    "multilabel below -1": lambda n, f, t: f.multilabel_margin_loss(t(OK), t([[0, -2], [0, 1]])),
    "soft multilabel reduction": lambda n, f, t: f.multilabel_soft_margin_loss(t(OK), t(OK), reduction="batchmean"),
    "ranking axes": lambda n, f, t: f.margin_ranking_loss(t(OK), t(OK), t([1.0, -1.0])),
    "cosine embedding target": lambda n, f, t: f.cosine_embedding_loss(t(OK), t(OK), t(OK)),
    "cosine embedding axes": lambda n, f, t: f.cosine_embedding_loss(t([OK]), t([OK]), t([1.0])),
    "triplet margin": lambda n, f, t: f.triplet_margin_loss(t(OK), t(OK), t(OK), margin=0.0),
    "triplet axes": lambda n, f, t: f.triplet_margin_loss(t(OK), t(OK), t([1.0, 2.0])),
    "triplet layer": lambda n, f, t: n.TripletMarginLoss(margin=-1.0),
    "triplet distance margin": lambda n, f, t: n.TripletMarginWithDistanceLoss(margin=0.0),
    "triplet distance reduction": lambda n, f, t: f.triplet_margin_with_distance_loss(t(OK), t(OK), t(OK), reduction="batch"),
    "cosine shapes": lambda n, f, t: f.cosine_similarity(t(OK), t([[1.0, 2.0, 3.0]])),
    "cosine axis": lambda n, f, t: f.cosine_similarity(t(OK), t(OK), dim=2),
    "distance shapes": lambda n, f, t: f.pairwise_distance(t(OK), t([[1.0, 2.0, 3.0]])),
    "pdist axes": lambda n, f, t: f.pdist(t([OK])),
    "pdist p": lambda n, f, t: f.pdist(t(OK), p=-1.0),
    "bilinear width": lambda n, f, t: f.bilinear(t(OK), t(OK), t([[[1.0, 2.0, 3.0]]])),
    "bilinear rows": lambda n, f, t: f.bilinear(t(OK), t([[1.0, 2.0]]), t([OK])),
    "bilinear bias": lambda n, f, t: f.bilinear(t(OK), t(OK), t([OK]), t([1.0, 2.0])),
    "bilinear layer": lambda n, f, t: n.Bilinear(0, 2, 3),
    "linear width": lambda n, f, t: f.linear(t(OK), t([[1.0, 2.0, 3.0]])),
    "adaptive no cutoffs": lambda n, f, t: n.AdaptiveLogSoftmaxWithLoss(8, 12, []),
    "adaptive order": lambda n, f, t: n.AdaptiveLogSoftmaxWithLoss(8, 12, [5, 3]),
    "adaptive end": lambda n, f, t: n.AdaptiveLogSoftmaxWithLoss(8, 12, [12]),
    "adaptive twice": lambda n, f, t: n.AdaptiveLogSoftmaxWithLoss(8, 12, [3, 3]),
    "adaptive zero": lambda n, f, t: n.AdaptiveLogSoftmaxWithLoss(8, 12, [0, 3]),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using a target size:UserWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_what_pytorch_refuses_is_refused(name):
    call = REFUSED[name]
    both_reject(lambda: call(nn, F, mg.tensor), lambda: call(torch.nn, TF, torch.tensor))


def test_refused_when_made_not_when_used():
    for make in (
        lambda: nn.MSELoss("avg"), lambda: nn.HuberLoss(delta=-1.0), lambda: nn.SmoothL1Loss(beta=-1.0), lambda: nn.CrossEntropyLoss(label_smoothing=2.0),
        lambda: nn.KLDivLoss("batch"), lambda: nn.CTCLoss(reduction="batchmean"), lambda: nn.GaussianNLLLoss(eps=0.0), lambda: nn.MixtureNLLLoss("all"),
        lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 12, [2, 4, 6]), lambda: nn.Bilinear(2, 2, 0),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=":"):
            make()


def test_mixture_refuses_shapes_that_do_not_fit():
    z = mg.zeros
    for shapes in (((4, 3), (4, 3, 2), (4, 3, 2), (4, 3)), ((4, 3), (4, 2, 2), (4, 3, 2), (4, 2)), ((3,), (4, 3, 2), (4, 3, 2), (4, 2)), ((4, 3), (4, 3, 2), (4, 1, 2), (4, 2)), ((), (2,), (2,), (2,))):
        with pytest.raises(ValueError, match="mixture_nll_loss: expected logits"):
            F.mixture_nll_loss(*[z(s) for s in shapes])
