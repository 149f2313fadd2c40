"""An expression as text, traced: what it may say, what it is told when it may not, and the command."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.inspect import explain

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}


def test_the_hinge_of_the_readme():
    t = explain("max(0, 1 - w*x*y)", w=2, x=0.3, y=1)
    assert {name: float(g) for name, g in t.grads.items()} == {"w": -0.3, "x": -2.0, "y": -0.6}
    assert t.forward[0].code == "max(0, 1 - w*x*y)" and t.check()
    assert explain("max(0, 1 - w*x*y)", w=4, x=0.5, y=1)["w"].grad == 0.0


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.recursive(
        st.sampled_from(["a", "b", "2", "0.5"]),
        lambda e: st.one_of(
            st.tuples(e, st.sampled_from("+-*"), e).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
            st.tuples(st.sampled_from(["sin", "tanh", "exp"]), e).map(lambda t: f"{t[0]}({t[1]} / 4)"),
        ),
        max_leaves=6,
    ),
    st.floats(-2, 2),
    st.floats(-2, 2),
)
def test_any_expression_has_the_value_and_slope_that_numpy_finds(text, a, b):
    text = f"{text} + a * b"
    t = explain(text, a=a, b=b)
    names = {"sin": np.sin, "tanh": np.tanh, "exp": np.exp}
    assert t.loss.data == pytest.approx(eval(text, names, {"a": np.float64(a), "b": np.float64(b)}), rel=1e-12, abs=1e-12)
    imaginary = eval(text, names, {"a": a + 1e-30j, "b": b}).imag / 1e-30
    assert float(t["a"].grad) == pytest.approx(imaginary, rel=1e-9, abs=1e-9)


def test_lists_indices_and_reductions():
    t = explain("sum(softmax(x) * x) + max(x) - min(x, 2)[0] + mean(x[1:])", x=[1.0, 2.0, 4.0])
    assert t["x"].grad.shape == (3,) and t.check()
    assert explain("sum(A @ b)", A=[[1.0, 2.0], [3.0, 4.0]], b=[1.0, -1.0])["b"].grad.tolist() == [4.0, 6.0]


@pytest.mark.parametrize(
    "text, values, message",
    [
        ("w *", {"w": 1}, "expected an expression"),
        ("w ^ 2", {"w": 1}, r"a power is written a \*\* b"),
        ("w.real", {"w": 1}, "operators, names and functions only, got a attribute"),
        ("[w for w in x]", {"x": [1.0]}, "operators, names and functions only"),
        ("__import__('os')", {}, "no function '__import__'"),
        ("(lambda: 1)()", {}, "operators, names and functions only"),
        ("tan_h(w)", {"w": 1}, "no function 'tan_h'; there are tanh"),
        ("w * z", {"w": 1}, "z has no value; add z=1.5"),
        ("w * 2", {"w": 1, "x": 2}, "has no x; it has w"),
        ("w * 2", {"w": [1.0, 2.0]}, r"expected a scalar result, got shape \(2,\)"),
    ],
)
def test_what_is_no_expression_is_refused_by_name(text, values, message):
    with pytest.raises(ValueError, match=message):
        explain(text, **values)


def run(*words, folder):
    command = [sys.executable, "-m", "minigrad", "explain", *words]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, cwd=folder)


def test_the_command_prints_the_table_and_writes_the_page(tmp_path):
    done = run("max(0, 1 - w*x*y)", "w=2", "x=0.3", "y=1", "--check", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "∂L/∂w = ∂L/∂mul · x" in done.stdout and "6 edges compared" in done.stdout
    page = (tmp_path / "step.html").read_text()
    assert page.startswith("<!doctype html>") and "max(0, 1 - w*x*y)" in page


@pytest.mark.slow
def test_the_command_refuses_in_one_line_and_leaves_nothing(tmp_path):
    for words, said in [
        (["w*x", "w=2"], "x has no value"),
        (["w*x", "w=2", "x=two"], "expected name=number or name=[1, 2], got 'x=two'"),
        (["w*w", "w=2", "--out", "picture.png"], "ends in .html"),
    ]:
        done = run(*words, folder=tmp_path)
        assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
