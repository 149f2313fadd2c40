"""Activation functions with PyTorch's signatures.

`inplace=True` and the names that end in "_" make the input itself the result. Nothing that the graph saved is
overwritten: a computed tensor gets a new array and node, a constant its new values in its own memory, and a
leaf that requires grad is refused while recording.
"""

from __future__ import annotations

import warnings
from typing import Any

from ...engine import random as stream
from ...engine.recording import effect
from ...engine.tensor import Tensor, wrap
from ...ops import activation as A
from ...ops import softmax as S
from ...ops.index import result_of
from ...ops.random import uniform
from ...ops.shape import axes_of
from ...ops.trig import tanh as _tanh

__all__ = [
    "celu",
    "celu_",
    "elu",
    "elu_",
    "gelu",
    "glu",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "leaky_relu",
    "leaky_relu_",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "rrelu",
    "rrelu_",
    "selu",
    "selu_",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "threshold_",
]


# ---------------------------------------------------------------- with an in-place form


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0)."""
    return result_of("relu_", input, A.relu(input), inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6)."""
    return result_of("relu6", input, A.relu6(input), inplace)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha (e^x - 1) (Clevert et al. 2015)."""
    return result_of("elu_", input, A.elu(input, alpha=alpha), inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """1.0507 elu(x, 1.6733): keeps mean 0 and variance 1 from layer to layer (Klambauer et al. 2017)."""
    return result_of("selu_", input, A.selu(input), inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha (e^(x / alpha) - 1) (Barron 2017)."""
    return result_of("celu_", input, A.celu(input, alpha=alpha), inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope x."""
    return result_of("leaky_relu_", input, A.leaky_relu(input, negative_slope=negative_slope), inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else value."""
    return result_of("threshold_", input, A.threshold(input, threshold=threshold, value=value), inplace)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x limited to [min_val, max_val]."""
    return result_of("hardtanh_", input, A.hardtanh(input, min_val=min_val, max_val=max_val), inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6."""
    return result_of("hardsigmoid", input, A.hardsigmoid(input), inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x min(max(x + 3, 0), 6) / 6 (Howard et al. 2019)."""
    return result_of("hardswish", input, A.hardswish(input), inplace)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x sigmoid(x)."""
    return result_of("silu", input, A.silu(input), inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(log(1 + e^x)) (Misra 2019)."""
    return result_of("mish", input, A.mish(input), inplace)


def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """x where x > 0, else a x: a random in [lower, upper) in training, else their mean (Xu et al. 2015)."""
    check_slopes("rrelu", lower, upper)
    if training:
        y = A.prelu(input, uniform(lower, upper, input.shape, dtype=input.dtype, device=input.device))
    else:
        y = A.leaky_relu(input, negative_slope=(lower + upper) / 2)
    return result_of("rrelu_", input, y, inplace)


def check_slopes(name: str, lower: float, upper: float) -> None:
    """The range of random slopes must be one."""
    if not lower <= upper:
        raise ValueError(f"{name}: expected lower <= upper (lower={lower}, upper={upper})")


def relu_(input: Tensor) -> Tensor:
    """relu in place."""
    return relu(input, True)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """elu in place."""
    return elu(input, alpha, True)


def selu_(input: Tensor) -> Tensor:
    """selu in place."""
    return selu(input, True)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """celu in place."""
    return celu(input, alpha, True)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """leaky_relu in place."""
    return leaky_relu(input, negative_slope, True)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """threshold in place."""
    return result_of("threshold_", input, A.threshold(input, threshold=threshold, value=value), True)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """hardtanh in place."""
    return hardtanh(input, min_val, max_val, True)


def rrelu_(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """rrelu in place."""
    return rrelu(input, lower, upper, training, True)


# ---------------------------------------------------------------- without


def tanh(input: Tensor) -> Tensor:
    """(e^x - e^-x) / (e^x + e^-x)."""
    return _tanh(input)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e^-x)."""
    return A.sigmoid(input)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return A.softsign(input)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)."""
    return A.tanhshrink(input)


def logsigmoid(input: Tensor) -> Tensor:
    """log sigmoid(x) = -log(1 + e^-x)."""
    return A.logsigmoid(input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x Phi(x), Phi the normal distribution; or its "tanh" approximation (Hendrycks & Gimpel 2016)."""
    return A.gelu(input, approximate)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x, but 0 where |x| <= lambd."""
    return A.hardshrink(input, lambd=lambd)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved lambd towards 0, and 0 within it; ValueError for lambd < 0."""
    return A.softshrink(input, lambd=lambd)


def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """log(1 + e^(beta x)) / beta; x itself where beta x > threshold. ValueError for beta 0."""
    if beta == 0:
        raise ValueError(f"softplus: expected a number other than 0 (beta={beta})")
    return A.softplus(input, beta=beta, threshold=threshold)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a sigmoid(b), where a and b are the halves of x along dim (Dauphin et al. 2017)."""
    return A.glu(input, dim)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, else weight x: x (N, C, ...), weight (1,) or one a channel, (C,) (He et al. 2015)."""
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.ndim > 1 or weight.size not in (1, channels):
        raise ValueError(
            f"prelu: expected one weight, or {channels} of them for input {input.shape}, got {weight.shape}"
        )
    return A.prelu(input, weight.reshape((-1,) + (1,) * max(input.ndim - 2, 0) if input.ndim else ()))


# ---------------------------------------------------------------- along an axis


def _along(name: str, f: Any, x: Tensor, dim: int | None, stacklevel: int, dtype: Any) -> Tensor:
    """f(x) along dim, or along PyTorch's implicit choice (0 for 0, 1 and 3 axes, else 1) with a warning."""
    x = x if dtype is None else x.astype(dtype)
    if dim is None:
        dim = 0 if x.ndim in (0, 1, 3) else 1
        warnings.warn(f"{name}: no axis given, taken as dim={dim}; say which", stacklevel=stacklevel)
    return f(x, axis=dim) if x.ndim else f(x.reshape(1), axis=dim).reshape(())  # a number is a row of one


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """e^x_i / sum_j e^x_j along dim; with `dtype`, x is converted first.

    Without dim PyTorch's choice is taken, with a warning (`_stacklevel`: whom it blames).

    >>> import minigrad as mg
    >>> mg.nn.functional.softmax(mg.tensor([0.0, 0.0]), dim=0)
    tensor([0.5, 0.5])
    """
    return _along("softmax", S.softmax, input, dim, _stacklevel, dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """log softmax(x) along dim."""
    return _along("log_softmax", S.log_softmax, input, dim, _stacklevel, dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """softmax(-x) along dim."""
    return _along("softmin", S.softmax, -input, dim, _stacklevel, dtype)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """softmax((x + G) / tau) along dim, G = -log(-log U): a random class, soft so that it has a gradient.

    hard: the value is one-hot, the gradient that of the soft sample (Jang et al. 2017; Maddison et al. 2017).
    `eps` does nothing in PyTorch any more, so only its default is taken.
    """
    if eps != 1e-10:
        raise ValueError(f"gumbel_softmax: eps has no effect, leave it out (eps={eps})")
    if tau == 0:
        raise ValueError(f"gumbel_softmax: expected a temperature other than 0 (tau={tau})")
    (dim,) = axes_of("gumbel_softmax", dim, logits.ndim)
    soft = S.softmax((logits + _gumbel(logits)) * (1.0 / tau), axis=dim)
    return _largest(soft, dim) - soft.detach() + soft if hard else soft


@effect
def _gumbel(like: Tensor) -> Tensor:
    """-log(-log U), U in (0, 1), in the shape, dtype and place of `like`."""
    xp = like.device.xp
    u = stream.default_generator.random(like.shape, "float64", xp)
    u = xp.maximum(u, 2.0**-54)  # log 0 is kept out
    return wrap((-xp.log(-xp.log(u))).astype(like.dtype), None)


@effect
def _largest(x: Tensor, dim: int) -> Tensor:
    """1 at the largest element along an axis, else 0."""
    xp = x.device.xp
    places = xp.arange(x.shape[dim]).reshape((-1,) + (1,) * (x.ndim - dim - 1))
    return wrap((xp.argmax(x._data, axis=dim, keepdims=True) == places).astype(x.dtype), None)
