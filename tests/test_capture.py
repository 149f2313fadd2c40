"""Captured steps: bit for bit the plain step, whatever acts besides computing, and clear refusals."""

import gc
import tracemalloc

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.capture import program
from minigrad.nn import functional as F

rng = np.random.default_rng(0)


def batches(n, shape, classes=None, words=None):
    for _ in range(n):
        x = rng.integers(0, words, shape) if words else rng.standard_normal(shape).astype(np.float32)
        yield mg.tensor(x), mg.tensor(rng.integers(0, classes, shape[:1]))


def conv_net():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.3),
        nn.Conv2d(4, 8, 3), nn.InstanceNorm2d(8, affine=True, track_running_stats=True), nn.GELU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.AlphaDropout(0.2), nn.Linear(8, 3),
    )  # fmt: skip


class Tagger(nn.Module):
    """Embedding, a recurrent layer, the last state."""

    def __init__(self, kind):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.body = kind(6, 5, 2, batch_first=True, bidirectional=True, dropout=0.2)
        self.head = nn.Linear(10, 3)

    def forward(self, x):
        return self.head(self.body(self.embedding(x))[0][:, -1])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.body = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.head(self.body(self.embedding(x), src_mask=mask, is_causal=True).mean(1))


MODELS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(6, 40), nn.Tanh(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 3)), {"shape": (8, 6)}),
    "conv": (conv_net, {"shape": (4, 1, 8, 8)}),
    "lstm": (lambda: Tagger(nn.LSTM), {"shape": (4, 7), "words": 11}),
    "gru": (lambda: Tagger(nn.GRU), {"shape": (4, 7), "words": 11}),
    "transformer": (Encoder, {"shape": (4, 7), "words": 11}),
}


def trained(make, data, captured, steps=6):
    """Losses, parameters, buffers and gradients after some steps with everything that a training loop does."""
    mg.manual_seed(3)
    model = make()
    optimiser = mg.optim.AdamW(model.parameters(), lr=0.01)
    schedule = mg.optim.lr_scheduler.StepLR(optimiser, 2, 0.5)

    def step(x, labels):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(x), labels, label_smoothing=0.1)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        return {"loss": loss, "norm": norm}

    run = mg.capture(step) if captured else step
    seen = [run(x, labels) for x, labels in data[:steps]]
    told = [float(v.detach().item()) for s in seen for v in s.values()]
    return told, [*model.state_dict().values(), *[p.grad for p in model.parameters()]], optimiser.param_groups[0]["lr"]


@pytest.mark.parametrize("name", MODELS)
def test_a_captured_step_is_bit_for_bit_the_plain_one(name):
    make, how = MODELS[name]
    data = list(batches(6, classes=3, **how))
    plain, captured = (trained(make, data, c) for c in (False, True))
    assert plain[0] == captured[0]
    assert plain[2] == captured[2]
    for a, b in zip(plain[1], captured[1], strict=True):
        assert a.numpy().tobytes() == b.numpy().tobytes()


def simple(use=lambda loss: None):
    """A parameter, and a captured step on it that returns the loss."""
    w = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)

    @mg.capture
    def step(x):
        w.grad = None
        loss = (mg.tanh(w * x) * 2.0 - w).sum()
        use(loss)
        loss.backward()
        return loss

    return w, step


def vectors(n=5):
    return [mg.tensor(rng.standard_normal(3).astype(np.float32)) for _ in range(n)]


def test_results_and_gradients_stay_what_they_are_after_the_next_replay():
    w, step = simple()
    kept = []
    for x in vectors():
        loss = step(x)
        kept.append((loss, loss.item(), w.grad, w.grad.tolist()))
    for loss, number, grad, values in kept:
        assert loss.detach().item() == number and grad.tolist() == values
    assert repr(step).startswith("capture(step): 1 recorded")


@pytest.mark.parametrize("table", [True, False])
def test_gradients_add_up_without_zero_grad(table, monkeypatch):
    if not table:
        monkeypatch.setattr(program, "compiled_table", lambda: None)
    w, v = (mg.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))

    def step(w, x):
        (mg.relu(w * x - 1.0) * w / 3.0).sum().backward()

    captured = mg.capture(lambda x: step(w, x))
    for x in (mg.tensor([k, -k]) for k in (1.0, 2.0, 3.0, 4.0, 5.0)):
        captured(x)
        step(v, x)
        assert w.grad.numpy().tobytes() == v.grad.numpy().tobytes()


def test_another_shape_dtype_or_number_is_recorded_anew():
    w = mg.tensor([2.0], requires_grad=True)
    calls = []

    @mg.capture
    def step(x, k):
        calls.append(x.shape)
        return (w * x).sum() * k

    for n in (2, 3):
        for _ in range(4):
            assert step(mg.ones(n), 2.0).item() == 4.0 * n
    assert calls == [(2,), (2,), (3,), (3,)]
    assert [step(mg.ones(2), 3.0).item() for _ in range(3)] == [12.0] * 3
    assert step(mg.ones(2, dtype="float64"), 3.0).dtype == np.float64


@pytest.mark.parametrize(
    "read, told",
    [
        (lambda loss: loss.item(), "item()"),
        (lambda loss: float(loss), "item()"),
        (lambda loss: bool(loss > 0), "decision"),
        (lambda loss: f"{loss}", "print"),
        (lambda loss: print(loss), "print"),
        (lambda loss: loss.detach().numpy(), "numpy()"),
        (lambda loss: np.asarray(loss), "asarray"),
        (lambda loss: loss.tolist(), "tolist()"),
        (lambda loss: loss.data, ".data"),
    ],
)
def test_reading_a_value_inside_the_step_is_refused_with_its_line(read, told):
    _, step = simple(read)
    with pytest.raises(ValueError, match=r"capture: .*test_capture.py:\d+ reads a value") as error:
        step(mg.ones(3))
    assert told in str(error.value)
    assert mg.ones(1).item() == 1.0  # outside, all is as before


def test_what_changes_from_call_to_call_is_refused():
    w, numbers = mg.tensor([1.0], requires_grad=True), iter(range(9))
    with pytest.raises(ValueError, match=r"'constant' at test_capture.py:\d+ got another number"):
        number = mg.capture(lambda: w * float(next(numbers)))
        number(), number()
    with pytest.raises(ValueError, match=r"the second call of the step made .*sin.* first .*exp"):
        ways = iter([mg.exp, mg.sin])
        way = mg.capture(lambda: next(ways)(w))
        way(), way()
    with pytest.raises(ValueError, match=r"made 2 calls at first and 1 then"):
        more = iter([1, 0])
        longer = mg.capture(lambda: mg.exp(mg.exp(w)) if next(more) else mg.exp(w))
        longer(), longer()
    with pytest.raises(ValueError, match=r"array of shape \(1,\) used at test_capture.py:\d+ is another one"):
        array = mg.capture(lambda: w * np.ones(1, np.float32))
        array(), array()
    behind = w * 2.0
    with pytest.raises(ValueError, match="graph that was made before the step"):
        mg.capture(lambda: behind.sum().backward())()
    with pytest.raises(TypeError, match="expected a function"):
        mg.capture(3)


def test_random_streams_advance_as_in_the_plain_step():
    def step():
        return mg.rand(3) + F.dropout(mg.ones(3), 0.5) + mg.randint(0, 9, (3,))

    drawn = []
    for run in (step, mg.capture(step)):
        mg.manual_seed(5)
        drawn.append([run().tolist() for _ in range(5)] + [mg.rand(1).item()])
    assert drawn[0] == drawn[1]


def test_train_and_eval_frozen_and_loaded_parameters_are_seen():
    layer = nn.BatchNorm1d(2)
    step = mg.capture(lambda x: layer(x).sum())
    x = mg.tensor([[1.0, 2.0], [3.0, 5.0]])
    for _ in range(4):
        assert abs(step(x).item()) < 1e-5
    layer.eval()
    assert step(x).item() == layer(x).sum().item() != 0.0

    w = mg.tensor([2.0], requires_grad=True)
    double = mg.capture(lambda x: (w * x).sum())
    for _ in range(3):
        assert double(mg.ones(1)).item() == 2.0
    (recording,) = double.recordings.values()
    sizes = set()
    for value in (5.0, 6.0, 7.0):  # an array of its own each time: nothing of the former ones is kept
        w.data = np.array([value], np.float32)
        assert double(mg.ones(1)).item() == value
        sizes.add(len(recording.values))
    assert len(sizes) == 1


def test_a_parameter_frozen_later_gets_no_gradient_and_a_thawed_one_does():
    w, v = mg.tensor([2.0], requires_grad=True), mg.tensor([3.0], requires_grad=True)

    @mg.capture
    def step(x):
        w.grad = v.grad = None
        (w * x * v).sum().backward()

    for learns in (True, False, True):
        w.requires_grad_(learns)
        for _ in range(4):
            step(mg.ones(1))
            assert (w.grad is not None, v.grad.item()) == (learns, 2.0)


def test_effects_in_place_and_new_leaves_inside_the_step():
    running = mg.zeros(2)

    def step(x):
        h = mg.zeros(2)
        h[0] = 7.0
        h += x
        running.copy_(running * 0.5 + x)
        leaf = mg.tensor([1.0, 2.0], requires_grad=True)
        (leaf * leaf * x).sum().backward()
        return h, leaf.grad, running * 1.0

    captured, total = mg.capture(step), np.zeros(2, np.float32)
    for k in range(5):
        x = mg.tensor([1.0, k])
        h, grad, now = captured(x)
        total = total * np.float32(0.5) + x.numpy()
        assert h.tolist() == [8.0, k]
        assert grad.tolist() == [2.0, 4.0 * k]
        assert now.tolist() == total.tolist()


def test_second_derivatives_and_grad():
    w = mg.tensor([1.0, 2.0], requires_grad=True)

    def step(x):
        y = (w**3.0 * x).sum()
        slope = mg.grad(y, w, create_graph=True)
        return mg.grad((slope * slope).sum(), w)

    captured = mg.capture(step)
    for x in vectors(4):
        assert captured(x[:2]).tolist() == step(x[:2]).tolist()


def test_a_label_out_of_range_raises_in_a_replay_and_nothing_moves():
    model = nn.Linear(2, 3)
    optimiser = mg.optim.SGD(model.parameters(), lr=0.1)

    @mg.capture
    def step(x, labels):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        optimiser.step()
        return loss

    for _ in range(3):
        step(mg.ones(2, 2), mg.tensor([0, 2]))
    before = model.weight.tolist()
    with pytest.raises(ValueError, match="target"):
        step(mg.ones(2, 2), mg.tensor([0, 3]))
    assert model.weight.tolist() == before
    step(mg.ones(2, 2), mg.tensor([0, 1]))
    assert model.weight.tolist() != before


def test_checkpoint_and_hooks_are_refused():
    w = mg.tensor([1.0], requires_grad=True)
    with pytest.raises(ValueError, match="checkpoint"):
        mg.capture(lambda: mg.checkpoint(mg.exp, w).sum().backward())()
    w.register_hook(lambda g: g * 2.0)
    with pytest.raises(ValueError, match="hook"):
        mg.capture(lambda: mg.exp(w).sum().backward())()


def test_a_recording_lets_go_of_its_large_arrays():
    """Nor does a cycle keep them until the garbage collector comes: a captured step needs what a plain one does."""
    w = mg.tensor(np.ones((500, 500)), requires_grad=True)  # 2 MB

    def step():
        y = mg.exp(mg.exp(w * 1e-3) * 1e-3)
        y.sum().backward()
        w.grad = None
        return y.sum()

    step()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        captured = mg.capture(step)
        kept = []
        for _ in range(4):
            captured()
            kept.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
        gc.enable()
    assert kept[0] < 2e6, "the second call is compared with what the first one says, not with its arrays"
    assert max(kept[1:]) < 3e5, kept
