"""Sample inputs for every op: what `minigrad gradcheck` and the tests run it on.

One entry an op: a list of (arrays, metadata). Floats in the arrays are inputs to differentiate by;
integers, booleans and None are constants. Values stay away from ties, jumps and poles.
"""

from __future__ import annotations

from . import (
    activation,
    attention,
    conv,
    elementwise,
    embedding,
    linalg,
    logic,
    loss,
    norm,
    pool,
    recurrent,
    reduce,
    resample,
    shape,
    windows,
)
from .draw import Draw, Sample

__all__ = ["Sample", "samples"]

TOPICS = (
    elementwise,
    activation,
    attention,
    shape,
    reduce,
    linalg,
    windows,
    loss,
    logic,
    norm,
    conv,
    embedding,
    recurrent,
    pool,
    resample,
)


def samples(seed: int = 0) -> dict[str, list[Sample]]:
    """All samples, by the op's name. A topic draws from a stream of its own."""
    found: dict[str, list[Sample]] = {}
    for topic in TOPICS:
        found |= topic.samples(Draw(seed, topic.__name__))
    return found
