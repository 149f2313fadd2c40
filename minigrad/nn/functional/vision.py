"""Resizing, sampling and shuffling of images, with PyTorch's signatures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...engine.tensor import Tensor
from ...ops import grid as grids
from ...ops import resample
from ...ops.shape import reshape, transpose
from ..parameter import check_size

__all__ = [
    "affine_grid",
    "channel_shuffle",
    "grid_sample",
    "interpolate",
    "native_channel_shuffle",
    "pixel_shuffle",
    "pixel_unshuffle",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Images (N, C, ...) resized: each output is a weighted sum of the inputs around its place, axis by axis.

    `mode`: nearest, nearest-exact, area (means), linear (N, C, L), bilinear, bicubic (N, C, H, W), trilinear
    (N, C, D, H, W); lanczos and the other 4-D modes with antialias=True widen their kernel when shrinking.
    ValueError for a size <= 0 or an option that the mode does not know.

    >>> import minigrad as mg
    >>> x = mg.tensor([[[0.0, 4.0]]], requires_grad=True)
    >>> y = interpolate(x, scale_factor=2, mode="linear")
    >>> y.tolist()
    [[[0.0, 1.0, 3.0, 4.0]]]
    >>> y[0, 0, 1].backward()
    >>> x.grad
    tensor([[[0.75, 0.25]]])
    """
    return resample.interpolate(
        input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    )


def upsample(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """interpolate, by its older name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """interpolate with mode="nearest", by its older name."""
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """interpolate with mode="bilinear" and align_corners=True, by its older name."""
    return interpolate(input, size, scale_factor, "bilinear", True)


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """input (N, C, H, W) at the points of grid (N, H', W', 2) -> (N, C, H', W'); 5-D likewise.

    A point is (x, y), from -1 to 1 over the image: the centres of its corner pixels if align_corners, else
    their outer edges.

    Outside the image: 0 ("zeros"), the nearest pixel ("border"), the mirrored image ("reflection").
    Jaderberg et al. 2015. ValueError for shapes that do not fit; TypeError for two dtypes.

    >>> import minigrad as mg
    >>> image = mg.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> point = mg.zeros(1, 1, 1, 2, requires_grad=True)
    >>> y = grid_sample(image, point)
    >>> y.item()
    2.5
    >>> y.backward()
    >>> point.grad.tolist()  # one image width is 2: 1 per pixel along x, 2 along y
    [[[[1.0, 2.0]]]]
    """
    return grids.grid_sample(input, grid, mode, padding_mode, bool(align_corners))


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The points theta (p, 1)^T for every pixel p of images of `size`: theta (N, 2, 3) -> (N, H, W, 2).

    For images (N, C, D, H, W), theta (N, 3, 4). Jaderberg et al. 2015, equation 1.
    ValueError unless theta fits the size.
    """
    return grids.affine_grid(theta, size, bool(align_corners))


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(*, C r^2, H, W) -> (*, C, H r, W r): channels become pixels. Shi et al. 2016, equation 4.

    ValueError unless r^2 divides the channels.
    """
    check_size("pixel_shuffle", upscale_factor=upscale_factor)
    *rest, channels, h, w = _image("pixel_shuffle", input)
    r = upscale_factor
    if channels % (r * r):
        raise ValueError(f"pixel_shuffle: expected channels divisible by {r}*{r}, got shape {input.shape}")
    x = reshape(input, (-1 if input.size else 0, channels // (r * r), r, r, h, w))
    return reshape(transpose(x, (0, 1, 4, 2, 5, 3)), (*rest, channels // (r * r), h * r, w * r))


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(*, C, H r, W r) -> (*, C r^2, H, W): undoes pixel_shuffle. ValueError unless r divides the lengths."""
    check_size("pixel_unshuffle", downscale_factor=downscale_factor)
    *rest, channels, h, w = _image("pixel_unshuffle", input)
    r = downscale_factor
    if h % r or w % r:
        raise ValueError(f"pixel_unshuffle: expected lengths divisible by {r}, got shape {input.shape}")
    x = reshape(input, (-1 if input.size else 0, channels, h // r, r, w // r, r))
    return reshape(transpose(x, (0, 1, 3, 5, 2, 4)), (*rest, channels * r * r, h // r, w // r))


def _image(name: str, x: Tensor) -> tuple[int, ...]:
    if x.ndim < 3:
        raise ValueError(f"{name}: expected at least 3 axes (C, H, W), got shape {x.shape}")
    return x.shape


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """(N, C, *): the first channel of each of `groups` groups, then the second of each, and so on.

    ShuffleNet, Zhang et al. 2018. ValueError unless the groups divide the channels.
    """
    check_size("channel_shuffle", groups=groups)
    if input.ndim < 3 or input.shape[1] % groups:
        raise ValueError(
            f"channel_shuffle: expected (N, C, *), C divisible by groups={groups}, got {input.shape}"
        )
    n, c, *rest = input.shape
    x = reshape(input, (n, groups, c // groups, *rest))
    return reshape(transpose(x, (0, 2, 1, *range(3, x.ndim))), input.shape)


def native_channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """channel_shuffle, by its other name."""
    return channel_shuffle(input, groups)
