"""The arithmetic of a layer's output size and parameters, with its numbers filled in."""

from __future__ import annotations

import math
from typing import Any

from ..ops.windows import per_axis
from .conv import _Conv, _ConvTranspose, _Filters
from .flatten import Flatten
from .linear import Linear
from .module import Module
from .padding import _Pad
from .pool import _AdaptiveAvgPool, _AdaptiveMaxPool
from .sizes import OutputSize, conv_output_size, conv_transpose_output_size, pool_output_size, window_of

AXES = {1: ("L'",), 2: ("H'", "W'"), 3: ("D'", "H'", "W'")}


def size_formula(module: Module, x: Any, y: Any) -> str:
    """How the shape y came from x, for layers that are known; else empty.

    As in "H' = floor((32 + 2*0 - 1*(5 - 1) - 1)/1) + 1 = 28, W' the same".
    """
    if not all(isinstance(shape, tuple) and all(isinstance(n, int) for n in shape) for shape in (x, y)):
        return ""
    if isinstance(module, Flatten):
        joined = x[module.start_dim : module.end_dim % len(x) + 1]
        return f"{'*'.join(map(str, joined))} = {math.prod(joined)}" if joined else ""
    dims = getattr(module, "_dims", 0)
    if dims not in AXES or len(x) <= dims or len(y) <= dims:
        return ""
    sizes = _sizes(module, x[-dims:], y[-dims:])
    # A layer that was derived from a known one may do something else: say only what is true.
    return _axes(sizes, dims) if tuple(sizes) == y[-dims:] else ""


def _sizes(module: Any, x: tuple[int, ...], y: tuple[int, ...]) -> tuple[OutputSize, ...]:
    if isinstance(module, _Conv):
        padding = module.padding
        return conv_output_size(x, module.kernel_size, module.stride, padding, module.dilation)
    if isinstance(module, _ConvTranspose):
        how = module.kernel_size, module.stride, module.padding
        least = conv_transpose_output_size(x, *how, 0, module.dilation)
        extra = tuple(m - n for m, n in zip(y, least, strict=True))  # forward may have been given output_size
        return conv_transpose_output_size(x, *how, extra, module.dilation)
    if isinstance(module, _AdaptiveAvgPool | _AdaptiveMaxPool):
        return tuple(OutputSize(m, "output_size") for m in y)
    if isinstance(module, _Pad):
        pairs = zip(module.padding[-2::-2], module.padding[::-2], strict=True)
        return tuple(OutputSize(a + n + b, f"{a} + {n} + {b}") for n, (a, b) in zip(x, pairs, strict=True))
    window = window_of(module)
    if window is None:
        return ()
    padding = per_axis(type(module).__name__, "padding", getattr(module, "padding", 0), len(x), least=0)
    return pool_output_size(x, window[0], window[1], padding, window[2], module.ceil_mode)


def _axes(sizes: tuple[OutputSize, ...], dims: int) -> str:
    formulas = [f"{axis} = {size.formula}" for axis, size in zip(AXES[dims], sizes, strict=True)]
    if len({size.formula for size in sizes}) == 1:
        return formulas[0] + "".join(f", {axis} the same" for axis in AXES[dims][1:])
    return "; ".join(formulas)


def count_formula(module: Module, parameters: int) -> str:
    """How the parameters add up, for layers that are known; else empty."""
    if isinstance(module, _Filters):
        rows, columns, *kernel = module.weight.shape
        inside = "*".join(map(str, (columns, *kernel)))
        if isinstance(module, _ConvTranspose):
            text = f"{rows}*{inside}" + f" + {module.out_channels}" * (module.bias is not None)
        else:
            text = f"{rows}*({inside}{' + 1' * (module.bias is not None)})"
    elif isinstance(module, Linear):
        text = f"{module.out_features}*({module.in_features}{' + 1' * (module.bias is not None)})"
    else:
        return ""
    whole = sum(p.size for p in (module.weight, module.bias) if p is not None)
    return f"{text} = {whole} parameters" if whole == parameters else ""
