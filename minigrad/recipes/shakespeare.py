"""Language models of characters on Shakespeare's plays: an LSTM and a GPT, judged in nats a character.

The LSTM after Graves 2013, "Generating Sequences With Recurrent Neural Networks"; the transformer after
Radford et al. 2019 ("GPT-2"). The text is A. Karpathy's tinyshakespeare: 1,115,394 characters, 65 different
ones; Shakespeare is in the public domain, the collection has the MIT licence of char-rnn. The last tenth
judges: it chooses the best epoch and is what the figure is of, as is usual with this text.

An epoch is `characters` characters in pieces of `context`, cut where chance wills. The LSTM begins each with
a state of zeros in training; when judged it carries its state through the whole text. The GPT is judged on
pieces of `context` side by side, so that it sees half of it on average.
"""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .. import nn
from ..data import Dataset, Vocabulary, tinyshakespeare
from ..engine.random import Generator
from ..engine.recording import no_grad
from ..engine.tensor import Tensor, tensor
from ..inspect import plots
from ..inspect.layers import layer_outputs, still
from ..models import GPT, CharRNN
from ..nn import functional as F
from ..ops.softmax import softmax
from ..train import Settings
from .base import Figures, Recipe, Task

METRIC = "validation loss, nats/char"
UNIGRAM = "unigram, nats/char"
STREAMS = 32  # how many parts of the text the LSTM is judged on side by side


class Pieces(Dataset):
    """Pieces of a text (steps + 1,), beginning anywhere: what is read, and one character later what comes."""

    def __init__(self, text: np.ndarray, steps: int, count: int) -> None:
        self.text, self.steps, self.count = text, steps, count

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: np.ndarray, generator: Generator) -> tuple:
        """As many pieces as there are indices, whatever those are."""
        first = generator.integers(0, len(self.text) - self.steps, (len(indices), 1))
        return (self.text[first + np.arange(self.steps + 1)],)


def cross_entropy(scores: Tensor, follow: Tensor) -> Tensor:
    """Nats a character: scores (N, T, V) of what follows (N, T)."""
    return F.cross_entropy(scores.reshape(-1, scores.shape[-1]), follow.reshape(-1))


def loss(net: nn.Module, batch: tuple) -> Tensor:
    """Of all characters of the pieces but the first."""
    return cross_entropy(net(batch[0][:, :-1]), batch[0][:, 1:])


def judge(net: Any, text: np.ndarray, context: int, device: str) -> dict[str, float]:
    """Nats a character of a whole text (but for what is left over at its end)."""
    carries = isinstance(net, CharRNN)
    steps = (len(text) - 1) // STREAMS if carries else context
    rows = (len(text) - 1) // steps
    read, follow = (text[i : i + rows * steps].reshape(rows, steps) for i in (0, 1))
    axis, total, state = int(carries), 0.0, None
    parts = [np.split(half, range(256, half.shape[axis], 256), axis) for half in (read, follow)]
    with no_grad(), still(net):
        for x, y in zip(*(map(tensor, half) for half in parts)):
            scores, state = net.step(x.to(device), state) if carries else (net(x.to(device)), None)
            total += float(cross_entropy(scores, y.to(device))) * y.size
    return {"loss": total / read.size}


def run(task: Task, build: Callable[[int], Any], context: int, characters: int, sample: int) -> Figures:
    """Train on nine tenths of the text, judge by the last; leave a sample and what was expected where."""
    plays, held_out = (tinyshakespeare(part, task.data_dir) for part in ("train", "validation"))
    vocabulary = Vocabulary([plays, held_out], padding=None, unknown=None)
    text, ahead = vocabulary.encode(plays), vocabulary.encode(held_out)
    net = build(len(vocabulary))
    validate = partial(judge, text=ahead, context=context, device=task.device)
    history = task.fit(net, Pieces(text, context, characters // context), loss, validate)
    unigram = order_zero(text, ahead, len(vocabulary))
    curves = {part: [row[f"{part}_loss"] for row in history] for part in ("train", "val")}
    marks = {"each character alone": unigram}
    plots.lines(curves, task.picture("loss.png"), "tinyshakespeare", "epoch", "nats a character", marks)
    prompt = tensor(vocabulary.encode("\n")[None]).to(task.device)
    say = net.generate if isinstance(net, GPT) else net.sample
    said = say(prompt, sample, temperature=0.8, generator=Generator(task.seed)).cpu().numpy()[0]
    task.picture("sample.txt").write_text("".join(vocabulary.decode(said)) + "\n", encoding="utf-8")
    draw_expectations(net, ahead[:48], vocabulary, task)
    if isinstance(net, GPT):
        draw_attention(net, ahead[:32], vocabulary, task)
    found = min(row["val_loss"] for row in history)
    return {METRIC: found, "bits/char": found / math.log(2), UNIGRAM: unigram}


def order_zero(text: np.ndarray, ahead: np.ndarray, size: int) -> float:
    """Nats a character of a model that knows how common each is in the text and nothing else."""
    counts = np.bincount(text, minlength=size) + 1.0
    return float(-np.log(counts / counts.sum())[ahead].mean())


def draw_expectations(net: nn.Module, verse: np.ndarray, vocabulary: Vocabulary, task: Task) -> None:
    """For every character of a verse, how probable the commonest ones were in its place."""
    verse = verse[: net.size.block_size] if isinstance(net, GPT) else verse
    with no_grad(), still(net):
        probable = softmax(net(tensor(verse[None, :-1]).to(task.device)), axis=-1).cpu().numpy()[0]
    commonest = 30  # the vocabulary begins with the commonest
    plots.matrix(
        probable[:, :commonest].T, task.picture("expected.png"), vocabulary.words[:commonest],
        vocabulary.decode(verse[1:]), "What was expected where this came", "what came", "",
    )  # fmt: skip


def draw_attention(net: GPT, verse: np.ndarray, vocabulary: Vocabulary, task: Task) -> None:
    """The heads of every layer: from where each character (row) takes what it needs."""
    verse = verse[: net.size.block_size]
    found = layer_outputs(net, tensor(verse[None]).to(task.device))
    names = [vocabulary.words[i].replace("\n", "\u23ce").replace(" ", "\u2423") for i in verse]
    for layer in range(net.size.layers):
        weights = attention(found[f"transformer.h.{layer}.attn.c_attn"], net.size.heads)
        path = task.picture(f"attention_layer_{layer}.png")
        plots.attention_map(weights, names, path=path, title=f"Layer {layer}")


def attention(qkv: Tensor, heads: int) -> np.ndarray:
    """(heads, T, T): the weights of GPT's attention with these queries, keys and values (1, T, 3C)."""
    t, width = qkv.shape[1], qkv.shape[2] // 3
    q, k, _ = qkv.cpu().numpy()[0].reshape(t, 3, heads, width // heads).transpose(1, 2, 0, 3)
    scores = q @ k.swapaxes(1, 2) / math.sqrt(width // heads)
    scores = np.where(np.tri(t, dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


# ---------------------------------------------------------------- the recipes, each with its options


def lstm(
    task: Task, width: int = 512, layers: int = 2, dropout: float = 0.3, context: int = 128,
    characters: int = 1_000_000, sample: int = 1000,
) -> Figures:  # fmt: skip
    """sample: how many characters are written in the end."""
    build = lambda letters: CharRNN(letters, 64, width, layers, dropout)
    return run(task, build, context, characters, sample)


def small_lstm(
    task: Task, width: int = 256, layers: int = 1, dropout: float = 0.0, context: int = 64,
    characters: int = 1_000_000, sample: int = 1000,
) -> Figures:  # fmt: skip
    """One for a CPU."""
    return lstm(task, width, layers, dropout, context, characters, sample)


def gpt(
    task: Task, width: int = 384, layers: int = 6, heads: int = 6, dropout: float = 0.2, context: int = 256,
    characters: int = 1_000_000, sample: int = 1000,
) -> Figures:  # fmt: skip
    """nanoGPT's size for this text."""
    build = lambda letters: GPT(letters, context, layers, heads, width, dropout)
    return run(task, build, context, characters, sample)


def small_gpt(
    task: Task, width: int = 128, layers: int = 4, heads: int = 4, dropout: float = 0.0, context: int = 64,
    characters: int = 400_000, sample: int = 1000,
) -> Figures:  # fmt: skip
    """One for a CPU, of nanoGPT's size for that."""
    return gpt(task, width, layers, heads, dropout, context, characters, sample)


COMMON = {"data": "tinyshakespeare", "metric": METRIC, "higher_is_better": False, "baseline": UNIGRAM}
GRAVES = "none on this text (enwik8, another one: 1.67 bits/char, Graves 2013)"
LSTM = Settings(epochs=25, batch_size=64, lr=3e-3, clip=1.0, optimiser="adam")
TRANSFORMER = Settings(epochs=80, batch_size=64, lr=1e-3, weight_decay=0.1, warmup=100, clip=1.0)
TINY = {
    "epochs": 1, "lr": 1e-2, "batch_size": 16, "warmup": 0, "characters": 40_000, "width": 64, "layers": 1,
    "context": 64, "dropout": 0.0,
}  # fmt: skip
RECIPES = (
    Recipe(
        name="char-lstm", summary="two LSTM layers of 512 that read Shakespeare letter by letter",
        run=lstm, mark=1.60, device="gpu", minutes=10, paper=GRAVES,
        settings=LSTM, short={**TINY, "sample": 100}, **COMMON,
    ),
    Recipe(
        name="char-lstm-small", summary="one LSTM layer of 256 that reads Shakespeare letter by letter",
        run=small_lstm, mark=1.85, minutes=5, paper=GRAVES,
        settings=dataclasses.replace(LSTM, epochs=4, batch_size=32, lr=6e-3),
        short={**TINY, "sample": 100}, **COMMON,
    ),
    Recipe(
        name="char-gpt", summary="a GPT of 6 layers of 384 on Shakespeare, 256 characters at once",
        run=gpt,
        mark=1.52, device="gpu", minutes=15, paper="1.47 (nanoGPT's README, on this text)",
        settings=TRANSFORMER, short={**TINY, "lr": 5e-3, "heads": 2, "sample": 60}, **COMMON,
    ),
    Recipe(
        name="char-gpt-small", summary="a GPT of 4 layers of 128 on Shakespeare, 64 characters at once",
        run=small_gpt, mark=1.88, minutes=11,
        paper="1.88 (nanoGPT's README: a net of this size on a CPU)",
        settings=dataclasses.replace(TRANSFORMER, epochs=7, batch_size=16, lr=2e-3),
        short={**TINY, "lr": 5e-3, "heads": 2, "sample": 60}, **COMMON,
    ),
)  # fmt: skip
