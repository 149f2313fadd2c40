"""Train the same models in minigrad and in PyTorch, in one run: `python -m benchmarks.vs_pytorch`.

Every row builds a model in both libraries by the same function (the names are the same), copies
PyTorch's initial weights, and sees that the losses of the first steps agree before anything is
timed. One timed call is one training step: forward, loss, zero_grad, backward, optimiser step.
A row has two figures: the step as it is written, and the same step captured (`mg.capture`). All
three sides are timed in the same rounds. `--device cuda` does the same on a GPU, with float32 products in full
(no TF32) on both sides and with bars of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import benchmarks  # sets threads and matrix kernels, before NumPy loads
from benchmarks import harness, models

import numpy as np  # isort: skip

try:
    import torch
except ImportError:  # main says so
    torch = None  # type: ignore[assignment]

import minigrad as mg  # isort: skip
from minigrad.engine import backend  # isort: skip


class Case(NamedTuple):
    """One row: what it trains, the ratio it must keep, and a function (device, batch=0) -> two steps.

    `batch` takes the place of the row's own batch size where it is not 0.
    `captured_bar` is the ratio that the captured step must keep, where it is another one.
    """

    name: str
    what: str
    bar: float
    build: Callable[..., tuple[Callable[[], Any], Callable[[], Any]]]
    captured_bar: float | None = None


def train_step(lib: ModuleType, model: Any, optimiser: Any, x: Any, labels: Any) -> Callable[[], Any]:
    """A function that makes one training step and returns the loss."""
    criterion = lib.nn.CrossEntropyLoss()

    def step() -> Any:
        optimiser.zero_grad()
        loss = criterion(model(x), labels)
        loss.backward()
        optimiser.step()
        return loss

    return step


def torch_device(device: str) -> str:
    """Where PyTorch works while minigrad works there: the same place (tests put another in here)."""
    return device


def classifier(make: Callable, shape: tuple[int, ...], optimiser: Callable, words: int = 0) -> Callable:
    """A case's `build`: the same model, weights and batch on both sides; `words`: x is tokens, each labelled."""

    def build(device: str, batch: int = 0) -> tuple[Callable[[], Any], Callable[[], Any]]:
        rng, size = np.random.default_rng(0), (batch or shape[0], *shape[1:])
        x = rng.integers(0, words, size) if words else rng.random(size, dtype=np.float32)
        labels = rng.integers(0, 10, x.size if words else len(x))
        torch.manual_seed(0)
        theirs, ours = make(torch.nn).to(torch_device(device)), make(mg.nn).to(device)
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            p.data = mg.tensor(q.detach().cpu().numpy(), device=device)
        x_ours, labels_ours = (mg.tensor(a, device=device) for a in (x, labels))
        x_theirs, labels_theirs = (torch.tensor(a, device=torch_device(device)) for a in (x, labels))
        return (
            train_step(mg, ours, optimiser(mg.optim, ours), x_ours, labels_ours),
            train_step(torch, theirs, optimiser(torch.optim, theirs), x_theirs, labels_theirs),
        )

    return build


PACKAGES = ("numpy", "numba", "torch")  # whose versions a number depends on
CHAIN_BLOCKS = 40  # of five ops each: mul, add, tanh, sub, relu


def chain_step(lib: ModuleType, weights: list[Any], x: Any) -> Callable[[], Any]:
    """200 ops on 8x8 forward and backward; every block has three leaf parameters of its own."""

    def step() -> Any:
        y = x
        for w, b, c in zip(weights[0::3], weights[1::3], weights[2::3], strict=True):
            y = lib.relu(lib.tanh(y * w + b) - c)
        loss = y.sum()
        loss.backward()
        for w in weights:
            w.grad = None
        return loss

    return step


def chain_values() -> tuple[list[np.ndarray], np.ndarray]:
    """The chain's parameters and its input."""
    rng = np.random.default_rng(0)
    # Around w = 1, b = c = 0 values and gradients stay of order one through all the blocks.
    centre = np.array([1.0, 0.3, 0.0] * CHAIN_BLOCKS)[:, None, None]
    values = (centre + 0.1 * rng.standard_normal((3 * CHAIN_BLOCKS, 8, 8))).astype(np.float32)
    return list(values), rng.random((8, 8), dtype=np.float32)


def chain(device: str, batch: int = 0) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The chain of small ops on both sides; it has no batch."""
    values, x = chain_values()
    ours = [mg.tensor(v, device=device, requires_grad=True) for v in values]
    theirs = [torch.tensor(v, device=torch_device(device), requires_grad=True) for v in values]
    return (
        chain_step(mg, ours, mg.tensor(x, device=device)),
        chain_step(torch, theirs, torch.tensor(x, device=torch_device(device))),
    )


def adam(optim: ModuleType, model: Any) -> Any:
    return optim.Adam(model.parameters(), lr=1e-3)


def momentum(optim: ModuleType, model: Any, lr: float = 0.01) -> Any:
    return optim.SGD(model.parameters(), lr=lr, momentum=0.9)


def small_steps(optim: ModuleType, model: Any) -> Any:
    """For batch norm, which magnifies float32's rounding from step to step."""
    return momentum(optim, model, 0.001)


CASES = [
    Case("mlp", "MLP 784-512-512-10, batch 128, Adam", 0.5, classifier(models.mlp, (128, 784), adam)),
    Case("chain", "chain of 200 small ops on 8x8 (40 x mul, add, tanh, sub, relu)", 0.8, chain, 0.3),
    Case(
        "lenet5",
        "LeNet-5, batch 64, SGD + momentum",
        1.0,
        classifier(models.lenet5, (64, 1, 28, 28), momentum),
    ),
    Case(
        "resnet20",
        "ResNet-20, batch 32, 32x32, SGD + momentum",
        1.0,
        classifier(models.resnet20, (32, 3, 32, 32), small_steps),
    ),
    Case(
        "vgg",
        "VGG block 3-64-64-pool-128-128, batch 16, 64x64, SGD + momentum",
        1.0,
        classifier(models.vgg_block, (16, 3, 64, 64), momentum),
    ),
    Case(
        "conv1d",
        "1-D ConvNet, 1,000 samples, batch 32, Adam",
        1.0,
        classifier(models.conv1d_net, (32, 1, 1000), adam),
    ),
    Case(
        "lstm",
        "LSTM character model, T 64, batch 32, hidden 256, Adam",
        1.0,
        classifier(models.char_lstm, (32, 64), adam, 65),
    ),
    Case(
        "gru",
        "2-layer bidirectional GRU tagger, T 50, batch 32, hidden 128, Adam",
        1.0,
        classifier(models.gru_tagger, (32, 50), adam, 1000),
    ),
    Case(
        "transformer",
        "transformer, 4 layers, d 128, T 128, batch 16, Adam",
        0.9,
        classifier(models.transformer, (16, 128), adam, 65),
    ),
]


# On a GPU: the step as it is written, and captured as a graph, against PyTorch's eager step.
GPU_BARS = dict.fromkeys(("mlp", "resnet20", "conv1d", "lstm", "gru", "transformer"), (1.5, 1.0))


def cases_on(device: str) -> list[Case]:
    """The rows that have a bar on that device, with it."""
    if device == "cpu":
        return CASES
    cases = [case for case in CASES if case.name in GPU_BARS]
    return [case._replace(bar=GPU_BARS[case.name][0], captured_bar=GPU_BARS[case.name][1]) for case in cases]


# ---------------------------------------------------------------- running them


def missing_for(device: str) -> str | None:
    """What is not here that a run on that device needs, in one line; None if all is."""
    if torch is None:
        return "PyTorch is not installed: pip install torch"
    if device == "cpu":
        return None
    if not torch.cuda.is_available():
        why = "this PyTorch is built without CUDA" if torch.version.cuda is None else "PyTorch sees no GPU"
        return f"{why} (torch {torch.__version__}); {harness.why_no_gpu() or 'minigrad is ready'}"
    return harness.why_no_gpu()


def full_precision() -> None:
    """Float32 products with all their bits in both libraries: TF32 would be another comparison."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    mg.set_float32_matmul_precision("highest")


def check_agreement(name: str, ours: Callable[[], Any], theirs: Callable[[], Any], steps: int = 5) -> float:
    """Largest relative difference of the losses over the first steps; ValueError beyond 1e-4."""
    losses = [(float(ours().item()), float(theirs().item())) for _ in range(steps)]
    worst = max(abs(a - b) / max(abs(b), 1e-3) for a, b in losses)
    if not worst <= 1e-4:
        raise ValueError(f"{name}: the losses differ by {worst:.1e}, so nothing was timed: {losses}")
    return worst


def sides(case: Case, device: str, plain: bool, captured: bool) -> tuple[dict[str, Callable[[], Any]], float]:
    """The steps to time ("theirs", "ours", "captured"), once they agree, and by how much their losses differ."""
    runs, worst = {}, 0.0
    for name, wanted in (("ours", plain), ("captured", captured)):
        if wanted:
            ours, runs["theirs"] = case.build(device)  # each on its own weights
            runs[name] = mg.capture(ours) if name == "captured" else ours
            worst = max(worst, check_agreement(f"{case.name} ({name})", runs[name], runs["theirs"]))
    return runs, worst


def measure(
    case: Case, device: str, rounds: int, plain: bool = True, captured: bool = False
) -> dict[str, Any]:
    """One row: agreement first, then timing in turn. The plain figure stands in the row itself."""
    runs, worst = sides(case, device, plain, captured)

    def synchronise() -> None:
        if device != "cpu":
            backend.synchronize()
        if torch_device(device) != "cpu":
            torch.cuda.synchronize()

    times, calls = harness.in_turn(runs, rounds, synchronise=synchronise)
    row = {"name": case.name, "what": case.what, "bar": case.bar, "loss_difference": float(f"{worst:.1e}")}
    figures = {name: figure(times[name], times["theirs"], bar) for name, bar in bars(case) if name in runs}
    row |= figures.pop("ours", {})
    row |= {"theirs_ms": harness.milliseconds(times["theirs"]), "rounds": rounds}
    return {**row, **figures, "calls_per_round": calls}


def bars(case: Case) -> list[tuple[str, float]]:
    """The bar of the step as it is written and that of the captured one."""
    return [("ours", case.bar), ("captured", case.captured_bar or case.bar)]


def figure(ours: list[float], theirs: list[float], bar: float) -> dict[str, Any]:
    """One side's ratio, time and bar."""
    return {"bar": bar, **harness.ratios(ours, theirs), "ours_ms": harness.milliseconds(ours)}


def told(row: dict[str, Any]) -> str:
    """A row on the terminal: a line for the plain step, one for the captured."""
    lines = []
    for what, found in ((row["name"], row), ("  captured", row.get("captured", {}))):
        if "ratio" in found:
            verdict = harness.verdict(found["ratio"], found["bar"])
            lines.append(
                f"{what:11} {found['ours_ms']:9.3f} ms / {row['theirs_ms']:9.3f} ms = {found['ratio']:.3f}"
                f" ({found['ratio_q1']:.3f} to {found['ratio_q3']:.3f}), bar {found['bar']}: {verdict}"
            )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    can_capture = hasattr(mg, "capture")
    parser = argparse.ArgumentParser("python -m benchmarks.vs_pytorch", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31, help="rounds timed per row (default 31)")
    parser.add_argument("--only", choices=[case.name for case in CASES], help="time this row alone")
    parser.add_argument("--json", metavar="FILE", help="write the rows there")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--plain", action="store_true", help="only the step as it is written")
    either.add_argument("--captured", action="store_true", help="only the captured step (writes no file)")
    options = parser.parse_args(arguments)
    if options.captured and (options.json or not can_capture):
        parser.error("--captured: a file needs the plain figure too" if can_capture else "no mg.capture yet")
    cases = [case for case in cases_on(options.device) if options.only in (None, case.name)]
    if not cases:
        parser.error(f"--only {options.only}: this row has no bar on {options.device}")
    if missing := missing_for(options.device):
        print(f"vs_pytorch: --device {options.device} cannot run here: {missing}", file=sys.stderr)
        sys.exit(2)
    torch.set_num_threads(benchmarks.THREADS)
    full_precision()
    rows = []
    for case in cases:
        which = {"plain": not options.captured, "captured": can_capture and not options.plain}
        rows.append(measure(case, options.device, options.rounds, **which))
        print(told(rows[-1]), flush=True)
    if options.json:
        env = harness.environment(options.device, PACKAGES)
        harness.write(options.json, "vs_pytorch", env | ({} if options.device == "cpu" else {"tf32": False}), rows)


if __name__ == "__main__":
    main()
