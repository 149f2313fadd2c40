"""Kernels: faster versions of a forward or a backward, found by name and turned off by one line.

`minigrad_kernels` knows which there are. A kernel takes the arguments of what it stands for, gives the
same result, and may decline (NotImplemented); then the readable text beside the op runs. It is
loaded when it is first wanted, by arrays large enough that it pays, so small graphs never load Numba.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad_kernels import cpu

__all__ = ["reference_mode"]


class _Mode(threading.local):
    reference = False


mode = _Mode()


@contextlib.contextmanager
def reference_mode() -> Iterator[None]:
    """Run the readable text only: no kernels inside this block (per thread)."""
    former, mode.reference = mode.reference, True
    try:
        yield
    finally:
        mode.reference = former


@contextlib.contextmanager
def anysize() -> Iterator[None]:
    """Use kernels also where arrays are too small for them to pay, in all threads: so tests see them."""
    kernels = [kernel(name) for name in cpu.TABLE]
    former = [k.least for k in kernels]
    for k in kernels:
        k.least = 0
    try:
        yield
    finally:
        for k, least in zip(kernels, former, strict=True):
            k.least = least


def _forked() -> None:
    """OpenMP's threads do not survive a fork, and entering them would end the child."""
    kernels = [kernel(name) for name in cpu.TABLE]
    ran = any(k.function is not None for k in kernels)
    for k in kernels:
        k.missing = k.missing or ran


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class Kernel:
    """One row of the kernels' table, which loads its function when it is first wanted."""

    def __init__(self, name: str) -> None:
        _, self.least, floats = cpu.TABLE[name]
        self.name = name
        self.declined = "".join(c for c in "efdgFDG" if c not in floats)
        self.function: Callable | None = None
        self.missing = False

    def __repr__(self) -> str:
        return f"<kernel {self.name}>"

    def __call__(self, *args: Any, **meta: Any) -> Any:
        """The kernel's result, or NotImplemented: other dtypes, small arrays, no Numba, its own choice."""
        if self.missing or mode.reference or not self._wants(args):
            return NotImplemented
        if self.function is None and not self._load():
            return NotImplemented
        return self.function(*args, **meta)

    def _wants(self, args: tuple) -> bool:
        """NumPy arrays of its dtypes, one of them large enough; what is no array is no matter."""
        large = self.least == 0
        for a in args:
            if type(a) is np.ndarray:
                if a.dtype.char in self.declined:
                    return False
                large = large or a.size >= self.least
            elif hasattr(a, "dtype"):  # a Tensor (create_graph), another library's array, a subclass
                return False
        return large

    def _load(self) -> bool:
        try:
            self.function = cpu.find(self.name)
        except ImportError as error:
            self.missing = True
            if error.name not in ("numba", "llvmlite"):  # there, but not working: that is worth a word
                warnings.warn(f"kernels: {self.name} is not used: {error}", RuntimeWarning, stacklevel=3)
        return self.function is not None


@functools.cache
def kernel(name: str) -> Kernel | None:
    """The kernel of that name, if there is one: "conv", "relu.x" (a VJP), "normalise.joint"."""
    return Kernel(name) if name in cpu.TABLE else None


def vjp_with_kernel(name: str, vjp: Callable) -> Callable:
    """A VJP that tries its kernel first; the VJP itself if there is none."""
    faster = kernel(name)
    if faster is None:
        return vjp

    def either(g: Any, *args: Any, **meta: Any) -> Any:
        if type(g) is np.ndarray and g.size < faster.least:  # most often, and cheaper than to ask the kernel
            return vjp(g, *args, **meta)
        y = faster(g, *args, **meta)
        return vjp(g, *args, **meta) if y is NotImplemented else y

    return either
