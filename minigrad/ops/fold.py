"""Windows as columns (im2col), and its adjoint: columns added back where they came from (col2im)."""

from __future__ import annotations

import math
from typing import Any

from ..engine.backend import Array
from ..engine.op import op
from .windows import Pairs, batch_first, batch_last, bordered, inside, offsets, out_length


def _out(lengths: tuple, kernel: tuple, stride: tuple, padding: Pairs, dilation: tuple) -> tuple[int, ...]:
    """How many windows fit on each axis."""
    how = zip(lengths, kernel, stride, padding, dilation, strict=True)
    return tuple(out_length(n, k, s, p, d) for n, k, s, p, d in how)


@op(x=lambda g, x_shape, **how: col2im(g, x_shape=x_shape, **how))
def im2col(xp: Any, x: Array, *, kernel: tuple, stride: tuple, padding: Pairs, dilation: tuple) -> Array:
    """x (N, C, ...) -> (N, C prod(kernel), windows): column l holds window l of every channel."""
    out = _out(x.shape[2:], kernel, stride, padding, dilation)
    source = bordered(xp, batch_last(xp, x), padding)
    y = xp.empty((x.shape[1], *kernel, *out, x.shape[0]), x.dtype)
    for at, cut in offsets(kernel, stride, dilation, out):
        y[(slice(None), *at)] = source[cut]
    return batch_first(xp, y.reshape(x.shape[1] * math.prod(kernel), math.prod(out), x.shape[0]))


@op(x=lambda g, x_shape, **how: im2col(g, **how))
def col2im(
    xp: Any, x: Array, *, x_shape: tuple, kernel: tuple, stride: tuple, padding: Pairs, dilation: tuple
) -> Array:
    """The adjoint of im2col: each element of a column is added to the place of x_shape that it came from."""
    out = _out(x_shape[2:], kernel, stride, padding, dilation)
    cols = batch_last(xp, x).reshape(x_shape[1], *kernel, *out, x_shape[0])
    lengths = [a + n + b for (a, b), n in zip(padding, x_shape[2:], strict=True)]
    y = xp.zeros((x_shape[1], *lengths, x_shape[0]), x.dtype)
    for at, cut in offsets(kernel, stride, dilation, out):
        y[cut] += cols[(slice(None), *at)]
    return batch_first(xp, y[inside(padding, x_shape[2:])])
