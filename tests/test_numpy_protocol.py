"""NumPy's functions given Tensors: each answers as it does for arrays, or refuses in one line."""

import numpy as np
import pytest

import minigrad as mg

X = np.linspace(0.1, 0.9, 6).reshape(2, 3)
UFUNCS = [
    "negative", "positive", "absolute", "fabs", "sign", "square", "sqrt", "cbrt", "reciprocal", "exp",
    "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "arcsin", "arccos",
    "arctan", "sinh", "cosh", "tanh", "arcsinh", "arctanh", "floor", "ceil", "trunc", "rint", "isnan",
    "isinf", "isfinite", "logical_not",
]  # fmt: skip
BINARY = [
    "add", "subtract", "multiply", "divide", "power", "float_power", "remainder", "floor_divide",
    "arctan2", "hypot", "logaddexp", "maximum", "minimum", "fmax", "fmin", "equal", "not_equal",
    "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or", "logical_xor",
]  # fmt: skip


@pytest.mark.parametrize("name", UFUNCS)
def test_unary_ufuncs(name):
    f = getattr(np, name)
    for a in (X, X[:, ::2], X.astype("float32"), np.zeros((0, 2)) + 0.5, np.array(0.3)):
        got = f(mg.tensor(a))
        assert isinstance(got, mg.Tensor) and got.dtype == f(a).dtype
        np.testing.assert_allclose(got.numpy(), f(a), rtol=1e-15)


@pytest.mark.parametrize("name", BINARY)
def test_binary_ufuncs_from_either_side(name):
    f, y = getattr(np, name), X[::-1] + 0.05
    t = mg.tensor(X)
    for got, wanted in (
        (f(t, mg.tensor(y)), f(X, y)),
        (f(t, y), f(X, y)),
        (f(y, t), f(y, X)),
        (f(2.0, t), f(2.0, X)),
    ):
        assert isinstance(got, mg.Tensor)
        np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-15)


FUNCTIONS = [
    lambda t: np.amax(t, axis=0),
    lambda t: np.amin(t, 1),
    lambda t: np.around(t, 1),
    lambda t: np.clip(t, a_min=0.2, a_max=0.5),
    lambda t: np.clip(t, None, 0.5),
    lambda t: np.clip(t, min=0.3),
    lambda t: np.add.reduce(t),
    lambda t: np.add.reduce(t, axis=None),
    lambda t: np.maximum.reduce(t, axis=1),
    lambda t: np.add.accumulate(t, axis=1),
    lambda t: np.multiply.accumulate(t),
    lambda t: np.sort(t, axis=None),
    lambda t: np.argsort(t, axis=None),
    lambda t: np.sort(t, axis=0, kind="stable"),
    lambda t: np.linalg.norm(t),
    lambda t: np.linalg.norm(t, "fro"),
    lambda t: np.linalg.norm(t, 0, axis=1),
    lambda t: np.linalg.norm(t, 1, axis=1),
    lambda t: np.linalg.norm(t, 3, axis=0),
    lambda t: np.take_along_axis(t, np.array([[0]]), 1),
    lambda t: np.take(t, [5, 0]),
    lambda t: np.where(t > 0.5, t, 0.0),
    lambda t: np.atleast_1d(t[0, 0]),
    lambda t: np.atleast_2d(t[0]),
    lambda t: np.trace(t),
    lambda t: np.repeat(t, [2, 1], axis=0),
    lambda t: np.meshgrid(t[0], t[1])[1],
    lambda t: np.split(t, [1], axis=1)[1],
    lambda t: np.hstack([t, t]),
    lambda t: np.vstack([t, t[0]]),
    lambda t: np.zeros_like(t),
    lambda t: np.full_like(t, 2),
    lambda t: np.unique(t),
    lambda t: np.searchsorted(t[0], t[1]),
    lambda t: np.count_nonzero(t > 0.3),
    lambda t: np.cumsum(t),
    lambda t: np.cumprod(t, axis=1),
    lambda t: np.ptp(t, axis=1),
    lambda t: np.where(t > 0.5)[1],
    lambda t: np.divmod(t, 0.3)[1],
    lambda t: np.linalg.slogdet(t @ t.T + np.eye(2))[1],
]


@pytest.mark.parametrize("f", FUNCTIONS)
def test_functions(f):
    got, wanted = f(mg.tensor(X)), f(X)
    assert isinstance(got, mg.Tensor) and got.shape == np.shape(wanted)
    np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-14)


def test_plain_answers_are_plain():
    t = mg.tensor(X)
    assert np.shape(t) == (2, 3) and np.ndim(t) == 2 and np.size(t) == 6 and np.size(t, 1) == 3
    assert np.allclose(t, X) is True and np.array_equal(t, t + 1.0) is False
    assert np.empty_like(t).shape == (2, 3)


def test_arrays_and_numpy_numbers_on_the_left_give_tensors():
    x = mg.tensor(np.ones(2), requires_grad=True)
    y = np.float64(2.0) * x + np.ones(2) - x + np.ones((2, 2)) @ x
    assert isinstance(y, mg.Tensor)
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    assert np.asarray(x).tolist() == [1.0, 1.0]


REFUSED = [
    (lambda t: np.fft.fft(t), TypeError, "np.fft: no gradient is known"),
    (lambda t: np.heaviside(t, 0.5), TypeError, "np.heaviside: no gradient is known"),
    (lambda t: np.add(t, 1.0, out=np.zeros((2, 3))), TypeError, "out= would overwrite"),
    (lambda t: np.linalg.norm(t, 2), ValueError, "matrix norms are 'fro' only"),
    (lambda t: np.linalg.norm(t, np.inf, axis=(0, 1)), ValueError, "matrix norms are 'fro' only"),
    (lambda t: np.sum(t, axis=2), ValueError, "sum: expected an axis"),
    (lambda t: np.sum(t[0, 0], axis=0), ValueError, r"sum: a tensor of shape \(\) has no axes"),
]


@pytest.mark.parametrize(("call", "kind", "told"), REFUSED, ids=[told for *_, told in REFUSED])
def test_refusals_are_one_line(call, kind, told):
    with pytest.raises(kind, match=told) as error:
        call(mg.tensor(X))
    assert "\n" not in str(error.value)
