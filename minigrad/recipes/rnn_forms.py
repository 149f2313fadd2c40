"""The forms of a recurrent network, one to one up to many to many, each on a toy that needs just this form.

Toys of four steps made from the seed (minigrad.models.rnn_forms says which), every one of which can be done
without a fault; the figure is that of the form that does worst. Only the form without memory, one to one,
has no recurrence. Guessing is right half of the time at most (the bits of many to many).
"""

import numpy as np

from .. import nn
from ..data import Dataset
from ..engine.random import Generator
from ..engine.recording import no_grad
from ..engine.tensor import Tensor, tensor
from ..inspect import plots
from ..inspect.layers import still
from ..models.rnn_forms import FORMS, Form
from ..nn import functional as F
from ..ops.reduce import argmax
from ..train import Settings
from .base import Figures, Recipe, Task


class Toy(Dataset):
    """`count` samples of a form's toy, drawn anew whenever they are asked for."""

    def __init__(self, form: Form, count: int) -> None:
        self.form, self.count = form, count

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: np.ndarray, generator: Generator) -> tuple:
        """As many samples as there are indices, whatever those are."""
        return self.form.batch(len(indices), np.random.default_rng(int(generator.integers(0, 2**31))))


def loss(net: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Cross-entropy of all outputs."""
    scores = net(batch[0])
    return F.cross_entropy(scores.reshape(-1, scores.shape[-1]), batch[1].reshape(-1))


def answers(net: nn.Module, x: np.ndarray, device: str) -> np.ndarray:
    """The likeliest outputs (N, T')."""
    with no_grad(), still(net):
        return argmax(net(tensor(x).to(device)), axis=-1).cpu().numpy()


def run(task: Task, more: float = 2.0) -> Figures:
    """Train every form. more: how many times the steps that FORMS holds to be enough."""
    rng = np.random.default_rng([task.seed, 1])  # the stream of samples that are not trained on
    figures, curves, told = {}, {}, []
    for name, form in FORMS.items():
        judges, tests = form.batch(512, rng), form.batch(2000, rng)

        def error(net: nn.Module, x: np.ndarray = judges[0], y: np.ndarray = judges[1]) -> dict[str, float]:
            return {"error": float((answers(net, x, task.device) != y).mean())}

        net, steps = form.network(form.symbols), max(1, round(more * form.updates / task.settings.epochs))
        history = task.fit(net, Toy(form, steps * task.settings.batch_size), loss, error, name=name)
        said = answers(net, tests[0], task.device)
        figures[f"{name}, accuracy %"] = 100 * float((said == tests[1]).mean())
        seen = steps * np.array([row["epoch"] for row in history])
        curves[name] = (seen, np.array([100 * (1 - row["val_error"]) for row in history]))
        told += [f"{name}: {heard} -> {word}" for heard, word in zip(tests[0][:4].tolist(), said.tolist())]
    title = "Five forms, each on its toy"
    plots.lines(curves, task.picture("learning.png"), title, "steps", "outputs right, %", points=True)
    task.picture("answers.txt").write_text("\n".join(told) + "\n", encoding="utf-8")
    return {"worst form, accuracy %": min(figures.values()), **figures}


RECIPES = (
    Recipe(
        name="rnn-forms", summary="one-one, one-many, many-one, many-many and encoder-decoder on toys",
        run=run, data="synthetic", metric="worst form, accuracy %", mark=99.0,
        paper="none", minutes=1, seeds=5,
        settings=Settings(epochs=20, batch_size=64, lr=2e-2, optimiser="adam", schedule="constant"),
        short={"epochs": 2, "more": 1.0}, baseline=50.0,
    ),
)  # fmt: skip
