"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from ...engine.node import mutated
from ...engine.tensor import Tensor
from ...ops.shape import concatenate, ravel

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters as one long vector; gradients flow back to each."""
    return concatenate([ravel(p) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write a vector back into the parameters, in their order; ValueError unless the lengths agree."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: expected a Tensor (vec), got {type(vec).__name__}")
    params = list(parameters)
    total = sum(p.size for p in params)
    if vec.shape != (total,):
        raise ValueError(f"vector_to_parameters: expected a vector of {total} numbers, got shape {vec.shape}")
    start = 0
    for p in params:
        p._data[...] = vec._data[start : start + p.size].reshape(p.shape)
        mutated(p._data)
        start += p.size
