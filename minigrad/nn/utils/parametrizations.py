"""Ready parametrisations: weight norm, spectral norm, orthogonal matrices.

Reached as nn.utils.parametrizations.weight_norm and so on; see nn.utils.parametrize.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...engine.backend import xp_of
from ...engine.tensor import Tensor, wrap
from ...ops.create import eye, zeros
from ...ops.diagonal import diagonal, tril, triu
from ...ops.elementwise import sign
from ...ops.linalg import matmul, solve
from ...ops.random import randn
from ...ops.shape import concatenate, swapaxes
from .. import functional as F
from ..module import Module
from .parametrize import register_parametrization
from .spectral_norm import as_matrix, default_dim, first_vectors, over_sigma, power_iterations
from .weight_norm import norm_except, weigh


def _tensor_of(what: str, module: Module, name: str) -> Tensor:
    t = getattr(module, name, None)
    if not isinstance(t, Tensor):
        raise ValueError(f"{what}: {type(module).__name__} has no parameter or buffer {name!r}")
    return t


# ---------------------------------------------------------------- weight norm


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weigh(weight_g, weight_v, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """w = g v / |v|: length and direction of a weight learned apart; a g for each index along `dim`.

    original0 is g, original1 is v; dim=None (or -1): one g. Salimans & Kingma 2016.
    """
    _tensor_of("weight_norm", module, name)
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


# ---------------------------------------------------------------- spectral norm


class _SpectralNorm(Module):
    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        if n_power_iterations < 1:
            raise ValueError(f"spectral_norm: expected at least 1 (n_power_iterations={n_power_iterations})")
        if weight.ndim and not -weight.ndim <= dim < weight.ndim:
            raise IndexError(f"spectral_norm: expected an axis of the weight, {weight.shape} (dim={dim})")
        self.dim, self.n_power_iterations, self.eps = dim % max(weight.ndim, 1), n_power_iterations, eps
        if weight.ndim > 1:
            matrix = as_matrix(weight.detach(), self.dim)
            for end, vector in zip(("_u", "_v"), first_vectors(weight, self.dim, eps), strict=True):
                self.register_buffer(end, vector)
            power_iterations(matrix, self._u, self._v, 15, eps)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            power_iterations(matrix.detach(), self._u, self._v, self.n_power_iterations, self.eps)
        return over_sigma(weight, matrix, self._u, self._v)

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """w / sigma(w), sigma the largest singular value of w with axis `dim` against all others.

    sigma comes from power iterations, so many at each reading in training; the two vectors are buffers.
    dim=None: the axis of the outputs. A vector is divided by its length. Miyato et al. 2018.
    """
    weight = _tensor_of("spectral_norm", module, name)
    dim = default_dim(module) if dim is None else dim
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))


# ---------------------------------------------------------------- orthogonal


def _exponential(a: Tensor) -> Tensor:
    """e^a = (e^(a / 2^s))^(2^s): a scaled to norm 1/2, 15 terms of the series (1e-17), squared s times."""
    largest = float(xp_of(a._data).abs(a._data).sum(axis=-2).max()) if a.size else 0.0
    s = max(0, math.ceil(math.log2(2.0 * largest))) if largest else 0
    one = eye(a.shape[-1], dtype=a.dtype, device=a.device)
    a, y = a * 2.0**-s, one
    for k in range(15, 0, -1):  # 1 + a / 1 (1 + a / 2 (1 + ...))
        y = one + matmul(a, y) * (1.0 / k)
    for _ in range(s):
        y = matmul(y, y)
    return y


def _cayley(a: Tensor) -> Tensor:
    """(1 - a / 2)^-1 (1 + a / 2): orthogonal if a is antisymmetric."""
    one = eye(a.shape[-1], dtype=a.dtype, device=a.device)
    return solve(one - a * 0.5, one + a * 0.5)


def _householder(x: Tensor) -> Tensor:
    """The first k columns of H_1 ... H_k, H_i = 1 - t_i v_i v_i^T, v_i column i of x with 1 on the diagonal.

    The product is 1 - V T V^T with T^-1 = the upper triangle of V^T V with half its diagonal, whose entries
    are 1 / t_i (Puglisi 1992), so one solve does it. The signs on x's diagonal flip columns.
    """
    n, k = x.shape[-2:]
    one = eye(n, k, dtype=x.dtype, device=x.device)
    v = tril(x, -1) + one
    gram = matmul(swapaxes(v, -1, -2), v)
    inverse_t = triu(gram, 1) + gram * (0.5 * eye(k, dtype=x.dtype, device=x.device))
    q = one - matmul(v, solve(inverse_t, swapaxes(v[..., :k, :], -1, -2)))
    return q * sign(diagonal(x.detach(), 0, -2, -1))[..., None, :]


def _qr(q: Tensor) -> tuple[Any, Any]:
    """LAPACK's Householder vectors, with R on and above the diagonal, and their t."""
    h, t = xp_of(q._data).linalg.qr(q._data, mode="raw")
    return h.swapaxes(-1, -2), t


def _orthonormal(q: Tensor) -> Tensor:
    """Q of q = Q R with a positive diagonal of R."""
    xp = xp_of(q._data)
    basis, r = xp.linalg.qr(q._data)
    return wrap(basis * xp.sign(xp.diagonal(r, 0, -2, -1))[..., None, :], None)


def _is_orthonormal(q: Tensor) -> bool:
    xp, (n, k) = xp_of(q._data), q.shape[-2:]
    away = q._data.swapaxes(-1, -2) @ q._data - xp.eye(k, dtype=q.dtype)
    return bool((xp.abs(away) < 10.0 * n * float(np.finfo(q.dtype).eps)).all())


class _Orthogonal(Module):
    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool) -> None:
        super().__init__()
        self.orthogonal_map = orthogonal_map
        self.use_trivialization = use_trivialization
        self.shape = weight.shape
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        n, k = x.shape[-2:]
        x = swapaxes(x, -1, -2) if n < k else x
        q = _householder(x) if self.orthogonal_map == "householder" else self._of_antisymmetric(x)
        if self.use_trivialization and self.base is not None:
            q = matmul(self.base, q)
        return swapaxes(q, -1, -2) if n < k else q

    def _of_antisymmetric(self, x: Tensor) -> Tensor:
        n, k = x.shape[-2:]
        a = tril(x)
        if n != k:
            a = concatenate([a, zeros(*x.shape[:-1], n - k, dtype=x.dtype, device=x.device)], -1)
        a = a - swapaxes(a, -1, -2)
        q = _exponential(a) if self.orthogonal_map == "matrix_exp" else _cayley(a)
        return q[..., :k] if n != k else q

    def right_inverse(self, q: Tensor) -> Tensor:
        if q.shape != self.shape:
            raise ValueError(f"orthogonal: expected a tensor of shape {self.shape}, got {q.shape}")
        wide = q.shape[-2] < q.shape[-1]
        tall = swapaxes(q, -1, -2) if wide else q
        if self.use_trivialization:
            self.base = self._basis(tall)
            minus_one = zeros(q.shape, dtype=q.dtype, device=q.device)
            return minus_one - eye(*q.shape[-2:], dtype=q.dtype, device=q.device)
        if self.orthogonal_map != "householder":
            raise NotImplementedError(
                f"orthogonal: {self.orthogonal_map} has no inverse; to assign, have use_trivialization=True"
            )
        return self._reflections(tall, wide)

    def _basis(self, q: Tensor) -> Tensor:
        """q completed to a square orthogonal matrix: at first, the map gives 1."""
        n, k = q.shape[-2:]
        if n != k:
            q = concatenate([q, randn(*q.shape[:-1], n - k, dtype=q.dtype, device=q.device)], -1)
        return wrap(q._data.copy(), None) if n == k and _is_orthonormal(q) else _orthonormal(q)

    def _reflections(self, q: Tensor, wide: bool) -> Tensor:
        """x with _householder(x) = q. Where LAPACK left a reflection out (t = 0) the sign turns."""
        xp, k = xp_of(q._data), q.shape[-1]
        h, t = _qr(q)
        signs = xp.sign(xp.diagonal(h, 0, -2, -1)) * xp.where(t == 0.0, -1.0, 1.0).astype(q.dtype)
        one = xp.eye(*q.shape[-2:], dtype=q.dtype)
        h = h * (1.0 - one) + one * signs[..., None, :k]
        return wrap(h.swapaxes(-1, -2).copy() if wide else h.copy(), None)


def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> Module:
    """w^T w = 1 (or w w^T = 1 where w is wide), kept while w is learned.

    orthogonal_map: "matrix_exp" (e^a, the default for square ones), "cayley" ((1 - a/2)^-1 (1 + a/2)), a
    antisymmetric, or "householder" (a product of reflections, the default for others). use_trivialization:
    w is its first value times the map, so that it starts there and can be assigned to, at the cost of one
    product. Lezcano-Casado & Martinez-Rubio 2019, Lezcano-Casado 2019.
    """
    weight = _tensor_of("orthogonal", module, name)
    if weight.ndim < 2:
        raise ValueError(f"orthogonal: expected a matrix or a batch of them, got shape {weight.shape}")
    square = weight.shape[-2] == weight.shape[-1]
    chosen = orthogonal_map or ("matrix_exp" if square else "householder")
    if chosen not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(
            f"orthogonal: expected matrix_exp, cayley or householder (orthogonal_map={orthogonal_map!r})"
        )
    new = _Orthogonal(weight, chosen, use_trivialization)
    return register_parametrization(module, name, new, unsafe=True)
