"""Models of text: parameter counts, padding that makes no difference, attention that sums to 1, learning."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.models import AttentionLSTM, HierarchicalAttention, Tagger, TextCNN
from minigrad.models.tagger import CharacterCNN
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
    nn.init.uniform_(net.channels[0].weight, 0.1, 0.2)  # words only take away from the bias
    with mg.no_grad():
        net.channels[0].weight[0] = 0.0
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


# ---------------------------------------------------------------- attention over words and sentences


def test_the_papers_hierarchy_has_the_size_that_its_docstring_works_out():
    net = HierarchicalAttention(10, 5)
    level = lambda name: count(getattr(net, f"{name}_gru")) + count(getattr(net, f"{name}_attention"))
    assert (level("word"), level("sentence")) == (85_800, 55_800)
    assert count(net) == 10 * 200 + 85_800 + 55_800 + 505


def attentive(**kw):
    return AttentionLSTM(20, 2, 6, 5, 4, **({"dropout": 0.0} | kw))


def hierarchy(**kw):
    return HierarchicalAttention(20, 2, 6, 5, 4, **kw)


def sentences():
    """Sentences of 5, 3 and 1 words."""
    x = words(3, 5)
    x[1, 3:], x[2, 1:] = 0, 0
    return x


def documents():
    """Documents of 3 and 1 sentences."""
    x = words(2, 3, 5)
    x[0, 1, 2:], x[0, 2, 1:], x[1, 1:] = 0, 0, 0
    return x


def test_attention_sums_to_1_over_what_is_there():
    x = sentences()
    weights = attentive().attend(mg.tensor(x))[1].detach().numpy()
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    assert ((weights > 0) == (x != 0)).all()
    x = documents()
    _, outer, inner = (a.detach().numpy() for a in hierarchy().attend(mg.tensor(x)))
    np.testing.assert_allclose(outer.sum(1), 1, atol=1e-6)
    assert ((outer > 0) == (x != 0).any(2)).all()
    there = (x != 0).any(2)
    np.testing.assert_allclose(inner.sum(2)[there], 1, atol=1e-6)
    assert ((inner > 0) == (x != 0))[there].all()


def test_padding_makes_no_difference_to_the_sentiment():
    net, x = attentive(), sentences()
    near(net(mg.tensor(x)), net(mg.tensor(padded(x))))
    near(net(mg.tensor(x))[2:], net(mg.tensor(x[2:, :1])))  # the one word alone
    net, x = hierarchy(), documents()
    more = np.pad(x, ((0, 0), (0, 2), (0, 3)))
    near(net(mg.tensor(x)), net(mg.tensor(more)))
    near(net(mg.tensor(x))[1:], net(mg.tensor(x[1:, :1])))


def test_context_attention_is_the_papers_equations():
    net = attentive().attention
    h = mg.randn(2, 3, 10)
    out, weights = net(h, mg.tensor(np.ones((2, 3), bool)))
    w, b, u = (p.detach().numpy() for p in net.parameters())
    a = np.exp(np.tanh(h.numpy() @ w.T + b) @ u[0])
    a /= a.sum(1, keepdims=True)
    near(weights, mg.tensor(a))
    near(out, mg.tensor(np.einsum("nt,nth->nh", a, h.numpy())))


@pytest.mark.parametrize("net, x", [(attentive, words(16, 6)), (hierarchy, words(16, 3, 4))])
def test_sentiment_finds_the_word_that_decides_and_looks_at_it(net, x):
    mg.manual_seed(0)
    net, y = net(), np.arange(16) % 2
    x[(x == 1) | (x == 2)] = 3  # words 1 and 2 decide, the others are noise
    x.reshape(16, -1)[np.arange(16), np.arange(16) % 4] = 1 + y
    tokens, classes = mg.tensor(x), mg.tensor(y)
    gradients(net, F.cross_entropy(net(tokens), classes))
    losses = learn(net, lambda: F.cross_entropy(net(tokens), classes), 60)
    assert losses[-1] < 0.1 * losses[0]


# ---------------------------------------------------------------- the tagger


def tagger(characters=12, **kw):
    return Tagger(20, characters, 3, 6, 4, 5, 7, 8, **({"dropout": 0.0} | kw))


def spelled(tokens, seed=1):
    """Words of 2 to 4 characters."""
    draw = np.random.default_rng(seed)
    letters = draw.integers(1, 12, (*tokens.shape, 4))
    letters[np.arange(4) >= draw.integers(2, 5, tokens.shape)[..., None]] = 0
    letters[tokens == 0] = 0
    return letters


def test_the_tagger_tags_every_word_and_sends_gradients_everywhere():
    x, net = sentences(), tagger()
    scores = net(mg.tensor(x), mg.tensor(spelled(x)))
    assert scores.shape == (3, 5, 3)
    gradients(net, (scores * scores).sum())
    expected = 20 * 6 + (12 * 4 + 5 * 4 * 3 + 5 + 5 * 5 * 3 + 5) + 2 * 4 * 7 * (11 + 7 + 2) + (15 * 8) + 9 * 3
    assert count(net) == expected


def test_padding_makes_no_difference_to_the_tags():
    x, net = sentences(), tagger()
    letters = spelled(x)
    for conv in (net.spelling.conv1, net.spelling.conv2):
        nn.init.constant_(conv.bias, 2.0)
    more_words = np.pad(x, ((0, 0), (0, 2)))
    more_letters = np.pad(letters, ((0, 0), (0, 2), (0, 3)))
    scores = net(mg.tensor(x), mg.tensor(letters)).detach().numpy()
    more = net(mg.tensor(more_words), mg.tensor(more_letters)).detach().numpy()
    np.testing.assert_allclose(more[:, :5][x != 0], scores[x != 0], atol=1e-5)
    near(net.spelling(mg.tensor(letters[:1, :1, :2])), net.spelling(mg.tensor(padded(letters[:1, :1, :2]))))


def test_characters_tell_what_an_unseen_word_is():
    mg.manual_seed(0)
    x, letters, unknown = words(40, 6, vocabulary=19), spelled(words(40, 6)), 19
    tags = x % 2  # the word decides, and the second letter tells the same
    letters[letters == 11] = 10
    letters[..., 1][tags == 1] = 11
    x[:20][np.random.default_rng(2).random((20, 6)) < 0.7] = unknown  # in training some are hidden
    x[20:] = unknown  # then every one is
    right = {}
    for characters in (12, 0):
        net, inputs = tagger(characters), (x, letters) if characters else (x,)
        seen, new = ([mg.tensor(a[part]) for a in inputs] for part in (slice(20), slice(20, None)))
        target = mg.tensor(tags[:20].reshape(-1))
        losses = learn(net, lambda: F.cross_entropy(net(*seen).reshape(-1, 3), target), 30, 3e-2)
        assert losses[-1] < 0.8 * losses[0]
        right[characters] = (net(*new).detach().numpy().argmax(-1) == tags[20:]).mean()
    assert right[12] > 0.9 and right[0] < 0.7, right


def test_what_does_not_fit_is_told():
    with pytest.raises(ValueError, match=r"TextCNN: expected one of rand, static"):
        TextCNN(5, variant="frozen")
    with pytest.raises(ValueError, match=r"vectors go with every variant but 'rand' \(variant='static'\)"):
        TextCNN(5, variant="static")
    with pytest.raises(ValueError, match=r"expected vectors .* = \(5, 300\), got \(4, 300\)"):
        TextCNN(5, variant="static", vectors=mg.zeros(4, 300))
    with pytest.raises(ValueError, match=r"TextCNN: expected tokens \(N, T\), .* got \(3,\)"):
        small_cnn()[0](mg.tensor([1, 2, 3]))
    with pytest.raises(TypeError, match=r"AttentionLSTM: expected whole numbers, got float32"):
        attentive()(mg.zeros(2, 3))
    with pytest.raises(ValueError, match=r"HierarchicalAttention: expected tokens \(N, S, T\)"):
        hierarchy()(mg.tensor(words(2, 3)))
    x = mg.tensor(words(2, 3))
    with pytest.raises(ValueError, match=r"Tagger: expected characters \(2, 3, 'C'\), got None"):
        tagger()(x)
    with pytest.raises(ValueError, match="knows words only"):
        tagger(0)(x, mg.tensor(spelled(words(2, 3))))
    with pytest.raises(ValueError, match="window=2"):
        CharacterCNN(5, window=2)
