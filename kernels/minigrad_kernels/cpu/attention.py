"""Attention a block of queries and keys at a time: the scores of a block never leave the processor's cache.

Dao et al. 2022, for the CPU: a block of 128 x 128 scores is a matrix product, becomes weights under a running
maximum and a running sum (Milakov & Gimelshein 2018), and is multiplied with its values at once. Only the
logarithm of each row's sum is kept; backward makes the weights again, which costs one more product and
no memory. Each (batch, head) is a task of one thread, forward also each block of queries.

Query, key and value may be views of other arrays as long as their rows are gapless: the heads of one
projection need no copies. Results have their memory order, so that joining the heads needs none either.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import prange

from .gemm import addresses, alone, gemm
from .jit import jit, parallel
from .maths import exp
from .simd import LANES, load, splat, store, total, where_greater, zeros

__all__ = ["attention", "attention_joint", "packed_attention", "packed_attention_joint"]

_BLOCK = 128  # queries and keys to a block: 64 KB of scores, twice in backward
_ADDRESSES = addresses()
_NONE = np.zeros(1, np.float32)  # in place of a bias

# ---------------------------------------------------------------- one block


@jit
def _scores(
    address: Any, q: Any, iq: Any, lq: Any, rows: Any, k: Any, ik: Any, lk: Any, cols: Any, depth: Any,
    scale: Any, bias: Any, ib: Any, step: Any, ahead: Any, s: Any, width: Any,
) -> None:  # fmt: skip
    """s <- scale q k^T + bias, -inf beyond the last key, and for keys that lie `ahead` of row i."""
    gemm(address, False, True, rows, cols, depth, scale, q, iq, lq, k, ik, lk, np.float32(0), s, 0, width)
    down, right = step
    for i in range(rows):
        if right != 0 or down != 0:
            for j in range(cols):
                s[i * width + j] += bias[ib + i * down + j * right]
        for j in range(max(min(ahead + i, cols), 0), cols):
            s[i * width + j] += np.float32(-np.inf)
        for j in range(cols, width):
            s[i * width + j] = np.float32(-np.inf)


@jit
def _finite(x: Any) -> Any:
    return x if np.isfinite(x) else np.float32(0)


@jit
def _weigh(s: Any, rows: Any, width: Any, top: Any, sums: Any, y: Any, iy: Any, ly: Any, depth: Any) -> None:
    """s <- e^(s - running maximum) row by row; what y and the sums hold so far is shifted along."""
    lanes = np.empty(LANES, np.float32)
    for i in range(rows):
        row = i * width
        largest = splat(top[i])
        for j in range(row, row + width, LANES):
            x = load(s, j)
            largest = where_greater(x, largest, x, largest)
        store(lanes, 0, largest)
        new = top[i]
        for lane in range(LANES):
            new = max(new, lanes[lane])
        shift, added = _finite(new), zeros()
        for j in range(row, row + width, LANES):
            e = exp(load(s, j) - splat(shift))
            store(s, j, e)
            added += e
        if new != top[i] and sums[i] != 0:
            shrink = np.float32(math.exp(top[i] - shift))
            sums[i] *= shrink
            for j in range(iy + i * ly, iy + i * ly + depth):
                y[j] *= shrink
        sums[i] += total(added)
        top[i] = new


@jit
def _finish(rows: Any, top: Any, sums: Any, y: Any, iy: Any, ly: Any, depth: Any, lse: Any, at: Any) -> None:
    """y over the sums, and their logarithms; a row without keys is 0."""
    for i in range(rows):
        whole = sums[i] if sums[i] != 0 else np.float32(1)
        for j in range(iy + i * ly, iy + i * ly + depth):
            y[j] *= np.float32(1) / whole
        lse[at + i] = _finite(top[i]) + np.float32(math.log(whole))


@jit
def _slopes(s: Any, dp: Any, rows: Any, width: Any, lse: Any, at: Any, along: Any) -> None:
    """s <- P = e^(s - lse) and dp <- dS = P (dP - sum_j dP_j P_j)."""
    for i in range(rows):
        shift, less = splat(lse[at + i]), splat(along[i])
        for j in range(i * width, (i + 1) * width, LANES):
            e = exp(load(s, j) - shift)
            store(s, j, e)
            store(dp, j, e * (load(dp, j) - less))


# ---------------------------------------------------------------- all blocks


@parallel
def _forward(
    address: Any, q: Any, k: Any, v: Any, bias: Any, y: Any, lse: Any, at: Any, rows: Any, sizes: Any,
    step: Any, scale: Any, causal: Any,
) -> None:  # fmt: skip
    """`at`: where each item's q, k, v, bias and y begin; `rows`: the distances between their rows."""
    queries, keys, depth, deep = sizes
    blocks = (queries + _BLOCK - 1) // _BLOCK
    for task in prange(len(at) * blocks):
        item, first = np.int64(task) // blocks, np.int64(task) % blocks * _BLOCK
        n = min(_BLOCK, queries - first)
        iq, iy = at[item, 0] + first * rows[0], at[item, 4] + first * rows[4]
        s = np.empty(_BLOCK * _BLOCK, np.float32)
        top, sums = np.full(n, -np.inf, np.float32), np.zeros(n, np.float32)
        end = min(keys, first + n) if causal else keys
        for c in range(0, end, _BLOCK):
            m = min(_BLOCK, end - c)
            width = (m + LANES - 1) // LANES * LANES
            ik, iv = at[item, 1] + c * rows[1], at[item, 2] + c * rows[2]
            ib = at[item, 3] + first * step[0] + c * step[1]
            ahead = first - c + 1 if causal else m
            _scores(
                address, q, iq, rows[0], n, k, ik, rows[1], m, depth, scale, bias, ib, step, ahead, s, width
            )
            _weigh(s, n, width, top, sums, y, iy, rows[4], deep)
            beta = np.float32(0 if c == 0 else 1)
            gemm(
                address,
                False,
                False,
                n,
                deep,
                m,
                np.float32(1),
                s,
                0,
                width,
                v,
                iv,
                rows[2],
                beta,
                y,
                iy,
                rows[4],
            )
        _finish(n, top, sums, y, iy, rows[4], deep, lse, item * queries + first)


@parallel
def _backward(
    address: Any, q: Any, k: Any, v: Any, bias: Any, y: Any, g: Any, dq: Any, dk: Any, dv: Any, lse: Any,
    at: Any, rows: Any, sizes: Any, step: Any, scale: Any, causal: Any,
) -> None:  # fmt: skip
    """`at` and `rows` as in _forward, for q, k, v, bias, y, g, dq, dk, dv."""
    queries, keys, depth, deep = sizes
    one = np.float32(1)
    for task in prange(len(at)):
        item = np.int64(task)
        s, dp = np.empty(_BLOCK * _BLOCK, np.float32), np.empty(_BLOCK * _BLOCK, np.float32)
        along = np.empty(queries, np.float32)
        for i in range(queries):
            iy, ig, sum = at[item, 4] + i * rows[4], at[item, 5] + i * rows[5], np.float32(0)
            for j in range(deep):
                sum += y[iy + j] * g[ig + j]
            along[i] = sum
        for c in range(0, keys, _BLOCK):
            m = min(_BLOCK, keys - c)
            width = (m + LANES - 1) // LANES * LANES
            ik, iv = at[item, 1] + c * rows[1], at[item, 2] + c * rows[2]
            idk, idv = at[item, 7] + c * rows[7], at[item, 8] + c * rows[8]
            start = c if causal else 0
            for r in range(start, queries, _BLOCK):
                n = min(_BLOCK, queries - r)
                iq, ig = at[item, 0] + r * rows[0], at[item, 5] + r * rows[5]
                ib = at[item, 3] + r * step[0] + c * step[1]
                ahead = r - c + 1 if causal else m
                _scores(
                    address,
                    q,
                    iq,
                    rows[0],
                    n,
                    k,
                    ik,
                    rows[1],
                    m,
                    depth,
                    scale,
                    bias,
                    ib,
                    step,
                    ahead,
                    s,
                    width,
                )
                gemm(
                    address,
                    False,
                    True,
                    n,
                    m,
                    deep,
                    one,
                    g,
                    ig,
                    rows[5],
                    v,
                    iv,
                    rows[2],
                    np.float32(0),
                    dp,
                    0,
                    width,
                )
                _slopes(s, dp, n, width, lse, item * queries + r, along[r:])
                new = np.float32(0 if r == start else 1)
                gemm(
                    address, True, False, m, deep, n, one, s, 0, width, g, ig, rows[5], new, dv, idv, rows[8]
                )
                gemm(
                    address,
                    True,
                    False,
                    m,
                    depth,
                    n,
                    scale,
                    dp,
                    0,
                    width,
                    q,
                    iq,
                    rows[0],
                    new,
                    dk,
                    idk,
                    rows[7],
                )
                new, idq = np.float32(0 if c == 0 else 1), at[item, 6] + r * rows[6]
                gemm(
                    address,
                    False,
                    False,
                    n,
                    depth,
                    m,
                    scale,
                    dp,
                    0,
                    width,
                    k,
                    ik,
                    rows[1],
                    new,
                    dq,
                    idq,
                    rows[6],
                )


# ---------------------------------------------------------------- arrays as memory


def _gapless(x: Any) -> bool:
    """Rows without gaps, one after another at a distance."""
    return x.strides[-1] == x.itemsize and x.strides[-2] >= x.itemsize * x.shape[-1]


def _rowwise(x: Any) -> Any:
    """x, or a copy that a kernel can read by rows."""
    return x if _gapless(x) and x.flags.writeable else np.array(x, order="C")


def _like(x: Any, width: int, new: Any = np.empty_like) -> Any:
    """A new array in x's shape and memory order, but the last axis `width` long."""
    made = new(x, shape=(*x.shape[:-1], width))
    return made if _gapless(made) else new(x, shape=made.shape, order="C")


def _first_row(x: Any) -> Any:
    """Positions from it reach the whole array."""
    return x[(0,) * (x.ndim - 1)]


@functools.lru_cache(1024)
def _places(*layouts: tuple) -> tuple[Any, tuple]:
    """Where the matrices of each array begin, an array a column, and the distances between their rows."""
    columns = []
    for shape, strides in layouts:
        at = np.zeros((), np.int64)
        for n, stride in zip(shape[:-2], strides[:-2], strict=True):
            at = at[..., None] + np.arange(n) * (stride // 4)
        columns.append(at.reshape(-1))
    return np.stack(columns, 1), tuple(strides[-2] // 4 for _, strides in layouts)


def _fits(q: Any, k: Any, v: Any, bias: Any, mask: Any, dropout_p: float) -> bool:
    """Only bias and mask are broadcast, nothing is empty, nothing is dropped; what is wrong is not for us."""
    fine = q.ndim >= 2 and q.shape[:-2] == k.shape[:-2] == v.shape[:-2] and not dropout_p
    fine = fine and q.shape[-1] == k.shape[-1] and k.shape[-2] == v.shape[-2]
    if not fine or not (q.size and k.size and v.size) or not _ADDRESSES:
        return False
    scores = (*q.shape[:-1], k.shape[-2])[::-1]
    for a in (bias, mask):
        if a is not None and not (
            a.ndim <= len(scores) and all(m in (1, n) for m, n in zip(a.shape[::-1], scores, strict=False))
        ):
            return False
    return mask is None or mask.dtype == bool


class _Case:
    """One call's arrays, and what both kernels are told about them."""

    def __init__(self, q: Any, k: Any, v: Any, bias: Any, mask: Any, scale: Any, causal: bool) -> None:
        self.q, self.k, self.v = _rowwise(q), _rowwise(k), _rowwise(v)
        scores = (*q.shape[:-1], k.shape[-2])
        if mask is not None:
            forbidden = np.where(mask, np.float32(0), np.float32(-np.inf))
            bias = forbidden if bias is None else bias + forbidden
        self.bias = _NONE if bias is None else np.array(bias, order="C").reshape(-1)
        self.seen = (scores, (0,) * len(scores)) if bias is None else self._seen(bias.shape, scores)
        self.step = tuple(stride // 4 for stride in self.seen[1][-2:])
        self.sizes = (q.shape[-2], k.shape[-2], q.shape[-1], v.shape[-1])
        self.scale = np.float32(1.0 / math.sqrt(q.shape[-1]) if scale is None else scale)
        self.causal = bool(causal)

    @staticmethod
    def _seen(shape: tuple, scores: tuple) -> tuple:
        """The layout of the bias spread over the scores: a step of 0 along what is broadcast."""
        spread = np.broadcast_to(np.empty(shape, np.bool_), scores)
        return scores, tuple(4 * stride for stride in spread.strides)

    def places(self, *others: Any) -> tuple[Any, tuple]:
        """Where the items of q, k, v, the bias and others begin, and the distances of rows."""
        layouts = [(a.shape, a.strides) for a in (self.q, self.k, self.v)]
        return _places(*layouts, self.seen, *[(a.shape, a.strides) for a in others])

    def forward(self) -> tuple[Any, Any]:
        """The output, in q's memory order, and log sum e^s of each row."""
        q, k, v = self.q, self.k, self.v
        y, lse = _like(q, v.shape[-1]), np.empty((*q.shape[:-1], 1), np.float32)
        with alone():
            _forward(
                _ADDRESSES["f"], *map(_first_row, (q, k, v)), self.bias, _first_row(y), lse.reshape(-1),
                *self.places(y), self.sizes, self.step, self.scale, self.causal,
            )  # fmt: skip
        return y, lse

    def backward(self, g: Any, y: Any, lse: Any, dq: Any, dk: Any, dv: Any) -> None:
        """Fill the three gradients."""
        y, g = _rowwise(y), _rowwise(g)
        arrays = map(_first_row, (y, g, dq, dk, dv))
        with alone():
            _backward(
                _ADDRESSES["f"], *map(_first_row, (self.q, self.k, self.v)), self.bias, *arrays,
                np.ascontiguousarray(lse).reshape(-1), *self.places(y, g, dq, dk, dv), self.sizes, self.step,
                self.scale, self.causal,
            )  # fmt: skip


# ---------------------------------------------------------------- what the ops call


def attention(
    query: Any, key: Any, value: Any, bias: Any = None, mask: Any = None, *, scale: Any, causal: bool,
    dropout_p: float, seed: Any, block_size: Any,
) -> Any:  # fmt: skip
    """softmax(q k^T scale + bias) v."""
    if not _fits(query, key, value, bias, mask, dropout_p):
        return NotImplemented
    return _Case(query, key, value, bias, mask, scale, causal).forward()


def attention_joint(
    g: Any, needs: tuple, y: Any, query: Any, key: Any, value: Any, bias: Any, mask: Any, saved: Any, *,
    scale: Any, causal: bool, dropout_p: float, seed: Any, block_size: Any,
) -> Any:  # fmt: skip
    """The gradients of query, key and value; that of a bias is left to the readable text."""
    if needs[3] or isinstance(saved, tuple) or not _fits(query, key, value, bias, mask, dropout_p):
        return NotImplemented
    case = _Case(query, key, value, bias, mask, scale, causal)
    new = np.zeros_like if causal and key.shape[-2] > query.shape[-2] else np.empty_like  # keys nobody sees
    grads = [_like(a, a.shape[-1], new) for a in (case.q, case.k, case.v)]
    case.backward(g, y, saved, *grads)
    return (*[d if need else None for d, need in zip(grads, needs, strict=False)], None, None)


def packed_attention(packed: Any, bias: Any = None, mask: Any = None, **how: Any) -> Any:
    """attention(*packed)."""
    return attention(*packed, bias, mask, **how) if len(packed) == 3 else NotImplemented


def packed_attention_joint(
    g: Any, needs: tuple, y: Any, packed: Any, bias: Any, mask: Any, saved: Any, *, scale: Any, causal: bool,
    dropout_p: float, seed: Any, block_size: Any,
) -> Any:  # fmt: skip
    """The three gradients, written into one array where they belong."""
    if needs[1] or isinstance(saved, tuple) or not _fits(*packed, bias, mask, dropout_p):
        return NotImplemented
    grads = _like(packed, packed.shape[-1])
    _Case(*packed, bias, mask, scale, causal).backward(g, y, saved, *grads)
    return grads, None, None
