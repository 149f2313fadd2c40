"""Dropout on MNIST: one net with it and without, in both of its forms, and with limits to its weights.

Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting". Plain MNIST: no
distortions, the order of pixels is of no use to the net. Two forms:

inverted        training x m / keep, testing x          what nn.Dropout does, and every framework today
weight scaling  training x m, testing x keep            the paper's: "weights times keep" when testing

Both expect the same sums. The second is trained here as well where `scaling` is set; the weights behind a
drop begin 1 / keep times larger there, so that both forms begin as the same function. The net without
dropout has a schedule of its own, `plain_epochs`: it makes no more mistakes in training long before.
MNIST: LeCun, Cortes and Burges, CC BY-SA 3.0.
"""

import dataclasses
from functools import partial
from typing import Any

import numpy as np

from .. import nn
from ..classifier import cross_entropy, score
from ..data import TensorDataset, mnist
from ..engine.recording import no_grad
from ..engine.tensor import Tensor
from ..inspect import plots
from ..nn import functional as F
from ..train import Settings
from .base import Figures, Recipe, Task

INPUT = 0.2  # chance to drop a pixel; a hidden unit is dropped with 1 - keep


class ScaledDropout(nn.Dropout):
    """The paper's form: drops in training without making the rest larger, and takes keep x in testing."""

    def forward(self, x: Tensor) -> Tensor:
        """F.dropout is m x / keep or x: times keep that is m x or keep x."""
        return F.dropout(x, self.p, self.training) * (1 - self.p)


def network(hidden: int, keep: float = 0.5, drop: Any = nn.Dropout) -> nn.Sequential:
    """784-hidden-hidden-10 with ReLU; drop None leaves the dropout out."""
    sizes, chances = (784, hidden, hidden, 10), (INPUT, 1 - keep, 1 - keep)
    layers: list[nn.Module] = []
    for i, p in enumerate(chances):
        layers += [nn.ReLU()] * (i > 0)
        layers += [drop(p)] if drop else []
        layers.append(nn.Linear(sizes[i], sizes[i + 1]))
        if drop is ScaledDropout:
            with no_grad():
                layers[-1].weight.mul_(1 / (1 - p))
    return nn.Sequential(*layers)


def hold_norms(net: nn.Module, largest: float) -> None:
    """Max-norm: the weights into a unit are shortened to that length where they are longer."""
    for layer in net.modules():
        if isinstance(layer, nn.Linear):
            with no_grad():
                lengths = (layer.weight**2).sum(axis=1, keepdims=True) ** 0.5
                layer.weight.mul_((largest / (lengths + 1e-12)).clip(max=1.0))


def run(
    task: Task, hidden: int = 800, keep: float = 0.5, max_norm: float = 0.0, images: int = 55000,
    scaling: bool = False, plain_epochs: int = 15,
) -> Figures:  # fmt: skip
    """Train each net; the epoch with fewest mistakes on the last 5,000 training images is tested."""
    train, test = (mnist(part, task.data_dir) for part in (True, False))
    x, tests = (np.asarray(part[0].reshape(-1, 784) / 255, np.float32) for part in (train, test))
    labels, held = train[1], (x[-5000:], train[1][-5000:])
    data = TensorDataset(x[:-5000][:images], labels[:-5000][:images])

    def loss(net: nn.Module, batch: Any) -> Any:
        if max_norm:
            hold_norms(net, max_norm)
        return cross_entropy(net, batch)

    def judge(net: nn.Module) -> dict[str, float]:
        loss, accuracy, _ = score(net, *held)
        return {"error": 100 * (1 - accuracy), "loss": loss}

    forms: dict[str, Any] = {"without": None, "dropout": nn.Dropout}
    if scaling:
        forms["weight scaling"] = ScaledDropout
    errors, curves = {}, {}
    for name, form in forms.items():
        net, epochs = network(hidden, keep, form), task.settings.epochs if form else plain_epochs
        history = task.fit(net, data, loss, judge, name=name.replace(" ", "-"), epochs=epochs)
        errors[name] = 100 * (1 - score(net, tests, test[1])[1])
        curves[f"{name}, training"] = [100 * (1 - row["train_accuracy"]) for row in history]
        curves[f"{name}, validation"] = [row["val_error"] for row in history]
    floor = {name: (np.arange(1, len(y) + 1), np.maximum(y, 0.01)) for name, y in curves.items()}
    plots.lines(
        floor, task.picture("curves.png"), "MNIST, errors", "epoch", "wrong, % (at least 0.01)", log=True
    )
    plots.bars(errors, task.picture("test_errors.png"), "MNIST, 10,000 test images", "wrong, %")
    gains = {"gain, points": errors["without"] - errors["dropout"]}
    if scaling:
        gains["between the forms, points"] = abs(errors["dropout"] - errors["weight scaling"])
    return {"test error, %": errors["dropout"], "without dropout, %": errors["without"], **gains}


COMMON = {
    "run": run,
    "data": "mnist",
    "metric": "test error, %",
    "higher_is_better": False,
    "baseline": 88.65,
}
SETTINGS = Settings(epochs=40, batch_size=250, lr=2e-3)
RECIPES = (
    Recipe(
        name="dropout", summary="dropout 0.2 and 0.5 (Srivastava et al. 2014) in a 784-800-800-10 ReLU net",
        mark=1.4, also={"gain, points": (">=", 0.01)}, minutes=14, settings=SETTINGS,
        paper="1.60 % without, 1.25 % with, 1.05 % with max-norm (Srivastava et al. 2014, nets of 1024)",
        short={"epochs": 3, "plain_epochs": 2, "hidden": 64, "images": 2000, "batch_size": 50}, **COMMON,
    ),
    Recipe(
        name="dropout-small", summary="both forms of dropout in a 784-256-256-10 net, on 10,000 images",
        mark=3.4, also={"gain, points": (">=", 0.2), "between the forms, points": ("<=", 0.3)}, minutes=2,
        settings=dataclasses.replace(SETTINGS, epochs=60, batch_size=100), paper="none on 10,000 images",
        short={"epochs": 3, "plain_epochs": 2, "hidden": 64, "images": 2000, "batch_size": 50},
        **{**COMMON, "run": partial(run, hidden=256, images=10000, scaling=True)},
    ),
)  # fmt: skip
