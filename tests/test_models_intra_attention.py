"""LSTMN: its size, its triangle, padding that makes no difference, its equations step by step, learning."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim
from minigrad.models import IntraAttentionLSTM
from minigrad.nn import functional as F

WORDS = np.random.default_rng(0).integers(1, 20, (3, 6))


def net(**sizes):
    mg.manual_seed(0)
    return IntraAttentionLSTM(20, **{"embedding_dim": 5, "hidden": 4, "attention": 3, **sizes}).eval()


def test_size():
    e, h, a = 5, 4, 3
    rest = sum(p.size for name, p in net().named_parameters() if name != "embedding.weight")
    assert rest == 4 * h * (e + h + 1) + a * (2 * h + e + 1) + a + (h + 1) * 2


def test_each_step_looks_at_those_before_it():
    weights = net().attend(mg.tensor(WORDS))[1].detach().numpy()
    assert weights.shape == (3, 6, 6) and (np.triu(weights[0]) == 0).all()
    np.testing.assert_allclose(weights.sum(-1), [[0, 1, 1, 1, 1, 1]] * 3, atol=1e-6)


def test_padding_makes_no_difference():
    model, x = net(), WORDS[:1, :4]
    y = model(mg.tensor(x)).detach().numpy()
    np.testing.assert_allclose(model(mg.tensor(np.pad(x, ((0, 0), (0, 3))))).detach().numpy(), y, atol=1e-6)
    both = np.stack([np.pad(x[0], (0, 2)), WORDS[1]])
    np.testing.assert_allclose(model(mg.tensor(both))[:1].detach().numpy(), y, atol=1e-6)


def test_the_equations():
    """The same in NumPy, a sentence and a step at a time."""
    model = net()
    p = {name: v.detach().numpy().astype(np.float64) for name, v in model.named_parameters()}

    def sigma(z):
        return 1 / (1 + np.exp(-z))

    hs, cs, before = [], [], np.zeros(4)
    for word in WORDS[0]:
        x = p["embedding.weight"][word]
        cell = np.zeros(4)
        if hs:
            look = p["look_word.weight"] @ x + p["look_word.bias"] + p["look_summary.weight"] @ before
            e = [p["context.weight"][0] @ np.tanh(p["look_step.weight"] @ h + look) for h in hs]
            a = np.exp(e) / np.exp(e).sum()
            before, cell = a @ np.array(hs), a @ np.array(cs)
        z = p["gates_word.weight"] @ x + p["gates_word.bias"] + p["gates_summary.weight"] @ before
        i, f, g, o = z.reshape(4, 4)
        cs.append(sigma(f) * cell + sigma(i) * np.tanh(g))
        hs.append(sigma(o) * np.tanh(cs[-1]))
    scores = p["fc.weight"] @ np.mean(hs, 0) + p["fc.bias"]
    np.testing.assert_allclose(model(mg.tensor(WORDS))[0].detach().numpy(), scores, atol=1e-5)


def test_it_learns_which_word_decides_and_every_parameter_has_a_gradient():
    model = net(embedding_dim=8, hidden=8, dropout=0.0).train()
    x = np.random.default_rng(1).integers(2, 20, (32, 6))
    y = np.arange(32) % 2
    x[np.arange(32), np.arange(32) % 6] = 1 + 18 * y
    optimiser, losses = optim.Adam(model.parameters(), 3e-2), []
    for _ in range(25):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(mg.tensor(x)), mg.tensor(y))
        loss.backward()
        assert all(abs(p.grad.numpy()).max() > 0 for p in model.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 < 0.6 < losses[0]


def test_refused():
    with pytest.raises(ValueError, match="IntraAttentionLSTM: expected tokens"):
        net()(mg.tensor(WORDS[0]))
    with pytest.raises(ValueError, match="IntraAttentionLSTM"):
        IntraAttentionLSTM(20, hidden=0)
