"""Where is the digit? A classifier that was told only which one it is points at it.

A digit of MNIST lies somewhere on a canvas of 84x84, among scraps of other digits ("cluttered MNIST", as in
Mnih, Heess, Graves & Kavukcuoglu 2014, there with other sizes). CAMNet, convolutions, means over all places
and one linear layer, learns the class; no box is shown to it. Its class activation map (Zhou, Khosla,
Lapedriza, Oliva & Torralba 2016) says how much each place gave to the answer: its mean and the bias are the
score exactly. Held to the mark is how often the map's highest point lies in the digit's box, the 28x28 image
as it was put on the canvas. Told as well is how often it lies in the tight box around the ink, which is only
a few pixels wide for many a one, and no wider than a cell of the map, 4x4. An untrained net points at ink,
too, and most of it is the digit's: how often it hits is told beside. Scraps make the task more than that.
MNIST: copyright Yann LeCun and Corinna Cortes, commonly given as CC BY-SA 3.0.
"""

from typing import NamedTuple

import numpy as np

from ..data import mnist
from ..engine import random
from ..engine.recording import no_grad
from ..engine.tensor import tensor
from ..inspect import class_activation_map, plots
from ..inspect.layers import still
from ..models import CAMNet
from ..train import Settings
from .base import Figures, Recipe, Task

SIDE, SCRAP = 84, 8


class Canvases(NamedTuple):
    """images (N, 1, 84, 84) float32, 0 to 1; labels (N,); boxes and ink (N, 4): top, bottom, left, right."""

    images: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    ink: np.ndarray


def canvases(digits: np.ndarray, labels: np.ndarray, scraps: int, seed: int) -> Canvases:
    """Each digit (28x28 bytes) at a place drawn at random, over `scraps` squares cut out of other digits."""
    stream, n = random.Generator(seed), len(digits)
    images = np.zeros((n, SIDE, SIDE), np.float32)
    others = stream.integers(0, n, (n, scraps))
    cuts = stream.integers(4, 28 - 4 - SCRAP, (n, scraps, 2))  # the borders of digits are empty
    goals = stream.integers(0, SIDE - SCRAP + 1, (n, scraps, 2))
    places = stream.integers(0, SIDE - 28 + 1, (n, 2))
    ink = np.empty((n, 4), np.int64)
    for i, (top, left) in enumerate(places):
        for other, (y, x), (v, u) in zip(others[i], cuts[i], goals[i]):
            scrap = digits[other, y : y + SCRAP, x : x + SCRAP]
            np.maximum(goal := images[i, v : v + SCRAP, u : u + SCRAP], scrap, out=goal)
        np.maximum(goal := images[i, top : top + 28, left : left + 28], digits[i], out=goal)
        rows, columns = (np.flatnonzero(digits[i].any(axis)) for axis in (1, 0))
        ink[i] = top + rows[0], top + rows[-1] + 1, left + columns[0], left + columns[-1] + 1
    boxes = places[:, [0, 0, 1, 1]] + [0, 28, 0, 28]
    return Canvases(images[:, None] / np.float32(255), labels, boxes, ink)


def peaks(maps: np.ndarray) -> np.ndarray:
    """Maps (N, h, w) -> (N, 2): y and x, in pixels of the canvas, of the middle of the highest cell."""
    cells = np.stack(np.unravel_index(maps.reshape(len(maps), -1).argmax(1), maps.shape[1:]), 1)
    return (cells + 0.5) * (SIDE / np.array(maps.shape[1:])) - 0.5


def inside(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,): whether each point (y, x) lies in its box."""
    (y, x), (top, bottom, left, right) = points.T, boxes.T
    return (top <= y) & (y < bottom) & (left <= x) & (x < right)


def look(net: CAMNet, images: np.ndarray, device: str) -> tuple[np.ndarray, np.ndarray, float]:
    """(answers (N,), their maps (N, 21, 21), the largest |mean of map + bias - score|)."""
    answers, maps, gap = [], [], 0.0
    for a in range(0, len(images), 100):
        x = tensor(images[a : a + 100]).to(device)
        with no_grad(), still(net):
            scores = net(x).cpu().numpy()
        answers.append(scores.argmax(1))
        maps.append(class_activation_map(net, x, answers[-1]).cpu().numpy())
        told = maps[-1].mean((1, 2)) + net.fc.bias.detach().cpu().numpy()[answers[-1]]
        gap = max(gap, float(np.abs(told - scores.max(1)).max()))
    return np.concatenate(answers), np.concatenate(maps), gap


def run(task: Task, images: int = 6000, tests: int = 1000, scraps: int = 8, width: int = 8) -> Figures:
    """Train on classes alone, then look where the maps of the net's own answers are highest."""
    digits, classes = mnist(True, task.data_dir)
    train = canvases(digits[:images], classes[:images], scraps, task.seed)
    held = canvases(digits[-tests:], classes[-tests:], scraps, task.seed + 1)
    digits, classes = mnist(False, task.data_dir)
    test = canvases(digits[:tests], classes[:tests], scraps, task.seed + 2)
    net = CAMNet(width=width).to(task.device)
    before = inside(peaks(look(net, test.images, task.device)[1]), test.boxes)
    history = task.fit(net, (train.images, train.labels), validate=(held.images, held.labels))
    answers, maps, gap = look(net, test.images, task.device)
    hit, on_ink = inside(peaks(maps), test.boxes), inside(peaks(maps), test.ink)
    some = np.concatenate([np.flatnonzero(hit)[:5], np.flatnonzero(~hit)[:3]])
    plots.overlay(
        test.images[some], maps[some], task.picture("maps.png"),
        [f"a {test.labels[i]}, taken for a {answers[i]}" for i in some],
        "What made it say so, and the digit's box", test.boxes[some],
    )  # fmt: skip
    plots.learning_curves(history, task.picture("learning_curves.png"))
    plots.confusion_matrix(test.labels, answers, task.picture("confusion_matrix.png"))
    middle = np.full((tests, 2), (SIDE - 1) / 2)
    return {
        "peaks in the digit's box, %": 100 * float(hit.mean()),
        "peaks in the tight box of the ink, %": 100 * float(on_ink.mean()),
        "test accuracy, %": 100 * float((answers == test.labels).mean()),
        "an untrained net's peaks in the box, %": 100 * float(before.mean()),
        "the canvas's middle in the box, %": 100 * float(inside(middle, test.boxes).mean()),
        "largest gap between mean of map + bias and score": gap,
    }


RECIPES = (
    Recipe(
        name="cam", summary="CAMNet (Zhou et al. 2016): where a digit lies, learned from its class", run=run,
        data="mnist", metric="peaks in the digit's box, %", mark=90.0,
        paper="none on this task; 37.1 % top-5 error of boxes (Zhou et al. 2016, GoogLeNet-GAP, ILSVRC)",
        minutes=5, settings=Settings(epochs=6, batch_size=32, lr=1e-2, weight_decay=0.01, workers=0),
        also={
            "largest gap between mean of map + bias and score": ("<=", 1e-3),
            "test accuracy, %": (">=", 85.0),
            "peaks in the tight box of the ink, %": (">=", 75.0),
        },
        short={"images": 300, "tests": 100, "epochs": 3, "scraps": 4, "width": 4, "batch_size": 10},
        baseline="the canvas's middle in the box, %",
    ),
)  # fmt: skip
