"""The GPU benchmarks on the stand-in: what they compare, count and say. Their times are not looked at there."""

import json
import math
import re
import subprocess
import sys
import types

import numpy as np
import pytest

from benchmarks import cpu_vs_gpu, crossover, gpu_page, harness, models, report, roofline, rooflines, sweeps
from minigrad import nn
from minigrad_kernels.cuda import TABLE

BY_NAME = {sweep.name: sweep for sweep in sweeps.SWEEPS}
SMALLEST = {"dropout": 37, "adam": 64, "attention": 9, "matmul": 5, "resnet20": 2}
SHORTER = {  # the same work with smaller pictures and shorter sequences than any size of the sweep
    "lstm": sweeps.module(lambda: nn.LSTM(256, 256), lambda n: [sweeps.draw(3, n, 256)], first=True),
    "gru": sweeps.module(lambda: nn.GRU(256, 256), lambda n: [sweeps.draw(3, n, 256)], first=True),
    "conv2d": sweeps.module(lambda: nn.Conv2d(64, 64, 3, padding=1), lambda n: [sweeps.draw(n, 64, 8, 8)]),
    "resnet20": sweeps.model(models.resnet20, 3, 8, 8),
    "vgg": sweeps.model(models.vgg_block, 3, 8, 8),
    "char_lstm": sweeps.model(models.char_lstm, 4, words=65),
    "transformer": sweeps.model(models.transformer, 9, words=65),
}
# Emulated these take longest: a compilation for each kernel, some seconds each where none is kept.
LONG = {"conv2d", "lstm", "gru", "embedding", "attention", *(s.name for s in sweeps.MODELS if s.name != "mlp")}


@pytest.fixture
def hasty(monkeypatch):
    """One call a measurement, no rest, no collecting of garbage: times mean nothing here."""
    monkeypatch.setattr(harness, "gc", types.SimpleNamespace(collect=int, disable=int, enable=int))
    monkeypatch.setattr(harness, "REST", 0)
    monkeypatch.setattr(harness, "calls_for", lambda *args: 1)
    seconds = harness.seconds
    monkeypatch.setattr(harness, "seconds", lambda run, times, synchronise: seconds(run, 1, synchronise))


def some(rows, long):
    """Parameters of a test, the long ones marked slow."""
    return [pytest.param(r, id=i, marks=[pytest.mark.slow] * long(r)) for i, r in rows]


# ---------------------------------------------------------------- the CPU against the GPU


@pytest.mark.parametrize("sweep", some(BY_NAME.items(), lambda s: s.name in LONG))
def test_devices_agree(stand_in, sweep):
    """Result and gradients; and a batch that is there already causes no transfer."""
    size, make = SMALLEST.get(sweep.name, 1), SHORTER.get(sweep.name, sweep.make)
    there = make(size, "cuda")
    found = cpu_vs_gpu.compared(sweep, make(size, "cpu"), there)
    assert not found["refused"] and found["gradient_difference"] <= cpu_vs_gpu.TOLERANCE[sweep.kind], found
    run = cpu_vs_gpu.resident(there, "cuda")
    run()
    if stand_in:
        stand_in.ledger.clear()
        run()
        assert not stand_in.ledger.transfers()
        stand_in.ledger.clear()
        cpu_vs_gpu.sent(there)()
        kinds = [e.kind for e in stand_in.ledger.transfers()]
        # The second read is of the device's word on labels, at the first occasion to hear it.
        assert kinds.count("h2d") == len(there.host) and kinds.count("d2h") in (1, 2)


def test_whole_sweeps(stand_in, hasty, monkeypatch, tmp_path, capsys):
    """From the command to the table, the file and the plot."""
    monkeypatch.setattr(cpu_vs_gpu, "SWEEPS", [BY_NAME["dropout"]._replace(sizes=(16, 64, 256)), BY_NAME["matmul"]._replace(sizes=(4, 8))])
    plot, file = tmp_path / "plot.png", tmp_path / "rows.json"
    assert cpu_vs_gpu.main(["--rounds", "1", "--json", str(file), "--plot", str(plot)]) == 0
    said, found = capsys.readouterr().out, json.loads(file.read_text())
    assert said.count(" x ") == 2 * 5 and "From which size on the GPU is faster" in said
    assert [row["size"] for row in found["rows"]] == [16, 64, 256, 4, 8]
    assert all(row["cpu_ms"] >= 0 and row["gpu"]["transfers_ms"] >= 0 and row["gpu"]["result_difference"] < 1e-5 for row in found["rows"])
    gpu = found["environment"]["gpu"]
    assert gpu["cupy"] and gpu["cuda_runtime"] and gpu["cuda_driver"] and "cublas" in gpu
    assert plot.stat().st_size > 10_000
    assert cpu_vs_gpu.main(["--read", str(file)]) == 0 and "dropout" in capsys.readouterr().out


def test_what_differs_is_refused_and_not_timed(stand_in, hasty, monkeypatch, capsys):
    def make(size, device):
        work = BY_NAME["matmul"].make(size, device)
        return work if device == "cpu" else work._replace(gradients=lambda: [g * 1.001 for g in work.gradients()])

    sweep = BY_NAME["matmul"]._replace(sizes=(4,), make=make)
    monkeypatch.setattr(cpu_vs_gpu, "SWEEPS", [sweep])
    row = cpu_vs_gpu.measure(sweep, 4, 1, True)
    assert row["cpu_ms"] is None and row["gpu"]["refused"] and row["gpu"]["gradient_difference"] == pytest.approx(1e-3, rel=0.1)
    assert cpu_vs_gpu.main(["--rounds", "1"]) == 1 and "REFUSED" in capsys.readouterr().out


@pytest.mark.parametrize("got", [[np.ones(3)], [np.ones(2, np.float32)], [np.array([1.0, np.nan])], []])
def test_what_cannot_be_compared_is_refused(got):
    assert cpu_vs_gpu.difference([np.ones(2)], got) == math.inf


def test_without_a_gpu_the_cpu_part_remains(device, hasty, monkeypatch, tmp_path, capsys):
    if device != "cpu":
        pytest.skip("there is a GPU")
    monkeypatch.setattr(cpu_vs_gpu, "SWEEPS", [BY_NAME["dropout"]._replace(sizes=(16, 64))])
    plot, file = tmp_path / "plot.png", tmp_path / "rows.json"
    assert cpu_vs_gpu.main(["--rounds", "1", "--json", str(file), "--plot", str(plot)]) == 0
    lines, rows = capsys.readouterr().out.splitlines(), json.loads(file.read_text())["rows"]
    assert lines[0].startswith("The CPU alone, since there is no GPU to compare with. ") and "doctor" in lines[0]
    assert [row["gpu"] for row in rows] == [None, None] and all(row["cpu_ms"] > 0 for row in rows)
    assert plot.exists()


def test_every_model_and_layer_has_a_sweep():
    built = [name for name, f in vars(models).items() if callable(f) and f.__module__ == models.__name__ and name != "tokens_model"]
    assert len([s for s in sweeps.SWEEPS if s.kind == "model"]) == len(built)
    assert all(sorted(s.sizes) == list(s.sizes) and len(cpu_vs_gpu.sizes_of(s, True)) == 3 for s in sweeps.SWEEPS)


# ---------------------------------------------------------------- crossover


def test_crossover():
    """Lines in the log-log plane: t = size on the CPU and 8 on the GPU cross at 8, between any two sizes."""
    sizes = [1, 2, 4, 16, 64]
    assert crossover.crossing(sizes, sizes, [8] * 5) == pytest.approx(8)
    assert crossover.crossing(sizes, [9] * 5, [8] * 5) == 1
    assert crossover.crossing(sizes, [8] * 5, sizes) == math.inf  # faster at first, not in the end
    assert crossover.crossing([1, 4, 16], [2, 1, 16], [1, 2, 1]) == pytest.approx(4 * 4 ** (math.log(2) / math.log(32)))


def sweep_rows(gpu):
    made = lambda size: {"ms": gpu, "transfers_ms": 1000.0, "refused": False, "result_difference": 0.0, "gradient_difference": 1e-7}
    return [{"name": "a", "kind": "layer", "what": "a layer", "size": s, "size_is": "batch", "cpu_ms": float(s), "gpu": made(s)} for s in (1, 10, 100)]


def test_crossover_in_words():
    assert crossover.words(sweep_rows(10**0.5), False) == "3.2"
    assert crossover.words(sweep_rows(0.5), False) == "all from 1 on"
    assert crossover.words(sweep_rows(0.5), True) == "none up to 100"


# ---------------------------------------------------------------- roofline


def flat(x):
    """All arrays of what a kernel returned."""
    if hasattr(x, "nbytes"):
        return [x]
    return [a for part in x for a in flat(part)] if isinstance(x, tuple | list) and not hasattr(x, "states") else []


ROWS = [(f"{row.kernels[0]}-{row.what}-{row.dtype}".replace(" ", "_"), row) for row in rooflines.ROWS]
QUICK = {"relu", "tanh.x", "random_words", "dropout", "check_range", "adam", "softmax.x", "cross_entropy", "normalise.joint", "im2col",
         "max_pool", "window_put", "linear", "linear.bias", "einsum"}  # fmt: skip


@pytest.mark.parametrize("row", some(ROWS, lambda row: not QUICK & set(row.kernels)))
def test_bytes_are_those_of_the_arrays(stand_in, row):
    """The kernel takes the job; what is counted from the shapes is what it is given and returns."""
    job = rooflines.job(row, row.small)
    made = job.run()
    assert made is not NotImplemented
    written = {id(a): a.nbytes for a in flat(made)}
    if row.bound != "latency":  # there initial states count, at sizes where they do not matter
        assert rooflines.count(row, row.small).bytes == sum(a.nbytes for a in job.given) + sum(written.values())


def test_flop_of_some_rows():
    """Against sums written out."""
    by_what = {(row.what, row.dtype): rooflines.count(row).flop for row in rooflines.ROWS}
    assert by_what["product", "float32"] == 2 * 4096**3
    assert by_what["3x3 conv", "float32"] == 2 * 128 * 128 * 128 * 9 * 28 * 28
    assert by_what["attention", "bfloat16"] == 4 * (4 * 16) * 4096**2 * 64
    assert by_what["LSTM", "float32"] == 2 * (256 * 128) * (256 + 256) * 4 * 256


def test_every_file_of_kernels_has_a_row_or_a_reason():
    measured, without = {name for row in rooflines.ROWS for name in row.kernels}, set(rooflines.WITHOUT)
    assert measured | without <= set(TABLE) and not measured & without
    missing = {file for file, _, _ in TABLE.values()} - {TABLE[name][0] for name in measured | without}
    assert not missing, f"benchmarks/rooflines: {sorted(missing)} have no row, and WITHOUT says not why"


def test_sizes_fill_a_card():
    """Memory-bound rows move more than any cache of a card holds."""
    assert all(rooflines.count(row).bytes > 100e6 for row in rooflines.ROWS if row.bound == "memory")


def test_roofline_measures(stand_in, hasty):
    by_kernel = {row.kernels[0]: row for row in rooflines.ROWS if row.dtype == "float32"}
    memory, product = (roofline.measure(by_kernel[name], 1, small=True) for name in ("relu", "matmul"))
    assert memory["bar"] == 0.7 and product["bar"] is None and memory["share"] > 0 and product["tflop_s"] >= 0
    assert "bar 0.7" in roofline.told(memory) and "bar" not in roofline.told(product)
    assert set(roofline.ceilings([memory, product])) == {"copy_gb_s", "float32_tflop_s"}


def torch_beside(stand_in, monkeypatch, module):
    """PyTorch works on the same GPU; beside the stand-in, on the CPU."""
    torch = pytest.importorskip("torch")
    if stand_in:
        monkeypatch.setattr(module, "torch_device", lambda device: "cpu")
    elif not torch.cuda.is_available():
        pytest.skip("PyTorch has no CUDA here")


@pytest.mark.slow
@pytest.mark.torch
def test_attention_beside_torch(stand_in, hasty, monkeypatch):
    torch_beside(stand_in, monkeypatch, roofline)
    row = roofline.beside_torch(True, 1, shape=(1, 2, 37, 16))
    assert row["difference"] < 2e-2 and "of PyTorch's time" in roofline.told(row)


def test_list_needs_no_gpu(capsys):
    assert roofline.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(rooflines.ROWS) and all(" MB " in line and "GFLOP" in line for line in lines)


def test_without_a_gpu_nothing_is_measured(device, capsys):
    if device != "cpu":
        pytest.skip("there is a GPU")
    assert roofline.main([]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 1 and said[0].startswith("Nothing measured")


# ---------------------------------------------------------------- beside PyTorch


@pytest.mark.torch
def test_vs_pytorch_says_what_is_missing(device, capsys):
    torch = pytest.importorskip("torch")
    from benchmarks import vs_pytorch

    if device != "cpu" or torch.cuda.is_available():
        pytest.skip("nothing is missing")
    with pytest.raises(SystemExit) as stopped:
        vs_pytorch.main(["--device", "cuda"])
    said = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2 and len(said) == 1 and "--device cuda cannot run here: " in said[0]


def test_vs_pytorch_without_torch_says_so(monkeypatch, capsys):
    from benchmarks import vs_pytorch

    monkeypatch.setattr(vs_pytorch, "torch", None)
    with pytest.raises(SystemExit) as stopped:
        vs_pytorch.main([])
    assert stopped.value.code == 2 and "pip install torch" in capsys.readouterr().err


def test_bars_on_a_gpu():
    from benchmarks import vs_pytorch

    cases = vs_pytorch.cases_on("cuda")
    assert {case.name for case in cases} == {"mlp", "lstm", "gru", "transformer", "resnet20", "conv1d"}
    assert all(vs_pytorch.bars(case) == [("ours", 1.5), ("captured", 1.0)] for case in cases)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("name", ["mlp", "conv1d"])  # the others' sequences take minutes, emulated
def test_steps_on_the_stand_in_agree_with_torch(stand_in, monkeypatch, name):
    """Plain and captured as a graph: five losses of a training step, the weights copied from PyTorch."""
    from benchmarks import vs_pytorch

    torch_beside(stand_in, monkeypatch, vs_pytorch)
    [case] = [case for case in vs_pytorch.cases_on("cuda") if case.name == name]
    runs, worst = vs_pytorch.sides(case._replace(build=lambda device: case.build(device, 1)), "cuda", True, True)
    assert worst < 1e-4 and "graph" in repr(runs["captured"])


# ---------------------------------------------------------------- the page


def test_the_page_is_what_the_files_say():
    assert gpu_page.PAGE.read_text() == gpu_page.page()


def test_without_results_the_page_says_so(tmp_path):
    page = gpu_page.page(tmp_path)
    assert "Nothing has been measured: no GPU was at hand" in page
    for command in ("pytest --device cuda", "--tool memcheck", "--tool racecheck", "benchmarks.vs_pytorch --device cuda", "benchmarks.roofline --json", "benchmarks.cpu_vs_gpu --json"):
        assert command in page
    assert not re.search(r"\d ms|GB/s|TFLOP/s", page)


def test_the_page_of_results(stand_in, hasty, tmp_path):
    """Rows made here, so the figures mean nothing; a row of each kind finds its place, a missed bar is told."""
    env = harness.environment("cuda", ("numpy",))
    memory = roofline.measure(rooflines.ROWS[0], 1, small=True) | {"share": 0.5}
    beside = {"name": "attention", "what": "attention", "dtype": "bfloat16", "bound": "PyTorch", "bar": 2.0, "ratio": 3.0, "ratio_q1": 2.9, "ratio_q3": 3.1}
    harness.write(tmp_path / "roofline.json", "roofline", env | {"ceilings": {"copy_gb_s": 1.0}}, [memory, beside])
    refused = sweep_rows(1.0)[0] | {"size": 1000, "cpu_ms": None, "gpu": {"refused": True}}
    harness.write(tmp_path / "cpu_vs_gpu.json", "cpu_vs_gpu", env, [*sweep_rows(10.0), refused])
    timed = {"ratio": 1.6, "ratio_q1": 1.5, "ratio_q3": 1.7, "ours_ms": 1.0}
    step = {"name": "mlp", "what": "an MLP", "bar": 1.5, "theirs_ms": 1.0, **timed, "captured": {**timed, "ratio": 0.9, "bar": 1.0}}
    harness.write(tmp_path / "vs_pytorch.json", "vs_pytorch", env, [step])
    page = gpu_page.page(tmp_path)
    assert "Nothing has been measured" not in page and "remain to be run" not in page
    assert "| 50 % (" in page and "bar 0.7: MISSED" in page and "bar 2.0: MISSED" in page
    assert "mlp: plain 1.60 against 1.5" in page and "captured 0.90" not in page
    assert "| a layer | batch 1 to 100 | 10 | none up to 100 |" in page and "- a, batch 1000" in page
    assert "CuPy 14.2.0, CUDA 12.8 (driver 12.8)" in page or not stand_in


def test_the_script_names_every_benchmark():
    text = (harness.ROOT / ".ci" / "gpu").read_text()
    assert subprocess.run(["bash", "-n", str(harness.ROOT / ".ci" / "gpu")], check=False).returncode == 0
    modules = re.findall(r"python -m (benchmarks\.\w+)", text)
    names = {"vs_pytorch", "roofline", "cpu_vs_gpu", "recipes", "report"}
    assert set(modules) == {f"benchmarks.{name}" for name in names}


def test_report_checks_the_page(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_page, "PAGE", tmp_path / "gpu.md")
    monkeypatch.setattr(sys, "argv", ["report", "--check"])
    assert report.main() == 1
