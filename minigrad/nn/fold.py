"""Layers that cut images into columns of windows, and add such columns back together."""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from ..ops.windows import per_axis
from .functional.fold import fold, unfold
from .module import Module

__all__ = [
    "Fold",
    "Unfold",
]


class _Windows(Module):
    def __init__(self, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> None:
        super().__init__()
        sizes = {"kernel_size": kernel_size, "dilation": dilation, "padding": padding, "stride": stride}
        for argument, value in sizes.items():
            per_axis(type(self).__name__, argument, value, 2, least=0 if argument == "padding" else 1)
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class Unfold(_Windows):
    """Every window as a column: (N, C, H, W) -> (N, C kh kw, windows).

    windows = prod floor((length + 2 padding - dilation (kernel - 1) - 1) / stride) + 1

    >>> from minigrad import nn
    >>> nn.Unfold(3, padding=1)
    Unfold(kernel_size=3, dilation=1, padding=1, stride=1)
    """

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> None:
        super().__init__(kernel_size, dilation, padding, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Windows as columns."""
        return unfold(x, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(_Windows):
    """Columns added back to an image: (N, C kh kw, windows) -> (N, C, *output_size); Unfold's adjoint."""

    def __init__(
        self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        super().__init__(kernel_size, dilation, padding, stride)
        per_axis("Fold", "output_size", output_size, 2)
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        """Overlapping windows add."""
        return fold(x, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """The settings."""
        return f"output_size={self.output_size}, {super().extra_repr()}"
