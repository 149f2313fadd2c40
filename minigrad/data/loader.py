"""DataLoader: batches in a reproducible order, prepared in the background.

Which samples are in batch b of epoch e, and the random numbers that transform them, depend on
(seed, e, b) alone. Workers are threads (NumPy works outside the interpreter lock), so their number
changes the speed and nothing else, and a run can be taken up in the middle of an epoch.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from ..engine import random as stream
from ..engine.random import Generator
from ..engine.tensor import Tensor
from .dataset import batches_of, stack_items


class DataLoader:
    """Iterate over `dataset` in batches. PyTorch's arguments; num_workers counts threads.

    shuffle: a new order each epoch, from `generator` (the default stream's seed otherwise). A dataset
    with `batch(indices, generator)` is asked for a whole batch at once. pin_memory, timeout and
    process options are refused: there are no processes.

    >>> import numpy as np
    >>> from minigrad.data import DataLoader, TensorDataset
    >>> [x.tolist() for (x,) in DataLoader(TensorDataset(np.arange(5)), batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        generator: Generator | None = None,
        *,
        prefetch_factor: int = 2,
    ) -> None:
        if pin_memory or timeout:
            raise ValueError("DataLoader: pin_memory and timeout are not supported; leave them out")
        if isinstance(num_workers, bool) or not isinstance(num_workers, int) or num_workers < 0:
            raise ValueError(f"DataLoader: expected a whole number >= 0 (num_workers={num_workers!r})")
        if batch_sampler is None and (not isinstance(batch_size, int | np.integer) or batch_size < 1):
            raise ValueError(f"DataLoader: expected a whole number >= 1 (batch_size={batch_size!r})")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError("DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last")
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: a sampler sets the order itself; leave shuffle out")
        if prefetch_factor < 1:
            raise ValueError(f"DataLoader: expected a whole number >= 1 (prefetch_factor={prefetch_factor})")
        if len(dataset) == 0:
            raise ValueError("DataLoader: expected a dataset with items, got an empty one")
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, bool(shuffle)
        self.sampler, self.batch_sampler, self.drop_last = sampler, batch_sampler, drop_last
        self.num_workers, self.prefetch_factor = num_workers, prefetch_factor
        self.collate_fn = collate_fn or stack_items
        self._whole = collate_fn is None and hasattr(dataset, "batch")
        self.generator = generator or Generator(stream.initial_seed())
        self.epoch = 0
        self.position = 0  # batches already given out in this epoch

    def __len__(self) -> int:
        if self.batch_sampler is not None:
            return len(self.batch_sampler)  # type: ignore[arg-type]
        n = len(self.sampler) if self.sampler is not None else len(self.dataset)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def state_dict(self) -> dict[str, Any]:
        """Epoch, position in it and the random stream: enough to go on in the middle."""
        return {"epoch": self.epoch, "position": self.position, "generator": self.generator.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next iteration goes on where `state` was taken."""
        self.epoch, self.position = int(state["epoch"]), int(state["position"])
        self.generator.load_state_dict(state["generator"])

    def _order(self) -> list[Any]:
        """The batches of indices of this epoch."""
        if self.batch_sampler is not None:
            return [np.asarray(list(b), dtype=np.int64) for b in self.batch_sampler]
        if self.sampler is not None:
            return batches_of(iter(self.sampler), self.batch_size, self.drop_last)
        n = len(self.dataset)
        order = self.generator.fork(self.epoch).permutation(n) if self.shuffle else np.arange(n)
        return batches_of(order, self.batch_size, self.drop_last)

    def _make(self, epoch: int, number: int, indices: np.ndarray) -> Any:
        """One batch; a failing item is named."""
        if self._whole:
            parts = self.dataset.batch(indices, self.generator.fork(epoch, number, 1))
            return tuple(Tensor(part) for part in parts)
        items = []
        for i in indices:
            try:
                items.append(self.dataset[int(i)])
            except Exception as error:
                raise RuntimeError(
                    f"DataLoader: dataset[{int(i)}] failed: {type(error).__name__}: {error}"
                ) from error
        return self.collate_fn(items)

    def __iter__(self) -> Iterator[Any]:
        order = self._order()
        start, epoch = self.position, self.epoch
        jobs = ((epoch, number, order[number]) for number in range(start, len(order)))
        for number, batch in enumerate(self._run(jobs), start=start + 1):
            self.position = number
            if number == len(order):  # the epoch is over once its last batch is out
                self.epoch, self.position = epoch + 1, 0
            yield batch
        if start >= len(order):
            self.epoch, self.position = epoch + 1, 0

    def _run(self, jobs: Iterator[tuple]) -> Iterator[Any]:
        """The batches in order, a few of them made ahead by threads."""
        if not self.num_workers:
            yield from (self._make(*job) for job in jobs)
            return
        with ThreadPoolExecutor(self.num_workers, thread_name_prefix="minigrad-loader") as pool:
            ahead: collections.deque[Future] = collections.deque()
            try:
                for job in jobs:
                    ahead.append(pool.submit(self._make, *job))
                    if len(ahead) >= self.num_workers * self.prefetch_factor:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()
