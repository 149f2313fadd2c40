"""Dates as people write them, translated into ISO 8601 letter by letter: an encoder-decoder with attention.

The network of Bahdanau, Cho & Bengio 2015, on a task that shows what its attention does: for the month it
looks at the month, wherever that stands. Dates of a hundred years in eleven forms ("the 4th of march 1997",
"4 mar '97"), made from the seed; of the days that judge and test none was trained on, in any form.

A date counts if all ten letters are right, each chosen greedily from those before it. "Attention on the right
part" is the share of the weights that falls on the year's letters while the year is written, on the month's
for the month and the day's for the day: looking one letter aside counts against it.
"""

import re
from functools import partial

import numpy as np

from .. import nn
from ..data import Dates, TensorDataset, Vocabulary, dates
from ..data.synthetic import MONTHS
from ..data.vocabulary import pad_batch
from ..engine.tensor import Tensor, tensor
from ..inspect import plots
from ..models import Seq2Seq
from ..models.seq2seq import shifted
from ..nn import functional as F
from ..train import Settings
from .base import Figures, Recipe, Task

METRIC = "dates right, %"
NAMES = "|".join(month[:3] for month in MONTHS)
# Where the parts stand in a date as people write it; in numbers, the month stands between the other two.
PARTS = {
    "year": re.compile(r"'?\d+$"),
    "month": re.compile(rf"\b(?:{NAMES})[a-z]*|(?<=[/.])\d+(?=[/.])"),
    "day": re.compile(r"(?<!\d)\d{1,2}(?!\d)"),
}
WRITTEN = {"year": slice(0, 4), "month": slice(5, 7), "day": slice(8, 10)}  # and where in 1997-03-04


class Letters:
    """Dates as numbers and back: sources (N, S) with 0 behind, targets (N, 11) with the end's number."""

    def __init__(self) -> None:
        seen = dates(2000, seed=0)  # which have all letters
        self.source = Vocabulary(seen.human, unknown=None)
        self.target = Vocabulary(seen.iso, unknown=None, extra=("<start>", "<end>"))

    def encode(self, said: Dates) -> tuple[np.ndarray, np.ndarray]:
        """Both sides."""
        source = pad_batch([self.source.encode(human) for human in said.human], length=32)[0]
        return source, np.stack([self.target.encode([*iso, "<end>"]) for iso in said.iso])

    def words(self, numbers: np.ndarray) -> list[str]:
        """(N, T) -> texts, each up to its end."""
        return ["".join(self.target.decode(row)).split("<end>")[0] for row in numbers]


def split(seed: int, sizes: tuple[int, int, int], years: int) -> list[Dates]:
    """Training, validation and test dates: no day of the last two is in what comes before it."""
    days: set[str] = set()
    parts = []
    for i, size in enumerate(sizes):
        drawn = dates(2 * size + 50, 3 * seed + i, 1950, 1949 + years)
        kept = [pair for pair in zip(*drawn) if pair[1] not in days][:size]
        parts.append(Dates(*map(list, zip(*kept))))
        days |= set(parts[-1].iso)
    return parts


def loss(net: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Cross-entropy of the letters, each told the true ones before it."""
    scores, _ = net(batch[0], shifted(batch[1]))
    return F.cross_entropy(scores.reshape(-1, scores.shape[-1]), batch[1].reshape(-1))


def translate(net: Seq2Seq, said: Dates, letters: Letters, device: str) -> tuple[list[str], np.ndarray]:
    """What the net writes for each, and where it looked (N, T, S)."""
    numbers, alignment = net.greedy(tensor(letters.encode(said)[0]).to(device), most=11)
    return letters.words(numbers.cpu().numpy()), alignment.cpu().numpy()


def wrong(net: Seq2Seq, said: Dates, letters: Letters, device: str) -> dict[str, float]:
    """The share of dates that are not written rightly."""
    found = translate(net, said, letters, device)[0]
    return {"error": float(np.mean([a != b for a, b in zip(found, said.iso)]))}


def on_the_part(human: list[str], alignment: np.ndarray) -> float:
    """The share of the weights (N, T, S) that lies on the part of the date which is being written."""
    shares = []
    for text, weights in zip(human, alignment):
        for part, letters in WRITTEN.items():
            place = PARTS[part].search(text)
            if place:
                shares.append(weights[letters, place.start() : place.end()].sum(-1).mean())
    return float(np.mean(shares))


def run(
    task: Task, samples: int = 5000, hidden: int = 64, tests: int = 2000, years: int = 100
) -> Figures:  # fmt: skip
    """Train, choose by 500 dates, test on others; draw four alignments and tell the mistakes."""
    train, judges, held_out = split(task.seed, (samples, min(500, tests), tests), years)
    letters = Letters()
    net = Seq2Seq(len(letters.source), len(letters.target), hidden // 2, hidden, hidden)
    judge = partial(wrong, said=judges, letters=letters, device=task.device)
    history = task.fit(net, TensorDataset(*letters.encode(train)), loss, judge)
    found, alignment = translate(net, held_out, letters, task.device)
    curve = {"dates right": [100 * (1 - row["val_error"]) for row in history]}
    plots.lines(curve, task.picture("learning.png"), "Dates of days not trained on", "epoch", "%")
    told = [f"{a} -> {b} (it is {c})" for a, b, c in zip(held_out.human, found, held_out.iso) if b != c]
    task.picture("mistakes.txt").write_text("\n".join([*told, ""]) or "none\n", encoding="utf-8")
    for i in range(4):
        human = held_out.human[i]
        plots.matrix(
            alignment[i, :10, : len(human)], task.picture(f"alignment_{i}.png"), list(found[i].ljust(10)),
            list(human), "Where it looks (across) to write each letter (down)",
        )  # fmt: skip
    right = 100 * float(np.mean([a == b for a, b in zip(found, held_out.iso)]))
    share = 100 * on_the_part(held_out.human, alignment)
    even = (np.array([[len(h)] for h in held_out.human]) > np.arange(32)).astype(float)
    even = np.repeat((even / even.sum(1, keepdims=True))[:, None], 11, 1)
    return {
        METRIC: right,
        "attention on the right part, %": share,
        "the same if spread evenly, %": 100 * on_the_part(held_out.human, even),
    }


RECIPES = (
    Recipe(
        name="dates", summary="human dates to ISO 8601 by an encoder-decoder with attention",
        run=run, data="synthetic", metric=METRIC, mark=99.0, baseline=1.0,
        paper="none: the network's (Bahdanau et al. 2015) is on English to French", minutes=2,
        settings=Settings(epochs=6, batch_size=16, lr=1e-2, clip=1.0, optimiser="adam"),
        short={"samples": 480, "epochs": 1, "tests": 100, "years": 4, "lr": 2e-2, "batch_size": 8},
    ),
)  # fmt: skip
