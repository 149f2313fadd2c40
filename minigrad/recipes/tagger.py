"""A part of speech for every word: characters through two convolutions, words and spelling through a BiLSTM.

dos Santos & Zadrozny 2014, "Learning Character-level Representations for Part-of-Speech Tagging", with the
BiLSTM of Ma & Hovy 2016; `minigrad.models.Tagger` says where it differs. Beside it, with the same settings,
the same net that knows the words alone is trained: of a word never seen in training it knows only what
stands around it, and the difference is what the spelling tells.

Words seen once in training count as unknown; in training others are hidden with chance 1/4 / (1/4 + count),
as Kiperwasser & Goldberg 2016 do, so that the unknown word gets a vector and rare ones are not trusted.
Data: the English Web Treebank of Universal Dependencies; annotations CC BY-SA 4.0.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import numpy as np

from .. import nn
from ..data import UPOS, Vocabulary, pad_batch, ud_english
from ..data.treebank import Sentence
from ..engine.random import Generator
from ..engine.tensor import Tensor
from ..inspect import plots
from ..models import Tagger
from ..nn import functional as F
from ..train import Settings
from .base import Figures, Recipe, Task
from .sentences import Bucketed, hidden, in_order, scores_of, small_start

LETTERS = 12  # of a longer word, its first and its last half of them
NONE = -100  # the tag of padding, which cross_entropy passes over
NUMBER = {tag: i for i, tag in enumerate(UPOS)}


class Corpus:
    """The words and letters of the training sentences, and sentences as their numbers."""

    def __init__(self, train: list[Sentence]) -> None:
        self.words = Vocabulary([s.words for s in train], min_count=2)
        self.letters = Vocabulary([word for s in train for word in s.words], min_count=5)
        counts = np.array([self.words.counts[w] for w in self.words.words])
        self.hide = np.where(counts > 0, 0.25 / (0.25 + counts), 0.0)
        self.spellings: dict[str, np.ndarray] = {}

    def spelling(self, word: str) -> np.ndarray:
        """(LETTERS,): its characters' numbers, 0 behind them."""
        if word not in self.spellings:
            short = word if len(word) <= LETTERS else word[: LETTERS // 2] + word[-LETTERS // 2 :]
            self.spellings[word] = pad_batch([self.letters.encode(short)], length=LETTERS)[0][0]
        return self.spellings[word]

    def numbers(self, sentences: list[Sentence]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(words, spelling, tags) of each sentence."""
        return [
            (
                self.words.encode(s.words),
                np.stack([self.spelling(w) for w in s.words]),
                np.array([NUMBER[tag] for tag in s.upos]),
            )
            for s in sentences
        ]


def collate(items: list, rows: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Words (N, T), spelling (N, T, C) and tags (N, T) of a batch; C letters are its longest word's."""
    words, spelling, tags = ([items[i][k] for i in rows] for k in range(3))
    letters, _ = pad_batch(spelling)
    longest = int((letters != 0).any((0, 1)).sum())
    return pad_batch(words)[0], letters[:, :, :longest], pad_batch(tags, NONE)[0]


def tagged(model: Tagger, items: list) -> list[np.ndarray]:
    """The scores (T, tags) of each sentence."""
    found: list[Any] = [None] * len(items)
    for rows in in_order([len(words) for words, _, _ in items], 100):
        words, letters, _ = collate(items, rows)
        scores = scores_of(model, words, letters) if model.spelling is not None else scores_of(model, words)
        for i, row in zip(rows, scores, strict=True):
            found[i] = row[: len(items[i][0])]
    return found


def train(task: Task, corpus: Corpus, data: list, dev: list, letters: int, hidden_size: int) -> Tagger:
    """A trained tagger; one that knows words only for letters = 0."""
    width = {"word_dim": 100, "filters": 50, "hidden": hidden_size}
    net = Tagger(len(corpus.words), letters, len(UPOS), **width)
    small_start(net.words)

    def batch(rows: np.ndarray, generator: Generator) -> tuple:
        words, spelling, tags = collate(data, rows)
        return hidden(words, corpus.hide[words], generator), spelling, tags

    def loss(net: nn.Module, batch: Any) -> Tensor:
        words, spelling, tags = batch
        scores = net(words, spelling) if letters else net(words)
        return F.cross_entropy(scores.reshape(-1, len(UPOS)), tags.reshape(-1))

    truth = np.concatenate([tags for _, _, tags in dev])

    def judge(net: nn.Module) -> dict[str, float]:
        found = np.concatenate(tagged(net, dev)).argmax(1)
        return {"error": float((found != truth).mean())}

    lengths = [len(words) for words, _, _ in data]
    batches = Bucketed(lengths, task.settings.batch_size, batch, task.seed, by_words=True)
    task.fit(net, batches, loss, judge, name="spelling" if letters else "words", batch_size=1)
    return net


def run(task: Task, hidden_size: int = 128, sentences: int = 0) -> Figures:
    """Train on `sentences` of them (0: all), with spelling and without; test words seen and unseen."""
    source = {split: ud_english(split, task.data_dir) for split in ("train", "dev", "test")}
    if sentences:
        limits = {"train": sentences, "dev": sentences // 4, "test": sentences // 4}
        source = {name: part[: limits[name]] for name, part in source.items()}
    corpus = Corpus(source["train"])
    data, dev, test = (corpus.numbers(part) for part in source.values())
    truth = np.concatenate([tags for _, _, tags in test])
    seen = np.array([word in corpus.words.counts for s in source["test"] for word in s.words])
    right, found = {}, []
    for name, letters in (("words", 0), ("spelling", len(corpus.letters))):
        net = train(task, corpus, data, dev, letters, hidden_size)
        found = tagged(net, test)
        right[name] = np.concatenate(found).argmax(1) == truth
    plots.confusion_matrix(truth, np.concatenate(found).argmax(1), task.picture("confusion_matrix.png"), UPOS)
    parts = (("seen", seen), ("unseen", ~seen))
    shares = {f"{net}, {name}": 100 * r[part].mean() for net, r in right.items() for name, part in parts}
    plots.bars(shares, task.picture("seen_and_unseen.png"), "What the spelling tells", "right, %")
    show(task, source["test"], found)
    commonest = baseline(*source.values())
    return {
        "test accuracy, %": 100 * right["spelling"].mean(),
        "test accuracy of words alone, %": 100 * right["words"].mean(),
        "on unseen words, %": shares["spelling, unseen"],
        "lift on unseen words, points": shares["spelling, unseen"] - shares["words, unseen"],
        "commonest tag, %": commonest,
    }


def baseline(train: list[Sentence], dev: list[Sentence], test: list[Sentence]) -> float:
    """What giving each word its commonest tag has right; unseen ones get the commonest of dev's unseen."""
    counts: dict[str, np.ndarray] = {}
    unseen = np.zeros(len(UPOS))
    for sentence in train:
        for word, tag in zip(sentence.words, sentence.upos, strict=True):
            counts.setdefault(word, np.zeros(len(UPOS)))[NUMBER[tag]] += 1
    for sentence in dev:
        for word, tag in zip(sentence.words, sentence.upos, strict=True):
            unseen[NUMBER[tag]] += word not in counts
    right = [
        counts.get(word, unseen).argmax() == NUMBER[tag]
        for sentence in test
        for word, tag in zip(sentence.words, sentence.upos, strict=True)
    ]
    return 100 * float(np.mean(right))


def show(task: Task, sentences: list[Sentence], found: list[np.ndarray], count: int = 12) -> None:
    """Sentences of the test with their tags, a wrong one beside the right one; and how sure the net was."""
    mixed = Generator(1).permutation(len(sentences))
    chosen = [i for i in mixed if 8 <= len(sentences[i].words) <= 22][:count]
    text, words, doubts = "", [], []
    for i in chosen:
        tags = [UPOS[k] for k in found[i].argmax(1)]
        marked = [
            f"{word}/{tag}" + (f"(not {right})" if tag != right else "")
            for word, tag, right in zip(sentences[i].words, tags, sentences[i].upos, strict=True)
        ]
        text += " ".join(marked) + "\n\n"
        words.append(marked)
        chances = np.exp(found[i] - found[i].max(1, keepdims=True))
        doubts.append(1 - chances.max(1) / chances.sum(1))
    task.picture("tagged.txt").write_text(text)
    plots.shaded_words(words, doubts, task.picture("tagged.png"), "The darker, the less sure", letters=110)


COMMON = {
    "data": "ud_english_ewt", "metric": "test accuracy, %", "baseline": "test accuracy of words alone, %",
    "paper": "97.3 % (dos Santos and Zadrozny 2014), 97.55 % (Ma and Hovy 2016), newspaper text of the PTB",
    "also": {"lift on unseen words, points": (">=", 10.0)},
    "short": {"epochs": 2, "batch_size": 128, "sentences": 1000, "hidden_size": 32, "lr": 1e-2},
}  # fmt: skip
# A batch is about 512 words.
ADAM = Settings(epochs=12, batch_size=512, lr=2e-3, optimiser="adamw", clip=5.0, workers=0)
RECIPES = (
    Recipe(
        name="tagger", summary="char-CNN and BiLSTM of 256 tag the parts of speech",
        run=partial(run, hidden_size=256), mark=93.5, minutes=5, device="gpu", settings=ADAM, **COMMON,
    ),
    Recipe(
        name="tagger-small", summary="char-CNN and BiLSTM of 64 tag the parts of speech",
        run=partial(run, hidden_size=64), mark=92.0, minutes=3,
        settings=dataclasses.replace(ADAM, epochs=6, lr=3e-3), **COMMON,
    ),
)  # fmt: skip
