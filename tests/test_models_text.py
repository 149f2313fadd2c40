"""Models of text: parameter counts, padding that makes no difference, attention that sums to 1, learning."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.models import TextCNN
from minigrad.nn import functional as F

rng = np.random.default_rng(0)


def count(module):
    return sum(p.size for p in module.parameters())


def words(*shape, vocabulary=20, seed=0):
    return np.random.default_rng(seed).integers(1, vocabulary, shape)


def padded(tokens, more=3):
    """The same sentences with more padding at the end."""
    return np.concatenate([tokens, np.zeros((*tokens.shape[:-1], more), tokens.dtype)], -1)


def near(a, b, atol=1e-5):
    np.testing.assert_allclose(a.detach().cpu().numpy(), b.detach().cpu().numpy(), atol=atol, rtol=0)


def gradients(net, loss):
    """After loss.backward() every parameter has a gradient that is not 0."""
    loss.backward()
    for name, p in net.named_parameters():
        if p.requires_grad:
            assert p.grad is not None and float(abs(p.grad.cpu().numpy()).max()) > 0, name


def learn(net, loss_of, steps=40, lr=1e-2):
    """The loss after every step of Adam."""
    optimiser, losses = optim.Adam(net.parameters(), lr), []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = loss_of()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


# ---------------------------------------------------------------- Kim's CNN


def test_text_cnn_has_the_papers_size():
    net = TextCNN(50)
    assert count(net) - net.channels[0].weight.size == 360_902
    assert [conv.weight.shape for conv in net.convs] == [(100, 300, h) for h in (3, 4, 5)]


def small_cnn(variant="rand", **kw):
    vectors = None if variant == "rand" else mg.tensor(rng.normal(size=(20, 6)).astype("float32"))
    return TextCNN(20, 2, 6, (2, 3), 4, 0.0, variant, vectors, **kw), vectors


@pytest.mark.parametrize("variant", ["rand", "static", "non-static", "multichannel"])
def test_text_cnn_trains_what_its_variant_trains(variant):
    net, vectors = small_cnn(variant)
    if vectors is not None:
        near(net.channels[0].weight[1:], vectors[1:])
    before = [table.weight.detach().clone().numpy() for table in net.channels]
    x, y = mg.tensor(words(8, 5)), mg.tensor(np.arange(8) % 2)
    gradients(net, F.cross_entropy(net(x), y))
    losses = learn(net, lambda: F.cross_entropy(net(x), y))
    assert losses[-1] < 0.5 * losses[0]
    moved = [bool((b != t.weight.detach().numpy()).any()) for b, t in zip(before, net.channels, strict=True)]
    assert moved == {"static": [False], "multichannel": [False, True]}.get(variant, [True])
    assert not any(table.weight.detach().numpy()[0].any() for table in net.channels)  # padding stays 0


def test_text_cnn_is_one_answer_per_sentence_whatever_the_padding():
    net, _ = small_cnn()
    for conv in net.convs:
        nn.init.constant_(conv.bias, 5.0)  # windows of padding alone would win
        nn.init.constant_(conv.weight, -1.0)
    x = words(3, 4)
    near(net(mg.tensor(x)), net(mg.tensor(padded(x))))
    assert net(mg.tensor(x[:, :1])).shape == (3, 2)  # shorter than a filter


def test_text_cnn_equals_a_max_over_windows_written_out():
    net, _ = small_cnn()
    x = words(1, 4)
    table, found = net.channels[0].weight.detach().numpy(), []
    for h, conv in zip(net.windows, net.convs, strict=True):
        rows = np.pad(table[x[0]], ((h - 1, h - 1), (0, 0)))
        w, b = conv.weight.detach().numpy(), conv.bias.detach().numpy()
        answers = [np.einsum("dk,mkd->m", rows[i : i + h], w) + b for i in range(4 + h - 1)]
        found.append(np.maximum(answers, 0).max(0))
    near(net.features(mg.tensor(x)), mg.tensor(np.concatenate(found)[None]))


def test_text_cnn_shortens_long_rows_only():
    net, _ = small_cnn()
    rows = np.stack([np.full(8, 9.0), np.full(8, 0.1)]).astype("float32")
    with mg.no_grad():
        net.fc.weight.copy_(mg.tensor(rows))
    net.constrain_(3.0)
    norms = np.linalg.norm(net.fc.weight.detach().numpy(), axis=1)
    np.testing.assert_allclose(norms, [3.0, 0.1 * 8**0.5], rtol=1e-5)
    assert net.fc.weight.requires_grad
