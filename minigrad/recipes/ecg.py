"""What the recipes on whole electrocardiograms share: windows of records, and how irregular a pulse is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..data import Dataset, Ecgs, cinc2017
from ..engine.random import Generator

__all__ = [
    "RATE",
    "Crops",
    "Prepare",
    "irregularity",
    "one_channel",
    "standardised",
    "three_parts",
    "windows",
]

RATE = 100  # samples in a second
Prepare = Callable[[np.ndarray], np.ndarray]


def three_parts(data_dir: str | Path | None, every: int = 1, tested: int = 1) -> tuple[Ecgs, Ecgs, Ecgs]:
    """The training, validation and testing records, the file being checked once.

    every: n-th record only to train and choose with; tested: n-th only to test on.
    """
    train = cinc2017("train", data_dir=data_dir)
    held = [cinc2017(split, data_dir=data_dir, verify=False) for split in ("validation", "test")]
    steps = every, every, tested
    one, two, three = (Ecgs(p.records[::n], p.labels[::n], p.rate) for p, n in zip((train, *held), steps))
    return one, two, three


def one_channel(rows: np.ndarray) -> np.ndarray:
    """Windows (n, L) as a network takes them: standardised, (n, 1, L)."""
    return standardised(rows)[:, None]


def standardised(signals: np.ndarray) -> np.ndarray:
    """Signals (N, L) with mean 0 and deviation 1; a flat one stays 0."""
    centred = signals - signals.mean(1, keepdims=True)
    return centred / np.maximum(centred.std(1, keepdims=True), np.float32(1e-6))


def cut(record: np.ndarray, start: int, length: int) -> np.ndarray:
    """`length` samples from `start` on; a record that is too short is repeated."""
    return np.resize(record, length) if len(record) < length else record[start : start + length]


def windows(records: Sequence[np.ndarray], length: int, views: int, prepare: Prepare) -> np.ndarray:
    """(N views, C, length): from every record the middles of `views` equal shares of it, in order."""
    rows = []
    for record in records:
        room = max(len(record) - length, 0)
        rows += [cut(record, int(room * (v + 0.5) / views), length) for v in range(views)]
    return prepare(np.stack(rows))


class Crops(Dataset):
    """Windows of records from a place that is drawn anew each time, upright or, half of them, inverted.

    Some of the records were taken with the device held the other way round.
    """

    def __init__(
        self, records: Sequence[np.ndarray], labels: np.ndarray, length: int, prepare: Prepare
    ) -> None:
        self.records, self.labels, self.length, self.prepare = records, labels, length, prepare

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray, generator: Generator) -> tuple[np.ndarray, np.ndarray]:
        """Windows (n, C, length) and labels of these records."""
        at, sign = generator.random(len(indices)), 2 * generator.bernoulli(0.5, len(indices)) - 1
        rows = [
            cut(self.records[i], int(share * max(len(self.records[i]) - self.length, 0)), self.length)
            for i, share in zip(indices, at)
        ]
        return self.prepare(np.stack(rows) * sign[:, None].astype(np.float32)), self.labels[indices]


def irregularity(record: np.ndarray) -> float:
    """Median change from one heart beat's length to the next, in median lengths: high in fibrillation.

    Beats are where the squared slope, smoothed over 0.12 s, is largest within 0.3 s to both sides.
    """
    slope = np.convolve(np.diff(record) ** 2, np.ones(12) / 12, "same")
    around = np.lib.stride_tricks.sliding_window_view(np.pad(slope, 30), 61).max(1)
    beats = np.flatnonzero((slope == around) & (slope > 0.15 * np.percentile(slope, 98)))
    lengths = np.diff(beats)
    return float(np.median(np.abs(np.diff(lengths))) / np.median(lengths)) if len(lengths) > 2 else 0.0
