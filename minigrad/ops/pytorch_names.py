"""PyTorch's names for what NumPy calls otherwise or has not: a listing that uses them runs.

Left out where the two give one name different meanings (repeat, split, max along an axis): there
NumPy's holds, and `tile`, `chunk`, `topk` say the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import random as stream
from ..engine.tensor import Tensor, wrap
from .convert import to
from .create import asarray, full, tensor
from .elementwise import clip, div
from .index import assign, take
from .linalg import matmul
from .logic import equal, greater, greater_equal, less, less_equal, not_equal
from .shape import axes_of, concatenate, expand, expand_dims, reshape, swapaxes

__all__ = [
    "as_tensor", "bmm", "cat", "clamp", "eq", "ge", "gt", "index_select", "is_tensor", "le", "lt", "mm",
    "multinomial", "mv", "ne", "numel", "t", "true_divide", "unbind", "unsqueeze",
]  # fmt: skip

as_tensor, cat, clamp, true_divide, unsqueeze = asarray, concatenate, clip, div, expand_dims
eq, ne, ge, gt, le, lt = equal, not_equal, greater_equal, greater, less_equal, less


def is_tensor(obj: Any) -> bool:
    """True for a Tensor."""
    return isinstance(obj, Tensor)


def numel(input: Tensor) -> int:
    """How many elements."""
    return input.numel()


# ---------------------------------------------------------------- products of given shapes


def _product(name: str, axes: tuple[int, int]) -> Any:
    def product(input: Any, mat2: Any) -> Any:
        if (np.ndim(input), np.ndim(mat2)) != axes:
            raise ValueError(
                f"{name}: expected {axes[0]} and {axes[1]} axes, got shapes {np.shape(input)} and "
                f"{np.shape(mat2)}; matmul takes any"
            )
        return matmul(input, mat2)

    product.__name__ = product.__qualname__ = name
    product.__doc__ = f"matmul, for {axes[0]} and {axes[1]} axes only."
    return product


mm, bmm, mv = _product("mm", (2, 2)), _product("bmm", (3, 3)), _product("mv", (2, 1))


# ---------------------------------------------------------------- parts


def t(input: Any) -> Any:
    """A matrix transposed; fewer axes as they are."""
    if np.ndim(input) > 2:
        raise ValueError(f"t: expected at most 2 axes, got shape {np.shape(input)}; use transpose")
    return input if np.ndim(input) < 2 else swapaxes(input, 0, 1)


def unbind(input: Any, dim: int = 0) -> tuple:
    """The slices along an axis.

    >>> import minigrad as mg
    >>> mg.unbind(mg.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    (tensor([1., 3.]), tensor([2., 4.]))
    """
    (axis,) = axes_of("unbind", (dim,), np.ndim(input))
    return tuple(input[(*(slice(None),) * axis, i)] for i in range(np.shape(input)[axis]))


def index_select(input: Any, dim: int, index: Any) -> Any:
    """The elements at `index`, a vector of integers, along an axis."""
    if np.ndim(index) > 1:
        raise ValueError(f"index_select: expected a vector (index), got shape {np.shape(index)}")
    return take(input, index, dim)


# ---------------------------------------------------------------- chance


def multinomial(input: Any, num_samples: int, replacement: bool = False, *, generator: Any = None) -> Tensor:
    """Indices drawn with weights `input` (K,) or (N, K): (num_samples,) or (N, num_samples).

    Without replacement by the Gumbel trick: the largest of log p + noise are a draw in order. Raises
    ValueError for negative or all-zero weights, and for more samples than can be drawn.

    >>> import minigrad as mg
    >>> mg.multinomial(mg.tensor([0.0, 3.0, 0.0]), 2, replacement=True)
    tensor([1, 1])
    """
    weights, xp = asarray(input)._data.astype(np.float64), asarray(input).device.xp
    total = weights.sum(axis=-1, keepdims=True)
    if weights.ndim not in (1, 2) or not bool(
        ((weights >= 0).all(axis=-1, keepdims=True) & (total > 0)).all()
    ):
        raise ValueError("multinomial: expected 1 or 2 axes of weights >= 0, not all 0 (input)")
    possible = int((weights > 0).sum(axis=-1).min())
    if num_samples < 1 or (not replacement and num_samples > possible):
        raise ValueError(
            f"multinomial: expected 1 to {possible} samples without replacement (num_samples={num_samples})"
        )
    source = generator or stream.default_generator
    if replacement:
        ends = xp.cumsum(weights, axis=-1)[..., None, :]
        u = source.random((*weights.shape[:-1], num_samples), np.float64, xp)[..., None] * ends[..., -1:]
        return wrap((u >= ends).sum(axis=-1), None)
    u = source.random(weights.shape, np.float64, xp)
    with np.errstate(divide="ignore"):
        noisy = xp.log(weights) - xp.log(-xp.log1p(-u))
    return wrap(xp.argsort(-noisy, axis=-1)[..., :num_samples], None)


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
    """Filled in place with normal numbers."""
    source = generator or stream.default_generator
    return assign(self, source.standard_normal(self.shape, self.dtype, self.device.xp) * float(std) + mean)


def uniform_(self: Tensor, low: float = 0.0, high: float = 1.0, *, generator: Any = None) -> Tensor:
    """Filled in place with numbers in [low, high)."""
    source = generator or stream.default_generator
    return assign(self, source.uniform(low, high, self.shape, self.dtype, self.device.xp))


Tensor.mm, Tensor.bmm, Tensor.mv = mm, bmm, mv
Tensor.t = t
Tensor.unbind = unbind
Tensor.index_select = index_select
Tensor.multinomial = multinomial
Tensor.view_as = Tensor.reshape_as = lambda self, other: reshape(self, other.shape)
Tensor.expand_as = lambda self, other: expand(self, other.shape)
Tensor.type = lambda self, dtype: to(self, dtype)
Tensor.nelement = Tensor.numel
Tensor.is_cuda = property(lambda self: self.device.kind == "cuda")
Tensor.new_tensor = lambda self, data, dtype=None: tensor(data, dtype or self.dtype, device=self.device)
Tensor.new_full = lambda self, size, value, dtype=None: full(size, value, dtype or self.dtype, self.device)
Tensor.new_zeros = lambda self, *size, dtype=None: full(_size(size), 0, dtype or self.dtype, self.device)
Tensor.new_ones = lambda self, *size, dtype=None: full(_size(size), 1, dtype or self.dtype, self.device)
Tensor.normal_, Tensor.uniform_ = normal_, uniform_


def _size(size: tuple) -> Any:
    """new_zeros(2, 3) or new_zeros((2, 3))."""
    return size[0] if len(size) == 1 else size
