"""Launches of recurrent_tiles.cu: all steps of a walk, one launch each."""

from __future__ import annotations

from typing import Any

from .launch import ceil_div, launch, library
from .linalg import matmul_into
from .recurrent_way import every

__all__ = ["INSTANCES", "tiles", "tiles_back"]

CELLS = ("Lstm", "Gru", "RnnTanh", "RnnRelu")
INSTANCES = tuple(f"tile_{way}<{cell}>" for way in ("forward", "backward") for cell in CELLS)
TALL, COLUMNS, THREADS = 8, 16, 256  # as in recurrent_tiles.cu


def by_unit(w_hh: Any) -> Any:
    """W_hh transposed, (width, width, gates): a unit's gates in neighbouring columns, 3 of them in 4."""
    lib, width = library(w_hh), w_hh.shape[1]
    turned = w_hh.reshape(-1, width, width).transpose(2, 1, 0)
    if turned.shape[2] != 3:
        return lib.ascontiguousarray(turned)
    padded = lib.zeros((width, width, 4), w_hh.dtype)
    padded[:, :, :3] = turned
    return padded


def tiles(
    cell: str, way: tuple, gates: Any, w_hh: Any, biases: tuple, initial: Any, c: Any, kept: tuple
) -> None:
    """All steps forwards: `gates` holds the sums of x and gets the gates, c goes from first to last.

    kept: y, keeps and cells of cells.cuh; the states before are read from y, or gates where it is None.
    """
    w, width = by_unit(w_hh), w_hh.shape[1]
    states, across = gates if kept[0] is None else kept[0], ceil_div(w.size // width, COLUMNS)
    for step in every(way):
        where = (step.at, step.before, step.carried, step.batch, width)
        args = (gates, w, *biases, states, initial, c, *kept, *where)
        grid = (across, ceil_div(step.batch, TALL))
        launch("recurrent_tiles", f"tile_forward<{cell}>", grid, THREADS, args)


def tiles_back(cell: str, way: tuple, args: tuple) -> None:
    """All steps backwards. args: those of tile_backward, but where it is to go."""
    w, d_ih, d_hh, dh = args[5:9]
    d, width, after, following = d_ih if d_hh is None else d_hh, w.shape[1], 0, 0
    for step in reversed(every(way)):
        at, carried, n = step.at, step.carried, step.batch
        where = (at, step.before, carried, after, min(following, n), n, width)
        grid = (ceil_div(width, COLUMNS), ceil_div(n, TALL))
        launch("recurrent_tiles", f"tile_backward<{cell}>", grid, THREADS, args + where)
        if carried < n:  # the product that no earlier step makes: for those that begin here
            matmul_into(d[at + carried : at + n], w, dh[carried:n], beta=1.0)
        after, following = at, n
