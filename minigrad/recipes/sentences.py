"""What recipes of text share: batches of sentences of like length, words hidden as unknown, predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..classifier import device_of
from ..data.dataset import Dataset
from ..engine.random import Generator
from ..engine.recording import no_grad
from ..engine.tensor import Tensor
from ..inspect.layers import still
from ..nn import Embedding, Module, init

__all__ = ["Bucketed", "hidden", "in_order", "scores_of", "small_start"]

UNKNOWN = 1  # what Vocabulary calls a word that it has not


class Bucketed(Dataset):
    """Batches of sentences of about one length, so that little of a batch is padding. An item is a batch.

    collate(indices, generator) makes the arrays of a batch. Which sentences share a batch is drawn once
    from the seed; train with batch_size=1, and the batches come in a new order each epoch. size: about
    how many sentences a batch has or, if the lengths are counted, about how many words (by_words).
    """

    def __init__(
        self,
        lengths: Sequence[int],
        size: int,
        collate: Callable[[np.ndarray, Generator], tuple],
        seed: int = 0,
        by_words: bool = False,
    ) -> None:
        counts = np.asarray(lengths)
        mixed = Generator(seed).permutation(len(counts))
        order = mixed[np.argsort(counts[mixed], kind="stable")]
        taken = np.cumsum(counts[order]) if by_words else np.arange(1, len(order) + 1)
        cuts = np.searchsorted(taken, np.arange(size, taken[-1], size), "right")
        self.batches = [b for b in np.split(order, cuts) if len(b)]
        self.collate = collate

    def __len__(self) -> int:
        return len(self.batches)

    def batch(self, indices: np.ndarray, generator: Generator) -> tuple:
        """The arrays of one batch."""
        (which,) = indices.tolist()
        return self.collate(self.batches[which], generator)

    def __getitem__(self, index: int) -> tuple:
        return self.collate(self.batches[index], Generator(0))


def hidden(words: np.ndarray, chance: Any, generator: Generator) -> np.ndarray:
    """The words (padding excepted), each turned into the unknown one by its chance: a number or an array."""
    gone = (generator.random(words.shape) < chance) & (words != 0)
    return np.where(gone, UNKNOWN, words)


def in_order(lengths: Sequence[int], size: int = 200) -> list[np.ndarray]:
    """Indices in batches from the shortest sentence to the longest, for reading all of them once."""
    order = np.argsort(lengths, kind="stable")
    return [order[a : a + size] for a in range(0, len(order), size)]


def scores_of(model: Module, *arrays: np.ndarray) -> np.ndarray:
    """model(*arrays) in eval mode, as float64 on the host."""
    with no_grad(), still(model):
        scores = model(*(Tensor(a).to(device_of(model)) for a in arrays))
    return scores.cpu().numpy().astype(np.float64)


def small_start(table: Embedding, bound: float = 0.25) -> None:
    """Vectors of words between -bound and bound, as Kim 2014 draws them.

    A word that is met a few times moves little: beside vectors of norm sqrt(width) what it learns is lost.
    """
    init.uniform_(table.weight, -bound, bound)
    with no_grad():
        table.weight[0] = 0.0  # padding
