"""Indexing and its adjoint: what is taken by an index is added back by it.

`take_index` (x[index]) and `put_add` (zeros, then += at index) undo each other at any order.
An index is plain data: ints, slices, None, Ellipsis, integer and boolean arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import backend
from ..engine.adjoint import sum_to
from ..engine.backend import Array, is_float
from ..engine.node import mode, mutated
from ..engine.op import op
from ..engine.recording import effect
from ..engine.tensor import NUMPY, Tensor
from .elementwise import where
from .shape import axes_of

__all__ = [
    "gather", "masked_fill", "nonzero", "put", "put_add", "scatter_add", "take", "take_along_axis",
]  # fmt: skip

BASIC = (int, slice, type(None), type(Ellipsis), np.integer)


def plain_index(index: Any) -> Any:
    """An index with its Tensors and lists as raw arrays; TypeError for floats."""
    if isinstance(index, tuple):
        return tuple(plain_index(i) for i in index)
    if isinstance(index, Tensor):
        index = index._data
    elif isinstance(index, list):
        index = np.asarray(index) if index else np.zeros(0, dtype=np.intp)
    if isinstance(index, BASIC) or getattr(getattr(index, "dtype", None), "kind", "") in "iub":
        return index
    got = getattr(index, "dtype", type(index).__name__)
    raise TypeError(f"index: expected ints, slices, None, ..., integer or boolean arrays, got {got}")


def _hits_once(index: Any) -> bool:
    """True if no element can be named twice, so that a plain assignment will do."""
    parts = index if isinstance(index, tuple) else (index,)
    if all(isinstance(i, BASIC) for i in parts):
        return True
    return len(parts) == 1 and getattr(parts[0], "dtype", None) == np.bool_


@op(x=lambda g, x_shape, index: put_add(g, shape=x_shape, index=index))
def take_index(xp: Any, x: Array, *, index: Any) -> Array:
    """x[index], by NumPy's rules; repeated elements add up their gradients.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> x[[0, 0, 2]].sum().backward()
    >>> x.grad
    tensor([2., 0., 1.])
    """
    if xp is not np:
        index = _on_device(xp, x.shape, index)
    return x[index]


def _there(xp: Any, index: Any) -> Any:
    """An index whose arrays (Python's lists) are where x is."""
    if isinstance(index, tuple):
        return tuple([_there(xp, part) for part in index])
    return backend.constant(xp, index) if isinstance(index, np.ndarray) else index


def _on_device(xp: Any, shape: tuple, index: Any) -> Any:
    """The index there. CuPy wraps integer arrays round silently: the GPU looks before it uses them."""
    _check_on_device(xp, shape, index)
    return _there(xp, index)


def _check_on_device(xp: Any, shape: tuple, index: Any) -> None:
    axis = 0
    for part in index if isinstance(index, tuple) else (index,):
        if getattr(getattr(part, "dtype", None), "kind", "-") in "iu" and part.ndim:
            backend.check_index(xp, "index", part, shape[axis], axis)
        axis += len(shape) - _axes_of(index) if part is Ellipsis else _axes_of(part)


def _axes_of(index: Any) -> int:
    """How many axes an index takes, or one part of it; a mask takes as many as it has."""
    if isinstance(index, tuple):
        return sum(map(_axes_of, index))
    if index is None or index is Ellipsis:
        return 0
    return index.ndim if getattr(index, "dtype", None) == np.bool_ else 1


@op(x=lambda g, index: take_index(g, index=index))
def put_add(xp: Any, x: Array, *, shape: tuple, index: Any) -> Array:
    """Zeros of `shape` with x added at index: the adjoint of take_index."""
    y = xp.zeros(shape, x.dtype)
    index = index if xp is np else _there(xp, index)
    if _hits_once(index):
        y[index] = x
    elif len(shape) > 1 and hasattr(index, "dtype") and backend.xp_of(index) is xp and index.size:
        _add_rows(xp, y, index, x)
    else:
        backend.scatter_add(xp, y, index, x)
    return y


def _add_rows(xp: Any, y: Array, index: Array, x: Array) -> None:
    """y[index] += x for whole rows: sorted, then each run summed at once.

    np.add.at is far slower, and the atomic additions of a GPU come in another order every time.
    """
    flat = xp.where(index < 0, index + y.shape[0], index).reshape(-1)
    rows = x.reshape(flat.size, *y.shape[1:])
    order = xp.argsort(flat, kind="stable")
    ordered = flat[order]
    if xp is not np:
        _write_rows(xp, y, ordered, backend.running_sums(xp, rows[order], ordered))
        return
    starts = xp.concatenate((xp.ones(1, bool), ordered[1:] != ordered[:-1])).nonzero()[0]
    y[ordered[starts]] = backend.sum_runs(xp, rows[order], starts)


def _write_rows(xp: Any, y: Array, runs: Array, sums: Array) -> None:
    """y[runs] = sums, the last of each run; how many runs there are, only the device knows.

    So every row is written: those that are not the last of their run to a row behind the end.
    """
    size = y.shape[0]
    last = xp.concatenate((runs[1:] != runs[:-1], xp.ones(1, bool)))
    longer = xp.zeros((size + 1, *y.shape[1:]), y.dtype)
    longer[xp.where(last, runs, size)] = sums
    y[...] = longer[:size]


@op(
    x=lambda g, index: put(g, 0.0, index=index),
    values=lambda g, values_shape, index: sum_to(take_index(g, index=index), values_shape),
)
def put(xp: Any, x: Array, values: Array, *, index: Any) -> Array:
    """x with x[index] = values: x keeps its gradient elsewhere, the values receive theirs."""
    if xp is not np:
        index = _on_device(xp, x.shape, index)
    y = x.copy()
    y[index] = values
    return y


def getitem(self: Tensor, index: Any) -> Tensor:
    """self[index]."""
    return take_index(self, index=plain_index(index))


def setitem(self: Tensor, index: Any, values: Any) -> None:
    """self[index] = values: in memory for constants, else as a new node of the same Tensor."""
    index = plain_index(index)
    needs = self._node is not None or (isinstance(values, Tensor) and values._node is not None)
    if not (needs and mode.recording):
        write("setitem", self._data, index, values._data if isinstance(values, Tensor) else values)
        return
    rebind("setitem", self, put(self, values, index=index))


@effect
def write(name: str, x: Array, index: Any, values: Any) -> None:
    """x[index] = values, in memory."""
    if not isinstance(x, np.ndarray):
        index = _on_device(backend.xp_of(x), x.shape, index)
    try:
        x[index] = values
    except (ValueError, IndexError) as error:
        raise type(error)(f"{name}: {error} (x: {x.shape}, values: {np.shape(values)})") from None
    mutated(x)


def assign(self: Tensor, values: Any) -> Tensor:
    """Every element replaced by `values`, broadcast."""
    setitem(self, Ellipsis, values)
    return self


def rebind(name: str, self: Tensor, new: Tensor) -> Tensor:
    """`self` becomes the result of an in-place op: the same Tensor, a new array and node.

    Nothing is overwritten, so other tensors that share the old memory, and nodes that saved it,
    keep what they had.
    """
    if self._node is not None and self._node.plan is None:
        raise ValueError(
            f"{name}: a leaf that requires grad cannot be changed in place while recording; "
            "use no_grad() or an out-of-place op"
        )
    if new.shape != self.shape:
        raise ValueError(f"{name}: an in-place op keeps its shape {self.shape}, got {new.shape}")
    if new.dtype != self.dtype:
        raise TypeError(
            f"{name}: an in-place op keeps its dtype {self.dtype}, got {new.dtype}; use x = x.astype(...)"
        )
    self._data, self._node = new._data, new._node
    return self


def result_of(name: str, x: Tensor, y: Tensor, inplace: bool) -> Tensor:
    """y, an op of x; or with `inplace` x itself, overwritten if a constant, else made y's node."""
    if not inplace:
        return y
    if y.dtype != x.dtype:
        raise TypeError(f"{name}: in place, expected a floating input, got {x.dtype}; use x = x.float()")
    return assign(x, y) if y._node is None else rebind(name, x, y)


# ---------------------------------------------------------------- by name


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Elements at `indices` along an axis (of the flattened x if axis is None)."""
    if axis is None:
        return take_index(x.reshape(-1), index=plain_index(indices))
    (axis,) = axes_of("take", axis, np.ndim(x))
    return take_index(x, index=(*(slice(None),) * axis, plain_index(indices)))


@effect
def _along(name: str, indices: Any, axis: int, shape: tuple | None = None) -> tuple:
    """`indices` on one axis as a full index: aranges on the others, as long as in `shape`."""
    indices = getattr(indices, "_data", indices)
    indices = indices if hasattr(indices, "dtype") else np.asarray(indices)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integer indices, got {indices.dtype}")
    xp = backend.xp_of(indices)
    grid = [
        xp.arange(n).reshape((1,) * i + (-1,) + (1,) * (indices.ndim - i - 1))
        for i, n in enumerate(shape or indices.shape)
    ]
    grid[axis] = indices
    return tuple(grid)


def take_along_axis(x: Any, indices: Any, axis: int) -> Any:
    """y[i, j] = x[i, indices[i, j]] for axis 1, and so on; the other axes broadcast, as in NumPy.

    Raises ValueError unless x and the indices have as many axes, IndexError out of range.
    """
    axis = _axis_along("take_along_axis", x, indices, axis)
    shape = np.shape(x)
    for i, (m, n) in enumerate(zip(shape, np.shape(indices), strict=True)):
        if i != axis and n not in (1, m):
            raise ValueError(
                f"take_along_axis: expected indices of length {m} or 1 on axis {i}, "
                f"got shape {np.shape(indices)} for x of {shape}"
            )
    return take_index(x, index=_along("take_along_axis", indices, axis, shape))


def _axis_along(name: str, x: Any, indices: Any, axis: int) -> int:
    """The axis checked, and that x and the indices have as many."""
    if np.ndim(indices) != np.ndim(x):
        raise ValueError(f"{name}: expected {np.ndim(x)} axes of indices, got shape {np.shape(indices)}")
    return axes_of(name, (axis,), np.ndim(x))[0]


def gather(x: Any, dim: int, index: Any) -> Any:
    """y[i, j] = x[i, index[i, j]] for dim 1: PyTorch's, y has the index's shape.

    >>> import minigrad as mg
    >>> mg.gather(mg.tensor([[1.0, 2.0], [3.0, 4.0]]), 1, mg.tensor([[1], [0]]))
    tensor([[2.],
            [3.]])
    """
    return take_index(x, index=_along("gather", index, _axis_along("gather", x, index, dim)))


def scatter_add(x: Any, dim: int, index: Any, src: Any) -> Any:
    """x with x[i, index[i, j]] += src[i, j] for dim 1, once per occurrence: gather's adjoint, added.

    >>> import minigrad as mg
    >>> mg.scatter_add(mg.zeros(3), 0, mg.tensor([0, 2, 2]), mg.tensor([1.0, 2.0, 3.0]))
    tensor([1., 0., 5.])
    """
    full = _along("scatter_add", index, _axis_along("scatter_add", x, index, dim))
    if not isinstance(full[0], np.ndarray):
        _check_on_device(backend.xp_of(full[0]), np.shape(x), full)
    if np.ndim(src) != np.ndim(index) or any(
        m > n for m, n in zip(np.shape(index), np.shape(src), strict=True)
    ):
        raise ValueError(
            f"scatter_add: expected src at least as long as index, got {np.shape(src)} and {np.shape(index)}"
        )
    return x + put_add(src[tuple(slice(n) for n in np.shape(index))], shape=np.shape(x), index=full)


def masked_fill(x: Any, mask: Any, value: float) -> Any:
    """x with `value` where the mask holds."""
    return where(mask, value, x)


def nonzero(x: Any) -> tuple:
    """Indices of the non-zero elements, one integer Tensor per axis."""
    raw = x._data if isinstance(x, Tensor) else x
    return tuple(Tensor(i) for i in raw.nonzero())


# ---------------------------------------------------------------- in place


def in_place(name: str, f: Any) -> Any:
    """The in-place form of a binary op: `a += b`."""

    def call(self: Tensor, other: Any) -> Tensor:
        needs = self._node is not None or (isinstance(other, Tensor) and other._node is not None)
        if needs and mode.recording:
            return rebind(name, self, f(self, other))
        new = f(self.detach(), other)
        data = new._data if isinstance(new, Tensor) else new
        if data.shape != self.shape:
            raise ValueError(f"{name}: an in-place op keeps its shape {self.shape}, got {data.shape}")
        if not (is_float(self.dtype) or np.can_cast(data.dtype, self.dtype, "same_kind")):
            raise TypeError(f"{name}: an in-place op keeps its dtype {self.dtype}, got {data.dtype}")
        write(name, self._data, ..., data)
        return self

    call.__name__ = name
    return call


NUMPY[np.where] = lambda condition, *ab: where(condition, *ab) if ab else nonzero(condition)
NUMPY[np.take] = Tensor.take = take
NUMPY[np.take_along_axis] = Tensor.take_along_axis = take_along_axis
Tensor.scatter_add = scatter_add
NUMPY[np.nonzero] = Tensor.nonzero = nonzero
Tensor.gather = gather
Tensor.masked_fill = masked_fill
Tensor.__getitem__ = getitem
Tensor.__setitem__ = setitem
Tensor.__iadd__ = Tensor.add_ = in_place("add_", lambda a, b: a + b)
Tensor.__isub__ = Tensor.sub_ = in_place("sub_", lambda a, b: a - b)
Tensor.__imul__ = Tensor.mul_ = in_place("mul_", lambda a, b: a * b)
Tensor.__itruediv__ = Tensor.div_ = in_place("div_", lambda a, b: a / b)
Tensor.__ipow__ = Tensor.pow_ = in_place("pow_", lambda a, b: a**b)
Tensor.__ifloordiv__ = in_place("floor_divide_", lambda a, b: a // b)
Tensor.__imod__ = in_place("remainder_", lambda a, b: a % b)
Tensor.__imatmul__ = in_place("matmul_", lambda a, b: a @ b)
Tensor.__iand__ = in_place("and_", lambda a, b: a & b)
Tensor.__ior__ = in_place("or_", lambda a, b: a | b)
Tensor.__ixor__ = in_place("xor_", lambda a, b: a ^ b)
Tensor.__ilshift__ = in_place("lshift_", lambda a, b: a << b)
Tensor.__irshift__ = in_place("rshift_", lambda a, b: a >> b)
Tensor.copy_ = Tensor.fill_ = assign
Tensor.zero_ = lambda self: assign(self, 0)
