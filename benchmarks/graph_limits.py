"""Two limits of the engine: `python -m benchmarks.graph_limits [--json FILE]`.

A graph of 1,000,000 nodes, forward and backward, without recursion; and 10,000 training steps
with the garbage collector off, which must not grow the memory: a graph dies with its last name.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
import tracemalloc
from pathlib import Path
from typing import Any

import benchmarks  # noqa: F401, sets threads and matrix kernels before NumPy loads
from benchmarks import harness

import numpy as np  # isort: skip

import minigrad as mg  # isort: skip


def million_nodes(nodes: int = 1_000_000) -> dict[str, Any]:
    """Seconds for a chain of `nodes` additions and multiplications, and the gradient's check."""
    x = mg.tensor(1.0, dtype="float64", requires_grad=True)
    c = mg.tensor(0.5, dtype="float64")
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    y = x
    for _ in range(nodes // 2):
        y = (y + x) * c
    built = time.perf_counter()
    y.backward()
    done = time.perf_counter()
    gc.enable()
    # y_n = (y_{n-1} + x) / 2, so y = x for every n, and dy/dx = 1 exactly.
    if y.item() != 1.0 or x.grad.item() != 1.0:
        raise ValueError(f"million_nodes: expected value and gradient 1, got {y.item()} and {x.grad.item()}")
    return {
        "name": "million_nodes",
        "what": f"a graph of {nodes:,} nodes, forward and backward",
        "bar": 6.0,
        "value": round(done - start, 3),
        "unit": "s",
        "forward_s": round(built - start, 3),
        "backward_s": round(done - built, 3),
    }


def memory_growth(steps: int = 10_000, warm: int = 500) -> list[dict[str, Any]]:
    """Growth in MB over `steps` training steps, by Python's allocator and by the system's count."""
    mg.manual_seed(0)
    model = mg.nn.Sequential(mg.nn.Linear(16, 32), mg.nn.Tanh(), mg.nn.Dropout(0.1), mg.nn.Linear(32, 4))
    optimiser = mg.optim.Adam(model.parameters(), lr=1e-3)
    criterion = mg.nn.CrossEntropyLoss()
    rng = np.random.default_rng(0)
    x = mg.tensor(rng.standard_normal((32, 16)).astype(np.float32))
    labels = mg.tensor(rng.integers(0, 4, 32))

    def train(count: int) -> None:
        for _ in range(count):
            optimiser.zero_grad()
            loss = criterion(model(x), labels)
            loss.backward()
            optimiser.step()

    gc.collect()
    gc.disable()
    try:
        train(warm)
        resident = resident_bytes()
        train(steps)
        grown = resident_bytes() - resident
        tracemalloc.start()
        train(warm)
        before = tracemalloc.get_traced_memory()[0]
        train(steps)
        traced = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    finally:
        gc.enable()
    what = f"growth over {steps:,} training steps, garbage collector off"
    common = {"bar": 1.0, "unit": "MB"}
    return [
        {"name": "growth_resident", "what": f"resident memory: {what}", "value": grown / 1e6, **common},
        {"name": "growth_traced", "what": f"Python's allocator: {what}", "value": traced / 1e6, **common},
    ]


def resident_bytes() -> int:
    """Bytes of this process that lie in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.graph_limits", description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="write the rows there")
    options = parser.parse_args(arguments)
    rows = [million_nodes(), *memory_growth()]
    for row in rows:
        print(
            f"{row['name']:16} {row['value']:8.3f} {row['unit']:3} bar {row['bar']}:"
            f" {harness.verdict(row['value'], row['bar'])}"
        )
    if options.json:
        harness.write(options.json, "graph_limits", harness.environment(packages=("numpy",)), rows)


if __name__ == "__main__":
    main()
