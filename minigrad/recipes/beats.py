"""Classes of single heart beats: convolutions and an LSTM on ECG5000 and ECG200 of the UCR archive.

ECG5000 is one patient's record cut into beats of 140 values, five classes, 500 beats for training and 4,500
for testing; ECG200 is 100 and 100 beats of 96 values, normal or infarction. Each network takes all of the
training beats for a fixed number of epochs with a rate that falls to zero, and its last weights: nothing is
chosen by the test beats. One nearest neighbour by Euclidean distance, found in the same run, is what there
was before. Licences: the archive states none of its own (Dau et al. 2018); ECG5000 is from PhysioNet
(Goldberger et al. 2000), ECG200 from Olszewski 2001.
"""

import dataclasses
from functools import partial

import numpy as np

from ..classifier import cross_entropy, score
from ..data import Series, TensorDataset, ecg200, ecg5000
from ..engine.recording import no_grad
from ..engine.tensor import tensor
from ..inspect import plots
from ..inspect.layers import still
from ..models import KNN, BeatCNN, BeatLSTM, FCN1d
from ..train import Settings
from .base import Figures, Recipe, Task

CLASSES = {
    "ecg5000": ["normal", "R on T", "premature", "supraventricular", "unclassified"],
    "ecg200": ["infarction", "normal"],
}
NETWORKS = {"cnn": BeatCNN, "fcn": partial(FCN1d, 1), "lstm": BeatLSTM}


def run(task: Task, data: str, model: str, every: int = 1) -> Figures:
    """Train on all training beats, test once, show what each class looks like. every: n-th test beat only."""
    x, y, x_test, y_test = {"ecg5000": ecg5000, "ecg200": ecg200}[data](task.data_dir)
    beats = Series(x, y, x_test[::every], y_test[::every])
    train, test = beats.x_train[:, None], beats.x_test[:, None]
    net = NETWORKS[model](classes=len(CLASSES[data]))
    history = task.fit(net, TensorDataset(train, beats.y_train), cross_entropy)
    _, accuracy, probabilities = score(net, test, beats.y_test)
    curves = {"training loss": [row["train_loss"] for row in history]}
    plots.lines(curves, task.picture("loss.png"), "Training", "epoch", "cross-entropy", log=True)
    said = probabilities.argmax(1)
    plots.confusion_matrix(beats.y_test, said, task.picture("confusion_matrix.png"), CLASSES[data])
    draw_beats(task, net, beats, CLASSES[data])
    return {"test accuracy, %": 100 * accuracy, **simple_figures(beats)}


def simple_figures(beats: Series) -> Figures:
    """What nearest neighbours and the commonest class make of the test beats."""
    near = KNN(k=1).fit(beats.x_train, beats.y_train).predict(beats.x_test)
    return {
        "1-nearest neighbour, %": 100 * float((near == beats.y_test).mean()),
        "commonest class, %": 100 * float((np.bincount(beats.y_train).argmax() == beats.y_test).mean()),
    }


def draw_beats(task: Task, net: object, beats: Series, classes: list[str]) -> None:
    """The mean beat of each class; where the network can tell, also where in time a class was seen."""
    means = {name: beats.x_test[beats.y_test == k].mean(0) for k, name in enumerate(classes)}
    plots.lines(means, task.picture("classes.png"), "Mean beat of each class", "sample")
    if not isinstance(net, FCN1d):
        return
    one = np.array([np.flatnonzero(beats.y_test == k)[0] for k in range(len(classes))])
    with no_grad(), still(net):
        maps = net.class_maps(tensor(beats.x_test[one][:, None]).to(task.device)).cpu().numpy()
    own = np.maximum(maps[np.arange(len(one)), np.arange(len(one))], 0)
    plots.traces(beats.x_test[one], own, task.picture("class_maps.png"), classes, "Where each class is seen")


ADAM = Settings(epochs=60, batch_size=32, lr=2e-3, workers=0)
RECIPES = (
    Recipe(
        name="beats-cnn", summary="FCN (Wang et al. 2017) on single heart beats of five classes",
        run=partial(run, data="ecg5000", model="fcn"), data="ecg5000", metric="test accuracy, %", mark=93.5,
        paper="94 % (FCN, as compared by Ismail Fawaz et al. 2019)", minutes=5, seeds=3,
        settings=dataclasses.replace(ADAM, epochs=40), short={"epochs": 1, "every": 9},
        baseline="commonest class, %",
    ),
    Recipe(
        name="beats-lstm", summary="LSTM over chunks of four samples of a heart beat",
        run=partial(run, data="ecg5000", model="lstm"), data="ecg5000", metric="test accuracy, %", mark=92.5,
        paper="none for this network", minutes=1, settings=ADAM, seeds=3,
        short={"epochs": 10, "every": 5}, baseline="commonest class, %",
    ),
    Recipe(
        name="beats-cnn", summary="FCN (Wang et al. 2017) on single heart beats, normal or infarction",
        run=partial(run, data="ecg200", model="fcn"), data="ecg200", metric="test accuracy, %", mark=88.0,
        paper="90 % (FCN, Wang et al. 2017)", minutes=4, seeds=3,
        settings=dataclasses.replace(ADAM, epochs=150, batch_size=16, lr=1e-3),
        short={"epochs": 5}, baseline="commonest class, %",
    ),
)  # fmt: skip
