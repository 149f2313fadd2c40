"""OpenBLAS picks its matrix kernels when NumPy loads; this helps it to pick well.

The OpenBLAS inside NumPy's wheels may not know a new AVX-512 processor and then falls back to
AVX2 kernels, at about half the speed. `OPENBLAS_CORETYPE` in the environment overrules its choice,
if it is set before NumPy loads: this module therefore imports no NumPy, nor does its package.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

__all__ = ["choose_core", "core_in_use", "has_avx512", "limit_threads", "openblas_function", "rest_when_idle"]

# What OpenBLAS's SkylakeX kernels use; a processor with all of these runs them.
_NEEDED = {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}


def has_avx512(cpuinfo: str = "/proc/cpuinfo") -> bool:
    """True if this processor runs OpenBLAS's AVX-512 kernels (False where that cannot be read)."""
    try:
        lines = Path(cpuinfo).read_text().splitlines()
    except OSError:
        return False
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), [])
    return set(flags) >= _NEEDED


def choose_core() -> str | None:
    """Ask for AVX-512 kernels where the processor has them; the user's own choice is kept.

    Returns the value of OPENBLAS_CORETYPE, None if it stays unset. No effect once NumPy is loaded.
    """
    if has_avx512():
        os.environ.setdefault("OPENBLAS_CORETYPE", "SKYLAKEX")
    return os.environ.get("OPENBLAS_CORETYPE")


def rest_when_idle() -> None:
    """Let OpenBLAS's idle threads spin for milliseconds, not a tenth of a second; the user's choice is kept.

    Between two products they otherwise keep a core busy that the rest of the program wants (beside
    PyTorch's threads, seen to double the time of a training step). No effect once NumPy is loaded.
    """
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "24")  # 2^24 ticks


def core_in_use() -> str | None:
    """The kernels that the OpenBLAS of this process runs, such as 'Haswell' or 'SkylakeX'.

    None if no OpenBLAS is loaded, or it cannot be asked.
    """
    ask = openblas_function("get_corename")
    if ask is None:
        return None
    ask.restype = ctypes.c_char_p
    return ask().decode()


def limit_threads(count: int) -> bool:
    """Let OpenBLAS use `count` threads from now on; False if there is none to tell.

    Its threads wait for each other by spinning, so that small products slow down many times over
    when another thread or program wants the same cores.
    """
    tell = openblas_function("set_num_threads")
    if tell is None:
        return False
    tell.argtypes, tell.restype = [ctypes.c_int], None
    tell(count)
    return True


def openblas_function(function: str, suffixes: tuple[str, ...] = ("64_", "")) -> Any:
    """A function of the OpenBLAS that NumPy has loaded, under whatever name its build gives it; else None."""
    found = _known.get((function, suffixes))
    if found is None:  # perhaps not loaded yet: asked again next time
        found = _known[function, suffixes] = _search(function, suffixes)
    return found


_known: dict[tuple, Any] = {}


def _search(function: str, suffixes: tuple[str, ...]) -> Any:
    """Look through the libraries of this process."""
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return None
    paths = {line.split()[-1] for line in maps.splitlines() if "openblas" in line}
    # NumPy's own copy first, should another package have brought a second one.
    for path in sorted(paths, key=lambda p: ("numpy" not in p, p)):
        library = ctypes.CDLL(path)
        for prefix in ("scipy_", "") if function.startswith("cblas_") else ("scipy_openblas_", "openblas_"):
            for suffix in suffixes:
                found = getattr(library, f"{prefix}{function}{suffix}", None)
                if found is not None:
                    return found
    return None
