"""The same work on the CPU and on the GPU, from small to large: `python -m benchmarks.cpu_vs_gpu`.

Matrix products, every kind of layer and every model of models.py, forward and backward. For each size both
devices get the same numbers; first the result and every gradient must agree, then all sides are timed in
turn: the CPU, the GPU with its batch already there, and the GPU with the batch sent from the host and the
result read back. CUDA's context and the compiling of kernels lie before the timing (the first call's time
stands beside it). Without a GPU the CPU is timed alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import crossover, harness  # benchmarks itself sets threads and kernels, before NumPy loads
from benchmarks.sweeps import SWEEPS, Sweep, Work

import numpy as np  # isort: skip

import minigrad as mg  # isort: skip

# How far the devices may differ, relative to the largest number (see `difference`): each sums in an order of
# its own, and a model's sums are many, one after the other.
TOLERANCE = {"product": 1e-5, "layer": 1e-4, "model": 1e-3}
QUICK = 3  # sizes of a quick run


# ---------------------------------------------------------------- correctness


def left_by(work: Work, device: str) -> tuple[list[np.ndarray], float]:
    """The result and the gradients of one step, on the host; and the seconds that this first step took."""
    batch, start = [mg.tensor(a, device=device) for a in work.host], time.perf_counter()
    result = work.step(*batch).cpu().numpy()
    seconds = time.perf_counter() - start
    return [result, *[g.cpu().numpy() for g in work.gradients()]], seconds


def difference(expected: list[np.ndarray], got: list[np.ndarray]) -> float:
    """The largest difference, relative to the largest number of its array (or a thousandth of all arrays').

    Infinite where a shape, a dtype or a count differs, or where only one of them is finite. The thousandth
    is for gradients that are 0 but for rounding, such as that of a bias in front of a norm.

    >>> difference([np.array([1.0, 4.0])], [np.array([1.0, 5.0])])
    0.25
    """
    pairs = list(zip(expected, got, strict=False))
    if len(expected) != len(got) or any(a.shape != b.shape or a.dtype != b.dtype for a, b in pairs):
        return float("inf")
    if not all(np.isfinite(a).all() and np.isfinite(b).all() for a, b in pairs):
        return float("inf")
    tops = [float(np.abs(a).max(initial=0.0)) for a in expected]
    least = max(1e-3 * max(tops, default=0.0), 1e-30)
    offs = [float(np.abs(a.astype(np.float64) - b).max(initial=0.0)) for a, b in pairs]
    return max((off / max(top, least) for off, top in zip(offs, tops, strict=True)), default=0.0)


def compared(sweep: Sweep, here: Work, gpu: Work) -> dict[str, Any]:
    """How far result and gradients are apart, and what the first call on the GPU took."""
    ours, _ = left_by(here, "cpu")
    theirs, first = left_by(gpu, "cuda")
    found = {
        "result_difference": difference(ours[:1], theirs[:1]),
        "gradient_difference": difference(ours[1:], theirs[1:]),
    }
    refused = not max(found.values()) <= TOLERANCE[sweep.kind]
    return {
        **{k: float(f"{v:.1e}") for k, v in found.items()},
        "tolerance": TOLERANCE[sweep.kind],
        "first_call_s": round(first, 3),
        "refused": refused,
    }


# ---------------------------------------------------------------- timing


def resident(work: Work, device: str) -> Callable[[], Any]:
    """The step on a batch that is there already."""
    batch = [mg.tensor(a, device=device) for a in work.host]
    return lambda: work.step(*batch)


def sent(work: Work) -> Callable[[], Any]:
    """The step with its batch sent and its result read back."""
    return lambda: work.step(*[mg.tensor(a, device="cuda") for a in work.host]).cpu().numpy()


def measure(sweep: Sweep, size: int, rounds: int, gpu: bool, target: float = 0.04) -> dict[str, Any]:
    """One row: a size of a sweep. What does not agree is not timed."""
    here = sweep.make(size, "cpu")
    row = {"name": sweep.name, "kind": sweep.kind, "what": sweep.what, "size": size, "size_is": sweep.size_is}
    runs, found = {"cpu": resident(here, "cpu")}, None
    if gpu:
        there = sweep.make(size, "cuda")
        found = compared(sweep, here, there)
        if found["refused"]:
            return {**row, "cpu_ms": None, "gpu": found}
        runs |= {"gpu": resident(there, "cuda"), "transfers": sent(there)}
    times, calls = harness.in_turn(runs, rounds, target, mg.cuda.synchronize if gpu else harness.nothing)
    row |= {"cpu_ms": harness.milliseconds(times["cpu"]), "rounds": rounds, "calls_per_round": calls}
    if found is None:
        return {**row, "gpu": None}
    found["ms"], found["transfers_ms"] = (harness.milliseconds(times[k]) for k in ("gpu", "transfers"))
    found["faster"] = harness.ratios(times["cpu"], times["gpu"])
    found["faster_with_transfers"] = harness.ratios(times["cpu"], times["transfers"])
    return {**row, "gpu": found}


def sizes_of(sweep: Sweep, quick: bool) -> tuple[int, ...]:
    """All sizes, or a few from the smallest to the last but one (the last takes the CPU longest)."""
    return sweep.sizes[:-1][:: max(1, (len(sweep.sizes) - 1) // QUICK)][:QUICK] if quick else sweep.sizes


# ---------------------------------------------------------------- telling


def told(row: dict[str, Any]) -> str:
    """A row on the terminal."""
    head = f"{row['name']:13} {row['size_is'] + ' ' + str(row['size']):>18}"
    gpu = row["gpu"]
    if gpu is None:
        return f"{head}  {row['cpu_ms']:10.3f} ms"
    apart = f"differs by {gpu['result_difference']:.0e}, gradients {gpu['gradient_difference']:.0e}"
    if gpu["refused"]:
        return f"{head}  REFUSED, not timed: {apart}, more than {gpu['tolerance']:.0e}"
    return (
        f"{head}  {row['cpu_ms']:10.3f} ms {gpu['ms']:10.3f} ms {gpu['transfers_ms']:10.3f} ms"
        f"  {gpu['faster']['ratio']:8.2f} x {gpu['faster_with_transfers']['ratio']:8.2f} x   {apart}"
    )


HEAD = "work                        size            CPU           GPU with transfers  faster by  with them"


def summary(rows: list[dict[str, Any]]) -> str:
    """From which size on the GPU is the faster one, for each sweep."""
    lines = ["", "From which size on the GPU is faster (with transfers):"]
    for name, found in crossover.by_name(rows).items():
        words = [crossover.words(found, transfers) for transfers in (False, True)]
        lines.append(f"{name:13} {found[0]['size_is']}: {words[0]} ({words[1]})")
    return "\n".join(lines)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.cpu_vs_gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} sizes of each, 5 rounds")
    parser.add_argument("--rounds", type=int, help="rounds timed per size (default 11)")
    parser.add_argument("--only", action="append", choices=[s.name for s in SWEEPS], help="may be repeated")
    parser.add_argument("--kind", choices=list(TOLERANCE), help="only products, layers or models")
    parser.add_argument("--json", metavar="FILE", help="write the rows there")
    parser.add_argument("--plot", metavar="FILE", help="draw them there (needs matplotlib)")
    parser.add_argument("--read", metavar="FILE", help="measure nothing: take the rows of this JSON file")
    return parser.parse_args(arguments)


def context_seconds() -> float:
    """How long the GPU takes to be there: its context is made at the first array, and is in no row's time."""
    start = time.perf_counter()
    mg.zeros(1, device="cuda")
    mg.cuda.synchronize()
    return time.perf_counter() - start


def measured(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The environment and the rows, told as they come."""
    missing, rows = harness.why_no_gpu(), []
    if missing:
        print(f"The CPU alone, since there is no GPU to compare with. {missing}")
    context = None if missing else round(context_seconds(), 3)
    env = harness.environment("cpu" if missing else "cuda", ("numpy", "numba")) | {"gpu_context_s": context}
    print(HEAD if not missing else HEAD[: HEAD.index("CPU") + 3])
    for sweep in SWEEPS:
        if sweep.name in (options.only or [sweep.name]) and options.kind in (None, sweep.kind):
            for size in sizes_of(sweep, options.quick):
                rounds = options.rounds or (5 if options.quick else 11)
                rows.append(measure(sweep, size, rounds, not missing))
                print(told(rows[-1]), flush=True)
    return env, rows


def main(arguments: list[str] | None = None) -> int:
    """0; 1 if a row was refused."""
    options = parsed(arguments)
    if options.plot and not crossover.can_draw():
        sys.exit('cpu_vs_gpu: --plot needs matplotlib: pip install "minigrad[train]"')
    if options.read:
        found = json.loads(Path(options.read).read_text())
        env, rows = found["environment"], found["rows"]
        print(HEAD, *map(told, rows), sep="\n")
    else:
        env, rows = measured(options)
    if any(row["gpu"] for row in rows):
        print(summary(rows))
    if options.json:
        harness.write(options.json, "cpu_vs_gpu", env, rows)
    if options.plot:
        crossover.draw(options.plot, env, rows)
    return int(any(row["gpu"] and row["gpu"]["refused"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
