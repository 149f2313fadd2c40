"""LSTM, GRU and RNN on the GPU, step by step and with one launch for many steps, against the readable text."""

import numpy as np
import pytest
from cuda_cases import close, from_gpu, on_gpu, took, watched

import minigrad as mg
from minigrad import nn
from minigrad.ops.recurrent import gru_sequence, lstm_sequence, rnn_sequence
from minigrad_kernels.cuda import find, recurrent
from minigrad_kernels.cuda.recurrent import Form, shared_bytes
from minigrad_kernels.cuda.recurrent_way import Before, every, runs

OPS = {"lstm_sequence": lstm_sequence, "gru_sequence": gru_sequence, "rnn_sequence": rnn_sequence}
GATES = {"lstm_sequence": 4, "gru_sequence": 3, "rnn_sequence": 1}
CELLS = [("lstm_sequence", {}), ("gru_sequence", {}), ("rnn_sequence", {"nonlinearity": "tanh"}),
         ("rnn_sequence", {"nonlinearity": "relu"})]  # fmt: skip
formed = recurrent.form
FORMS = (Form("steps"), Form("tiles"), Form("walk", 1), Form("walk", 4))
# (sizes, inputs, width, reverse, biases): odd numbers, one of each, sequences that end and begin on the way
SHAPES = [
    ((5,) * 4, 3, 17, False, True), ((5,) * 4, 3, 17, True, True), ((1,), 1, 3, False, True), ((33,) * 2, 2, 1, True, False),
    ((6, 6, 5, 2, 2, 2, 1), 4, 18, False, True), ((6, 6, 5, 2, 2, 2, 1), 4, 18, True, True), ((3,) * 9, 2, 64, False, False),
    ((5, 5, 3), 7, 78, True, True), ((2, 1), 3, 128, False, True),
]  # fmt: skip


@pytest.fixture
def form(request, monkeypatch):
    """The form of the walk, whatever would be chosen."""
    monkeypatch.setattr(recurrent, "form", lambda *args: request.param)
    return request.param


def job(name, sizes, inputs, width, biases):
    """Values of a sequence op's arrays, by position."""
    rng = np.random.default_rng(len(sizes) + inputs + width)
    f = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    gates, near = GATES[name] * width, np.float32(1 / np.sqrt(width))
    states = [f(sizes[0], width) for _ in range(1 + (name == "lstm_sequence"))]
    vectors = [f(gates), f(gates)] if biases else []
    return [f(sum(sizes), inputs), *states, f(gates, inputs) * near, f(gates, width) * near, *vectors]


def numbers(tensor):
    return tensor.detach().cpu().numpy()


def ran(name, arrays, device, **how):
    """The op's output, and the gradients of all that it takes."""
    tensors = [mg.tensor(a).to(device).requires_grad_() for a in arrays]
    y = OPS[name](*tensors, **how)
    g = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
    y.backward(mg.tensor(g).to(device).to(y.dtype))
    return [numbers(y), *(numbers(t.grad) for t in tensors)]


def same(name, arrays, dtype="float32", **how):
    """The kernels do the job, and do it as the readable text does in float32 with the same inputs."""
    given = [mg.tensor(a).to(dtype).numpy() for a in arrays]
    with mg.reference_mode():
        expected = ran(name, [a.astype(np.float32) for a in given], "cpu", **how)
    with watched(name, f"{name}.joint") as made:
        got = ran(name, given, "cuda", **how)
    assert took(made)
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape and a.dtype.name == dtype
        close(a, b, dtype)


@pytest.mark.parametrize("form", FORMS, indirect=True)
@pytest.mark.parametrize(("name", "how"), CELLS)
def test_values_and_all_gradients(stand_in, form, name, how):
    for sizes, inputs, width, reverse, biases in SHAPES:
        width += -width % 4 if form.kind == "tiles" else 0
        same(name, job(name, sizes, inputs, width, biases), sizes=sizes, reverse=reverse, **how)


@pytest.mark.parametrize("name", OPS)
def test_wider_than_a_block(stand_in, name):
    width = 512 // GATES[name] + 2
    same(name, job(name, (3, 3, 2), 5, width, True), sizes=(3, 3, 2))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["lstm_sequence", "gru_sequence"])
def test_halves(stand_in, name, dtype):
    same(name, job(name, (6, 6, 5, 3), 5, 19, True), dtype, sizes=(6, 6, 5, 3))


def raw(name, sizes, reverse, lent):
    """What kernel or readable forward make of a job, and the arguments of their backward but the last."""
    how = {"sizes": sizes, "reverse": reverse} | ({"nonlinearity": "tanh"} if name == "rnn_sequence" else {})
    arrays = [lent(a) for a in job(name, sizes, 4, 10, True)] + [None] * (name == "lstm_sequence")
    named = arrays[:5] + [None] if name == "lstm_sequence" else arrays[:4]
    return how, arrays, named, (True,) * 7 + (False,) if name == "lstm_sequence" else (True,) * 6


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", OPS)
def test_the_readable_backward_takes_what_the_kernel_saved(stand_in, name, reverse):
    import cupy

    how, arrays, named, needs = raw(name, (4, 4, 2, 1), reverse, on_gpu)
    op, kernel, joint = OPS[name].op, find(name), find(f"{name}.joint")
    y, saved = kernel(*arrays, **how)
    g = on_gpu(np.random.default_rng(1).standard_normal(y.shape).astype(np.float32))
    head = (g, needs, *([y] if name == "rnn_sequence" else []), *named)
    for a, b in zip(joint(*head, saved, **how), op.joint(*head, saved, **how), strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            close(from_gpu(a), from_gpu(b))
    _, other = op.forward(cupy, *arrays, **how)
    assert joint(*head, other, **how) is NotImplemented  # the readable text goes on with what it began


@pytest.mark.parametrize("name", OPS)
def test_nothing_given_is_written_to(stand_in, name):
    how, arrays, named, needs = raw(name, (3, 3, 2), False, on_gpu)
    before = [None if a is None else from_gpu(a).copy() for a in arrays]
    y, saved = find(name)(*arrays, **how)
    g = on_gpu(np.ones(y.shape, np.float32))
    find(f"{name}.joint")(g, needs, *([y] if name == "rnn_sequence" else []), *named, saved, **how)
    assert all(a is None or np.array_equal(from_gpu(a), b) for a, b in zip(arrays, before, strict=True))
    assert (from_gpu(g) == 1).all()


def test_what_is_declined(stand_in):
    how, arrays, *_ = raw("lstm_sequence", (3, 3), False, on_gpu)
    kernel = find("lstm_sequence")
    assert kernel(*arrays[:7], on_gpu(np.ones((2, 10), np.float32)), **how) is NotImplemented  # a projection
    assert kernel(*arrays, **how | {"sizes": (2, 4)}) is NotImplemented
    assert kernel(*arrays, **how | {"sizes": (3, 2)}) is NotImplemented
    assert kernel(*arrays[:3], arrays[3].astype("float64"), *arrays[4:], **how) is NotImplemented


@pytest.mark.parametrize("order", ["forward", "reverse"])
@pytest.mark.parametrize("form", FORMS, indirect=True)
def test_the_order_of_threads_does_not_matter(stand_in, form, order):
    if stand_in is None:
        pytest.skip("a GPU chooses for itself")
    former, stand_in.settings.order = stand_in.settings.order, order
    try:
        same("gru_sequence", job("gru_sequence", (5, 5, 3), 2, 20, True), sizes=(5, 5, 3))
    finally:
        stand_in.settings.order = former


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_layer_learns_as_on_the_cpu_and_copies_nothing(stand_in, layer):
    def step(device):
        mg.manual_seed(0)
        net = layer(3, 6, bidirectional=True).to(device)
        x = mg.tensor(np.linspace(-1, 1, 60, dtype=np.float32).reshape(5, 4, 3)).to(device)
        if device == "cuda" and stand_in:
            stand_in.ledger.clear()
        y, _ = net(x)
        (y * y).mean().backward()
        if device == "cuda" and stand_in:
            assert not stand_in.ledger.transfers()
        return [numbers(y), *(numbers(p.grad) for p in net.parameters())]

    with mg.reference_mode():
        expected = step("cpu")
    for a, b in zip(step("cuda"), expected, strict=True):
        close(a, b)


def test_the_way_through_time():
    rows = lambda way: [step.at + i for step in every(way) for i in range(step.batch)]
    assert rows(runs((3, 3, 2, 1), False)) == list(range(9))
    assert rows(runs((3, 3, 2, 1), True)) == [8, 6, 7, 3, 4, 5, 0, 1, 2]
    assert [run.steps for run in runs((3, 3, 2, 1), True)] == [1, 1, 2]
    assert [run.carried for run in runs((3, 3, 2, 1), True)] == [0, 1, 2]
    assert runs((), False) is None and runs((2, 0), False) is None and runs((1, 2), False) is None


def test_states_before_each_step():
    y, h0 = np.arange(8.0)[:, None], -1 - np.arange(3.0)[:, None]
    for reverse, expected in ((False, [-1, -2, -3, 0, 1, 2, 3, 4]), (True, [3, 4, 5, 6, 7, -3, -1, -2])):
        before = Before(y, h0, runs((3, 3, 2), reverse))
        assert before.packed()[:, 0].tolist() == expected
        assert np.concatenate(before[::-1] if reverse else list(before))[:, 0].tolist() == expected
        assert len(before) == 3


def test_the_form_is_chosen_by_sizes():
    big, small = (132, 227 * 1024), (80, 96 * 1024)  # multiprocessors, and shared memory of a block
    choose = lambda gates, width, sizes, card=big: formed(gates, width, runs(sizes, False), *card)
    assert choose(4, 128, (64,) * 20) == Form("walk", 1)
    assert choose(4, 128, (512,) * 20) == Form("walk", 4)
    assert choose(4, 132, (64,) * 20) == Form("tiles")  # more threads than a block has registers for
    assert choose(4, 130, (64,) * 20) == Form("steps")  # rows that do not begin at 16 bytes
    assert choose(4, 128, (64,) * 20, small) == Form("tiles")  # more weights than a block can hold
    assert choose(4, 1024, (64,) * 20) == Form("steps")
    assert choose(4, 64, tuple(range(20, 0, -1))) == Form("tiles")  # a run of one step each
    assert choose(4, 64, (10000,) * 20) == Form("steps")
    assert shared_bytes(4, 64, 4, False) == 4 * 4 * (64 + 256)


def test_a_state_that_lies_across_16_bytes_goes_step_by_step(stand_in):
    w, way, row = on_gpu(np.ones((576, 144), np.float32)), runs((1, 1), False), on_gpu(np.ones(145, np.float32))
    assert recurrent.chosen("Lstm", w, row[:144], way) == Form("tiles")
    assert recurrent.chosen("Lstm", w, row[1:], way) == Form("steps")


@pytest.mark.parametrize("form", FORMS, indirect=True)
@pytest.mark.parametrize(("name", "how"), [CELLS[1], CELLS[3]])
def test_nan_stays_in_its_sequence(stand_in, form, name, how):
    arrays = job(name, (6,) * 4, 3, 20, True)
    arrays[0][6, 1], arrays[0][7, 0] = np.nan, np.inf
    with mg.reference_mode(), np.errstate(invalid="ignore"):
        expected = OPS[name](*map(mg.tensor, arrays), sizes=(6,) * 4, **how).numpy()
    with np.errstate(invalid="ignore"):
        got = numbers(OPS[name](*(mg.tensor(a).to("cuda") for a in arrays), sizes=(6,) * 4, **how))
    assert np.isnan(got[6:7]).all() and np.isfinite(got[8:12]).all()
    close(got, expected)


def test_only_what_is_needed(stand_in):
    arrays = [mg.tensor(a).to("cuda") for a in job("lstm_sequence", (2, 2), 3, 8, True)]
    arrays[0].requires_grad_()
    arrays[6].requires_grad_()
    lstm_sequence(*arrays, sizes=(2, 2)).sum().backward()
    assert [a.grad is not None for a in arrays] == [True] + [False] * 5 + [True]
