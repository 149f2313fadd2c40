"""benchmarks/results/gpu.md: what was measured on a GPU, or that nothing was and what remains to be run.

Written by `benchmarks.report` from benchmarks/results/gpu/*.json; the commands are those of .ci/gpu.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import crossover, report
from benchmarks.harness import ROOT, verdict
from benchmarks.rooflines import ROWS, WITHOUT, listed

FOLDER = report.HERE / "results" / "gpu"
PAGE = report.HERE / "results" / "gpu.md"
SUITES = ("vs_pytorch", "roofline", "cpu_vs_gpu")

HEAD = """# Results on a GPU

Written by `python -m benchmarks.report`; no figure here is typed by hand."""

NOTHING = """**Nothing has been measured: no GPU was at hand.** Whatever this project says of a GPU's
speed is intended, not measured."""

PROVEN = """## What is proven without a GPU

- Every CUDA kernel compiles for three generations of cards, sm_70, sm_80 and sm_90: `python tests/nvrtc.py`.
- Every kernel's own text is executed on the CPU, with its blocks, threads and barriers, and held against
  the readable NumPy text over many shapes: `tests/test_cuda_*.py` (they need g++).
- Whole programs, training steps and these benchmarks among them, run on a strict stand-in for CuPy, whose
  arrays refuse to become NumPy arrays unasked, and which counts copies and waits: `tests/stand_in`,
  `tests/test_cuda_backend.py`, `tests/test_capture_gpu.py`, `tests/test_benchmarks_gpu.py`.

Not proven by that: speed, in any respect; the instructions of tensor cores and of asynchronous copies, which
the emulation replaces; what real memory does beyond an array's end; how real threads race (emulated ones run
in fixed orders); cuBLAS and CUDA graphs, for which the stand-in has its own."""


def page(folder: Path = FOLDER) -> str:
    """The whole text."""
    found = {run["suite"]: run for run in report.runs(folder)}
    parts = [HEAD]
    if not found:
        parts.append(NOTHING)
    elif absent := [suite for suite in SUITES if suite not in found]:
        parts.append(f"Not measured yet: {', '.join(absent)}.")
    parts += [section for suite in SUITES if suite in found for section in MAKERS[suite](found[suite])]
    if len(found) < len(SUITES):
        parts.append(f"## The commands that remain to be run\n\n{steps()}")
    parts.append(PROVEN)
    if "roofline" not in found:
        parts.append(f"## What the roofline will measure\n\n{COUNTED}\n\n{counts()}\n\n{without()}")
    return "\n\n".join(parts) + "\n"


def steps() -> str:
    """The steps of .ci/gpu, which runs them all: `bash .ci/gpu`."""
    text = (ROOT / ".ci" / "gpu").read_text()
    head = text[text.index("results=") : text.index("# -- steps")].rstrip()
    body = text[text.index("# -- steps\n") + len("# -- steps\n") : text.index("# -- end")].rstrip()
    return f"`bash .ci/gpu` runs all of them, `bash .ci/gpu NAME` one:\n\n```bash\n{head}\n\n{body}\n```"


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows))


# ---------------------------------------------------------------- what was measured


def pytorch_sections(run: dict[str, Any]) -> Iterator[str]:
    """Training steps beside PyTorch's."""
    yield "## Training steps beside PyTorch's, float32 without TF32\n\n" + report.table(run)
    told = [f"- {name}: {text}" for _, name, text in report.missed([run])]
    yield "Bars missed:" + ("\n\n" + "\n".join(told) if told else " none.")


COUNTED = """Bytes that must move and operations that must be made, counted from the shapes. A kernel that
memory bounds has to reach 70 % of the copy's bytes a second; attention, at most twice PyTorch's time."""


def counts() -> str:
    """The rows of the roofline, not measured."""
    head = "kernel", "what", "dtype", "bound", "MB", "GFLOP"
    return table(head, (row_counts(listed(row)) for row in ROWS))


def without() -> str:
    """The kernels that have no row."""
    return "Without a row: " + "; ".join(f"`{name}` ({why})" for name, why in WITHOUT.items()) + "."


def row_counts(r: dict[str, Any]) -> tuple[str, ...]:
    """What a row of the roofline is and counts."""
    return (
        f"`{r['name']}`",
        r["what"],
        r["dtype"],
        r["bound"],
        f"{r['bytes'] / 1e6:.1f}",
        f"{r['flop'] / 1e9:.2f}",
    )


def roofline_sections(run: dict[str, Any]) -> Iterator[str]:
    """Each kernel's share of its ceiling, and attention beside PyTorch's."""
    rows, env = run["rows"], run["environment"]
    yield f"## Each kernel under its ceiling\n\n**{run['file']}**: {report.where(env)}\n\n{COUNTED}"
    yield f"Ceilings measured in the run: {', '.join(f'{k} {v}' for k, v in env['ceilings'].items())}."
    head = "kernel", "what", "dtype", "bound", "MB", "GFLOP", "ms", "GB/s", "TFLOP/s", "of the ceiling", "bar"
    yield table(head, (roofline_row(r) for r in rows if r["bound"] != "PyTorch"))
    beside = [r for r in rows if r["bound"] == "PyTorch"]
    lines = [f"- {r['what']}, {r['dtype']}: {report.spread(r)} of its time, {bar_of(r)}" for r in beside]
    yield without()
    yield "Attention over 4,096 keys beside PyTorch's:" + (
        "\n\n" + "\n".join(lines) if lines else " not measured."
    )


def bar_of(r: dict[str, Any]) -> str:
    """The bar of a row, and whether it is kept."""
    if r["bar"] is None:
        return ""
    kept = verdict(r["ratio"], r["bar"]) if r["bound"] == "PyTorch" else verdict(r["bar"], r["share"])
    return f"bar {r['bar']}: {kept}"


def roofline_row(r: dict[str, Any]) -> tuple[str, ...]:
    """A kernel's speeds and its share of the ceiling."""
    share = f"{100 * r['share']:.0f} % ({100 * r['share_q1']:.0f} to {100 * r['share_q3']:.0f})"
    return (*row_counts(r), f"{r['ms']:.3f}", f"{r['gb_s']:.0f}", f"{r['tflop_s']:.2f}", share, bar_of(r))


def sweep_sections(run: dict[str, Any]) -> Iterator[str]:
    """From which size on the GPU is faster, and by how much at the largest."""
    yield f"## The CPU and the GPU over sizes\n\n**{run['file']}**: {report.where(run['environment'])}"
    head = (
        "what", "sizes", "GPU faster from", "with transfers", "at the largest: CPU", "GPU", "with transfers",
        "largest difference",
    )  # fmt: skip
    timed = [row for row in run["rows"] if row["gpu"] and not row["gpu"]["refused"]]
    yield table(head, (sweep_row(rows) for rows in crossover.by_name(timed).values()))
    refused = [
        f"- {row['name']}, {row['size_is']} {row['size']}"
        for row in run["rows"]
        if row["gpu"] and row["gpu"]["refused"]
    ]
    yield "Refused, since the devices differ:" + ("\n\n" + "\n".join(refused) if refused else " none.")
    if (FOLDER / "cpu_vs_gpu.png").exists():
        yield "![Time against size, CPU and GPU, the crossover marked](gpu/cpu_vs_gpu.png)"


def sweep_row(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """One sweep."""
    last = rows[-1]
    apart = max(max(r["gpu"]["result_difference"], r["gpu"]["gradient_difference"]) for r in rows)
    sizes = f"{last['size_is']} {rows[0]['size']:,} to {last['size']:,}"
    cross = crossover.words(rows, False), crossover.words(rows, True)
    times = [f"{t:.3f} ms" for t in (last["cpu_ms"], last["gpu"]["ms"], last["gpu"]["transfers_ms"])]
    return (last["what"], sizes, *cross, *times, f"{apart:.0e}")


MAKERS = {"vs_pytorch": pytorch_sections, "roofline": roofline_sections, "cpu_vs_gpu": sweep_sections}
