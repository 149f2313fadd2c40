"""A linear layer and its cross-entropy in one, in pieces; adaptive softmax: against PyTorch."""

import tracemalloc

import numpy as np
import pytest
from against_torch import agree, both_reject, modules_agree
from hypothesis import given
from hypothesis import strategies as st
from loss_draws import Draws, both, few, reductions, seeds

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

torch = pytest.importorskip("torch")
TF = torch.nn.functional


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
    each = F.linear_cross_entropy(mg.tensor(x).double(), mg.tensor(w).double(), t, reduction="none").cpu().numpy()
    off = lambda y: np.abs(y.cpu().numpy() / each - 1.0)[each > 1].max()
    assert off(wide) <= 2.0**-24 < off(single)
    assert wide.cpu().numpy().astype(float).mean() == pytest.approx(exact, rel=1e-7)


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
    np.testing.assert_allclose(ours.log_prob(mg.tensor(x)).detach().cpu().numpy(), theirs.log_prob(torch.tensor(x)).detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(np.exp(ours.log_prob(mg.tensor(x)).detach().cpu().numpy()).sum(1), 1.0, rtol=1e-12)
    assert ours.predict(mg.tensor(x)).tolist() == theirs.predict(torch.tensor(x)).tolist()
    both_reject(lambda: ours(mg.tensor(x), mg.tensor([0, 1, 2, 3, 12])), lambda: theirs(torch.tensor(x), torch.tensor([0, 1, 2, 3, 12])))
    both_reject(lambda: ours(mg.tensor(x), mg.tensor([0, 1])), lambda: theirs(torch.tensor(x), torch.tensor([0, 1])))


def test_adaptive_softmax_starts_again():
    mg.manual_seed(0)
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3, 6], div_value=2.0)
    before = [p.detach().cpu().numpy().copy() for p in layer.parameters()]
    layer.reset_parameters()
    assert all((p.detach().cpu().numpy() != b).any() for p, b in zip(layer.parameters(), before, strict=True))
