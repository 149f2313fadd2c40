"""Normalisation layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.node import mutated
from ..engine.recording import effect
from ..engine.tensor import Tensor
from ..ops.create import zeros
from ..ops.norm import check_channels, local_response
from . import functional as F
from .module import Module
from .parameter import Parameter, check_size, new_parameter

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "CrossMapLRN2d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "LocalResponseNorm",
    "RMSNorm",
]


@effect
def _fill(*pairs: tuple[Tensor | None, float]) -> None:
    """Set whole tensors, those that a layer has."""
    for t, value in pairs:
        if t is not None:
            t._data[...] = value
            mutated(t._data)


@effect
def _count(batches: Tensor) -> None:
    """One batch more."""
    _fill((batches, batches._data + 1))


class _PerChannel(Module):
    """What batch and instance norm share: a weight, a bias and running statistics per channel."""

    _dims: tuple[int, ...] = ()

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
        bias: bool,
    ) -> None:
        super().__init__()
        check_size(type(self).__name__, num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        new = lambda: new_parameter(num_features, device=device, dtype=dtype)
        self.weight = new() if affine else None
        self.bias = new() if affine and bias else None
        tracked = track_running_stats
        self.register_buffer("running_mean", new().detach() if tracked else None)
        self.register_buffer("running_var", new().detach() if tracked else None)
        self.register_buffer("num_batches_tracked", zeros((), dtype=np.int64) if tracked else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the running statistics."""
        _fill((self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0))

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, statistics forgotten."""
        self.reset_running_stats()
        _fill((self.weight, 1), (self.bias, 0))

    @property
    def _by_input(self) -> bool:
        """In training, or where nothing is tracked: normalise by the input's own statistics."""
        return self.training or self.running_mean is None

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_PerChannel):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise by the batch in training (or if nothing is tracked), else by the running statistics."""
        check_channels(type(self).__name__, x, self.num_features, self._dims)
        follows = self.training and self.running_mean is not None
        y = F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self._by_input,
            self._factor() if follows else 0.0,
            self.eps,
        )
        if follows:
            _count(self.num_batches_tracked)
        return y

    def _factor(self) -> Any:
        """How much this batch counts: momentum, or 1 / batches for a plain average (momentum=None)."""
        if self.momentum is not None:
            return self.momentum
        seen = self.num_batches_tracked._data
        if isinstance(seen, np.ndarray):
            return 1.0 / (int(seen) + 1)
        return 1.0 / (seen + 1).astype(self.running_mean.dtype)  # a number that stays on the device


class BatchNorm1d(_BatchNorm):
    """Batch norm of (N, C) or (N, C, L), per channel.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> x = mg.tensor([[1.0], [3.0]])
    >>> nn.BatchNorm1d(1, eps=1e-12)(x).detach()
    tensor([[-1.],
            [ 1.]])
    """

    _dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch norm of (N, C, H, W), per channel (Ioffe & Szegedy 2015)."""

    _dims = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch norm of (N, C, D, H, W), per channel."""

    _dims = (5,)


class _InstanceNorm(_PerChannel):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each sample by itself, or in eval by the running statistics if they are tracked."""
        batched = x.ndim == self._dims[1]
        check_channels(type(self).__name__, x, self.num_features, self._dims, 1 if batched else 0)
        y = F.instance_norm(
            x if batched else x[None],
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self._by_input,
            self.momentum or 0.0,
            self.eps,
        )
        return y if batched else y[0]


class InstanceNorm1d(_InstanceNorm):
    """Instance norm of (N, C, L) or (C, L): every sample and channel by itself."""

    _dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance norm of (N, C, H, W) or (C, H, W): each sample and channel by itself (Ulyanov et al. 2016)."""

    _dims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Instance norm of (N, C, D, H, W) or (C, D, H, W): every sample and channel by itself."""

    _dims = (4, 5)


def _lengths(layer: str, normalized_shape: Any) -> tuple[int, ...]:
    """A length or several, checked."""
    whole = isinstance(normalized_shape, int | np.integer)
    shape = (normalized_shape,) if whole else tuple(normalized_shape)
    for n in shape or (shape,):
        check_size(layer, normalized_shape=n)
    return tuple(int(n) for n in shape)


class LayerNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes: (..., *normalized_shape) to the same.

    Ba et al. 2016.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> nn.LayerNorm(2, eps=1e-12)(mg.tensor([[1.0, 3.0], [10.0, 0.0]])).detach()
    tensor([[-1.,  1.],
            [ 1., -1.]])
    """

    def __init__(
        self,
        normalized_shape: int | list[int] | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _lengths("LayerNorm", normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        new = lambda: new_parameter(*self.normalized_shape, device=device, dtype=dtype)
        self.weight: Parameter | None = new() if elementwise_affine else None
        self.bias: Parameter | None = new() if elementwise_affine and bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        _fill((self.weight, 1), (self.bias, 0))

    def forward(self, x: Tensor) -> Tensor:
        """layer_norm(x)."""
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last axes: (..., *normalized_shape) to the same.

    eps=None: the smallest step of the dtype at 1. Zhang & Sennrich 2019.
    """

    def __init__(
        self,
        normalized_shape: int | list[int] | tuple[int, ...],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _lengths("RMSNorm", normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight: Parameter | None = None
        if elementwise_affine:
            self.weight = new_parameter(*self.normalized_shape, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1."""
        _fill((self.weight, 1))

    def forward(self, x: Tensor) -> Tensor:
        """rms_norm(x)."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias per sample and group of channels: (N, C, ...) to the same.

    Raises ValueError where num_channels is not a multiple of num_groups. Wu & He 2018.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_size("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: expected num_channels in whole groups "
                f"(num_groups={num_groups}, num_channels={num_channels})"
            )
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        new = lambda: new_parameter(num_channels, device=device, dtype=dtype)
        self.weight: Parameter | None = new() if affine else None
        self.bias: Parameter | None = new() if affine and bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        _fill((self.weight, 1), (self.bias, 0))

    def forward(self, x: Tensor) -> Tensor:
        """group_norm(x)."""
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """x / (k + alpha mean(x^2))^beta, the mean over `size` neighbouring channels (AlexNet).

    Krizhevsky et al. 2012, section 3.3, which has the sum for the mean.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        check_size(type(self).__name__, size=size)
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        """local_response_norm(x)."""
        return F.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(LocalResponseNorm):
    """LocalResponseNorm of (N, C, H, W) whose window reaches (size - 1) // 2 channels both ways.

    PyTorch differs from channel (size + 1) // 2 on: its moving sum never lets go of channel 0.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__(size, alpha, beta, k)

    def forward(self, x: Tensor) -> Tensor:
        """The sum of squares is divided by size, also where size is even and the window is size - 1."""
        if x.ndim != 4:
            raise ValueError(f"CrossMapLRN2d: expected 4 axes (N, C, H, W), got shape {x.shape}")
        reach = (self.size - 1) // 2
        return local_response(x, reach, reach, self.alpha / self.size, self.beta, self.k)
