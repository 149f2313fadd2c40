"""The formula table: a row for every op, and what the elementwise rows say is what the engine does."""

import re

import numpy as np
import pytest
from cases import SAMPLES

import minigrad as mg
import minigrad.nn
from minigrad.engine.op import REGISTRY, elementwise
from minigrad.gradtable import as_function
from minigrad.inspect.formulas import edge_text, formula_of, forward_text, local_text, numbers_text
from minigrad.inspect.formulas.table import FORMULAS

OPS = sorted(name for name, o in REGISTRY.items() if o.forward.__module__.startswith("minigrad."))
ELEMENTWISE = [n for n in OPS if REGISTRY[n].elementwise and REGISTRY[n].differentiable]


def carriers(op):
    """The op's arguments that receive a gradient."""
    if not op.differentiable:
        return []
    constant = op.constant or (False,) * len(op.arrays)
    return [a for a, fixed in zip(op.arrays, constant) if not fixed] or [op.variadic]


@pytest.mark.parametrize("name", OPS)
def test_every_op_has_a_row_with_a_rule_for_every_gradient_it_sends(name):
    row, op = FORMULAS[name], REGISTRY[name]
    assert sorted(row.local) == sorted(row.vjp) == sorted(carriers(op))
    assert row.forward
    assert re.fullmatch(r"\S.*[^.\s]", row.words)
    known = {*op.arrays, *op.meta, op.variadic, "y", "g", "n", "per"}
    for text in (row.forward, *row.local.values(), *row.vjp.values()):
        assert set(re.findall(r"\{(\w+)\}", text)) <= known, text


# ---------------------------------------------------------------- the elementwise rows are true


def normal(x):
    return np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


def cumulative(x):
    return 0.5 * (1 + mg.erf(np.asarray(x) / np.sqrt(2)))


FUNCTIONS = {name: getattr(np, name) for name in "exp log sin cos sinh cosh tanh sqrt sign abs floor".split()}
FUNCTIONS |= {"sigma": lambda x: 1 / (1 + np.exp(-x)), "Phi": cumulative, "phi": normal, "pi": np.pi, "inf": np.inf}


def evaluated(formula, values):
    """A formula as Python."""
    text = re.sub(r"\[(.*?)\]", lambda c: f"(({c[1].replace(' = ', ' == ')}) * 1.0)", formula)
    words = {"·": "*", "−": "-", "²": "**2", "³": "**3", "^": "**", "√π": "sqrt(pi)", "√": "sqrt", "½": "0.5", "≤": "<=", "≥": ">="}
    words |= {"σ": "sigma", "Φ": "Phi", "φ": "phi", "∞": "inf"}
    for symbol, python in words.items():
        text = text.replace(symbol, python)
    return eval(text, {"__builtins__": {}}, {**FUNCTIONS, **values})


def cases_of(name):
    return [(name, k) for k, (args, _) in enumerate(SAMPLES[name]) if all(np.size(a) for a in args if a is not None)]


@pytest.mark.parametrize(("name", "k"), [case for name in ELEMENTWISE for case in cases_of(name)])
def test_a_local_derivative_as_printed_is_the_engines(name, k):
    op, (args, meta) = REGISTRY[name], SAMPLES[name][k]
    f, arrays, names = as_function(op, (args, meta))
    tensors = [mg.tensor(a, requires_grad=True) for a in arrays]
    y = f(*tensors)
    g = np.linspace(0.5, 2.0, y.size).reshape(y.shape)
    y.backward(mg.tensor(g))
    meta = {**op.defaults, **meta}
    values = dict(zip(op.arrays, args)) | {"y": y.detach().cpu().numpy()} | meta
    for arg, x in zip(names, tensors):
        place = op.arrays.index(arg)
        local = evaluated(local_text(name, arg, op.arrays, "y", meta), values)
        sent = sum_to(np.broadcast_to(g * local, y.shape), x.shape)
        np.testing.assert_allclose(x.grad.cpu().numpy(), sent, rtol=1e-9, atol=1e-9, err_msg=f"{name}.{op.arrays[place]}")


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if n != "where"])  # whose rule is in words
def test_what_is_sent_as_printed_is_gradient_times_local_derivative(name):
    op, (args, meta) = REGISTRY[name], SAMPLES[name][0]
    meta = {**op.defaults, **meta}
    _, _, names = as_function(op, (args, meta))
    values = dict(zip(op.arrays, args)) | {"y": op.call(*args, **meta), "g": 0.75} | meta
    for arg in names:
        rule = edge_text(name, arg, op.arrays, "y", meta).partition(" = ")[2].replace("∂L/∂y", "g")
        local = local_text(name, arg, op.arrays, "y", meta)
        np.testing.assert_allclose(evaluated(rule, values), 0.75 * evaluated(local, values), rtol=1e-12)


@pytest.mark.parametrize("n", [2.0, 3.0, 1.0, 0.0, -1.0, -2.0, 0.5, -0.5, 2.5, -1.5, 13.0])
def test_a_power_by_a_number_reads_as_by_hand_and_is_true(n):
    local = local_text("pow", "a", ["a", f"{n:g}"], "y", {})
    digits = dict(zip("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    local = re.sub("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda s: "^(" + "".join(digits[c] for c in s[0]) + ")", local)
    local = local.replace("√a", "√(a)")
    assert evaluated(local, {"a": 1.7}) == pytest.approx(n * 1.7 ** (n - 1), rel=1e-5)


def sum_to(g, shape):
    g = g.sum(tuple(range(g.ndim - len(shape))))
    return g.sum(tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True).reshape(shape)


# ---------------------------------------------------------------- what is printed


@pytest.mark.parametrize(
    ("op", "names", "meta", "expected"),
    [
        ("mul", ["a", "b"], {}, "y = a · b"),
        ("mul", ["a + c", "b"], {}, "y = (a + c) · b"),
        ("mul", ["fc1.weight", "h@3"], {}, "y = fc1.weight · h@3"),
        ("mul", ["2", "-3"], {}, "y = 2 · (-3)"),
        ("sub", ["a − b", "c − d"], {}, "y = a − b − (c − d)"),
        ("div", ["a · b", "c · d"], {}, "y = a · b / (c · d)"),
        ("pow", ["a", "2"], {}, "y = a²"),
        ("pow", ["a + b", "3.0"], {}, "y = (a + b)³"),
        ("pow", ["a", "-2"], {}, "y = a⁻²"),
        ("pow", ["a", "n"], {}, "y = a^n"),
        ("tanh", ["a + b"], {}, "y = tanh(a + b)"),
        ("matmul", ["W", "x"], {}, "y = W x"),
        ("matmul", ["W + V", "x"], {}, "y = (W + V) x"),
        ("sum", ["x"], {"axis": None, "keepdims": False}, "y = Σ x"),
        ("sum", ["a · b"], {"axis": (0, 1), "keepdims": False}, "y = Σ (a · b) over axis (0, 1)"),
        ("conv", ["x", "w", None], {}, "y = x ⋆ w"),
        ("conv", ["x", "w", "b"], {}, "y = x ⋆ w + b"),
        ("linear", ["x", "fc.weight", "None"], {}, "y = x fc.weightᵀ"),
        ("clip", ["x"], {"min": None, "max": 1.0}, "y = clip(x, −∞, 1)"),
        ("elu", ["x"], {"alpha": 1.0}, "y = x where x > 0, else (exp(x) − 1)"),
        ("take_index", ["x"], {"index": (slice(None), 2)}, "y = x[:, 2]"),
        ("cross_entropy", ["s", "t", None], {"reduction": "mean"}, "y = mean of −log softmax(s)[t]"),
        ("concatenate", ["a", "b"], {"axis": 1}, "y = (a, b) joined along axis 1"),
        ("swish", ["a", "b"], {}, "y = swish(a, b)"),
    ],
)
def test_forward_text(op, names, meta, expected):
    assert forward_text(op, names, "y", meta) == expected


@pytest.mark.parametrize(
    ("op", "arg", "names", "expected"),
    [
        ("mul", "a", ["a", "b"], "∂L/∂a = ∂L/∂y · b"),
        ("mul", "b", ["a + c", "b"], "∂L/∂b = ∂L/∂y · (a + c)"),
        ("mul", "a", ["a + c", "b"], "∂L/∂(a + c) = ∂L/∂y · b"),
        ("add", "b", ["a", "b"], "∂L/∂b = ∂L/∂y"),
        ("sub", "b", ["a", "b"], "∂L/∂b = −∂L/∂y"),
        ("div", "a", ["a", "b"], "∂L/∂a = ∂L/∂y / b"),
        ("tanh", "x", ["a"], "∂L/∂a = ∂L/∂y · (1 − y²)"),
        ("matmul", "a", ["W", "x"], "∂L/∂W = ∂L/∂y xᵀ"),
        ("matmul", "b", ["W", "x"], "∂L/∂x = Wᵀ ∂L/∂y"),
        ("linear", "weight", ["x", "W", "b"], "∂L/∂W = (∂L/∂y)ᵀ x"),
        ("pow", "a", ["r", "2"], "∂L/∂r = ∂L/∂y · 2 · r"),
        ("concatenate", "arrays[1]", ["a", "b"], "∂L/∂b = its part of ∂L/∂y"),
    ],
)
def test_edge_text(op, arg, names, expected):
    assert edge_text(op, arg, names, "y", {}) == expected


def test_numbers_text():
    assert numbers_text("mul", [2.0, 0.3], 0.6, {}) == "0.6 = 2 · 0.3"
    assert numbers_text("mul", [-2.0, np.float64(-0.3)], 0.6, {}) == "0.6 = (−2) · (−0.3)"
    assert numbers_text("sub", [1.0, -0.6000001234], 1.6000001234, {}) == "1.6 = 1 − (−0.6)"
    assert numbers_text("add", [np.ones(2), 1.0], np.ones(2) + 1, {}) is None
    assert numbers_text("pow", [-3.0, 2.0], 9.0, {}) == "9 = (−3)²"


def test_an_op_of_the_readers_own_is_said_in_general():
    @elementwise(u=lambda g, v: g * v, v=lambda g, u: g * u)
    def twisted_product(xp, u, v):
        return u * v

    try:
        row = formula_of("twisted_product")
        assert row.forward == "twisted_product({u}, {v})"
        assert row.local == {"u": "∂twisted_product/∂{u}", "v": "∂twisted_product/∂{v}"}
        assert forward_text("twisted_product", ["p", "q"], "y", {}) == "y = twisted_product(p, q)"
        assert edge_text("twisted_product", "v", ["p", "q"], "y", {}) == "∂L/∂q = ∂L/∂y · ∂twisted_product/∂q"
    finally:
        del REGISTRY["twisted_product"]
