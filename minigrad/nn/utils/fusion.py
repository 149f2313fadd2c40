"""Batch norm at test time is linear, so it fits into the convolution or linear layer before it."""

from __future__ import annotations

import copy
from typing import Any

from ...engine.recording import no_grad
from ...engine.tensor import Tensor
from ..parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def _fused(w: Tensor, b: Tensor | None, bn: tuple, shape: tuple) -> tuple[Parameter, Parameter]:
    """w s and (b - m) s + beta with s = gamma / sqrt(v + eps), `shape` setting s along the outputs of w."""
    mean, var, eps, gamma, beta = bn
    with no_grad():
        s = (var + eps) ** -0.5
        s = s if gamma is None else s * gamma
        shift = -mean * s if b is None else (b - mean) * s
        shift = shift if beta is None else shift + beta
        weight, bias = (w * s.reshape(shape)).astype(w.dtype), shift.astype(w.dtype)
    return Parameter(weight, w.requires_grad), Parameter(bias, b is not None and b.requires_grad)


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of one convolution that does both; transpose: outputs on axis 1 of the weight."""
    rest = (1,) * (conv_w.ndim - 2)
    shape = (1, -1, *rest) if transpose else (-1, 1, *rest)
    return _fused(conv_w, conv_b, (bn_rm, bn_rv, bn_eps, bn_w, bn_b), shape)


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor,
    bn_b: Tensor,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of one linear layer that does both."""
    return _fused(linear_w, linear_b, (bn_rm, bn_rv, bn_eps, bn_w, bn_b), (-1, 1))


def _check(name: str, layer: Any, bn: Any, outputs: int) -> tuple[Tensor, Tensor, float, Any, Any]:
    if layer.training or bn.training:
        raise ValueError(f"{name}: expected both layers in eval mode; call .eval() first")
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError(f"{name}: expected a batch norm with running statistics (track_running_stats=False)")
    if bn.num_features not in (outputs, 1):
        raise ValueError(f"{name}: expected batch norm of {outputs} or 1 (num_features={bn.num_features})")
    return bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """A copy of `conv` that does the work of conv, then bn; both in eval mode. The two are left alone."""
    values = _check("fuse_conv_bn_eval", conv, bn, conv.out_channels)
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(fused.weight, fused.bias, *values, transpose=transpose)
    return fused


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """A copy of `linear` that does the work of linear, then bn; both in eval mode. The two are left alone."""
    values = _check("fuse_linear_bn_eval", linear, bn, linear.out_features)
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(fused.weight, fused.bias, *values)
    return fused
