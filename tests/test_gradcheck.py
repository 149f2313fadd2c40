"""gradcheck as users call it: what it passes, what it catches, how it tells where."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.engine.op import REGISTRY, elementwise
from minigrad.gradcheck import adjoint_error, float32_error
from minigrad.gradtable import check_all, format_table

RNG = np.random.default_rng(0)


@pytest.fixture
def broken():
    """tanh with one wrong row: y^2 lost where x is in its second row."""

    def vjp(g, y):
        wrong = np.zeros(np.shape(y))
        wrong[1] = 1.0
        return g * (1.0 - y * y * (1.0 - wrong))

    @elementwise(x=vjp)
    def broken_tanh(xp, x):
        return xp.tanh(x)

    yield broken_tanh
    del REGISTRY["broken_tanh"]


def test_an_analytic_function_of_several_inputs_is_right_to_the_last_digits():
    f = lambda w, x, b: mg.log_softmax(mg.tanh(x @ w) + b).sum(0)
    report = mg.gradcheck(
        f, [RNG.normal(size=s) for s in ((4, 3), (2, 4), (3,))], order=2, names=["w", "x", "b"]
    )
    assert report and report.ok and not report.faults()
    first = [r for r in report.rows if r.order == 1]
    assert [r.name for r in first] == ["w", "x", "b"] and {r.method for r in first} == {"complex-step"}
    assert max(r.error for r in first) < 1e-13
    assert "complex-step" in str(report) and "WRONG" not in str(report)


@pytest.mark.parametrize("method", ["complex-step", "richardson", "central"])
def test_every_method_catches_and_locates_a_wrong_row(broken, method):
    x = RNG.normal(size=(3, 4))
    with pytest.raises(
        ValueError, match=rf"the gradient of x at \(1, \d\) is .*, {method} gives .*; 4 of 12 elements differ"
    ):
        mg.gradcheck(broken, x, names=["x"], method=method)
    report = mg.gradcheck(broken, x, method=method, raise_exception=False)
    assert not report
    assert "WRONG" in str(report) and "    ....\n    ####\n    ...." in str(report)


def test_a_report_can_be_drawn(broken, tmp_path):
    pytest.importorskip("matplotlib")
    mg.gradcheck(broken, RNG.normal(size=(3, 4)), raise_exception=False).plot(tmp_path / "errors.png")
    assert (tmp_path / "errors.png").stat().st_size > 1000


def test_what_is_not_analytic_falls_back_to_differences():
    x = RNG.normal(size=5)
    for f in (mg.abs, lambda t: mg.hypot(t, 2.0), lambda t: t.astype("float64") * 2.0):
        report = mg.gradcheck(f, x)
        assert report.rows[0].method == "richardson" and report.rows[0].error < 1e-8


def test_a_kink_is_told_and_any_slope_between_its_sides_passes():
    report = mg.gradcheck(mg.abs, np.array([1.0, 0.0, -2.0]))
    assert report.ok and [k[0] for k in report.rows[0].kinks] == [(1,)]
    assert "kink at (1,): one-sided slopes" in str(report)

    @elementwise(x=lambda g, x: g * 3.0)
    def steep_abs(xp, x):
        return xp.abs(x)

    try:
        assert not mg.gradcheck(steep_abs, np.array([0.0]), raise_exception=False)
    finally:
        del REGISTRY["steep_abs"]


def test_inputs_are_left_alone_and_must_be_float64():
    x = mg.tensor(RNG.normal(size=3), requires_grad=True)
    before = x.tolist()
    mg.gradcheck(lambda t: t.exp(), x)
    assert x.tolist() == before and x.grad is None
    with pytest.raises(TypeError, match=r"expected float64 \(inputs\[1\]\), got float32; use .astype"):
        mg.gradcheck(lambda a, b: a * b, (np.ones(2), np.ones(2, np.float32)))
    for bad in ({"order": 3}, {"method": "guess"}):
        with pytest.raises(ValueError, match="gradcheck: expected"):
            mg.gradcheck(mg.exp, np.ones(2), **bad)
    with pytest.raises(TypeError, match="f must return a Tensor"):
        mg.gradcheck(lambda t: 3.0, np.ones(2))


def test_scalars_empty_inputs_and_inputs_without_influence():
    assert mg.gradcheck(lambda a: a * a, np.array(2.0), order=2)
    assert mg.gradcheck(lambda a: a.exp(), np.zeros((0, 3)))
    assert mg.gradcheck(lambda a, b: a * 2.0, (np.ones(2), np.ones(3)))


def test_nan_is_never_right():
    with np.errstate(all="ignore"):
        assert not mg.gradcheck(mg.log, np.array([-1.0]), raise_exception=False)


def test_float32_and_adjoint_measures():
    assert float32_error(mg.tanh, [RNG.normal(size=9)]) < 1e-5
    assert adjoint_error(lambda x: mg.cumsum(x, axis=0)[::2], RNG.normal(size=9)) < 1e-15
    assert adjoint_error(lambda x: x * x, RNG.normal(size=9)) > 1e-3  # not linear


def test_the_table_has_a_line_an_op_and_meets_the_bars():
    rows = check_all(["tanh", "relu", "argmax", "matmul"])
    text = format_table(rows)
    assert len(text.splitlines()) == 2 + 4 + 1 and "all right" in text
    assert rows[2]["method"] == "no gradient"
    with pytest.raises(ValueError, match="no op 'tahn'"):
        check_all(["tahn"])
