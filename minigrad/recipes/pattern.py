"""One pattern, four networks: INPUT -> [[CONV -> RELU]*N -> POOL?]*M -> [FC -> RELU]*K -> FC.

The four designs of Karpathy's CS231n notes, "ConvNets", on the shipped digits in 32x32, all trained alike:
what layers, maxima and a hidden layer add to a linear classifier. The digits are those of UCI's "Optical
Recognition of Handwritten Digits" (Alpaydin & Kaynak), CC BY 4.0; see minigrad/data/digits.txt.
"""

import numpy as np

from ..classifier import score
from ..inspect import plots
from ..models import PATTERNS, pattern, pattern_text
from ..train import Settings
from .base import Figures, Recipe, Task
from .digits import augmentation, load


def run(task: Task, filters: int = 16, hidden: int = 64, images: int = 10000) -> Figures:
    """Train each design, and test it. images: how many of the training digits, at most."""
    splits = load("digits", task.data_dir)
    train = splits.train[0][:images], splits.train[1][:images]
    inputs, labels = splits.test
    errors, sizes, curves = {}, {}, {}
    for name, numbers in PATTERNS.items():
        net = pattern(inputs.shape[1:], 10, **numbers, filters=filters, hidden=hidden)
        history = task.fit(net, train, validate=splits.validation, name=name, transform=augmentation())
        _, accuracy, _ = score(net, inputs, labels)
        errors[name], curves[name] = 100 * (1 - accuracy), [row["val_loss"] for row in history]
        sizes[name] = sum(p.size for p in net.parameters())
        if numbers["N"]:
            plots.filters(net[0].weight.detach().cpu().numpy(), task.picture(f"filters_{name}.png"))
    named = {f"{name}: {pattern_text(**PATTERNS[name])}": curve for name, curve in curves.items()}
    plots.lines(
        {name: (np.arange(1, len(curve) + 1), np.array(curve)) for name, curve in named.items()},
        task.picture("curves.png"), "Four designs of one pattern", "epoch", "validation loss", log=True,
    )  # fmt: skip
    plots.bars(
        {f"{name}\n{sizes[name]:,} weights": error for name, error in errors.items()},
        task.picture("errors.png"), "Four designs of one pattern", "test error, %",
    )  # fmt: skip
    return {"worst design's test error, %": max(errors.values())} | {
        f"test error of {name}, %": error for name, error in errors.items()
    }


RECIPES = (
    Recipe(
        name="pattern", summary="the four designs of [[CONV -> RELU]*N -> POOL?]*M -> [FC -> RELU]*K -> FC",
        run=run, data="digits", metric="worst design's test error, %", mark=7.0, higher_is_better=False,
        paper="none on these digits", minutes=3,
        settings=Settings(epochs=20, batch_size=32, lr=2e-3, weight_decay=0.05),
        seeds=3, also={"test error of paired, %": ("<=", 3.0), "test error of deep, %": ("<=", 4.0)},
        short={"epochs": 2, "filters": 4, "hidden": 32, "lr": 5e-3}, baseline=90.0,
    ),
)  # fmt: skip
