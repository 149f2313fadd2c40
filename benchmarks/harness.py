"""How we time: warm up, synchronise, pair, and report a ratio rather than seconds.

Seconds on a shared machine say little. Two programs timed in turn, within the same fraction of a
second, suffer the same neighbours, so the ratio of each pair is steady; its median over many pairs
is what we report, with the quartiles that say how steady it was.
"""

from __future__ import annotations

import ctypes
import datetime
import gc
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minigrad_kernels.cpu.blas import core_in_use

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"


REST = 0.03  # seconds: the idle threads of a matrix library spin so long, and would slow the other down


def seconds(run: Callable[[], Any], times: int, synchronise: Callable[[], None]) -> float:
    """Seconds per call of `run`, the garbage collector off, the device idle before and after."""
    gc.collect()
    time.sleep(REST)
    run()  # wakes this library's own threads
    gc.disable()
    try:
        synchronise()
        start = time.perf_counter()
        for _ in range(times):
            run()
        synchronise()
        return (time.perf_counter() - start) / times
    finally:
        gc.enable()


def calls_for(run: Callable[[], Any], target: float, synchronise: Callable[[], None]) -> int:
    """How many calls take about `target` seconds: few enough to pair, many enough to time."""
    once = min(seconds(run, 1, synchronise) for _ in range(3))
    return max(1, round(target / max(once, 1e-7)))


def nothing() -> None:
    """What there is to wait for on the CPU."""


def paired(
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    rounds: int = 31,
    target: float = 0.08,
    synchronise: Callable[[], None] = nothing,
) -> dict[str, Any]:
    """Time both in turn, `rounds` times; the ratio ours/theirs is taken within each round."""
    times, calls = in_turn({"ours": ours, "theirs": theirs}, rounds, target, synchronise)
    return {
        **ratios(times["ours"], times["theirs"]),
        "ours_ms": milliseconds(times["ours"]),
        "theirs_ms": milliseconds(times["theirs"]),
        "rounds": rounds,
        "calls_per_round": list(calls.values()),
    }


def in_turn(
    runs: dict[str, Callable[[], Any]],
    rounds: int = 31,
    target: float = 0.08,
    synchronise: Callable[[], None] = nothing,
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Seconds per call of each, round after round, and how many calls made up one measurement.

    Odd rounds go in the other order, so that going second favours nobody.
    """
    for run in runs.values():  # warm up: caches, thread pools, lazy handles, kernels compiled at first calls
        seconds(run, 3, synchronise)
    calls = {name: calls_for(run, target, synchronise) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in list(runs)[:: 1 if number % 2 == 0 else -1]:
            times[name].append(seconds(runs[name], calls[name], synchronise))
    return times, calls


def ratios(ours: list[float], theirs: list[float]) -> dict[str, float]:
    """Median and quartiles of the ratio within each round.

    >>> ratios([1.0, 2.0, 9.0], [1.0, 1.0, 3.0])
    {'ratio': 2.0, 'ratio_q1': 1.5, 'ratio_q3': 2.5}
    """
    low, middle, high = quartiles([a / b for a, b in zip(ours, theirs, strict=True)])
    return {"ratio": round(middle, 4), "ratio_q1": round(low, 4), "ratio_q3": round(high, 4)}


def milliseconds(times: list[float]) -> float:
    """The median of some seconds, in milliseconds."""
    return round(1e3 * statistics.median(times), 4)


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile.

    >>> quartiles([1.0, 2.0, 3.0, 4.0, 5.0])
    (2.0, 3.0, 4.0)
    """
    if len(values) == 1:
        return (values[0],) * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def environment(device: str = "cpu", packages: tuple[str, ...] = ("numpy", "torch")) -> dict[str, Any]:
    """What a number depends on: machine, versions, threads, commit, date; of a GPU also what drives it."""
    return {
        "device": device_name(device),
        **({} if device == "cpu" else {"gpu": gpu(device)}),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)),
        "blas_core": core_in_use(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("minigrad", *packages)},
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def device_name(device: str) -> str:
    """'cpu', or the name of the GPU as its maker calls it."""
    if device == "cpu":
        return "cpu"
    from minigrad import cuda

    return f"{device}: {cuda.get_device_name(device)}"


def gpu(device: str) -> dict[str, Any]:
    """The card, and the versions of what lies between it and minigrad."""
    import cupy

    from minigrad import cuda

    card, runtime = cuda.get_device_properties(device), cupy.cuda.runtime
    return {
        "name": card.name,
        "compute_capability": f"{card.major}.{card.minor}",
        "multiprocessors": card.multi_processor_count,
        "memory_gb": round(card.total_memory / 1e9, 1),
        "cupy": cupy.__version__,
        "cuda_runtime": cuda_version(runtime.runtimeGetVersion()),
        "cuda_driver": cuda_version(runtime.driverGetVersion()),
        "cublas": cublas_version(),
    }


def cuda_version(number: int) -> str:
    """CUDA's own number in words.

    >>> cuda_version(12080)
    '12.8'
    """
    return f"{number // 1000}.{number % 1000 // 10}"


def cublas_version() -> str | None:
    """The version of the cuBLAS that matrix products call; None if there is none, or it does not tell."""
    from minigrad_kernels.cuda import cublas

    parts = []
    try:
        tell = ctypes.CDLL(cublas.library().path).cublasGetProperty
    except (ImportError, OSError, AttributeError):
        return None
    for which in range(3):  # library_types.h, libraryPropertyType: major, minor, patch
        part = ctypes.c_int()
        if tell(which, ctypes.byref(part)):
            return None
        parts.append(str(part.value))
    return ".".join(parts)


def why_no_gpu() -> str | None:
    """What is missing for "cuda", in one line; None if a GPU answers."""
    import minigrad as mg

    try:
        mg.device("cuda").xp  # noqa: B018, asking is what loads CuPy
    except TypeError as error:
        return str(error)
    return None


def processor() -> str:
    """The processor's name, with the widest vectors it has."""
    try:
        info = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in info.split("\n\n")[0].splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    flags = named.get("flags", "").split()
    widest = next((flag for flag in ("avx512f", "avx2", "avx") if flag in flags), "")
    return f"{named.get('model name', platform.machine())} {widest}".strip()


def version(package: str) -> str | None:
    """Installed version of a package; None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def commit() -> str | None:
    """Short commit of the measured tree, with a + if the sources differ from it."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
        changed = _git("diff", "--quiet", "HEAD", "--", "minigrad", "kernels").returncode
    except OSError:  # no git here
        return None
    return None if head.returncode else head.stdout.strip() + ("+" if changed else "")


def _git(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)


def write(path: str | Path, suite: str, env: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """One JSON file per run: where it ran, and its rows."""
    text = json.dumps({"suite": suite, "environment": env, "rows": rows}, indent=1)
    Path(path).write_text(text + "\n")


def verdict(value: float, bar: float) -> str:
    """Whether a measured value keeps its bar."""
    return "met" if value <= bar else "MISSED"
