"""DataLoader: batches in a reproducible order, prepared in the background.

Which samples are in batch b of epoch e, and the random numbers that transform them, depend on
(seed, e, b) alone. Workers are threads (NumPy works outside the interpreter lock), so their number
changes the speed and nothing else, and a run can be taken up in the middle of an epoch.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import operator
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Generator as Generated
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from ..engine import gpu
from ..engine import random as stream
from ..engine.random import Generator
from ..engine.tensor import Tensor
from .dataset import IterableDataset, batches_of, stack_items
from .prefetch import mapped

BATCH, ITEM = 1, 2  # what a stream of random numbers is for: the last part of its key


class DataLoader:
    """Iterate over `dataset` in batches. PyTorch's arguments; num_workers counts threads.

    shuffle: a new order each epoch, from `generator` (a stream of the default seed otherwise). A dataset
    with `batch(indices, generator)` is asked for a whole batch at once, one with `item(index, generator)`
    for each item with random numbers of its own. Each `iter()` begins the next epoch from its start;
    only `load_state_dict` goes on in the middle. pin_memory: batches lie in page-locked memory, from which
    a GPU copies while the program goes on (`prefetch` does both); without a GPU it changes nothing.
    Arguments that belong to processes are refused: there are none.

    Raises ValueError for arguments that exclude each other and for an empty dataset; an item that
    fails raises RuntimeError naming its index, wherever it was read.

    >>> import numpy as np
    >>> from minigrad.data import DataLoader, TensorDataset
    >>> [x.tolist() for (x,) in DataLoader(TensorDataset(np.arange(5)), batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
    ) -> None:
        refused = {
            "timeout": timeout, "worker_init_fn": worker_init_fn,
            "multiprocessing_context": multiprocessing_context, "persistent_workers": persistent_workers,
        }  # fmt: skip
        for name, value in refused.items():
            if value:
                raise ValueError(
                    f"DataLoader: {name}={value!r} is not supported: workers are threads; leave it out"
                )
        _whole_number("num_workers", num_workers, 0)
        _whole_number("prefetch_factor", 2 if prefetch_factor is None else prefetch_factor, 1)
        if batch_sampler is None:
            _whole_number("batch_size", batch_size, 1)
        elif batch_size != 1 or shuffle or sampler is not None or drop_last:
            raise ValueError("DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last")
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: a sampler sets the order itself; leave shuffle out")
        for name, given in (("sampler", sampler), ("batch_sampler", batch_sampler)):
            if given is not None and (not hasattr(given, "__iter__") or iter(given) is given):
                raise TypeError(
                    f"DataLoader: expected a {name} that can be iterated over every epoch, "
                    f"got {type(given).__name__}; make it a list"
                )
        if generator is not None and not isinstance(generator, Generator):
            raise TypeError(
                f"DataLoader: expected a minigrad Generator, got {type(generator).__name__}; "
                "make one with minigrad.engine.random.Generator(seed)"
            )
        self._stream = isinstance(dataset, IterableDataset)
        if self._stream and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError(
                "DataLoader: an IterableDataset has its own order; leave shuffle and samplers out"
            )
        if not self._stream and not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise TypeError(
                f"DataLoader: expected a dataset with __len__ and __getitem__, got {type(dataset).__name__}; "
                "derive a stream from IterableDataset"
            )
        if not self._stream and len(dataset) == 0:
            raise ValueError("DataLoader: expected a dataset with items, got an empty one")
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, bool(shuffle)
        self.sampler, self.batch_sampler, self.drop_last = sampler, batch_sampler, drop_last
        self.num_workers, self.prefetch_factor = num_workers, prefetch_factor or 2
        self.collate_fn = collate_fn or stack_items
        self.pin_memory = bool(pin_memory) and gpu.cuda_is_available()
        self._whole = collate_fn is None and hasattr(dataset, "batch")
        self.generator = Generator(stream.initial_seed()) if generator is None else generator
        self.epoch = 0
        self.position = 0  # batches already given out in this epoch
        self._resumed = False

    def __len__(self) -> int:
        """Batches in an epoch. Raises TypeError where that is not known beforehand."""
        if self.batch_sampler is not None:
            return len(self.batch_sampler)  # type: ignore[arg-type]
        n = len(self.sampler if self.sampler is not None else self.dataset)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    # -- stopping and going on

    def state_dict(self) -> dict[str, Any]:
        """Epoch, position in it and the random stream: enough to go on in the middle."""
        return {"epoch": self.epoch, "position": self.position, "generator": self.generator.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next iteration goes on where `state` was taken. ValueError for another loader's state."""
        wanted = {"epoch", "position", "generator"}
        if not isinstance(state, dict) or set(state) != wanted:
            raise ValueError(f"DataLoader: expected a state with the keys {sorted(wanted)}, got {state!r}")
        _whole_number("epoch", state["epoch"], 0)
        _whole_number("position", state["position"], 0)
        with contextlib.suppress(TypeError):  # of unknown length
            if state["position"] > len(self):
                raise ValueError(
                    f"DataLoader: the state stands at batch {state['position']} of an epoch, this loader has "
                    f"{len(self)}; load it into a loader of the same data and batch_size"
                )
        self.generator.load_state_dict(state["generator"])
        self.epoch, self.position, self._resumed = state["epoch"], state["position"], True

    # -- one epoch

    def __iter__(self) -> Iterator[Any]:
        if self.position and not self._resumed:  # the last epoch was left early
            self.epoch, self.position = self.epoch + 1, 0
        self._resumed = False
        epoch, start = self.epoch, self.position
        if self._stream:
            total, jobs = None, self._read(start)
        else:
            order = self._order(epoch)
            total, jobs = len(order), self._plan(order, epoch, start)
        with contextlib.closing(self._run(jobs)) as batches:
            for number, batch in enumerate(batches, start=start + 1):
                # The epoch is over once its last batch is out: a state taken now goes on with the next.
                self.epoch, self.position = (epoch + 1, 0) if number == total else (epoch, number)
                yield batch
        if self.epoch == epoch:
            self.epoch, self.position = epoch + 1, 0

    def _order(self, epoch: int) -> list[np.ndarray]:
        """The batches of indices of this epoch."""
        if self.batch_sampler is not None:
            return [_indices("batch_sampler", batch) for batch in self.batch_sampler]
        n = len(self.dataset)
        if self.sampler is not None:
            order = _indices("sampler", self.sampler)
        else:
            order = self.generator.fork(epoch).permutation(n) if self.shuffle else np.arange(n)
        return batches_of(order, self.batch_size, self.drop_last)

    def _plan(self, order: list[np.ndarray], epoch: int, start: int) -> Iterator[Callable[[], Any]]:
        """What is to be done for each batch."""
        make = self._rows if self._whole else self._items
        for number in range(start, len(order)):
            yield lambda number=number: self._placed(make(order[number], epoch, number))

    def _read(self, start: int) -> Iterator[Callable[[], Any]]:
        """Items of a stream, read here one after another; only putting them together is done elsewhere."""
        items = itertools.islice(iter(self.dataset), start * self.batch_size, None)
        while chunk := list(itertools.islice(items, self.batch_size)):
            if len(chunk) == self.batch_size or not self.drop_last:
                yield lambda chunk=chunk: self._placed(self.collate_fn(chunk))

    def _placed(self, batch: Any) -> Any:
        return mapped(lambda t: t.pin_memory(), batch) if self.pin_memory else batch

    def _rows(self, indices: np.ndarray, epoch: int, number: int) -> tuple:
        """One batch, all rows at once."""
        n = len(self.dataset)
        outside = indices[(indices < -n) | (indices >= n)]
        if outside.size:
            raise IndexError(
                f"DataLoader: index {outside[0]} is out of range for {n} items; correct the sampler"
            )
        try:
            parts = self.dataset.batch(indices, self.generator.fork(epoch, number, BATCH))
        except Exception as error:
            raise RuntimeError(
                f"DataLoader: batch {number} (dataset[{indices[0]}], ...) failed: {_words(error)}"
            ) from error
        return tuple(Tensor(part) for part in parts)

    def _items(self, indices: np.ndarray, epoch: int, number: int) -> Any:
        """One batch, item by item; a failing one is named."""
        items, draws = [], hasattr(self.dataset, "item")
        for i in indices.tolist():
            try:
                if draws:
                    items.append(self.dataset.item(i, self.generator.fork(epoch, i, ITEM)))
                else:
                    items.append(self.dataset[i])
            except Exception as error:
                raise RuntimeError(f"DataLoader: dataset[{i}] failed: {_words(error)}") from error
        return self.collate_fn(items)

    def _run(self, jobs: Iterator[Callable[[], Any]]) -> Generated[Any, None, None]:
        """The batches in order, a few of them made ahead by threads."""
        if not self.num_workers:
            for job in jobs:
                yield job()
            return
        with ThreadPoolExecutor(self.num_workers, thread_name_prefix="minigrad-loader") as pool:
            ahead: collections.deque[Future] = collections.deque()
            try:
                for job in jobs:
                    ahead.append(pool.submit(job))
                    if len(ahead) >= self.num_workers * self.prefetch_factor:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:  # also when the consumer leaves early: leaving `with` then waits for what is running
                for future in ahead:
                    future.cancel()


def _whole_number(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"DataLoader: expected a whole number >= {least} ({name}={value!r})")


def _indices(name: str, given: Iterable[Any]) -> np.ndarray:
    """Indices as int64. Raises TypeError for anything else than whole numbers."""
    try:
        return np.array([operator.index(i) for i in given], dtype=np.int64)
    except TypeError as error:
        raise TypeError(f"DataLoader: expected whole numbers from the {name}: {error}") from None


def _words(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {error}"
