"""`@jit` and `@parallel`: how every kernel here is compiled, once for a processor, and kept on disk.

Numba compiles a kernel at its first call for some types, which takes seconds; a line on the terminal says so.
The machine code is kept beside this file (or in NUMBA_CACHE_DIR), so the next process only loads it.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
from typing import Any

import numba
from numba import njit
from numba.core import event

__all__ = ["jit", "parallel", "threads"]


def _has_safe_pool() -> bool:
    """Whether threads are there that several Python threads may use at once: OpenMP's or TBB's.

    Numba's own pool may not be entered twice (a data loader's thread beside the training's would end the
    program), so without these two the kernels run on one thread.
    """
    for name in ("omppool", "tbbpool"):
        with contextlib.suppress(ImportError):
            importlib.import_module(f"numba.np.ufunc.{name}")
            return True
    return False


numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]

# A product may be fused with a sum, and a sum taken in any order; NaN and infinity stay what they are.
_HOW = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "reassoc"}}

jit = njit(**_HOW)
parallel = njit(**_HOW, parallel=_has_safe_pool())


def threads() -> int:
    """How many threads a parallel kernel uses: NUMBA_NUM_THREADS, or all cores."""
    return numba.get_num_threads()


class _Progress(event.Listener):
    """One line on the terminal while kernels are compiled: which, and how long it took so far."""

    def __init__(self) -> None:
        self.began: list[float] = []
        self.spent = 0.0

    def on_start(self, event: Any) -> None:
        self.began.append(time.perf_counter())
        function = event.data["dispatcher"].py_func
        if function.__module__.startswith("minigrad_kernels") and len(self.began) == 1:
            self._say(f"compiling {function.__name__} for this processor (kept for the next time)")

    def on_end(self, event: Any) -> None:
        began = self.began.pop()
        if not self.began:
            self.spent += time.perf_counter() - began
            self._say("")

    def _say(self, text: str) -> None:
        if sys.stderr.isatty():
            spent = f", {self.spent:.0f} s so far" if self.spent >= 1 else ""
            sys.stderr.write(f"\r\x1b[K{f'minigrad: {text}{spent}' if text else ''}")
            sys.stderr.flush()


event.register("numba:compile", _Progress())
