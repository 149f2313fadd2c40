"""Where the time of a training step goes: `python -m benchmarks.where_time_goes`.

Python's profiler counts what each function does itself; what it calls in C (NumPy) is counted to it.
Functions are gathered by the file they stand in, so that a row says: convolution so much, normalisation
so much. Matrix products are among what their op does; a kernel's time is its file's, which is the op's name.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import harness  # benchmarks itself sets threads and matrix kernels, before NumPy loads

STEPS = 5
PLACES = {"minigrad": [], "minigrad_kernels": ["kernels"]}  # a package's folder -> what it is called here


def shares(step: Any) -> dict[str, float]:
    """Part of the time by place: {"ops/conv": 0.8, ...}, largest first."""
    step(), step()
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(STEPS):
        step()
    profile.disable()
    spent: Counter[str] = Counter()
    for function, (_, _, own, _, callers) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if place(function):
            spent[place(function)] += own
        else:  # in C, or in NumPy's own Python: whoever called it
            for caller, (_, _, part, _) in callers.items():
                spent[place(caller) or "others"] += part
    total = sum(spent.values())
    return {name: round(time / total, 3) for name, time in spent.most_common()}


def place(function: tuple[str, int, str]) -> str:
    """The file of a function of ours, as "ops/conv" or "kernels/cpu/conv"; "" for others.

    >>> place(("/home/minigrad/minigrad/ops/conv.py", 1, "conv"))
    'ops/conv'
    >>> place(("/home/minigrad/kernels/minigrad_kernels/cpu/conv.py", 1, "conv"))
    'kernels/cpu/conv'
    """
    parts = Path(function[0]).with_suffix("").parts
    for at in range(len(parts) - 2, max(len(parts) - 5, -1), -1):
        if parts[at] in PLACES:
            return "/".join([*PLACES[parts[at]], *parts[at + 1 :]])
    return ""


def main(arguments: list[str] | None = None) -> None:
    from benchmarks import vs_pytorch  # its models and batches

    parser = argparse.ArgumentParser(
        "python -m benchmarks.where_time_goes", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--only", choices=[case.name for case in vs_pytorch.CASES], help="this step alone")
    parser.add_argument("--json", metavar="FILE", help="write the rows there")
    options = parser.parse_args(arguments)
    rows = []
    for case in vs_pytorch.CASES:
        if options.only in (None, case.name):
            ours, _ = case.build("cpu")
            row = {"name": case.name, "what": case.what, "shares": shares(ours)}
            rows.append(row)
            print(f"{case.name:12} {told(row['shares'])}", flush=True)
    if options.json:
        harness.write(
            options.json, "where_time_goes", harness.environment(packages=vs_pytorch.PACKAGES), rows
        )


def told(parts: dict[str, float], least: float = 0.03) -> str:
    """The larger shares in words."""
    return ", ".join(f"{name} {share:.0%}" for name, share in parts.items() if share >= least)


if __name__ == "__main__":
    main()
