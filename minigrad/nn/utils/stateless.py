"""Running a module on other tensors than its own. Reached as nn.utils.stateless.functional_call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...engine.tensor import Tensor
from ..module import Module


def functional_call(
    module: Module,
    parameters_and_buffers: Mapping[str, Tensor],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """module(*args, **kwargs), with the tensors at these dotted names replaced during the call.

    Gradients flow to the given tensors; the module is left as it was. tie_weights: a name stands for all
    names of the same tensor. strict: every tensor must be given. Raises ValueError for unknown names.

    >>> import minigrad as mg
    >>> from minigrad import nn
    >>> w = mg.tensor([[2.0]], requires_grad=True)
    >>> call = nn.utils.stateless.functional_call
    >>> call(nn.Linear(1, 1, bias=False), {"weight": w}, mg.tensor([3.0])).backward()
    >>> w.grad
    tensor([[3.]])
    """
    given = dict(parameters_and_buffers)
    own = {name: t for name, t, _, _ in module._all_tensors(keep_twins=True)}
    _check(given, own)
    if tie_weights:
        given = _with_twins(given, own)
    missing = [name for name in own if name not in given]
    if strict and missing:
        raise ValueError(f"functional_call: missing with strict=True: {', '.join(missing)}")
    try:
        for name, t in given.items():
            _put(module, name, t)
        args = () if args is None else args if isinstance(args, tuple) else (args,)
        return module(*args, **(kwargs or {}))
    finally:
        for name in given:
            _put(module, name, own[name])


def _check(given: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    unknown = [name for name in given if name not in own]
    if unknown:
        raise ValueError(f"functional_call: the module has no parameter or buffer {', '.join(unknown)}")
    for name, t in given.items():
        if not isinstance(t, Tensor):
            raise TypeError(f"functional_call: expected a Tensor ({name}), got {type(t).__name__}")


def _with_twins(given: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same for every name of a tensor that one of its names is given for."""
    chosen: dict[int, tuple[str, Tensor]] = {}
    for name, t in given.items():
        first, other = chosen.setdefault(id(own[name]), (name, t))
        if other is not t:
            raise ValueError(
                f"functional_call: {first} and {name} are one tensor, two were given; use tie_weights=False"
            )
    return {name: chosen[id(t)][1] for name, t in own.items() if id(t) in chosen}


def _put(module: Module, name: str, t: Tensor) -> None:
    """Set what stands at a dotted name, through attributes, lists and dicts."""
    holder: Any = module
    *path, last = name.split(".")
    for part in path:
        holder = _items(holder)[part]
    if isinstance(holder, list):
        holder[int(last)] = t
    elif isinstance(holder, dict):
        holder[next(key for key in holder if str(key) == last)] = t
    elif isinstance(holder, tuple):
        raise TypeError(
            f"functional_call: {name} stands in a tuple, where nothing can be replaced; use a list"
        )
    else:
        vars(holder)[last] = t  # for the time of a call, a plain tensor may stand for a parameter


def _items(holder: Any) -> dict[str, Any]:
    """What a holder holds, by the names that dotted names use."""
    if isinstance(holder, list | tuple):
        return {str(i): item for i, item in enumerate(holder)}
    return {str(key): item for key, item in (holder if isinstance(holder, dict) else vars(holder)).items()}
