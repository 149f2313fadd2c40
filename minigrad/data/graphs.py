"""Cora: 2,708 papers, the words in them, and who cites whom."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..engine.random import Generator
from .files import fetch, find, home, missing, read_npz, read_text, sources
from .planetoid import PARTS, planetoid

CORA_CLASSES = (
    "Theory", "Reinforcement_Learning", "Genetic_Algorithms", "Neural_Networks", "Probabilistic_Methods",
    "Case_Based", "Rule_Learning",
)  # fmt: skip
ADDRESS = (
    "https://github.com/kimiyoung/planetoid, data/ind.cora.*, or https://linqs.org/datasets/#cora "
    "(cora.content and cora.cites)"
)


class Cora(NamedTuple):
    """A citation graph of N papers.

    features (N, 1433) float32: 1 where the paper has the word. labels (N,) int64: names in CORA_CLASSES.
    edges (E, 2) int64: pairs of papers, each once, the smaller number first. train, validation, test:
    numbers of the papers whose labels are learnt, watched, tested.
    """

    features: np.ndarray
    labels: np.ndarray
    edges: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def cora(data_dir: str | Path | None = None, verify: bool = True, download: bool = False) -> Cora:
    """Cora with the split of Yang, Cohen & Salakhutdinov 2016 ("Planetoid"): 140, 500 and 1,000 papers.

    Reads cora.npz, or Planetoid's eight files ind.cora.*, which download=True fetches; they are pickles, and
    are read without running anything that they name. Or else the original cora.content and cora.cites: those
    number the papers otherwise and name no split, so they get one of the same sizes (20 a class for
    training), drawn with a fixed seed, and their figures are not those of the published split.

    Licence: MIT of the repositories that give it (kimiyoung/planetoid, tkipf/gcn). Cite Sen et al. 2008.
    """
    folders = ["cora"]
    if (path := find(["cora.npz"], folders, data_dir)) is not None:
        return _from_npz(path, verify)
    if (path := find(["ind.cora.x"], folders, data_dir)) is not None:
        return _from_planetoid(path.parent, verify)
    if (path := find(["cora.content"], folders, data_dir)) is not None:
        return _from_text(path, path.with_name("cora.cites"))
    if download:
        for source in sources(["ind.cora.*"]):
            fetch("cora", source, home("cora", data_dir))
        return _from_planetoid(home("cora", data_dir), verify)
    raise missing("cora", ["cora.npz", "ind.cora.x", "cora.content"], folders, data_dir, ADDRESS)


def _from_planetoid(folder: Path, verify: bool) -> Cora:
    """Planetoid's files, all of which have to be there."""
    lost = [f"ind.cora.{part}" for part in PARTS if not (folder / f"ind.cora.{part}").is_file()]
    if lost:
        raise missing("cora", lost, ["cora"], folder, ADDRESS)
    return Cora(**planetoid(folder, "cora", verify))


def _from_npz(path: Path, verify: bool) -> Cora:
    """features are rows of word numbers: those of paper i stand in indices[indptr[i]:indptr[i + 1]]."""
    keys = ["feat_indptr", "feat_indices", "labels", "edges", "train_idx", "val_idx", "test_idx"]
    z = read_npz(path, "Cora", keys, verify)
    ptr, n = z["feat_indptr"], len(z["labels"])
    if len(ptr) != n + 1 or ptr[-1] != len(z["feat_indices"]):
        raise ValueError(
            f"Cora: {path} has {len(ptr)} row ends for {n} papers, expected {n + 1}; get it again"
        )
    features = np.zeros((n, 1433), np.float32)
    features[np.repeat(np.arange(n), np.diff(ptr)), z["feat_indices"]] = 1
    whole = (z[key].astype(np.int64) for key in keys[2:])
    return Cora(features, *whole)


def _from_text(content: Path, cites: Path) -> Cora:
    """cora.content: paper, its words as 0 or 1, class; cora.cites: cited paper, citing paper."""
    if not cites.is_file():
        raise missing("Cora", ["cora.cites"], ["cora"], content.parent, ADDRESS)
    rows = [line.split() for line in read_text(content, "Cora").split("\n") if line.strip()]
    if len({len(row) for row in rows}) != 1 or len(rows[0]) < 3:
        raise ValueError(
            f"Cora: the lines of {content} differ in length, expected paper, words (0 or 1), class"
        )
    unknown = {row[-1] for row in rows} - set(CORA_CLASSES)
    if unknown:
        raise ValueError(
            f"Cora: {content} has the classes {sorted(unknown)}, expected {', '.join(CORA_CLASSES)}"
        )
    number = {row[0]: i for i, row in enumerate(rows)}
    pairs = [line.split() for line in read_text(cites, "Cora").split("\n") if line.strip()]
    strange = [pair for pair in pairs if len(pair) != 2 or not set(pair) <= set(number)]
    if strange:
        raise ValueError(
            f"Cora: {cites} has the line {' '.join(strange[0])!r}, expected two papers of {content}"
        )
    edges = {tuple(sorted((number[a], number[b]))) for a, b in pairs if a != b}
    labels = np.array([CORA_CLASSES.index(row[-1]) for row in rows])
    features = np.array([row[1:-1] for row in rows]).astype(np.float32)
    ends = np.array(sorted(edges), np.int64).reshape(-1, 2)
    return Cora(features, labels, ends, *planetoid_split(labels))


def planetoid_split(
    labels: np.ndarray, per_class: int = 20, validation: int = 500, test: int = 1000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of the nodes for training (`per_class` of each), validation and testing, drawn at random."""
    order = Generator(seed).permutation(len(labels))
    train = np.concatenate([order[labels[order] == c][:per_class] for c in np.unique(labels)])
    rest = order[~np.isin(order, train)]
    return np.sort(train), np.sort(rest[:validation]), np.sort(rest[validation : validation + test])
