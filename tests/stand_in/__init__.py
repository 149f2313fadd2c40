"""CuPy's manners over NumPy, for machines without a GPU: what a program gets wrong about two libraries fails here.

`install()` puts it in CuPy's place for this process, `remove()` takes it away. Its arrays are no NumPy arrays,
NumPy cannot convert them silently, and the two kinds do not mix. Kernel texts are compiled by g++ and run as
they are. Nothing is said about speed. What the program did is in `ledger`, what a test may change in `settings`.

    def test_mine(stand_in):            the fixture: `import cupy` gives this, empty, for one test
    pytest --check-kernels              every access of a kernel is looked at (emulation/checks.hpp)
    pytest --stand-in-gpu tests/...     the whole session runs on it, as with --device cuda
"""

import functools
import sys
import types

import numpy as np

from . import arrays, compile, functions, memory, methods, modules, project, streams
from .cuda_module import cuda, cupyx
from .settings import ledger, settings

__all__ = ["available", "cupy", "cupyx", "install", "ledger", "remove", "reset", "settings"]

available = compile.available


class _Cupy(types.ModuleType):
    """The module `cupy`: what is not set here is looked up by name."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return functions.lookup(name)


cupy = _Cupy("cupy")
cupy.__version__, cupy.__file__ = "14.2.0", __file__  # its lines are not the user's
cupy.ndarray, cupy.ufunc, cupy.cuda = arrays.ndarray, functions.ufunc, cuda
cupy.RawModule, cupy.RawKernel = modules.RawModule, modules.RawKernel
cupy.get_default_memory_pool = lambda: memory.process.pool
cupy.get_default_pinned_memory_pool = lambda: memory.process.pinned
cupy.memoize = lambda *args, **kw: functools.cache
NAMES = {
    "cupy": cupy, "cupy.cuda": cuda, "cupy.cuda.runtime": cuda.runtime, "cupy.cuda.memory": cuda.memory,
    "cupy.cuda.stream": cuda.stream, "cupyx": cupyx,
}  # fmt: skip


def install():
    """From now on `import cupy` finds this."""
    sys.modules.update(NAMES)
    project.use_blas()
    project.watch()
    reset()


def remove():
    """From now on it does not."""
    reset()
    project.use_blas(False)
    project.watch(False)
    for name in NAMES:
        sys.modules.pop(name, None)


def reset():
    """As in a new process: the default stream and pool, an empty ledger."""
    streams.reset()
    memory.reset()
    project.forget()
    ledger.clear()
    settings.__dict__.clear()
