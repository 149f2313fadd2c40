"""Peak memory of a training step, minigrad's against PyTorch's: `python -m benchmarks.memory`.

Every figure comes from a fresh process, which does only this: import both libraries; build the row's model
with a batch of two and train a step, so that code, thread pools and kernels (from their cache on disk) are
loaded; build it anew in its true size, in both libraries as `vs_pytorch` does, and drop the other library's;
give freed memory back to the system. What is resident now is the base. Then three steps; the highest resident
size that the system has seen during them (VmHWM), less the base, is the figure: gradients, optimiser state,
what forward saves, temporaries, and the work space of the matrix library. A captured step has two figures:
the steps that are recorded, and the replays, for which what the recording freed is given back first. Linux
only. The figure of a row is the median of a few processes. The system counts by batches of pages for every
thread, so what is below 1 MB counts as 1 MB in a ratio.

As in the other benchmarks the C library keeps freed memory, for both; so memory that a library has
freed and cannot use again, because its next array is larger, counts too.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import benchmarks  # sets threads and matrix kernels, before NumPy loads
from benchmarks import harness, vs_pytorch

import torch  # isort: skip

import minigrad as mg  # isort: skip
from minigrad.engine.kernels import anysize  # isort: skip

BAR = 1.2
LEAST = 1.0  # MB: less cannot be told apart
STEPS = 3
SMALL = 2  # the batch that only loads code
SIDES = ("ours", "theirs", "captured")

# ---------------------------------------------------------------- in the measured process


def status(field: str) -> float:
    """A field of /proc/self/status in MB: VmRSS, resident now; VmHWM, its highest so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(kilobytes) * 1024 / 1e6


def forget_peak() -> None:
    """The highest resident size starts anew from what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def give_back() -> None:
    """Return freed memory to the system, also where the C library was told to keep it."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def build(case: vs_pytorch.Case, side: str, batch: int = 0) -> Any:
    """The step of one side; the other library's model dies here."""
    ours, theirs = case.build("cpu", batch)
    return {"ours": ours, "theirs": theirs, "captured": getattr(mg, "capture", lambda f: f)(ours)}[side]


def peaks(case: vs_pytorch.Case, side: str) -> dict[str, float]:
    """MB above the base over the first steps; for a captured step its recording and its replays apart."""
    small = build(case, side, SMALL)
    with anysize():  # also kernels that so small a batch would not ask for
        for _ in range(STEPS):
            small()
    del small
    step = build(case, side)
    give_back()
    base = status("VmRSS")

    def over(count: int) -> float:
        forget_peak()
        for _ in range(count):
            step()
        return status("VmHWM") - base

    if side != "captured":
        return {"mb": over(STEPS)}
    recording = over(STEPS)  # two plain steps are recorded
    give_back()
    return {"mb": over(STEPS), "recording_mb": recording}


# ---------------------------------------------------------------- the rows


def measured(case: vs_pytorch.Case, side: str, repeat: int) -> dict[str, float]:
    """The medians over fresh processes."""
    command = [sys.executable, "-m", "benchmarks.memory", "--only", case.name, "--side", side]
    done = [
        subprocess.run(command, capture_output=True, text=True, check=True, cwd=harness.ROOT)
        for _ in range(repeat)
    ]
    found = [json.loads(d.stdout) for d in done]
    return {key: round(statistics.median(f[key] for f in found), 2) for key in found[0]}


def row(case: vs_pytorch.Case, repeat: int) -> dict[str, Any]:
    """One row: both libraries, and the captured step where there is one."""
    ours, theirs = (measured(case, side, repeat)["mb"] for side in ("ours", "theirs"))
    found = {
        "name": case.name, "what": case.what, "bar": BAR, "ratio": ratio(ours, theirs),
        "ours_mb": ours, "theirs_mb": theirs, "processes": repeat,
    }  # fmt: skip
    if hasattr(mg, "capture"):
        captured = measured(case, "captured", repeat)
        found["captured"] = {**captured, "ratio": ratio(captured["mb"], theirs), "bar": BAR}
    return found


def ratio(ours: float, theirs: float) -> float:
    """Ours over theirs, in MB.

    >>> ratio(0.3, 0.1), ratio(3.0, 2.0)
    (1.0, 1.5)
    """
    return round(max(ours, LEAST) / max(theirs, LEAST), 3)


def told(row: dict[str, Any]) -> str:
    """A row on the terminal."""
    text = "{name:12} {ours_mb:8.1f} MB / {theirs_mb:8.1f} MB = {ratio:.2f}".format(**row)
    recorded = "; captured {mb:.1f} MB, {ratio:.2f} (recorded with {recording_mb:.1f} MB)"
    captured = recorded.format(**row["captured"]) if "captured" in row else ""
    return f"{text}, bar {row['bar']}: {harness.verdict(row['ratio'], row['bar'])}{captured}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.memory", description=__doc__.splitlines()[0])
    names = [case.name for case in vs_pytorch.CASES]
    parser.add_argument("--only", choices=names, help="measure this row alone")
    parser.add_argument("--repeat", type=int, default=3, help="processes per figure (default 3)")
    parser.add_argument("--json", metavar="FILE", help="write the rows there")
    parser.add_argument("--side", choices=SIDES, help="measure in this very process, and print MB")
    options = parser.parse_args(arguments)
    torch.set_num_threads(benchmarks.THREADS)
    cases = [case for case in vs_pytorch.CASES if options.only in (None, case.name)]
    if options.side:
        print(json.dumps(peaks(cases[0], options.side)))
        return
    rows = []
    for case in cases:
        rows.append(row(case, options.repeat))
        print(told(rows[-1]), flush=True)
    if options.json:
        harness.write(options.json, "memory", harness.environment(packages=vs_pytorch.PACKAGES), rows)


if __name__ == "__main__":
    main()
