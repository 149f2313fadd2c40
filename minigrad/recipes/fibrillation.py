"""Atrial fibrillation against every other rhythm: CNN, CRNN, ACRNN and MINA (Hong et al. 2019).

Trained on the records of the 2017 PhysioNet challenge, 75 % of each class, at 100 Hz, with windows drawn
anew in each epoch; 10 % choose the epoch and the threshold of F1, 15 % test, each record by the mean of a
few windows. The paper's figures are of its own split and windows: PR-AUC and F1 depend on how common
fibrillation is, so they cannot be compared with those here, and ROC-AUC only roughly. `*-small` train smaller
networks on 10 s of all records of fibrillation and as many others, and are tested on the same records.
Segments are of 0.2 s, about the 50 samples at 300 Hz of the authors' code; the CNN, which knows no order,
gets longer filters. Their lengths were chosen by validation records, after segments of half a second had been
tested too; the marks of the small forms were set from their first runs. How irregular the pulse is, one
number a record without any training, is a figure of the same run. PhysioNet: open access (Clifford et al.
2017, Goldberger et al. 2000).
"""

from functools import partial

import numpy as np

from ..classifier import cross_entropy, predict
from ..data import Ecgs
from ..engine.recording import no_grad
from ..engine.tensor import tensor
from ..inspect import plots
from ..inspect.layers import still
from ..metrics import f1, pr_auc, pr_curve, roc_auc, roc_curve
from ..models import MINA, ECGNet, bands
from ..nn import Module
from ..train import Settings
from .base import Figures, Recipe, Task
from .ecg import RATE, Crops, Prepare, irregularity, one_channel, standardised, three_parts, windows

PAPER = {
    "CNN": (0.8711, 0.8669, 0.7914), "CRNN": (0.9040, 0.8943, 0.8262),
    "ACRNN": (0.9072, 0.8935, 0.8248), "MINA": (0.9488, 0.9436, 0.8342),
}  # fmt: skip


def run(
    task: Task, model: str, seconds: int = 30, filters: int = 64, hidden: int = 32, segment: int = 20,
    kernel: int = 16, stride: int = 2, views: int = 2, others: int = 0, every: int = 1,
) -> Figures:  # fmt: skip
    """others: how many records without fibrillation for each with it, 0: all; every: n-th record only."""
    train, validation, test = three_parts(task.data_dir, every, every)
    chosen = subset(train.labels == 1, others, task.seed)
    sizes = {"filters": filters, "hidden": hidden, "segment": segment, "kernel": kernel, "stride": stride}
    net = MINA(**sizes) if model == "MINA" else ECGNet(model, **sizes)  # type: ignore[arg-type]
    prepare, length = split_bands if model == "MINA" else one_channel, seconds * RATE
    crops = Crops(
        [train.records[i] for i in chosen], (train.labels[chosen] == 1).astype(int), length, prepare
    )
    sets = {name: Held(part, length, views, prepare) for name, part in (("val", validation), ("test", test))}

    def judge(net: Module) -> dict[str, float]:
        score = sets["val"].score(net)
        return {"loss": 1 - roc_auc(sets["val"].truth, score)}

    task.fit(net, crops, cross_entropy, judge)
    known, found = (sets[name].score(net) for name in ("val", "test"))
    truth, pulse = sets["test"].truth, np.array([irregularity(r) for r in test.records])
    draw(task, net, sets["test"], {model: found, "irregular pulse": pulse})
    return {
        "ROC-AUC": roc_auc(truth, found), "PR-AUC": pr_auc(truth, found),
        "F1": f1(truth, (found >= best_threshold(sets["val"].truth, known)).astype(int)),
        "irregular pulse, ROC-AUC": roc_auc(truth, pulse), "irregular pulse, PR-AUC": pr_auc(truth, pulse),
        **dict(zip(("paper, ROC-AUC", "paper, PR-AUC", "paper, F1"), PAPER[model])),
    }  # fmt: skip


class Held:
    """Records that are kept back, as windows, and which of them are of fibrillation."""

    def __init__(self, part: Ecgs, length: int, views: int, prepare: Prepare) -> None:
        self.truth, self.views = (part.labels == 1).astype(int), views
        self.x = windows(part.records, length, views, prepare)

    def score(self, net: Module) -> np.ndarray:
        """(N,): how probable fibrillation is, the mean over a record's windows."""
        return predict(net, self.x, 100)[:, 1].reshape(-1, self.views).mean(1)


def split_bands(rows: np.ndarray) -> np.ndarray:
    """Windows (n, L) split by frequency, as MINA takes them: (n, 4, L)."""
    return bands(standardised(rows), RATE)


def subset(positive: np.ndarray, others: int, seed: int) -> np.ndarray:
    """Which records to train on: all, or all positive ones and `others` times as many of the rest."""
    if not others:
        return np.arange(len(positive))
    rest = np.random.default_rng(seed).permutation(np.flatnonzero(~positive))
    return np.concatenate([np.flatnonzero(positive), rest[: others * positive.sum()]])


def best_threshold(truth: np.ndarray, score: np.ndarray) -> float:
    """The score from which on it is called fibrillation, where F1 is the largest."""
    precision, recall, at = pr_curve(truth, score)
    return float(at[np.argmax(2 * precision * recall / np.maximum(precision + recall, 1e-12))])


def draw(task: Task, net: Module, held: Held, scores: dict[str, np.ndarray]) -> None:
    """ROC and precision-recall curves, and what attention rests on in a record of either kind."""
    roc = {name: roc_curve(held.truth, score)[:2] for name, score in scores.items()}
    plots.lines(roc, task.picture("roc.png"), "Fibrillation", "false positive rate", "true positive rate")
    pr = {name: pr_curve(held.truth, score)[1::-1] for name, score in scores.items()}
    plots.lines(pr, task.picture("precision_recall.png"), "Fibrillation", "recall", "precision")
    score = next(iter(scores.values()))
    surest = [int(np.argmax(np.where(held.truth == k, 2 * k * score - score, -2))) for k in (1, 0)]
    x = held.x[[i * held.views for i in surest]]
    with no_grad(), still(net):
        _, *found = net.explain(tensor(x).to(task.device))  # type: ignore[operator]
    if found[-1] is None:
        return
    levels = [level.cpu().numpy() for level in found]
    rhythm = levels[-1] if len(levels) == 1 else np.einsum("nbs,nb->ns", levels[1], levels[2])
    common = {"rate": RATE, "xlabel": "seconds"}
    names = [f"{kind}: {score[i]:.2f}" for kind, i in zip(("fibrillation", "no fibrillation"), surest)]
    plots.traces(x.sum(1), rhythm, task.picture("rhythm.png"), names, "Attention over segments", **common)
    if len(levels) == 3:
        beat, _, frequency = levels
        titles = [f"{name}: {w:.2f}" for name, w in zip(BANDS, frequency[0])]
        clip = beat[0][:, : 5 * RATE // net.segment].reshape(len(BANDS), -1)
        where = task.picture("bands.png")
        plots.traces(x[0, :, : 5 * RATE], clip, where, titles, "Bands and their weights", **common)


BANDS = ("below 0.5 Hz", "0.5 to 5 Hz", "5 to 20 Hz", "above 20 Hz")
FULL = Settings(epochs=60, batch_size=128, lr=5e-3, weight_decay=1e-3, warmup=100, clip=1.0, workers=1)
SMALL = Settings(epochs=25, batch_size=32, lr=1e-2, weight_decay=1e-3, clip=1.0, workers=0)
SIZES = {"others": 1, "seconds": 10, "hidden": 16}
SHORT = {**SIZES, "epochs": 5, "lr": 1e-2, "batch_size": 16, "every": 4, "views": 1, "filters": 16}


def pair(
    model: str, summary: str, marks: tuple[float, float], full: dict[str, int], small: dict[str, int]
) -> list[Recipe]:  # fmt: skip
    """The full form and the one for a small machine, each with its mark and what is its own."""
    roc, pr, score = PAPER[model]
    name = f"fibrillation-{model.lower()}"
    common = {
        "data": "ecg_cinc2017", "metric": "ROC-AUC", "seeds": 3, "baseline": 0.5, "short": SHORT,
        "run": partial(run, model=model, **full),
        "paper": f"ROC-AUC {roc}, PR-AUC {pr}, F1 {score} (Hong et al. 2019, other windows of these data)",
    }  # fmt: skip
    less = partial(run, model=model, **SIZES, **small)
    return [
        Recipe(name=name, summary=summary, mark=marks[0], minutes=20, device="gpu", settings=FULL, **common),
        Recipe(
            name=f"{name}-small", summary=f"{summary}; small, on fewer records", mark=marks[1],
            minutes=5 if model == "MINA" else 2, settings=SMALL, **{**common, "run": less},
        ),
    ]  # fmt: skip


LONG = {"segment": 200, "kernel": 100, "stride": 4, "filters": 128}
SHORTER = {"segment": 100, "kernel": 50, "stride": 4, "filters": 32}
RECIPES = (
    *pair("CNN", "CNN: a convolution, its mean over time", (0.87, 0.8), LONG, SHORTER),
    *pair("CRNN", "CRNN: convolution, BiLSTM over fifths of a second", (0.9, 0.92), {}, {"filters": 32}),
    *pair("ACRNN", "ACRNN: CRNN, its mean over time by attention", (0.907, 0.92), {}, {"filters": 32}),
    *pair("MINA", "MINA: four bands, three levels of attention", (0.93, 0.92), {}, {"filters": 16}),
)  # fmt: skip
