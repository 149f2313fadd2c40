"""Spectral norm by a hook before forward: the older form; nn.utils.parametrizations has the newer."""

from __future__ import annotations

from typing import Any

from ...engine.node import mutated
from ...engine.recording import no_grad
from ...engine.tensor import Tensor, wrap
from ...ops.linalg import matmul
from ...ops.random import randn
from ...ops.shape import moveaxis, reshape
from .. import functional as F
from ..conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..module import Module
from .weight_norm import found, own_parameter, plain_again

__all__ = ["remove_spectral_norm", "spectral_norm"]


def as_matrix(w: Tensor, dim: int) -> Tensor:
    """Axis `dim` as rows, all others as columns."""
    return reshape(moveaxis(w, dim, 0), (w.shape[dim], w.size // max(w.shape[dim], 1)))


def default_dim(module: Module) -> int:
    """The axis of a layer's outputs in its weight: transposed convolutions have it second."""
    return int(isinstance(module, ConvTranspose1d | ConvTranspose2d | ConvTranspose3d))


def _step(matrix: Tensor, source: Tensor, target: Tensor, eps: float) -> None:
    """target = matrix source / |matrix source|, in target's memory."""
    with no_grad():
        target._data[...] = F.normalize(matmul(matrix, source), dim=0, eps=eps)._data
    mutated(target._data)


def power_iterations(matrix: Tensor, u: Tensor, v: Tensor, times: int, eps: float) -> None:
    """u and v towards the first singular vectors, u first."""
    for _ in range(times):
        _step(matrix, v, u, eps)
        _step(matrix.T, u, v, eps)


def first_vectors(weight: Tensor, dim: int, eps: float) -> tuple[Tensor, Tensor]:
    """u and v to begin with: random unit vectors."""
    rows = weight.shape[dim]
    draw = lambda n: F.normalize(randn(n, dtype=weight.dtype, device=weight.device), dim=0, eps=eps)
    return draw(rows), draw(weight.size // max(rows, 1))


def over_sigma(weight: Tensor, matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """weight / (u^T matrix v), with copies of u and v: the next iterations write into them."""
    u, v = wrap(u._data.copy(), None), wrap(v._data.copy(), None)
    return weight / (u * matmul(matrix, v)).sum()


class SpectralNorm:
    """The hook: module.weight anew from module.weight_orig."""

    def __init__(self, name: str, n_power_iterations: int, eps: float, dim: int) -> None:
        self.name, self.n_power_iterations, self.eps, self.dim = name, n_power_iterations, eps, dim

    def compute(self, module: Any, iterate: bool) -> Tensor:
        weight, u, v = (getattr(module, self.name + end) for end in ("_orig", "_u", "_v"))
        matrix = as_matrix(weight, self.dim)
        for _ in range(self.n_power_iterations if iterate else 0):  # v first, unlike the newer form
            _step(matrix.detach().T, u, v, self.eps)
            _step(matrix.detach(), v, u, self.eps)
        return over_sigma(weight, matrix, u, v)

    def __call__(self, module: Module, args: Any) -> None:
        setattr(module, self.name, self.compute(module, module.training))


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """w / sigma(w), set before each forward, sigma the largest singular value; `weight_orig` is learned.

    sigma comes from power iterations, so many each forward in training; dim=None: the axis of the outputs.
    Miyato et al. 2018. nn.utils.parametrizations.spectral_norm does the same without a hook.
    """
    if found(module, SpectralNorm, name):
        raise ValueError(f"spectral_norm: {name} of {type(module).__name__} has it already")
    if n_power_iterations < 1:
        raise ValueError(f"spectral_norm: expected at least 1 (n_power_iterations={n_power_iterations})")
    weight = own_parameter("spectral_norm", module, name)
    dim = default_dim(module) if dim is None else dim
    if not -weight.ndim <= dim < weight.ndim:
        raise IndexError(f"spectral_norm: expected an axis of the weight, {weight.shape} (dim={dim})")
    hook = SpectralNorm(name, n_power_iterations, eps, dim % weight.ndim)
    u, v = first_vectors(weight, hook.dim, eps)
    delattr(module, name)
    module.register_parameter(name + "_orig", weight)
    setattr(module, name, weight.detach())
    module.register_buffer(name + "_u", u)
    module.register_buffer(name + "_v", v)
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make it a plain parameter again, of the value it has now."""
    handle = found(module, SpectralNorm, name)
    if handle is None:
        raise ValueError(f"remove_spectral_norm: {name} of {type(module).__name__} has none")
    with no_grad():
        weight = handle.hook.compute(module, iterate=False)
    return plain_again(module, handle, weight, "_orig", "_u", "_v")
