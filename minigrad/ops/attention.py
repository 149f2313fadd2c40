"""Scaled dot-product attention: softmax(q k^T s + bias) v, whole or a block of keys at a time.

Both forms are one op. The whole form keeps the (L, S) matrix of weights for its backward. The blocked
form never holds it: it walks over blocks of keys with a running maximum and a running sum (Milakov &
Gimelshein 2018; Rabe & Staats 2021; Dao et al. 2022), keeps the output and the log-sum-exp of each
row, and computes each block's weights again on the way back. It trades time for memory linear in L.

A row none of whose keys takes part is 0, and so is its gradient.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..engine import backend
from ..engine.adjoint import sum_to
from ..engine.backend import Array, xp_of
from ..engine.op import op
from ..engine.random import words
from .elementwise import where
from .linalg import matmul
from .logic import any as any_
from .logic import logical_and
from .shape import swapaxes
from .softmax import softmax

WHOLE = 1 << 24  # scores up to which the whole form is taken: 64 MiB in float32
CAUSAL = 512  # keys up to which it is taken if causal: beyond, the tiles that are skipped save time
BLOCK = 64  # keys to a block beyond that
CHUNK = 64  # columns whose dropout bits lie together in the stream

# ---------------------------------------------------------------- in plain ops


def _allowed(scores: Any, bias: Any, mask: Any, causal: bool) -> Any:
    """Where a key takes part, as booleans that broadcast to the scores; None if everywhere."""
    xp = xp_of(getattr(scores, "_data", scores))
    parts = [] if mask is None else [mask]
    parts += [] if bias is None else [bias > -math.inf]
    parts += [xp.tri(*np.shape(scores)[-2:], dtype=bool)] if causal else []
    found = parts[0] if parts else None
    for part in parts[1:]:
        found = logical_and(found, part)
    return found


def attention_weights(
    query: Any,
    key: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    causal: bool = False,
) -> Any:
    """softmax(q k^T scale + bias) over the keys that take part: (..., L, E), (..., S, E) -> (..., L, S).

    In plain ops; scale is 1 / sqrt(E) by default. A row without keys is 0.
    """
    factor = default_scale(query, scale)
    scores = matmul(query * factor, swapaxes(key, -1, -2))
    allowed = _allowed(scores, bias, mask, causal)
    scores = scores if bias is None else scores + bias
    return softmax(scores) if allowed is None else masked_softmax(scores, allowed)


def masked_softmax(scores: Any, allowed: Any) -> Any:
    """Softmax over the allowed elements of the last axis; a row without any is 0, and so is its gradient."""
    none = ~any_(allowed, axis=-1, keepdims=True)  # such rows count as all equal, then as nothing
    scores = where(allowed, scores, where(none, 0.0, -math.inf).astype(scores.dtype))
    return where(none, 0.0, softmax(scores))


def default_scale(query: Any, scale: float | None) -> float:
    """1 / sqrt(E) unless given."""
    return 1.0 / math.sqrt(max(np.shape(query)[-1], 1)) if scale is None else float(scale)


def _reference(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    *,
    scale: float | None,
    causal: bool,
    dropout_p: float,
    seed: tuple[int, int] | None,
    block_size: int | None,
) -> Any:
    """The same in plain ops."""
    weights = attention_weights(query, key, bias, mask, scale, causal)
    if dropout_p:
        xp = xp_of(getattr(query, "_data", query))
        kept = _kept(xp, np.shape(weights), slice(0, np.shape(weights)[-1]), dropout_p, seed)
        weights = where(kept, weights * _up(dropout_p), 0.0)
    return matmul(weights, value)


# ---------------------------------------------------------------- dropout bits


def _up(p: float) -> float:
    """What survivors are multiplied by."""
    return 1.0 / (1.0 - p) if p < 1.0 else 0.0


def _kept(xp: Any, shape: tuple, columns: slice, p: float, seed: Any) -> Array:
    """Which weights of these columns survive: a pure function of seed and place, however it is cut."""
    rows, limit = math.prod(shape[:-1]), round(p * 2.0**32)
    if limit == 1 << 32:
        return xp.zeros((*shape[:-1], columns.stop - columns.start), bool)
    per = rows * CHUNK // 2  # words: two draws of 32 bits each
    first, last = columns.start // CHUNK, -(-columns.stop // CHUNK)
    draws = [words(xp, seed, c * per, per).view(np.uint32) >= xp.uint32(limit) for c in range(first, last)]
    kept = backend.concatenate(xp, [d.reshape(*shape[:-1], CHUNK) for d in draws], axis=-1)
    return kept[..., columns.start - first * CHUNK : columns.stop - first * CHUNK]


# ---------------------------------------------------------------- one tile


class _Case(NamedTuple):
    """One call's arrays and settings; q is scaled."""

    xp: Any
    q: Array
    k: Array
    v: Array
    bias: Array | None
    mask: Array | None
    causal: bool
    p: float
    seed: Any

    @property
    def lead(self) -> tuple:
        """The leading axes of the scores."""
        return np.broadcast_shapes(self.q.shape[:-2], self.k.shape[:-2])

    def scores(self, rows: slice, cols: slice) -> Array:
        """One tile of q k^T + bias, in memory of its own: -inf where a key takes no part."""
        xp = self.xp
        s = backend.matmul(xp, self.q[..., rows, :], self.k[..., cols, :].swapaxes(-1, -2))
        if self.bias is not None:
            s = _plus(s, _part(self.bias, rows, cols))
        if self.mask is not None:
            s = _plus(s, _forbid(xp, _part(self.mask, rows, cols), s.dtype))
        if self.causal:  # a tile begins on the diagonal, and rows below its corner see all of it
            corner = s[..., : s.shape[-1], :]
            corner += _forbid(xp, xp.tri(*corner.shape[-2:], dtype=bool), s.dtype)
        return s

    def kept(self, rows: slice, cols: slice) -> Array | None:
        """The weights of a tile that dropout leaves."""
        if not self.p:
            return None
        shape = (*self.lead, self.q.shape[-2], self.k.shape[-2])
        return _kept(self.xp, shape, cols, self.p, self.seed)[..., rows, :]

    def tiles(self, size: int) -> Any:
        """Blocks of keys, each with the rows that may look at it."""
        rows, keys = self.q.shape[-2], self.k.shape[-2]
        for start in range(0, keys, size):
            first = min(start, rows) if self.causal else 0
            if first < rows:
                yield slice(first, rows), slice(start, min(start + size, keys))


def _part(a: Array, rows: slice, cols: slice) -> Array:
    """The tile of something that broadcasts to (..., L, S)."""
    if a.ndim > 1 and a.shape[-2] != 1:
        a = a[..., rows, :]
    return a[..., cols] if a.ndim and a.shape[-1] != 1 else a


def _forbid(xp: Any, allowed: Array, dtype: Any) -> Array:
    """0 where allowed, else -inf."""
    return xp.where(allowed, 0.0, -math.inf).astype(dtype)


def _plus(s: Array, b: Array) -> Array:
    """s + b, into s where the dtype allows."""
    if s.dtype != b.dtype:
        return s + b
    s += b
    return s


def _finite(xp: Any, top: Array) -> Array:
    """A row's maximum to shift by: 0 where it is infinite, so that -inf stays -inf."""
    return xp.where(xp.isfinite(top), top, 0.0).astype(top.dtype)


def _positive(xp: Any, total: Array) -> Array:
    """Row sums to divide by: 1 for rows without keys, where there is nothing to divide."""
    return xp.where(total == 0, 1.0, total).astype(total.dtype)


# ---------------------------------------------------------------- whole


def _whole(case: _Case) -> tuple[Array, tuple]:
    """The output, and for backward e^(s - max), the inverse row sums, the dropout mask."""
    xp, rows, cols = case.xp, slice(0, case.q.shape[-2]), slice(0, case.k.shape[-2])
    e = case.scores(rows, cols)
    e -= _finite(xp, e.real.max(axis=-1, keepdims=True))
    xp.exp(e, out=e)
    inverse = 1.0 / _positive(xp, e.sum(axis=-1, keepdims=True))
    kept = case.kept(rows, cols)
    y = backend.matmul(xp, e if kept is None else e * kept, case.v)
    y *= inverse * _up(case.p)
    return y, (e, inverse, kept)


# With P = softmax(q k^T), Y = (P m) V and m the dropout factors:
#   dV = (P m)^T G,  dP = (G V^T) m,  dS = P (dP - sum_j dP_j P_j),  dq = dS k,  dk = dS^T q,
# where sum_j dP_j P_j = sum_j m_j P_j (G . V_j) = G . Y needs no matrix. The bias takes dS itself.
def _tile_gradients(
    case: _Case, e: Array, kept: Any, g: Array, along: Array, v: Array, needs: tuple
) -> tuple:
    """(dS, dV) of one tile of P; m's factor is in g. With E for P, 1 / sum is in g and in along = G . Y."""
    xp, ds, dv = case.xp, None, None
    if needs[2]:
        dv = backend.matmul(xp, (e if kept is None else e * kept).swapaxes(-1, -2), g)
    if needs[0] or needs[1] or needs[3]:
        ds = backend.matmul(xp, g, v.swapaxes(-1, -2))
        if kept is not None:
            ds *= kept
        ds -= along
        ds *= e
    return ds, dv


def _whole_backward(case: _Case, g: Array, needs: tuple, y: Array, saved: tuple) -> list:
    """Gradients of scaled q, k, v, bias; not yet summed over what was broadcast."""
    xp, (e, inverse, kept) = case.xp, saved
    along = (g * y).sum(-1, keepdims=True) * inverse
    ds, dv = _tile_gradients(case, e, kept, g * (inverse * _up(case.p)), along, case.v, needs)
    dq = backend.matmul(xp, ds, case.k) if needs[0] else None
    dk = backend.matmul(xp, ds.swapaxes(-1, -2), case.q) if needs[1] else None
    return [dq, dk, dv, ds]


# ---------------------------------------------------------------- a block of keys at a time


def _blocked(case: _Case, size: int) -> tuple[Array, Array]:
    """The output, and for backward log sum e^s of each row."""
    xp, v, lead, rows = case.xp, case.v, case.lead, case.q.shape[-2]
    dtype = np.result_type(case.q.dtype, case.k.dtype)
    y = xp.zeros(
        (*np.broadcast_shapes(lead, v.shape[:-2]), rows, v.shape[-1]), np.result_type(dtype, v.dtype)
    )
    top = xp.full((*lead, rows, 1), -math.inf, dtype)
    total = xp.zeros((*lead, rows, 1), dtype)
    for r, c in case.tiles(size):
        e = case.scores(r, c)
        new = xp.maximum(top[..., r, :].real, e.real.max(axis=-1, keepdims=True))
        shift = _finite(xp, new)
        e -= shift
        xp.exp(e, out=e)
        shrink = xp.exp(top[..., r, :] - shift)  # what was summed so far had another shift
        total[..., r, :] = total[..., r, :] * shrink + e.sum(axis=-1, keepdims=True)
        kept = case.kept(r, c)
        if kept is not None:
            e *= kept
        y[..., r, :] = y[..., r, :] * shrink + backend.matmul(xp, e, v[..., c, :])
        top[..., r, :] = new
    total = _positive(xp, total)
    y *= _up(case.p) / total
    return y, _finite(xp, top) + xp.log(total)


def _blocked_backward(case: _Case, g: Array, needs: tuple, y: Array, lse: Array, size: int) -> list:
    """The same gradients: every block's weights once more, as e^(s - lse)."""
    xp, q, k, v = case.xp, case.q, case.k, case.v
    along, g = (g * y).sum(-1, keepdims=True), g * _up(case.p)
    wanted = zip((q, k, v, case.bias), needs, strict=False)
    dq, dk, dv, db = (xp.zeros(a.shape, a.dtype) if need else None for a, need in wanted)
    for r, c in case.tiles(size):
        e = case.scores(r, c)
        e -= lse[..., r, :]
        xp.exp(e, out=e)
        kept = case.kept(r, c)
        ds, part = _tile_gradients(case, e, kept, g[..., r, :], along[..., r, :], v[..., c, :], needs)
        if needs[0]:
            _add(dq[..., r, :], backend.matmul(xp, ds, k[..., c, :]))
        if needs[1]:
            _add(dk[..., c, :], backend.matmul(xp, ds.swapaxes(-1, -2), q[..., r, :]))
        if needs[2]:
            _add(dv[..., c, :], part)
        if needs[3]:
            _add(_part(db, r, c), ds)
    return [dq, dk, dv, db]


def _add(total: Array, part: Array) -> None:
    """total += part, summed over what was broadcast."""
    total += sum_to(part, total.shape)


# ---------------------------------------------------------------- the op


def _backward(
    g: Any, needs: tuple, y: Any, query: Any, key: Any, value: Any, bias: Any, mask: Any, saved: Any,
    scale: float | None, causal: bool, dropout_p: float, seed: Any, block_size: int | None,
) -> tuple:  # fmt: skip
    """All gradients at once, on raw arrays."""
    factor = default_scale(query, scale)
    case = _Case(xp_of(g), query * factor, key, value, bias, mask, causal, dropout_p, seed)
    if isinstance(saved, tuple):
        grads = _whole_backward(case, g, needs, y, saved)
    else:
        grads = _blocked_backward(case, g, needs, y, saved, _block_size(case, block_size))
    grads = (grads[0] * factor if needs[0] else None, *grads[1:])
    arrays = (query, key, value, bias)
    fitted = [sum_to(d, a.shape) if n else None for d, a, n in zip(grads, arrays, needs, strict=False)]
    return (*fitted, None)


def _block_size(case: _Case, block_size: int | None) -> int:
    """The block of keys: as given, else all of them up to WHOLE scores (and CAUSAL keys), else BLOCK."""
    rows, keys = case.q.shape[-2], case.k.shape[-2]
    if block_size is not None:
        return min(block_size, max(keys, 1))
    whole = math.prod(case.lead) * rows * keys <= WHOLE and not (case.causal and keys > CAUSAL)
    return max(keys, 1) if whole else BLOCK


def _check(q: Array, k: Array, v: Array, bias: Any, mask: Any) -> None:
    """Shapes and the mask's type."""
    shapes = f"{q.shape}, {k.shape}, {v.shape}"
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise ValueError(f"attention: expected at least 2 axes each, got {shapes}")
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ValueError(f"attention: expected (..., L, E), (..., S, E) and (..., S, Ev), got {shapes}")
    try:
        lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
        np.broadcast_shapes(lead, v.shape[:-2])
    except ValueError:
        raise ValueError(f"attention: expected leading axes that broadcast, got {shapes}") from None
    scores = (*lead, q.shape[-2], k.shape[-2])
    for name, a in (("bias", bias), ("mask", mask)):
        pairs = [] if a is None else zip(a.shape[::-1], scores[::-1], strict=False)
        if not all(m in (1, n) for m, n in pairs) or (a is not None and a.ndim > len(scores)):
            raise ValueError(f"attention: expected {name} that broadcasts to {scores}, got {a.shape}")
    if mask is not None and mask.dtype != bool:
        raise TypeError(f"attention: expected a boolean mask, got {mask.dtype}; an additive one is `bias`")


def _check_settings(p: float, seed: Any, block: Any) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"attention: expected a probability in [0, 1] (dropout_p={p})")
    if p and seed is None:
        raise ValueError(f"attention: expected two whole numbers that name the dropout bits (seed={seed})")
    whole = isinstance(block, int | np.integer) and not isinstance(block, bool)
    if block is not None and not (whole and block >= 1):
        raise ValueError(f"attention: expected a whole number >= 1 or None (block_size={block!r})")


@op(joint=_backward, reference=_reference, extra=True, mask=None)
def attention(
    xp: Any,
    query: Array,
    key: Array,
    value: Array,
    bias: Array | None = None,
    mask: Array | None = None,
    *,
    scale: float | None = None,
    causal: bool = False,
    dropout_p: float = 0.0,
    seed: tuple[int, int] | None = None,
    block_size: int | None = None,
) -> tuple[Array, Any]:
    """softmax(q k^T scale + bias) v: query (..., L, E), key (..., S, E), value (..., S, Ev) -> (..., L, Ev).

    Leading axes broadcast. `bias` is added to the scores and has a gradient; `mask` is boolean, True where
    a key takes part; both broadcast to (..., L, S). `causal`: key j takes part in row i if j <= i. A row
    without keys is 0. With dropout_p, weights are dropped by the bits of `seed`, two whole numbers.

    `block_size` keys are worked on at a time, and the (L, S) matrix is never held; a block of S or more is
    the whole matrix at once. None chooses: whole up to 2^24 scores and, if causal, up to 512 keys; else
    blocks of 64. Scale is 1 / sqrt(E) by default. Vaswani et al. 2017, section 3.2.1; Dao et al. 2022.
    Raises ValueError for shapes that do not fit.

    >>> import minigrad as mg
    >>> from minigrad.ops.attention import attention
    >>> v = mg.tensor([[2.0], [4.0]], requires_grad=True)
    >>> y = attention(mg.tensor([[1.0, 0.0]]), mg.tensor([[0.0, 1.0], [0.0, 1.0]]), v)
    >>> y.backward()
    >>> y, v.grad
    (tensor([[3.]], op=attention), tensor([[0.5],
           [0.5]]))
    """
    _check(query, key, value, bias, mask)
    _check_settings(dropout_p, seed, block_size)
    scaled = query * default_scale(query, scale)
    case = _Case(xp, scaled, key, value, bias, mask, causal, dropout_p, seed)
    size = _block_size(case, block_size)
    return _whole(case) if size >= key.shape[-2] > 0 else _blocked(case, size)
