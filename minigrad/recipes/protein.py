"""Helix, strand or coil for each residue of a protein: bidirectional LSTMs on Qian and Sejnowski's chains.

Qian & Sejnowski 1988 reached 64.3 % on these test chains (a window of 13 residues, two nets one behind the
other); calling everything coil is right for 54.6 %. There are 111 training chains only, so several small
nets are trained, each validated on a tenth of the training chains of its own, and their probabilities
averaged; what one of them reaches alone is told as well. In training residues are hidden at
random (symbol 0, the zero vector), so that none is relied upon.

Licence of the data: non-commercial research only. Copyright (C) 1988 by Terrence J. Sejnowski.
"""

from functools import partial
from typing import Any

import numpy as np

import minigrad as mg

from .. import nn
from ..data import Chain, protein_structure
from ..engine.recording import no_grad
from ..engine.tensor import Tensor, tensor
from ..inspect import plots
from ..inspect.layers import still
from ..models import ProteinLSTM
from ..models.protein import STRUCTURES, encode
from ..nn import functional as F
from ..train import Settings
from .base import Figures, Recipe, Task

NAMES = ("coil", "helix", "strand")
NOT_SCORED = -100  # where a chain is padded


def together(chains: list[Chain]) -> tuple[Tensor, Tensor, np.ndarray]:
    """Residues and structures (N, L), padded, and how long each chain is."""
    lengths = np.array([len(c.residues) for c in chains])
    x = np.zeros((len(chains), lengths.max()), np.int64)
    y = np.full(x.shape, NOT_SCORED)
    for i, chain in enumerate(chains):
        x[i, : lengths[i]] = encode(chain.residues)
        y[i, : lengths[i]] = [STRUCTURES.index(s) for s in chain.structure]
    return tensor(x), tensor(y), lengths


def pieces(chains: list[Chain], length: int) -> list[Chain]:
    """The chains cut to that length, each piece begun half of it after the last; the end is a piece too."""
    cut = []
    for residues, structure in chains:
        last = max(len(residues) - length, 0)
        starts = sorted({*range(0, last, length // 2), last})
        cut += [Chain(residues[a : a + length], structure[a : a + length]) for a in starts]
    return cut


def probabilities(net: nn.Module, chains: list[str], device: str) -> list[np.ndarray]:
    """(L, 3) of each chain."""
    found = []
    with no_grad(), still(net):
        for chain in chains:
            found.append(F.softmax(net(tensor(encode(chain)[None]).to(device)), -1).cpu().numpy()[0])
    return found


def q3(found: list[np.ndarray], chains: list[Chain]) -> float:
    """Per cent of all residues whose likeliest state is the true one."""
    right = [p.argmax(1) == [STRUCTURES.index(s) for s in c.structure] for p, c in zip(found, chains)]
    return 100 * float(np.concatenate(right).mean())


def run(
    task: Task, nets: int = 10, hidden: int = 32, embedding: int = 16, window: int = 17, dropout: float = 0.5,
    hide: float = 0.2, piece: int = 60, chain: str = "",
) -> Figures:  # fmt: skip
    """Train `nets` nets, test their mean; `chain`: residues to predict (else 50 of the first test chain)."""
    chains, tests = (protein_structure(split, task.data_dir) for split in ("train", "test"))
    order = np.random.default_rng(task.seed).permutation(len(chains))
    sequences = [c.residues for c in tests]
    chain = chain or sequences[0][:50]

    def loss(net: nn.Module, batch: Any) -> Tensor:
        x, y, lengths = batch
        seen = (mg.rand(*x.shape, device=x.device) >= hide).astype(x.dtype)
        return F.cross_entropy(net(x * seen, lengths).reshape(-1, 3), y.reshape(-1), ignore_index=NOT_SCORED)

    def judge(net: nn.Module, held: list[Chain]) -> dict[str, float]:
        found = probabilities(net, [c.residues for c in held], task.device)
        sure = [p[np.arange(len(p)), [STRUCTURES.index(s) for s in c.structure]] for p, c in zip(found, held)]
        return {"loss": -float(np.log(np.concatenate(sure)).mean()), "error": 100 - q3(found, held)}

    alone: list[float] = []
    total: list[np.ndarray] = []
    curves = {}
    for k in range(nets):
        fold = set(order[k :: max(nets, 5)].tolist())
        held = [c for i, c in enumerate(chains) if i in fold]
        rest = pieces([c for i, c in enumerate(chains) if i not in fold], piece)
        net = ProteinLSTM(hidden, embedding, dropout=dropout, window=window)
        history = task.fit(net, rest, loss, partial(judge, held=held), name=f"net-{k}", collate_fn=together)
        found = probabilities(net, [*sequences, chain], task.device)
        alone.append(q3(found[:-1], tests))
        total = [a + b for a, b in zip(total, found)] if total else found
        curves[f"net {k}"] = [100 - row["val_error"] for row in history]
    mean = [p / nets for p in total]
    draw(task, mean, tests, chain, curves)
    return {
        "test Q3, %": q3(mean[:-1], tests),
        "one net's Q3, %": float(np.mean(alone)),
        "one net's Q3, validation, last epoch, %": float(np.mean([curve[-1] for curve in curves.values()])),
        "all coil, %": q3([np.eye(3)[[0] * len(s)] for s in sequences], tests),
    }


def draw(task: Task, mean: list[np.ndarray], tests: list[Chain], chain: str, curves: dict) -> None:
    """Confusions, learning curves, and the states of the last chain as text and as probabilities."""
    true = np.concatenate([[STRUCTURES.index(s) for s in c.structure] for c in tests])
    guessed = np.concatenate([p.argmax(1) for p in mean[:-1]])
    plots.confusion_matrix(true, guessed, task.picture("confusion_matrix.png"), NAMES)
    plots.lines(
        curves, task.picture("validation.png"), "Each net's own validation chains", "epoch", "right, %"
    )
    states = {name: mean[-1][:, k] for k, name in enumerate(NAMES)}
    plots.lines(states, task.picture("chain.png"), f"{len(chain)} residues", "residue", "probability")
    known = next((c.structure[: len(chain)] for c in tests if c.residues.startswith(chain)), "")
    guess = "".join(STRUCTURES[k] for k in mean[-1].argmax(1))
    rows = {"residues": chain, "found": guess, **({"true": known} if known else {})}
    task.picture("chain.txt").write_text("".join(f"{name:9} {row}\n" for name, row in rows.items()))


RECIPES = (
    Recipe(
        name="protein", summary="ten BiLSTMs, averaged: helix, strand or coil from 111 training chains",
        run=run, data="protein_ss_qian_sejnowski", metric="test Q3, %", mark=64.0, minutes=3,
        paper="64.3 % on these test chains (Qian and Sejnowski 1988)",
        settings=Settings(epochs=30, batch_size=16, lr=2e-3, weight_decay=0.05, workers=0),
        short={"epochs": 3, "nets": 1, "lr": 5e-3}, baseline="all coil, %",
    ),
)  # fmt: skip
