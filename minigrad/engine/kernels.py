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

from minigrad_kernels import cpu, cuda
from minigrad_kernels.layout import on_gpu

__all__ = ["reference_mode"]

PACKAGES = {"cpu": cpu, "cuda": cuda}
TABLES = {kind: package.TABLE for kind, package in PACKAGES.items()}


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
    kernels = [kernel(name, kind) for kind, table in TABLES.items() for name in table]
    former = [k.least for k in kernels]
    for k in kernels:
        k.least = 0
    try:
        yield
    finally:
        for k, least in zip(kernels, former, strict=True):
            k.least = least


def _forked() -> None:
    """Neither OpenMP's threads nor CUDA's context survive a fork; to enter them would end the child."""
    for kind, table in TABLES.items():
        kernels = [kernel(name, kind) for name in table]
        ran = any(k.function is not None for k in kernels)
        for k in kernels:
            k.missing = k.missing or ran


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class Kernel:
    """One row of a device's table of kernels, which loads its function when it is first wanted."""

    def __init__(self, name: str, kind: str = "cpu") -> None:
        _, self.least, floats = TABLES[kind][name]
        self.name, self.kind = name, kind
        self.declined = self.declined_first = "".join(c for c in "eEfdgFDG" if c not in floats)
        if kind != "cpu" and name != "check_range":  # compiled for floats; only other arguments are indices
            self.declined_first += "?bBhHiIlLqQ"
        self.function: Callable | None = None
        self.missing = False

    def __repr__(self) -> str:
        return f"<kernel {self.name} ({self.kind})>"

    def __call__(self, *args: Any, **meta: Any) -> Any:
        """The kernel's result, or NotImplemented: other dtypes, small arrays, no Numba, its own choice."""
        if self.missing or mode.reference or not self._wants(args):
            return NotImplemented
        if self.function is None and not self._load():
            return NotImplemented
        return self.function(*args, **meta)

    def _wants(self, args: tuple) -> bool:
        """Arrays of its device and dtypes, one of them large enough; what is no array is no matter."""
        large, here, declined = self.least == 0, self.kind == "cpu", self.declined_first
        for a in args:
            if type(a) is np.ndarray if here else on_gpu(a):
                if a.dtype.char in declined:
                    return False
                declined = self.declined
                large = large or a.size >= self.least
            elif hasattr(a, "dtype"):  # a Tensor (create_graph), another library's array, a subclass
                return False
        return large

    def _load(self) -> bool:
        try:
            self.function = PACKAGES[self.kind].find(self.name)
        except ImportError as error:
            self.missing = True
            if error.name not in ("numba", "llvmlite"):  # there, but not working: that is worth a word
                warnings.warn(f"kernels: {self.name} is not used: {error}", RuntimeWarning, stacklevel=3)
        return self.function is not None


def kernel(name: str, kind: str = "cpu") -> Kernel | None:
    """A device's kernel of that name, if there is one: "conv", "relu.x" (a VJP), "normalise.joint"."""
    return _kernel(name, kind)


@functools.cache
def _kernel(name: str, kind: str) -> Kernel | None:
    return Kernel(name, kind) if name in TABLES[kind] else None


def kernels_of(name: str) -> dict[str, Callable]:
    """All kernels of that name, by the kind of device."""
    found = {kind: kernel(name, kind) for kind in TABLES}
    return {kind: k for kind, k in found.items() if k is not None}


def kernel_for(name: str, array: Any) -> Callable:
    """The kernel of that name where `array` lives; what declines every job if there is none."""
    return kernel(name, "cpu" if type(array) is np.ndarray else "cuda") or (
        lambda *args, **meta: NotImplemented
    )


def vjp_with_kernel(name: str, vjp: Callable) -> Callable:
    """A VJP that tries its kernel first; the VJP itself if there is none."""
    here, there = kernel(name), kernel(name, "cuda")
    if here is None and there is None:
        return vjp

    def either(g: Any, *args: Any, **meta: Any) -> Any:
        faster = here if type(g) is np.ndarray else there
        if faster is None or g.size < faster.least:  # most often, and cheaper than to ask the kernel
            return vjp(g, *args, **meta)
        y = faster(g, *args, **meta)
        return vjp(g, *args, **meta) if y is NotImplemented else y

    return either
