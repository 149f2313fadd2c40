"""Initial values, written into a tensor: the field's recipes under PyTorch's names.

fan_in is the number of inputs that reach one output, fan_out the number of outputs one input reaches.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine import random as stream
from ..engine.backend import xp_of
from ..engine.node import mutated
from ..engine.tensor import Tensor


def _raw(tensor: Any) -> Any:
    """The array of a tensor, or an array itself: listings write to `weight.data`."""
    return getattr(tensor, "_data", tensor)


def _write(tensor: Tensor, values: Any) -> Tensor:
    _raw(tensor)[...] = values
    mutated(_raw(tensor))
    return tensor


def _generator(generator: Any) -> Any:
    return generator or stream.default_generator


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance of activations through a nonlinearity."""
    fixed = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 0.75}
    fixed |= {f"conv{t}{d}d": 1.0 for t in ("", "_transpose") for d in (1, 2, 3)}
    if nonlinearity in fixed:
        return fixed[nonlinearity]
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1.0 + slope**2))
    raise ValueError(
        f"calculate_gain: expected {', '.join(fixed)} or leaky_relu (nonlinearity={nonlinearity!r})"
    )


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    if tensor.ndim < 2:
        raise ValueError(f"init: fans need at least 2 axes, got shape {tensor.shape}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _fan(tensor: Tensor, mode: str) -> int:
    fans = dict(zip(("fan_in", "fan_out"), _calculate_fan_in_and_fan_out(tensor), strict=True))
    if mode not in fans:
        raise ValueError(f"init: expected 'fan_in' or 'fan_out' (mode={mode!r})")
    return max(fans[mode], 1)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform in [a, b)."""
    if not a <= b:
        raise ValueError(f"uniform_: expected a <= b (a={a}, b={b})")
    return _write(tensor, _generator(generator).uniform(a, b, tensor.shape, np.float64, xp_of(_raw(tensor))))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with the given mean and standard deviation."""
    if not std >= 0:
        raise ValueError(f"normal_: expected a standard deviation >= 0 (std={std})")
    z = _generator(generator).standard_normal(tensor.shape, np.float64, xp_of(_raw(tensor)))
    return _write(tensor, mean + std * z)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Tensor:
    """Normal, drawn again where it falls outside [a, b]."""
    if not a < b:
        raise ValueError(f"trunc_normal_: expected a < b (a={a}, b={b})")
    xp, g = xp_of(_raw(tensor)), _generator(generator)
    values = mean + std * g.standard_normal(tensor.shape, np.float64, xp)
    for _ in range(1000):
        outside = (values < a) | (values > b)
        count = int(outside.sum())
        if not count:
            return _write(tensor, values)
        values[outside] = mean + std * g.standard_normal(count, np.float64, xp)
    raise ValueError(
        f"trunc_normal_: [a, b] is too far from the mean to be hit (mean={mean}, std={std}, a={a}, b={b})"
    )


def constant_(tensor: Tensor, val: float) -> Tensor:
    """All `val`."""
    return _write(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """All 0."""
    return _write(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """All 1."""
    return _write(tensor, 1)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_: expected a matrix, got shape {tensor.shape}")
    return _write(tensor, xp_of(_raw(tensor)).eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """A convolution's weight (O, C / groups, ...) that hands each of its first channels on unchanged."""
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(f"dirac_: expected a convolution's weight, 3 to 5 axes, got shape {tensor.shape}")
    if groups < 1 or tensor.shape[0] % groups:
        raise ValueError(f"dirac_: expected groups to divide the {tensor.shape[0]} filters (groups={groups})")
    values = np.zeros(tensor.shape)
    filters, middle = tensor.shape[0] // groups, tuple(k // 2 for k in tensor.shape[2:])
    for g in range(groups):
        for c in range(min(filters, tensor.shape[1])):
            values[(g * filters + c, c, *middle)] = 1.0
    return _write(tensor, xp_of(_raw(tensor)).asarray(values))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """A matrix of normal numbers, in each column the same part (rounded up) zero. Martens 2010, section 5."""
    if tensor.ndim != 2:
        raise ValueError(f"sparse_: expected a matrix, got shape {tensor.shape}")
    if not 0.0 <= sparsity <= 1.0:
        raise ValueError(f"sparse_: expected a part in [0, 1] (sparsity={sparsity})")
    xp, g = xp_of(_raw(tensor)), _generator(generator)
    values = std * g.standard_normal(tensor.shape, np.float64, xp)
    order = xp.argsort(g.random(tensor.shape, np.float64, xp), axis=0)
    values[order[: math.ceil(sparsity * tensor.shape[0])], xp.arange(tensor.shape[1])] = 0.0
    return _write(tensor, values)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform with variance gain^2 2 / (fan_in + fan_out). Glorot & Bengio 2010, eq. 16."""
    bound = gain * math.sqrt(6.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with variance gain^2 2 / (fan_in + fan_out)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor))), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Uniform with variance gain^2 / fan. He et al. 2015, section 2.2."""
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Normal with variance gain^2 / fan."""
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """Rows (or columns) orthonormal, times gain: Q of a normal matrix. Saxe et al. 2014."""
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: expected at least 2 axes, got shape {tensor.shape}")
    rows, cols = tensor.shape[0], math.prod(tensor.shape[1:])
    xp = xp_of(_raw(tensor))
    q, r = xp.linalg.qr(
        _generator(generator).standard_normal((max(rows, cols), min(rows, cols)), np.float64, xp)
    )
    q = q * xp.sign(xp.diagonal(r))  # makes Q uniform over the orthogonal matrices
    return _write(tensor, gain * (q.T if rows < cols else q).reshape(tensor.shape))


def layer_default_(weight: Tensor, bias: Tensor | None) -> None:
    """What PyTorch's Linear and Conv start from: uniform in +-1/sqrt(fan_in), both."""
    kaiming_uniform_(weight, a=math.sqrt(5.0))
    if bias is not None:
        bound = 1.0 / math.sqrt(_fan(weight, "fan_in"))
        uniform_(bias, -bound, bound)
