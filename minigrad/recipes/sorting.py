"""A transformer that turns twenty symbols round, and one that sorts them: what attention to places can do.

Encoder and decoder of Vaswani et al. 2017, two layers of each, norms before the parts, sines for the places.
Symbols are numbers 0 to 9 made from the seed, new ones at every step. Each is chosen greedily from the
input and what is written already; a sequence counts if all twenty are right. To reverse, the decoder looks at
one place, from the last to the first; to sort, at those that hold the symbols which come next.
"""

from functools import partial

import numpy as np

from .. import nn
from ..data import Dataset
from ..engine.random import Generator
from ..engine.recording import no_grad
from ..engine.tensor import Tensor, tensor
from ..inspect import plots
from ..inspect.layers import still
from ..nn import functional as F
from ..ops.create import full
from ..ops.reduce import argmax
from ..ops.shape import concatenate
from ..train import Settings
from .base import Figures, Recipe, Task

SYMBOLS, START = 10, 10
TASKS = {"reverse": lambda x: x[:, ::-1].copy(), "sort": lambda x: np.sort(x, 1)}


class Sequences(Dataset):
    """`count` pairs (x, y) of a task, drawn anew whenever they are asked for."""

    def __init__(self, name: str, length: int, count: int) -> None:
        self.name, self.length, self.count = name, length, count

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: np.ndarray, generator: Generator) -> tuple:
        """As many pairs as there are indices, whatever those are."""
        x = generator.integers(0, SYMBOLS, (len(indices), self.length))
        return x, TASKS[self.name](x)


class Rewriter(nn.Module):
    """Symbols (N, T) and those already written (N, T') -> scores of the next ones (N, T', SYMBOLS)."""

    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.table, self.places = nn.Embedding(START + 1, width), nn.SinusoidalPositions(width)
        self.transformer = nn.Transformer(
            width, heads, layers, layers, 4 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.fc = nn.Linear(width, SYMBOLS)

    def embed(self, x: Tensor) -> Tensor:
        """(N, T) -> (N, T, width), with places."""
        return self.places(self.table(x))

    def read(self, x: Tensor) -> Tensor:
        """What the encoder makes of the symbols."""
        return self.transformer.encoder(self.embed(x))

    def write(self, memory: Tensor, written: Tensor) -> Tensor:
        """Scores after each symbol written, START among them; none sees those after it."""
        mask = nn.Transformer.generate_square_subsequent_mask(written.shape[1], device=written.device)
        return self.fc(
            self.transformer.decoder(self.embed(written), memory, tgt_mask=mask, tgt_is_causal=True)
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Scores (N, T, SYMBOLS) of y, each told the true ones before it."""
        first = full((len(y), 1), START, dtype="int64", device=y.device)
        return self.write(self.read(x), concatenate([first, y[:, :-1]], 1))

    def greedy(self, x: Tensor) -> Tensor:
        """The likeliest symbol at every step: (N, T)."""
        with no_grad(), still(self):
            memory = self.read(x)
            y = full((len(x), 1), START, dtype="int64", device=x.device)
            for _ in range(x.shape[1]):
                y = concatenate([y, argmax(self.write(memory, y)[:, -1:], axis=-1)], 1)
        return y[:, 1:]


def loss(net: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Cross-entropy of all symbols."""
    return F.cross_entropy(net(*batch).reshape(-1, SYMBOLS), batch[1].reshape(-1))


def judge(net: Rewriter, x: np.ndarray, y: np.ndarray, device: str) -> dict[str, float]:
    """The share of sequences and of symbols that are wrong."""
    right = net.greedy(tensor(x).to(device)).cpu().numpy() == y
    return {"error": 1 - float(right.all(1).mean()), "symbol_error": 1 - float(right.mean())}


def looked_at(net: Rewriter, x: np.ndarray, y: np.ndarray, device: str) -> np.ndarray:
    """(T, T): the last layer's attention from each symbol written to those read, mean over the heads."""
    to = net.transformer.decoder.layers[-1].multihead_attn
    seen: list = []
    hook = to.register_forward_hook(lambda module, args, out: seen.append(args))
    with no_grad(), still(net):
        net(tensor(x[None]).to(device), tensor(y[None]).to(device))
        hook.remove()
        return to(*seen[0][:3], need_weights=True)[1][0].cpu().numpy()


def run(
    task: Task, length: int = 20, width: int = 64, heads: int = 4, layers: int = 2, steps: int = 150,
    tests: int = 2000,
) -> Figures:  # fmt: skip
    """Train one net to reverse and one to sort; steps: of an epoch."""
    figures, curves = {}, {}
    for i, name in enumerate(TASKS):
        held_out = Sequences(name, length, tests)
        judges, tested = (held_out.batch(np.arange(n), Generator(task.seed).fork(i, n)) for n in (500, tests))
        net = Rewriter(width, heads, layers)
        data = Sequences(name, length, steps * task.settings.batch_size)
        validate = partial(judge, x=judges[0], y=judges[1], device=task.device)
        history = task.fit(net, data, loss, validate, name=name)
        found = judge(net, *tested, device=task.device)
        figures[f"{name}, sequences right %"] = 100 * (1 - found["error"])
        figures[f"{name}, symbols right %"] = 100 * (1 - found["symbol_error"])
        curves[name] = np.array([100 * (1 - row["val_error"]) for row in history])
        x, y = (part[0] for part in tested)
        plots.matrix(
            looked_at(net, x, y, task.device), task.picture(f"attention_{name}.png"), y, x,
            f"To {name}: where it looks (across) to write each (down)",
        )  # fmt: skip
    plots.lines(curves, task.picture("learning.png"), f"{length} symbols", "epoch", "sequences right, %")
    worst = {kind: min(v for k, v in figures.items() if kind in k) for kind in ("sequences", "symbols")}
    return {METRIC: worst["sequences"], "worse task, symbols right %": worst["symbols"], **figures}


METRIC = "worse task, sequences right %"
RECIPES = (
    Recipe(
        name="sorting", summary="a transformer reverses and sorts 20 symbols (Vaswani et al. 2017)",
        run=run, data="synthetic", metric=METRIC, mark=99.9, baseline=1.0,
        paper="none: the network's (Vaswani et al. 2017) is on translation", minutes=6,
        settings=Settings(epochs=10, batch_size=64, lr=2e-3, clip=1.0, warmup=100, optimiser="adam"),
        short={
            "length": 5, "width": 32, "heads": 2, "layers": 1, "epochs": 1, "lr": 1e-2, "steps": 60,
            "batch_size": 32, "tests": 200, "warmup": 0,
        },
    ),
)  # fmt: skip
