"""What every CPU kernel gains: `python -m benchmarks.kernels`, with it against without it.

A row is a piece of work, forward and backward, at a size that a training step of `vs_pytorch` meets;
it runs in turn as it is and in `reference_mode()`. A kernel whose row shows no gain goes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks import harness  # benchmarks itself sets threads and matrix kernels, before NumPy loads

import numpy as np  # isort: skip

import minigrad as mg  # isort: skip


class Row(NamedTuple):
    """The kernels at work, what is done, and a function that gives the work."""

    kernels: tuple[str, ...]
    what: str
    make: Callable[[], Callable[[], Any]]


def both_ways(f: Callable[..., Any], *shapes: tuple[int, ...]) -> Callable[[], Callable[[], Any]]:
    """The work f(*tensors) and its backward pass, on random float32 tensors of these shapes."""

    def make() -> Callable[[], Any]:
        rng = np.random.default_rng(0)
        xs = [mg.tensor(rng.standard_normal(s, dtype=np.float32), requires_grad=True) for s in shapes]
        g = mg.ones_like(f(*xs))

        def work() -> None:
            f(*xs).backward(g)
            for x in xs:
                x.grad = None

        return work

    return make


ROWS = [
    Row(("relu", "relu.x"), "ReLU of 32x64x32x32", both_ways(mg.relu, (32, 64, 32, 32))),
]


def measure(row: Row, rounds: int) -> dict[str, Any]:
    """The row with its kernels and without, in turn."""
    work = row.make()

    def without() -> None:
        with mg.reference_mode():
            work()

    timing = harness.paired(work, without, rounds)
    return {"name": ", ".join(row.kernels), "what": row.what, "bar": 1.0, **timing}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.kernels", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21, help="pairs timed per row (default 21)")
    parser.add_argument("--only", help="time the rows of this kernel alone")
    parser.add_argument("--json", metavar="FILE", help="write the rows there")
    options = parser.parse_args(arguments)
    rows = []
    for row in ROWS:
        if options.only is None or options.only in row.kernels:
            rows.append(measure(row, options.rounds))
            told = "{what}: {ours_ms:.3f} ms / {theirs_ms:.3f} ms = {ratio:.2f}".format(**rows[-1])
            print(f"{told} ({rows[-1]['name']})", flush=True)
    if options.json:
        harness.write(options.json, "kernels", harness.environment(packages=("numpy", "numba")), rows)


if __name__ == "__main__":
    main()
