"""Launches of activation.cu: activations and their VJPs, over arrays with any order of axes."""

from __future__ import annotations

from typing import Any

from ..layout import like, runs
from .launch import CTYPES, ceil_div, ctype, launch, packed

__all__ = [
    "INSTANCES", "elu", "elu_x", "gelu_erf", "gelu_erf_x", "leaky_relu", "leaky_relu_x", "relu", "relu_x",
    "sigmoid", "sigmoid_x", "silu", "silu_x", "softplus", "softplus_x", "tanh", "tanh_x",
]  # fmt: skip

FUNCTIONS = ("Relu", "Tanh", "Sigmoid", "Gelu", "Silu", "LeakyRelu", "Elu", "Softplus")
PACKS = {"double": 2, "float": 4, "__half": 8, "__nv_bfloat16": 8}  # what 16 bytes hold
INSTANCES = tuple(
    f"{way}<{c}, {function}, {n}>"
    for way in ("forward", "backward")
    for function in FUNCTIONS
    for c in CTYPES.values()
    for n in (1, PACKS[c])
)
THREADS = 256


def _over(way: str, function: str, arrays: tuple, a: Any = 0.0, b: Any = 0.0) -> Any:
    """One kernel over arrays that lie in memory alike; declines others."""
    flat = runs(*arrays)
    if flat is None or any(x.dtype != arrays[0].dtype for x in arrays):
        return NotImplemented
    if not (type(a) in (int, float) and type(b) in (int, float)):
        return NotImplemented
    y, out = like(arrays[0])
    c = ctype(y.dtype)
    n = PACKS[c] if packed(*flat, out) else 1
    grid = ceil_div(out.size, n * THREADS)
    launch("activation", f"{way}<{c}, {function}, {n}>", grid, THREADS, (*flat, out, out.size, a, b))
    return y


def relu(x: Any) -> Any:
    return _over("forward", "Relu", (x,))


def relu_x(g: Any, y: Any) -> Any:
    return _over("backward", "Relu", (g, y))


def tanh(x: Any) -> Any:
    return _over("forward", "Tanh", (x,))


def tanh_x(g: Any, y: Any) -> Any:
    return _over("backward", "Tanh", (g, y))


def sigmoid(x: Any) -> Any:
    return _over("forward", "Sigmoid", (x,))


def sigmoid_x(g: Any, y: Any) -> Any:
    return _over("backward", "Sigmoid", (g, y))


def gelu_erf(x: Any) -> Any:
    return _over("forward", "Gelu", (x,))


def gelu_erf_x(g: Any, x: Any) -> Any:
    return _over("backward", "Gelu", (g, x))


def silu(x: Any) -> Any:
    return _over("forward", "Silu", (x,))


def silu_x(g: Any, x: Any) -> Any:
    return _over("backward", "Silu", (g, x))


def leaky_relu(x: Any, *, negative_slope: float = 0.01) -> Any:
    return _over("forward", "LeakyRelu", (x,), negative_slope)


def leaky_relu_x(g: Any, x: Any, negative_slope: float) -> Any:
    return _over("backward", "LeakyRelu", (g, x), negative_slope)


def elu(x: Any, *, alpha: float = 1.0) -> Any:
    return _over("forward", "Elu", (x,), alpha)


def elu_x(g: Any, x: Any, alpha: float) -> Any:
    return _over("backward", "Elu", (g, x), alpha)


def softplus(x: Any, *, beta: float = 1.0, threshold: float = 20.0) -> Any:
    return _over("forward", "Softplus", (x,), beta, threshold) if beta else NotImplemented


def softplus_x(g: Any, x: Any, beta: float, threshold: float) -> Any:
    return _over("backward", "Softplus", (g, x), beta, threshold)
