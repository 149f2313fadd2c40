"""L1, L2 and elastic net on a regression where most of the inputs are of no use.

y = X w + noise with 10 of 100 weights not zero and 150 examples. L1 (Tibshirani 1996) brings the useless
weights to zero, L2 (ridge; Hoerl and Kennard 1970) makes all of them smaller and none zero, and the elastic
net (Zou and Hastie 2005) lies between. All three are trained by the gradient of loss + penalty alone, in
float64; ridge has a closed form as well, (X'X / n + strength)^-1 X'y / n, which the descent has to find.
"""

from typing import Any

import numpy as np

from .. import nn
from ..engine.tensor import Tensor, tensor
from ..inspect import plots
from ..train import Settings
from .base import Figures, Recipe, Task

USEFUL = 10


def problem(n: int, inputs: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X (n, inputs), y (n,) and the weights, of which the first ten are +-1 to +-2 and the rest 0."""
    rng = np.random.default_rng(seed)
    weights = np.zeros(inputs)
    weights[:USEFUL] = rng.uniform(1, 2, USEFUL) * rng.choice([-1, 1], USEFUL)
    x = rng.normal(size=(n, inputs))
    return x, x @ weights + rng.normal(0, 0.5, n), weights


def ridge(x: np.ndarray, y: np.ndarray, strength: float) -> np.ndarray:
    """The weights of least mean (y - Xw)^2 / 2 + strength |w|^2 / 2."""
    n = len(x)
    return np.linalg.solve(x.T @ x / n + strength * np.eye(x.shape[1]), x.T @ y / n)


def run(
    task: Task, n: int = 150, inputs: int = 100, l1: float = 0.1, l2: float = 0.03, steps: int = 200
) -> Figures:
    """Descend on the whole set with each penalty, `steps` an epoch; count what is left of useless weights."""
    x, y, truth = problem(n, inputs, task.seed)
    new_x = problem(2000, inputs, task.seed + 1000)[0]
    clean = new_x @ truth  # judged without noise: the error that a better model could avoid
    penalties: dict[str, Any] = {
        "none": lambda w: 0.0,
        "L1": lambda w: nn.l1_penalty(w, l1),
        "L2": lambda w: nn.l2_penalty(w, l2 / 2),
        "elastic net": lambda w: nn.elastic_net_penalty(w, l1 / 2, l2 / 4),
    }
    found, errors = {}, {}
    rows, targets = tensor(x), tensor(y)
    for name, penalty in penalties.items():
        net = nn.Linear(inputs, 1, bias=False).to("float64")

        def loss(net: nn.Module, _: Any, penalty: Any = penalty) -> Tensor:
            return ((net(rows)[:, 0] - targets) ** 2).mean() / 2 + penalty(net)

        task.fit(net, [0] * steps, loss, name=name.replace(" ", "-"))
        found[name] = net.weight.detach().numpy()[0]
        errors[name] = float(((new_x @ found[name] - clean) ** 2).mean())
    draw(task, found, truth)
    plots.bars(errors, task.picture("test_errors.png"), "On 2,000 new examples", "mean squared error")
    useless = {name: abs(w[USEFUL:]) for name, w in found.items()}
    return {
        "useless weights below 1e-3 by L1, %": 100 * float((useless["L1"] < 1e-3).mean()),
        "useless weights below 1e-3 by L2, %": 100 * float((useless["L2"] < 1e-3).mean()),
        "useless weights below 1e-3 by elastic net, %": 100 * float((useless["elastic net"] < 1e-3).mean()),
        "L2, largest distance from ridge": float(abs(found["L2"] - ridge(x, y, l2)).max()),
        **{f"test MSE, {name}": error for name, error in errors.items()},
    }


def draw(task: Task, found: dict[str, np.ndarray], truth: np.ndarray) -> None:
    """The weights of each fit in falling order, beside the true ones."""
    sorted_ = {name: np.sort(abs(w))[::-1] for name, w in {"true": truth, **found}.items()}
    plots.lines(
        {name: (np.arange(1, len(w) + 1), np.maximum(w, 1e-6)) for name, w in sorted_.items()},
        task.picture("weights.png"), "Weights, the largest first", "place", "|w|, at least 1e-6", log=True,
    )  # fmt: skip


RECIPES = (
    Recipe(
        name="penalties", summary="L1, L2 and elastic net on a regression with 90 useless inputs of 100",
        run=run, data="synthetic", metric="useless weights below 1e-3 by L1, %", mark=90.0,
        also={
            "useless weights below 1e-3 by L2, %": ("<=", 10),
            "L2, largest distance from ridge": ("<=", 1e-4),
        },
        paper="L1 sets weights to exactly 0, L2 does not (Tibshirani 1996)", minutes=1, seeds=3,
        settings=Settings(epochs=10, batch_size=1, lr=0.02, optimiser="adam", workers=0),
        short={"epochs": 2}, baseline="useless weights below 1e-3 by L2, %",
    ),
)  # fmt: skip
