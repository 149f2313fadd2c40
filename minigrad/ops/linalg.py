"""Matrix products, einsum, and the inverse with its kin."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine import backend
from ..engine.adjoint import broadcast_to, sum_to
from ..engine.backend import Array
from ..engine.op import op
from ..engine.tensor import NUMPY, Tensor
from .diagonal import tril
from .shape import axes_of, expand_dims, reshape, squeeze, swapaxes, transpose

__all__ = [
    "cholesky", "det", "dot", "einsum", "inner", "inv", "kron", "logabsdet", "matmul", "outer",
    "slogdet", "solve", "tensordot", "vdot",
]  # fmt: skip


# Y = A B:  dL/dA = G B^T,  dL/dB = A^T G; a broadcast batch is summed.
def _matmul_a(g: Any, a_shape: tuple, b: Any) -> Any:
    return sum_to(_matmul(g, swapaxes(b, -1, -2)), a_shape)


def _matmul_b(g: Any, a: Any, b_shape: tuple) -> Any:
    if len(b_shape) == 2 and np.ndim(a) > 2:  # one matrix for the whole batch: one product, no sum
        k, n = b_shape
        return _matmul(transpose(reshape(a, (-1, k))), reshape(g, (-1, n)))
    return sum_to(_matmul(swapaxes(a, -1, -2), g), b_shape)


@op(a=_matmul_a, b=_matmul_b)
def _matmul(xp: Any, a: Array, b: Array) -> Array:
    """a @ b for stacks of matrices (..., m, k) and (..., k, n)."""
    return xp.matmul(a, b)


def matmul(a: Any, b: Any) -> Any:
    """a @ b: (..., m, k) and (..., k, n) give (..., m, n); a 1-d operand is a row or a column.

    Raises ValueError where the inner lengths differ.

    >>> import minigrad as mg
    >>> w = mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> (w @ mg.tensor([1.0, 10.0])).sum().backward()
    >>> w.grad
    tensor([[ 1., 10.],
            [ 1., 10.]])
    """
    m, n = np.ndim(a), np.ndim(b)
    if m == 0 or n == 0:
        raise ValueError(f"matmul: expected at least 1 axis each, got {np.shape(a)} and {np.shape(b)}; use *")
    inner = np.shape(b)[-2] if n > 1 else np.shape(b)[0]
    if np.shape(a)[-1] != inner:
        raise ValueError(
            f"matmul: expected inner lengths to agree, got {np.shape(a)} @ {np.shape(b)}: "
            f"{np.shape(a)[-1]} != {inner}"
        )
    if m > 1 and n > 1:
        return _matmul(a, b)
    y = _matmul(reshape(a, (1, -1)) if m == 1 else a, reshape(b, (-1, 1)) if n == 1 else b)
    shape = np.shape(y)
    return reshape(y, shape[: len(shape) - (m == 1) - (n == 1)] if n == 1 else (*shape[:-2], shape[-1]))


def dot(a: Any, b: Any) -> Any:
    """NumPy's dot: a scalar product for vectors, @ for matrices, * for scalars."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return a * b
    return matmul(a, b) if np.ndim(b) <= 2 else tensordot(a, b, ((-1,), (-2,)))


def inner(a: Any, b: Any) -> Any:
    """Sum of products over the last axes."""
    return a * b if np.ndim(a) == 0 or np.ndim(b) == 0 else tensordot(a, b, ((-1,), (-1,)))


def vdot(a: Any, b: Any) -> Any:
    """Scalar product of all elements."""
    return matmul(reshape(a, (-1,)), reshape(b, (-1,)))


def outer(a: Any, b: Any) -> Any:
    """y[i, j] = a[i] b[j]."""
    return reshape(a, (-1, 1)) * reshape(b, (1, -1))


def tensordot(a: Any, b: Any, axes: int | tuple = 2) -> Any:
    """Sum of products over pairs of axes; an int means the last of a with the first of b."""
    m, n = np.ndim(a), np.ndim(b)
    if isinstance(axes, int):
        first, second = tuple(range(m - axes, m)), tuple(range(axes))
    else:
        first, second = (tuple(np.atleast_1d(ax).tolist()) for ax in axes)
    first = tuple(axes_of("tensordot", ax, m)[0] for ax in first)
    second = tuple(axes_of("tensordot", ax, n)[0] for ax in second)
    lengths = [tuple(np.shape(x)[i] for i in ax) for x, ax in ((a, first), (b, second))]
    if lengths[0] != lengths[1]:
        raise ValueError(
            f"tensordot: expected equal lengths along the axes, got {lengths[0]} and {lengths[1]}"
        )
    free_a, free_b = [i for i in range(m) if i not in first], [i for i in range(n) if i not in second]
    rows, cols = [np.shape(a)[i] for i in free_a], [np.shape(b)[i] for i in free_b]
    k = math.prod(lengths[0])
    left = reshape(transpose(a, (*free_a, *first)), (math.prod(rows), k))
    right = reshape(transpose(b, (*second, *free_b)), (k, math.prod(cols)))
    return reshape(_matmul(left, right), (*rows, *cols))


# ---------------------------------------------------------------- einsum


def _einsum_back(g: Any, needs: tuple, arrays: tuple, subscripts: str) -> tuple:
    """Operand i's gradient is the einsum of g with the other operands, onto i's own indices."""
    sources, target = subscripts.split("->")
    names = sources.split(",")
    grads = []
    for i, mine in enumerate(names):
        if not needs[i]:
            grads.append(None)
            continue
        others = [n for k, n in enumerate(names) if k != i]
        known = "".join(c for c in mine if c in target or any(c in n for n in others))
        rest = [x for k, x in enumerate(arrays) if k != i]
        gi = _einsum(g, *rest, subscripts=",".join([target, *others]) + "->" + known)
        # An index that only operand i has was summed away: its gradient is the same all along. Where
        # operand i has length 1 and another has more, it was broadcast: its gradient is summed.
        lengths = iter(np.shape(gi))
        gi = reshape(gi, tuple(next(lengths) if c in known else 1 for c in mine))
        shape = np.shape(arrays[i])
        gi = sum_to(gi, tuple(1 if n == 1 else m for m, n in zip(np.shape(gi), shape, strict=True)))
        grads.append(broadcast_to(gi, shape))
    return tuple(grads)


@op(joint=_einsum_back)
def _einsum(xp: Any, *arrays: Array, subscripts: str) -> Array:
    """Explicit subscripts, one letter per axis, no letter twice in an operand."""
    return xp.einsum(subscripts, *arrays, **({"optimize": True} if len(arrays) > 1 else {}))


def einsum(subscripts: str, *operands: Any) -> Any:
    """Sums of products by index letters: "ij,jk->ik" is a matrix product.

    Ellipses and the implicit output form are NumPy's. A letter twice in one operand (a diagonal)
    raises ValueError: take `diagonal` first.

    >>> import minigrad as mg
    >>> mg.einsum("ij,j->i", mg.ones((2, 3)), mg.arange(3.0))
    tensor([3., 3.])
    """
    names, target = _parse(subscripts, operands)
    for name, x in zip(names, operands, strict=True):
        if len(set(name)) != len(name):
            raise ValueError(
                f"einsum: a repeated index in one operand is not supported ({name!r}); use diagonal"
            )
        if len(name) != np.ndim(x):
            raise ValueError(f"einsum: expected {len(name)} axes for {name!r}, got shape {np.shape(x)}")
    return _einsum(*operands, subscripts=",".join(names) + "->" + target)


def _parse(subscripts: str, operands: Sequence[Any]) -> tuple[list[str], str]:
    """Explicit letters for each operand and the output: spaces, ellipses, implicit form resolved."""
    text = subscripts.replace(" ", "")
    sources, arrow, target = text.partition("->")
    names = sources.split(",")
    if len(names) != len(operands):
        raise ValueError(f"einsum: expected {len(names)} operands for {subscripts!r}, got {len(operands)}")
    free = [c for c in string.ascii_letters if c not in text]
    widths = [np.ndim(x) - len(n.replace("...", "")) for n, x in zip(names, operands, strict=True)]
    hidden = [w for w, n in zip(widths, names, strict=True) if "..." in n]
    dots = "".join(free[: max(hidden, default=0)])
    names = [n.replace("...", dots[len(dots) - w :] if w else "") for n, w in zip(names, widths, strict=True)]
    if not arrow:
        letters = "".join(names)
        target = dots + "".join(sorted(c for c in set(letters) - set(dots) if letters.count(c) == 1))
    return names, target.replace("...", dots)


# ---------------------------------------------------------------- inverse, determinant, factor


def _square(name: str, x: Array) -> None:
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(f"{name}: expected square matrices, got shape {x.shape}")


# d(X^-1) = -X^-1 dX X^-1
@op(x=lambda g, y: -_matmul(_matmul(swapaxes(y, -1, -2), g), swapaxes(y, -1, -2)))
def inv(xp: Any, x: Array) -> Array:
    """The inverse of square matrices; ValueError if one is singular."""
    _square("inv", x)
    try:
        return xp.linalg.inv(x)
    except np.linalg.LinAlgError:
        raise ValueError("inv: a matrix is singular; use solve with a regularised matrix") from None


# d det X = det X tr(X^-1 dX)
@op(x=lambda g, y, x: reshape(g * y, (*np.shape(y), 1, 1)) * swapaxes(inv(x), -1, -2))
def det(xp: Any, x: Array) -> Array:
    """The determinant of square matrices."""
    _square("det", x)
    return xp.linalg.det(x)


@op(x=lambda g, x: expand_dims(g, (-1, -2)) * swapaxes(inv(x), -1, -2))
def logabsdet(xp: Any, x: Array) -> Array:
    """log |det x|, without overflow."""
    _square("logabsdet", x)
    return xp.linalg.slogdet(x)[1]


# X = A^-1 B:  dL/dB = A^-T G,  dL/dA = -(A^-T G) X^T
@op(
    a=lambda g, y, a: -_matmul(_solve(swapaxes(a, -1, -2), g), swapaxes(y, -1, -2)),
    b=lambda g, a: _solve(swapaxes(a, -1, -2), g),
)
def _solve(xp: Any, a: Array, b: Array) -> Array:
    """X with a X = b, for matrices b."""
    _square("solve", a)
    try:
        return xp.linalg.solve(a, b)
    except np.linalg.LinAlgError:
        raise ValueError("solve: a matrix is singular") from None


def solve(a: Any, b: Any) -> Any:
    """x with a x = b, a of shape (..., n, n): b is one vector (n,) or matrices (..., n, k)."""
    if np.shape(a)[-1] != np.shape(b)[0 if np.ndim(b) == 1 else -2]:
        raise ValueError(f"solve: expected b to have {np.shape(a)[-1]} rows, got shape {np.shape(b)}")
    if np.ndim(b) > 1:
        return _broadcast_solve(a, b)
    return squeeze(_broadcast_solve(a, reshape(b, (-1, 1))), -1)


def _broadcast_solve(a: Any, b: Any) -> Any:
    """_solve's VJPs are those of equal stacks: broadcast first, and the engine sums back."""
    lead = np.broadcast_shapes(np.shape(a)[:-2], np.shape(b)[:-2])
    a, b = (x if np.shape(x)[:-2] == lead else broadcast_to(x, (*lead, *np.shape(x)[-2:])) for x in (a, b))
    return _solve(a, b)


# A = L L^T:  dL/dA = sym(L^-T P(L^T G) L^-1), P: lower triangle with half the diagonal
# (Murray 2016, "Differentiation of the Cholesky decomposition", eq. 10).
def _cholesky_gradient(g: Any, y: Any) -> Any:
    inner_part = tril(_matmul(swapaxes(y, -1, -2), g))
    p = inner_part - _half_diagonal(inner_part)
    back = _matmul(_matmul(swapaxes(inv(y), -1, -2), p), inv(y))
    return 0.5 * (back + swapaxes(back, -1, -2))


@op(x=lambda g: _half_diagonal(g))
def _half_diagonal(xp: Any, x: Array) -> Array:
    """Half of the diagonal, zeros elsewhere."""
    return xp.where(xp.eye(x.shape[-1], dtype=bool), 0.5 * x, xp.zeros((), x.dtype))


@op(x=_cholesky_gradient)
def cholesky(xp: Any, x: Array) -> Array:
    """Lower triangular L with L L^T = (x + x^T) / 2, for positive definite x."""
    _square("cholesky", x)
    try:
        return xp.linalg.cholesky(0.5 * (x + xp.swapaxes(x, -1, -2)))
    except np.linalg.LinAlgError:
        raise ValueError("cholesky: expected a positive definite matrix") from None


def kron(a: Any, b: Any) -> Any:
    """The Kronecker product: every element of a times the whole of b, block by block."""
    n = max(np.ndim(a), np.ndim(b))
    s, t = ((1,) * (n - np.ndim(x)) + np.shape(x) for x in (a, b))
    left = reshape(a, tuple(k for m in s for k in (m, 1)))
    right = reshape(b, tuple(k for m in t for k in (1, m)))
    return reshape(left * right, tuple(p * q for p, q in zip(s, t, strict=True)))


def slogdet(x: Any) -> tuple[Any, Any]:
    """(sign of det x, log |det x|): the sign carries no gradient."""
    raw = x._data if isinstance(x, Tensor) else x
    _square("slogdet", raw)
    sign = backend.xp_of(raw).linalg.slogdet(raw)[0]
    return (Tensor(sign) if isinstance(x, Tensor) else sign), logabsdet(x)


NUMPY[np.matmul] = Tensor.__matmul__ = Tensor.matmul = matmul
Tensor.__rmatmul__ = lambda b, a: matmul(a, b)
NUMPY[np.dot] = Tensor.dot = dot
NUMPY[np.inner] = inner
NUMPY[np.vdot] = vdot
NUMPY[np.outer] = Tensor.outer = outer
NUMPY[np.tensordot] = tensordot
NUMPY[np.einsum] = lambda subscripts, *operands, **_: einsum(subscripts, *operands)
NUMPY[np.linalg.inv] = Tensor.inverse = inv
NUMPY[np.linalg.det] = Tensor.det = det
NUMPY[np.linalg.slogdet] = slogdet
NUMPY[np.linalg.solve] = solve
NUMPY[np.linalg.cholesky] = cholesky
NUMPY[np.kron] = kron
