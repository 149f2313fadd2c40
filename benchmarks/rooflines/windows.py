"""Convolution, windows as columns, and pooling: images with the batch last in memory."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from minigrad_kernels.cuda import find

from .base import Job, Row, Traffic, calling, images, library, memory, numbers, products

CONV = {"batch": 128, "channels": 128, "side": 28}
THREE = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1)}  # a 3x3 window keeps the sides


def convolved(depthwise: bool, item: int, batch: int, channels: int, side: int) -> Traffic:
    """3x3 filters, as many as channels: two images and the filters; 9 products for each input channel."""
    places, depth = batch * channels * side**2, 1 if depthwise else channels
    return Traffic(item * (2 * places + 9 * channels * depth), 2 * 9 * depth * places)


def make_conv(name: str, depthwise: bool, dtype: str, batch: int, channels: int, side: int) -> Job:
    shape = (batch, channels, side, side)
    w_shape, groups = (channels, 1 if depthwise else channels, 3, 3), channels if depthwise else 1
    x = images(dtype, *shape)
    how = {**THREE, "groups": groups}
    if name == "conv_grad_w":
        return calling(name, images(dtype, *shape), x, w_shape=w_shape, **how)
    more = {"x_shape": shape} if name == "conv_grad_x" else {}
    return calling(name, x, numbers(dtype, *w_shape), **more, **how)


def channel_sums(item: int, batch: int, channels: int, side: int) -> Traffic:
    """An image read, a sum for each channel written."""
    places = batch * channels * side**2
    return Traffic(item * (places + channels), places)


def make_channel_sums(dtype: str, batch: int, channels: int, side: int) -> Job:
    return calling("conv.bias", images(dtype, batch, channels, side, side))


def unfolded(item: int, batch: int, channels: int, side: int) -> Traffic:
    """An image one way, its 3x3 windows the other; each is copied (or added) once."""
    places = batch * channels * side**2
    return Traffic(item * 10 * places, 0)


def refolded(item: int, batch: int, channels: int, side: int) -> Traffic:
    return unfolded(item, batch, channels, side)._replace(flop=9 * batch * channels * side**2)


def make_columns(name: str, dtype: str, batch: int, channels: int, side: int) -> Job:
    how = {"kernel": (3, 3), **THREE}
    if name == "im2col":
        return calling(name, images(dtype, batch, channels, side, side), **how)
    columns = images(dtype, batch, 9 * channels, side * side)
    return calling(name, columns, x_shape=(batch, channels, side, side), **how)


def pooled(extra: int, item: int, batch: int, channels: int, side: int) -> Traffic:
    """2x2 windows: an image and a quarter of it, with `extra` bytes for each window; each number met once."""
    places = batch * channels * side**2
    return Traffic(item * places + (item + extra) * places // 4, places)


def make_pool(name: str, dtype: str, batch: int, channels: int, side: int) -> Job:
    shape, half = (batch, channels, side, side), (batch, channels, side // 2, side // 2)
    how: dict[str, Any] = {
        "kernel": (2, 2),
        "stride": (2, 2),
        "padding": ((0, 0), (0, 0)),
        "ceil_mode": False,
    }
    if name in ("max_pool", "window_put"):
        how["dilation"] = (1, 1)
    if name in ("max_pool", "window_sum"):
        return calling(name, images(dtype, *shape), **how)
    g = images(dtype, *half)
    if name == "window_spread":
        return calling(name, g, x_shape=shape, **how)
    zeros = library().zeros((*half[1:], batch), np.uint8).transpose(3, 0, 1, 2)
    run = lambda: find(name)(g, chosen=zeros, x_shape=shape, **how)
    return Job(run, (g, zeros))


SMALL_CONV = {"batch": 4, "channels": 3, "side": 5}
UNFOLDED = {"batch": 64, "channels": 64, "side": 56}
PICTURES, FEW_PICTURES = {"batch": 256, "channels": 64, "side": 56}, {"batch": 4, "channels": 2, "side": 6}
COLUMNS = (("im2col", "windows as columns", unfolded), ("col2im", "columns added back", refolded))
POOLS = (  # with the bytes that each window adds: which element was the largest
    ("max_pool", "max pooling 2x2", 1), ("window_put", "max pooling backward", 1),
    ("window_sum", "mean pooling 2x2", 0), ("window_spread", "mean pooling backward", 0),
)  # fmt: skip


def convolution_rows() -> list[Row]:
    """Forward and both gradients, in three precisions; and depthwise, where memory is the bound."""
    rows = []
    for name in ("conv", "conv_grad_x", "conv_grad_w"):
        what = name.replace("_grad_", ", gradient in ")
        for dtype in ("float32", "tf32", "float16", "bfloat16"):
            given = CONV, SMALL_CONV, partial(convolved, False), partial(make_conv, name, False)
            rows.append(products(name, f"3x3 {what}", dtype, *given))
        given = UNFOLDED, SMALL_CONV, partial(convolved, True), partial(make_conv, name, True)
        rows.append(memory(name, f"3x3 depthwise {what}", *given))
    given = PICTURES, FEW_PICTURES, channel_sums, make_channel_sums
    rows.append(memory("conv.bias", "conv, gradient in bias", *given))
    return rows


def window_rows() -> list[Row]:
    """Columns and pools."""
    rows = []
    for name, what, traffic in COLUMNS:
        rows.append(memory(name, what, UNFOLDED, FEW_PICTURES, traffic, partial(make_columns, name)))
    for name, what, extra in POOLS:
        given = partial(pooled, extra), partial(make_pool, name)
        rows.append(memory(name, what, PICTURES, FEW_PICTURES, *given))
    return rows
