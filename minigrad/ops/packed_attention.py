"""Self-attention from one array that holds query, key and value: what one product of a layer gives at once.

It is attention(packed[0], packed[1], packed[2]). As one op its gradient is one array too; apart, each part
would send back an array of the whole's size, zero but for a third, and the three would have to be added.
"""

from __future__ import annotations

from typing import Any

from ..engine.backend import Array, xp_of
from ..engine.op import op
from .attention import attention


def _reference(packed: Any, bias: Any = None, mask: Any = None, **how: Any) -> Any:
    """The same in plain ops."""
    return attention.op.reference(packed[0], packed[1], packed[2], bias, mask, **how)


def _backward(
    g: Any, needs: tuple, y: Any, packed: Any, bias: Any, mask: Any, saved: Any,
    scale: float | None, causal: bool, dropout_p: float, seed: Any, block_size: int | None,
) -> tuple:  # fmt: skip
    """The gradients of attention, three of them in one array."""
    apart = (*[needs[0]] * 3, needs[1], False)
    how = (scale, causal, dropout_p, seed, block_size)
    *parts, db, _ = attention.op.joint(g, apart, y, *packed, bias, mask, saved, *how)
    return xp_of(g).stack(parts) if needs[0] else None, db, None


@op(joint=_backward, reference=_reference, extra=True, mask=None)
def packed_attention(
    xp: Any,
    packed: Array,
    bias: Array | None = None,
    mask: Array | None = None,
    *,
    scale: float | None = None,
    causal: bool = False,
    dropout_p: float = 0.0,
    seed: tuple[int, int] | None = None,
    block_size: int | None = None,
) -> tuple[Array, Any]:
    """attention(q, k, v) of packed = (q, k, v), (3, ..., L, E) -> (..., L, E); the rest as there.

    >>> import minigrad as mg
    >>> from minigrad.ops.packed_attention import packed_attention
    >>> packed_attention(mg.tensor([[[1.0], [1.0]], [[0.0], [0.0]], [[2.0], [4.0]]]))
    tensor([[3.],
            [3.]])
    """
    if packed.ndim < 3 or len(packed) != 3:
        raise ValueError(f"packed_attention: expected (3, ..., L, E), got {packed.shape}")
    how = {"scale": scale, "causal": causal, "dropout_p": dropout_p, "seed": seed, "block_size": block_size}
    return attention.op.forward(xp, *packed, bias, mask, **how)
