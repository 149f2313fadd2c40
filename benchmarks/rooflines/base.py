"""What a row of the roofline is: what it moves and computes, counted from its shapes, and how to run it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from minigrad_kernels.cuda import find

Array = Any
BAR = 0.7  # of the copy's bytes a second, for what memory bounds


class Traffic(NamedTuple):
    """Bytes that must go between memory and the multiprocessors, and operations that must be done."""

    bytes: int
    flop: int


class Job(NamedTuple):
    """A call that returns what it wrote, and the arrays it reads."""

    run: Callable[[], Any]
    given: tuple[Array, ...]


class Row(NamedTuple):
    """`bound` is the ceiling to hold it against: "memory", "products" or "latency" (then neither is near)."""

    kernels: tuple[str, ...]  # their names in minigrad_kernels.cuda.TABLE
    what: str
    bound: str
    dtype: str
    sizes: dict[str, int]
    small: dict[str, int]  # for tests
    traffic: Callable[..., Traffic]  # (bytes of a number, **sizes)
    make: Callable[..., Job]  # (dtype, **sizes)


def count(row: Row, sizes: dict[str, int] | None = None) -> Traffic:
    """Bytes and operations of a row, at its own sizes or others."""
    item = 2 if row.dtype in ("float16", "bfloat16") else 4
    return row.traffic(item, **(row.sizes if sizes is None else sizes))


def listed(row: Row, sizes: dict[str, int] | None = None) -> dict[str, Any]:
    """What a row counts, without running it."""
    traffic, bar = count(row, sizes), BAR if row.bound == "memory" else None
    return {
        "name": ", ".join(row.kernels), "what": row.what, "dtype": row.dtype, "bound": row.bound,
        "sizes": sizes or row.sizes, "bytes": traffic.bytes, "flop": traffic.flop, "bar": bar,
    }  # fmt: skip


def job(row: Row, sizes: dict[str, int] | None = None) -> Job:
    """The row's work on the GPU."""
    dtype = "float32" if row.dtype == "tf32" else row.dtype  # the same arrays; a switch makes the difference
    return row.make(dtype, **(row.sizes if sizes is None else sizes))


def numbers(dtype: str, *shape: int) -> Array:
    """Uniform random numbers from -1 to 1 on the GPU."""
    import minigrad as mg

    return (mg.rand(*shape, device="cuda") * 2.0 - 1.0).to(dtype).data


def memory(name: str, what: str, sizes: dict, small: dict, traffic: Callable, make: Callable) -> Row:
    """A row in float32 that memory bounds."""
    return Row((name,), what, "memory", "float32", sizes, small, traffic, make)


def products(
    name: str, what: str, dtype: str, sizes: dict, small: dict, traffic: Callable, make: Callable
) -> Row:
    """A row that products bound."""
    return Row((name,), what, "products", dtype, sizes, small, traffic, make)


def images(dtype: str, batch: int, *rest: int) -> Array:
    """The same, the batch last in memory, as convolution and pooling have it."""
    return numbers(dtype, *rest, batch).transpose(len(rest), *range(len(rest)))


def library() -> Any:
    from minigrad.engine.gpu import load_cupy

    return load_cupy()


def calling(name: str, *arrays: Array, **how: Any) -> Job:
    """The job of calling a kernel with these arrays."""
    kernel = find(name)
    return Job(lambda: kernel(*arrays, **how), tuple(a for a in arrays if hasattr(a, "nbytes")))
