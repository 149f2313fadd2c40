"""What the recipes of sequences rest on: pieces of text, whole texts judged, dates' parts, an LSTM's gates."""

import math
import re

import numpy as np
import pytest

import minigrad as mg
from minigrad.data import Dates, dates
from minigrad.engine.random import Generator
from minigrad.models import GPT, AddingRNN, CharRNN
from minigrad.models.adding import gradient_by_distance
from minigrad.models.seq2seq import END
from minigrad.nn import functional as F
from minigrad.recipes import dates as dates_recipe
from minigrad.recipes import shakespeare, sorting

# ---------------------------------------------------------------- shakespeare


def test_a_piece_is_consecutive_and_may_begin_anywhere():
    text = np.arange(50)
    (pieces,) = shakespeare.Pieces(text, 4, 400).batch(np.arange(400), Generator(0))
    assert pieces.shape == (400, 5)
    assert (np.diff(pieces, axis=1) == 1).all()
    assert pieces.min() == 0 and pieces.max() == 49


def test_a_gpt_is_judged_on_pieces_side_by_side():
    text = np.random.default_rng(0).integers(0, 7, 4 * 5 + 3)
    mg.manual_seed(0)
    net = GPT(7, 4, 1, 2, 8)
    wanted = []
    for i in range(0, 20, 4):
        scores = net(mg.tensor(text[None, i : i + 4]))
        wanted.append(float(F.cross_entropy(scores[0], mg.tensor(text[i + 1 : i + 5]))))
    found = shakespeare.judge(net, text, 4, "cpu")["loss"]
    assert found == pytest.approx(np.mean(wanted), rel=1e-5)


def test_an_lstm_is_judged_with_its_state_carried_on(monkeypatch):
    monkeypatch.setattr(shakespeare, "STREAMS", 2)
    text = np.random.default_rng(0).integers(0, 5, 2 * 300 + 1)
    mg.manual_seed(0)
    net = CharRNN(5, 4, 8)
    halves = [float(shakespeare.loss(net, (mg.tensor(text[None, i : i + 301]),))) for i in (0, 300)]
    assert shakespeare.judge(net, text, 4, "cpu")["loss"] == pytest.approx(np.mean(halves), rel=1e-5)


def test_order_zero_of_an_even_text_is_the_logarithm_of_its_letters():
    text = np.repeat(np.arange(4), 100_000)
    assert shakespeare.order_zero(text, text[::7], 4) == pytest.approx(math.log(4), rel=1e-6)


def test_the_attention_drawn_is_the_attention_used():
    rng = np.random.default_rng(0)
    qkv = mg.tensor(rng.standard_normal((1, 6, 24)))
    weights = shakespeare.attention(qkv, 2)
    q, k, v = (qkv[:, :, i * 8 : i * 8 + 8].reshape(1, 6, 2, 4).swapaxes(1, 2) for i in range(3))
    used = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    np.testing.assert_allclose(weights @ v.numpy()[0], used.numpy()[0], rtol=1e-6, atol=1e-9)


# ---------------------------------------------------------------- dates


def test_every_form_of_a_date_has_its_three_parts():
    said = dates(2000, seed=3)
    for human, iso in zip(*said):
        parts = {name: form.search(human)[0] for name, form in dates_recipe.PARTS.items()}
        assert int(re.sub(r"\D", "", parts["year"])) % 100 == int(iso[2:4]), human
        assert int(parts["day"]) == int(iso[8:]), human
        month = parts["month"]
        number = int(month) if month.isdigit() else dates_recipe.NAMES.split("|").index(month[:3]) + 1
        assert number == int(iso[5:7]), human


def test_days_that_judge_and_test_are_not_trained_on():
    train, judges, tests = dates_recipe.split(0, (3000, 200, 500), 100)
    assert (len(train.iso), len(judges.iso), len(tests.iso)) == (3000, 200, 500)
    assert not set(train.iso) & {*judges.iso, *tests.iso} and not set(judges.iso) & set(tests.iso)
    assert dates_recipe.split(1, (50, 5, 5), 100)[0].iso != train.iso[:50]


def test_letters_come_back():
    letters = dates_recipe.Letters()
    source, target = letters.encode(said := dates(50, seed=9))
    assert source.shape == (50, 32) and target.shape == (50, 11)
    assert letters.words(target) == said.iso
    assert (target[:, -1] == END).all()


def test_attention_on_the_right_part():
    human = ["4 mar 1997"]
    weights = np.zeros((1, 11, 10))
    weights[0, :4, 6:] = 0.25  # the year
    weights[0, 5:7, 2] = 0.5  # half of it on the month,
    weights[0, 5:7, 1] = 0.5  # half on the blank before it
    weights[0, 8:10, 3] = 1.0  # and for the day on the month
    assert dates_recipe.on_the_part(human, weights) == pytest.approx((1 + 0.5 + 0) / 3)


def test_a_wrong_date_is_counted(monkeypatch):
    said = Dates(["a", "b", "c", "d"], ["1", "2", "3", "4"])
    monkeypatch.setattr(dates_recipe, "translate", lambda *a: (["1", "2", "4", "4"], None))
    assert dates_recipe.wrong(None, said, None, "cpu") == {"error": 0.25}


# ---------------------------------------------------------------- sorting, adding


def test_sequences_to_sort_and_to_reverse():
    x, y = sorting.Sequences("sort", 20, 30).batch(np.arange(30), Generator(0))
    assert (np.diff(y, axis=1) >= 0).all()
    assert all(sorted(a) == b.tolist() for a, b in zip(x.tolist(), y))
    x, y = sorting.Sequences("reverse", 20, 30).batch(np.arange(30), Generator(0))
    assert (x[:, ::-1] == y).all() and set(x.ravel()) == set(range(10))


def test_a_rewriter_writes_what_its_scores_say_and_does_not_look_ahead():
    mg.manual_seed(0)
    net = sorting.Rewriter(16, 2, 1)
    x = mg.tensor(np.random.default_rng(0).integers(0, 10, (3, 6)))
    y = net.greedy(x)
    assert y.shape == (3, 6)
    scores = net(x, y).detach().numpy()
    assert (scores.argmax(-1) == y.numpy()).all()
    changed = y.numpy().copy()
    changed[:, -1] = (changed[:, -1] + 1) % 10  # the last is never read
    changed[:, 3] = (changed[:, 3] + 1) % 10
    after = net(x, mg.tensor(changed)).detach().numpy()
    np.testing.assert_allclose(after[:, :4], scores[:, :4], atol=1e-5)
    assert np.abs(after[:, 4:] - scores[:, 4:]).max() > 1e-3


def test_the_picture_of_a_rewriter_is_its_attention():
    mg.manual_seed(0)
    net = sorting.Rewriter(16, 2, 1)
    x = np.arange(6)
    seen = sorting.looked_at(net, x, x[::-1].copy(), "cpu")
    assert seen.shape == (6, 6)
    np.testing.assert_allclose(seen.sum(1), 1, atol=1e-5)


def test_an_lstm_with_a_long_memory_begins_with_slopes_that_reach_far():
    mg.manual_seed(0)
    x = mg.tensor(np.random.default_rng(0).random((20, 100, 2)).astype(np.float32))
    short, long = (gradient_by_distance(AddingRNN("lstm", 32, memory), x) for memory in (0, 100))
    assert short[-1] < 1e-5 * short[0]
    assert long[-1] > 1e-3 * long[0]
    net = AddingRNN("lstm", 32, 100)
    i, f = (net.rnn.bias_ih_l0.detach().numpy()[k * 32 : k * 32 + 32] for k in (0, 1))
    np.testing.assert_array_equal(i, -f)
    assert f.min() >= 0 and f.max() <= math.log(99) and f.max() > 3
