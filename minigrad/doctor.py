"""What this machine has, and what to install or set to go faster: `minigrad doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from minigrad_kernels import cuda as cuda_kernels
from minigrad_kernels.cuda import launch as launcher

from . import cuda
from .cuda import cupti
from .engine.gpu import amount, cuda_is_available, load_cupy


class Finding(NamedTuple):
    """One line of the doctor's report: what, how it is, and what to do (if anything)."""

    what: str
    state: str
    advice: str = ""


def examine() -> list[Finding]:
    """Everything worth knowing, in order."""
    return [
        Finding("minigrad", _version("minigrad") or "run from its folder"),
        Finding("Python", platform.python_version()),
        Finding("NumPy", np.__version__),
        _processor(),
        _blas(),
        _threads(),
        _memory(),
        *_gpu(),
        *_extras(),
        _data(),
    ]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> Finding:
    return Finding("processor", f"{platform.processor() or platform.machine()}, {cores()} cores to use")


def _blas() -> Finding:
    """Which matrix kernels run, and whether better ones would."""
    from minigrad_kernels.cpu.blas import core_in_use, has_avx512

    core = core_in_use()
    if core is None:
        return Finding("BLAS", "not OpenBLAS, or it cannot be asked")
    if has_avx512() and core.lower() in ("haswell", "zen"):
        advice = (
            "set OPENBLAS_CORETYPE=SKYLAKEX before Python starts: "
            "this processor has AVX-512, OpenBLAS did not see it"
        )
        return Finding("BLAS", f"OpenBLAS, {core} kernels", advice)
    asked = os.environ.get("OPENBLAS_CORETYPE")
    return Finding("BLAS", f"OpenBLAS, {core} kernels" + (f" (OPENBLAS_CORETYPE={asked})" if asked else ""))


def _threads() -> Finding:
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
    given = {n: os.environ[n] for n in names if n in os.environ}
    if not given:
        return Finding("threads", f"BLAS uses all {cores()} cores")
    told = ", ".join(f"{n}={v}" for n, v in given.items())
    few = any(v.isdigit() and int(v) < cores() for v in given.values())
    return Finding("threads", told, f"unset them to use all {cores()} cores" if few else "")


def _memory() -> Finding:
    """Whether freed arrays stay with the process."""
    from minigrad_kernels.cpu.memory import keep_freed_memory

    if not keep_freed_memory():
        return Finding("memory", "this C library cannot be told to keep what is freed")
    return Finding(
        "memory",
        "the command line keeps what is freed, which makes elementwise work several times faster",
        "in a program of your own call minigrad_kernels.cpu.memory.keep_freed_memory()",
    )


def cuda_driver() -> str | None:
    """The CUDA version that the NVIDIA driver offers, such as '12.4'; None without a driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        said = subprocess.run([program], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"CUDA Version:\s*(\d+\.\d+)", said)
    return found[1] if found else None


def cupy_command(driver: str) -> str:
    """The one command that installs CuPy for a driver of that CUDA version."""
    major = int(driver.split(".")[0])
    if major >= 13:
        return "pip install 'cupy-cuda13x[ctk]'"
    if major == 12:
        return "pip install 'cupy-cuda12x[ctk]'"
    return "update the NVIDIA driver to CUDA 12 or newer"


def _gpu() -> list[Finding]:
    """Driver, CuPy, and what is missing or does not fit."""
    driver = cuda_driver()
    if driver is None:
        return [Finding("GPU", "no NVIDIA driver found; everything runs on the CPU")]
    advice = cupy_advice(driver, cupy_packages())
    if not cuda_is_available():
        state = f"driver for CUDA {driver}, CuPy missing or not working"
        return [Finding("GPU", state, advice or cupy_command(driver))]
    free, total = cuda.mem_get_info()
    told = f"ready: {cuda.get_device_name()}, CUDA {driver}, {amount(free)} of {amount(total)} free"
    reason = cupti.missing()
    return [
        Finding("GPU", f"{told}, --device cuda", advice),
        Finding(
            "ledger", "CUPTI found" if reason is None else "sees minigrad's own copies only", reason or ""
        ),
        Finding("kernels", f"{len(instances())} CUDA kernels", "compile them: minigrad doctor --warm-up"),
    ]


def cupy_packages() -> dict[str, str]:
    """CuPy's packages that are installed, with their versions: only one may be."""
    wheels = ("cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x")
    names = (wheels[0].partition("-")[0], *wheels)  # the first is what is built from source
    return {name: version for name in names if (version := _version(name)) is not None}


def cupy_advice(driver: str, packages: dict[str, str]) -> str:
    """What to do about the CuPy that is installed, on a driver of that CUDA version; "" if it fits."""
    if len(packages) > 1:
        return f"pip uninstall -y {' '.join(packages)} && {cupy_command(driver)}  (they exclude each other)"
    for name, version in packages.items():
        made_for = re.fullmatch(r"cupy-cuda(\d+)x", name)
        if made_for and int(made_for[1]) > int(driver.split(".")[0]):
            return f"pip uninstall -y {name} && {cupy_command(driver)}  (the driver is older than {name})"
        if tuple(map(int, re.findall(r"\d+", version)[:2])) < (13, 6):
            return f"{cupy_command(driver)} --upgrade  (CuPy {version} is too old, 13.6 is needed)"
    return ""


# ---------------------------------------------------------------- warming up


def instances() -> list[tuple[str, str]]:
    """(file, expression) of every CUDA kernel that minigrad may launch."""
    return [
        (name, expression)
        for name in cuda_kernels.names()
        for expression in importlib.import_module(f"{cuda_kernels.__name__}.{name}").INSTANCES
    ]


def warm_up(tell: Callable[[int, int, str], None]) -> list[str]:
    """Compile every CUDA kernel into CuPy's cache on disk, so that no first step waits for it.

    tell(done, of, name) after each. Returns what could not be compiled, with the compiler's first line. The
    compiler works outside of Python's lock, so there is a thread for each core.
    """
    library, todo, failed = load_cupy(), instances(), []

    def one(item: tuple[str, str]) -> tuple[str, str]:
        try:
            launcher._loaded(library, 0, *item)
        except Exception as error:  # CuPy's own kinds
            return f"{item[0]}: {item[1]}", (str(error).splitlines() or ["?"])[0]
        return f"{item[0]}: {item[1]}", ""

    with ThreadPoolExecutor(cores()) as pool:
        for done, (name, wrong) in enumerate(pool.map(one, todo), start=1):
            tell(done, len(todo), name)
            failed += [f"{name}: {wrong}"] * bool(wrong)
    return failed


EXTRAS = {
    "fast": ("numba",),
    "train": ("typer", "rich", "matplotlib", "safetensors", "pooch", "pillow"),
    "test": ("pytest", "hypothesis"),
    "notebooks": ("jupyterlab", "nbclient"),
}


def _extras() -> list[Finding]:
    """Which extras are complete."""
    findings = []
    for extra, packages in EXTRAS.items():
        missing = [p for p in packages if _version(p) is None]
        state = "complete" if not missing else f"missing {', '.join(missing)}"
        findings.append(
            Finding(f"extra {extra}", state, f"pip install 'minigrad[{extra}]'" if missing else "")
        )
    return findings


def _data() -> Finding:
    folder = os.environ.get("MINIGRAD_DATA")
    if folder is None:
        return Finding("data", "MINIGRAD_DATA is not set; MNIST is downloaded when a recipe asks for it")
    if not os.path.isdir(folder):
        return Finding("data", f"MINIGRAD_DATA={folder}", "that folder does not exist; correct or unset it")
    return Finding("data", f"MINIGRAD_DATA={folder}")
