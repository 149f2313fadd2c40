"""Matrix products, by cuBLAS through our own binding."""

from __future__ import annotations

from functools import partial

from .base import Job, Row, Traffic, calling, memory, numbers, products


def multiplied(m: int, n: int, k: int, item: int) -> Traffic:
    """(m, k) times (k, n)."""
    return Traffic(item * (m * k + k * n + m * n), 2 * m * n * k)


def square(item: int, n: int) -> Traffic:
    return multiplied(n, n, n, item)


def biased(item: int, n: int) -> Traffic:
    """The product, and a number added to each of a column."""
    bytes, flop = square(item, n)
    return Traffic(bytes + item * n, flop + n * n)


def make_product(name: str, dtype: str, n: int) -> Job:
    vector = (numbers(dtype, n),) if name == "linear" else ()
    return calling(name, numbers(dtype, n, n), numbers(dtype, n, n), *vector)


def make_einsum(dtype: str, n: int) -> Job:
    return calling("einsum", numbers(dtype, n, n), numbers(dtype, n, n), subscripts="ik,jk->ij")


def summed(item: int, rows: int, width: int) -> Traffic:
    """A sum over rows: all read, one row written."""
    return Traffic(item * (rows + 1) * width, rows * width)


def make_summed(dtype: str, rows: int, width: int) -> Job:
    return calling("linear.bias", numbers(dtype, rows, width))


SQUARE, SMALL = {"n": 4096}, {"n": 17}
ROWS, FEW_ROWS = {"rows": 1 << 16, "width": 1024}, {"rows": 5, "width": 33}


def product_rows() -> list[Row]:
    """Products of 4,096 x 4,096, held against cuBLAS at twice the size; and a bias's gradient."""
    rows = []
    for dtype in ("float32", "tf32", "float16", "bfloat16"):
        make = partial(make_product, "matmul")
        rows.append(products("matmul", "product", dtype, SQUARE, SMALL, square, make))
    for name, traffic in (("linear", biased), ("linear.x", square), ("linear.weight", square)):
        what, make = name.replace(".", ", gradient in "), partial(make_product, name)
        rows.append(products(name, what, "float32", SQUARE, SMALL, traffic, make))
    rows.append(products("einsum", "einsum ik,jk->ij", "float32", SQUARE, SMALL, square, make_einsum))
    rows.append(memory("linear.bias", "sum over rows", ROWS, FEW_ROWS, summed, make_summed))
    return rows
