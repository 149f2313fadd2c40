"""Products of a few rows by a matrix that is used again and again, as W_hh is at every time step.

OpenBLAS rearranges the matrix anew at every call, which for 16 rows costs as much as a third of the product.
Here it is packed once, in panels of WIDE columns that a thread reads from first to last, and 6 (or 5) rows
by WIDE columns of sums stay in registers while it does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import jit
from .simd import LANES, broadcast, fma, load, store, zeros

__all__ = ["WIDE", "pack", "product"]

WIDE = 2 * LANES  # columns of a panel
DEEP = 256  # rows of a panel that are used at a time, so that they stay in the first cache


def pack(w: Any) -> Any:
    """w (K, M) in panels (panels, K, WIDE), zeros beyond its last column."""
    deep, wide = w.shape
    panels = -(-wide // WIDE)
    if wide < panels * WIDE:
        w = np.pad(w, ((0, 0), (0, panels * WIDE - wide)))
    return np.ascontiguousarray(w.reshape(deep, panels, WIDE).swapaxes(0, 1))


@jit
def product(a: Any, ia: Any, w: Any, c: Any, ic: Any, rows: Any) -> None:
    """c <- a w: `rows` rows of a (., K) from position ia on, w packed, c (., panels WIDE)."""
    panels, depth = w.shape[0], w.shape[1]
    pitch = panels * WIDE
    tiles = -(-rows // 6)  # as few as can be, each of 5 rows or 6: 16 = 6 + 5 + 5
    sixes = max(0, rows - 5 * tiles)
    for start in range(0, depth, DEEP):
        deep, more = min(DEEP, depth - start), start > 0
        for panel in range(panels):
            iw, at, to = (panel * depth + start) * WIDE, ia + start, ic + panel * WIDE
            for _ in range(sixes):
                six_rows(a, at, depth, w, iw, deep, c, to, pitch, more)
                at, to = at + 6 * depth, to + 6 * pitch
            for r in range(6 * sixes, rows, 5):
                five_rows(a, at, depth, rows - r, w, iw, deep, c, to, pitch, more)
                at, to = at + 5 * depth, to + 5 * pitch


# Rows of one panel, whose sums stay in registers: 12 of them, or 10.


@jit
def six_rows(
    a: Any, ia: Any, lda: Any, w: Any, iw: Any, deep: Any, c: Any, ic: Any, ldc: Any, more: Any
) -> None:
    """c <- a w, or c <- c + a w, with six rows of a and `deep` rows of a panel."""
    a1, a2, a3, a4, a5 = ia + lda, ia + 2 * lda, ia + 3 * lda, ia + 4 * lda, ia + 5 * lda
    c1, c2, c3, c4, c5 = ic + ldc, ic + 2 * ldc, ic + 3 * ldc, ic + 4 * ldc, ic + 5 * ldc
    x0 = y0 = x1 = y1 = x2 = y2 = x3 = y3 = x4 = y4 = x5 = y5 = zeros()
    if more:
        x0, y0 = load(c, ic), load(c, ic + LANES)
        x1, y1 = load(c, c1), load(c, c1 + LANES)
        x2, y2 = load(c, c2), load(c, c2 + LANES)
        x3, y3 = load(c, c3), load(c, c3 + LANES)
        x4, y4 = load(c, c4), load(c, c4 + LANES)
        x5, y5 = load(c, c5), load(c, c5 + LANES)
    for k in range(deep):
        x, y = load(w, iw), load(w, iw + LANES)
        iw += WIDE
        v = broadcast(a, ia + k)
        x0, y0 = fma(v, x, x0), fma(v, y, y0)
        v = broadcast(a, a1 + k)
        x1, y1 = fma(v, x, x1), fma(v, y, y1)
        v = broadcast(a, a2 + k)
        x2, y2 = fma(v, x, x2), fma(v, y, y2)
        v = broadcast(a, a3 + k)
        x3, y3 = fma(v, x, x3), fma(v, y, y3)
        v = broadcast(a, a4 + k)
        x4, y4 = fma(v, x, x4), fma(v, y, y4)
        v = broadcast(a, a5 + k)
        x5, y5 = fma(v, x, x5), fma(v, y, y5)
    store(c, ic, x0), store(c, ic + LANES, y0)
    store(c, c1, x1), store(c, c1 + LANES, y1)
    store(c, c2, x2), store(c, c2 + LANES, y2)
    store(c, c3, x3), store(c, c3 + LANES, y3)
    store(c, c4, x4), store(c, c4 + LANES, y4)
    store(c, c5, x5), store(c, c5 + LANES, y5)


@jit
def five_rows(
    a: Any, ia: Any, lda: Any, rows: Any, w: Any, iw: Any, deep: Any, c: Any, ic: Any, ldc: Any, more: Any
) -> None:
    """c <- a w, or c <- c + a w, with five rows of a or fewer: beyond the last, the last again."""
    last = rows - 1
    r1, r2, r3, r4 = min(1, last), min(2, last), min(3, last), min(4, last)
    a1, a2, a3, a4 = ia + r1 * lda, ia + r2 * lda, ia + r3 * lda, ia + r4 * lda
    c1, c2, c3, c4 = ic + r1 * ldc, ic + r2 * ldc, ic + r3 * ldc, ic + r4 * ldc
    x0 = y0 = x1 = y1 = x2 = y2 = x3 = y3 = x4 = y4 = zeros()
    if more:
        x0, y0 = load(c, ic), load(c, ic + LANES)
        x1, y1 = load(c, c1), load(c, c1 + LANES)
        x2, y2 = load(c, c2), load(c, c2 + LANES)
        x3, y3 = load(c, c3), load(c, c3 + LANES)
        x4, y4 = load(c, c4), load(c, c4 + LANES)
    for k in range(deep):
        x, y = load(w, iw), load(w, iw + LANES)
        iw += WIDE
        v = broadcast(a, ia + k)
        x0, y0 = fma(v, x, x0), fma(v, y, y0)
        v = broadcast(a, a1 + k)
        x1, y1 = fma(v, x, x1), fma(v, y, y1)
        v = broadcast(a, a2 + k)
        x2, y2 = fma(v, x, x2), fma(v, y, y2)
        v = broadcast(a, a3 + k)
        x3, y3 = fma(v, x, x3), fma(v, y, y3)
        v = broadcast(a, a4 + k)
        x4, y4 = fma(v, x, x4), fma(v, y, y4)
    store(c, ic, x0), store(c, ic + LANES, y0)
    store(c, c1, x1), store(c, c1 + LANES, y1)
    store(c, c2, x2), store(c, c2 + LANES, y2)
    store(c, c3, x3), store(c, c3 + LANES, y3)
    store(c, c4, x4), store(c, c4 + LANES, y4)
