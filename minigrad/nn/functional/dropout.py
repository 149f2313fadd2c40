"""Dropout: elements or whole channels zeroed at random."""

from __future__ import annotations

from ...engine.backend import is_float, is_number
from ...engine.random import default_generator
from ...engine.recording import effect
from ...engine.tensor import Tensor, wrap
from ...ops import random as _random
from ...ops.activation import SELU_ALPHA, SELU_SCALE
from ...ops.index import result_of

__all__ = [
    "alpha_dropout",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
]


def check_probability(name: str, **given: object) -> None:
    """Refuse what is no number from 0 to 1, by name."""
    for what, p in given.items():
        if not is_number(p) or not 0.0 <= p <= 1.0:  # type: ignore[operator]
            kind = ValueError if is_number(p) else TypeError
            raise kind(f"{name}: expected a probability in [0, 1] ({what}={p!r})")


def _check(name: str, x: Tensor, p: float, training: bool, dims: tuple[int, ...] = ()) -> None:
    check_probability(name, p=p)
    if training and not is_float(x.dtype):
        raise TypeError(f"{name}: expected a floating input, got {x.dtype}")
    if dims and x.ndim not in dims:
        raise ValueError(f"{name}: expected {' or '.join(map(str, dims))} axes, got shape {x.shape}")


@effect
def _ones(x: Tensor, axes: int) -> Tensor:
    """A one for each index of the first axes of x."""
    return wrap(x.device.xp.ones(x.shape[:axes] + (1,) * (x.ndim - axes), x.dtype), None)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """x m / (1 - p), m = 1 with probability 1 - p, drawn per element; x itself unless training.

    inplace: the result is the same Tensor. Srivastava et al. 2014.
    """
    _check("dropout", input, p, training)
    return result_of("dropout", input, _random.dropout(input, p=p), inplace) if training and p else input


def _channels(name: str, x: Tensor, p: float, training: bool, inplace: bool, axes: int) -> Tensor:
    """Dropout with one draw for each index of the first axes."""
    if not training or not p:
        return x
    return result_of(name, x, x * _random.dropout(_ones(x, axes), p=p), inplace)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of (N, C, L) or (C, L) zeroed, the others divided by 1 - p."""
    _check("dropout1d", input, p, training, (2, 3))
    return _channels("dropout1d", input, p, training, inplace, input.ndim - 1)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of (N, C, H, W) or (N, C, L) zeroed, the others divided by 1 - p.

    Three axes mean a batch, as in PyTorch: unlike its neighbours it knows no single sample.
    Tompson et al. 2015.
    """
    _check("dropout2d", input, p, training, (3, 4))
    return _channels("dropout2d", input, p, training, inplace, 2)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of (N, C, D, H, W) or (C, D, H, W) zeroed, the others divided by 1 - p."""
    _check("dropout3d", input, p, training, (4, 5))
    return _channels("dropout3d", input, p, training, inplace, input.ndim - 3)


# What SELU tends to far below zero. Dropped elements are set to it; a then restores the variance and
# b the mean of an input of mean 0 and variance 1:  var = (1 - p)(1 + p s^2), mean = p s.
SATURATION = -SELU_ALPHA * SELU_SCALE


def _alpha(name: str, x: Tensor, p: float, training: bool, inplace: bool, axes: int) -> Tensor:
    if not training or not p:
        return x
    if p == 1.0:
        return result_of(name, x, x * 0.0, inplace)
    a = ((1.0 - p) * (1.0 + p * SATURATION**2)) ** -0.5
    like = _ones(x, axes)
    dropped = _dropped(like, p)
    return result_of(name, x, x * (a - a * dropped) + (dropped - p) * (a * SATURATION), inplace)


@effect
def _dropped(like: Tensor, p: float) -> Tensor:
    """1 with probability p, in the shape, dtype and place of `like`."""
    return wrap(default_generator.bernoulli(p, like.shape, like.device.xp).astype(like.dtype), None)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """a (x m + s (1 - m)) + b: dropped elements get SELU's lower limit s; mean 0 and variance 1 are kept.

    a and b follow from p. Klambauer et al. 2017, section 3.
    """
    _check("alpha_dropout", input, p, training)
    return _alpha("alpha_dropout", input, p, training, inplace, input.ndim)


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """alpha_dropout with one draw for each sample and channel of (N, C, ...)."""
    _check("feature_alpha_dropout", input, p, training)
    if input.ndim < 2:
        raise ValueError(f"feature_alpha_dropout: expected at least 2 axes (N, C, ...), got {input.shape}")
    return _alpha("feature_alpha_dropout", input, p, training, inplace, 2)
