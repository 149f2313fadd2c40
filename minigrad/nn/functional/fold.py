"""Fold and unfold with PyTorch's signatures: images (N, C, H, W) and columns (N, C kh kw, windows)."""

from __future__ import annotations

import math
from typing import Any

from ...engine.tensor import Tensor
from ...ops.fold import col2im, im2col
from ...ops.windows import out_length, per_axis

__all__ = [
    "fold",
    "unfold",
]


def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Every window as a column: x (N, C, H, W) or (C, H, W) -> (N, C kh kw, windows), the adjoint of fold.

    A convolution is unfold, then a matrix product. Raises ValueError where the window does not fit.

    >>> import minigrad as mg
    >>> mg.nn.functional.unfold(mg.arange(6.0).reshape(1, 2, 3), 2)
    tensor([[0., 1.],
            [1., 2.],
            [3., 4.],
            [4., 5.]])
    """
    if input.ndim == 3:
        return unfold(input[None], kernel_size, dilation, padding, stride)[0]
    if input.ndim != 4:
        raise ValueError(f"unfold: expected (N, C, H, W) or (C, H, W), got shape {input.shape}")
    how, _ = _windows("unfold", input.shape[2:], kernel_size, dilation, padding, stride)
    if 0 in input.shape[1:]:
        raise ValueError(f"unfold: only the batch may be empty, got shape {input.shape}")
    return im2col(input, **how)


def fold(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Columns added back: (N, C kh kw, windows) or (C kh kw, windows) -> (N, C, *output_size).

    The adjoint of unfold; where windows overlap, fold(unfold(x)) counts an element once for each.
    Raises ValueError where the columns are not those of an image of output_size.

    >>> import minigrad as mg
    >>> mg.nn.functional.fold(mg.ones(4, 2), (2, 3), 2)
    tensor([[[1., 2., 1.],
             [1., 2., 1.]]])
    """
    if input.ndim == 2:
        return fold(input[None], output_size, kernel_size, dilation, padding, stride)[0]
    if input.ndim != 3:
        raise ValueError(
            f"fold: expected (N, C kh kw, windows) or (C kh kw, windows), got shape {input.shape}"
        )
    size = per_axis("fold", "output_size", output_size, 2)
    how, out = _windows("fold", size, kernel_size, dilation, padding, stride)
    kernel, columns = how["kernel"], input.shape[1:]
    if not columns[0] or columns[0] % math.prod(kernel):
        raise ValueError(
            f"fold: expected C * {kernel[0]} * {kernel[1]} rows for kernel_size={kernel}, got {columns[0]}"
        )
    if columns[1] != math.prod(out):
        raise ValueError(
            f"fold: output_size={size} has {out[0]} * {out[1]} = {math.prod(out)} windows, "
            f"got {columns[1]} columns"
        )
    return col2im(input, x_shape=(input.shape[0], columns[0] // math.prod(kernel), *size), **how)


def _windows(
    name: str, lengths: tuple, kernel_size: Any, dilation: Any, padding: Any, stride: Any
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """The settings, two of each and checked, and how many windows fit on each axis."""
    kernel = per_axis(name, "kernel_size", kernel_size, 2)
    dilation = per_axis(name, "dilation", dilation, 2)
    stride = per_axis(name, "stride", stride, 2)
    pads = tuple((p, p) for p in per_axis(name, "padding", padding, 2, least=0))
    for n, k, p, d in zip(lengths, kernel, pads, dilation, strict=True):
        if n + sum(p) < d * (k - 1) + 1:
            raise ValueError(
                f"{name}: the window reaches over {d * (k - 1) + 1}, the padded image has {n + sum(p)}"
            )
    how = {"kernel": kernel, "stride": stride, "padding": pads, "dilation": dilation}
    sizes = zip(lengths, kernel, stride, pads, dilation, strict=True)
    return how, tuple(out_length(n, k, s, p, d) for n, k, s, p, d in sizes)
