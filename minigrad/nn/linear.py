"""Linear layers."""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from ..ops.linear import linear
from . import functional as F
from . import init
from .module import Module
from .parameter import check_size, new_parameter

__all__ = [
    "Bilinear",
    "Linear",
]


def wrong_width(x: Tensor, wanted: int, joined: tuple[int, ...] = ()) -> ValueError:
    """The error of a Linear: what came, and where x was flattened just before, out of which lengths."""
    node = x.node
    if not joined and x.ndim == 2 and node is not None and node.op is not None and node.op.name == "reshape":
        before = node.inputs[0].shape
        joined = before[1:] if len(before) > 2 and before[0] == x.shape[0] else ()
    if not joined:
        return ValueError(f"Linear: expected in_features={wanted}, got x of shape {x.shape}")
    n, sizes = x.shape[-1], "*".join(map(str, joined))
    return ValueError(f"Linear: Flatten gives {n} = {sizes}, Linear expects {wanted}; set in_features={n}")


class Linear(Module):
    """y = x W^T + b: (..., in_features) -> (..., out_features).

    >>> from minigrad import nn
    >>> nn.Linear(3, 2)
    Linear(in_features=3, out_features=2, bias=True)
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        check_size("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = new_parameter(out_features, in_features, device=device, dtype=dtype)
        self.bias = new_parameter(out_features, device=device, dtype=dtype) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again from uniform +-1/sqrt(in_features)."""
        init.layer_default_(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """x W^T + b."""
        if input.ndim == 0 or input.shape[-1] != self.in_features:
            raise wrong_width(input, self.in_features)
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Widths."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
        )


class Bilinear(Module):
    """y_o = x1^T W_o x2 + b_o: (..., in1_features) and (..., in2_features) -> (..., out_features).

    >>> from minigrad import nn
    >>> nn.Bilinear(2, 3, 4)
    Bilinear(in1_features=2, in2_features=3, out_features=4, bias=True)
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_size(
            "Bilinear", in1_features=in1_features, in2_features=in2_features, out_features=out_features
        )
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = new_parameter(out_features, in1_features, in2_features, device=device, dtype=dtype)
        self.bias = new_parameter(out_features, device=device, dtype=dtype) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again from uniform +-1/sqrt(in1_features)."""
        bound = self.in1_features**-0.5
        for p in (self.weight, self.bias):
            if p is not None:
                init.uniform_(p, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """bilinear."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Widths."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )
