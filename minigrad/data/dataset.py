"""Datasets: anything with a length and items."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..engine import random as stream
from ..engine.random import Generator
from ..engine.tensor import Tensor


class Dataset:
    """Base class: `dataset[i]` and `len(dataset)`.

    A dataset that can take a whole batch of indices at once defines `batch(indices, keys)` too, which
    is far faster than item by item; `keys` is a random Generator per call for augmentation.
    """

    def __getitem__(self, index: int) -> Any:
        raise TypeError(f"{type(self).__name__}: has no __getitem__; define one")

    def __len__(self) -> int:
        raise TypeError(f"{type(self).__name__}: has no __len__; define one")


class TensorDataset(Dataset):
    """Arrays or tensors of equal length: item i is their i-th rows.

    transform, if given, gets (first array's rows, generator) for a whole batch: augmentation.
    """

    def __init__(
        self, *tensors: Any, transform: Callable[[np.ndarray, Generator], np.ndarray] | None = None
    ) -> None:
        if not tensors:
            raise ValueError("TensorDataset: expected at least one tensor, got none")
        self.tensors = tuple(t._data if isinstance(t, Tensor) else np.asarray(t) for t in tensors)
        lengths = [len(t) for t in self.tensors]
        if len(set(lengths)) != 1:
            raise ValueError(f"TensorDataset: expected equal lengths, got {lengths}")
        self.transform = transform

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Any) -> tuple:
        return tuple(t[index] for t in self.tensors)

    def batch(self, indices: np.ndarray, generator: Generator) -> tuple:
        """The rows of all indices at once."""
        parts = tuple(t[indices] for t in self.tensors)
        if self.transform is not None:
            parts = (self.transform(parts[0], generator), *parts[1:])
        return parts


class Subset(Dataset):
    """Some of a dataset's items, by index."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, np.asarray(indices, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self.indices[index])]


class ConcatDataset(Dataset):
    """Datasets one after another."""

    def __init__(self, datasets: Sequence[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: expected at least one dataset, got none")
        self.ends = np.cumsum([len(d) for d in self.datasets]).tolist()

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"ConcatDataset: index {index} is out of range for {len(self)} items")
        index %= len(self)
        which = bisect.bisect_right(self.ends, index)
        return self.datasets[which][index - (self.ends[which - 1] if which else 0)]


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """Disjoint random subsets of the given lengths, or fractions that add up to 1."""
    n = len(dataset)
    if all(isinstance(part, float) for part in lengths) and abs(sum(lengths) - 1.0) < 1e-9:
        counts = [int(part * n) for part in lengths]
        for i in range(n - sum(counts)):
            counts[i % len(counts)] += 1
    else:
        counts = [int(part) for part in lengths]
    if sum(counts) != n or min(counts) < 0:
        raise ValueError(
            f"random_split: expected lengths that add up to {n} (or fractions to 1), got {list(lengths)}"
        )
    order = (generator or stream.default_generator).permutation(n)
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(counts)[:-1])]


def stack_items(items: Sequence[Any]) -> Any:
    """A batch from items: arrays and numbers are stacked, tuples and dicts taken apart (default_collate)."""
    first = items[0]
    if isinstance(first, Tensor):
        return Tensor(np.stack([item._data for item in items]))
    if isinstance(first, np.ndarray | np.generic | int | float | bool):
        return Tensor(
            np.stack([np.asarray(item) for item in items]) if hasattr(first, "dtype") else list(items)
        )
    if isinstance(first, dict):
        return {key: stack_items([item[key] for item in items]) for key in first}
    if isinstance(first, tuple | list):
        if any(len(item) != len(first) for item in items):
            raise ValueError("DataLoader: expected items of equal length; pass collate_fn for others")
        return type(first)(stack_items([item[i] for item in items]) for i in range(len(first)))
    if isinstance(first, str | bytes):
        return list(items)
    raise TypeError(f"DataLoader: cannot batch items of {type(first).__name__}; pass collate_fn")


def check_finite(name: str, array: Any) -> None:
    """ValueError naming the first element that is NaN or infinite."""
    raw = array._data if isinstance(array, Tensor) else np.asarray(array)
    if raw.dtype.kind == "f" and not np.isfinite(raw).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(raw))[0])
        raise ValueError(
            f"{name}: expected finite numbers, got {raw[at]} at index {at}; clean the data first"
        )


def batches_of(order: Iterator[int], size: int, drop_last: bool) -> list[np.ndarray]:
    """Indices cut into batches."""
    order = np.fromiter(order, dtype=np.int64) if not isinstance(order, np.ndarray) else order
    cut = [order[i : i + size] for i in range(0, len(order), size)]
    return cut[:-1] if drop_last and cut and len(cut[-1]) < size else cut
