"""The launcher: compiles a kernel once, and checks what its arguments are before it runs.

CuPy hands arguments to a kernel as they are: a wrong dtype or a missing argument reads wild memory. So the
`__global__` line in the kernel's own text is read here, and every argument held against it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..layout import library, on_gpu
from . import source

__all__ = ["Parameter", "ceil_div", "ctype", "launch", "library", "packed", "signature"]

OPTIONS = ("-std=c++17", "--fmad=true")
CTYPES = {"float32": "float", "float64": "double", "float16": "__half", "bfloat16": "__nv_bfloat16"}
OF_LETTER = {"f": "float", "d": "double", "e": "__half", "E": "__nv_bfloat16"}
# What a pointer to each C type may point to (NumPy's letters of dtypes: a dtype's name takes microseconds),
# and what a number of that type is sent as.
LETTERS = {
    "float": "f", "double": "d", "__half": "e", "__nv_bfloat16": "E", "int": "i", "long long": "lq",
    "unsigned": "I", "unsigned long long": "LQ", "unsigned char": "B?", "bool": "?", "signed char": "b",
    "short": "h",
}  # fmt: skip
NUMBERS = {
    "int": np.int32, "long long": np.int64, "unsigned": np.uint32, "unsigned long long": np.uint64,
    "float": np.float32, "double": np.float64, "bool": np.bool_,
}  # fmt: skip
# A kernel's declaration in the text: what its template and its parameter list say.
DECLARED = (
    r"(?:template\s*<([^>]*)>\s*)?__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?{name}\s*\(([^)]*)\)"
)
WHOLE = ("int", "long long", "unsigned", "unsigned long long")


class Parameter(NamedTuple):
    """One parameter of a kernel: its C type, whether it is a pointer, its name."""

    type: str
    pointer: bool
    name: str


@functools.cache
def signature(file: str, expression: str) -> tuple[Parameter, ...]:
    """The parameters of "name<float, 4>" in `file`.cu, with its template arguments in place.

    >>> [str(p.type) + "*" * p.pointer for p in signature("activation", "forward<float, Relu, 4>")]
    ['float*', 'float*', 'long long', 'float', 'float']
    """
    name, _, given = expression.partition("<")
    found = re.search(DECLARED.format(name=name), source(file))
    if not found:
        raise ValueError(f"cuda: {file}.cu has no kernel {name!r}")
    formal = [part.split()[-1] for part in (found[1] or "").split(",") if part.strip()]
    actual = [part.strip() for part in given.rstrip("> ").split(",") if part.strip()]
    if len(formal) != len(actual):
        raise ValueError(f"cuda: {name} takes template arguments {formal}, got {actual}")
    types = dict(zip(formal, actual, strict=True))
    types |= {f"Wide<{f}>": "double" if c == "double" else "float" for f, c in types.items()}
    return tuple(_parameter(part, types) for part in found[2].split(","))


def _parameter(text: str, types: dict[str, str]) -> Parameter:
    words = [w for w in text.replace("*", " * ").split() if w not in ("const", "__restrict__")]
    kind = " ".join(types.get(w, w) for w in words[:-1] if w != "*")
    return Parameter({"unsigned int": "unsigned"}.get(kind, kind), "*" in words, words[-1])


def ctype(dtype: Any) -> str:
    """The C name of a floating dtype: "float", "double", "__half", "__nv_bfloat16"."""
    return OF_LETTER[dtype.char]


def ceil_div(a: int, b: int) -> int:
    """How many b it takes to cover a."""
    return -(-a // b)


def packed(*arrays: Any) -> bool:
    """Whether all begin at a multiple of 16 bytes, so that a thread may move 16 at a time."""
    return all(a.data.ptr % 16 == 0 for a in arrays)


class _Loaded:
    """A compiled kernel; the shared memory it may ask for so far."""

    def __init__(self, lib: Any, file: str, expression: str) -> None:
        module = lib.RawModule(code=source(file), options=OPTIONS, name_expressions=(expression,))
        self.function = module.get_function(expression)
        # What every card gives unasked: 48 KiB less the shared arrays of fixed size.
        self.shared = self.function.max_dynamic_shared_size_bytes

    def __call__(self, grid: tuple, block: tuple, args: tuple, shared: int) -> None:
        if shared > self.shared:
            self.function.max_dynamic_shared_size_bytes = self.shared = shared
        self.function(grid, block, args, shared_mem=shared)


@functools.cache
def _loaded(lib: Any, device: int, file: str, expression: str) -> _Loaded:
    """The kernel, compiled once for this process; CuPy 14 keeps its binary on disk for the next one."""
    return _Loaded(lib, file, expression)


def launch(
    file: str,
    expression: str,
    grid: int | tuple,
    block: int | tuple,
    args: tuple,
    shared: int = 0,
    on: Any = None,
) -> None:
    """Run the kernel "name<...>" of `file`.cu on the current stream: a grid of blocks of threads.

    args: arrays for pointers (C order, the declared dtype, one device; None for a null pointer), numbers, and
    NumPy records for what is passed by value. shared: bytes of dynamic shared memory. on: an array that says
    where, if no argument is one. Raises TypeError naming the argument that does not fit.
    """
    checks = _checks(file, expression)
    if len(args) != len(checks):
        raise TypeError(f"cuda: {expression} takes {len(checks)} arguments, got {len(args)}")
    checked = tuple([check(value) for check, value in zip(checks, args, strict=True)])
    there = [a.device.id for a in args if on_gpu(a)] or [on.device.id]
    if min(there) != max(there):
        raise TypeError(f"cuda: {expression}: expected arrays of one GPU, got {sorted(set(there))}")
    grid = grid if isinstance(grid, tuple) else (grid,)
    block = block if isinstance(block, tuple) else (block,)
    if 0 in grid:
        return  # nothing to do; CUDA refuses an empty grid
    lib = library(next((a for a in args if on_gpu(a)), on))
    _loaded(lib, there[0], file, expression)(grid, block, checked, shared)


# ---------------------------------------------------------------- what each parameter takes


@functools.cache
def _checks(file: str, expression: str) -> tuple[Callable[[Any], Any], ...]:
    """For each parameter a function: the argument as CuPy is to pass it on, or a TypeError."""
    return tuple([(_pointer if p.pointer else _number)(expression, p) for p in signature(file, expression)])


def _pointer(expression: str, p: Parameter) -> Callable[[Any], Any]:
    letters, null = LETTERS.get(p.type), np.intp(0)

    def check(value: Any) -> Any:
        if value is None:
            return null
        if not on_gpu(value):
            raise TypeError(
                f"cuda: {expression}: expected a GPU array ({p.name}), got {type(value).__name__}"
            )
        if letters is not None and value.dtype.char not in letters:
            raise TypeError(f"cuda: {expression}: expected {p.type} ({p.name}), got {value.dtype}")
        if not value.flags.c_contiguous:
            raise TypeError(
                f"cuda: {expression}: expected an array in C order ({p.name}), strides {value.strides}"
            )
        return value

    return check


def _number(expression: str, p: Parameter) -> Callable[[Any], Any]:
    if p.type not in NUMBERS:
        return lambda value: _record(expression, p, value)
    convert, whole = NUMBERS[p.type], p.type in WHOLE

    def check(value: Any) -> Any:
        if whole and not isinstance(value, int | np.integer):
            raise TypeError(f"cuda: {expression}: expected a whole number ({p.name}), got {value!r}")
        return convert(value)

    return check


def _record(expression: str, p: Parameter, value: Any) -> Any:
    if not isinstance(value, np.ndarray) or value.ndim or not value.dtype.names:
        raise TypeError(f"cuda: {expression}: expected a NumPy record ({p.name}), got {value!r}")
    return value
