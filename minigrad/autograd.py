"""PyTorch's `autograd.grad`, for listings that call it so; `minigrad.grad` is the same without the tuple."""

from __future__ import annotations

from typing import Any

from .engine import backprop
from .engine.tensor import Tensor


def grad(
    outputs: Tensor,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool = False,
) -> tuple:
    """d outputs / d x for each x of inputs: always a tuple. ValueError for only_inputs=False.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> mg.autograd.grad((x * x).sum(), x)[0]
    tensor([2., 4.])
    """
    if not only_inputs:
        raise ValueError("grad: expected only_inputs=True; backward() fills in every leaf's gradient")
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    return backprop.grad(outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused)
