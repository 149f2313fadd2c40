"""Launches of attention.cu, and what all kernels of attention are told: where matrices lie, whom they serve.

Query, key and value may be views of other arrays as long as their rows are gapless, and leading axes may
be repeated: neither the heads of a projection nor a key for a group of queries are copied. Results have the
memory order of query (and of what a gradient belongs to), so that joining the heads needs no copy either.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..layout import on_gpu
from . import attention_mma
from .attention_backward import gradients, has_room
from .launch import ceil_div, ctype, launch, library

__all__ = ["INSTANCES", "attention", "attention_joint", "packed_attention", "packed_attention_joint"]

TYPES, WIDTHS = ("float", "__half", "__nv_bfloat16"), (32, 64, 128)
INSTANCES = tuple(f"forward<{t}, {width}>" for t in TYPES for width in WIDTHS)
ROWS, THREADS = 64, 128  # queries (and keys) to a tile
# As in attention_layout.cuh: distances (leading axes, row, column) in q, k, v, bias, mask, y, g, dq, dk, dv.
LAYOUT = np.dtype([
    ("places", np.int64, (10, 5)), ("seed", np.uint64, 2), ("lead", np.int32, 3), ("sizes", np.int32, 4),
    ("limit", np.uint32), ("up", np.float32), ("rest", np.int32),
])  # fmt: skip


# ---------------------------------------------------------------- arrays as memory


def _rowwise(x: Any) -> Any:
    """x, or a copy whose rows are gapless."""
    return x if x.shape[-1] == 1 or x.strides[-1] == x.itemsize else library(x).ascontiguousarray(x)


def _first_row(x: Any) -> Any:
    """A gapless part of x; positions from it reach the whole."""
    return None if x is None else x[(0,) * (x.ndim - 1)]


def _like(x: Any, shape: tuple) -> Any:
    """A new array in x's memory order if it has x's leading axes, but gapless; else in C order."""
    lib, axes = library(x), range(len(shape) - 1)
    if x.shape[:-2] != shape[:-2]:
        return lib.empty(shape, x.dtype)
    order = sorted(axes, key=lambda axis: (-abs(x.strides[axis]), axis))
    new = lib.empty((*[shape[axis] for axis in order], shape[-1]), x.dtype)
    return new.transpose(*[order.index(axis) for axis in axes], len(order))


def _summed(d: Any, shape: tuple) -> Any:
    """A gradient summed over the leading axes along which its array was repeated."""
    if d is None or d.shape == shape:
        return d
    dtype = np.float32 if d.dtype.itemsize == 2 else d.dtype
    ahead = d.ndim - len(shape)
    once = [a for a in range(ahead, d.ndim) if shape[a - ahead] == 1 != d.shape[a]]
    return d.sum((*range(ahead), *once), dtype=dtype).reshape(shape).astype(d.dtype, copy=False)


def _layout(sizes: tuple, lead: tuple, *arrays: Any) -> Any:
    """The Layout of attention_layout.cuh, and whether rows (but of bias and mask) are multiples of 8 apart.

    None where the leading axes cannot be walked as three.
    """
    return _layout_of(sizes, lead, *[None if a is None else (a.shape, a.strides, a.itemsize) for a in arrays])


@functools.lru_cache(1024)
def _layout_of(sizes: tuple, lead: tuple, *arrays: tuple | None) -> Any:
    steps = [_steps(len(lead) + 2, *a) if a else (0,) * (len(lead) + 2) for a in arrays]
    axes: list = []
    for n, *distances in zip(lead, *[s[:-2] for s in steps], strict=True):
        if axes and all(outer == n * inner for outer, inner in zip(axes[-1][1:], distances, strict=True)):
            axes[-1] = [axes[-1][0] * n, *distances]  # two axes that are walked as one
        elif n != 1:
            axes.append([n, *distances])
    if len(axes) > 3:
        return None
    (_, middles, inners), *distances = zip(*([[1] + [0] * len(arrays)] * 3 + axes)[-3:], strict=True)
    layout = np.zeros((), LAYOUT)
    layout["places"][: len(arrays)] = [(*d, *s[-2:]) for d, s in zip(distances, steps, strict=True)]
    layout["lead"], layout["sizes"], layout["up"] = (math.prod(lead), middles, inners), sizes, 1
    in_eights = not any(d % 8 for i in range(len(arrays)) if i not in (3, 4) for d in layout["places"][i, :4])
    return layout, in_eights and not (sizes[2] % 8 or sizes[3] % 8)


def _steps(ndim: int, shape: tuple, strides: tuple, itemsize: int) -> tuple:
    """Distances in elements along `ndim` axes; 0 along what is repeated."""
    own = [0 if n == 1 else stride // itemsize for n, stride in zip(shape, strides, strict=True)]
    return (*(0,) * (ndim - len(own)), *own)


# ---------------------------------------------------------------- one call


def _fits(q: Any, k: Any, v: Any, bias: Any, mask: Any, dropout_p: float, seed: Any, block_size: Any) -> bool:
    """Whether it is for the kernels: one dtype, heads up to 128. What is wrong is not for us."""
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        return False
    if not (block_size is None or (type(block_size) is int and block_size >= 1)):
        return False
    if dropout_p and not (
        0.0 < dropout_p < 1.0 and seed is not None and round(dropout_p * 2.0**32) < 1 << 32
    ):
        return False
    try:
        lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
        whole = np.broadcast_shapes(lead, v.shape[:-2]) == lead
    except ValueError:
        return False
    scores = (*lead, q.shape[-2], k.shape[-2])
    small = max(q.shape[-1], v.shape[-1]) <= WIDTHS[-1]
    typed = all(a.dtype == q.dtype for a in (k, v, *([] if bias is None else [bias])))
    typed = typed and (mask is None or mask.dtype == bool)
    spread = all(_spreads(a.shape, scores) for a in (bias, mask) if a is not None)
    return bool(whole and small and typed and spread and q.size and k.size and v.size and math.prod(lead))


def _spreads(shape: tuple, scores: tuple) -> bool:
    pairs = zip(shape[::-1], scores[::-1], strict=False)
    return len(shape) <= len(scores) and all(m in (1, n) for m, n in pairs)


class Case:
    """One call's arrays, and what every kernel is told about them."""

    def __init__(
        self, q: Any, k: Any, v: Any, bias: Any, mask: Any, scale: Any, causal: bool, p: float, seed: Any
    ) -> None:
        self.q, self.k, self.v = _rowwise(q), _rowwise(k), _rowwise(v)
        self.bias, self.mask = [
            None if a is None else _rowwise(a.reshape((1,) * (2 - a.ndim) + a.shape)) for a in (bias, mask)
        ]
        self.lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
        self.items, self.queries, self.keys = math.prod(self.lead), q.shape[-2], k.shape[-2]
        self.sizes = (self.queries, self.keys, q.shape[-1], v.shape[-1])
        self.width = next(width for width in WIDTHS if width >= max(self.sizes[2:]))
        self.scale = float(1.0 / math.sqrt(q.shape[-1]) if scale is None else scale)
        self.causal, self.p = bool(causal), p
        # Two whole numbers; in a captured step they may lie on the device.
        on_device = on_gpu(seed)
        self.numbers: Any = None if on_device else seed
        self.seed: Any = seed if on_device else None
        self.layout: Any = None
        self.in_eights = False  # rows (but of bias and mask) begin at whole 16 bytes, if the array does

    def place(self, *others: Any) -> bool:
        """Lay out q, k, v, bias, mask and others; False where their leading axes are too many."""
        found = _layout(self.sizes, self.lead, self.q, self.k, self.v, self.bias, self.mask, *others)
        self.layout, self.in_eights = found or (None, False)
        if found and self.p:
            self.layout = self.layout.copy()
            self.layout["limit"], self.layout["up"] = round(self.p * 2.0**32), 1.0 / (1.0 - self.p)
            self.layout["seed"] = (0, 0) if self.numbers is None else self.numbers
        return found is not None

    @property
    def arrays(self) -> tuple:
        """The first arguments of every kernel."""
        return tuple([_first_row(a) for a in (self.q, self.k, self.v, self.bias, self.mask)])

    @property
    def settings(self) -> tuple:
        """The last arguments of every kernel."""
        return self.layout, self.scale, self.causal

    def forward(self) -> Any:
        """The output, and log sum e^s of each row."""
        lib, width = library(self.q), self.width
        y = _like(self.q, (*self.lead, self.queries, self.sizes[3]))
        if not self.place(y):
            return NotImplemented
        lse = lib.empty((*self.lead, self.queries, 1), np.float32)
        if attention_mma.usable(self):
            attention_mma.forward(self, _first_row(y), lse)
            return y, lse
        shared = 4 * (2 * ROWS * (width + 4) + ROWS * (ROWS + 16))
        if not has_room(y, shared):
            return NotImplemented
        args = (*self.arrays, _first_row(y), lse, self.seed, *self.settings)
        blocks = self.items * ceil_div(self.queries, ROWS)
        launch("attention", f"forward<{ctype(y.dtype)}, {width}>", blocks, THREADS, args, shared)
        return y, lse

    def backward(self, g: Any, y: Any, lse: Any, needs: tuple, grads: tuple) -> bool:
        """Fill the gradients that are needed; False where axes are too many or shared memory too small."""
        lib = library(g)
        g, y = _rowwise(g.astype(y.dtype, copy=False)), _rowwise(y)
        if not self.place(y, g, *grads):
            g, y = lib.ascontiguousarray(g), lib.ascontiguousarray(y)
            if not self.place(y, g, *grads):
                return False
        lse = lib.ascontiguousarray(lse.astype(np.float32, copy=False))
        return gradients(
            self, _first_row(g), _first_row(y), lse, needs, tuple([_first_row(d) for d in grads])
        )


# ---------------------------------------------------------------- what the ops call


def attention(
    query: Any, key: Any, value: Any, bias: Any = None, mask: Any = None, *, scale: Any, causal: bool,
    dropout_p: float, seed: Any, block_size: Any,
) -> Any:  # fmt: skip
    """softmax(q k^T scale + bias) v."""
    if not _fits(query, key, value, bias, mask, dropout_p, seed, block_size):
        return NotImplemented
    return Case(query, key, value, bias, mask, scale, causal, dropout_p, seed).forward()


def attention_joint(
    g: Any, needs: tuple, y: Any, query: Any, key: Any, value: Any, bias: Any, mask: Any, saved: Any, *,
    scale: Any, causal: bool, dropout_p: float, seed: Any, block_size: Any,
) -> Any:  # fmt: skip
    """The gradients of query, key and value; that of a bias is left to the readable text."""
    fits = _fits(query, key, value, bias, mask, dropout_p, seed, block_size)
    if needs[3] or isinstance(saved, tuple) or not fits:
        return NotImplemented
    case = Case(query, key, value, bias, mask, scale, causal, dropout_p, seed)
    wanted = (needs[0], *[needs[1] or needs[2]] * 2)  # keys' and values' come from one walk
    arrays = (case.q, case.k, case.v)
    grads = [
        _like(a, (*case.lead, *a.shape[-2:])) if want else None
        for a, want in zip(arrays, wanted, strict=True)
    ]
    if not case.backward(g, y, saved, wanted, tuple(grads)):
        return NotImplemented
    return (
        *[_summed(d, a.shape) if n else None for d, a, n in zip(grads, arrays, needs, strict=False)],
        None, None,
    )  # fmt: skip


def packed_attention(packed: Any, bias: Any = None, mask: Any = None, **how: Any) -> Any:
    """attention(*packed)."""
    if packed.ndim < 3 or len(packed) != 3:
        return NotImplemented
    return attention(packed[0], packed[1], packed[2], bias, mask, **how)


def packed_attention_joint(
    g: Any, needs: tuple, y: Any, packed: Any, bias: Any, mask: Any, saved: Any, *, scale: Any, causal: bool,
    dropout_p: float, seed: Any, block_size: Any,
) -> Any:  # fmt: skip
    """The three gradients, written into one array where they belong."""
    parts = packed[0], packed[1], packed[2]
    fits = _fits(*parts, bias, mask, dropout_p, seed, block_size)
    if needs[1] or isinstance(saved, tuple) or not fits:
        return NotImplemented
    grads = _like(_rowwise(packed), packed.shape)
    apart = grads[0], grads[1], grads[2]
    if not Case(*parts, bias, mask, scale, causal, dropout_p, seed).backward(g, y, saved, (True,) * 3, apart):
        return NotImplemented
    return grads, None, None
