"""How attention reaches the input through many layers: attention roll-out, and the weights it needs."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping
from typing import Any

from ...engine.backend import xp_of
from ...engine.recording import no_grad
from ...engine.tensor import Tensor, wrap
from ...nn.attention import MultiheadAttention
from ...nn.module import Module
from ..layers import check_model, on_model, still

__all__ = ["attention_rollout", "attention_weights"]


def attention_weights(model: Module, *inputs: Any, **options: Any) -> dict[str, Tensor]:
    """{name: weights (N, heads, L, S)} of every MultiheadAttention that runs in model(*inputs).

    In the order in which they run, in eval mode; a layer that runs again is listed as "name (2)". Layers that
    do not ask for their weights, such as those of TransformerEncoder, are made to give them, and return
    what their caller expects all the same. Raises ValueError if no MultiheadAttention runs.

    >>> import minigrad as mg
    >>> from minigrad import inspect, nn
    >>> layer = nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16, batch_first=True)
    >>> net = nn.TransformerEncoder(layer, num_layers=2)
    >>> {name: w.shape for name, w in inspect.attention_weights(net, mg.ones(1, 5, 8)).items()}
    {'layers.0.self_attn': (1, 2, 5, 5), 'layers.1.self_attn': (1, 2, 5, 5)}
    """
    check_model("attention_weights", model)
    found: dict[str, Tensor] = {}
    with no_grad(), still(model), contextlib.ExitStack() as hooks:
        for name, module in model.named_modules():
            if isinstance(module, MultiheadAttention):
                _collect(hooks, name or "attention", module, found)
        model(*[on_model(model, x) for x in inputs], **options)
    if not found:
        raise ValueError(f"attention_weights: {type(model).__name__} runs no MultiheadAttention")
    return found


def _collect(hooks: contextlib.ExitStack, name: str, module: MultiheadAttention, found: dict) -> None:
    """Ask one layer for the weights of each head, keep them, and hand on what was asked for."""
    asked: list[dict[str, Any]] = []
    parameters = inspect.signature(module.forward)

    def before(module: Module, args: tuple, kw: dict) -> tuple[tuple, dict]:
        bound = parameters.bind(*args, **kw)
        bound.apply_defaults()
        given = dict(bound.arguments)
        asked.append(given)
        return (), {**given, "need_weights": True, "average_attn_weights": False}

    def after(module: Module, args: tuple, kw: dict, y: Any) -> Any:
        out, weights = y
        batched = weights if weights.ndim == 4 else weights[None]
        again = sum(key == name or key.startswith(f"{name} (") for key in found)
        found[f"{name} ({again + 1})" if again else name] = batched.detach()
        given = asked.pop()
        if not given["need_weights"]:
            return out, None
        return out, weights.mean(-3) if given["average_attn_weights"] else weights

    hooks.enter_context(module.register_forward_pre_hook(before, with_kwargs=True))
    hooks.enter_context(module.register_forward_hook(after, with_kwargs=True))


def attention_rollout(weights: Any, residual: float = 0.5) -> Tensor:
    """R = A'_L ... A'_1, A' = (1 - residual) A + residual I: Abnar & Zuidema 2020, section 3.

    weights: the matrices of the layers from the first to the last, as attention_weights() gives them or as
    any sequence; each (N, heads, T, T), whose heads are averaged, (N, T, T) or (T, T). Returns (N, T, T) or
    (T, T): how much of each input (column) has reached each output (row); rows add up to 1. residual: the
    share that the shortcut around each attention carries. Raises ValueError for shapes that do not fit.

    >>> from minigrad import inspect
    >>> inspect.attention_rollout([[[0.5, 0.5], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
    tensor([[0.75 , 0.25 ],
            [0.375, 0.625]])
    """
    if not 0 <= residual < 1:
        raise ValueError(f"attention_rollout: expected a share in [0, 1) (residual={residual})")
    layers = [_matrix(w) for w in (weights.values() if isinstance(weights, Mapping) else weights)]
    if not layers:
        raise ValueError("attention_rollout: expected the weights of at least one layer (weights=[])")
    shapes = {w.shape for w in layers}
    if len(shapes) > 1 or layers[0].ndim not in (2, 3) or layers[0].shape[-1] != layers[0].shape[-2]:
        raise ValueError(
            "attention_rollout: expected the same (N, heads, T, T), (N, T, T) or (T, T) from every layer, "
            f"got {', '.join(str(w.shape) for w in layers)}"
        )
    total = None
    for a in layers:
        mixed = (1 - residual) * a + residual * xp_of(a).eye(a.shape[-1], dtype=a.dtype)
        mixed = mixed / mixed.sum(-1, keepdims=True)
        total = mixed if total is None else mixed @ total
    return wrap(total, None)


def _matrix(weights: Any) -> Any:
    """One layer's, raw, heads averaged."""
    raw = weights._data if isinstance(weights, Tensor) else Tensor(weights)._data
    return raw.mean(1) if raw.ndim == 4 else raw
