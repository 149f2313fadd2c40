"""RawModule and RawKernel: kernel texts compiled for the CPU, launched with arguments as CuPy passes them."""

import numpy as np

from .arrays import address, ndarray
from .compile import compile
from .memory import MemoryPointer, live_ranges
from .settings import settings
from .streams import submit

__all__ = ["RawKernel", "RawModule"]


class RawModule:
    def __init__(self, *, code=None, path=None, options=(), backend="nvrtc", translate_cucomplex=False,
                 enable_cooperative_groups=False, name_expressions=None, jitify=False):  # fmt: skip
        if not isinstance(code, str) or not isinstance(options, tuple):
            raise TypeError("RawModule: expected code= as text and options= as a tuple")
        self.code, self.options, self.name_expressions = code, options, tuple(name_expressions or ())

    def compile(self, log_stream=None):
        for expression in self.name_expressions:
            self.get_function(expression)

    def get_function(self, name):
        if self.name_expressions and name not in self.name_expressions:
            raise KeyError(f"{name!r} is none of name_expressions={self.name_expressions}")
        return Function(name, self.code)


class Function:
    """A kernel: f(grid, block, args, shared_mem=bytes)."""

    def __init__(self, name, code):
        self.name, self.code, self.max_dynamic_shared_size_bytes = name, code, 48 * 1024
        self.started()  # compiled now, so that errors come where CuPy's do

    def started(self):
        """The compiled kernel, with or without checks as the settings say."""
        return compile(self.code, (self.name,), settings.checked)[self.name]

    def __call__(self, grid, block, args, *, shared_mem=0, stream=None, enable_cooperative_groups=False):
        if not isinstance(grid, tuple) or not isinstance(block, tuple):
            raise TypeError(f"{self.name}: grid and block are tuples, got {grid!r} and {block!r}")
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise RuntimeError(f"{self.name}: {shared_mem} bytes of shared memory; set max_dynamic_shared_size_bytes first")
        values = [passed(self.name, a) for a in args]
        pointers = [address(v) for v in values]
        blocks = [a._memory for a in args if isinstance(a, ndarray)]
        held = [m.segment for m in blocks]  # the buffers stay, whoever uses them when a graph runs
        extents = [(m.ptr, m.ptr + m.size) for m in blocks if m.size]
        places = [(m.segment.bytes[m.start + m.size : m.start + m.length]) for m in blocks]
        del blocks, args

        def run(kept=(values, held)):
            before = [strip.copy() for strip in places]  # in a replay, others may lie there
            sizes = tuple(map(int, grid)), tuple(map(int, block))
            ranges = live_ranges(extents) if settings.checked else None
            self.started()(*sizes, pointers, int(shared_mem), settings.order, ranges)
            for i, (strip, former) in enumerate(zip(places, before, strict=True)):
                if (strip != former).any():
                    strip[:] = former
                    raise RuntimeError(f"{self.name}: wrote behind the end of an array (the {i + 1}. of its arrays)")

        submit("launch", self.name, run, stream)

    def __repr__(self):
        return f"<kernel {self.name}>"


class RawKernel(Function):
    def __init__(self, code, name, options=(), backend="nvrtc", **kw):
        super().__init__(name, code)


def passed(kernel, x):
    """The bytes of one argument, as a NumPy array: Python's int and float are 8 bytes, as in CuPy."""
    if isinstance(x, ndarray):
        return np.array([address(x._a)], np.uint64)
    if isinstance(x, MemoryPointer):
        return np.array([x.ptr], np.uint64)
    if isinstance(x, np.generic):
        return np.array([x])
    if isinstance(x, np.ndarray) and x.size == 1:
        return x.copy()
    if isinstance(x, bool | int | float):
        return np.array([x], {bool: np.bool_, int: np.int64, float: np.float64}[type(x)])
    raise TypeError(f"{kernel}: unsupported kernel argument {type(x)}")
