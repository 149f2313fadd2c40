"""A stand-in for cuBLAS on host memory: compiled once, `asked()` what it was asked, `fail()` plants an error."""

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

__all__ = ["Asked", "asked", "compiled", "fail"]

SOURCE = Path(__file__).with_name("blas.cpp")


class Asked(ctypes.Structure):
    """What the library was asked last, and how often."""

    _fields_ = [(name, ctypes.c_longlong) for name in (
        "gemms", "matmuls", "heuristics", "handles", "compute", "stream", "workspace", "bytes", "math", "batch",
        "ta", "tb", "epilogue", "reduction", "m", "n", "k",
    )]  # fmt: skip


@functools.cache
def compiled(*options: str) -> str:
    """Path of the library; FileNotFoundError where there is no g++."""
    compiler = shutil.which("g++")
    if compiler is None:
        raise FileNotFoundError("stand_in_blas: expected g++ on the path")
    name = hashlib.sha256(SOURCE.read_bytes() + " ".join(options).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"minigrad-stand-in-blas-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"libcublas-{name}.so"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=folder) as here:
            built = Path(here) / "blas.so"
            flags = ["-std=c++17", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-Wall", "-Werror"]
            subprocess.run([compiler, *flags, *options, str(SOURCE), "-o", str(built)], check=True)
            built.replace(target)  # at once: another process may want it too
    return str(target)


def _library():
    return ctypes.CDLL(compiled())


def asked() -> Asked:
    """The record itself: it changes with every call."""
    function = _library().stand_in_asked
    function.restype = ctypes.POINTER(Asked)
    return function().contents


def fail(function: str, status: int) -> None:
    """The next call of that function gives this status."""
    _library().stand_in_fail(function.encode(), ctypes.c_int(status))
