"""The launcher: compiles a kernel once, and checks what its arguments are before it runs.

CuPy hands arguments to a kernel as they are: a wrong dtype or a missing argument reads wild memory. So the
`__global__` line in the kernel's own text is read here, and every argument held against it.
"""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple

import numpy as np

from ..layout import library
from . import source

__all__ = ["Parameter", "ceil_div", "ctype", "launch", "library", "packed", "signature"]

OPTIONS = ("-std=c++17", "--fmad=true")
CTYPES = {"float32": "float", "float64": "double", "float16": "__half", "bfloat16": "__nv_bfloat16"}
# What a pointer to each C type may point to, and what a number of that type is sent as.
ARRAYS = {
    **{c: (dtype,) for dtype, c in CTYPES.items()},
    "int": ("int32",), "long long": ("int64",), "unsigned": ("uint32",), "unsigned long long": ("uint64",),
    "unsigned char": ("uint8", "bool"), "bool": ("bool",), "signed char": ("int8",), "short": ("int16",),
    "void": None,
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
    return CTYPES[dtype.name]


def ceil_div(a: int, b: int) -> int:
    """How many b it takes to cover a."""
    return -(-a // b)


def packed(*arrays: Any) -> bool:
    """Whether all begin at a multiple of 16 bytes, so that a thread may move 16 at a time."""
    return all(a.data.ptr % 16 == 0 for a in arrays)


@functools.cache
def _function(lib: Any, device: int, file: str, expression: str) -> Any:
    """The compiled kernel, for this process; CuPy keeps its binary on disk for the next one."""
    module = lib.RawModule(code=source(file), options=OPTIONS, name_expressions=(expression,))
    return module.get_function(expression)


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
    parameters = signature(file, expression)
    if len(args) != len(parameters):
        raise TypeError(f"cuda: {expression} takes {len(parameters)} arguments, got {len(args)}")
    first = next((a for a in args if hasattr(a, "__cuda_array_interface__")), on)
    device = first.device.id
    checked = tuple([_argument(expression, p, a, device) for p, a in zip(parameters, args, strict=True)])
    grid = grid if isinstance(grid, tuple) else (grid,)
    block = block if isinstance(block, tuple) else (block,)
    if 0 in grid:
        return  # nothing to do; CUDA refuses an empty grid
    function = _function(library(first), device, file, expression)
    if shared > 48 * 1024:  # more than every card gives unasked
        function.max_dynamic_shared_size_bytes = shared
    function(grid, block, checked, shared_mem=shared)


def _argument(expression: str, p: Parameter, value: Any, device: int) -> Any:
    """The argument as CuPy is to pass it on; TypeError if it is not what the kernel reads."""
    if not p.pointer:
        if p.type not in NUMBERS:
            if not isinstance(value, np.ndarray) or value.ndim or not value.dtype.names:
                raise TypeError(f"cuda: {expression}: expected a NumPy record ({p.name}), got {value!r}")
            return value
        if p.type in WHOLE and not isinstance(value, int | np.integer):
            raise TypeError(f"cuda: {expression}: expected a whole number ({p.name}), got {value!r}")
        return NUMBERS[p.type](value)
    if value is None:
        return np.intp(0)
    wanted = ARRAYS[p.type]
    if not hasattr(value, "__cuda_array_interface__"):
        raise TypeError(f"cuda: {expression}: expected a GPU array ({p.name}), got {type(value).__name__}")
    if wanted is not None and value.dtype.name not in wanted:
        raise TypeError(f"cuda: {expression}: expected {' or '.join(wanted)} ({p.name}), got {value.dtype}")
    if not value.flags.c_contiguous:
        raise TypeError(
            f"cuda: {expression}: expected an array in C order ({p.name}), strides {value.strides}"
        )
    if value.device.id != device:
        raise TypeError(f"cuda: {expression}: {p.name} is on cuda:{value.device.id}, others on cuda:{device}")
    return value
