"""Run a model to look at it: what each layer gave, in eval mode, leaving nothing changed behind.

Whatever happens in between, afterwards every module's training flag, every hook, every parameter and every
`.grad` is what it was. All pictures and explanations of networks run their models here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np

from ..engine.recording import enable_grad, no_grad
from ..engine.tensor import Tensor
from ..nn.module import Module

__all__ = ["layer_outputs"]


class Call(NamedTuple):
    """One call of one layer."""

    name: str  # dotted; from the second call on with its number, "relu (2)"
    module: Module
    inputs: tuple
    output: Any
    innermost: bool  # no other layer ran inside it


def layer_outputs(model: Module, *inputs: Any, **options: Any) -> dict[str, Any]:
    """{name: output} of every layer that ran in model(*inputs), in the order in which they finished.

    Outputs are detached Tensors (or tuples of them), in eval mode. A layer that ran again is listed again as
    "name (2)". inputs: Tensors, or arrays, which take the model's dtype and device. Raises TypeError if model
    is no Module.

    >>> import minigrad as mg
    >>> from minigrad import inspect, nn
    >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> {name: y.shape for name, y in inspect.layer_outputs(net, mg.ones(5, 3)).items()}
    {'0': (5, 4), '1': (5, 4), '2': (5, 2)}
    """
    check_model("layer_outputs", model)
    with no_grad():
        _, calls = run(model, *[on_model(model, x) for x in inputs], **options)
    return {call.name: _detached(call.output) for call in calls}


def _detached(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(_detached(v) for v in value)
    return value.detach() if isinstance(value, Tensor) else value


# ---------------------------------------------------------------- running


def run(model: Module, *inputs: Any, **options: Any) -> tuple[Any, list[Call]]:
    """(output, the calls of all layers inside in the order in which they finished), in eval mode."""
    calls: list[Call] = []
    running: list[bool] = []  # of the layers that run now: whether nothing has run inside them yet
    times: dict[str, int] = {}

    def before(module: Module, args: tuple) -> None:
        running[:] = [False] * len(running) + [True]

    def after(name: str) -> Any:
        def hook(module: Module, args: tuple, y: Any) -> None:
            times[name] = times.get(name, 0) + 1
            label = name if times[name] == 1 else f"{name} ({times[name]})"
            calls.append(Call(label, module, args, y, running.pop()))

        return hook

    with still(model), contextlib.ExitStack() as hooks:
        for name, module in model.named_modules():
            if name:
                hooks.enter_context(module.register_forward_pre_hook(before))
                hooks.enter_context(module.register_forward_hook(after(name)))
        y = model(*inputs, **options)
    return y, calls


@contextlib.contextmanager
def still(model: Module) -> Iterator[None]:
    """Eval mode until the end of the block; then each module is as it was, also after an error."""
    flags = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in flags:
            module.training = training


def scored(where: str, model: Module, x: Tensor) -> tuple[Tensor, list[Call]]:
    """(scores (N, K), all calls), recorded for gradients even inside no_grad()."""
    with enable_grad():
        y, calls = run(model, x)
    if not isinstance(y, Tensor) or y.ndim != 2 or len(y) != len(x):
        got = f"shape {y.shape}" if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(
            f"{where}: expected a model that gives scores ({len(x)}, K) for x {x.shape}, got {got}"
        )
    return y, calls


# ---------------------------------------------------------------- what goes in


def check_model(where: str, model: Any) -> None:
    """TypeError unless it is a Module."""
    if not isinstance(model, Module):
        raise TypeError(f"{where}: expected a Module (model), got {type(model).__name__}")


def on_model(model: Module, x: Any) -> Tensor:
    """A Tensor without its history; anything else on the model's device, floats in the model's dtype."""
    if isinstance(x, Tensor):
        return x.detach()
    first = next(iter(model.parameters()), None)
    raw = np.asarray(x)
    if first is None:
        return Tensor(raw)
    return Tensor(raw, dtype=first.dtype if raw.dtype.kind == "f" else None, device=first.device)


SHAPES = {2: "(N, D)", 3: "(N, C, L)", 4: "(N, C, H, W)"}


def real_input(where: str, model: Any, x: Any, axes: tuple[int, ...] = ()) -> Tensor:
    """x as a fresh leaf that requires grad. TypeError for integers, ValueError for other numbers of axes."""
    check_model(where, model)
    leaf = on_model(model, x)
    if leaf.dtype.kind != "f":
        raise TypeError(
            f"{where}: expected real numbers, which have gradients (x is {leaf.dtype}); scale to floats"
        )
    if axes and leaf.ndim not in axes:
        wanted = " or ".join(SHAPES[n] for n in axes)
        raise ValueError(
            f"{where}: expected x {wanted}, got shape {leaf.shape}; for one image give image[None]"
        )
    if leaf.size == 0:
        raise ValueError(f"{where}: expected at least one sample, got shape {leaf.shape}")
    return leaf.requires_grad_()


def targets_of(where: str, scores: Tensor, target: Any) -> np.ndarray:
    """Class numbers (N,): one for all, one for each sample, or the model's own answers where None."""
    n, k = scores.shape
    if target is None:
        return scores.detach().cpu().numpy().argmax(1)
    given = np.asarray(target.detach().cpu() if isinstance(target, Tensor) else target)
    if given.dtype.kind not in "iu":
        raise TypeError(f"{where}: expected integer classes (target is {given.dtype})")
    if given.shape not in ((), (n,)) or given.min() < 0 or given.max() >= k:
        raise ValueError(
            f"{where}: expected one class or {n} of them, in 0..{k - 1} (target={given.tolist()})"
        )
    return np.broadcast_to(given, (n,)).astype(np.int64)


def of_targets(scores: Tensor, target: np.ndarray) -> Tensor:
    """Scores (N, K) -> each sample's own (N,)."""
    rows, columns = (Tensor(i, device=scores.device) for i in (np.arange(len(target)), target))
    return scores[rows, columns]


# ---------------------------------------------------------------- which layer


def layer_named(where: str, model: Module, layer: Any) -> Module:
    """The layer of a dotted name, or the layer itself. ValueError that lists the names."""
    known = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    if isinstance(layer, str) and layer in known:
        return known[layer]
    found = [module for module in known.values() if module is layer]
    if found:
        return found[0]
    wrong = repr(layer) if isinstance(layer, str) else f"a {type(layer).__name__} that is not in the model"
    near = get_close_matches(layer, known, 1) if isinstance(layer, str) else []
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{where}: expected one of the layers {', '.join(known)} (layer={wrong}){hint}")


def output_of(where: str, calls: list[Call], layer: Module, name: Any, axes: tuple[int, ...] = ()) -> Tensor:
    """What the layer gave, the one time that it ran. ValueError if it ran more often, or gave no Tensor."""
    ran = [call.module for call in calls]
    mine = [call for call in calls if call.module is layer]
    title = name if isinstance(name, str) else type(layer).__name__
    if len(mine) != 1:
        raise ValueError(
            f"{where}: expected a layer that runs once in forward, {title!r} runs {len(mine)} times; "
            f"those that do: {', '.join(call.name for call in calls if ran.count(call.module) == 1)}"
        )
    y = mine[0].output
    if not isinstance(y, Tensor):
        raise ValueError(
            f"{where}: expected a layer that gives one Tensor, {title!r} gives a {type(y).__name__}"
        )
    if axes and y.ndim not in axes:
        wanted = " or ".join(SHAPES[n] for n in axes)
        raise ValueError(f"{where}: expected a layer that gives {wanted}, {title!r} gives shape {y.shape}")
    return y
