"""trace(): the record is the engine's own, names are the reader's, and nothing is changed by looking."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.models.lenet5 import LeNet5

F = nn.functional

PHI, Y = [1.5, -0.7, 0.6], 1.8
V1, V2, W = [1.1, -1.0, -0.5], [2.0, 1.0, 1.2], [2.0, 0.6]


def two_layers(v1, v2, w, phi, y):
    h1 = mg.sigmoid((v1 * phi).sum())
    h2 = mg.sigmoid((v2 * phi).sum())
    score = w[0] * h1 + w[1] * h2
    residual = score - y
    return residual**2


@pytest.fixture(scope="module")
def classic():
    return mg.trace(two_layers, V1, V2, W, PHI, Y)


def test_the_worked_example_has_its_exact_numbers(classic):
    """Figures of the lecture's exercise, to the last digit printed there."""
    exact = {
        "w": [0.9638701718224371, 1.0373308939918027],
        "v1": [0.3297950650227304, -0.1539043636772742, 0.1319180260090922],
        "v2": [0.0434407488536063, -0.0202723494650163, 0.0173762995414425],
        "phi": [0.2997707128214774, -0.1909028774460828, -0.0751790892580251],
        "y": -1.0879539054631590,
    }
    for name, numbers in exact.items():
        np.testing.assert_allclose(classic[name].grad, numbers, rtol=1e-13)
    assert classic["h1"].data == pytest.approx(0.8859476187202091, rel=1e-15)
    assert classic.loss.data == pytest.approx(0.2959109251031350, rel=1e-15)


def test_steps_are_data(classic):
    first, last = classic.forward[0], classic.forward[-1]
    assert first.formula == "mul = v1 · phi" and first.code == "h1 = mg.sigmoid((v1 * phi).sum())"
    assert first.file == __file__ and last.numbers == "0.295911 = 0.543977²"
    assert [e.formula for e in classic.backward[0].edges] == ["∂L/∂residual = ∂L/∂loss · 2 · residual"]
    assert classic.backward[0].edges[0].local() == pytest.approx(2 * classic["residual"].data)
    assert [s.id for s in classic.backward] == list(range(len(classic.backward)))
    assert classic.steps == classic.forward + classic.backward


def test_accumulation_stands_in_the_order_of_arrival(classic):
    edges = classic["w"].contributions
    assert [e.order for e in edges] == [0, 1]
    assert (edges[0].total == edges[0].sent).all() and (edges[1].total == classic["w"].grad).all()


def test_the_table_names_every_step(classic):
    text = str(classic)
    for f in classic.forward:
        assert f.formula[:50] in text
    assert "+= gives [0.9639, 1.037]" in text and "10: " not in text.split("\n")[0]


def test_checks_agree_and_find_a_planted_fault(classic):
    report = classic.check()
    assert report and report.worst < 1e-9 and len(report.rows) == sum(len(s.edges) for s in classic.backward)
    edge = classic["h1"].contributions[0]
    edge.sent = edge.sent * (1 + 1e-6)
    try:
        report = classic.check()
        assert not report and [r.edge for r in report.faults] == [edge] and "WRONG" in str(report)
    finally:
        edge.sent = edge.sent / (1 + 1e-6)


# ---------------------------------------------------------------- nothing is changed by looking


def lenet_loss(model, image, label):
    return F.cross_entropy(model(image), label)


def models():
    mg.manual_seed(0)
    lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.3, batch_first=True)
    norm = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2)
    )
    lenet = LeNet5()
    return [
        (lenet, lambda x: F.cross_entropy(lenet(x), mg.tensor([3])), (1, 1, 32, 32)),
        (lstm, lambda x: (lstm(x)[0] ** 2).mean(), (20, 2, 3)),
        (block, lambda x: (block(x) ** 2).mean(), (2, 5, 8)),
        (norm, lambda x: (norm(x) ** 2).mean(), (2, 2, 6, 6)),
    ]


@pytest.mark.parametrize("number", range(4), ids=["lenet", "lstm", "block", "batch norm"])
def test_gradients_are_bitwise_those_of_backward(number):
    module, loss, shape = models()[number]
    x = mg.randn(*shape).requires_grad_()
    before = {name: b.cpu().numpy().copy() for name, b in module.named_buffers()}
    mg.manual_seed(7)
    t = mg.trace(loss, x)
    after = {name: b.cpu().numpy().copy() for name, b in module.named_buffers()}
    assert x.grad is None and all(p.grad is None for p in module.parameters())
    for name, b in module.named_buffers():
        b.data[...] = before[name]
    mg.manual_seed(7)
    y = loss(x)
    y.backward()
    assert (t.loss.data == y.detach().cpu().numpy()).all()
    assert (
        t[next(v for v in t.values if v.kind == "input" and v.shape == x.shape)].grad == x.grad.cpu().numpy()
    ).all()
    for name, p in module.named_parameters():
        assert (
            t[next(n for n in t.grads if n == name or n.endswith("." + name))].grad == p.grad.cpu().numpy()
        ).all(), name
    for name, b in module.named_buffers():
        assert (b.cpu().numpy() == after[name]).all()
    assert not any(m._hooks.get("before") or m._hooks.get("after") for m in module.modules())


def test_what_happens_later_does_not_reach_a_trace():
    model = nn.Linear(3, 2)
    x = mg.randn(4, 3)
    t = mg.trace(lambda x: (model(x) ** 2).sum(), x)
    weight, report = t["model.weight"].data.copy(), t.check().worst
    with mg.no_grad():
        model.weight -= 1.0
    x.data[...] = 0.0
    assert (t["model.weight"].data == weight).all() and t.check().worst == report
    assert t.paths("model.bias", 0).total == pytest.approx(float(t["model.bias"].grad[0]), rel=1e-5)


def test_an_error_inside_leaves_nothing_behind():
    model = nn.Linear(3, 2)

    def broken(x):
        model(x)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        mg.trace(broken, mg.randn(4, 3))
    assert mg.is_grad_enabled() and not any(model._hooks.values())
    (mg.tensor(1.0, requires_grad=True) * 2).backward()


# ---------------------------------------------------------------- names


def test_names_are_those_of_variables_parameters_and_modules():
    cell = nn.RNNCell(2, 3)

    def loss(xs, h):
        for x in xs:
            h = cell(x, h)
        return (h * h).mean()

    t = mg.trace(loss, mg.randn(4, 1, 2).requires_grad_(), mg.zeros(1, 3).requires_grad_())
    names = [v.name for v in t.values]
    assert [n for n in names if n.startswith("h@")] == ["h@0", "h@1", "h@2", "h@3", "h@4"]
    assert "cell.weight_hh" in names and "x@1" in names and names[-1] == "loss"
    assert [v.name for v in t.sequences["h"]] == ["h@0", "h@1", "h@2", "h@3", "h@4"]
    assert [v.time for v in t.sequences["h"]] == [0, 1, 2, 3, 4]
    assert len(t["cell.weight_hh"].contributions) == 4


def test_an_unrolled_lstm_shows_its_gates_by_name():
    lstm = nn.LSTM(2, 3)
    lstm.unrolled = True
    t = mg.trace(lambda x: (lstm(x)[0] ** 2).sum(), mg.randn(5, 1, 2))
    for gate in "ifgo":
        assert [v.name for v in t.sequences[f"lstm.{gate}"]] == [f"lstm.{gate}@{k}" for k in range(1, 6)]
    assert [v.time for v in t.sequences["lstm.c"]] == [0, 1, 2, 3, 4, 5]


def test_modules_give_parameters_and_results_their_path():
    model = LeNet5()
    t = mg.trace(lambda image: model(image).sum(), mg.randn(1, 1, 32, 32))
    assert "C1.weight" in t.grads and t["C1.conv"].module == "C1" and t.classes[""] == "LeNet5"
    assert t.forward[0].code.startswith("x = self.S2(") and t["image"].kind == "input"


def test_a_variable_bound_again_gets_a_number():
    def f(x):
        x = mg.tanh(x)
        x = mg.exp(x)
        return x.sum()

    t = mg.trace(f, [1.0, 2.0])
    assert [v.name for v in t.values] == ["x", "x.2", "x.3", "loss"]


def test_layers_of_one_lstm_are_no_steps_in_time_and_calls_of_a_cell_are():
    lstm, cell = nn.LSTM(2, 3, num_layers=2, bidirectional=True), nn.GRUCell(2, 2)
    x = np.ones((4, 1, 2), "f4")
    assert mg.trace(lambda x: lstm(x)[0].sum(), x).sequences == {}

    def f(x):
        for _ in range(3):
            x = cell(x, x)
        return x.sum()

    assert [v.time for v in mg.trace(f, x[0]).sequences["cell.r"]] == [1, 2, 3]


BIAS = mg.tensor(np.ones((2, 1)), requires_grad=True)


def test_the_library_s_word_for_a_constant_is_not_taken_for_the_reader_s():
    """matmul(a, b) calls its constant b; so does the reader a bias, which is no sequence over time."""

    def f(W, U, b):
        h = mg.tensor(np.zeros((2, 1)))
        for t in range(3):
            h = mg.tanh(W @ h + U @ mg.tensor(np.full((2, 1), t)) + b + BIAS)
        return h.sum()

    trace = mg.trace(f, np.eye(2), np.eye(2), np.ones((2, 1)))
    assert set(trace.grads) == {"W", "U", "b", "BIAS"}
    assert [v.name for v in trace.sequences["h"]] == ["h@0", "h@1", "h@2", "h@3"]
    assert not {"a", "b"} & set(trace.sequences)


@pytest.mark.parametrize("layer, names", [(nn.LSTM, "hcifgo"), (nn.GRU, "hrzn"), (nn.RNN, "h")])
def test_a_fused_walk_over_time_opens_into_steps_by_name(layer, names):
    model = layer(2, 3)
    inside = mg.trace(lambda x: model(x)[0].sum(), np.ones((4, 1, 2), "f4")).opened(
        layer.__name__.lower() + "_sequence"
    )
    for name in names:
        steps = [v for v in inside.sequences[name] if v.made_by]
        assert [v.time for v in steps] == [1, 2, 3, 4]
    before = inside.sequences["h"][-2]
    assert before in [i for f in inside.forward for i in f.inputs if f.output.time == 4]


def test_numbers_are_their_own_names_and_unknown_names_list_those_near():
    t = mg.trace(lambda a: 3.0 * a * 3.0, 2.0)
    assert [v.name for v in t.values if v.kind == "constant"] == ["3", "3"]
    with pytest.raises(KeyError, match="there are a"):
        t["b"]


# ---------------------------------------------------------------- what is traced


def test_a_fused_op_opens_into_what_it_stands_for():
    lstm = nn.LSTM(2, 3)
    lstm.double()
    t = mg.trace(lambda x: (lstm(x)[0] ** 2).sum(), np.random.default_rng(0).normal(size=(4, 1, 2)))
    inside = t.opened("lstm_sequence")
    np.testing.assert_allclose(inside.output.data, t["lstm_sequence"].data, atol=1e-12)
    np.testing.assert_allclose(inside["lstm.weight_hh_l0"].grad, t["lstm.weight_hh_l0"].grad, atol=1e-12)
    assert "i@3" in [v.name for v in inside.values]
    with pytest.raises(ValueError, match="pow, which is one step"):
        t.opened("pow")


def test_a_checkpoint_replays_behind_its_own_backward():
    def f(w):
        h = mg.tanh(w * 2.0)
        h = mg.checkpoint(lambda a: mg.exp(mg.sin(a)), h)
        return h.sum()

    t, plain = mg.trace(f, [1.0, 2.0]), mg.trace(lambda w: mg.exp(mg.sin(mg.tanh(w * 2.0))).sum(), [1.0, 2.0])
    assert (t["w"].grad == plain["w"].grad).all()
    assert [f.op for f in t.forward if f.replay] == ["sin", "exp"]
    order = [s.op if hasattr(s, "op") else f"back {s.value.name}" for s in t.steps]
    assert order.index("back loss") < order.index("sin") < order.index("back exp")


def test_memory_is_held_until_the_step_that_needs_it_and_checkpoints_change_the_picture():
    x = np.random.default_rng(0).normal(size=(64, 64))

    def blocks(x, piece):
        for _ in range(4):
            x = piece(x)
        return x.sum()

    def piece(a):
        return mg.tanh(mg.sin(mg.exp(-a * a)))

    plain = mg.trace(lambda x: blocks(x, piece), x).memory
    spared = mg.trace(lambda x: blocks(x, lambda a: mg.checkpoint(piece, a)), x).memory
    assert plain.rows[-1].live == spared.rows[-1].live == 0
    assert plain.peak > 1.8 * spared.peak and "<- peak" in str(plain)
    saved = mg.trace(lambda a: mg.tanh(a).sum(), x)
    assert [(what, array.nbytes) for what, array in saved.forward[0].saved] == [("y", x.nbytes)]
    assert saved.forward[0].freed.value.name == "tanh" and saved.memory.peak == x.nbytes


def test_a_result_that_is_no_scalar_needs_its_weights():
    x = [1.0, 2.0]
    with pytest.raises(ValueError, match=r"trace: expected a scalar result, got shape \(2,\)"):
        mg.trace(mg.exp, x)
    t = mg.trace(lambda x: mg.exp(x), x, gradient=[1.0, 3.0])
    np.testing.assert_allclose(t["x"].grad, np.exp(x) * [1.0, 3.0], rtol=1e-15)


def test_what_cannot_be_traced_says_so():
    w = mg.tensor(2.0, requires_grad=True)
    early = w * 3.0
    cases = [
        (lambda x: (x, x), "fn must return one Tensor, got tuple", TypeError),
        (lambda x: x.detach(), "no input of fn's result requires grad", ValueError),
        (lambda x: early * x, "the result of mul \\(\\) was computed before fn ran", ValueError),
    ]
    for fn, message, kind in cases:
        with pytest.raises(kind, match=message):
            mg.trace(fn, 1.0)

    def goes_back_itself(x):
        y = x * x
        y.backward()
        return y

    with pytest.raises(ValueError, match="fn called backward"):
        mg.trace(goes_back_itself, 1.0)
    with pytest.raises(TypeError, match="unknown argument 'offset'"):
        mg.trace(lambda x: x, 1.0, offset=1)


def test_a_matrix_in_the_place_of_a_function_is_numpys_trace():
    m = np.arange(9.0).reshape(3, 3)
    assert mg.trace(m).item() == np.trace(m) and mg.trace(m, offset=1).item() == np.trace(m, offset=1)
    assert mg.trace(mg.tensor(m)).item() == np.trace(m)


def test_threads_and_watchers_of_others_are_left_alone():
    with mg.detect_anomaly():
        t = mg.trace(lambda x: mg.exp(x), 1.0)
        assert mg.is_grad_enabled()
        with pytest.raises(FloatingPointError):
            mg.sqrt(mg.tensor([0.0], requires_grad=True)).sum().backward()
    assert t["x"].grad == np.exp(1.0)


# ---------------------------------------------------------------- paths


@pytest.mark.parametrize("name, index", [("w", 0), ("w", 1), ("v1", 2), ("phi", 0), ("phi", 1), ("y", ())])
def test_paths_add_up_to_the_gradient(classic, name, index):
    found = classic.paths(name, index)
    assert found.total == pytest.approx(float(classic[name].grad[index]), rel=1e-12)
    assert len(found) == (2 if name == "phi" else 1)
    for path in found:
        assert path.number == pytest.approx(np.prod(path.factors), rel=1e-14) and path.steps[-1][0] == "loss"


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(0, 10**6))
def test_paths_of_a_two_layer_network_add_up(inputs, hidden, outputs, seed):
    rng = np.random.default_rng(seed)
    shapes = [(inputs, hidden), (hidden,), (hidden, outputs), (2, inputs), (2, outputs)]
    arrays = [rng.normal(size=shape) for shape in shapes]

    def loss(W1, b1, W2, x, y):
        h = mg.tanh(x @ W1 + b1)
        return ((h @ W2 - y) ** 2).mean()

    t = mg.trace(loss, *arrays)
    for name in ("W1", "b1", "W2", "x"):
        value = t[name]
        index = tuple(int(rng.integers(n)) for n in value.shape)
        found = t.paths(name, index)
        scale = sum(abs(path.number) for path in found)
        assert abs(found.total - value.grad[index]) <= 1e-12 * max(scale, 1e-300)


def test_too_many_paths_and_wrong_places_are_refused(classic):
    def wide(x):
        for _ in range(14):
            x = x + x
        return x

    t = mg.trace(wide, 1.0)
    with pytest.raises(ValueError, match="at most 10,000 paths"):
        t.paths("x@0")
    with pytest.raises(ValueError, match=r"index of one element of shape \(3,\)"):
        classic.paths("v1", 7)
    with pytest.raises(ValueError, match="no gradient arrives"):
        mg.trace(lambda a, b: a * 1.0, 1.0, 2.0).paths("b")


# ---------------------------------------------------------------- the microscope


def element_cases():
    rng = np.random.default_rng(3)
    image, kernel, bias = rng.normal(size=(1, 2, 5, 5)), rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3)
    q, k, v = rng.normal(size=(3, 1, 3, 4))
    table = rng.normal(size=(4, 6))
    return {
        "a pixel of a convolution": (
            lambda x, w, b: (F.conv2d(x, w, b, padding=1, stride=2) ** 2).sum(),
            (image, kernel, bias),
            "conv",
            1,
        ),
        "max pooling": (lambda x: (F.max_pool2d(x, 2) ** 2).sum(), (image,), "max_pool", 1),
        "mean pooling": (lambda x: (F.avg_pool2d(x, 2) ** 2).sum(), (image,), "window_sum", 1),
        "an attention": (
            lambda q, k, v: (F.scaled_dot_product_attention(q, k, v) ** 2).sum(),
            (q, k, v),
            "attention",
            6,
        ),
        "a product": (lambda a, b: ((a @ b) ** 2).sum(), (table, table.T.copy()), "matmul", 1),
        "a linear layer": (
            lambda x, w, b: (F.linear(x, w, b) ** 2).sum(),
            (table, table, table[:, 0].copy()),
            "linear",
            1,
        ),
        "softmax": (lambda x: (F.softmax(x, 1) ** 2).sum(), (table,), "softmax", 1),
        "log softmax": (lambda x: (F.log_softmax(x, 0) ** 2).sum(), (table,), "log_softmax", 1),
        "moved elements": (lambda x: (mg.flip(x.T[1:3], 0).reshape(-1) * 3.0).sum(), (table,), "mul", 1),
        "a mean and a maximum": (lambda x: (mg.max(x, 0) - mg.mean(x, 0)).sum(), (table,), "sub", 2),
        "layer norm": (lambda x: (F.layer_norm(x, (6,)) ** 3).sum(), (table,), "normalise", 9),
    }


@pytest.mark.parametrize("name", element_cases())
def test_the_scalar_graph_of_an_element_has_its_value_and_gradients(name):
    fn, arrays, op, depth = element_cases()[name]
    t = mg.trace(fn, *arrays)
    value = t[op]
    rng = np.random.default_rng(0)
    for index in {tuple(int(rng.integers(n)) for n in value.shape) for _ in range(2)}:
        m = t.microscope(value.name, index, depth)
        assert m.output.data == pytest.approx(float(value.data[index]), rel=1e-12, abs=1e-13)
        assert all(v.data.ndim == 0 for v in m.values), "scalars only"
        whole = mg.trace(lambda *xs: fn_of(t, value, xs)[index], *arrays)
        for v in m.values:
            if v.made_by is None and "[" in v.name and v.grad is not None:
                base, _, at = v.name.partition("[")
                if base in whole.grads:
                    at = tuple(int(i) for i in at[:-1].split(","))
                    want = whole[base].grad[at] * value.grad[index]
                    assert v.grad == pytest.approx(float(want), rel=1e-9, abs=1e-11)


def fn_of(t, value, xs):
    """Run the trace's ops again up to a value, on other tensors."""
    known = dict(zip(t.inputs, xs))
    for f in t.forward:
        inputs = [None if v is None else known.get(v, v.data) for v in f.inputs]
        known[f.output] = f.node.op.call(*inputs, **f.meta)
        if f.output is value:
            return known[value]
    raise AssertionError


def test_a_gate_at_time_t_opens_to_its_dot_product():
    lstm = nn.LSTM(2, 3)
    t = mg.trace(lambda x: (lstm(x)[0] ** 2).sum(), mg.randn(5, 1, 2))
    inside = t.opened("lstm_sequence")
    m = inside.microscope("i@3", (0, 1), 2)
    assert m.output.data == pytest.approx(float(inside["i@3"].data[0, 1]), rel=1e-5)
    assert "lstm.weight_hh_l0[1, 2]" in m.grads and "lstm.bias_ih_l0[1]" in m.grads


def test_the_microscope_refuses_what_it_cannot_open(classic):
    with pytest.raises(ValueError, match="v1 is an input"):
        classic.microscope("v1", 0)
    with pytest.raises(ValueError, match="depth=0"):
        classic.microscope("h1", (), 0)
    t = mg.trace(lambda a: mg.cumprod(a, 0).sum(), [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="cumprod has no form in scalars"):
        t.microscope("cumprod", 1)
