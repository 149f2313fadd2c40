"""Devices, memory, streams, and what is wrong with numbers on a GPU: found there, told at the next read."""

import numpy as np
import pytest
from cuda_cases import watched
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.engine import flags
from minigrad.engine.kernels import reference_mode

F = mg.nn.functional


def there(data, dtype=None):
    return mg.tensor(data, dtype=dtype, device="cuda")


# ---------------------------------------------------------------- checks


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "int8", "uint8", "float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("reference", [False, True])
def test_the_first_fault_is_found(stand_in, dtype, reference):
    dtype, rng = mg.engine.backend.as_dtype(dtype), np.random.default_rng(0)
    signed = dtype.kind != "u"

    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.integers(0, 3))
    def check(shape, wrong):
        good = rng.integers(0, 5, shape).astype(dtype)
        for place in rng.integers(0, good.size, wrong):
            good.reshape(-1)[place] = rng.choice([7, 100, -3, 7] if signed else [7, 100])
        x = mg.engine.tensor.Tensor(good, device="cuda")._data
        bad = np.argwhere((good < 0) | (good > 4))
        with watched("check_range") as made:
            flags.check_range(mg.device("cuda").xp, x, 0, 4, IndexError, "here: {value} at {place}, that is [{at}]")
        assert reference or made["check_range"] == [None]
        if not len(bad):
            flags.read()
            return
        place = tuple(bad[0].tolist())
        told = f"here: {good[place].item():g} at {place}, that is [{', '.join(map(str, place))}]"
        with pytest.raises(IndexError) as raised:
            flags.read()
        assert str(raised.value) == told and "found on the GPU" in raised.value.__notes__[0]
        flags.read()  # once is enough

    if reference:
        with reference_mode():
            check()
    else:
        check()


def test_what_a_range_is(stand_in):
    xp = mg.device("cuda").xp

    def fault(values, low, high, ignored=None):
        flags.check_range(xp, there(values)._data, low, high, ValueError, "{value}", ignored)
        try:
            flags.read()
        except ValueError as error:
            return str(error)

    assert fault([0.0, 1.0], 0.0, 1.0) is None and fault([0.5, np.nan], 0.0, 1.0) == "nan"
    assert fault([-1, 3, -100], 0, 3, -100) == "-1" and fault([2, -100], 0, 3, -100) is None
    assert fault([1 << 40], 0, 3) == f"{(1 << 31) - 1} (or beyond)" and fault([-(1 << 40)], 0, 3) == f"{-(1 << 31)} (or beyond)"
    assert fault([], 0, 3) is None and fault(np.uint64([7]), 0, 3) == "7" and fault(np.ones((3, 3))[:, 1], 2, 3) == "1"


def test_places_of_checks_have_words_of_their_own(stand_in):
    xp = mg.device("cuda").xp
    for i in range(flags.PIECE + 3):
        flags.check_range(xp, there([i])._data, 0, flags.PIECE, ValueError, f"site {i}: {{value}}")
    with pytest.raises(ValueError, match=f"site {flags.PIECE + 1}: {flags.PIECE + 1}"):
        flags.read()
    flags.read()
    flags.replayed()
    flags.read()


FAULTS = [
    ("take", IndexError, "index: index 3 is out of range for axis 0 of size 3", lambda: there([1.0, 2.0, 3.0])[there([0, 3])]),
    ("take along", IndexError, "axis 1 of size 2", lambda: mg.take(mg.ones((3, 2), device="cuda"), there([0, -3]), 1)),
    ("gather", IndexError, "index 5 is out of range for axis 1 of size 2", lambda: mg.gather(mg.ones((2, 2), device="cuda"), 1, there([[0], [5]]))),
    ("ellipsis", IndexError, "index 4 is out of range for axis 2 of size 4", lambda: mg.ones((2, 3, 4), device="cuda")[..., there([4])]),
    ("scatter_add", IndexError, "index 9 is out of range for axis 0 of size 3", lambda: mg.scatter_add(mg.zeros(3, device="cuda"), 0, there([0, 9]), there([1.0, 2.0]))),
    ("write", IndexError, "index 9 is out of range", lambda: mg.zeros(3, device="cuda").__setitem__(there([9]), 1.0)),
    ("embedding", IndexError, r"embedding: expected indices in \[0, 3\) \(num_embeddings=3\), got 3 at \(1, 0\)", lambda: F.embedding(there([[0], [3]]), mg.ones((3, 2), device="cuda"))),
    ("labels", ValueError, r"cross_entropy: target\[1\] = 2, expected 0 <= target < 2", lambda: F.cross_entropy(mg.zeros((2, 2), device="cuda"), there([0, 2]))),
    ("nll", ValueError, r"nll_loss: target\[0\] = -1, expected 0 <= target < 2", lambda: F.nll_loss(mg.zeros((2, 2), device="cuda"), there([-1, 1]))),
    ("one_hot", ValueError, r"one_hot: target\[0\] = 7, expected 0 <= target < 3", lambda: F.one_hot(there([7]), 3)),
    ("probabilities", ValueError, r"binary_cross_entropy: expected probabilities in \[0, 1\] \(input\)", lambda: F.binary_cross_entropy(there([1.5]), there([1.0]))),
    ("variances", ValueError, "gaussian_nll_loss: expected variances >= 0, got -1", lambda: F.gaussian_nll_loss(there([1.0]), there([1.0]), there([-1.0]))),
    ("bernoulli", ValueError, r"bernoulli: expected probabilities in \[0, 1\], got 2 at \(0,\)", lambda: mg.bernoulli(there([2.0]))),
    ("unpool", ValueError, r"max_unpool1d: expected indices in \[0, 4\)", lambda: F.max_unpool1d(mg.ones((1, 1, 2), device="cuda"), there([[[0, 4]]]), 2)),
    ("bags", ValueError, "embedding_bag: expected offsets that rise", lambda: F.embedding_bag(there([0, 1, 0]), mg.ones((2, 2), device="cuda"), there([0, 2, 1]))),
]  # fmt: skip


@pytest.mark.parametrize("name, error, match, call", FAULTS, ids=[row[0] for row in FAULTS])
@pytest.mark.parametrize("reference", [False, True])
def test_an_op_tells_at_the_next_read(stand_in, name, error, match, call, reference):
    """In the op's own words, as on the CPU, and without having waited for the device."""
    with reference_mode() if reference else mg.enable_grad():
        y = call()
    if stand_in:
        assert not stand_in.ledger.all("sync", "d2h")
    with pytest.raises(error, match=match):
        mg.cuda.synchronize() if y is None else y.cpu()
    mg.cuda.synchronize()


def test_every_read_tells(stand_in):
    reads = (
        lambda t: t.item(), lambda t: t.tolist(), lambda t: t.cpu(), repr, bool, float, lambda t: 1.0 in t, lambda t: t.to("cpu"),
        lambda t: mg.cuda.synchronize(),
    )  # fmt: skip
    for read in reads:
        t = F.embedding(there([5]), mg.ones((2, 1), device="cuda"))
        with pytest.raises(IndexError, match="got 5"):
            read(t)
        read(mg.ones(1, device="cuda"))


def test_parameters_are_as_they_were_where_labels_are_wrong(stand_in):
    """A wrong label reads no other's memory: the step is made with what the modulus gives, then it is told."""
    w = mg.ones((2, 3), device="cuda", requires_grad=True)
    loss = F.cross_entropy(w, there([0, 17]))
    loss.backward()
    with pytest.raises(ValueError, match="17"):
        loss.item()
    assert w.tolist() == [[1.0] * 3] * 2


def test_an_index_of_the_host_is_told_at_once(stand_in):
    with pytest.raises(IndexError, match="index 9 is out of range for axis 0 of size 3"):
        mg.ones(3, device="cuda")[[0, 9]]
    assert mg.ones(3, device="cuda")[[0, -3]].tolist() == [1.0, 1.0]


# ---------------------------------------------------------------- no wait inside ops


def rows_of(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


LABELS = np.array([0, 2, 1, -100, 2])
UNWAITED = {
    "cross_entropy": lambda x, i: F.cross_entropy(x, i),
    "cross_entropy weighted": lambda x, i: F.cross_entropy(x, i, weight=x.detach()[0] * 0.0 + 0.5),
    "cross_entropy of nothing": lambda x, i: F.cross_entropy(x, i * 0 - 100),
    "linear_cross_entropy": lambda x, i: F.linear_cross_entropy(x, x.detach(), i * (i >= 0)),
    "embedding limited": lambda x, i: F.embedding(i * (i > 0), x, max_norm=0.5, scale_grad_by_freq=True, padding_idx=1).sum(),
    "bags, mean": lambda x, i: F.embedding_bag(i * (i > 0), x, i * 0 + mg.tensor([0, 1, 1, 3, 4]).to(i.device), mode="mean").sum(),
    "bags, max": lambda x, i: (F.embedding_bag(i * (i > 0), x, i * 0 + mg.tensor([0, 1, 1, 3, 4]).to(i.device), mode="max") ** 2).sum(),
    "rows": lambda x, i: (x[i * (i > 0)] ** 2).sum(),
    "gather": lambda x, i: (mg.gather(x, 0, (i * (i > 0)).reshape(-1, 1)) ** 2).sum(),
    "clip": lambda x, i: F.multi_margin_loss(x, i * (i > 0)),
    "multilabel": lambda x, i: F.multilabel_margin_loss(x[0], (i * (i > 0))[:3] * 0 + mg.tensor([1, 2, -1]).to(i.device)),
    "interpolate": lambda x, i: (F.interpolate(x.reshape(1, 1, 5, 3), size=(7, 5), mode="bilinear") ** 2).sum(),
}  # fmt: skip


@pytest.mark.parametrize("name", UNWAITED)
def test_ops_do_not_wait(stand_in, name):
    """The same numbers as on the CPU, and nothing read in between (after the first call, which sends tables over)."""
    raw, f, found = rows_of(0, 5, 3), UNWAITED[name], []
    for device in ("cpu", "cuda"):
        for _ in range(2):
            x, i = mg.tensor(raw, device=device, requires_grad=True), mg.tensor(LABELS, device=device)
            steps = mg.tensor([0, 1, 1, 3, 4]), mg.tensor([1, 2, -1])
            there_ = [s.to(device) for s in steps]
            before = mg.tensor
            mg.tensor = lambda data, there_=there_: there_[0 if len(data) == 5 else 1]
            try:
                if stand_in:
                    stand_in.ledger.clear()
                y = f(x, i)
                y.backward()
                waits = stand_in.ledger.transfers() if stand_in else []
            finally:
                mg.tensor = before
        found.append((y.item(), x.grad.cpu()._data, x.detach().cpu()._data))
        assert not waits, waits
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=2e-6)
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(found[1][2], found[0][2], rtol=2e-6)


@pytest.mark.parametrize("make", [lambda p: mg.optim.Adafactor(p), lambda p: mg.optim.Muon(p, lr=0.1)])
def test_optimisers_do_not_wait(stand_in, make):
    found = []
    for device in ("cpu", "cuda"):
        p = mg.tensor(rows_of(1, 4, 6), device=device, requires_grad=True)
        optimiser = make([p])
        for _ in range(3):
            if stand_in:
                stand_in.ledger.clear()
            optimiser.zero_grad()
            (p * p).sum().backward()
            optimiser.step()
            assert not stand_in or not stand_in.ledger.transfers()
        found.append(p.detach().cpu()._data)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)


def test_batch_norm_with_a_plain_average_does_not_wait(stand_in):
    found = []
    for device in ("cpu", "cuda"):
        layer = mg.nn.BatchNorm1d(3, momentum=None).to(device)
        for seed in range(3):
            x = mg.tensor(rows_of(seed, 4, 3), device=device)
            if stand_in:
                stand_in.ledger.clear()
            layer(x)
            assert not stand_in or not stand_in.ledger.transfers()
        found.append(layer.running_mean.cpu()._data)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-7)
