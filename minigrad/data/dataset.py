"""Datasets: anything with a length and items."""

from __future__ import annotations

import bisect
import collections
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..engine import random as stream
from ..engine.backend import is_float
from ..engine.random import Generator
from ..engine.tensor import Tensor
from ..ops.shape import stack


class Dataset:
    """Base class: `dataset[i]` and `len(dataset)`.

    Two more methods are used by DataLoader where a dataset has them:
    `batch(indices, generator)`: a tuple of arrays, the rows of all indices at once, much faster;
    `item(index, generator)`: dataset[index] for items that draw random numbers.
    Their generators depend on seed, epoch and batch or item alone, so whatever is drawn from them is
    reproducible with any number of workers.
    """

    def __getitem__(self, index: int) -> Any:
        raise TypeError(f"{type(self).__name__}: has no __getitem__; define one")

    def __len__(self) -> int:
        raise TypeError(f"{type(self).__name__}: has no __len__; define one")

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """Base class for data that come as a stream: define `__iter__`; order is the stream's own.

    Resuming in the middle of an epoch reads and drops what was already seen.
    """

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"{type(self).__name__}: has no __iter__; define one")


class TensorDataset(Dataset):
    """Arrays or tensors of equal length: item i is their i-th rows.

    transform, if given, gets (first array's rows, generator) for a whole batch: augmentation. It is
    applied by DataLoader, through Subset and ConcatDataset too; `dataset[i]` is the untouched item.
    """

    def __init__(
        self, *tensors: Any, transform: Callable[[np.ndarray, Generator], np.ndarray] | None = None
    ) -> None:
        if not tensors:
            raise ValueError("TensorDataset: expected at least one tensor, got none")
        self.tensors = tuple(t._data if isinstance(t, Tensor) else np.asarray(t) for t in tensors)
        shapes = [t.shape for t in self.tensors]
        if not all(shapes) or len({shape[0] for shape in shapes}) != 1:
            raise ValueError(f"TensorDataset: expected arrays of equal length (N, ...), got shapes {shapes}")
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

    def item(self, index: int, generator: Generator) -> tuple:
        """One item, transformed."""
        return tuple(part[0] for part in self.batch(np.array([index]), generator))


class Subset(Dataset):
    """Some of a dataset's items, by index (or a mask of booleans)."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        chosen, n = np.asarray(indices), len(dataset)
        if chosen.dtype == bool and chosen.shape == (n,):
            chosen = np.flatnonzero(chosen)
        if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
            raise ValueError(
                f"Subset: expected a list of whole numbers, got {chosen.dtype} of shape {chosen.shape}"
            )
        if chosen.size and not -n <= chosen.min() <= chosen.max() < n:
            raise ValueError(
                f"Subset: expected indices in [0, {n}), got {chosen.min()} to {chosen.max()}; correct them"
            )
        self.dataset, self.indices = dataset, chosen.astype(np.int64) % max(n, 1)
        if hasattr(dataset, "batch"):
            self.batch = lambda rows, generator: dataset.batch(self.indices[rows], generator)
        if hasattr(dataset, "item"):
            self.item = lambda i, generator: dataset.item(int(self.indices[i]), generator)

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
        dataset, i = self._place(index)
        return dataset[i]

    def item(self, index: int, generator: Generator) -> Any:
        """One item, drawn from `generator` if its dataset draws."""
        dataset, i = self._place(index)
        return dataset.item(i, generator) if hasattr(dataset, "item") else dataset[i]

    def _place(self, index: int) -> tuple[Any, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"ConcatDataset: index {index} is out of range for {len(self)} items")
        index %= len(self)
        which = bisect.bisect_right(self.ends, index)
        return self.datasets[which], index - (self.ends[which - 1] if which else 0)


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """Disjoint random subsets of the given lengths, or fractions that add up to 1."""
    n, wanted = len(dataset), list(lengths)
    if wanted and all(isinstance(part, float) for part in wanted) and abs(sum(wanted) - 1.0) < 1e-9:
        counts = [int(part * n) for part in wanted]
        for i in range(n - sum(counts)):
            counts[i % len(counts)] += 1
    else:
        counts = [int(part) for part in wanted]
    if not counts or sum(counts) != n or min(counts) < 0:
        raise ValueError(
            f"random_split: expected lengths that add up to {n} (or fractions to 1), got {wanted}"
        )
    order = (stream.default_generator if generator is None else generator).permutation(n)
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(counts)[:-1])]


def stack_items(items: Sequence[Any]) -> Any:
    """A batch from items (default_collate): arrays and numbers are stacked, tuples and dicts taken apart.

    Python floats give float64, integers int64, strings a list. Raises ValueError for items of different
    shape, length or keys, TypeError for a type that has no batch.

    >>> from minigrad.data import default_collate
    >>> default_collate([{"x": 1, "y": (2.0, "a")}, {"x": 3, "y": (4.0, "b")}])
    {'x': tensor([1, 3]), 'y': (tensor([2., 4.], dtype=float64), ['a', 'b'])}
    """
    if not items:
        raise ValueError("DataLoader: cannot make a batch of no items")
    first = items[0]
    if isinstance(first, str | bytes):
        return list(items)
    if isinstance(first, Tensor | np.ndarray | np.generic | bool | int | float | complex):
        return _stack_arrays(items)
    if isinstance(first, collections.abc.Mapping):
        if any(item.keys() != first.keys() for item in items):
            raise ValueError(
                f"DataLoader: expected items with the keys {list(first)}; pass collate_fn for others"
            )
        return {key: stack_items([item[key] for item in items]) for key in first}
    if isinstance(first, tuple | list):
        if any(len(item) != len(first) for item in items):
            raise ValueError("DataLoader: expected items of equal length; pass collate_fn for others")
        parts = [stack_items(column) for column in zip(*items)]
        return (
            type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
        )  # a named tuple or not
    raise TypeError(f"DataLoader: cannot batch items of {type(first).__name__}; pass collate_fn")


def _stack_arrays(items: Sequence[Any]) -> Tensor:
    """Arrays, tensors or numbers of one shape along a new first axis."""
    shapes = {np.shape(item._data if isinstance(item, Tensor) else item) for item in items}
    if len(shapes) > 1:
        a, b = sorted(shapes)[:2]
        raise ValueError(
            f"DataLoader: expected items of one shape, got {a} and {b}; pad them or pass collate_fn"
        )
    if isinstance(items[0], Tensor):
        return stack(list(items))
    return Tensor(np.stack([np.asarray(item) for item in items]))


def check_finite(name: str, array: Any) -> None:
    """ValueError naming the first element that is NaN or infinite."""
    raw = array._data if isinstance(array, Tensor) else np.asarray(array)
    if not (is_float(raw.dtype) or raw.dtype.kind == "c"):
        return
    finite = np.isfinite(raw)
    if not finite.all():
        at = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{name}: expected finite numbers, got {raw[at]} at index {at}; clean the data first"
        )


def batches_of(order: np.ndarray, size: int, drop_last: bool) -> list[np.ndarray]:
    """Indices cut into batches."""
    cut = [order[i : i + size] for i in range(0, len(order), size)]
    return cut[:-1] if drop_last and cut and len(cut[-1]) < size else cut
