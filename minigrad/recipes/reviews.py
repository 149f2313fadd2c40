"""Is a review for the film or against it? Three networks on 10,662 sentences of film reviews.

- Kim 2014, "Convolutional Neural Networks for Sentence Classification": filters over three, four and five
  words. The vectors of the words begin at random (his CNN-rand), since there are none to begin with here.
- A BiLSTM with attention over its steps.
- Yang et al. 2016, "Hierarchical Attention Networks for Document Classification". These reviews are
  sentences, so a document is made of five of them, all for or all against (not of one film): it is much
  easier than one sentence, which the figures show too.

There is no official split: a tenth is tested, the seed says which of ten fixed ones; of the rest a tenth
chooses the epoch. Words seen once count as unknown, and in training others are hidden at random, so that
the unknown word gets a vector. Data: Pang & Lee 2005, released for research, no licence stated.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import nn
from ..classifier import cross_entropy
from ..data import Vocabulary, pad_batch, rt_polarity
from ..data.dataset import Dataset
from ..engine.random import Generator
from ..engine.recording import no_grad
from ..engine.tensor import Tensor
from ..inspect import plots
from ..inspect.layers import still
from ..models import AttentionLSTM, HierarchicalAttention, TextCNN
from ..nn import functional as F
from ..train import Settings
from .base import Figures, Recipe, Task
from .sentences import Bucketed, hidden, in_order, scores_of, small_start

SIDES = ["negative", "positive"]


class Part(NamedTuple):
    """Reviews: their words' numbers, and 1 for a positive one."""

    numbers: list[np.ndarray]
    labels: np.ndarray


class Split(NamedTuple):
    """What is trained on, what chooses the epoch, what is tested; and the words."""

    train: Part
    validation: Part
    test: Part
    words: Vocabulary


def load(task: Task, reviews: int | None = None) -> Split:
    """The fold that the seed names; reviews: how many to train on, if not all."""
    rest, test = (rt_polarity(part, task.seed % 10, task.data_dir) for part in ("train", "test"))
    order = Generator(task.seed).permutation(len(rest.labels))
    tenth = len(order) // 10
    kept = order[tenth:][:reviews]
    words = Vocabulary([rest.sentences[i] for i in kept], min_count=2)

    def part(sentences: list, labels: np.ndarray) -> Part:
        return Part([words.encode(s) for s in sentences], labels)

    chosen = [part([rest.sentences[i] for i in some], rest.labels[some]) for some in (kept, order[:tenth])]
    return Split(chosen[0], chosen[1], part(*test), words)


def collate(part: Part, hide: float, rows: np.ndarray, generator: Generator) -> tuple:
    """A batch: words (N, T), some of them hidden, and labels (N,)."""
    return hidden(pad_batch([part.numbers[i] for i in rows])[0], hide, generator), part.labels[rows]


def scores(model: nn.Module, part: Part) -> np.ndarray:
    """(N, 2) of all reviews of a part."""
    found = np.zeros((len(part.labels), 2))
    for rows in in_order([len(n) for n in part.numbers]):
        found[rows] = scores_of(model, pad_batch([part.numbers[i] for i in rows])[0])
    return found


def judge(model: nn.Module, part: Part) -> dict[str, float]:
    """Error, by which the epoch is chosen, loss and accuracy."""
    found = judged(scores(model, part), part.labels)
    return {"error": 1 - found["accuracy"], **found}


def judged(found: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Loss and accuracy of scores."""
    loss = float(F.cross_entropy(Tensor(found), Tensor(labels)))
    return {"loss": loss, "accuracy": float((found.argmax(1) == labels).mean())}


def run(task: Task, model: str = "cnn", width: int = 100, hide: float = 0.2, reviews: int = 0) -> Figures:
    """Train on single reviews. width: of the words' vectors. hide: the share of words hidden in training."""
    data = load(task, reviews or None)
    net = (TextCNN if model == "cnn" else AttentionLSTM)(len(data.words), 2, width)
    if model != "cnn":  # which begins so by itself
        small_start(net.embedding)
    lengths = [len(n) for n in data.train.numbers]
    batches = Bucketed(lengths, task.settings.batch_size, partial(collate, data.train, hide), task.seed)

    def loss(net: Any, batch: Any) -> Any:
        if model == "cnn":
            net.constrain_()  # Kim's bound on the norms, after each step that was made
        return cross_entropy(net, batch)

    history = task.fit(net, batches, loss, partial(judge, part=data.validation), batch_size=1)
    found = scores(net, data.test)
    plots.learning_curves(history, task.picture("learning_curves.png"))
    plots.confusion_matrix(data.test.labels, found.argmax(1), task.picture("confusion_matrix.png"), SIDES)
    (show_filters if model == "cnn" else show_attention)(task, net, data)
    return {"test accuracy, %": 100 * judged(found, data.test.labels)["accuracy"]}


def show_filters(task: Task, net: TextCNN, data: Split, count: int = 24) -> None:
    """The words of the test that excite most the filters whose answers weigh most, and for which side."""
    sides = (net.fc.weight[1] - net.fc.weight[0]).detach().cpu().numpy()
    best = [(0.0, "")] * len(sides)
    table = net.channels[0]
    for rows in in_order([len(n) for n in data.test.numbers]):
        words, _ = pad_batch([data.test.numbers[i] for i in rows])
        with no_grad(), still(net):
            x = table(Tensor(words).to(table.weight.device)).transpose(1, 2)
            answers = [conv(x).cpu().numpy() for conv in net.convs]  # (N, maps, T + h - 1)
        for f in range(len(sides)):
            bank, at = divmod(f, answers[0].shape[1])
            sentence, place = np.unravel_index(answers[bank][:, at].argmax(), answers[bank][:, at].shape)
            h = net.windows[bank]
            gram = words[sentence, max(0, place - h + 1) : place + 1]
            best[f] = max(best[f], (float(answers[bank][sentence, at, place]), spelled(data.words, gram)))
    weighty = np.argsort([-abs(s) * answer for s, (answer, _) in zip(sides, best, strict=True)])[:count]
    shown = sorted(weighty, key=lambda f: sides[f] * best[f][0])
    adds = np.array([[max(0, -sides[f] * best[f][0]), max(0, sides[f] * best[f][0])] for f in shown])
    names = [best[f][1] for f in shown]
    ticks = [name.replace(" ", "\u00a0") for name in names]  # a blank that the picture leaves blank
    plots.matrix(adds, task.picture("ngrams.png"), ticks, SIDES, "What excites the weightiest filters")
    lines = [f"{p - n:+.2f}  {name}\n" for (n, p), name in zip(adds, names, strict=True)]
    task.picture("ngrams.txt").write_text("What each adds to the positive side's score\n\n" + "".join(lines))


def spelled(words: Vocabulary, numbers: Sequence[int]) -> str:
    """The words of these numbers in a line."""
    return " ".join(words.decode(numbers))


def show_attention(task: Task, net: AttentionLSTM, data: Split, count: int = 10) -> None:
    """Where the network looks in sentences of the test, drawn and as text."""
    rows = Generator(1).permutation(len(data.test.labels))[:count]
    words, lengths = pad_batch([data.test.numbers[i] for i in rows])
    with no_grad(), still(net):
        found, weights = net.attend(Tensor(words).to(net.fc.weight.device))
    chances, looks = found.softmax(-1).cpu().numpy(), weights.cpu().numpy()
    sentences = [data.words.decode(data.test.numbers[i]) for i in rows]
    shares = [w[:n] for w, n in zip(looks, lengths, strict=True)]
    labels = [
        f"{SIDES[data.test.labels[i]]}; the network: {100 * p:.0f} % positive"
        for i, p in zip(rows, chances[:, 1], strict=True)
    ]
    plots.shaded_words(sentences, shares, task.picture("attention.png"), "Attention", labels)
    task.picture("attention.txt").write_text(as_text(sentences, shares, labels))


def as_text(sentences: list[list[str]], weights: list[np.ndarray], labels: list[str]) -> str:
    """Each word with the percentage of attention that it gets, if it is one at least."""
    text = ""
    for words, row, label in zip(sentences, weights, labels, strict=True):
        marked = (f"{w}[{100 * a:.0f}]" if a >= 0.01 else w for w, a in zip(words, row, strict=True))
        text += f"{label}\n  {' '.join(marked)}\n\n"
    return text


class Documents(Dataset):
    """Documents of `size` reviews of one side each, drawn anew every time they are asked for."""

    def __init__(self, part: Part, size: int, hide: float) -> None:
        self.part, self.size, self.hide = part, size, hide
        self.sides = [np.flatnonzero(part.labels == side) for side in (0, 1)]

    def __len__(self) -> int:
        return len(self.part.labels) // self.size

    def batch(self, indices: np.ndarray, generator: Generator) -> tuple:
        """Words (N, S, T) and labels (N,); every other document is positive."""
        labels = indices % 2
        picks = generator.random((len(indices), self.size))
        rows = np.array([self.sides[k][(p * len(self.sides[k])).astype(int)] for k, p in zip(labels, picks)])
        return hidden(document(self.part, rows), self.hide, generator), labels

    def __getitem__(self, index: int) -> tuple:
        return self.batch(np.array([index]), Generator(index))


def document(part: Part, rows: np.ndarray) -> np.ndarray:
    """Reviews by number (N, S) as words (N, S, T)."""
    words, _ = pad_batch([part.numbers[i] for i in rows.ravel()])
    return words.reshape(*rows.shape, -1)


def dealt(labels: np.ndarray, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """All reviews of a part dealt once into documents of `size` of one side: numbers (N, S), labels (N,)."""
    rows = []
    for side in (0, 1):
        mine = np.flatnonzero(labels == side)
        mine = mine[Generator(seed).permutation(len(mine))]
        rows.append(mine[: len(mine) // size * size].reshape(-1, size))
    return np.concatenate(rows), np.repeat([0, 1], [len(r) for r in rows])


def judge_documents(net: nn.Module, part: Part, size: int, deals: int = 1) -> dict[str, float]:
    """Loss and accuracy of documents of `size` reviews; the reviews are dealt that many times over."""
    found, sides = [], []
    for deal in range(deals):
        rows, labels = dealt(part.labels, size, deal)
        batches = in_order([1] * len(rows), max(1, 200 // size))
        found += [scores_of(net, document(part, rows[some])) for some in batches]
        sides.append(labels)
    return judged(np.concatenate(found), np.concatenate(sides))


def documents(
    task: Task, size: int = 5, width: int = 100, hidden_size: int = 50, hide: float = 0.1, reviews: int = 0
) -> Figures:
    """Train the hierarchical network on documents of `size` reviews, test it on longer and shorter ones."""
    data = load(task, reviews or None)
    net = HierarchicalAttention(len(data.words), 2, width, hidden_size, dropout=0.5)
    small_start(net.embedding)
    train = Documents(data.train, size, hide)
    history = task.fit(net, train, cross_entropy, partial(judge_documents, part=data.validation, size=size))
    plots.learning_curves(history, task.picture("learning_curves.png"))
    sizes = sorted({1, 2, 3, size, 2 * size})
    right = {n: 100 * judge_documents(net, data.test, n, deals=2)["accuracy"] for n in sizes}
    curve = {"test": (list(right), list(right.values()))}
    plots.lines(curve, task.picture("length.png"), "", "reviews in a document", "right, %", points=True)
    show_documents(task, net, data, size)
    return {"test accuracy, %": right[size], "on one review, %": right[1]}


def show_documents(task: Task, net: HierarchicalAttention, data: Split, size: int) -> None:
    """A negative and a positive document: each review with its weight, its words shaded by theirs."""
    rows, _ = dealt(data.test.labels, size, 0)
    for name, chosen in (("negative", rows[:1]), ("positive", rows[-1:])):
        words = document(data.test, chosen)
        with no_grad(), still(net):
            _, of_reviews, of_words = net.attend(Tensor(words).to(net.fc.weight.device))
        sentences = [data.words.decode(data.test.numbers[i]) for i in chosen[0]]
        shares = [w[: len(s)] for w, s in zip(of_words.cpu().numpy()[0], sentences, strict=True)]
        titles = [f"weight of this review: {100 * w:.0f} %" for w in of_reviews.cpu().numpy()[0]]
        plots.shaded_words(sentences, shares, task.picture(f"{name}.png"), f"A {name} document", titles)
        task.picture(f"{name}.txt").write_text(as_text(sentences, shares, titles))


KIM = "76.1 % (CNN-rand, Kim 2014, ten folds)"
COMMON = {"data": "rt_polarity", "metric": "test accuracy, %", "baseline": 50.0}
ADAM = Settings(epochs=6, batch_size=50, lr=1e-3, optimiser="adamw", schedule="cosine", workers=0)
SHORT = {"epochs": 2, "batch_size": 25, "lr": 5e-3, "reviews": 2500, "width": 32}
RECIPES = (
    Recipe(
        name="text-cnn", summary="Kim's CNN for sentences, random vectors of 100, one fold",
        run=partial(run, model="cnn"), mark=73.0, paper=KIM, minutes=1, settings=ADAM, short=SHORT, **COMMON,
    ),
    Recipe(
        name="text-cnn-folds", summary="Kim's CNN for sentences, random vectors of 300, all ten folds",
        run=partial(run, model="cnn", width=300), mark=74.5, paper=KIM, minutes=10, device="gpu", seeds=10,
        settings=ADAM, short=SHORT, **COMMON,
    ),
    Recipe(
        name="sentiment", summary="BiLSTM of 64 with attention, the words it looks at, three folds",
        run=partial(run, model="lstm"), mark=74.0, paper="none with these vectors", minutes=2, seeds=3,
        settings=dataclasses.replace(ADAM, epochs=5, lr=2e-3), short={**SHORT, "lr": 0.01}, **COMMON,
    ),
    Recipe(
        name="han", summary="hierarchical attention (Yang et al. 2016) on documents of five reviews",
        run=documents, mark=91.0, paper="none on such documents", minutes=2, seeds=3,
        settings=dataclasses.replace(ADAM, batch_size=16, lr=2e-3),
        short={**SHORT, "lr": 0.01, "batch_size": 10}, **COMMON,
    ),
)  # fmt: skip
