"""GCN, GAT and an MLP on Cora: the topics of papers from twenty labelled ones each.

Kipf & Welling 2017 and Velickovic et al. 2018 with their papers' settings; the MLP sees the words and not
the citations. Cora: MIT licence of the repositories that give the Planetoid split (cite Sen et al. 2008).
"""

import dataclasses
from functools import partial

import numpy as np

from .. import nn
from ..data import CORA_CLASSES, cora
from ..engine.recording import no_grad
from ..engine.tensor import Tensor, tensor
from ..inspect import plots
from ..inspect.layers import still
from ..models import GAT, GCN, MLP, normalised_edges
from ..nn import functional as F
from ..train import Settings, on
from .base import Figures, Recipe, Task


class Words(nn.Module):
    """The MLP as a model of nodes: it takes the graph and does not look at it."""

    def __init__(self, words: int, classes: int) -> None:
        super().__init__()
        self.mlp = MLP((words, 16, classes), dropout=0.5)

    def forward(self, x: Tensor, graph: object) -> Tensor:
        """Scores of the nodes, each from its own words."""
        return self.mlp(F.dropout(x, 0.5, self.training))


def run(task: Task, model: str = "gcn") -> Figures:
    """One full-batch step an epoch; the best epoch on the 500 validation papers is tested on 1,000 others."""
    data = cora(task.data_dir)
    words, topics = data.features.shape[1], len(CORA_CLASSES)
    x = tensor(data.features / np.maximum(data.features.sum(1, keepdims=True), 1)).to(task.device)
    labels = tensor(data.labels).to(task.device)
    graph = on(normalised_edges(data.edges, len(data.labels)), task.device)
    net = {"gcn": GCN, "gat": GAT, "mlp": Words}[model](words, topics)

    def loss(net: nn.Module, _: object) -> Tensor:
        return F.cross_entropy(net(x, graph)[data.train], labels[data.train])

    def judge(net: nn.Module, papers: np.ndarray) -> dict[str, float]:
        with no_grad(), still(net):
            scores = net(x, graph)[papers]
        right = float((scores.argmax(1) == labels[papers]).mean())
        return {"error": 1 - right, "loss": float(F.cross_entropy(scores, labels[papers]))}

    # Kipf & Welling decay the first layer only.
    decay = [{"params": list(layer.parameters())} for layer in net.children()]
    decay[-1]["weight_decay"] = 0.0 if model == "gcn" else task.settings.weight_decay
    history = task.fit(net, [0], loss, partial(judge, papers=data.validation), parameters=decay)
    with no_grad(), still(net):
        scores = net(x, graph).cpu().numpy()
    curves = {part: [row[f"{part}_loss"] for row in history] for part in ("train", "val")}
    plots.lines(curves, task.picture("loss.png"), "Cora", "epoch", "cross-entropy")
    plots.confusion_matrix(
        data.labels[data.test],
        scores[data.test].argmax(1),
        task.picture("confusion_matrix.png"),
        CORA_CLASSES,
    )
    plots.scatter(
        principal_axes(scores),
        data.labels,
        task.picture("map.png"),
        CORA_CLASSES,
        "All papers, by their scores",
    )
    return {"test accuracy, %": 100 * (1 - judge(net, data.test)["error"])}


def principal_axes(rows: np.ndarray) -> np.ndarray:
    """(N, F) -> (N, 2): the two directions in which the rows differ most."""
    centred = rows - rows.mean(0)
    return centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T


COMMON = {"data": "cora", "metric": "test accuracy, %", "seeds": 10, "baseline": 31.9}  # the largest class
ADAM = Settings(epochs=200, lr=0.01, weight_decay=5e-4, optimiser="adam", schedule="constant", workers=0)
RECIPES = (
    Recipe(
        name="gcn", summary="GCN (Kipf and Welling 2017): two graph convolutions of 16",
        run=partial(run, model="gcn"), mark=80.5, paper="81.5 % (Kipf and Welling 2017)", minutes=3,
        settings=ADAM, short={"epochs": 30}, **COMMON,
    ),
    Recipe(
        name="gat", summary="GAT (Velickovic et al. 2018): 8 heads of 8, then one",
        run=partial(run, model="gat"), mark=80.5, paper="83.0 +- 0.7 % (Velickovic et al. 2018)", minutes=4,
        settings=dataclasses.replace(ADAM, epochs=200, lr=0.005), short={"epochs": 15},
        **{**COMMON, "seeds": 3},
    ),
    Recipe(
        name="cora-mlp", summary="an MLP of 16 on the words alone: what the citations are worth",
        run=partial(run, model="mlp"), mark=55.0, paper="55.1 % (Kipf and Welling 2017)", minutes=2,
        settings=ADAM, short={"epochs": 60}, **COMMON,
    ),
)  # fmt: skip
