"""PointNet on the digits of MNIST as sets of points in the plane: no grid, no order.

As in Qi, Su, Mo & Guibas 2017, "PointNet", where MNIST is one of the tests: the pixels above 128 are the
points; a set of 256 is drawn from them, and where they are fewer, filled up with some of them again, which
the maximum over points does not notice. Training sets are turned, stretched and shifted a little, and now and
then some of their points left out. After training, half of each test set's different points are dropped.
MNIST: copyright Yann LeCun and Corinna Cortes, commonly given as CC BY-SA 3.0.
"""

from functools import partial
from typing import Any

import numpy as np

from ..classifier import scored_on
from ..data import TensorDataset, mnist
from ..engine import random
from ..engine.recording import no_grad
from ..engine.tensor import Tensor, tensor
from ..inspect import plots
from ..inspect.layers import still
from ..models import PointNet
from ..nn import functional as F
from ..train import Settings
from .base import Figures, Recipe, Task

POINTS = 256


def clouds(images: np.ndarray, stream: random.Generator, keep: float = 1.0) -> np.ndarray:
    """(N, 28, 28) bytes -> (N, 256, 2) float32, x to the right and y upwards, both in -1..1.

    keep: the share of the pixels above 128 that may be points at all.
    """
    ink = images.reshape(len(images), -1) > 128
    # Pixels with ink first, each image's in an order drawn at random.
    order = np.argsort(np.where(ink, stream.random(ink.shape, np.float32), 2), 1)
    there = np.clip(np.round(keep * ink.sum(1)), 1, POINTS).astype(np.int64)
    chosen = np.take_along_axis(order, np.arange(POINTS) % there[:, None], 1)
    y, x = np.divmod(chosen, images.shape[2])
    return np.stack([x - 13.5, 13.5 - y], -1).astype(np.float32) / np.float32(14)


def moved(points: Tensor, stream: Any) -> np.ndarray:
    """Sets of points turned, stretched and shifted, each in its own way, some of their points left out."""
    places, n = np.asarray(points), len(points)
    angle, slant = stream.uniform(-0.2, 0.2, (2, n))
    stretch, shift = stream.uniform(0.88, 1.12, (n, 1, 2)), stream.uniform(-0.08, 0.08, (n, 1, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle + slant)], [np.sin(angle), np.cos(angle + slant)]])
    left = (POINTS * stream.uniform(0.2, 1.0, (n,))).astype(np.int64)  # the others are the first ones again
    places = np.take_along_axis(places, (np.arange(POINTS) % left[:, None])[..., None], 1)
    return (places @ turn.transpose(2, 1, 0) * stretch + shift).astype(np.float32)


def loss(net: PointNet, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy, and the feature transforms held near orthogonal as in the paper."""
    points, labels = batch
    scores = net(points)
    accuracy = float((scores.detach().argmax(1) == labels).mean())
    return F.cross_entropy(scores, labels) + 0.001 * net.regulariser(), {"accuracy": accuracy}


def run(task: Task, images: int = 55000, tests: int = 10000, held: int = 5000, width: int = 64) -> Figures:
    """Train, test on whole sets and on halves, and draw which points decided."""
    stream = random.Generator(task.seed)
    digits, labels = mnist(True, task.data_dir)
    held_out = clouds(digits[-held:], stream), labels[-held:]
    transform = moved if task.settings.augment else None
    train = TensorDataset(clouds(digits[:images], stream), labels[:images], transform=transform)
    digits, truth = (part[:tests] for part in mnist(False, task.data_dir))
    whole = clouds(digits, stream)
    net = PointNet(10, dims=2, width=width)
    history = task.fit(net, train, loss, scored_on(held_out))
    answers = answer(net, whole)
    shares = np.array([1.0, 0.75, 0.5, 0.25, 0.1])
    right = {s: 100 * float((answer(net, clouds(digits, stream, s)) == truth).mean()) for s in shares[1:]}
    right[1.0] = 100 * float((answers == truth).mean())
    plots.learning_curves(history, task.picture("learning_curves.png"))
    plots.confusion_matrix(truth, answers, task.picture("confusion_matrix.png"))
    plots.lines(
        {"PointNet": (100 * shares, np.array([right[s] for s in shares]))}, task.picture("dropped.png"),
        "Digits from fewer points", "points kept, %", "test accuracy, %", points=True,
    )  # fmt: skip
    critical_points(task, net, whole, truth, answers)
    return {
        "test error, %": 100 - right[1.0],
        "test error with half the points, %": 100 - right[0.5],
        "points of accuracy lost with half the points": right[1.0] - right[0.5],
    }


def answer(net: PointNet, points: np.ndarray) -> np.ndarray:
    """The classes of many sets."""
    device = next(iter(net.parameters())).device
    with no_grad(), still(net):
        parts = [
            net(tensor(points[i : i + 200]).to(device)).argmax(1).cpu().numpy()
            for i in range(0, len(points), 200)
        ]
    return np.concatenate(parts)


def critical_points(
    task: Task, net: PointNet, sets: np.ndarray, truth: np.ndarray, answers: np.ndarray
) -> None:
    """A set of each class and some that were mistaken, with the points that supply a maximum."""
    first = [int(np.flatnonzero(truth == k)[0]) for k in np.unique(truth)]
    some = np.array([*first, *np.flatnonzero(truth != answers)[:6]])
    with no_grad(), still(net):
        critical = net.critical(tensor(sets[some]).to(next(iter(net.parameters())).device)).cpu().numpy()
    titles = [f"{truth[i]}: taken for {answers[i]}" for i in some]
    plots.clouds(
        list(sets[some]), task.picture("critical_points.png"), list(critical), titles,
        "Points that supply a maximum of the global feature, in vermillion",
    )  # fmt: skip


COMMON: dict[str, Any] = {
    "data": "mnist", "metric": "test error, %", "higher_is_better": False,
    "paper": "0.78 % (Qi et al. 2017, MNIST as sets of 256 points)",
    "also": {"points of accuracy lost with half the points": ("<=", 4.0)}, "baseline": 88.65,
    "short": {"images": 400, "held": 100, "tests": 200, "width": 4, "epochs": 4, "lr": 0.01, "batch_size": 20,
              "augment": False},
}  # fmt: skip
ADAM = partial(Settings, batch_size=32, weight_decay=0.01, workers=0)
RECIPES = (
    Recipe(
        name="pointnet", summary="PointNet (Qi et al. 2017) on digits as sets of 256 points", run=run,
        mark=1.5, minutes=10, device="gpu", settings=ADAM(epochs=30, batch_size=128, lr=2e-3), **COMMON,
    ),
    Recipe(
        name="pointnet-small", summary="PointNet a quarter as wide, on 10,000 digits",
        run=partial(run, width=16, images=10000, held=2000),
        mark=4.0, minutes=9, settings=ADAM(epochs=9, lr=4e-3), **COMMON,
    ),
)  # fmt: skip
