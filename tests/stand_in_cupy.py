"""CuPy's manners over NumPy, for machines without a GPU: what a program gets wrong about two libraries fails here.

Its arrays are no NumPy arrays, NumPy cannot convert them silently, and the two kinds do not mix. Nothing is
said about speed, kernels or the order of sums. `install()` puts it in CuPy's place, for this process.
"""

import operator
import sys
import types

import numpy as np


class ndarray:
    """An array "on the GPU"."""

    __slots__ = ("a",)
    __array_ufunc__ = None
    __hash__ = object.__hash__
    device = types.SimpleNamespace(id=0)
    __cuda_array_interface__ = types.MappingProxyType({})
    base = None

    def __init__(self, a):
        self.a = a

    def get(self):
        return self.a.copy()

    def __array__(self, *args, **kw):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def __getattr__(self, name):
        if name in ("__array_interface__", "__array_struct__"):
            raise AttributeError(name)
        found = getattr(self.a, name)
        return lifted(found) if callable(found) else wrapped(found)

    def __getitem__(self, index):
        return wrapped(self.a[bare(index)])

    def __setitem__(self, index, value):
        self.a[bare(index)] = bare(value)

    def __iter__(self):
        return (wrapped(row) for row in self.a)

    def __len__(self):
        return len(self.a)

    def __bool__(self):
        return bool(self.a)

    def __int__(self):
        return int(self.a)

    def __float__(self):
        return float(self.a)


def bare(x):
    """The NumPy array inside; TypeError for a NumPy array that was never sent over."""
    if isinstance(x, ndarray):
        return x.a
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    if isinstance(x, tuple | list):
        return type(x)(bare(item) for item in x)
    return x


def wrapped(x):
    if isinstance(x, np.ndarray | np.generic):
        return ndarray(np.asarray(x))
    if isinstance(x, tuple | list) and any(isinstance(item, np.ndarray | np.generic) for item in x):
        return type(x)(wrapped(item) for item in x)
    return x


def lifted(f):
    def call(*args, **kw):
        y = f(*map(bare, args), **{name: bare(value) for name, value in kw.items()})
        return kw["out"] if kw.get("out") is not None else wrapped(y)

    return call


def _inplace(f):
    def call(self, other):
        self.a = f(self.a, bare(other))
        return self

    return call


for _name in (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
):
    _f = getattr(operator, f"__{_name}__")
    setattr(ndarray, f"__{_name}__", lambda self, other, f=_f: wrapped(f(self.a, bare(other))))
    setattr(ndarray, f"__r{_name}__", lambda self, other, f=_f: wrapped(f(bare(other), self.a)))
    setattr(ndarray, f"__i{_name}__", _inplace(getattr(operator, f"__i{_name}__")))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(
        ndarray,
        f"__{_name}__",
        lambda self, other, f=getattr(operator, _name): wrapped(f(self.a, bare(other))),
    )
for _name in ("neg", "pos", "abs", "invert"):
    setattr(ndarray, f"__{_name}__", lambda self, f=getattr(operator, _name): wrapped(f(self.a)))


def array(x, dtype=None, copy=True):
    return ndarray(np.array(x.a if isinstance(x, ndarray) else x, dtype=dtype))


def asarray(x, dtype=None):
    return x if isinstance(x, ndarray) and dtype in (None, x.dtype) else array(x, dtype)


class _Device:
    def __init__(self, index):
        self.id = index

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


cuda = types.SimpleNamespace(
    runtime=types.SimpleNamespace(getDeviceCount=lambda: 1),
    Device=_Device,
    get_current_stream=lambda: types.SimpleNamespace(synchronize=lambda: None),
)


def __getattr__(name):
    """Everything else is NumPy's, given and giving these arrays."""
    found = getattr(np, name)
    return lifted(found) if callable(found) and not isinstance(found, type) else found


def scatter_add(target, index, values):
    """The one function of cupyx that minigrad calls."""
    np.add.at(target.a, bare(index), bare(values))


def install():
    """From now on `import cupy` finds this."""
    sys.modules["cupy"] = sys.modules["cupyx"] = sys.modules[__name__]
