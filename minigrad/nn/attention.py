"""Attention layers: many heads (Vaswani 2017), and the scores that came before them."""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from ..ops.attention import masked_softmax
from ..ops.linalg import matmul
from ..ops.linear import linear
from ..ops.shape import expand_dims, squeeze, swapaxes
from ..ops.softmax import softmax
from ..ops.trig import tanh
from . import functional as F
from . import init
from .functional.attention import many_heads
from .functional.dropout import check_probability
from .linear import Linear
from .module import Module
from .parameter import check_size, new_parameter

__all__ = [
    "AdditiveAttention",
    "ContentAddressing",
    "LuongAttention",
    "MultiheadAttention",
]


class NonDynamicallyQuantizableLinear(Linear):
    """A Linear; PyTorch shows the output projection under this name."""


class MultiheadAttention(Module):
    """concat_h softmax(q_h k_h^T / sqrt(D) + mask) v_h, projected: Vaswani et al. 2017, section 3.2.2.

    query (L, N, E), key (S, N, kdim), value (S, N, vdim) -> output (L, N, E), weights (N, L, S) or None;
    with batch_first N comes before L and S; without a batch N is left out. Raises ValueError for sizes that
    do not fit.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> x = mg.ones(4, 2, 6)
    >>> y, weights = nn.MultiheadAttention(6, num_heads=2)(x, x, x)
    >>> y.shape, weights[0, 0].detach()
    ((4, 2, 6), tensor([0.25, 0.25, 0.25, 0.25]))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        kdim, vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        check_size("MultiheadAttention", embed_dim=embed_dim, num_heads=num_heads, kdim=kdim, vdim=vdim)
        if embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention: expected embed_dim divisible by num_heads "
                f"(embed_dim={embed_dim}, num_heads={num_heads})"
            )
        check_probability("MultiheadAttention", dropout=dropout)
        self.embed_dim, self.kdim, self.vdim = embed_dim, kdim, vdim
        self.num_heads, self.head_dim = num_heads, embed_dim // num_heads
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        self._qkv_same_embed_dim = kdim == vdim == embed_dim
        new = lambda *shape: new_parameter(*shape, device=device, dtype=dtype)
        packed, e = self._qkv_same_embed_dim, embed_dim
        self.q_proj_weight = None if packed else new(e, e)
        self.k_proj_weight = None if packed else new(e, kdim)
        self.v_proj_weight = None if packed else new(e, vdim)
        self.in_proj_weight = new(3 * e, e) if packed else None
        self.in_proj_bias = new(3 * e) if bias else None
        self.bias_k = new(1, 1, e) if add_bias_kv else None
        self.bias_v = new(1, 1, e) if add_bias_kv else None
        self.out_proj = NonDynamicallyQuantizableLinear(e, e, bias=bias, device=device, dtype=dtype)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Glorot-uniform projections, biases 0; the output's weight is Linear's own."""
        for w in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if w is not None:
                init.xavier_uniform_(w)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for b in (self.bias_k, self.bias_v):
            if b is not None:
                init.xavier_normal_(b)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(output, weights or None); masks as in F.multi_head_attention_forward."""
        return many_heads(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias,
            self.bias_k, self.bias_v, self.add_zero_attn, self.dropout, self.out_proj.weight,
            self.out_proj.bias, self.training, key_padding_mask, need_weights, attn_mask,
            not self._qkv_same_embed_dim, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight, None,
            None, average_attn_weights, is_causal, self.batch_first,
        )  # fmt: skip


# ---------------------------------------------------------------- one head, other scores (ours)


def _attend(name: str, scores: Tensor, value: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """(weights v, weights) of scores (..., L, S); mask (..., S) or (..., L, S), True = the key takes part."""
    if value.ndim < 2 or value.shape[-2] != scores.shape[-1]:
        raise ValueError(f"{name}: expected value (..., {scores.shape[-1]}, Ev), got {value.shape}")
    if mask is None:
        weights = softmax(scores)
        return matmul(weights, value), weights
    if mask.dtype != bool:
        raise TypeError(f"{name}: expected a boolean mask, got {mask.dtype}")
    rows = expand_dims(mask, -2) if mask.ndim == scores.ndim - 1 else mask
    if rows.ndim > scores.ndim or any(m not in (1, n) for m, n in zip(rows.shape[::-1], scores.shape[::-1])):
        wanted = f"{scores.shape} or {scores.shape[:-2] + scores.shape[-1:]}"
        raise ValueError(f"{name}: expected mask {wanted}, got {mask.shape}")
    weights = masked_softmax(scores, rows)
    return matmul(weights, value), weights


def _check_widths(name: str, **widths: tuple[Tensor, int]) -> None:
    """Each tensor's last axis, by name."""
    for which, (x, wanted) in widths.items():
        if x.ndim < 2 or x.shape[-1] != wanted:
            raise ValueError(f"{name}: expected {which} (..., n, {wanted}), got {x.shape}")


class AdditiveAttention(Module):
    """scores e_ij = v . tanh(W q_i + U k_j): Bahdanau, Cho & Bengio 2015, section A.1.2.

    query (..., L, query_dim), key (..., S, key_dim), value (..., S, Ev), the keys by default
    -> (output (..., L, Ev), weights (..., L, S)). mask (..., S) or (..., L, S): True where a key takes part.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> attend = nn.AdditiveAttention(3, 4, hidden_dim=5)
    >>> y, weights = attend(mg.ones(2, 1, 3), mg.ones(2, 6, 4))
    >>> y.shape, weights.shape
    ((2, 1, 4), (2, 1, 6))
    """

    def __init__(
        self,
        query_dim: int,
        key_dim: int,
        hidden_dim: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_size("AdditiveAttention", query_dim=query_dim, key_dim=key_dim, hidden_dim=hidden_dim)
        self.query_dim, self.key_dim, self.hidden_dim = query_dim, key_dim, hidden_dim
        self.query_proj = Linear(query_dim, hidden_dim, bias=bias, device=device, dtype=dtype)
        self.key_proj = Linear(key_dim, hidden_dim, bias=False, device=device, dtype=dtype)
        self.score = Linear(hidden_dim, 1, bias=False, device=device, dtype=dtype)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """(output, weights)."""
        _check_widths("AdditiveAttention", query=(query, self.query_dim), key=(key, self.key_dim))
        q, k = expand_dims(self.query_proj(query), -2), expand_dims(self.key_proj(key), -3)
        scores = squeeze(self.score(tanh(q + k)), -1)  # (..., L, S)
        return _attend("AdditiveAttention", scores, key if value is None else value, mask)


class LuongAttention(Module):
    """Scores of Luong, Pham & Manning 2015, section 3.1, by name:

    'dot' q . k;  'general' q . W k;  'concat' v . tanh(W [q; k]);  'location' (W q)_j, which looks at the
    query alone and knows max_length positions.

    query (..., L, query_dim), key (..., S, key_dim), value (..., S, Ev), the keys by default
    -> (output (..., L, Ev), weights (..., L, S)). mask (..., S) or (..., L, S): True where a key takes part.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> y, weights = nn.LuongAttention(1, 1, 'dot')(mg.tensor([[0.0]]), mg.tensor([[2.0], [4.0]]))
    >>> y, weights
    (tensor([[3.]]), tensor([[0.5, 0.5]]))
    """

    def __init__(
        self,
        query_dim: int,
        key_dim: int,
        score: str = "general",
        hidden_dim: int | None = None,
        max_length: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_size("LuongAttention", query_dim=query_dim, key_dim=key_dim)
        sizes = {
            "dot": {},
            "general": {},
            "concat": {"hidden_dim": hidden_dim},
            "location": {"max_length": max_length},
        }
        if score not in sizes:
            raise ValueError(f"LuongAttention: expected one of {', '.join(sizes)} (score={score!r})")
        check_size("LuongAttention", **sizes[score])
        for name, size in (("hidden_dim", hidden_dim), ("max_length", max_length)):
            if size is not None and name not in sizes[score]:
                raise ValueError(
                    f"LuongAttention: score={score!r} has no {name}, leave it None ({name}={size})"
                )
        if score == "dot" and query_dim != key_dim:
            raise ValueError(f"LuongAttention: 'dot' expects equal widths, got {query_dim} and {key_dim}")
        self.query_dim, self.key_dim, self.kind, self.max_length = query_dim, key_dim, score, max_length
        new = lambda m, n: Linear(m, n, bias=False, device=device, dtype=dtype)
        if score == "general":
            self.proj = new(key_dim, query_dim)
        elif score == "concat":
            self.proj, self.score = new(query_dim + key_dim, hidden_dim), new(hidden_dim, 1)
        elif score == "location":
            self.proj = new(query_dim, max_length)

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        """(..., L, S)."""
        keys = key.shape[-2]
        if self.kind == "location":
            if keys > self.max_length:
                raise ValueError(
                    f"LuongAttention: expected at most max_length={self.max_length} keys, got {keys}"
                )
            return self.proj(query)[..., :keys]
        if self.kind == "concat":  # W [q; k] = W_q q + W_k k, without joining every pair
            w = self.proj.weight
            q, k = linear(query, w[:, : self.query_dim]), linear(key, w[:, self.query_dim :])
            return squeeze(self.score(tanh(expand_dims(q, -2) + expand_dims(k, -3))), -1)
        return matmul(query, swapaxes(self.proj(key) if self.kind == "general" else key, -1, -2))

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """(output, weights)."""
        _check_widths("LuongAttention", query=(query, self.query_dim), key=(key, self.key_dim))
        scores = self._scores(query, key)
        return _attend("LuongAttention", scores, key if value is None else value, mask)

    def extra_repr(self) -> str:
        """Widths and score."""
        return f"query_dim={self.query_dim}, key_dim={self.key_dim}, score={self.kind!r}"


class ContentAddressing(Module):
    """Read a memory by likeness: w = softmax(beta cos(key, m_j)), r = sum_j w_j m_j.

    Graves, Wayne & Danihelka 2014, eqs. 5, 6 and 2. memory (..., S, D), key (..., L, D), beta (..., L), the
    sharpness, > 0 -> (read (..., L, D), weights (..., L, S)). |key| |m_j| is kept from 0 by eps.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> memory, key = mg.tensor([[1.0, 0.0], [0.0, 1.0]]), mg.tensor([[2.0, 0.0]])
    >>> read, w = nn.ContentAddressing()(memory, key, beta=1000.0)
    >>> w
    tensor([[1., 0.]])
    """

    def __init__(self, eps: float = 1e-8) -> None:
        super().__init__()
        if not eps > 0:
            raise ValueError(f"ContentAddressing: expected eps > 0 (eps={eps})")
        self.eps = eps

    def forward(
        self, memory: Tensor, key: Tensor, beta: Tensor | float, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """(read, weights)."""
        _check_widths("ContentAddressing", memory=(memory, key.shape[-1]), key=(key, memory.shape[-1]))
        unit = lambda x: F.normalize(x, dim=-1, eps=self.eps)
        alike = matmul(unit(key), swapaxes(unit(memory), -1, -2))  # cosines (..., L, S)
        sharp = beta if isinstance(beta, int | float) else expand_dims(beta, -1)
        return _attend("ContentAddressing", sharp * alike, memory, mask)

    def extra_repr(self) -> str:
        """The guard."""
        return f"eps={self.eps}"
