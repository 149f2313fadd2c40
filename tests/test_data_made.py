"""Vocabularies, and the data sets that are made here from a seed."""

import datetime
import itertools
import re
from collections import Counter

import numpy as np
import pytest

from minigrad import data
from minigrad.data import pictures, synthetic

# ---------------------------------------------------------------- words and numbers


def test_vocabulary():
    assert data.Vocabulary(["cab", "cb", "c"]).words[2:] == ["c", "b", "a"]  # the commonest first
    v = data.Vocabulary(["abca", "b"], padding=None, unknown=None)
    assert v.words == ["a", "b", "c"] and v.encode("cab").tolist() == [2, 0, 1] and v.decode([0, 1]) == ["a", "b"]
    with pytest.raises(ValueError, match="'z' has no number"):
        v.encode("z")
    v = data.Vocabulary([["x", "y", "x"], ["z", "y", "x"]], min_count=2, max_size=1, extra=["<s>"])
    assert v.words == ["<pad>", "<unk>", "<s>", "x"] and v.padding == 0 and v["y"] == 1 and "y" not in v and len(v) == 4
    assert v.decode([0, 3, 1]) == ["x", "<unk>"] and v.decode([0, 3], keep_padding=True) == ["<pad>", "x"]
    with pytest.raises(ValueError, match="wrap it"):
        data.Vocabulary("text")


def test_padded_batches():
    batch, lengths = data.pad_batch([[1, 2, 3], [], [4]], padding=9, length=2)
    assert batch.tolist() == [[1, 2], [9, 9], [4, 9]] and lengths.tolist() == [2, 0, 1]
    batch, lengths = data.pad_batch([np.ones((2, 3), np.float32), np.ones((1, 3), np.float32)])
    assert batch.shape == (2, 2, 3) and batch.dtype == np.float32 and batch.sum() == 9
    with pytest.raises(ValueError, match="at least one"):
        data.pad_batch([])


# ---------------------------------------------------------------- made here


def test_dates_are_right_and_unambiguous():
    made = data.dates(600, seed=3)
    assert made == data.dates(600, seed=3) and made != data.dates(600, seed=4)
    assert len({re.sub(r"\d+", "0", h) for h in made.human}) > len(synthetic.DATE_FORMS)
    for human, iso in zip(made.human, made.iso):
        day = datetime.date.fromisoformat(iso)
        assert 1950 <= day.year <= 2049 and human in [synthetic.say_date(day, f) for f in synthetic.DATE_FORMS]
        assert {human.split()[0].rstrip(",")} & set(synthetic.DAYS) <= {synthetic.DAYS[day.weekday()]}
    assert synthetic.say_date(datetime.date(1997, 3, 12), "the {day}{th} of {month} {year}") == "the 12th of march 1997"
    assert synthetic.say_date(datetime.date(1997, 3, 22), "{mon} {day}{th}") == "mar 22nd"
    with pytest.raises(ValueError, match="100 years"):
        data.dates(1, first=1900, last=2020)


def test_tones_have_their_pitch():
    made = data.tones(4, length=8000, seed=1)
    spectrum = np.abs(np.fft.rfft(made.signals, axis=1))
    assert np.abs(spectrum.argmax(1) - made.pitch).max() <= 0.5  # bins of 1 Hz
    assert np.abs(made.signals).max() <= 1 and (made.signals - made.clean).std() == pytest.approx(0.01, rel=0.1)
    with pytest.raises(ValueError, match="half the rate"):
        data.tones(1, rate=1000)


def test_tone_words_can_be_heard():
    made = data.tone_words(5, seed=2, noise=0.0)
    for signal, length, word in zip(made.signals, made.lengths, made.words):
        assert (signal[length:] == 0).all() and 1 <= len(word) <= 5
        loud = np.convolve(np.abs(signal), np.ones(40) / 40, "same") > 0.2
        starts, ends = (np.flatnonzero(np.diff(loud.astype(int)) == s) for s in (1, -1))
        heard = [np.fft.rfft(signal[a + 40 : b - 40], 4000) for a, b in zip(starts, ends)]
        assert [round((int(np.abs(h).argmax()) - 300) / 100) for h in heard] == word


def test_cells_and_their_best_predictor():
    made = data.cytometry(40_000, seed=1)
    assert np.allclose(np.bincount(made.kind) / 40_000, synthetic.CELL_SHARES, atol=0.01)
    seen, wanted = made.markers[:, :2], made.markers[:, 2:]
    best = data.best_cd4_cd45(seen)
    residual = wanted - best
    assert np.abs(residual.mean(0)).max() < 0.02  # unbiased, and unrelated to what was seen
    assert np.abs(residual.T @ seen / 40_000).max() < 0.05
    linear = np.column_stack([seen, np.ones(len(seen))])
    line = linear @ np.linalg.lstsq(linear, wanted, rcond=None)[0]
    assert ((wanted - best) ** 2).mean() < ((wanted - line) ** 2).mean() - 0.05
    probable = data.cell_posterior(seen)
    assert np.allclose(probable.sum(1), 1) and (probable.argmax(1) == made.kind).mean() > 0.85


def test_forward_algorithm_equals_all_paths():
    model, symbols = synthetic.THREE_STATES, np.array([[0, 2, 5, 3], [4, 4, 1, 0]])
    for line, found in zip(symbols, data.markov_nll(symbols)):
        total = 0.0
        for path in itertools.product(range(3), repeat=4):
            p = model.start[path[0]] * np.prod([model.change[a, b] for a, b in itertools.pairwise(path)])
            total += p * np.prod([model.emit[s, k] for s, k in zip(path, line)])
        assert found == pytest.approx(-np.log(total), rel=1e-12)


def test_markov_samples_follow_the_model():
    made = data.markov_samples(2000, 20, seed=1)
    model = synthetic.THREE_STATES
    for row in range(3):
        after = np.bincount(made.states[:, 1:][made.states[:, :-1] == row], minlength=3)
        assert np.allclose(after / after.sum(), model.change[row], atol=0.02)
        shown = np.bincount(made.symbols[made.states == row], minlength=6)
        assert np.allclose(shown / shown.sum(), model.emit[row], atol=0.02)
    assert np.allclose(np.bincount(made.states[:, 0]) / 2000, model.start, atol=0.03)
    other = model._replace(change=np.full((3, 3), 1 / 3))
    assert data.markov_nll(made.symbols).mean() < data.markov_nll(made.symbols, other).mean()


def test_films_move_as_said_and_single_frames_say_nothing():
    made = data.moving_digits(400, frames=5, seed=2)
    assert made.frames.shape == (400, 5, 1, 32, 32) and np.bincount(made.direction).min() > 25
    for film, direction in zip(made.frames[:50, :, 0], made.direction):
        for t in range(4):
            assert (np.roll(film[t], 2 * synthetic.STEPS[direction], (0, 1)) == film[t + 1]).all()
    where = np.array([f[-1, 0].mean(1) @ np.exp(2j * np.pi * np.arange(32) / 32) for f in made.frames])
    up = made.direction == 2  # the last frame's place is anywhere, whatever the direction
    assert abs((where[up] / abs(where[up])).mean()) < 0.4
    own = data.moving_digits(3, size=9, images=np.full((1, 2, 3), 7, np.uint8), labels=np.array([5]))
    assert own.digit.tolist() == [5, 5, 5] and (own.frames.sum((2, 3, 4)) == 42).all()
    with pytest.raises(ValueError, match="together"):
        data.moving_digits(1, images=np.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match="within size=8"):
        data.moving_digits(1, size=8)


def test_scenes_show_what_their_captions_say():
    made = data.scenes(200, seed=1)
    assert (made.images[:3] == data.scenes(3, seed=1).images).all()  # the first are the same however many follow
    for image, (a, b), caption in zip(made.images, made.things, made.captions):
        relation = next(r for r in pictures.RELATIONS if r in caption)
        assert caption == f"a {a.colour} {a.shape} {relation} a {b.colour} {b.shape}"
        assert [r for r in pictures.RELATIONS if pictures.relation_holds(a, r, b)] == [relation]
        assert a.colour != b.colour and a.shape != b.shape
        left = image.copy()
        for thing in (a, b):
            box = left[:, thing.top : thing.bottom, thing.left : thing.right]
            painted = (box == np.array(pictures.COLOURS[thing.colour], np.uint8)[:, None, None]).all(0)
            assert 0.2 < painted.mean() < 0.9
            box[:, painted] = 0
        assert (left == 0).all()  # nothing else is in the picture
    with pytest.raises(ValueError, match="at least 16"):
        data.scenes(1, size=8)


def test_questions_need_the_picture():
    made = data.scenes(300, seed=2)
    asked = data.questions(made, seed=3)
    assert len(asked.questions) == 1200 == len(asked.answers) and asked.scene[-1] == 299
    for scene, question, answer in zip(asked.scene, asked.questions, asked.answers):
        pair, words = made.things[scene], question.split()
        if words[0] == "what":
            thing = next(t for t in pair if t.shape in words or t.colour in words)
            assert answer == (thing.colour if words[1] == "colour" else thing.shape)
        elif words[1] == "there":
            assert answer == ("yes" if any((t.colour, t.shape) == (words[3], words[4]) for t in pair) else "no")
        else:
            a, b = (next(t for t in pair if t.shape == w) for w in (words[2], words[-1]))
            assert answer == ("yes" if pictures.relation_holds(a, " ".join(words[3:-2]), b) else "no")
    by_words: dict[str, Counter] = {}
    for question, answer in zip(asked.questions, asked.answers):
        by_words.setdefault(question, Counter())[answer] += 1
    guessed = sum(c.most_common(1)[0][1] for c in by_words.values()) / len(asked.answers)
    assert guessed < 0.6  # the best that the words alone allow, with all answers known
