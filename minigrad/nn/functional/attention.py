"""Attention with PyTorch's signatures."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...engine import random as stream
from ...engine.backend import is_float
from ...engine.live import live
from ...engine.recording import effect
from ...engine.tensor import Tensor
from ...ops.attention import attention, attention_weights
from ...ops.create import zeros
from ...ops.linalg import matmul
from ...ops.linear import linear
from ...ops.logic import logical_and, logical_not
from ...ops.packed_attention import packed_attention
from ...ops.shape import concatenate, expand, expand_dims, reshape, split, squeeze, transpose
from .dropout import dropout

__all__ = [
    "multi_head_attention_forward",
    "scaled_dot_product_attention",
]


@effect
def _fresh_seed() -> Any:
    """A name for one call's dropout bits, drawn from the default stream: two whole numbers.

    While a CUDA graph is captured they lie on the device, anew for every replay.
    """
    seed = live(lambda: stream.default_generator.bits(2), (2,), np.uint64)
    return (int(seed[0]), int(seed[1])) if isinstance(seed, np.ndarray) else seed


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(q k^T scale + mask) v: (..., Hq, L, E), (..., H, S, E), (..., H, S, Ev) -> (..., Hq, L, Ev).

    attn_mask broadcasts to (..., Hq, L, S): boolean, True where a key takes part, or added to the scores.
    is_causal: key j takes part in row i if j <= i. Scale is 1 / sqrt(E) by default. With enable_gqa each
    head of key and value serves Hq / H heads of query in turn (Ainslie et al. 2023). A row without keys is
    0 with zero gradient. Dropout works whatever the mode: pass 0.0 outside training. Beyond 2^24 scores,
    or 512 keys if causal, it runs blockwise in memory linear in L (see minigrad.ops.attention).

    Vaswani et al. 2017, eq. 1. Raises ValueError for shapes that do not fit, and for attn_mask and is_causal
    together.

    >>> import minigrad as mg
    >>> q = mg.tensor([[0.0], [0.0]])
    >>> mg.nn.functional.scaled_dot_product_attention(q, q, mg.tensor([[2.0], [4.0]]), is_causal=True)
    tensor([[2.],
            [3.]])
    """
    name = "scaled_dot_product_attention"
    if attn_mask is not None and is_causal:
        raise ValueError(f"{name}: expected attn_mask or is_causal, got both (is_causal=True)")
    if not query.dtype == key.dtype == value.dtype:
        told = f"{query.dtype}, {key.dtype}, {value.dtype}"
        raise TypeError(f"{name}: expected one dtype for query, key and value, got {told}")
    _check_mask_type(name, "attn_mask", attn_mask)
    if enable_gqa:
        return _grouped(query, key, value, attn_mask, dropout_p, is_causal, scale)
    bias, mask = (None, attn_mask) if attn_mask is None or attn_mask.dtype == bool else (attn_mask, None)
    return attention(
        query, key, value, bias, mask, scale=scale, causal=is_causal, dropout_p=dropout_p,
        seed=_fresh_seed() if dropout_p else None,
    )  # fmt: skip


def _check_mask_type(name: str, which: str, mask: Tensor | None) -> None:
    if mask is not None and mask.dtype != bool and not is_float(mask.dtype):
        raise TypeError(f"{name}: expected a boolean or floating mask, got {which} of {mask.dtype}")


def _grouped(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, p: float, causal: bool, scale: Any
) -> Tensor:
    """Grouped queries: an axis of length Hq / H behind the heads, along which key and value repeat."""
    heads = [x.shape[-3] if x.ndim > 2 else 0 for x in (query, key, value)]
    if 0 in heads or heads[1] != heads[2] or heads[0] % heads[1]:
        raise ValueError(
            "scaled_dot_product_attention: expected heads of query divisible by those of key and value "
            f"(enable_gqa=True), got {query.shape}, {key.shape}, {value.shape}"
        )
    h, each = heads[1], heads[0] // heads[1]
    if mask is not None and mask.ndim > 2:
        one = mask.shape[-3] == 1
        cut = (1, 1) if one else (h, each)
        mask = reshape(mask, (*mask.shape[:-3], *cut, *mask.shape[-2:]))
    q = reshape(query, (*query.shape[:-3], h, each, *query.shape[-2:]))
    k, v = expand_dims(key, -3), expand_dims(value, -3)
    y = scaled_dot_product_attention(q, k, v, mask, p, causal, scale=scale)
    return reshape(y, (*y.shape[:-4], h * each, *y.shape[-2:]))


# ---------------------------------------------------------------- many heads

_NAME = "multi_head_attention_forward"


def _check_inputs(
    query: Tensor, key: Tensor, value: Tensor, embed_dim: int, num_heads: int, batch_first: bool
) -> None:
    """(L, N, E), (S, N, Ek), (S, N, Ev), all with N or all without; N before L and S with batch_first."""
    shapes = f"{query.shape}, {key.shape}, {value.shape}"
    if query.ndim not in (2, 3) or not query.ndim == key.ndim == value.ndim:
        raise ValueError(
            f"{_NAME}: expected query, key and value of 3 axes, or 2 without a batch, got {shapes}"
        )
    if query.shape[-1] != embed_dim:
        raise ValueError(f"{_NAME}: expected query of width embed_dim={embed_dim}, got {query.shape}")
    if embed_dim % num_heads:
        raise ValueError(
            f"{_NAME}: expected embed_dim={embed_dim} divisible by num_heads (num_heads={num_heads})"
        )
    n = 0 if batch_first else 1
    if key.shape[:-1] != value.shape[:-1] or (query.ndim == 3 and query.shape[n] != key.shape[n]):
        raise ValueError(f"{_NAME}: expected (L, N, E), (S, N, Ek) and (S, N, Ev), got {shapes}")


def _check_masks(sizes: tuple[int, int, int], batched: bool, num_heads: int, padding: Any, mask: Any) -> None:
    """Shapes before anything is appended to the keys, and types."""
    (batch, rows, keys), lead = sizes, sizes[:1] if batched else ()
    _check_mask_type(_NAME, "key_padding_mask", padding)
    _check_mask_type(_NAME, "attn_mask", mask)
    if padding is not None and padding.shape != (*lead, keys):
        raise ValueError(f"{_NAME}: expected key_padding_mask {(*lead, keys)}, got {padding.shape}")
    three = (batch * num_heads, rows, keys)
    if mask is not None and mask.shape not in (three, three[1:]):
        raise ValueError(f"{_NAME}: expected attn_mask {three[1:]} or {three}, got {mask.shape}")


def _projected(q: Tensor, k: Tensor, v: Tensor, packed: Any, bias: Any, separate: Any) -> list[Tensor]:
    """x W^T + b of each, from one packed weight (3 E, E) or three."""
    weights = separate or (None if packed is None else split(packed, 3))
    if weights is None or any(w is None for w in weights):
        which = "q_proj_weight, k_proj_weight and v_proj_weight" if separate else "in_proj_weight"
        raise ValueError(f"{_NAME}: expected {which}, got None (use_separate_proj_weight={bool(separate)})")
    biases = [None] * 3 if bias is None else split(bias, 3)
    return [linear(x, w, b) for x, w, b in zip((q, k, v), weights, biases, strict=True)]


def _with_bias(
    k: Tensor, v: Tensor, bias_k: Any, bias_v: Any, static: bool, time: int
) -> tuple[Tensor, Tensor]:
    """One learned key and value after the others, along the axis `time`."""
    if (bias_k is None) != (bias_v is None) or (bias_k is not None and static):
        raise ValueError(f"{_NAME}: expected bias_k and bias_v together, and without static_k and static_v")
    if bias_k is None:
        return k, v
    shape = list(k.shape)
    shape[time] = 1
    spread = lambda b: expand(reshape(b, (1, 1, -1)), shape)
    return concatenate([k, spread(bias_k)], time), concatenate([v, spread(bias_v)], time)


def _with_zero(x: Tensor) -> Tensor:
    """(N, H, S, D) with one key of zeros more."""
    return concatenate([x, zeros((*x.shape[:2], 1, x.shape[3]), dtype=x.dtype, device=x.device)], 2)


def _heads(x: Tensor, num_heads: int, batch_first: bool) -> Tensor:
    """(S, N, E), or (N, S, E), -> (N, num_heads, S, E / num_heads): a view, nothing is moved."""
    *lead, e = x.shape
    return transpose(
        reshape(x, (*lead, num_heads, e // num_heads)), (0, 2, 1, 3) if batch_first else (1, 2, 0, 3)
    )


def _packed_heads(
    x: Tensor, weight: Tensor, bias: Tensor | None, num_heads: int, batch_first: bool
) -> Tensor:
    """Query, key and value of one tensor by one product: (3, N, num_heads, S, E / num_heads), a view."""
    y = linear(x, weight, bias)
    if y.shape[-1] % (3 * num_heads):
        raise ValueError(f"{_NAME}: expected in_proj_weight (3 E, E), got {weight.shape}")
    y = reshape(y, (*y.shape[:-1], 3, num_heads, y.shape[-1] // (3 * num_heads)))
    return transpose(y, (2, 0, 3, 1, 4) if batch_first else (2, 1, 3, 0, 4))


def _side_by_side(y: Tensor, batch_first: bool) -> Tensor:
    """_heads undone."""
    y = transpose(y, (0, 2, 1, 3) if batch_first else (2, 0, 1, 3))
    return reshape(y, (*y.shape[:2], y.shape[2] * y.shape[3]))


def _static(name: str, given: Tensor | None, own: Tensor) -> Tensor:
    """What is given in place of the projection."""
    if given is None:
        return own
    n, h, _, d = own.shape
    if given.ndim != 3 or given.shape[0] != n * h or given.shape[2] != d:
        raise ValueError(f"{_NAME}: expected {name} ({n * h}, S, {d}), got {given.shape}")
    return reshape(given, (n, h, given.shape[1], d))


def _more_keys(mask: Tensor, keys: int) -> Tensor:
    """The mask with columns for the keys that were appended, all of which take part."""
    extra = keys - mask.shape[-1]
    if not extra:
        return mask
    return concatenate([mask, zeros((*mask.shape[:-1], extra), dtype=mask.dtype, device=mask.device)], -1)


def _joined(mask: Tensor | None, padding: Tensor | None, n: int, keys: int) -> tuple[Any, Any]:
    """(additive, boolean with True = takes part) out of both masks, each broadcasting to (N, H, L, S)."""
    bias = allowed = None
    if mask is not None and mask.ndim == 3:
        mask = reshape(mask, (n, len(mask) // max(n, 1), *mask.shape[1:]))
    if padding is not None:
        padding = reshape(padding, (n, 1, 1, padding.shape[-1]))
    for m in (mask, padding):
        if m is None:
            continue
        m = _more_keys(m, keys)
        if m.dtype == bool:
            m = logical_not(m)
            allowed = m if allowed is None else logical_and(allowed, m)
        else:
            bias = m if bias is None else bias + m
    return bias, allowed


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """(concat_h attention(q W_q^h, k W_k^h, v W_v^h) W_o, weights): Vaswani et al. 2017, section 3.2.2.

    query (L, N, E), key (S, N, Ek), value (S, N, Ev), or all three without N -> (L, N, E), and the weights
    (N, L, S), averaged over heads, or (N, num_heads, L, S), or None unless need_weights. attn_mask (L, S) or
    (N num_heads, L, S) and key_padding_mask (N, S): True where a key takes NO part, or added to the scores.
    is_causal is a hint that attn_mask is the causal mask, used in its place where there is no padding mask
    and no weights are asked for. A row without keys gets weights 0 (PyTorch: nan with need_weights).
    static_k and static_v (N num_heads, S, E / num_heads) stand for the projected key and value.

    Raises ValueError where shapes do not fit, TypeError for masks of other types.
    """
    return many_heads(**locals(), batch_first=False)


def many_heads(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int,
    in_proj_weight: Any, in_proj_bias: Any, bias_k: Any, bias_v: Any, add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Tensor, out_proj_bias: Any, training: bool, key_padding_mask: Any, need_weights: bool,
    attn_mask: Any, use_separate_proj_weight: bool, q_proj_weight: Any, k_proj_weight: Any,
    v_proj_weight: Any, static_k: Any, static_v: Any, average_attn_weights: bool, is_causal: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """multi_head_attention_forward, with N before L and S in query, key, value and result if batch_first."""
    _check_inputs(query, key, value, embed_dim_to_check, num_heads, batch_first)
    if is_causal and attn_mask is None:
        raise ValueError(
            f"{_NAME}: expected attn_mask beside is_causal, which is only a hint (attn_mask=None)"
        )
    batched, to_itself = query.ndim == 3, query is key and key is value
    if not batched:
        query, key, value, batch_first = (*(expand_dims(x, 1) for x in (query, key, value)), False)
    n, time = (0, 1) if batch_first else (1, 0)
    sizes = query.shape[n], query.shape[time], key.shape[time]
    _check_masks(sizes, batched, num_heads, key_padding_mask, attn_mask)
    if not batched and key_padding_mask is not None:
        key_padding_mask = expand_dims(key_padding_mask, 0)
    causal = is_causal and key_padding_mask is None and not need_weights
    p, weights = dropout_p if training else 0.0, None
    how = {"causal": causal, "dropout_p": p, "seed": _fresh_seed() if p and not need_weights else None}
    mask = None if causal else attn_mask
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    added = add_zero_attn or any(x is not None for x in (separate, bias_k, bias_v, static_k, static_v))
    if to_itself and not (added or need_weights or in_proj_weight is None):
        qkv = _packed_heads(query, in_proj_weight, in_proj_bias, num_heads, batch_first)
        y = packed_attention(qkv, *_joined(mask, key_padding_mask, sizes[0], sizes[2]), **how)
    else:
        q, k, v = _projected(query, key, value, in_proj_weight, in_proj_bias, separate)
        k, v = _with_bias(k, v, bias_k, bias_v, static_k is not None or static_v is not None, time)
        q, k, v = (_heads(x, num_heads, batch_first) for x in (q, k, v))
        k, v = _static("static_k", static_k, k), _static("static_v", static_v, v)
        k, v = (_with_zero(k), _with_zero(v)) if add_zero_attn else (k, v)
        masks = _joined(mask, key_padding_mask, q.shape[0], k.shape[2])
        if need_weights:
            weights = dropout(attention_weights(q, k, *masks), p, bool(p))
            y = matmul(weights, v)
            weights = weights.mean(1) if average_attn_weights else weights
        else:
            y = attention(q, k, v, *masks, **how)
    y = linear(_side_by_side(y, batch_first), out_proj_weight, out_proj_bias)
    return (y, weights) if batched else (squeeze(y, 1), None if weights is None else squeeze(weights, 0))
