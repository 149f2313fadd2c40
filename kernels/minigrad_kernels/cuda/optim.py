"""Launches of optim.cu: updates of up to 64 parameters at a time, by a table of addresses."""

from __future__ import annotations

from typing import Any

import numpy as np

from .launch import CTYPES, ceil_div, ctype, launch, library

__all__ = ["INSTANCES", "adam", "sgd"]

INSTANCES = tuple(f"{name}_update<{c}>" for name in ("adam", "sgd") for c in CTYPES.values() if c != "double")
MOST, CHUNK, THREADS = 64, 4096, 256  # as in optim.cu
ROW = np.dtype([(n, np.uint64) for n in "pgab"] + [("size", np.int64), ("first_block", np.int64)])
TABLE = np.dtype([("rows", ROW, MOST), ("count", np.int64)])
NUMBERS = np.dtype([("own", np.float32, (MOST, 2)), ("group", np.float32, 8)])


def adam(*arrays: Any, numbers: Any, found_inf: Any = None, scale: Any = None, skips: Any = None) -> Any:
    """Updates parameters in place, given as p, g, m, v for each; `numbers` as the CPU's kernel has them.

    found_inf, scale: device floats; where the first is not 0 nothing changes, the second divides g. skips:
    device int32, steps left out so far; then the last number of the group is eps, a parameter's lr and count.
    """
    return _run("adam", arrays, 4, numbers, found_inf, scale, skips)


def sgd(*arrays: Any, numbers: Any, found_inf: Any = None, scale: Any = None, skips: Any = None) -> Any:
    """Updates parameters in place, given as p, g, v for each (v is p itself without momentum)."""
    return _run("sgd", arrays, 3, numbers, found_inf, scale, skips)


def _run(name: str, arrays: tuple, width: int, numbers: Any, *scaler: Any) -> Any:
    groups = [arrays[i : i + width] for i in range(0, len(arrays), width)]
    groups = [(p, library(p).ascontiguousarray(g), *rest) for p, g, *rest in groups]
    if any(
        a.dtype != g[0].dtype or a.shape != g[0].shape or not a.flags.c_contiguous for g in groups for a in g
    ):
        return NotImplemented
    for dtype in {g[0].dtype for g in groups}:
        rows = [i for i, g in enumerate(groups) if g[0].dtype == dtype]
        if len(rows) < len(groups) and not isinstance(numbers, np.ndarray):
            return NotImplemented  # rows' own numbers must follow each other on the device
        for at in range(0, len(rows), MOST):
            some = rows[at : at + MOST]
            live, given = (
                (None, _given(numbers, some)) if isinstance(numbers, np.ndarray) else (numbers, _NONE)
            )
            table, blocks = _table([groups[i] for i in some])
            args = (table, given, live, some[0], *scaler)
            launch("optim", f"{name}_update<{ctype(dtype)}>", blocks, THREADS, args, on=groups[0][0])
    return None


_NONE = np.zeros((), NUMBERS)


def _given(numbers: np.ndarray, rows: list[int]) -> np.ndarray:
    """The numbers of these rows and of the group, as they travel with the launch."""
    given = np.zeros((), NUMBERS)
    given["group"], given["own"][: len(rows)] = numbers[:8], numbers[8:].reshape(-1, 2)[rows]
    return given


def _table(groups: list[tuple]) -> tuple[np.ndarray, int]:
    """Where the arrays lie, and how many blocks they need."""
    table, blocks = np.zeros((), TABLE), 0
    for row, (p, g, *averages) in zip(table["rows"], groups, strict=False):
        row["p"], row["g"], row["size"], row["first_block"] = p.data.ptr, g.data.ptr, p.size, blocks
        for name, a in zip("ab", averages, strict=False):
            row[name] = 0 if a is p else a.data.ptr
        blocks += ceil_div(p.size, CHUNK)
    table["count"] = len(groups)
    return table, blocks
