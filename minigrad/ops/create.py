"""New tensors. Shapes as one tuple or as numbers, dtype=, device= and requires_grad= everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import backend, gpu
from ..engine.backend import Device, as_dtype
from ..engine.recording import effect
from ..engine.tensor import NUMPY, Tensor, tensor, wrap

__all__ = [
    "arange", "asarray", "empty", "empty_like", "eye", "from_numpy", "full", "full_like", "linspace",
    "logspace", "meshgrid", "ones", "ones_like", "tensor", "tri", "zeros", "zeros_like",
]  # fmt: skip


def _born(array: Any, requires_grad: bool) -> Tensor:
    if not isinstance(array, np.ndarray):
        gpu.refuse_bfloat16(array.dtype)
    t = wrap(array, None)
    return t.requires_grad_() if requires_grad else t


def _place(device: Any) -> Any:
    return (backend.default_device() if device is None else Device(device)).xp


def _shape(name: str, shape: tuple) -> tuple[int, ...]:
    """(2, 3) from f(2, 3) and from f((2, 3))."""
    if len(shape) == 1 and isinstance(shape[0], tuple | list):
        shape = tuple(shape[0])
    for n in shape:
        if not isinstance(n, int | np.integer) or n < 0:
            raise ValueError(f"{name}: expected lengths >= 0 (shape={shape})")
    return tuple(int(n) for n in shape)


def _float(dtype: Any) -> np.dtype:
    return backend.default_dtype() if dtype is None else as_dtype(dtype)


@effect
def zeros(*shape: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """All 0, of the default float dtype.

    >>> import minigrad as mg
    >>> mg.zeros(2, 2)
    tensor([[0., 0.],
            [0., 0.]])
    """
    return _born(_place(device).zeros(_shape("zeros", shape), _float(dtype)), requires_grad)


@effect
def ones(*shape: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """All 1."""
    return _born(_place(device).ones(_shape("ones", shape), _float(dtype)), requires_grad)


@effect
def empty(*shape: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Memory as it is found: write before you read."""
    return _born(_place(device).empty(_shape("empty", shape), _float(dtype)), requires_grad)


@effect
def full(
    shape: Any, fill_value: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """All `fill_value`; a Python float gives the default dtype."""
    value = fill_value.item() if isinstance(fill_value, Tensor | np.generic) else fill_value
    dtype = _float(dtype) if dtype is not None or isinstance(value, float) else None
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    return _born(_place(device).full(_shape("full", shape), value, dtype), requires_grad)


@effect
def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... below stop; ints give int64, floats the default dtype."""
    start, stop = (0, start) if stop is None else (start, stop)
    if step == 0:
        raise ValueError("arange: expected a step other than 0 (step=0)")
    if dtype is None and any(isinstance(v, float) for v in (start, stop, step)):
        dtype = backend.default_dtype()
    return _born(
        _place(device).arange(start, stop, step, dtype=None if dtype is None else as_dtype(dtype)),
        requires_grad,
    )


@effect
def linspace(
    start: float,
    stop: float,
    num: int = 50,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """num values from start to stop, both included, equally spaced."""
    if num < 0:
        raise ValueError(f"linspace: expected num >= 0 (num={num})")
    return _born(_place(device).linspace(start, stop, num).astype(_float(dtype)), requires_grad)


@effect
def logspace(
    start: float,
    stop: float,
    num: int = 50,
    base: float = 10.0,
    dtype: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """base^start to base^stop, equally spaced in the exponent."""
    return _born(np.logspace(start, stop, num, base=base).astype(_float(dtype)), requires_grad)


@effect
def eye(
    n: int, m: int | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Ones on the diagonal of an (n, m) matrix."""
    return _born(_place(device).eye(n, m, dtype=_float(dtype)), requires_grad)


@effect
def tri(n: int, m: int | None = None, k: int = 0, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones on and below diagonal k."""
    return _born(_place(device).tri(n, m, k, dtype=_float(dtype)), False)


def _like(name: str) -> Any:
    @effect
    def make(x: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
        raw = x._data if isinstance(x, Tensor) else np.asarray(x)
        xp = backend.xp_of(raw)
        return _born(getattr(xp, name)(raw, dtype=None if dtype is None else as_dtype(dtype)), requires_grad)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"{name.partition('_')[0]}(), with the shape, dtype and device of x."
    return make


zeros_like, ones_like, empty_like = _like("zeros_like"), _like("ones_like"), _like("empty_like")


def full_like(x: Tensor, fill_value: float, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """full(), with the shape, dtype and device of x."""
    return full(x.shape, fill_value, x.dtype if dtype is None else dtype, x.device, requires_grad)


def asarray(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """A Tensor over `data` itself where it is an array already (no copy), else a new one."""
    return (
        data
        if isinstance(data, Tensor) and dtype is None and device is None
        else Tensor(data, dtype, False, device)
    )


def from_numpy(array: np.ndarray) -> Tensor:
    """A Tensor over the very memory of a NumPy array."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, got {type(array).__name__}")
    return Tensor(array)


@effect
def meshgrid(*xs: Any, indexing: str = "xy") -> list[Tensor]:
    """Coordinate arrays of a grid, as NumPy's: "xy" or "ij"."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: expected 'xy' or 'ij' (indexing={indexing!r})")
    raw = [x._data if isinstance(x, Tensor) else np.asarray(x) for x in xs]
    return [wrap(a.copy(), None) for a in np.meshgrid(*raw, indexing=indexing)]


NUMPY[np.empty_like] = lambda x, dtype=None, **_: empty_like(x, dtype)
NUMPY[np.zeros_like] = lambda x, dtype=None, **_: zeros_like(x, dtype)
NUMPY[np.ones_like] = lambda x, dtype=None, **_: ones_like(x, dtype)
NUMPY[np.full_like] = lambda x, fill_value, dtype=None, **_: full_like(x, fill_value, dtype)
NUMPY[np.meshgrid] = lambda *xs, indexing="xy", **_: meshgrid(*xs, indexing=indexing)
