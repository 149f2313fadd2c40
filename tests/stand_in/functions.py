"""The functions of the module: NumPy's, given and giving arrays of the device, as far as CuPy has them."""

import functools
import types

import numpy as np

from .arrays import allocate, bare, call, ndarray, waits, write
from .names import NAMES
from .settings import ledger, older
from .streams import current_stream, no_capture, submit

__all__ = ["lookup"]

# Their size is known only when the numbers are: the host waits.
WAITS = set("nonzero flatnonzero argwhere unique extract bincount histogram compress trim_zeros intersect1d setdiff1d".split())
# Made of cuBLAS calls, which CuPy refuses while a stream is capturing.
PRODUCTS = set("matmul dot vdot inner tensordot einsum outer kron".split())
KEEPS_ORDER = set("copy empty_like zeros_like ones_like full_like".split())
REDUCTIONS = set("sum prod max min amax amin mean any all argmax argmin std var cumsum cumprod nansum nanmax nanmin".split())
SINCE_14 = {"put_along_axis", "isdtype", "matrix_transpose", "permute_dims", "cumulative_sum", "cumulative_prod"}
SORTS = set("sort argsort lexsort".split())
JOINS = set("concatenate stack hstack vstack dstack".split())
CHOICES = set("where tril triu".split())
NUMBERS = (bool, int, float, complex, np.generic)


# ---- arrays from nothing or from the host


def empty(shape, dtype=float, order="C"):
    shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    return allocate(tuple(int(n) for n in shape), np.dtype(dtype), order=order)


def zeros(shape, dtype=float, order="C"):
    return write("memset", lambda a: a.fill(0), empty(shape, dtype, order))


def ones(shape, dtype=float, order="C"):
    return full(shape, 1, dtype, order)


def full(shape, fill_value, dtype=None, order="C"):
    if dtype is None:
        dtype = fill_value.dtype if isinstance(fill_value, ndarray) else np.array(fill_value).dtype
    value = bare(fill_value)
    return write("full", lambda a: np.copyto(a, value, casting="unsafe"), empty(shape, dtype, order))


def empty_like(a, dtype=None, order="K", subok=None, shape=None):
    like = np.empty_like(bare(a), dtype=dtype, order=order, shape=shape)
    return allocate(like.shape, like.dtype, strides=like.strides)


def zeros_like(a, dtype=None, order="K", subok=None, shape=None):
    return write("memset", lambda a: a.fill(0), empty_like(a, dtype, order, shape=shape))


def ones_like(a, dtype=None, order="K", subok=None, shape=None):
    return write("full", lambda a: a.fill(1), empty_like(a, dtype, order, shape=shape))


def full_like(a, fill_value, dtype=None, order="K", subok=None, shape=None):
    value = bare(fill_value)
    return write("full", lambda a: np.copyto(a, value, casting="unsafe"), empty_like(a, dtype, order, shape=shape))


def is_bfloat16(x):
    return getattr(getattr(x, "dtype", None), "name", "") == "bfloat16"


def _has_arrays(x):
    return isinstance(x, ndarray) or (isinstance(x, tuple | list) and any(_has_arrays(item) for item in x))


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0):
    if _has_arrays(obj):
        return call("array", lambda x: np.array(x, dtype=dtype, order=order, ndmin=ndmin), (obj,), keep=True)
    host = np.array(obj, dtype=dtype, ndmin=ndmin)
    if host.dtype.kind in "OSUM" or (host.dtype.char == "E" and older(14)):
        raise ValueError(f"Unsupported dtype {host.dtype}")
    if not host.ndim:  # one number goes with the launch
        return full((), host[()], host.dtype)
    no_capture("H2D transfers")
    made = allocate(host.shape, host.dtype, order="F" if host.flags.fnc else "C")
    ledger.add("h2d", "array", host.nbytes)
    made._a[...] = host
    return made


def asarray(a, dtype=None, order=None, copy=None):
    if isinstance(a, ndarray):
        same = dtype is None or a.dtype == np.dtype(dtype)
        return a if same and not copy else a.astype(dtype or a.dtype)
    return array(a, dtype)


def ascontiguousarray(a, dtype=None):
    a = asarray(a, dtype)
    if not a.ndim:
        return a.reshape(1)
    return a if a.flags.c_contiguous else a.copy()


def asnumpy(a, stream=None, order="C", out=None, blocking=True):
    return a.get(stream, order, out) if isinstance(a, ndarray) else np.asarray(a)


def get_array_module(*args):
    import sys

    return sys.modules["cupy"] if any(isinstance(a, ndarray) for a in args) else np


def from_dlpack(array):
    if not isinstance(array, ndarray):
        raise TypeError(f"from_dlpack: expected an array of the device, got {type(array)}")
    return array[...]


def copyto(dst, src, casting="same_kind", where=None):
    value, mask = bare(src), True if where is None else bare(where)
    write("copyto", lambda a: np.copyto(a, value, casting=casting, where=mask), dst)


def array_equal(a1, a2, equal_nan=False):
    return call("array_equal", lambda a, b: np.asarray(np.array_equal(a, b, equal_nan)), (a1, a2))


def allclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    return call("allclose", lambda a, b: np.asarray(np.allclose(a, b, rtol, atol, equal_nan)), (a, b))


def isscalar(x):
    return np.isscalar(x) or (isinstance(x, ndarray) and False)


# ---- ufuncs


class ufunc:
    """A NumPy ufunc over arrays of the device. Lists and NumPy arrays are no operands of it."""

    def __init__(self, name, f):
        self.name, self.f, self.__name__ = f"cupy_{name}", f, name
        self.nin, self.nout = f.nin, f.nout

    def __repr__(self):
        return f"<ufunc '{self.name}'>"

    @property
    def types(self):
        """As "ee->e"; "E" is bfloat16, which CuPy 13 does not have."""
        letters = "?bBhHiIlLqQefd" if older(14) else "?bBhHiIlLqQeEfd"
        return [f"{c * self.nin}->{c * self.nout}" for c in letters]

    def __call__(self, *args, out=None, dtype=None, where=None, casting=None):
        if self.__name__ == "matmul":
            _product("matmul", args)
        args, out = args[: self.nin], out if out is not None else (*args[self.nin :], None)[0]
        for x in args:
            if not isinstance(x, (ndarray, *NUMBERS)):
                raise TypeError(f"Unsupported type {type(x)}")
        kw = {"dtype": dtype, "casting": casting, "where": None if where is None else bare(where)}
        kw = {key: value for key, value in kw.items() if value is not None}
        outs = out if isinstance(out, tuple) else (out,)
        if outs[0] is not None:
            if not all(isinstance(o, ndarray) for o in outs):
                raise TypeError(f"return arrays must be of cupy.ndarray, got {type(outs[0])}")
            inner = bare(args)
            f = functools.partial(self._run, inner, kw)
            if len(outs) == 1:
                return write(self.__name__, lambda a: f(out=a), outs[0])
            others = [o._a for o in outs]
            submit("kernel", self.__name__, lambda: f(out=tuple(others)))
            return outs
        return call(self.__name__, lambda *inner: self._run(inner, kw), args)

    def _run(self, inner, kw, **more):
        if self.__name__ == "matmul":
            return _matmul(self.f, inner, **kw, **more)
        return self.f(*inner, **kw, **more)

    def outer(self, a, b, **kw):
        return self(a[(...,) + (None,) * b.ndim], b, **kw)

    def at(self, a, indices, b=None):
        if self.__name__ not in ("add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor"):
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        if self.__name__ in ("add", "subtract") and a.dtype.kind == "f":
            raise TypeError(f"`{self.name}.at` of floats adds in any order: not in this project")
        scatter(self.f, a, indices, b)

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        name = {"add": "sum", "multiply": "prod"}.get(self.__name__)
        if name is None:
            raise NotImplementedError(f"`{self.name}.reduce` is not supported yet")
        return getattr(array, name)(axis=axis, dtype=dtype, out=out, keepdims=keepdims)

    def accumulate(self, array, axis=0, dtype=None, out=None):
        name = {"add": "cumsum", "multiply": "cumprod"}.get(self.__name__)
        if name is None:
            raise NotImplementedError(f"`{self.name}.accumulate` is not supported yet")
        return getattr(array, name)(axis=axis, dtype=dtype, out=out)

    def reduceat(self, array, indices, axis=0, dtype=None, out=None):
        if self.__name__ != "add":
            raise NotImplementedError(f"`{self.name}.reduceat` is not supported yet")
        return call("reduceat", lambda a, i: np.add.reduceat(a, i, axis, dtype), (array, indices))


def _product(name, args):
    """What CuPy's matrix products cannot do."""
    if current_stream().capture is not None:
        raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
    batched = any(getattr(x, "ndim", 0) > 2 for x in args)
    if batched and name == "matmul" and any(getattr(getattr(x, "dtype", None), "name", "") == "bfloat16" for x in args):
        raise TypeError("matmul: no batched product of bfloat16")


def _matmul(f, inner, **kw):
    """Products of 16-bit numbers are summed in float32."""
    dtype = np.result_type(*inner)
    if dtype.itemsize != 2 or dtype.kind in "iu":
        return f(*inner, **kw)
    out = kw.pop("out", None)
    y = f(*(x.astype(np.float32) for x in inner), **kw).astype(dtype)
    if out is None:
        return y
    out[...] = y
    return out


def scatter(f, target, index, values):
    """target[index] op= values, once per occurrence; indices go round."""
    from .arrays import indices, wrapped

    inner, _ = indices(target._a, index)
    values = bare(values)
    write(f"{f.__name__}.at", lambda a: f.at(a, wrapped(a, inner), values), target)


def scatter_add(a, slices, value):
    """cupyx's: atomic additions, and no bfloat16."""
    if a.dtype.name not in ("int32", "int64", "uint32", "uint64", "float16", "float32", "float64"):
        raise TypeError(f"scatter_add of {a.dtype} is not supported")
    scatter(np.add, a, slices, value)


# ---- everything else


def lifted(name, f):
    @functools.wraps(f)
    def g(*args, out=None, **kw):
        if name in WAITS or (name == "where" and len(args) == 1):
            waits(name)
        if name in PRODUCTS:
            _product(name, args)
        if name in JOINS and len(args[0]) > 8 and len({x.dtype for x in args[0]}) == 1:  # their addresses
            no_capture("H2D transfers")
            ledger.add("h2d", name, 8 * len(args[0]))
        if name in SORTS and older(14) and any(map(_has_arrays, args)):  # thrust waits for what it launched
            waits(name)
        if name in SORTS and any(is_bfloat16(x) for x in args):
            raise NotImplementedError("Sorting arrays with dtype 'bfloat16' is not supported")
        if name in CHOICES:  # no loop for bfloat16, whose numbers are found to fit into float32
            args = [x.astype(np.float32) if is_bfloat16(x) else x for x in args]
        if name in REDUCTIONS:
            if args and not isinstance(args[0], ndarray):
                raise TypeError(f"Argument 'a' has incorrect type (expected cupy.ndarray, got {type(args[0]).__name__})")
            if kw.keys() & {"where", "initial"}:
                raise TypeError(f"{name}() got an unexpected keyword argument {next(iter(kw.keys() & {'where', 'initial'}))!r}")
        if out is not None:
            inner, named = bare(args), {key: bare(value) for key, value in kw.items()}
            return write(name, lambda a: f(*inner, out=a, **named), out)
        if name in ("putmask", "put_along_axis", "put", "place", "fill_diagonal"):
            inner, named = bare(args[1:]), {key: bare(value) for key, value in kw.items()}
            write(name, lambda a: f(a, *inner, **named), args[0])
            return None
        return call(name, f, args, kw, keep=name in KEEPS_ORDER)

    return g


class Part(types.SimpleNamespace):
    """A submodule, such as linalg: NumPy's, whose calls wait for the device as cuSOLVER's results do."""

    def __init__(self, name, source):
        super().__init__(_name=name, _source=source)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self._source, name)
        if isinstance(found, type | types.ModuleType) or not callable(found):
            return found
        f = lifted(name, found)
        if self._name != "linalg" or name == "norm":
            return f

        def solver(*args, **kw):
            if current_stream().capture is not None:
                raise NotImplementedError("calling cuSOLVER API during stream capture is currently unsupported")
            return f(*args, **kw)

        return solver


PARTS = {
    "linalg": Part("linalg", np.linalg),
    "fft": Part("fft", np.fft),
    "lib": types.SimpleNamespace(stride_tricks=Part("stride_tricks", np.lib.stride_tricks)),
}


def lookup(name):
    """What `cupy.name` is; AttributeError where CuPy has no such name."""
    if name in SINCE_14 and older(14):
        raise AttributeError(f"module 'cupy' has no attribute {name!r}")
    return _found(name)


@functools.cache
def _found(name):
    if name in PARTS:
        return PARTS[name]
    if name in globals() and callable(globals()[name]) and (name in NAMES or name in ("from_dlpack", "get_array_module")):
        return globals()[name]
    if name not in NAMES or not hasattr(np, name):
        raise AttributeError(f"module 'cupy' has no attribute {name!r}")
    found = getattr(np, name)
    if isinstance(found, np.ufunc):
        return ufunc(name, found)
    return lifted(name, found) if callable(found) and not isinstance(found, type) else found
