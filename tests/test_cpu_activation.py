"""The activations' kernels against the readable text: sizes that are no multiple of a vector, memory orders, ends."""

import numpy as np
import pytest

pytest.importorskip("numba")

import minigrad as mg
from minigrad.engine.op import REGISTRY
from minigrad_kernels.cpu import activation

NUMBERS = {
    "leaky_relu": [{"negative_slope": 0.2}],
    "elu": [{"alpha": 1.0}, {"alpha": -0.7}],
    "softplus": [{"beta": 1.0, "threshold": 20.0}, {"beta": -2.5, "threshold": 3.0}],
}
CASES = [
    (name, how)
    for name in ("relu", "tanh", "sigmoid", "gelu_erf", "silu", "leaky_relu", "elu", "softplus")
    for how in NUMBERS.get(name, [{}])
]
FROM_RESULT = {"relu", "tanh", "sigmoid"}
rng = np.random.default_rng(0)


def both(name, x, g, how):
    """(value, gradient) by the kernel, and by the op's own text."""
    op = REGISTRY[name]
    with mg.reference_mode():
        plain = op.forward(np, x, **how)
        saved = plain if name in FROM_RESULT else x
        slow = plain, op.vjps["x"](g, saved, **how)
    return (getattr(activation, name)(x, **how), getattr(activation, f"{name}_x")(g, saved, **how)), slow


@pytest.mark.parametrize(("name", "how"), CASES)
@pytest.mark.parametrize("size", [16, 17, 31, 1000, 5003])
def test_values_and_gradients(name, how, size):
    x, g = 4 * rng.standard_normal((2, size), np.float32)
    fast, slow = both(name, x, g, how)
    for a, b in zip(fast, slow, strict=True):
        assert a is not NotImplemented and a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=3e-6, atol=3e-7)


@pytest.mark.parametrize(("name", "how"), CASES)
def test_ends_of_the_range(name, how):
    x = np.float32([0, -0.0, np.inf, -np.inf, np.nan, 1e-30, -1e-30, 90, -90, 110, -110, 3e38, -3e38, 20, -20, 1])
    with np.errstate(all="ignore"):
        fast, slow = both(name, x, np.ones_like(x), how)
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_allclose(a, b, rtol=3e-6, atol=1e-37)


@pytest.mark.parametrize("name", ["relu", "gelu_erf", "tanh"])
def test_memory_order_is_kept(name):
    x, g = (rng.standard_normal((5, 7, 6, 4), np.float32).transpose(3, 0, 2, 1) for _ in range(2))
    fast, slow = both(name, x, g, {})
    for a, b in zip(fast, slow, strict=True):
        assert a.strides == x.strides
        np.testing.assert_allclose(a, b, rtol=3e-6, atol=3e-7)


def test_what_is_declined():
    x = np.ones((8, 64), np.float32)
    assert activation.gelu_erf(x[:, ::2]) is NotImplemented
    assert activation.tanh(x[0, :3]) is NotImplemented
    assert activation.silu(np.ones(64, np.int64)) is NotImplemented
    assert activation.elu(x, alpha=np.float32(2)) is NotImplemented
    assert activation.tanh_x(x, x.T.reshape(8, 64).T) is NotImplemented
