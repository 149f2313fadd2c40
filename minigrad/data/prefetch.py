"""Batches on a GPU before they are wanted: copied from pinned memory on a stream of their own.

While a step works on one batch, the next is on its way. The copy waits for the work that was queued before
it (the memory it writes to may have been another array's), and the step for the copy; the host for neither.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..cuda.streams import Event, Stream, current_stream, stream
from ..engine import gpu
from ..engine.backend import Device
from ..engine.tensor import Tensor

__all__ = ["mapped", "prefetch"]


class prefetch:
    """Iterate over the batches of `loader`, their tensors on `device`, `ahead` of them copied beforehand.

    The numbers and their order are the loader's. For the CPU only tensors elsewhere are copied. As of a
    DataLoader, state_dict() tells where the program stands, whatever has been read ahead.

    >>> import numpy as np
    >>> from minigrad.data import DataLoader, TensorDataset, prefetch
    >>> loader = DataLoader(TensorDataset(np.arange(5)), batch_size=2)
    >>> [x.tolist() for (x,) in prefetch(loader, "cpu")]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, loader: Any, device: Any = "cuda", ahead: int = 2) -> None:
        if isinstance(ahead, bool) or not isinstance(ahead, int) or ahead < 1:
            raise ValueError(f"prefetch: expected a whole number >= 1 (ahead={ahead!r})")
        self.loader, self.device, self.ahead = loader, Device(device), ahead
        _ = self.device.xp  # a device that is not there is refused now
        self._state: Any = None

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.loader)

    def state_dict(self) -> Any:
        """Where the program stands in the loader. TypeError if the loader does not know."""
        return self.loader.state_dict() if self._state is None else self._state

    def load_state_dict(self, state: Any) -> None:
        """The next iteration goes on where `state` was taken."""
        self.loader.load_state_dict(state)
        self._state = None

    def __iter__(self) -> Iterator[Any]:
        if self.device.kind == "cpu":
            for batch in self.loader:
                yield mapped(lambda t: t.to(self.device), batch)
            return
        side, waiting = Stream(self.device), collections.deque[tuple]()
        try:
            for batch in self.loader:
                waiting.append((*self._sent(batch, side), self._loaders_state()))
                if len(waiting) > self.ahead:
                    yield self._arrived(*waiting.popleft())
            while waiting:
                yield self._arrived(*waiting.popleft())
        finally:  # left early: what is still on its way must not meet what comes to lie there next
            current_stream().wait_stream(side)

    def _loaders_state(self) -> Any:
        return self.loader.state_dict() if hasattr(self.loader, "state_dict") else None

    def _sent(self, batch: Any, side: Stream) -> tuple[Any, Event]:
        """The batch there, and the event after which it is."""
        _ = self.device.xp  # its memory is taken from the stream that uses it, and given back there

        def send(t: Tensor) -> Tensor:
            if not isinstance(t._data, np.ndarray):
                return t.to(self.device)
            there = gpu.load_cupy().empty(t.shape, t.dtype)
            side.wait_stream(current_stream())
            ready = gpu.is_pinned(t._data) and t._data.flags.c_contiguous
            with stream(side):
                gpu.copy_to(there, t._data if ready else gpu.pinned(t._data))
            return Tensor(there)

        return mapped(send, batch), side.record_event()

    def _arrived(self, batch: Any, event: Event, state: Any) -> Any:
        event.wait()
        self._state = state
        return batch


def mapped(f: Callable[[Tensor], Any], batch: Any) -> Any:
    """A batch with f of every tensor in it: tuples, lists and dicts of them; anything else stays."""
    if isinstance(batch, Tensor):
        return f(batch)
    if isinstance(batch, dict):
        return {key: mapped(f, part) for key, part in batch.items()}
    if isinstance(batch, list | tuple):
        parts = [mapped(f, part) for part in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    return batch
