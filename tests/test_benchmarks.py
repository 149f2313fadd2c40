"""The benchmarks' own arithmetic: what they count, and what the report makes of their rows."""


import subprocess
import sys

import numpy as np
import pytest

from benchmarks import harness, report

ENVIRONMENT = {
    "device": "cpu", "processor": "a processor", "threads": 2, "blas_core": None, "python": "3.12",
    "versions": {"numpy": "2.0", "torch": None}, "commit": "abc", "date": "2026-01-01",
}  # fmt: skip
SPREAD = {"ratio": 1.5, "ratio_q1": 1.4, "ratio_q3": 1.6}
TIMED = {**SPREAD, "ours_ms": 3.0, "theirs_ms": 2.0}
ROWS = {
    "vs_pytorch": {"name": "a", "what": "net", "bar": 1.0, **TIMED, "captured": {**SPREAD, "ratio": 0.2, "ours_ms": 0.4, "bar": 0.3}},
    "vs_others": {"name": "a: B", "what": "net", "library": "B", "ms": 3.0, **SPREAD},
    "kernels": {"name": "relu, relu.x", "what": "ReLU", "bar": 1.0, **TIMED},
    "memory": {"name": "a", "what": "net", "bar": 1.2, "ratio": 2.0, "ours_mb": 8.0, "theirs_mb": 4.0, "captured": {"mb": 4.0, "ratio": 1.0, "recording_mb": 9.0, "bar": 1.2}},
    "floors": {"name": "a", "what": "net", "flops": 2e9, "optimiser_bytes": 3e6, "floor_ms": 1.5, "ours_ms": 3.0, "theirs_ms": 2.0},
}  # fmt: skip


def run(suite, row):
    return {"suite": suite, "file": f"{suite}.json", "environment": ENVIRONMENT, "rows": [row]}


@pytest.mark.parametrize("suite", report.KINDS)
def test_every_kind_of_row_fits_its_head(suite):
    limit = {"what": "limit", "value": 2.0, "bar": 1.0, "unit": "s"}
    row = ROWS.get(suite, {"what": "net", "shares": {"ops/conv": 1.0}} if suite == "where_time_goes" else limit)
    for found in (row, {k: v for k, v in row.items() if k != "captured"}):
        lines = report.table(run(suite, found)).splitlines()
        assert "numpy 2.0, commit abc" in lines[0]
        assert {line.count("|") for line in lines[2:]} == {len(report.KINDS[suite][0]) + 1}


def test_committed_results_have_a_kind():
    found = report.runs(report.HERE / "results")
    assert {r["suite"] for r in found} <= set(report.KINDS) and all(r["file"] == f"{r['suite']}.json" for r in found)


def test_missed_bars_are_listed_with_their_figures_and_accounts(monkeypatch):
    found = [run(suite, row) for suite, row in ROWS.items()]
    monkeypatch.setitem(report.ACCOUNTS, ("memory", "a"), "It keeps the columns.")
    listed = report.missed_list(found).splitlines()
    assert listed == [
        "- **vs_pytorch, a**: plain 1.50 against 1.0; the floor is 1.50 ms: minigrad takes 2.0 times it, PyTorch 1.3 times, "
        "so 0.75 is the least ratio there could be. "
        "No account yet.",
        "- **kernels, relu, relu.x**: 1.50 against 1.0. No account yet.",
        "- **memory, a**: plain 2.00 against 1.2. It keeps the columns.",
    ]
    assert report.missed_list([]) == "None."


def test_a_captured_step_misses_its_own_bar():
    row = ROWS["vs_pytorch"] | {"ratio": 0.9, "captured": {"ratio": 0.4, "bar": 0.3}}
    assert [text for _, _, text in report.missed([run("vs_pytorch", row)])] == ["captured 0.40 against 0.3"]


def test_marked_text_is_replaced_and_nothing_else():
    assert report.between("a <b> old <e> c", "<b>", "<e>", "new") == "a <b>\n\nnew\n\n<e> c"
    assert report.between("no marks", "<b>", "<e>", "new") == "no marks"


def test_accounts_belong_to_missed_bars():
    """An account of a bar that is kept, or of no row, is out of date."""
    listed = {(suite, name) for suite, name, _ in report.missed(report.runs(report.HERE / "results"))}
    assert set(report.ACCOUNTS) <= listed


def test_runs_take_turns(monkeypatch):
    monkeypatch.setattr(harness, "seconds", lambda run, times, synchronise: run() or 1e-3)
    order = []
    times, calls = harness.in_turn({name: lambda name=name: order.append(name) for name in "abc"}, rounds=2, target=2e-3)
    assert "".join(order[-6:]) == "abccba"
    assert calls == {"a": 2, "b": 2, "c": 2} and times["a"] == [1e-3, 1e-3]


@pytest.mark.torch
def test_flops_are_those_of_the_products():
    """Against the sums written out: a product of (m, k) and (k, n) takes 2 m k n."""
    torch = pytest.importorskip("torch")
    from benchmarks import floors

    nn = torch.nn
    model = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 4, 5))
    optimiser = torch.optim.Adam(model.parameters())
    with floors.counting() as found:
        model(torch.ones(2, 3, 8, 8)).sum().backward()
        optimiser.step()
    conv, linear = 2 * (2 * 8 * 4 * 4) * (3 * 9), 2 * 2 * 128 * 5
    assert found["flops"] == 2 * conv + 3 * linear  # the batch itself needs no gradient
    assert found["optimiser_bytes"] == 7 * 4 * sum(p.numel() for p in model.parameters())


@pytest.mark.torch
def test_flops_of_sequences():
    torch = pytest.importorskip("torch")
    from benchmarks import floors

    nn, x = torch.nn, torch.ones(2, 7, 4)
    lstm = nn.LSTM(4, 3, num_layers=2, bidirectional=True, batch_first=True)
    with floors.counting() as found:
        lstm(x)
    first, second, state = 2 * 14 * 4 * 12, 2 * 14 * 6 * 12, 2 * 12 * 3 * 12
    assert found["flops"] == 2 * (2 * first + 3 * second + 2 * 3 * state)
    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    with floors.counting() as found:
        attention(x, x, x)
    assert found["flops"] == 3 * (4 * 2 * 14 * 4 * 4 + 2 * 2 * (2 * 7 * 7 * 4))


@pytest.mark.slow
@pytest.mark.torch
def test_other_libraries_take_the_same_steps():
    """In a process of its own: JAX warns of any later fork in this one."""
    pytest.importorskip("torch")
    code = "from benchmarks import vs_others as v; [v.check_agreement(c, dict(v.steps(c))) for c in v.CASES]"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=harness.ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.torch
def test_peak_memory_sees_an_array():
    pytest.importorskip("torch")
    from benchmarks import memory

    memory.give_back()
    base = memory.status("VmRSS")
    memory.forget_peak()
    np.ones(40_000_000, np.uint8).sum()
    assert memory.status("VmHWM") - base == pytest.approx(40, abs=3)
