"""Each CUDA kernel against what the card can do: `python -m benchmarks.roofline`.

A row runs one kernel at a size that fills the card, in turn with its ceiling: copying on the device (bytes a
second) where memory is the bound, a large product of cuBLAS in the same precision (operations a second) where
products are. What must be moved and computed is counted from the shapes (rooflines/); its share of the
ceiling is taken within each round. `--list` prints these counts and needs no GPU. Beside the kernels stands
attention over 4,096 keys in bfloat16 against PyTorch's scaled_dot_product_attention, where PyTorch has CUDA.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import harness  # benchmarks itself sets threads and kernels, before NumPy loads
from benchmarks.rooflines import ROWS, Row, count, job, listed
from benchmarks.rooflines.base import numbers
from benchmarks.vs_pytorch import torch, torch_device

import numpy as np  # isort: skip

import minigrad as mg  # isort: skip
from minigrad_kernels.cuda import find  # isort: skip

SDPA_BAR = 2.0  # our time over PyTorch's
SDPA_SHAPE = (4, 16, 4096, 64)
COPIED = 1 << 28  # float32 numbers: 1 GiB there, 1 GiB back
SIDE = 8192  # of the product that is the ceiling

# ---------------------------------------------------------------- ceilings


def copying(n: int = COPIED) -> tuple[Callable[[], Any], int]:
    """Copying n float32 numbers on the device, and the bytes read and written."""
    here, there = numbers("float32", n), numbers("float32", n)

    def run() -> None:
        there[...] = here

    return run, 2 * here.nbytes


def multiplying(dtype: str, side: int = SIDE) -> tuple[Callable[[], Any], int]:
    """cuBLAS's product of two side x side matrices, and its operations."""
    a, b = (numbers("float32" if dtype == "tf32" else dtype, side, side) for _ in range(2))
    return lambda: find("matmul")(a, b), 2 * side**3


def ceiling(row: Row, small: bool = False) -> tuple[Callable[[], Any], int]:
    """What the row is held against, and its bytes or operations."""
    if row.bound == "memory":
        return copying(1000 if small else COPIED)
    return multiplying(row.dtype, 16 if small else SIDE)


@contextmanager
def precision(dtype: str) -> Iterator[None]:
    """TF32 inside for the dtype "tf32", for no other."""
    mg.set_float32_matmul_precision("high" if dtype == "tf32" else "highest")
    try:
        yield
    finally:
        mg.set_float32_matmul_precision("highest")


# ---------------------------------------------------------------- kernels


def measure(row: Row, rounds: int, small: bool = False, target: float = 0.04) -> dict[str, Any]:
    """A kernel and its ceiling in turn; `small`: at the size for tests."""
    sizes = row.small if small else row.sizes
    traffic, work, (peak, most) = count(row, sizes), job(row, sizes), ceiling(row, small)
    if work.run() is NotImplemented:
        raise ValueError(f"roofline: {row.kernels[0]} declined {row.what} ({row.dtype}, {sizes})")
    with precision(row.dtype):
        times, _ = harness.in_turn({"kernel": work.run, "peak": peak}, rounds, target, mg.cuda.synchronize)
    amount = traffic.bytes if row.bound == "memory" else traffic.flop
    shares = [amount / t / (most / p) for t, p in zip(times["kernel"], times["peak"], strict=True)]
    low, middle, high = (round(s, 4) for s in harness.quartiles(shares))
    median, best = (statistics.median(times[name]) for name in ("kernel", "peak"))
    return {
        **listed(row, sizes), "ms": round(1e3 * median, 4), "gb_s": round(traffic.bytes / median / 1e9, 1),
        "tflop_s": round(traffic.flop / median / 1e12, 2),
        "ceiling": round(most / best / (1e9 if row.bound == "memory" else 1e12), 1),
        "share": middle, "share_q1": low, "share_q3": high, "rounds": rounds,
    }  # fmt: skip


# ---------------------------------------------------------------- attention beside PyTorch's


def attentions(lib: Any, arrays: list[np.ndarray], device: str, back: bool) -> Callable[[], Any]:
    """scaled_dot_product_attention of either library in bfloat16, with its gradients if `back`."""
    dtype = "bfloat16" if lib is mg else lib.bfloat16
    q, k, v, g = (lib.tensor(a, device=device).to(dtype) for a in arrays)
    for x in (q, k, v):
        x.requires_grad_(back)

    def run() -> Any:
        for x in (q, k, v):
            x.grad = None
        y = lib.nn.functional.scaled_dot_product_attention(q, k, v)
        if back:
            y.backward(g)
        return y.detach()

    return run


def beside_torch(back: bool, rounds: int, shape: tuple = SDPA_SHAPE, target: float = 0.04) -> dict[str, Any]:
    """Our attention's time over PyTorch's, once their results agree."""
    arrays = [np.random.default_rng(i).standard_normal(shape, np.float32) for i in range(4)]
    ours = attentions(mg, arrays, "cuda", back)
    theirs = attentions(torch, arrays, torch_device("cuda"), back)
    a, b = ours().float().cpu().numpy(), theirs().float().cpu().numpy()
    apart = float(np.abs(a - b).max() / np.abs(b).max())
    if not apart <= 2e-2:
        raise ValueError(f"roofline: attention differs from PyTorch's by {apart:.1e}, so it was not timed")

    def synchronise() -> None:
        mg.cuda.synchronize()
        if torch_device("cuda") != "cpu":
            torch.cuda.synchronize()

    timing = harness.paired(ours, theirs, rounds, target, synchronise)
    return {
        "name": "attention", "what": "attention" + " forward and backward" * back, "dtype": "bfloat16",
        "bound": "PyTorch", "sizes": dict(zip(("batch", "heads", "length", "width"), shape, strict=True)),
        "bar": SDPA_BAR, "difference": float(f"{apart:.1e}"), **timing,
    }  # fmt: skip


# ---------------------------------------------------------------- telling


def told(row: dict[str, Any]) -> str:
    """A row on the terminal."""
    head = f"{row['name']:24} {row['what']:32} {row['dtype']:9}"
    if row["bound"] == "PyTorch":
        timed = f"{row['ours_ms']:.3f} ms / {row['theirs_ms']:.3f} ms = {row['ratio']:.2f} of PyTorch's time"
        return f"{head} {timed}, bar {row['bar']}: {harness.verdict(row['ratio'], row['bar'])}"
    counted = f"{row['bytes'] / 1e6:9.1f} MB {row['flop'] / 1e9:9.2f} GFLOP"
    if "share" not in row:
        return f"{head} {counted}  {row['bound']}"
    bar = f", bar {row['bar']}: {harness.verdict(row['bar'], row['share'])}" if row["bar"] else ""
    speeds = f"{row['ms']:8.3f} ms {row['gb_s']:8.1f} GB/s {row['tflop_s']:8.2f} TFLOP/s"
    return f"{head} {counted} {speeds}  {100 * row['share']:5.1f} % of {row['bound']}{bar}"


def ceilings(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The highest ceiling of each kind that was seen in the run: GB/s of copying, TFLOP/s by precision."""
    found: dict[str, float] = {}
    for row in rows:
        if "ceiling" in row:
            kind = "copy_gb_s" if row["bound"] == "memory" else f"{row['dtype']}_tflop_s"
            found[kind] = max(found.get(kind, 0.0), row["ceiling"])
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.roofline", description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print what each row counts; no GPU needed")
    parser.add_argument("--only", help="the rows of this kernel alone")
    parser.add_argument("--rounds", type=int, default=11, help="rounds timed per row (default 11)")
    parser.add_argument("--json", metavar="FILE", help="write the rows there")
    options = parser.parse_args(arguments)
    chosen = [row for row in ROWS if options.only is None or options.only in row.kernels]
    if options.list:
        print(*(told(listed(row)) for row in chosen), sep="\n")
        return 0
    if missing := harness.why_no_gpu():
        print(f"Nothing measured: a roofline is of a GPU. {missing}")
        return 0
    rows = []
    for row in chosen:
        rows.append(measure(row, options.rounds))
        print(told(rows[-1]), flush=True)
    with_torch = torch is not None and torch.cuda.is_available() and options.only in (None, "attention")
    for back in (False, True) if with_torch else ():
        rows.append(beside_torch(back, options.rounds))
        print(told(rows[-1]), flush=True)
    if not with_torch:
        print("Not beside PyTorch's attention: no PyTorch for CUDA here, or another row was asked for.")
    if options.json:
        env = harness.environment("cuda", ("numpy", "torch")) | {"ceilings": ceilings(rows)}
        harness.write(options.json, "roofline", env, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
