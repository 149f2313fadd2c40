"""detect_anomaly(): find the op that made the first NaN, and any write NumPy did not announce.

Off, it costs nothing. On, every result and every gradient is looked at, and what an op saves is
fingerprinted, so that even a write through the raw array (`t.data[0] = 5`) is an error.
"""

from __future__ import annotations

import traceback
import zlib
from typing import Any

import numpy as np

from .backend import is_float, to_numpy
from .node import Node
from .recording import enter, leave, recording
from .tensor import Tensor

__all__ = ["detect_anomaly"]


class detect_anomaly(recording):
    """`with detect_anomaly():` the forward and backward inside name the op that goes wrong.

    Raises FloatingPointError at the first op whose result is not finite though its inputs are, or
    whose VJP makes a non-finite gradient from a finite one; ValueError where a saved array was
    written to behind the engine's back. Made for finding a fault: several times slower.

    >>> import minigrad as mg
    >>> x = mg.tensor([4.0, 0.0], requires_grad=True)
    >>> with mg.detect_anomaly():
    ...     mg.sqrt(x).sum().backward()
    Traceback (most recent call last):
    FloatingPointError: backward of sqrt (made at ...): the gradient of x is inf at index (1,)
    """

    def __init__(self) -> None:
        super().__init__(True)
        self.quiet = np.errstate(all="ignore")  # NumPy's own warnings say less than what is raised here

    def __enter__(self) -> None:
        enter(Watcher())
        self.quiet.__enter__()

    def __exit__(self, *exc: object) -> None:
        self.quiet.__exit__(*exc)
        leave()


class Watcher:
    """What `mode.recording` holds while anomalies are looked for: sees every recorded op."""

    def aside(self, y: Tensor, op: Any, args: tuple, meta: dict) -> Tensor:
        """A result without history is none of its business."""
        return y

    def watch(self, y: Tensor, arrays: list, args: tuple = ()) -> Tensor:
        """Check a fresh result, and remember its origin and its saved arrays' fingerprints."""
        node = y._node
        watch = node.watch = Watch(node)
        bad = _first_bad(y._data)
        if bad and not any(_first_bad(a) for a in arrays):
            raise FloatingPointError(
                f"{node.op.name} (at {watch.place}): the result is {bad}, the inputs are finite"
            )
        return y


class Watch:
    """One node's origin, and what its saved arrays held when it was made."""

    def __init__(self, node: Node) -> None:
        self.place = _users_line()
        self.prints = [_fingerprint(value) for value in node.saved]

    def check_saved(self, node: Node) -> None:
        """Every saved array still holds what it held."""
        for before, value in zip(self.prints, node.saved or (), strict=False):
            if _fingerprint(value) != before:
                raise ValueError(
                    f"backward: an array saved by '{node.op.name}' (made at {self.place}) was written to "
                    "since, through the raw array; write to a copy"
                )

    def check_gradients(self, node: Node, g: Any, grads: list) -> None:
        """A finite gradient must stay finite on its way through a VJP."""
        if _first_bad(g):
            return
        for i, gi in enumerate(grads):
            bad = _first_bad(gi)
            if bad:
                name = node.op.arrays[i] if i < len(node.op.arrays) else f"input {i}"
                raise FloatingPointError(
                    f"backward of {node.op.name} (made at {self.place}): the gradient of {name} is {bad}"
                )


def _first_bad(array: Any) -> str | None:
    """'nan at index (0, 2)' for the first non-finite element of a floating array."""
    if not hasattr(array, "dtype") or not is_float(array.dtype):
        return None
    values = np.asarray(to_numpy(array)) if hasattr(array, "get") else np.asarray(array)
    bad = np.argwhere(~np.isfinite(values))
    if not len(bad):
        return None
    index = tuple(int(i) for i in bad[0])
    return f"{values[index]} at index {index}"


def _fingerprint(value: Any) -> int | None:
    if not hasattr(value, "dtype"):
        return None
    return zlib.crc32(np.ascontiguousarray(to_numpy(value) if hasattr(value, "get") else value).tobytes())


def _users_line() -> str:
    """File and line of the innermost frame outside this package."""
    package = __name__.partition(".")[0]
    for frame, line in traceback.walk_stack(None):
        if frame.f_globals.get("__name__", "").partition(".")[0] != package:
            return f"{frame.f_code.co_filename}:{line}"
    return "unknown line"
