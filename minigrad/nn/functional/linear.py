"""Linear and bilinear maps with PyTorch's signatures."""

from __future__ import annotations

from ...engine.tensor import Tensor
from ...ops import linear as _linear
from ...ops.shape import expand_dims, reshape

__all__ = [
    "bilinear",
    "linear",
]


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b: x (..., in), W (out, in), b (out,) -> (..., out); or W (in,), b () -> (...,).

    >>> import minigrad as mg
    >>> w = mg.tensor([[1.0, 2.0]], requires_grad=True)
    >>> y = mg.nn.functional.linear(mg.tensor([[3.0, 4.0]]), w)
    >>> y.backward()
    >>> y, w.grad
    (tensor([[11.]], op=linear), tensor([[3., 4.]]))
    """
    if weight.ndim == 1:
        one = None if bias is None else reshape(bias, (-1,))
        return _linear.linear(input, expand_dims(weight, 0), one)[..., 0]
    return _linear.linear(input, weight, bias)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y_o = x1^T W_o x2 + b_o: x1 (..., in1), x2 (..., in2), W (out, in1, in2), b (out,) -> (..., out).

    Raises ValueError for shapes that do not fit; the leading axes must be equal.
    """
    fits = weight.ndim == 3 and input1.shape[:-1] == input2.shape[:-1] and input1.ndim and input2.ndim
    if not fits or (input1.shape[-1], input2.shape[-1]) != weight.shape[1:]:
        raise ValueError(
            "bilinear: expected input1 (..., in1), input2 (..., in2) and weight (out, in1, in2), "
            f"got {input1.shape}, {input2.shape} and {weight.shape}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bilinear: expected bias ({weight.shape[0]},), got {bias.shape}")
    return _linear.bilinear(input1, input2, weight, bias)
