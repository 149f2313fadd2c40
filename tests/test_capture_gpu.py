"""Captured steps on the GPU: a graph of launches gives the plain step's numbers bit for bit."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F


def trained(make_model, make_optimiser, data, captured, extra=None, steps=6):
    """Losses, parameters and gradients of a few steps on the GPU."""
    with mg.device("cuda"):
        mg.manual_seed(0)
        model = make_model()
        optimiser = make_optimiser(model.parameters())
        schedule = extra(optimiser) if extra else None

        def step(x, y):
            optimiser.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimiser.step()
            if schedule:
                schedule.step()
            return loss

        run = mg.capture(step) if captured else step
        losses = []
        for i in range(steps):
            x, y = data(i)
            losses.append(run(mg.tensor(x).to("cuda"), mg.tensor(y).to("cuda")))
        assert not captured or "graph" in repr(run)
        numbers = [loss.item() for loss in losses]
        params = [p.detach().cpu().numpy() for p in model.parameters()]
        grads = [p.grad.cpu().numpy() for p in model.parameters()]
        buffers = [b.cpu().numpy() for b in model.buffers()]
        return numbers, params, grads, buffers, optimiser.state_dict()


def same(make_model, make_optimiser, data, **how):
    plain = trained(make_model, make_optimiser, data, False, **how)
    replayed = trained(make_model, make_optimiser, data, True, **how)
    assert plain[0] == replayed[0] and len(set(plain[0])) > 3
    for there, here in zip(plain[1:4], replayed[1:4], strict=True):
        assert all((a == b).all() for a, b in zip(there, here, strict=True))
    steps = [[s.get("step") for s in state["state"].values()] for state in (plain[4], replayed[4])]
    assert steps[0] == steps[1]


def rows(i):
    rng = np.random.default_rng(i)
    return rng.standard_normal((6, 5), np.float32), rng.integers(0, 3, 6)


def pictures(i):
    rng = np.random.default_rng(i)
    return rng.standard_normal((4, 2, 6, 6), np.float32), rng.integers(0, 3, 4)


def mlp():
    return nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))


def test_mlp_adam_schedule(stand_in):
    same(mlp, lambda p: mg.optim.Adam(p, lr=0.05), rows, extra=lambda o: mg.optim.lr_scheduler.StepLR(o, 2, 0.5))


def test_mlp_sgd_momentum(stand_in):
    same(mlp, lambda p: mg.optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.1), rows)


def test_dropout_draws_other_bits_in_every_replay(stand_in):
    same(lambda: nn.Sequential(nn.Linear(5, 20), nn.Dropout(0.5), nn.Linear(20, 3)), lambda p: mg.optim.AdamW(p, lr=0.05), rows)


def test_convolution_batch_norm_pooling(stand_in):
    def model():
        return nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)
        )

    same(model, lambda p: mg.optim.SGD(p, lr=0.05, momentum=0.9), pictures)


class Tokens(nn.Module):
    def __init__(self, body, width):
        super().__init__()
        self.embedding, self.body, self.head = nn.Embedding(11, 8), body(), nn.Linear(width, 3)

    def forward(self, x):
        y = self.body(self.embedding(x))
        return self.head((y[0] if isinstance(y, tuple) else y)[:, -1])


def words(i):
    rng = np.random.default_rng(i)
    return rng.integers(0, 11, (3, 5)), rng.integers(0, 3, 3)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent(stand_in, kind):
    same(lambda: Tokens(lambda: kind(8, 6, batch_first=True), 6), lambda p: mg.optim.Adam(p, lr=0.05), words)


@pytest.mark.parametrize("p", [0.0, 0.3])
def test_transformer(stand_in, p):
    def body():
        return nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, dropout=p, batch_first=True), 1)

    same(lambda: Tokens(body, 8), lambda p: mg.optim.AdamW(p, lr=0.05), words)


def test_clipped_gradients(stand_in):
    def clipped(params):
        optimiser = mg.optim.SGD(params, lr=0.5)
        step, kept = optimiser.step, [p for g in optimiser.param_groups for p in g["params"]]

        def clipping():
            nn.utils.clip_grad_norm_(kept, 0.1)
            step()

        optimiser.step = clipping
        return optimiser

    same(mlp, clipped, rows)


def test_another_shape_is_recorded_anew(stand_in):
    def data(i):
        x, y = rows(i)
        return (x, y) if i % 2 else (x[:4], y[:4])

    same(mlp, lambda p: mg.optim.SGD(p, lr=0.05), data, steps=8)


def test_gradients_that_gather_over_replays(stand_in):
    def gathered(captured):
        w = mg.tensor([1.0, 2.0]).to("cuda").requires_grad_()

        def step(x):
            loss = (w * x).sum()
            loss.backward()
            return loss

        run = mg.capture(step) if captured else step
        for i in range(6):
            if i == 4:
                w.grad = None
            run(mg.tensor([1.0, float(i)]).to("cuda"))
        return w.grad.tolist()

    assert gathered(True) == gathered(False) == [2.0, 9.0]


def test_results_stay_what_they_were(stand_in):
    w = mg.tensor([1.0]).to("cuda").requires_grad_()
    step = mg.capture(lambda x: (w * x).sum())
    results = [step(mg.tensor([float(i)]).to("cuda")) for i in range(5)]
    assert [r.item() for r in results] == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda loss, opt: loss.item(), "item"),
        (lambda loss, opt: loss.cpu(), "transfer"),
    ],
)
def test_what_cannot_be_captured_says_why_and_changes_nothing(stand_in, spoil, message):
    w = mg.tensor([1.0, 2.0]).to("cuda").requires_grad_()
    optimiser = mg.optim.SGD([w], lr=0.1)

    def step(x):
        loss = (w * x).sum()
        loss.backward()
        spoil(loss, optimiser)
        optimiser.step()
        return loss

    run, x = mg.capture(step), mg.tensor([1.0, 1.0]).to("cuda")
    with pytest.raises(ValueError, match=f"capture: .*({message})"):
        for _ in range(3):
            before = w.detach().tolist()
            run(x)
    assert w.detach().tolist() == before


def test_an_optimiser_without_a_kernel_is_refused(stand_in):
    w = mg.tensor([1.0, 2.0]).to("cuda").requires_grad_()
    optimiser = mg.optim.RMSprop([w], lr=0.1)

    @mg.capture
    def step(x):
        optimiser.zero_grad()
        (w * x).sum().backward()
        optimiser.step()

    x = mg.tensor([1.0, 1.0]).to("cuda")
    step(x)
    step(x)
    before, grad = w.detach().tolist(), w.grad
    with pytest.raises(ValueError, match="capture: RMSprop has no CUDA kernel"):
        step(x)
    assert w.detach().tolist() == before and w.grad is grad


def test_a_replay_sends_only_its_numbers(stand_in):
    with mg.device("cuda"):
        mg.manual_seed(0)
        model = mlp()
        optimiser = mg.optim.Adam(model.parameters(), lr=0.05)
        x, y = (mg.tensor(a).to("cuda") for a in rows(0))

    @mg.capture
    def step(x, y):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimiser.step()
        return loss

    for _ in range(4):
        step(x, y)
    with mg.cuda.ledger() as seen:
        step(x, y)
    assert seen.transfers("d2h") == [] and len(seen.transfers("h2d")) == 1, seen
