"""The shortest way through everything: one model learns, and the benchmarks run and agree with PyTorch."""

import subprocess
import sys

import numpy as np
import pytest

import minigrad as mg
from benchmarks import graph_limits, harness, report


def test_a_small_network_learns():
    mg.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 2)).astype(np.float32)
    inside = (np.hypot(*x.T) < 1.0).astype(np.int64)
    model = mg.nn.Sequential(mg.nn.Linear(2, 16), mg.nn.Tanh(), mg.nn.Linear(16, 2))
    optimiser = mg.optim.Adam(model.parameters(), lr=0.05)
    criterion = mg.nn.CrossEntropyLoss()
    for _ in range(150):
        optimiser.zero_grad()
        loss = criterion(model(mg.tensor(x)), mg.tensor(inside))
        loss.backward()
        optimiser.step()
    answers = model(mg.tensor(x)).data.argmax(axis=1)
    assert (answers == inside).mean() > 0.97


def test_a_long_graph_needs_no_recursion():
    nodes = 20 * sys.getrecursionlimit()
    assert graph_limits.million_nodes(nodes)["unit"] == "s"  # raises where the gradient is wrong


@pytest.mark.slow
def test_training_does_not_grow_the_memory():
    resident, traced = graph_limits.memory_growth(steps=300, warm=100)
    assert traced["value"] < 0.05, traced
    assert resident["value"] < 1.0, resident


LARGE = [pytest.param(name, marks=pytest.mark.slow) for name in ("resnet20", "vgg", "conv1d", "lstm", "gru", "transformer")]


@pytest.mark.torch
@pytest.mark.parametrize("name", ["mlp", "chain", "lenet5", *LARGE])
def test_benchmarks_agree_with_pytorch(name):
    pytest.importorskip("torch")
    from benchmarks import vs_pytorch

    (case,) = [c for c in vs_pytorch.CASES if c.name == name]
    assert vs_pytorch.check_agreement(name, *case.build("cpu")) < 1e-4


@pytest.mark.torch
def test_benchmarks_write_their_rows(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from benchmarks import vs_pytorch

    assert len(vs_pytorch.CASES) == 3 + len(LARGE)
    monkeypatch.setattr(harness.gc, "collect", lambda: 0)
    file = tmp_path / "rows.json"
    vs_pytorch.main(["--only", "chain", "--rounds", "1", "--json", str(file)])
    (table,) = [report.table(run) for run in report.runs(tmp_path)]
    assert "chain of 200 small ops" in table and "bar" in table


@pytest.mark.torch
def test_a_comparison_of_different_models_is_refused():
    pytest.importorskip("torch")
    from benchmarks import vs_pytorch

    with pytest.raises(ValueError, match="losses differ"):
        vs_pytorch.check_agreement("planted", lambda: mg.tensor(1.0), lambda: mg.tensor(1.001))


def test_pairs_give_the_ratio_of_what_they_time(monkeypatch):
    monkeypatch.setattr(harness.gc, "collect", lambda: 0)  # slow where a whole suite is in memory
    calls = []
    timing = harness.paired(lambda: calls.append("a"), lambda: calls.append("b"), rounds=4, target=1e-4)
    assert timing["rounds"] == 4 and timing["ratio_q1"] <= timing["ratio"] <= timing["ratio_q3"]
    assert {"a", "b"} == set(calls)


def test_benchmark_tables_are_generated():
    text = (report.HERE / "README.md").read_text()
    assert report.rendered(text) == text, "run: python -m benchmarks.report"


@pytest.mark.parametrize("module", ["benchmarks.graph_limits", "minigrad.cli"])
def test_programs_explain_themselves(module):
    done = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--help" in done.stdout, done.stderr
