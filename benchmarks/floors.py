"""How fast a training step could be at best: `python -m benchmarks.floors`.

The floor of a step is the arithmetic of its products and convolutions (forward, gradient of the input
unless it is the batch itself, gradient of the weights) over the fastest matrix product of this machine,
plus the bytes that the optimiser has to read and write over the speed of copying arrays of that size.
Both speeds are the better one of NumPy's and PyTorch's, measured in the same run as the steps. Everything
else (activations, pooling, norms, softmax, gates) counts as free: nobody reaches this floor. Convolutions
are counted as the sums that define them; an algorithm with fewer multiplications (Winograd's) could pass
below. The chain of small ops has neither product nor optimiser, hence no floor.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import benchmarks  # sets threads and matrix kernels, before NumPy loads
from benchmarks import harness, vs_pytorch

import numpy as np  # isort: skip
import torch  # isort: skip
from torch.optim.optimizer import register_optimizer_step_post_hook  # isort: skip

# ---------------------------------------------------------------- arithmetic, by PyTorch's modules


def flops(module: Any, inputs: tuple, output: Any) -> int:
    """Multiplications and additions of a module's products, forward and backward, from the shapes it met."""
    nn, x = torch.nn, inputs[0]
    needs = int(getattr(x, "requires_grad", False))
    if isinstance(module, nn.Linear):
        return 2 * output.numel() * module.in_features * (2 + needs)
    if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        return 2 * output.numel() * prod(module.weight.shape[1:]) * (2 + needs)
    if isinstance(module, nn.RNNBase):
        return recurrent_flops(module, x, needs)
    if isinstance(module, nn.MultiheadAttention):
        return attention_flops(module, *inputs)
    return 0


def recurrent_flops(module: Any, x: Any, needs: int) -> int:
    """Every layer and direction: its input into the gates, and its state, which is 0 at the first step."""
    batch, length = x.shape[:2] if module.batch_first else (x.shape[1], x.shape[0])
    gates = {"LSTM": 4, "GRU": 3}.get(module.mode, 1) * module.hidden_size
    directions = 2 if module.bidirectional else 1
    total = 0
    for layer in range(module.num_layers):
        width = module.hidden_size * directions if layer else module.input_size
        from_input = 2 * batch * length * width * gates * (2 + (1 if layer else needs))
        from_state = 2 * batch * (length - 1) * module.hidden_size * gates * 3
        total += directions * (from_input + from_state)
    return total


def attention_flops(module: Any, query: Any, key: Any, *_: Any) -> int:
    """Projections of query, key, value and result, scores and mean of values; backward costs twice that."""
    width, rows = module.embed_dim, query.numel() // query.shape[-1]
    keys = key.shape[1] if module.batch_first else key.shape[0]
    projections = 4 * 2 * rows * width * width
    attended = 2 * 2 * rows * keys * width
    return 3 * (projections + attended)


# Arrays of the parameters' size that a step must read and write: for Adam p, g, m, v and p, m, v; for
# momentum p, g, b and p, b.
PASSES = {"Adam": 7, "SGD": 5}


@contextmanager
def counting() -> Iterator[dict[str, int]]:
    """What PyTorch's modules and optimisers do inside this block: flops, and bytes of the optimisers."""
    found = {"flops": 0, "optimiser_bytes": 0}

    def ran(module: Any, inputs: tuple, output: Any) -> None:
        found["flops"] += flops(module, inputs, output)

    def stepped(optimiser: Any, *_: Any) -> None:
        params = [p for group in optimiser.param_groups for p in group["params"]]
        held = sum(p.numel() * p.element_size() for p in params)
        found["optimiser_bytes"] += PASSES[type(optimiser).__name__] * held

    hooks = [
        torch.nn.modules.module.register_module_forward_hook(ran),
        register_optimizer_step_post_hook(stepped),
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


# ---------------------------------------------------------------- the machine's speed


def fastest(*runs: Callable[[], Any], times: int = 15) -> float:
    """Seconds of the fastest call of any of these."""
    best = float("inf")
    for run in runs:
        time.sleep(harness.REST)
        for _ in range(times):
            start = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - start)
    return best


def product_speed(n: int = 1024) -> float:
    """FLOP a second of a product of two n x n matrices in float32."""
    a, b, c = (np.ones((n, n), np.float32) for _ in range(3))
    ta, tb, tc = map(torch.from_numpy, (a, b, c))
    return 2 * n**3 / fastest(lambda: np.matmul(a, b, out=c), lambda: torch.matmul(ta, tb, out=tc))


def copy_speed(size: int) -> float:
    """Bytes a second, read and written, of copying where both arrays together have `size` bytes."""
    a, b = (np.ones(max(size // 8, 4096), np.float32) for _ in range(2))
    ta, tb = map(torch.from_numpy, (a, b))
    return 2 * a.nbytes / fastest(lambda: np.copyto(b, a), lambda: tb.copy_(ta))


# ---------------------------------------------------------------- the rows


def measure(case: vs_pytorch.Case, rounds: int) -> dict[str, Any]:
    """One row: what must be done, how fast the machine is just now, and how long it takes."""
    ours, theirs = case.build("cpu")
    ours(), theirs()
    with counting() as found:
        theirs()
    times, _ = harness.in_turn({"ours": ours, "theirs": theirs}, rounds)
    return {
        "name": case.name, "what": case.what, **found, "product_gflops": round(product_speed() / 1e9, 1),
        "copy_gb_s": round(copy_speed(found["optimiser_bytes"]) / 1e9, 1),
        **{f"{side}_ms": harness.milliseconds(t) for side, t in times.items()},
    }  # fmt: skip


def with_floors(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with their floors, all by the fastest product that was seen in the run."""
    fast = max(row["product_gflops"] for row in rows)
    return [
        {**row, "product_gflops": fast, "floor_ms": round(floor(row | {"product_gflops": fast}), 4)}
        for row in rows
    ]


def floor(row: dict[str, Any]) -> float:
    """Milliseconds that the arithmetic and the optimiser's traffic take at least.

    >>> floor({"flops": 1e9, "product_gflops": 100.0, "optimiser_bytes": 1e6, "copy_gb_s": 10.0})
    10.1
    """
    return row["flops"] / row["product_gflops"] / 1e6 + row["optimiser_bytes"] / row["copy_gb_s"] / 1e6


def told(row: dict[str, Any]) -> str:
    """A row on the terminal."""
    return (
        f"{row['name']:12} {row['flops'] / 1e9:6.2f} GFLOP at {row['product_gflops']} GFLOP/s,"
        f" {row['optimiser_bytes'] / 1e6:5.1f} MB at {row['copy_gb_s']} GB/s: {row['floor_ms']:.2f} ms;"
        f" minigrad {row['ours_ms']:.2f} ms, PyTorch {row['theirs_ms']:.2f} ms"
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.floors", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="rounds timed per row (default 15)")
    parser.add_argument("--only", choices=[case.name for case in vs_pytorch.CASES], help="this row alone")
    parser.add_argument("--json", metavar="FILE", help="write the rows there")
    options = parser.parse_args(arguments)
    torch.set_num_threads(benchmarks.THREADS)
    cases = [case for case in vs_pytorch.CASES if options.only in (None, case.name)]
    rows = with_floors([measure(case, options.rounds) for case in cases])
    print(*map(told, rows), sep="\n")
    if options.json:
        harness.write(options.json, "floors", harness.environment(packages=vs_pytorch.PACKAGES), rows)


if __name__ == "__main__":
    main()
