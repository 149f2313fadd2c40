"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...engine.node import mutated
from ...engine.tensor import Tensor
from ...ops.shape import concatenate, ravel

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters as one long vector."""
    return concatenate([ravel(p) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write a vector back into the parameters, in their order."""
    params = list(parameters)
    total = sum(p.size for p in params)
    if vec.shape != (total,):
        raise ValueError(f"vector_to_parameters: expected a vector of {total} numbers, got shape {vec.shape}")
    for p, part in zip(params, np.split(vec._data, np.cumsum([p.size for p in params])[:-1]), strict=True):
        p._data[...] = part.reshape(p.shape)
        mutated(p._data)
