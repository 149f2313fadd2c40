"""Does it help an LSTM to look back at every step it has made? Cheng, Dong & Lapata 2016, on film reviews.

The LSTMN and a plain LSTM of the same width, both judged by the mean of their steps, on the same folds with
the same settings. Data: Pang & Lee 2005, released for research, no licence stated.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .. import nn
from ..classifier import cross_entropy
from ..engine.recording import no_grad
from ..engine.tensor import Tensor
from ..inspect import plots
from ..inspect.layers import still
from ..models import IntraAttentionLSTM
from ..models.intra_attention import mean_of_steps
from ..train import Settings
from .base import Figures, Recipe, Task
from .reviews import Split, collate, judge, judged, load, scores
from .sentences import Bucketed, small_start


class PlainLSTM(nn.Module):
    """Words (N, T) -> (N, 2) scores: an LSTM, whose last step alone goes on, and the mean of its steps."""

    def __init__(self, vocabulary: int, width: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)
        self.lstm = nn.LSTM(width, hidden, batch_first=True)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(hidden, 2)

    def forward(self, words: Tensor) -> Tensor:
        """Scores of the sides; steps behind a sentence's end read padding, and do not count."""
        h = self.lstm(self.dropout(self.embedding(words)))[0]
        return self.fc(self.dropout(mean_of_steps(h, words)))


def run(task: Task, width: int = 100, hidden: int = 64, hide: float = 0.2, reviews: int = 0) -> Figures:
    """Train both on the fold that the seed names."""
    data = load(task, reviews or None)
    nets: dict[str, Any] = {
        "plain": PlainLSTM(len(data.words), width, hidden),
        "intra-attention": IntraAttentionLSTM(len(data.words), 2, width, hidden, hidden),
    }
    lengths = [len(n) for n in data.train.numbers]
    batches = Bucketed(lengths, task.settings.batch_size, partial(collate, data.train, hide), task.seed)
    right, curves = {}, {}
    for name, net in nets.items():
        small_start(net.embedding)
        judges = partial(judge, part=data.validation)
        history = task.fit(net, batches, cross_entropy, judges, name=name, batch_size=1)
        right[name] = 100 * judged(scores(net, data.test), data.test.labels)["accuracy"]
        curves |= {f"{name}, {part}": [row[f"{part}_loss"] for row in history] for part in ("train", "val")}
    plots.lines(curves, task.picture("loss.png"), "", "epoch", "cross-entropy")
    show(task, nets["intra-attention"], data)
    return {
        "test accuracy, %": right["intra-attention"],
        "plain LSTM, %": right["plain"],
        "lift over the plain LSTM, points": right["intra-attention"] - right["plain"],
    }


def show(task: Task, net: IntraAttentionLSTM, data: Split, count: int = 3) -> None:
    """The triangle: at each word of a sentence, which of the words before it the LSTM looked at."""
    fitting = [i for i, n in enumerate(data.test.numbers) if 8 <= len(n) <= 18]
    for k, i in enumerate(np.linspace(0, len(fitting) - 1, count).astype(int)):
        numbers = data.test.numbers[fitting[i]]
        with no_grad(), still(net):
            _, weights = net.attend(Tensor(numbers[None]).to(net.fc.weight.device))
        words = data.words.decode(numbers)
        path = task.picture(f"triangle_{k + 1}.png")
        plots.matrix(weights.cpu().numpy()[0], path, words, words, "", "looked at", "at this word")


RECIPES = (
    Recipe(
        name="intra-attention", summary="LSTMN (Cheng et al. 2016) beside a plain LSTM, three folds",
        run=run, data="rt_polarity", metric="test accuracy, %", mark=73.0,
        paper="none on these reviews", minutes=7, seeds=3,
        also={"lift over the plain LSTM, points": (">=", 0.0)},
        settings=Settings(epochs=5, batch_size=50, lr=2e-3, optimiser="adamw", workers=0),
        short={
            "epochs": 1, "batch_size": 25, "lr": 0.03, "schedule": "constant", "reviews": 1700, "hide": 0.0,
        },
        baseline=50.0,
    ),
)  # fmt: skip
