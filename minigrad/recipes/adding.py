"""The adding problem: two marked numbers among a hundred are to be added up, a test of long memory.

Hochreiter & Schmidhuber 1997, section 5.4, in the form of Le, Jaitly & Hinton 2015: always to say 1 has the
mean squared error 1/6 = 0.167. LSTM, GRU and a plain tanh RNN of one width see the same sequences for the
same number of steps; the last has gradients that fade with distance, and stays where it began. The LSTM's
gates begin open for up to as many steps as the sequence has (Tallec & Ollivier 2018). Sequences are made from
the seed, new ones at every step.
"""

import numpy as np

from .. import nn
from ..data import Dataset
from ..engine.random import Generator
from ..engine.recording import no_grad
from ..engine.tensor import Tensor, tensor
from ..inspect import plots
from ..inspect.layers import still
from ..models.adding import BASELINE, AddingRNN, adding_problem, gradient_by_distance
from ..nn import functional as F
from ..train import Settings
from .base import Figures, Recipe, Task

METRIC = "worse of LSTM and GRU, MSE"
CELLS = {"tanh": "tanh RNN", "gru": "GRU", "lstm": "LSTM"}


class Sequences(Dataset):
    """`count` sequences with their sums, drawn anew whenever they are asked for."""

    def __init__(self, count: int, length: int) -> None:
        self.count, self.length = count, length

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: np.ndarray, generator: Generator) -> tuple:
        """As many sequences as there are indices, whatever those are."""
        rng = np.random.default_rng(int(generator.integers(0, 2**31)))
        return adding_problem(len(indices), self.length, rng)


def loss(net: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Mean squared error."""
    return F.mse_loss(net(batch[0]), batch[1])


def error(net: nn.Module, sequences: tuple[np.ndarray, np.ndarray], device: str) -> dict[str, float]:
    """Mean squared error on sequences that are kept."""
    x, y = (tensor(part).to(device) for part in sequences)
    with no_grad(), still(net):
        return {"loss": float(F.mse_loss(net(x), y))}


def run(task: Task, length: int = 100, hidden: int = 64, steps: int = 150) -> Figures:
    """Train the three; steps: of an epoch. Tested on 2,000 sequences kept for it."""
    rng = np.random.default_rng([task.seed, 1])  # the stream of samples that are not trained on
    judges, tests = adding_problem(1000, length, rng), adding_problem(2000, length, rng)
    few = tensor(tests[0][:100]).to(task.device)
    found, curves, fresh, trained = {}, {}, {}, {}
    for kind, name in CELLS.items():
        net = AddingRNN(kind, hidden, length).to(task.device)
        fresh[name] = gradient_by_distance(net, few)
        history = task.fit(
            net, Sequences(steps * task.settings.batch_size, length), loss,
            lambda net: error(net, judges, task.device), name=kind,
        )  # fmt: skip
        trained[name] = gradient_by_distance(net, few)
        found[kind] = error(net, tests, task.device)["loss"]
        seen = steps * np.array([row["epoch"] for row in history])
        curves[name] = (seen, np.array([row["val_loss"] for row in history]))
    marks, title = {"always 1": BASELINE}, f"Adding two of {length} numbers"
    plots.lines(curves, task.picture("loss.png"), title, "steps", "mean squared error", marks, log=True)
    for state, slopes in {"untrained": fresh, "trained": trained}.items():
        plots.lines(
            {name: np.maximum(slope, 1e-12) for name, slope in slopes.items()},
            task.picture(f"gradient_{state}.png"), f"How the answer depends on inputs long ago: {state}",
            "steps before the end", "gradient's norm", log=True,
        )  # fmt: skip
    figures = {f"{CELLS[kind]}, MSE": value for kind, value in found.items()}
    return {METRIC: max(found["lstm"], found["gru"]), **figures, "always 1, MSE": float(BASELINE)}


RECIPES = (
    Recipe(
        name="adding", summary="LSTM, GRU and tanh RNN add two marked numbers among a hundred",
        run=run, data="synthetic", metric=METRIC, mark=0.01, higher_is_better=False,
        also={"tanh RNN, MSE": (">=", 0.1)}, baseline="always 1, MSE",
        paper="LSTM solves it at T = 100 and beyond (Hochreiter & Schmidhuber 1997)", minutes=5, seeds=3,
        settings=Settings(epochs=12, batch_size=50, lr=5e-3, optimiser="adam", clip=1.0),
        short={"length": 10, "hidden": 32, "epochs": 2, "lr": 2e-2, "steps": 100},
    ),
)  # fmt: skip
