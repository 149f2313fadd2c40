"""Tensor: an array plus the node that made it.

Tensor has no arithmetic of its own: each op attaches its operator or method where it stands
(`Tensor.__mul__ = mul`), and enters `NUMPY` the NumPy function that means the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad_kernels.layout import on_gpu

from . import backend
from .backend import Array, Device, is_float
from .node import Hook, Node, Sink, mutated
from .recording import effect, reading

__all__ = ["Tensor"]

if TYPE_CHECKING:
    from .methods import Methods  # what the ops attach, listed for editors by .ci/methods.py
else:
    Methods = object

NUMPY: dict[Callable, Callable] = {}  # np.tanh -> minigrad's tanh: what NumPy's protocols look up


class Size(int):
    """A number of elements which, called, tells the shape or the length of one axis."""

    shape: tuple[int, ...]

    def __call__(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]


class Tensor(Methods):
    """An n-dimensional array that remembers how it was computed.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> y = (x * x).sum()
    >>> y.backward()
    >>> y.item(), x.grad
    (14.0, tensor([2., 4., 6.]))
    """

    __slots__ = ("_data", "_node", "__weakref__")
    __hash__ = object.__hash__

    def __init__(self, data: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> None:
        self._data = as_data(data, dtype, device)
        self._node: Node | None = None
        if requires_grad:
            self.requires_grad_()

    # -- what it is

    @property
    def data(self) -> Array:
        """The raw array; read-only where an op computed it, since gradients depend on it."""
        reading(".data")
        if self._node is None or self._node.plan is None or not isinstance(self._data, np.ndarray):
            return self._data
        view = self._data.view()
        view.flags.writeable = False
        return view

    @data.setter
    def data(self, value: Any) -> None:
        new = value._data if isinstance(value, Tensor) else value
        if new is self._data:  # p.data -= step: NumPy wrote in place, then assigned
            mutated(new)
            return
        new = as_data(new, self.dtype, self.device)
        if self._node is not None and (self._node.plan is not None or new.shape != self.shape):
            raise ValueError(
                f"data: expected a leaf and shape {self.shape}, got shape {new.shape}"
                f"{'' if self._node.plan is None else ' for a computed tensor; detach() it first'}"
            )
        self._data = new

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype:
        """Element type, a NumPy dtype."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    @property
    def size(self) -> Size:
        """Number of elements, as in NumPy; called, `x.size()` and `x.size(0)` are PyTorch's."""
        size = Size(self._data.size)
        size.shape = self._data.shape
        return size

    @property
    def device(self) -> Device:
        """Where the array lives."""
        return backend.device_of(self._data)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self._data.nbytes

    @property
    def node(self) -> Node | None:
        """What made this tensor; None for a constant."""
        return self._node

    @property
    def is_leaf(self) -> bool:
        """True if no recorded op made it."""
        return self._node is None or self._node.plan is None

    # -- gradients

    @property
    def requires_grad(self) -> bool:
        """True if gradients flow to this tensor."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Make this tensor a leaf that gathers gradients, or stop it from doing so."""
        if not requires_grad:
            if not self.is_leaf:
                raise ValueError("requires_grad_: only a leaf can stop; use detach() on a computed tensor")
            self._node = None
        elif self._node is None:
            if not is_float(self.dtype):
                raise TypeError(
                    f"requires_grad_: only floating tensors carry gradients, got {self.dtype}; "
                    "convert with .astype('float32')"
                )
            self._node = Node(None, (), {}, None, self._data)
            self._node.sink = Sink()
        return self

    @property
    def grad(self) -> Tensor | None:
        """The gradient gathered so far; None before backward()."""
        node = self._node
        return None if node is None or node.sink is None else node.sink.grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                value = Tensor(value, device=self.device)
            if value.shape != self.shape or value.dtype != self.dtype:
                raise ValueError(
                    f"grad: expected shape {self.shape} and dtype {self.dtype}, "
                    f"got {value.shape} and {value.dtype}"
                )
        if self._node is None:
            if value is None:
                return
            raise ValueError("grad: this tensor does not require grad; call requires_grad_() first")
        set_grad(self.retain_grad(), value)

    def retain_grad(self) -> Tensor:
        """Keep `.grad` on a computed tensor too."""
        if self._node is None:
            raise ValueError("retain_grad: this tensor does not require grad")
        if self._node.sink is None:
            self._node.sink = Sink()
        return self

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Hook:
        """Call `hook(grad)` when this tensor's gradient is complete; what it returns replaces it."""
        if self._node is None:
            raise ValueError("register_hook: this tensor does not require grad")
        return Hook(self._node, hook)

    def detach(self) -> Tensor:
        """The same memory, cut off from the graph."""
        return wrap(self._data, None)

    def detach_(self) -> Tensor:
        """Forget the history of this very tensor."""
        self._node = None
        return self

    # -- leaving for plain Python and NumPy

    def item(self) -> Any:
        """The only element as a Python number."""
        reading("item()")
        if self._data.size != 1:
            raise ValueError(f"item: expected one element, got shape {self.shape}")
        return backend.to_numpy(self._data).item()

    def tolist(self) -> Any:
        """Nested Python lists."""
        reading("tolist()")
        return backend.to_numpy(self._data).tolist()

    def numpy(self) -> np.ndarray:
        """The NumPy array itself (no copy); only for CPU tensors that do not require grad."""
        reading("numpy()")
        if self._node is not None:
            raise ValueError("numpy: this tensor requires grad; call detach().numpy()")
        if self.device.kind != "cpu":
            raise TypeError(f"numpy: this tensor is on {self.device}; call .cpu().numpy()")
        return self._data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        reading("np.asarray()")
        if self.device.kind != "cpu":
            raise TypeError(f"numpy: this tensor is on {self.device}; call .cpu() first")
        return np.array(self.data, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return self.item().__index__()

    def __complex__(self) -> complex:
        return complex(self.item())

    def __bool__(self) -> bool:
        reading("a decision (if, while, and, or)")
        if self._data.size != 1:
            raise ValueError(
                f"bool: a tensor of shape {self.shape} is neither true nor false; use any() or all()"
            )
        return bool(backend.to_numpy(self._data))

    def __len__(self) -> int:
        if self._data.ndim == 0:
            raise TypeError("len: a 0-d tensor has no length")
        return self._data.shape[0]

    def __iter__(self) -> Any:
        if self._data.ndim == 0:
            raise TypeError("iter: a 0-d tensor cannot be iterated over")
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        reading("in")
        found = (self._data == (value._data if isinstance(value, Tensor) else value)).any()
        return bool(found if isinstance(self._data, np.ndarray) else backend.to_numpy(found))

    def __repr__(self) -> str:
        reading("print or repr")
        body = np.array2string(
            backend.to_numpy(self._data), separator=", ", prefix="tensor(", floatmode="maxprec"
        )
        notes = [body]
        if self.dtype not in (np.float32, np.int64, np.bool_):
            notes.append(f"dtype={self.dtype}")
        if self.device.kind != "cpu":
            notes.append(f"device='{self.device}'")
        if self._node is not None:
            notes.append("requires_grad=True" if self.is_leaf else f"op={self._node.op.name}")
        return f"tensor({', '.join(notes)})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self._data.size == 1 else repr(self)

    def __deepcopy__(self, memo: dict) -> Tensor:
        if not self.is_leaf:
            raise ValueError("deepcopy: only leaves can be copied; detach() a computed tensor first")
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin._data, twin._node = self._data.copy(), None
        if self._node is not None:
            twin.requires_grad_()
            if self.grad is not None:
                twin.grad = wrap(self.grad._data.copy(), None)
        return twin

    def __reduce__(self) -> tuple:
        if not self.is_leaf:
            raise ValueError("pickle: only leaves can be pickled; detach() a computed tensor first")
        return _rebuild, (type(self), backend.to_numpy(self._data), self.requires_grad)

    # -- NumPy's protocols: np.tanh(t) and np.sum(t) give Tensors with gradients

    __array_priority__ = 1000

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kw: Any) -> Any:
        if method == "__call__":
            return _translate(ufunc, f"np.{ufunc.__name__}", inputs, kw)
        kw.setdefault("axis", 0)  # np.add.reduce(t) sums the first axis only, unlike np.sum(t)
        return _translate(getattr(ufunc, method), f"np.{ufunc.__name__}.{method}", inputs, kw)

    def __array_function__(self, func: Any, types: Any, args: tuple, kw: dict) -> Any:
        return _translate(func, f"np.{func.__name__}", args, kw)


@effect
def set_grad(t: Tensor, value: Tensor | None) -> None:
    """Put a gradient in its place."""
    t._node.sink.grad = value


def _translate(meaning: Any, name: str, args: tuple, kw: dict) -> Any:
    """Answer NumPy's question: which op of ours is `meaning`?"""
    ours = NUMPY.get(meaning)
    if ours is None:
        raise TypeError(f"{name}: no gradient is known for it; use a minigrad op or pass t.detach().numpy()")
    if kw.get("out") is not None:
        raise TypeError(f"{name}: out= would overwrite an array in the graph; assign the result instead")
    return ours(*args, **{key: value for key, value in kw.items() if key != "out"})


def _rebuild(kind: type, data: np.ndarray, requires_grad: bool) -> Tensor:
    t = kind.__new__(kind)
    t._data, t._node = data, None
    return t.requires_grad_(requires_grad)


_new = Tensor.__new__


def wrap(data: Array, node: Node | None) -> Tensor:
    """A Tensor around a raw array, without checks or copies."""
    t = _new(Tensor)
    t._data = data
    t._node = node
    return t


@effect
def as_data(data: Any, dtype: Any = None, device: Any = None) -> Array:
    """The raw array of anything array-like, on `device`.

    Python floats take the default dtype, an array keeps its own. Lists may hold Tensors.
    """
    if isinstance(data, Tensor):
        data = data._data
    there = on_gpu(data) and not getattr(data, "is_cpu", False)  # PyTorch's one class is for both
    is_array = there or isinstance(data, np.ndarray | np.generic)
    array = data if there else _from_python(data)
    if dtype is not None:
        array = array.astype(backend.as_dtype(dtype), copy=False)
    elif not is_array and array.dtype == np.float64:
        array = array.astype(backend.default_dtype())
    if device is None and is_array:
        return array
    target = backend.default_device() if device is None else Device(device)
    return backend.to_device(array, target)


def _from_python(data: Any) -> np.ndarray:
    """Numbers and nested lists, which may hold Tensors, as a NumPy array."""
    if isinstance(data, list | tuple):
        data = [_plain(item) for item in data]
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(
            f"tensor: expected numbers in a rectangular shape, got a ragged list ({error})"
        ) from None
    if array.dtype.kind not in "biufc" and not is_float(array.dtype):
        raise TypeError(f"tensor: expected numbers, got {type(data).__name__} of dtype {array.dtype}")
    return array


def _plain(item: Any) -> Any:
    """Tensors inside lists become plain values; the list itself carries no gradient."""
    if isinstance(item, Tensor):
        if item.requires_grad:
            raise TypeError(
                "tensor: a list of tensors that require grad loses their gradients; use minigrad.stack"
            )
        return backend.to_numpy(item._data)
    return [_plain(x) for x in item] if isinstance(item, list | tuple) else item


@effect
def tensor(data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A new Tensor holding a copy of `data` (number, nested list, array or Tensor).

    Python floats become the default dtype (float32), arrays keep theirs. A NumPy array goes to the default
    device, as a list does (`asarray` leaves it where it is); a Tensor stays on its own.

    >>> import minigrad as mg
    >>> mg.tensor([1.5, 2.5])
    tensor([1.5, 2.5])
    """
    if device is None and isinstance(data, np.ndarray | np.generic):
        device = backend.default_device()
    t = Tensor(data, dtype, False, device)
    if isinstance(data, Tensor) or t._data is data:
        t._data = t._data.copy()
    return t.requires_grad_() if requires_grad else t
