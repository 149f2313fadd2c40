"""Activations on the GPU against the readable text."""

import numpy as np
import pytest
from cuda_cases import close, from_gpu, on_gpu, took, watched

import minigrad as mg
from minigrad.engine.op import REGISTRY

NAMES = {
    "relu": {}, "tanh": {}, "sigmoid": {}, "gelu_erf": {}, "silu": {}, "leaky_relu": {"negative_slope": 0.1},
    "elu": {"alpha": 0.7}, "softplus": {"beta": 2.0, "threshold": 3.0},
}  # fmt: skip
ODD = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-30, -100.0, 100.0])


def numbers(shape, seed=0):
    x = np.random.default_rng(seed).standard_normal(shape) * 3.0
    x.reshape(-1)[: min(x.size, 8)] = ODD[: min(x.size, 8)]
    return x


def forward_and_backward(name, x, g):
    call = REGISTRY[name].call
    x = mg.Tensor(x).requires_grad_()
    y = call(x, **NAMES[name])
    y.backward(mg.Tensor(g))
    return y.data, x.grad.data


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1,), (1030,), (3, 5, 7)])
def test_values_and_gradients(stand_in, name, shape):
    x, g = numbers(shape).astype(np.float32), numbers(shape, 1).astype(np.float32)
    g[~np.isfinite(g)] = 1.0
    with np.errstate(all="ignore"), mg.reference_mode():
        y, dx = forward_and_backward(name, x, g)
    with watched(name, f"{name}.x") as made:
        there = forward_and_backward(name, on_gpu(x), on_gpu(g))
    assert took(made)
    known = np.isfinite(x)  # a NaN times a derivative of 0: the text says NaN here and there, the kernel 0
    close(from_gpu(there[0]), y)
    close(from_gpu(there[1])[known], dx[known])


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.parametrize("name", ["relu", "gelu_erf"])
def test_other_precisions(stand_in, name, dtype):
    x, g = (np.random.default_rng(s).standard_normal((4, 9)).astype(dtype) for s in (0, 1))
    with mg.reference_mode():
        y, dx = forward_and_backward(name, x.astype(np.float64), g.astype(np.float64))
    there = forward_and_backward(name, on_gpu(x), on_gpu(g))
    assert there[0].dtype == there[1].dtype == dtype
    close(from_gpu(there[0]), y, dtype)
    close(from_gpu(there[1]), dx, dtype)


def test_any_order_of_axes_and_views(stand_in):
    x = numbers((6, 10)).astype(np.float32)
    view = on_gpu(x).T
    with np.errstate(all="ignore"), watched("tanh") as made:
        y = mg.tanh(view)
        close(from_gpu(y), np.tanh(x.T))
        assert y.strides == view.strides
        close(from_gpu(mg.tanh(on_gpu(x).reshape(-1)[1:])), np.tanh(x.reshape(-1)[1:]))  # not 16-byte aligned
    assert took(made)


def test_views_with_gaps_are_left_to_the_text(stand_in):
    x = np.ones((4, 6), np.float32)
    with watched("tanh") as made:
        close(from_gpu(mg.tanh(on_gpu(x)[:, ::2])), np.tanh(x[:, ::2]))
    assert made["tanh"] == [NotImplemented]
