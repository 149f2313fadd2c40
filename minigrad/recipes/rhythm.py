"""Rhythms of the heart by a 34-layer one-dimensional ResNet: normal, fibrillation, other, too noisy.

Hannun et al. 2019 trained it on 91,232 records of their own and told twelve rhythms apart; here it reads the
records of the 2017 PhysioNet challenge at 100 Hz, in windows drawn anew each epoch. 75 % of each class train,
10 % choose the epoch, 15 % test, by the mean of a record's windows. As in the challenge the figure is the
mean F1 of normal, fibrillation and other. Classes are drawn as often as they are; a class's score is weighted
in the loss by the root of how rare it is. `rhythm-small` has an eighth of the maps, learns from 10 s of every
fourth record, and is tested on the same records. PhysioNet: open access (Clifford et al. 2017, Goldberger et
al. 2000).
"""

from functools import partial

import numpy as np

from ..classifier import predict
from ..data import RHYTHMS, Ecgs
from ..engine.tensor import Tensor, tensor
from ..inspect import plots
from ..metrics import f1
from ..models import ResNet1d
from ..nn import Module
from ..nn import functional as F
from ..train import Settings
from .base import Figures, Recipe, Task
from .ecg import RATE, Crops, one_channel, three_parts, windows

NAMES = ["normal", "fibrillation", "other", "noisy"]


def run(
    task: Task, seconds: int = 30, width: int = 32, dropout: float = 0.2, every: int = 1, tested: int = 1
) -> Figures:
    """width: maps of the first blocks. every: n-th record only to learn from; tested: to test on."""
    train, validation, test = three_parts(task.data_dir, every, tested)
    net = ResNet1d(len(RHYTHMS), width, dropout, pooled=True)
    counts = np.bincount(train.labels, minlength=len(RHYTHMS))
    weight = tensor(np.sqrt(counts.max() / np.maximum(counts, 1)).astype(np.float32)).to(task.device)
    held = {name: views_of(part, seconds) for name, part in (("val", validation), ("test", test))}

    def loss(net: Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(net(batch[0]), batch[1], weight)

    def judge(net: Module) -> dict[str, float]:
        said = classes(net, held["val"])
        return {
            "loss": 1 - mean_f1(validation.labels, said),
            "accuracy": float((said == validation.labels).mean()),
        }

    crops = Crops(train.records, train.labels, seconds * RATE, one_channel)
    history = task.fit(net, crops, loss, judge)
    said = classes(net, held["test"])
    plots.confusion_matrix(test.labels, said, task.picture("confusion_matrix.png"), NAMES)
    curves = {"training loss": [r["train_loss"] for r in history], "1 - F1": [r["val_loss"] for r in history]}
    plots.lines(curves, task.picture("learning.png"), "Rhythms", "epoch")
    each = f1(test.labels, said, None, len(RHYTHMS))
    commonest = np.zeros_like(test.labels)
    return {
        "mean F1 of N, A, O": mean_f1(test.labels, said),
        **{f"F1, {name}": float(value) for name, value in zip(NAMES, each)},
        "accuracy, %": 100 * float((said == test.labels).mean()),
        "always normal, mean F1": mean_f1(test.labels, commonest),
    }


def views_of(part: Ecgs, seconds: int) -> np.ndarray:
    """(N, 2, L): two windows of each record."""
    return windows(part.records, seconds * RATE, 2, one_channel).reshape(len(part.labels), 2, -1)


def classes(net: Module, views: np.ndarray) -> np.ndarray:
    """(N,): the likeliest rhythm of each record, by the mean over its windows."""
    p = predict(net, views.reshape(-1, 1, views.shape[2]), 64)
    return p.reshape(*views.shape[:2], -1).mean(1).argmax(1)


def mean_f1(truth: np.ndarray, said: np.ndarray) -> float:
    """The challenge's figure: the mean F1 of the first three classes, noise left out."""
    return float(f1(truth, said, None, len(RHYTHMS))[:3].mean())


COMMON = {
    "data": "ecg_cinc2017", "metric": "mean F1 of N, A, O", "baseline": "always normal, mean F1",
    "paper": "0.837 over 12 rhythms (Hannun et al. 2019, their own records); 0.83, the best of the challenge",
    "short": {"epochs": 2, "width": 4, "seconds": 8, "every": 12, "tested": 12, "dropout": 0.0, "lr": 5e-3},
}  # fmt: skip
RECIPES = (
    Recipe(
        name="rhythm", summary="the 34-layer 1-D ResNet (Hannun et al. 2019): four rhythms of the heart",
        run=run, mark=0.78, minutes=30, device="gpu",
        settings=Settings(epochs=60, batch_size=64, lr=1e-3, weight_decay=1e-3, warmup=200, clip=1.0),
        **COMMON,
    ),
    Recipe(
        name="rhythm-small", summary="the same with an eighth of the maps, on a quarter of the records",
        run=partial(run, width=4, seconds=10, every=4, dropout=0.0), mark=0.7, minutes=6, seeds=3,
        settings=Settings(epochs=20, batch_size=32, lr=4e-3, weight_decay=1e-3, clip=1.0, workers=0),
        **COMMON,
    ),
)  # fmt: skip
