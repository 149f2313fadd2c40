"""Embedding layers against PyTorch and against themselves."""

import itertools

import numpy as np
import pytest
from against_torch import agree, behaves, both_reject, modules_agree
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.engine import backend
from minigrad.gradcheck import gradcheck
from minigrad.nn import functional as F
from minigrad.ops.embedding import weigh_gradient

torch = pytest.importorskip("torch")
TF = torch.nn.functional
few = settings(max_examples=25, deadline=None, derandomize=True)


@st.composite
def tables(draw):
    """(weight (V, D), random stream); whole numbers now and then, so that there are ties."""
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    weight = rng.normal(size=(draw(st.integers(1, 7)), draw(st.integers(1, 4))))
    return weight.round() if draw(st.booleans()) else weight, rng


def options(draw, size, padding=True):
    """Options that both functions share."""
    found = {}
    if padding and draw(st.booleans()):
        found["padding_idx"] = draw(st.integers(-size, size - 1))
    if draw(st.booleans()):
        found |= {"max_norm": draw(st.sampled_from([0.5, 1.0, 3])), "norm_type": draw(st.sampled_from([1.0, 2.0, 3.5, np.inf]))}
    return found


def fresh(f, lib, **kw):
    """f on a copy of the weight: max_norm writes to it. A computed copy keeps the gradient's way."""
    return lambda i, w, *more: f(i, w * 1.0, *more, **kw)


@few
@given(st.data())
def test_embedding(data):
    weight, rng = data.draw(tables())
    shape = data.draw(st.lists(st.integers(0, 3), max_size=3))
    index = rng.integers(0, len(weight), shape).astype(data.draw(st.sampled_from([np.int32, np.int64])))
    kw = options(data.draw, len(weight))
    agree(fresh(F.embedding, mg, **kw), fresh(TF.embedding, torch, **kw), index, weight)
    if "max_norm" not in kw:  # there PyTorch's second derivative forgets the frequencies
        f = {"scale_grad_by_freq": True, **kw}
        agree(lambda i, w: F.embedding(i, w, **f), lambda i, w: TF.embedding(i, w, **f), index, weight, order2=False)


@few
@given(st.data())
def test_the_layer(data):
    weight, rng = data.draw(tables())
    kw = options(data.draw, len(weight)) | {"scale_grad_by_freq": data.draw(st.booleans())}
    index = rng.integers(0, len(weight), (3, 2))
    modules_agree(nn.Embedding(*weight.shape, **kw), torch.nn.Embedding(*weight.shape, **kw), index, order2=False)


@st.composite
def bags(draw, size, rng):
    """Indices with offsets (or None), and what to say of them."""
    if draw(st.booleans()):
        return rng.integers(0, size, (draw(st.integers(1, 4)), draw(st.integers(1, 5)))), None, {}
    lengths = draw(st.lists(st.integers(0, 4), min_size=1, max_size=5))
    offsets = np.cumsum([0, *lengths])
    last = draw(st.booleans())
    return rng.integers(0, size, offsets[-1]), offsets if last else offsets[:-1], {"include_last_offset": last}


@few
@given(st.data())
def test_embedding_bag(data):
    weight, rng = data.draw(tables())
    mode = data.draw(st.sampled_from(["sum", "mean", "max"]))
    index, offsets, kw = data.draw(bags(len(weight), rng))
    kw |= options(data.draw, len(weight)) | {"mode": mode}
    weights = rng.normal(size=index.shape) if mode == "sum" and data.draw(st.booleans()) else None

    def call(f):
        return lambda i, o, w, s: f(i, w * 1.0, o, per_sample_weights=s, **kw)

    agree(call(F.embedding_bag), call(TF.embedding_bag), index, offsets, weight, weights, order2=False)


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_bags_by_frequency(mode):
    # PyTorch 2.13 divides by the count of another index here, so its `embedding` is what we compare with.
    index, w = np.array([[0, 0, 3], [3, 1, 0]]), np.random.default_rng(0).normal(size=(4, 2))
    agree(
        lambda i, w: F.embedding_bag(i, w, scale_grad_by_freq=True, mode=mode),
        lambda i, w: getattr(TF.embedding(i, w, scale_grad_by_freq=True), mode)(1),
        index, w, order2=False,
    )  # fmt: skip


@few
@given(st.data())
def test_the_bag_layer(data):
    weight, rng = data.draw(tables())
    index, offsets, kw = data.draw(bags(len(weight), rng))
    mode = data.draw(st.sampled_from(["sum", "mean", "max"]))
    kw |= options(data.draw, len(weight)) | {"mode": mode}
    modules_agree(nn.EmbeddingBag(*weight.shape, **kw), torch.nn.EmbeddingBag(*weight.shape, **kw), index, offsets, order2=False)


@few
@given(st.data())
def test_bags_are_what_a_loop_makes_of_them(data):
    weight, rng = data.draw(tables())
    index, offsets, kw = data.draw(bags(len(weight), rng))
    mode = data.draw(st.sampled_from(["sum", "mean", "max"]))
    got = F.embedding_bag(mg.tensor(index), mg.tensor(weight), None if offsets is None else mg.tensor(offsets), mode=mode, **kw)
    if offsets is not None:
        ends = offsets if kw["include_last_offset"] else np.append(offsets, len(index))
        index = [index[a:b] for a, b in itertools.pairwise(ends)]
    zero = np.zeros(weight.shape[1])
    wanted = [getattr(weight[i], mode)(0) if len(i) else zero for i in index]
    np.testing.assert_allclose(got.cpu().numpy(), wanted, rtol=1e-12, atol=1e-14)


def test_second_derivatives():
    rng = np.random.default_rng(0)
    weight, index, offsets = mg.tensor(rng.normal(size=(6, 3))), mg.tensor(rng.integers(0, 6, 8)), mg.tensor([0, 3, 3, 4])
    scale = mg.tensor(rng.normal(size=8))
    f = lambda w, s: F.embedding_bag(index, w, offsets, mode="sum", per_sample_weights=s)
    gradcheck(f, (weight, scale), order=2)
    for mode in ("mean", "max"):
        f = lambda w: F.embedding_bag(index, w, offsets, mode=mode, padding_idx=None) ** 2
        gradcheck(f, (weight,), order=2)
    f = lambda w: F.embedding(index, w) ** 3
    gradcheck(f, (weight,), order=2)
    # The gradient that reaches a row is 1/count of each use, at every order: d/dv of sum(u * grad(v)).
    w = mg.tensor(rng.normal(size=(2, 1)), requires_grad=True)
    v = mg.tensor([[2.0], [3.0], [5.0]], dtype="float64", requires_grad=True)
    (g,) = mg.grad((F.embedding(mg.tensor([1, 1, 0]), w, scale_grad_by_freq=True) * v).sum(), [w], create_graph=True)
    assert g.tolist() == [[5.0], [2.5]]
    (h,) = mg.grad(g.sum(), [v])
    assert h.tolist() == [[0.5], [0.5], [1.0]]


def test_they_behave():
    rng = np.random.default_rng(1)
    index, w = rng.integers(0, 5, (4, 3)), rng.normal(size=(5, 2))
    leaf = mg.tensor(w, requires_grad=True)
    for f in (F.embedding, *(lambda i, w, m=m: F.embedding_bag(i, w, mode=m) for m in ("sum", "mean", "max"))):
        behaves(lambda i, f=f: f(i, leaf), index)
    table = nn.Embedding(5, 2)
    for make in (lambda a: a[::-1].copy()[::-1], lambda a: a.T.copy().T):
        for mode in ("sum", "mean", "max"):
            a = F.embedding_bag(*[mg.asarray(make(mg.tensor(x).data)) for x in (index, w)], mode=mode)
            assert np.array_equal(a.cpu().numpy(), F.embedding_bag(mg.tensor(index), mg.tensor(w), mode=mode).cpu().numpy())
    none = table(mg.tensor(np.zeros((0, 3), np.int64)))
    none.sum().backward()
    assert none.shape == (0, 3, 2) and not table.weight.grad.cpu().numpy().any()
    for mode in ("sum", "mean", "max"):
        bag = nn.EmbeddingBag(5, 2, mode=mode)
        y = bag(mg.tensor(np.zeros(0, np.int64)), mg.tensor([0, 0]))
        y.sum().backward()
        assert y.tolist() == [[0.0, 0.0]] * 2 and bag.weight.grad.shape == (5, 2)
        assert bag(mg.tensor(np.zeros(0, np.int64)), mg.tensor(np.zeros(0, np.int64))).shape == (0, 2)
        assert bag(mg.tensor(np.zeros((0, 4), np.int64))).shape == (0, 2)


def test_the_gradient_of_a_large_table_is_the_same_every_time():
    rng = np.random.default_rng(2)
    index, g = mg.tensor(rng.integers(0, 50, 20_000)), mg.tensor(rng.normal(size=(20_000, 3)).astype(np.float32))
    found = []
    for _ in range(2):
        w = mg.zeros((100_000, 3), requires_grad=True)
        F.embedding(index, w).backward(g)
        found.append(w.grad.cpu().numpy())
    assert np.array_equal(*found)
    wanted = np.zeros((100_000, 3))
    np.add.at(wanted, index.cpu().numpy(), g.cpu().numpy().astype(float))
    np.testing.assert_allclose(found[0], wanted, rtol=1e-4, atol=1e-3)


def test_max_norm_writes_to_the_table_and_says_so():
    for make in (mg.nn.Embedding, torch.nn.Embedding):
        table = make.from_pretrained((mg if make is nn.Embedding else torch).tensor([[3.0, 4.0], [6.0, 8.0], [0.3, 0.4]]), max_norm=1.0)
        y = table((mg if make is nn.Embedding else torch).tensor([0, 2]))
        np.testing.assert_allclose(y.cpu().numpy(), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-6)
        np.testing.assert_allclose(table.weight.detach().cpu().numpy(), [[0.6, 0.8], [6.0, 8.0], [0.3, 0.4]], rtol=1e-6)
    w = mg.tensor([[3.0, 4.0]], requires_grad=True)
    y = (w * w).sum()
    F.embedding(mg.tensor([0]), w, max_norm=1.0)
    with pytest.raises((ValueError, RuntimeError), match="in place"):
        y.backward()


def test_the_first_weights():
    mg.manual_seed(0)
    table = nn.Embedding(1000, 20, padding_idx=-1)
    w = table.weight.detach().cpu().numpy()
    assert table.padding_idx == 999 and not w[999].any()
    assert abs(w[:999].mean()) < 0.02 and abs(w[:999].std() - 1) < 0.02
    assert not nn.EmbeddingBag(4, 2, padding_idx=1).weight.detach().cpu().numpy()[1].any()
    assert nn.Embedding(2, 2, dtype="float64").weight.dtype == np.float64


def test_pretrained_tables():
    rows = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    for kind in (nn.Embedding, nn.EmbeddingBag):
        assert not kind.from_pretrained(rows).weight.requires_grad
        made = kind.from_pretrained(rows, freeze=False, padding_idx=0)
        assert made.weight.requires_grad and made.weight.tolist() == rows.tolist()
        both_reject(lambda k=kind: k.from_pretrained(mg.ones(3)), lambda k=kind: getattr(torch.nn, k.__name__).from_pretrained(torch.ones(3)))
        both_reject(lambda k=kind: k(3, 2, _weight=rows), lambda k=kind: getattr(torch.nn, k.__name__)(3, 2, _weight=torch.ones(2, 2)))


I, W = [0, 1], [[1.0, 2.0], [3.0, 4.0]]
BAD = {
    "too large": ("embedding", [0, 2], {}), "negative": ("embedding", [-1], {}),
    "padding": ("embedding", I, {"padding_idx": 2}), "padding below": ("embedding", I, {"padding_idx": -3}),
    "floats": ("embedding", [0.0], {}),
    "bag too large": ("embedding_bag", [[0, 2]], {}), "bag padding": ("embedding_bag", [I], {"padding_idx": 5}),
    "mode": ("embedding_bag", [I], {"mode": "min"}), "no offsets": ("embedding_bag", I, {}),
    "three axes": ("embedding_bag", [[I]], {}), "max by frequency": ("embedding_bag", [I], {"mode": "max", "scale_grad_by_freq": True}),
    "offsets too": ("embedding_bag", [I], {"offsets": [0]}), "not from 0": ("embedding_bag", I, {"offsets": [1]}),
    "beyond": ("embedding_bag", I, {"offsets": [0, 3]}), "2-D offsets": ("embedding_bag", I, {"offsets": [[0]]}),
    "no last": ("embedding_bag", [0][:0], {"offsets": [0][:0], "include_last_offset": True}),
    "weights in a mean": ("embedding_bag", [I], {"per_sample_weights": [[1.0, 1.0]]}),
    "weights of another shape": ("embedding_bag", [I], {"per_sample_weights": [1.0, 1.0], "mode": "sum"}),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_both_refuse(case):
    name, index, kw = BAD[case]

    def call(lib, function):
        made = lambda v: lib.tensor(np.array(v, np.int64 if v == [] else None)) if isinstance(v, list) else v
        return lambda: getattr(function, name)(made(index), made(W), **{k: made(v) for k, v in kw.items()})

    both_reject(call(mg, F), call(torch, TF))


def test_messages_name_the_value_and_the_size():
    table = nn.Embedding(3, 2, max_norm=0.1)
    before = table.weight.tolist()
    with pytest.raises(IndexError, match=r"\[0, 3\).*num_embeddings=3.*got 7 at \(1, 0\)"):
        table(mg.tensor([[0, 1], [7, 2]]))
    assert table.weight.tolist() == before, "refused input changes nothing"
    for make in (nn.Embedding, nn.EmbeddingBag):
        for kw in ({"sparse": True}, {"max_norm": -1.0}, {"padding_idx": 3}):
            with pytest.raises(ValueError, match=f"{make.__name__}: .*{next(iter(kw))}"):
                make(3, 2, **kw)
        with pytest.raises(ValueError, match="embedding_dim=0"):
            make(3, 0)
    with pytest.raises(TypeError, match=r"int32 or int64.*int16"):
        F.embedding(mg.tensor([0], dtype="int16"), mg.ones((2, 2)))
    with pytest.raises(TypeError, match="Tensor as input"):
        F.embedding([0], mg.ones((2, 2)))
    with pytest.raises(ValueError, match="rise"):
        F.embedding_bag(mg.tensor([0, 0, 0]), mg.ones((2, 2)), mg.tensor([0, 2, 1]))
    with pytest.raises(ValueError, match="end at 3"):
        F.embedding_bag(mg.tensor([0, 0, 0]), mg.ones((2, 2)), mg.tensor([0, 2]), include_last_offset=True)


def test_a_weighed_gradient():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = weigh_gradient(x, factor=np.float32([0.0, -2.0]))
    assert y.tolist() == x.tolist()
    y.sum().backward()
    assert x.grad.tolist() == [0.0, -2.0]


def test_runs_are_summed_alike_without_reduceat():
    """What a GPU does for sum_runs, in NumPy."""
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 40, 257):
        starts = np.unique(np.append(0, rng.integers(0, n, n // 7)))
        rows = rng.normal(size=(n, 2, 3))
        ends = np.append(starts[1:], n)
        runs = np.repeat(np.arange(len(starts)), ends - starts)
        found = backend.running_sums(np, rows, runs)[ends - 1]
        np.testing.assert_allclose(found, backend.sum_runs(np, rows, starts), rtol=1e-12, atol=1e-12)


def test_the_first_of_equals_has_the_gradient_of_a_max():
    w = np.ones((4, 2))
    w[2, 1] = 2.0
    how = {"mode": "max"}
    agree(lambda i, w: F.embedding_bag(i, w, **how), lambda i, w: TF.embedding_bag(i, w, **how), np.array([[3, 0, 1], [1, 2, 0]]), w, order2=False)


def test_one_hot():
    for labels in ([2, 0], [[1, 3]], 3, np.zeros((0, 2), np.int64)):
        raw = np.asarray(labels)
        for classes in (-1, 4, 9):
            if raw.size or classes > 0:
                agree(lambda t, c=classes: F.one_hot(t, c), lambda t, c=classes: TF.one_hot(t, c), np.array(raw))
    for labels, classes in (([3], 3), ([-1], -1), ([1], 0), ([1], -2), ([1.0], 3), (np.zeros(0, np.int64), -1), (np.zeros(0, np.int64), 0), (np.int32([1]), 3)):
        raw = np.asarray(labels)
        both_reject(lambda r=raw, c=classes: F.one_hot(mg.tensor(r), c), lambda r=raw, c=classes: TF.one_hot(torch.tensor(r), c))
