"""What the recipes of text rest on: batches of like length, hidden words, documents of one side, spellings."""

import numpy as np
import pytest

from minigrad import nn
from minigrad.data.treebank import UPOS, Sentence
from minigrad.engine.random import Generator
from minigrad.recipes import reviews, sentences, tagger

LENGTHS = [5, 1, 9, 2, 2, 7, 1, 30, 4, 3]


def collect(rows, generator):
    return (rows,)


@pytest.mark.parametrize(("size", "by_words"), [(3, False), (4, False), (1, False), (99, False), (12, True)])
def test_each_sentence_is_in_one_batch_among_its_like(size, by_words):
    batches = sentences.Bucketed(LENGTHS, size, collect, 0, by_words)
    rows = [batches.batch(np.array([i]), None)[0] for i in range(len(batches))]
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(LENGTHS)))
    assert [LENGTHS[i] for r in rows for i in r] == sorted(LENGTHS)
    for r in rows:
        words = sum(LENGTHS[i] for i in r)
        assert len(r) <= size if not by_words else words <= size + max(LENGTHS[i] for i in r)


def test_the_seed_draws_who_shares_a_batch():
    def drawn(seed):
        batches = sentences.Bucketed([4] * 50, 5, collect, seed)
        return [batches[i][0].tolist() for i in range(10)]

    assert drawn(1) == drawn(1) != drawn(2)


def test_hidden_words():
    words = np.tile([5, 6, 7, 0], (2000, 1))
    some = sentences.hidden(words, np.array([0.0, 0.25, 1.0, 1.0]), Generator(0))
    assert (some[:, 0] == 5).all() and (some[:, 2] == sentences.UNKNOWN).all()
    assert (some[:, 3] == 0).all()  # padding is no word
    assert 0.2 < (some[:, 1] == sentences.UNKNOWN).mean() < 0.3 and set(some[:, 1]) == {1, 6}


def test_small_start_keeps_padding_at_zero():
    table = nn.Embedding(50, 8, padding_idx=0)
    sentences.small_start(table)
    rows = table.weight.detach().numpy()
    assert (rows[0] == 0).all() and 0.2 < np.abs(rows[1:]).max() <= 0.25
    assert table.weight.requires_grad and table.weight.is_leaf


def test_documents_are_of_one_side():
    labels = np.array([0] * 11 + [1] * 8)
    part = reviews.Part([np.array([2 + i, 2 + i]) for i in range(19)], labels)  # words name their review
    rows, sides = reviews.dealt(labels, 3, 0)
    assert len(np.unique(rows)) == rows.size == 15 and (labels[rows] == sides[:, None]).all()
    assert (reviews.dealt(labels, 3, 1)[0] != rows).any()
    drawn = reviews.Documents(part, 3, 0.0)
    words, found = drawn.batch(np.arange(len(drawn)), Generator(0))
    assert words.shape == (6, 3, 2) and found.tolist() == [0, 1, 0, 1, 0, 1]
    assert (labels[words[..., 0] - 2] == found[:, None]).all()
    assert (drawn.batch(np.arange(6), Generator(1))[0] != words).any()


def sentence(*pairs):
    words, tags = zip(*(p.split("/") for p in pairs))
    return Sentence(list(words), list(tags), list(tags), [0] * len(words), ["dep"] * len(words))


def test_the_commonest_tag():
    train = [sentence("run/VERB", "run/NOUN", "run/VERB", "a/DET"), sentence("b/DET", "c/DET", "d/DET")]
    dev = [sentence("new/ADV", "run/NOUN", "run/NOUN", "a/DET")]
    test = [sentence("run/VERB", "run/NOUN", "never/DET", "seen/ADV")]
    assert tagger.baseline(train, dev, test) == 50.0  # run: VERB; what dev has and train has not: ADV


def test_a_corpus_in_numbers():
    train = [sentence("abc/NOUN", "abc/NOUN", "a/DET")] * 5 + [sentence("once/ADV")]
    corpus = tagger.Corpus(train)
    long = "a" * tagger.LETTERS + "bc"
    (words, spelling, tags), _ = corpus.numbers([sentence("abc/NOUN", "once/ADV", f"{long}/X"), train[0]])
    assert words[1] == words[2] == sentences.UNKNOWN != words[0]
    assert [UPOS[k] for k in tags] == ["NOUN", "ADV", "X"]
    text = ["".join(corpus.letters.decode(row)) for row in spelling]
    assert text[0] == "abc" and text[2][-2:] == "bc" and len(text[2]) == tagger.LETTERS
    assert corpus.hide[0] == corpus.hide[1] == 0 and corpus.hide[words[0]] == 0.25 / 10.25


def test_batches_of_a_tagger_end_where_their_longest_word_does():
    corpus = tagger.Corpus([sentence("abc/NOUN", "a/DET")] * 5)
    items = corpus.numbers([sentence("abc/NOUN"), sentence("a/DET", "a/DET")])
    words, spelling, tags = tagger.collate(items, [0, 1])
    assert words.shape == tags.shape == (2, 2) and spelling.shape == (2, 2, 3)
    assert tags[0, 1] == tagger.NONE and words[0, 1] == 0 and (spelling[0, 1] == 0).all()
