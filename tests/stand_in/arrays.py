"""The array "on the GPU": memory of a pool, and no way to a NumPy array but .get().

Every operation goes through `call` (a new result) or `write` (into an array that is there). Inside each
array is a NumPy view of the pool's buffer, on which the work is done - at once, or by a graph later.
"""

import numpy as np

from . import memory
from .settings import ledger
from .streams import Device, current_stream, no_capture, submit

__all__ = ["allocate", "bare", "call", "ndarray", "write"]


class Flags:
    def __init__(self, a, owns):
        self.c_contiguous, self.f_contiguous, self.owndata = a.flags.c_contiguous, a.flags.f_contiguous, owns
        self.fnc, self.forc = a.flags.fnc, a.flags.forc

    def __getitem__(self, name):
        return getattr(self, {"C": "c_contiguous", "F": "f_contiguous", "O": "owndata"}.get(name, name.lower()))


class ndarray:
    """What is not defined here is in methods.py."""

    __slots__ = ("__weakref__", "_a", "_memory", "base")
    __hash__ = None
    __array_priority__ = 100

    def __init__(self, shape, dtype=float, memptr=None, strides=None, order="C"):
        shape = shape if isinstance(shape, tuple | list) else (shape,)
        made = allocate(tuple(shape), np.dtype(dtype), order=order, pointer=memptr)
        self._a, self._memory, self.base = made._a, made._memory, None
        if strides is not None:
            self._a = np.lib.stride_tricks.as_strided(self._a, shape, strides)

    def __reduce__(self):
        from .functions import array

        return array, (self.get(),)

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        return self.copy()

    # ---- where it lies

    @property
    def data(self):
        return memory.MemoryPointer(self._memory, address(self._a) - self._memory.ptr)

    @property
    def device(self):
        return Device(self._memory.device_id)

    @property
    def flags(self):
        return Flags(self._a, self.base is None)

    @property
    def __cuda_array_interface__(self):
        a, there = self._a, self._a.__array_interface__
        return {
            "shape": a.shape, "typestr": there["typestr"], "descr": there["descr"], "version": 3,
            "strides": None if a.flags.c_contiguous else a.strides, "stream": 1,
            "data": (address(a), False),
        }  # fmt: skip

    @property
    def __array_interface__(self):
        raise AttributeError("__array_interface__")

    @property
    def __array_struct__(self):
        raise AttributeError("__array_struct__")

    # ---- to the host, which waits

    def get(self, stream=None, order="C", out=None, blocking=True):
        no_capture("D2H transfers", stream)
        ledger.add("d2h", "get", self._a.nbytes)
        if out is not None:
            out[...] = self._a
            return out
        return self._a.copy(order)

    def set(self, arr, stream=None):
        no_capture("H2D transfers", stream)
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if arr.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not self._a.flags.forc:
            raise RuntimeError("Cannot set to non-contiguous array")
        ledger.add("h2d", "set", arr.nbytes)
        self._a[...] = arr

    def __array__(self, *args, **kw):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc, method, *inputs, **kw):
        from .functions import lookup

        return getattr(lookup(ufunc.__name__), method)(*inputs, **kw)

    def __array_function__(self, func, types, args, kw):
        from .functions import lookup

        return lookup(func.__name__)(*args, **kw)

    def item(self):
        return self.get().item()

    def tolist(self):
        return self.get().tolist()

    def tobytes(self, order="C"):
        return self.get().tobytes(order)

    def __repr__(self):
        return repr(self.get())

    def __str__(self):
        return str(self.get())

    def __format__(self, spec):
        return format(self.get() if self.ndim else self.get()[()], spec)

    # ---- parts

    def __len__(self):
        return len(self._a)

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key):
        inner, counted = indices(self._a, key)
        if counted:
            waits("boolean index")
        return call("getitem", lambda a, k: a[wrapped(a, k)], (self, Ready(inner)))

    def __setitem__(self, key, value):
        inner, _ = indices(self._a, key)
        value = value[()] if isinstance(value, np.ndarray) and not value.ndim else bare(value)

        def store(a):
            a[wrapped(a, inner)] = value

        write("setitem", store, self)

    def fill(self, value):
        write("fill", lambda a: a.fill(value), self)

    def sort(self, axis=-1):
        write("sort", lambda a: a.sort(axis), self)

    def partition(self, kth, axis=-1):
        write("partition", lambda a: a.partition(kth, axis), self)

    @property
    def T(self):
        return self.transpose()

    @property
    def real(self):
        return call("real", lambda a: a.real, (self,))

    @property
    def imag(self):
        return call("imag", lambda a: a.imag, (self,))


class Ready:
    """An argument that is not to be looked into."""

    def __init__(self, value):
        self.value = value


def address(a):
    return a.__array_interface__["data"][0]


def wrap(a, memory, base=None):
    """The array over a NumPy view `a` of `memory`."""
    made = ndarray.__new__(ndarray)
    made._a, made._memory, made.base = a, memory, base
    return made


def allocate(shape, dtype, order="C", pointer=None, strides=None):
    """New memory of the current allocator. strides: of an array whose order of axes is kept."""
    count = int(np.prod(shape, dtype=np.int64))
    size = count * dtype.itemsize
    pointer = pointer or memory.current()(size)
    start = pointer.ptr - pointer.mem.ptr
    flat = pointer.mem.buffer[start : start + size].view(dtype)
    axes = list(range(len(shape)))
    if order == "F":
        axes.reverse()
    elif strides is not None:
        axes.sort(key=lambda i: -abs(strides[i]))
    a = flat.reshape([shape[i] for i in axes]).transpose([axes.index(i) for i in range(len(axes))])
    return wrap(a, pointer.mem)


def bare(x):
    """The NumPy array inside; TypeError for a NumPy array that was never sent over."""
    if isinstance(x, ndarray):
        return x._a
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    if isinstance(x, Ready):
        return x.value
    if isinstance(x, tuple | list):
        return type(x)([bare(item) for item in x])
    return x


def arrays_in(x):
    if isinstance(x, ndarray):
        yield x
    elif isinstance(x, tuple | list):
        for item in x:
            yield from arrays_in(item)


def waits(what):
    """The size of the result depends on numbers on the device: the host waits for them."""
    no_capture("synchronous API calls")
    ledger.add("d2h", what, 8)


def call(name, f, args, kw=None, keep=False):
    """f(*args) over device arrays. A view stays a view; all else is new memory, in C order unless `keep`."""
    kw = kw or {}
    given = [*arrays_in(args), *arrays_in(tuple(kw.values()))]
    inner, named = bare(args), {key: bare(value) for key, value in kw.items()}
    with np.errstate(all="ignore"):
        y = f(*inner, **named)
    fresh = []  # (place among the results, destination)
    result = _placed(y, (), given, fresh, keep)
    if fresh:
        recording = current_stream().capture is not None
        submit("kernel", name, lambda: _fill(fresh, f(*inner, **named) if recording else y))
    return result


def _placed(y, place, given, fresh, keep):
    """What y is on the device: a view of a given array, or new memory, which is then noted in `fresh`."""
    if isinstance(y, tuple | list):
        items = [_placed(part, (*place, i), given, fresh, keep) for i, part in enumerate(y)]
        return type(y)(*items) if hasattr(y, "_fields") else type(y)(items)
    if not isinstance(y, np.ndarray | np.generic):
        return y
    a = np.asarray(y)
    for x in given:
        if a is x._a:
            return x
        m = x._memory
        if a.size and m.ptr <= address(a) < m.ptr + m.size:
            return wrap(a, m, x if x.base is None else x.base)
    made = allocate(a.shape, a.dtype, strides=a.strides if keep else None)
    fresh.append((place, made._a))
    return made


def _fill(fresh, y):
    for place, destination in fresh:
        item = y
        for i in place:
            item = item[i]
        destination[...] = item


def write(name, f, target):
    """f(a) writes into the array that is there."""
    if current_stream().capture is not None:
        with np.errstate(all="ignore"):
            f(target._a.copy())  # what is refused is refused now
    a = target._a
    submit("kernel", name, lambda: f(a))
    return target


# ---- indices


def indices(a, key):
    """The index with NumPy arrays inside; and whether it has a boolean mask, whose count the host must know.

    Lists and arrays of the host are welcome as indices, as in CuPy - which sends each over, a transfer.
    """
    inner = [_index(part) for part in (key if isinstance(key, tuple) else (key,))]
    return tuple(inner), any(_is_mask(part) and part.ndim > 0 for part in inner)


def _index(part):
    if not isinstance(part, list | np.ndarray):
        return bare(part)
    no_capture("H2D transfers")
    host = np.asarray(part)
    ledger.add("h2d", "index", host.nbytes)
    return host if host.size else host.astype(np.int32)


def wrapped(a, inner):
    """Arrays of indices out of range go round silently, as CuPy's do."""
    used = sum(p.ndim if _is_mask(p) else 1 for p in inner if p is not None and p is not Ellipsis)
    axis, parts = 0, []
    for p in inner:
        if p is Ellipsis:
            axis += a.ndim - used
        elif p is not None:
            if isinstance(p, np.ndarray) and not _is_mask(p) and a.shape[axis]:
                p = p % a.shape[axis]
            axis += p.ndim if _is_mask(p) else 1
        parts.append(p)
    return tuple(parts)


def _is_mask(p):
    return isinstance(p, np.ndarray) and p.dtype == bool


ndarray.__module__ = "cupy"
