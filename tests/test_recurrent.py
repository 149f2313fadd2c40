"""Recurrent layers and cells, against PyTorch and against themselves: the fused op, the unrolled graph, textbook numbers."""

import numpy as np
import pytest
from against_torch import behaves, both_reject, flat, modules_agree
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn

torch = pytest.importorskip("torch")

KINDS = ["RNN", "LSTM", "GRU"]
few = settings(max_examples=20, deadline=None, derandomize=True)


def rng(seed=0):
    return np.random.default_rng(seed)


@st.composite
def layers(draw):
    """(name, options, seed)."""
    name = draw(st.sampled_from(KINDS))
    how = {"input_size": draw(st.integers(1, 4)), "hidden_size": draw(st.integers(1, 5)), "num_layers": draw(st.integers(1, 3))}
    how |= {k: draw(st.booleans()) for k in ("bias", "batch_first", "bidirectional")}
    if name == "RNN":
        how["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    if name == "LSTM" and how["hidden_size"] > 1:
        how["proj_size"] = draw(st.integers(0, how["hidden_size"] - 1))
    return name, how, draw(st.integers(0, 99))


def pair(name, how):
    return getattr(nn, name)(**how), getattr(torch.nn, name)(**how)


def widths(name, how):
    """Widths of the states."""
    return [how.get("proj_size") or how["hidden_size"], how["hidden_size"]][: 2 if name == "LSTM" else 1]


def initial(name, how, batch, r):
    """Random initial states, (layers * directions, *batch, width) each."""
    count = how["num_layers"] * (1 + how["bidirectional"])
    return [r.normal(size=(count, *batch, width)) for width in widths(name, how)]


def with_states(module, x, *states):
    return module(x, None if not states else states[0] if len(states) == 1 else states)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported")
@few
@given(layers(), st.sampled_from(["batch", "single"]), st.booleans(), st.integers(1, 4), st.integers(1, 3))
def test_layers_equal_pytorch(layer, form, states, steps, batch):
    name, how, seed = layer
    r = rng(seed)
    shape = (steps,) if form == "single" else (batch, steps) if how["batch_first"] else (steps, batch)
    x = r.normal(size=(*shape, how["input_size"]))
    given_ = initial(name, how, (batch,) * (form == "batch"), r) if states else []
    modules_agree(*pair(name, how), x, *given_, call=with_states, order2=False)


@few
@given(layers(), st.lists(st.integers(1, 4), min_size=1, max_size=4), st.booleans(), st.booleans())
def test_packed_sequences_equal_pytorch(layer, lengths, enforce_sorted, states):
    name, how, seed = layer
    r = rng(seed)
    lengths = sorted(lengths, reverse=True) if enforce_sorted else lengths
    first = how["batch_first"]
    batch, steps = len(lengths), max(lengths) + 1
    x = r.normal(size=((batch, steps) if first else (steps, batch)) + (how["input_size"],))
    given_ = initial(name, how, (batch,), r) if states else []

    def call(module, x, *states):
        utils = (nn if isinstance(module, nn.Module) else torch.nn).utils.rnn
        packed, last = with_states(module, utils.pack_padded_sequence(x, lengths, first, enforce_sorted), *states)
        return packed.data, *utils.pad_packed_sequence(packed, first), *flat(last)

    modules_agree(*pair(name, how), x, *given_, call=call, order2=False)


@few
@given(layers(), st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_the_fused_op_equals_the_unrolled_graph(layer, lengths):
    name, how, seed = layer
    r = rng(seed)
    ours = getattr(nn, name)(**how).double()
    batch, steps = len(lengths), max(lengths)
    raw = r.normal(size=((batch, steps) if how["batch_first"] else (steps, batch)) + (how["input_size"],))
    raws = [raw, *initial(name, how, (batch,), r)]
    found = []
    for unrolled in (False, True):
        ours.unrolled = unrolled
        x, *states = [mg.tensor(a, requires_grad=True) for a in raws]
        packed, last = with_states(ours, nn.utils.rnn.pack_padded_sequence(x, lengths, how["batch_first"], False), *states)
        ys = flat((packed.data, last))
        sum((y * mg.tensor(rng(k).normal(size=y.shape))).sum() for k, y in enumerate(ys)).backward()
        found.append([y.detach() for y in ys] + [t.grad for t in (x, *states, *ours.parameters())])
        ours.zero_grad()
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a.cpu().numpy(), b.cpu().numpy(), rtol=1e-12, atol=1e-13)


def test_unrolled_has_a_node_for_every_step():
    layer = nn.RNN(2, 3)
    count = lambda: sum(step.node.op is not None and step.node.op.name == "tanh" for step in mg.engine.backprop.backprop(layer(mg.ones(7, 1, 2))[0].sum()))
    assert count() == 0
    layer.unrolled = True
    assert count() == 7


@pytest.mark.parametrize(("name", "how"), [
    ("RNN", {}), ("RNN", {"bidirectional": True, "bias": False}), ("LSTM", {"num_layers": 2}), ("LSTM", {"proj_size": 1}), ("GRU", {"bidirectional": True}),
])  # fmt: skip
def test_second_order_equals_pytorch(name, how):
    ours, theirs = pair(name, {"input_size": 2, "hidden_size": 2, **how})
    modules_agree(ours, theirs, rng().normal(size=(3, 2, 2)))


@pytest.mark.parametrize("name", KINDS)
def test_against_itself(name):
    layer = getattr(nn, name)(3, 4, 2, batch_first=True, bidirectional=True).double()
    behaves(lambda x: layer(x)[0], rng().normal(size=(3, 5, 3)))
    state = lambda x, *s: layer(x, s[0].swapaxes(0, 1) if len(s) == 1 else tuple(t.swapaxes(0, 1) for t in s))[0]
    behaves(state, rng().normal(size=(3, 5, 3)), *[rng(k).normal(size=(3, 4, 4)) for k in range(1 + (name == "LSTM"))])
    float32 = getattr(nn, name)(3, 4)
    assert {t.dtype for t in flat(float32(mg.ones(2, 1, 3)))} == {np.dtype("float32")}


@pytest.mark.parametrize("name", KINDS)
def test_a_padded_batch_equals_each_sequence_alone(name):
    layer = getattr(nn, name)(2, 3, bidirectional=True).double()
    found = [rng(n).normal(size=(n, 2)) for n in (2, 5, 3)]
    packed = nn.utils.rnn.pack_sequence([mg.tensor(s) for s in found], enforce_sorted=False)
    together = nn.utils.rnn.unpack_sequence(layer(packed)[0])
    for s, y in zip(found, together, strict=True):
        np.testing.assert_allclose(y.detach().cpu().numpy(), layer(mg.tensor(s))[0].detach().cpu().numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", KINDS)
def test_bidirectional_is_forward_beside_reversed(name):
    both, one = getattr(nn, name)(2, 3, bidirectional=True), getattr(nn, name)(2, 3)
    x = mg.tensor(rng().normal(size=(4, 2, 2)).astype("f"))
    y = both(x)[0].detach().cpu().numpy()
    for side, turn in (("", lambda t: t), ("_reverse", lambda t: mg.flip(t, 0))):
        one.load_state_dict({k: getattr(both, k + side) for k in one.state_dict()})
        part = y[..., 3:] if side else y[..., :3]
        np.testing.assert_allclose(turn(one(turn(x))[0]).detach().cpu().numpy(), part, rtol=1e-6, atol=1e-7)


def test_dropout_acts_between_layers_in_training_only():
    layer = nn.LSTM(3, 50, 2, dropout=0.5)
    x = mg.randn(4, 2, 3)
    run = lambda: layer(x)[0].detach().cpu().numpy()
    mg.manual_seed(1)
    first = run()
    assert not np.array_equal(run(), first)
    mg.manual_seed(1)
    assert np.array_equal(run(), first)
    assert (first != 0).all()  # the last layer's output itself is not dropped
    layer.eval()
    assert np.array_equal(run(), run())
    whole = nn.GRU(3, 4, 2, dropout=1.0)
    whole(x)[0].sum().backward()
    assert not whole.weight_ih_l0.grad.cpu().numpy().any() and whole.bias_hh_l1.grad.cpu().numpy().any()
    first_layer = whole(x)[1][0].detach().cpu().numpy()
    assert np.array_equal(first_layer, whole.eval()(x)[1][0].detach().cpu().numpy()), "the input itself was dropped"
    with pytest.warns(UserWarning, match="dropout acts between layers"):
        nn.RNN(3, 4, dropout=0.1)


@few
@given(st.sampled_from(KINDS), st.integers(1, 4), st.integers(1, 4), st.booleans(), st.booleans(), st.booleans(), st.integers(1, 3))
def test_cells_equal_pytorch(name, inputs, hidden, bias, states, batched, batch):
    how = {"nonlinearity": "relu"} if name == "RNN" and hidden % 2 else {}
    lead = (batch,) if batched else ()
    x = rng().normal(size=(*lead, inputs))
    given_ = [rng(k + 1).normal(size=(*lead, hidden)) for k in range(1 + (name == "LSTM"))] if states else []
    ours, theirs = getattr(nn, name + "Cell")(inputs, hidden, bias, **how), getattr(torch.nn, name + "Cell")(inputs, hidden, bias, **how)
    modules_agree(ours, theirs, x, *given_, call=with_states, order2=hidden < 3)


@pytest.mark.parametrize("name", KINDS)
def test_cells_against_themselves(name):
    cell = getattr(nn, name + "Cell")(3, 2).double()
    behaves(cell, rng().normal(size=(4, 3)))


def test_whole_sequence_equals_step_by_step():
    """All at once, then cell by cell with the same weights: batch 24, length 10, 3 features, 8 units, one output."""
    mg.set_default_dtype("float64")
    try:
        X = mg.randn(24, 10, 3, requires_grad=True)
        rnn = nn.RNN(input_size=3, hidden_size=8, num_layers=1, batch_first=True)
        out = nn.Linear(8, 1)
        Y, hn = rnn(X)
        prediction = out(Y[:, -1, :])
        prediction.sum().backward()
        gradient, X.grad = X.grad.cpu().numpy(), None

        cell = nn.RNNCell(input_size=3, hidden_size=8)
        cell.load_state_dict({k: getattr(rnn, k + "_l0") for k in cell.state_dict()})
        h = mg.zeros(24, 8)
        for i in range(X.shape[1]):
            h = cell(X[:, i, :], h)
            np.testing.assert_allclose(h.detach().cpu().numpy(), Y[:, i, :].detach().cpu().numpy(), rtol=0, atol=1e-12)
        np.testing.assert_allclose(h.detach().cpu().numpy(), hn[0].detach().cpu().numpy(), rtol=0, atol=1e-12)
        out(h).sum().backward()
        np.testing.assert_allclose(X.grad.cpu().numpy(), gradient, rtol=0, atol=1e-12)
        assert prediction.shape == (24, 1) and hn.shape == (1, 24, 8)
    finally:
        mg.set_default_dtype("float32")


def test_parameter_counts():
    assert [sum(p.size for p in getattr(nn, name)(3, 8).parameters()) for name in ("RNN", "GRU", "LSTM")] == [104, 312, 416]


def test_bptt_by_the_textbook():
    """dL/dW = sum_t diag(1 - h_t^2) g_t h_{t-1}^T and dL/dU with x_t of the same step (Goodfellow et al. 2016, 10.26-10.28)."""
    r = rng(3)
    T, n, m = 6, 4, 3
    x, target = r.normal(size=(T, m)), r.normal(size=(T, n))
    layer = nn.RNN(m, n).double()
    U, W, b = (getattr(layer, k).detach().cpu().numpy() for k in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"))
    b = b + layer.bias_hh_l0.detach().cpu().numpy()
    h = [np.zeros(n)]
    for t in range(T):
        h.append(np.tanh(b + W @ h[-1] + U @ x[t]))
    y, _ = layer(mg.tensor(x))
    loss = 0.5 * ((y - mg.tensor(target)) ** 2).sum()
    loss.backward()
    g, by_hand = np.zeros(n), {"W": 0.0, "U": 0.0, "b": 0.0, "shifted U": 0.0}
    for t in range(T, 0, -1):
        g = g + h[t] - target[t - 1]
        a = (1 - h[t] ** 2) * g
        by_hand["W"] += np.outer(a, h[t - 1])
        by_hand["U"] += np.outer(a, x[t - 1])  # x[t - 1] is x^(t): h[0] is the state before the first step
        by_hand["shifted U"] += np.outer(a, x[t - 2]) if t > 1 else 0.0
        by_hand["b"] += a
        g = W.T @ a
    near = lambda p, wanted: np.testing.assert_allclose(p.grad.cpu().numpy(), wanted, rtol=1e-12, atol=1e-14)
    near(layer.weight_hh_l0, by_hand["W"])
    near(layer.weight_ih_l0, by_hand["U"])
    near(layer.bias_ih_l0, by_hand["b"])
    assert np.abs(layer.weight_ih_l0.grad.cpu().numpy() - by_hand["shifted U"]).max() > 1e-2  # the input of the step before is wrong


def test_truncated_bptt_by_detach():
    """h_t = w h_{t-1} + x (relu, all positive): dh_4/dw = 4-term sum whole, 2-term when cut after step 2."""
    layer = nn.RNN(1, 1, nonlinearity="relu", bias=False).double()
    nn.init.constant_(layer.weight_ih_l0, 1.0), nn.init.constant_(layer.weight_hh_l0, 0.5)
    x = mg.ones(4, 1, 1, dtype="float64")
    layer(x)[1].sum().backward()
    assert layer.weight_hh_l0.grad.item() == 1 + 2 * 0.5 + 3 * 0.25  # h_4 = 1 + w + w^2 + w^3
    layer.zero_grad()
    _, state = layer(x[:2])
    _, last = layer(x[2:], state.detach())
    last.sum().backward()
    assert last.item() == 1.875 and layer.weight_hh_l0.grad.item() == 1 + 2 * 0.5 * 1.5  # h_4 = 1 + w + w^2 h_2, h_2 = 1.5 fixed


def test_gradients_vanish_and_explode_with_the_distance():
    """A linear state h_t = w h_{t-1}: the gradient of h_T in h_0 is w^T, so 0.5 forgets and 2 explodes."""
    for w in (0.5, 2.0):
        layer = nn.RNN(1, 1, nonlinearity="relu", bias=False).double()
        nn.init.constant_(layer.weight_hh_l0, w)
        h0 = mg.ones(1, 1, 1, dtype="float64").requires_grad_()
        layer(mg.zeros(20, 1, 1, dtype="float64"), h0)[1].sum().backward()
        assert h0.grad.item() == w**20


def test_large_inputs_saturate_without_overflow():
    for name in KINDS:
        layer = getattr(nn, name)(1, 2)
        with np.errstate(over="raise", invalid="raise"):
            y = layer(mg.full((3, 2, 1), 1e4))[0]
            y.sum().backward()
        assert np.isfinite(y.detach().cpu().numpy()).all() and np.isfinite(layer.weight_hh_l0.grad.cpu().numpy()).all()


def test_names_that_pytorch_has():
    ours, theirs = nn.LSTM(2, 3, 2, bidirectional=True, proj_size=1), torch.nn.LSTM(2, 3, 2, bidirectional=True, proj_size=1)
    assert [[w.shape for w in ws] for ws in ours.all_weights] == [[tuple(w.shape) for w in ws] for ws in theirs.all_weights]
    ours.flatten_parameters()
    assert ours.mode == theirs.mode and nn.RNN(1, 2, 3, "relu").mode == "RNN_RELU"
    base, other = nn.RNNBase("GRU", 2, 3, bias=False), torch.nn.RNNBase("GRU", 2, 3, bias=False)
    assert list(base.state_dict()) == list(other.state_dict()) and repr(base) == repr(other)
    with pytest.raises(ValueError, match="load_state_dict"):
        nn.GRU(2, 3).load_state_dict(nn.LSTM(2, 3).state_dict())
    bound = 1 / np.sqrt(64)
    assert 0.9 * bound < np.abs(nn.GRU(3, 64).weight_hh_l0.detach().cpu().numpy()).max() <= bound


REJECTED = [
    lambda nn, ones: nn.LSTM(0, 3), lambda nn, ones: nn.GRU(3, 0), lambda nn, ones: nn.RNN(3, 4, 0), lambda nn, ones: nn.RNN(3.0, 4),
    lambda nn, ones: nn.RNN(3, 4, nonlinearity="sin"), lambda nn, ones: nn.LSTM(3, 4, dropout=1.5), lambda nn, ones: nn.LSTM(3, 4, dropout=True),
    lambda nn, ones: nn.LSTM(3, 4, bias=1), lambda nn, ones: nn.LSTM(3, 4, batch_first=None), lambda nn, ones: nn.LSTM(3, 4, proj_size=4),
    lambda nn, ones: nn.LSTM(3, 4, proj_size=-1), lambda nn, ones: nn.RNNBase("LSTMM", 3, 4), lambda nn, ones: nn.RNNBase("LSTM", 3, 4)(ones(2, 1, 3)),
    lambda nn, ones: nn.LSTM(3, 4)(ones(3)), lambda nn, ones: nn.LSTM(3, 4)(ones(2, 2, 2, 3)), lambda nn, ones: nn.GRU(3, 4)(ones(2, 1, 4)),
    lambda nn, ones: nn.GRU(3, 4)(ones(0, 2, 3)), lambda nn, ones: nn.GRU(3, 4)(ones(5, 2, 3, double=True)),
    lambda nn, ones: nn.RNN(3, 4)(ones(5, 2, 3), ones(2, 4)), lambda nn, ones: nn.RNN(3, 4)(ones(5, 3), ones(1, 2, 4)),
    lambda nn, ones: nn.RNN(3, 4)(ones(5, 2, 3), ones(1, 3, 4)), lambda nn, ones: nn.RNN(3, 4)(ones(5, 2, 3), ones(1, 2, 4, double=True)),
    lambda nn, ones: nn.LSTM(3, 4)(ones(5, 2, 3), ones(2, 1, 2, 4)), lambda nn, ones: nn.LSTM(3, 4)(ones(5, 2, 3), (ones(1, 2, 4),)),
    lambda nn, ones: nn.LSTM(3, 4, proj_size=2)(ones(5, 2, 3), (ones(1, 2, 4), ones(1, 2, 4))),
    lambda nn, ones: nn.RNNCell(3, 4)(ones(2, 2, 3)), lambda nn, ones: nn.RNNCell(3, 4)(ones(2, 5)), lambda nn, ones: nn.GRUCell(3, 4)(ones(2, 3), ones(1, 4)),
    lambda nn, ones: nn.GRUCell(3, 4)(ones(3), ones(1, 4)), lambda nn, ones: nn.LSTMCell(3, 4)(ones(2, 3), ones(2, 4)),
    lambda nn, ones: nn.RNNCell(3, 4)(ones(2, 3), ones(2, 4, double=True)), lambda nn, ones: nn.LSTMCell(3, 4)(ones(2, 3, double=True)),
]  # fmt: skip


@pytest.mark.parametrize("k", range(len(REJECTED)))
def test_what_pytorch_rejects_is_rejected(k):
    ours = lambda *shape, double=False: mg.ones(*shape, dtype="float64" if double else "float32")
    theirs = lambda *shape, double=False: torch.ones(*shape, dtype=torch.float64 if double else torch.float32)
    both_reject(lambda: REJECTED[k](nn, ours), lambda: REJECTED[k](torch.nn, theirs))


def test_sequence_ops_refuse_sizes_that_do_not_describe_x():
    from minigrad.ops.recurrent import gru_sequence

    x, h, w = mg.ones(3, 2), mg.ones(2, 2), mg.ones(6, 2)
    for sizes in ((1, 2), (2, 2), ()):
        with pytest.raises(ValueError, match=r"^gru_sequence: expected sizes"):
            gru_sequence(x, h, w, w, sizes=sizes)
