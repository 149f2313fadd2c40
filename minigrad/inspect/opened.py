"""Inside a fused op: the same result from plain ops, traced at the recorded numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from .record import Forward, Value

__all__ = ["can_open", "opened"]


def can_open(forward: Forward | None) -> bool:
    """True if the op says in plain ops what it stands for."""
    return forward is not None and forward.node.op.reference is not None


def opened(value: Value) -> Any:
    """The Trace of a fused op's reference, its output's gradient the recorded one.

    Raises ValueError where the op is not a fused one: it is a single step already.
    """
    from .trace import record

    forward = value.made_by
    if not can_open(forward):
        made = f"made by {forward.op}, which is one step" if forward else "an input"
        raise ValueError(f"opened: expected the result of a fused op, got {value.name!r}, {made}")
    inputs = [None if v is None else _leaf(v) for v in forward.inputs]
    reference, meta = forward.node.op.reference, forward.meta
    gradient = np.ones(value.shape, value.dtype) if value.grad is None else np.array(value.grad)
    names = {id(x._data): v.name for x, v in zip(inputs, forward.inputs) if v is not None}
    return record(lambda *xs: reference(*xs, **meta), inputs, gradient, names, value.name)


def _leaf(value: Value) -> Tensor:
    x = Tensor(np.array(value.data))
    return x.requires_grad_() if value.grad is not None else x
