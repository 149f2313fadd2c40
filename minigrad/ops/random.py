"""Random tensors and dropout, drawn from the one Philox stream."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import backend
from ..engine import random as stream
from ..engine.backend import Array
from ..engine.flags import check_range
from ..engine.kernels import kernel_for
from ..engine.op import op
from ..engine.random import Generator
from ..engine.recording import effect
from ..engine.tensor import Tensor
from .create import _born, _float, _place, _shape

__all__ = [
    "bernoulli", "dropout", "normal", "rand", "rand_like", "randint", "randn", "randn_like", "randperm",
    "uniform",
]  # fmt: skip


def _drop(g: Any, saved: tuple) -> tuple:
    return (g * saved[0],)


@op(joint=_drop, extra=True)
def dropout(xp: Any, x: Array, *, p: float = 0.5, generator: Generator | None = None) -> tuple[Array, tuple]:
    """x * m / (1 - p), where m is 1 with probability 1 - p: the expectation stays x.

    The mask is drawn in the forward and saved ("inverted" dropout; Srivastava et al. 2014 scale at
    test time instead, which is the same in expectation). Raises ValueError for p outside [0, 1].
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout: expected a probability in [0, 1] (p={p})")
    if p == 0.0:
        mask = xp.ones(x.shape, x.dtype)
    elif p == 1.0:
        mask = xp.zeros(x.shape, x.dtype)
    else:
        source = generator or stream.default_generator
        faster = NotImplemented
        if generator is None and xp is not np:  # a kernel cannot know the default
            faster = kernel_for("dropout", x)(x, p=p, generator=source)
        if faster is not NotImplemented:
            return faster
        kept = ~source.bernoulli(p, x.shape, xp)
        mask = kept.astype(x.dtype) * (1.0 / (1.0 - p))
    return x * mask, (mask,)


def _draw(device: Any, generator: Generator | None) -> tuple[Any, Generator]:
    return _place(device), generator or stream.default_generator


@effect
def rand(
    *shape: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, generator: Any = None
) -> Tensor:
    """Uniform in [0, 1).

    >>> import minigrad as mg
    >>> _ = mg.manual_seed(0)
    >>> mg.rand(2, 3).shape
    (2, 3)
    """
    xp, g = _draw(device, generator)
    return _born(g.random(_shape("rand", shape), _float(dtype), xp), requires_grad)


@effect
def randn(
    *shape: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, generator: Any = None
) -> Tensor:
    """Standard normal."""
    xp, g = _draw(device, generator)
    return _born(g.standard_normal(_shape("randn", shape), _float(dtype), xp), requires_grad)


@effect
def uniform(
    low: float = 0.0,
    high: float = 1.0,
    size: Any = (),
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    generator: Any = None,
) -> Tensor:
    """Uniform in [low, high)."""
    xp, g = _draw(device, generator)
    return _born(g.uniform(low, high, _shape("uniform", (size,)), _float(dtype), xp), requires_grad)


@effect
def normal(
    mean: float = 0.0,
    std: float = 1.0,
    size: Any = (),
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    generator: Any = None,
) -> Tensor:
    """Normal with the given mean and standard deviation."""
    if std < 0:
        raise ValueError(f"normal: expected std >= 0 (std={std})")
    xp, g = _draw(device, generator)
    return _born(
        g.standard_normal(_shape("normal", (size,)), _float(dtype), xp) * float(std) + mean, requires_grad
    )


@effect
def randint(low: int, high: Any = None, size: Any = (), device: Any = None, generator: Any = None) -> Tensor:
    """Integers in [low, high), or [0, low) with one bound; randint(10, (2, 3)) is PyTorch's."""
    if isinstance(high, tuple | list) and size == ():
        high, size = None, high
    low, high = (0, low) if high is None else (low, high)
    xp, g = _draw(device, generator)
    return _born(g.integers(low, high, _shape("randint", (size,)), xp), False)


@effect
def randperm(n: int, device: Any = None, generator: Any = None) -> Tensor:
    """0 .. n - 1 in random order."""
    xp, g = _draw(device, generator)
    return _born(xp.asarray(g.permutation(n)), False)


@effect
def bernoulli(p: Any, size: Any = None, dtype: Any = None, generator: Any = None) -> Tensor:
    """1 with probability p, else 0; p a number with `size`, or a tensor of probabilities."""
    raw = p._data if isinstance(p, Tensor) else np.asarray(p)
    if not isinstance(raw, np.ndarray):
        text = "bernoulli: expected probabilities in [0, 1], got {value} at {place}"
        check_range(backend.xp_of(raw), raw, 0.0, 1.0, ValueError, text)
    elif not ((raw >= 0) & (raw <= 1)).all():  # said so, NaN is refused too
        raise ValueError("bernoulli: expected probabilities in [0, 1]")
    shape = raw.shape if size is None else _shape("bernoulli", (size,))
    draws = (generator or stream.default_generator).random(shape, np.float32, backend.xp_of(raw))
    return _born((draws < raw).astype(_float(dtype)), False)


def rand_like(x: Tensor, dtype: Any = None, generator: Any = None) -> Tensor:
    """rand() with the shape, dtype and device of x."""
    return rand(x.shape, dtype=dtype or x.dtype, device=x.device, generator=generator)


def randn_like(x: Tensor, dtype: Any = None, generator: Any = None) -> Tensor:
    """randn() with the shape, dtype and device of x."""
    return randn(x.shape, dtype=dtype or x.dtype, device=x.device, generator=generator)
