"""Optimizer: parameter groups, state, and the walk over blocks that keeps updates in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from numbers import Real
from typing import Any

import numpy as np

from ..engine.backend import is_float, xp_of
from ..engine.node import mutated
from ..engine.recording import enable_grad
from ..engine.tensor import Tensor

__all__ = ["Optimizer"]

BLOCK = 1 << 16  # elements: an update's dozen passes run over a block while it is in the cache


class Optimizer:
    """Base class: `defaults` for each group's settings; subclasses write `_update`.

    params: tensors, or dicts {"params": tensors, **settings} for groups of their own settings.
    """

    _arrays: tuple[str, ...] = ()  # state entries of the parameter's shape
    _needed: tuple[str, ...] = ()  # what a state that is not empty must hold

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.state: dict[Tensor, dict[str, Any]] = {}
        self.param_groups: list[dict[str, Any]] = []
        self._scratch: dict[Any, Any] = {}
        if isinstance(params, Tensor):
            raise TypeError(f"{self._name}: expected an iterable of tensors or dicts (params), got a Tensor")
        if not isinstance(params, Iterable):
            raise TypeError(f"{self._name}: expected tensors or dicts (params), got {type(params).__name__}")
        groups = list(params)
        if not groups:
            raise ValueError(f"{self._name}: expected at least one parameter, got an empty list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """One more group of parameters, with settings of its own."""
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise TypeError(f"{self._name}: expected a dict with 'params' (param_group), got {param_group!r}")
        given = param_group["params"]
        params = [given] if isinstance(given, Tensor) else list(given)
        unknown = set(param_group) - {"params", "initial_lr"} - set(self.defaults)
        if unknown:
            raise ValueError(
                f"{self._name}: unknown setting {sorted(unknown)[0]!r}, expected {', '.join(self.defaults)}"
            )
        known = {id(p) for group in self.param_groups for p in group["params"]}
        for i, p in enumerate(params):
            if not isinstance(p, Tensor):
                raise TypeError(f"{self._name}: expected tensors (params[{i}]), got {type(p).__name__}")
            if not is_float(p.dtype):
                raise TypeError(
                    f"{self._name}: expected floating tensors (params[{i}]), got {p.dtype} (no gradient)"
                )
            if not p.is_leaf:
                raise ValueError(
                    f"{self._name}: expected leaf tensors (params[{i}]), got one computed by an op"
                )
            if id(p) in known:
                raise ValueError(f"{self._name}: the same parameter appears twice (params[{i}])")
            known.add(id(p))
        group = {**self.defaults, **param_group, "params": params}
        self._check(group)
        self.param_groups.append(group)

    def _check(self, group: dict[str, Any]) -> None:
        """Refuse settings out of range, before anything is changed."""
        for name in ("lr", "weight_decay", "momentum", "eps"):
            value = group.get(name, 0.0)
            if not isinstance(value, Real) or not value >= 0.0:
                raise ValueError(f"{self._name}: expected a number >= 0 ({name}={value!r})")
        if not isinstance(group.get("dampening", 0.0), Real):
            raise ValueError(f"{self._name}: expected a number (dampening={group['dampening']!r})")
        betas = group.get("betas", (0.0, 0.0))
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise ValueError(f"{self._name}: expected two numbers (betas={betas!r})")
        for i, beta in enumerate(betas):
            if not isinstance(beta, Real) or not 0.0 <= beta < 1.0:
                raise ValueError(f"{self._name}: expected a number in [0, 1) (betas[{i}]={beta!r})")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients (or fill them with zeros)."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    if set_to_none:
                        p._node.sink.grad = None
                    else:
                        p.grad._data[...] = 0

    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Move every parameter that has a gradient. `closure` recomputes the loss first, if given."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                grad = p.grad
                if grad is not None:
                    state = self.state.setdefault(p, {})
                    self._update(p._data, grad._data, state, group)
                    mutated(p._data)
        return loss

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        raise TypeError(f"{self._name}: has no _update(); define one")

    # -- what subclasses use

    def _blocks(self, *arrays: Any) -> Iterator[tuple[Any, ...]]:
        """The arrays, all flat, a cache-sized stretch at a time, and two scratch arrays of that size."""
        p = arrays[0]
        if not p.flags.c_contiguous:  # flat, it would be a copy, and the update lost
            yield (*arrays, xp_of(p).empty_like(p), xp_of(p).empty_like(p))
            return
        flat = [a.reshape(-1) for a in arrays]
        key = (xp_of(p), p.dtype)
        if key not in self._scratch:
            self._scratch[key] = xp_of(p).empty((2, BLOCK), p.dtype)
        one, two = self._scratch[key]
        if p.size <= BLOCK:
            yield (*flat, one[: p.size], two[: p.size])
            return
        for a in range(0, p.size, BLOCK):
            b = min(a + BLOCK, p.size)
            yield (*[f[a:b] for f in flat], one[: b - a], two[: b - a])

    # -- state

    def state_dict(self) -> dict[str, Any]:
        """PyTorch's layout: state by parameter number, groups with numbers for tensors."""
        number = {id(p): i for i, p in enumerate(p for g in self.param_groups for p in g["params"])}
        groups = [{**g, "params": [number[id(p)] for p in g["params"]]} for g in self.param_groups]
        return {"state": {number[id(p)]: dict(s) for p, s in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state; it must fit these parameters, or nothing is changed."""
        if not isinstance(state_dict, dict) or not {"state", "param_groups"} <= set(state_dict):
            raise ValueError("load_state_dict: expected a dict with 'state' and 'param_groups' (state_dict)")
        groups = state_dict["param_groups"]
        sizes = [len(g["params"]) for g in groups], [len(g["params"]) for g in self.param_groups]
        if sizes[0] != sizes[1]:
            raise ValueError(f"load_state_dict: expected groups of {sizes[1]} parameters, got {sizes[0]}")
        params = [p for g in self.param_groups for p in g["params"]]
        numbers = [n for g in groups for n in g["params"]]
        by_number = dict(zip(numbers, params, strict=True))
        state = {}
        for n, s in state_dict["state"].items():
            if int(n) not in by_number:
                raise ValueError(f"load_state_dict: expected states of {sorted(by_number)}, got state[{n}]")
            state[by_number[int(n)]] = self._entry(n, s, by_number[int(n)])
        for mine, theirs in zip(self.param_groups, groups, strict=True):
            self._check({**mine, **theirs})
        self.state = state
        for mine, theirs in zip(self.param_groups, groups, strict=True):
            mine.update({key: value for key, value in theirs.items() if key != "params"})

    def _entry(self, n: Any, s: dict[str, Any], p: Tensor) -> dict[str, Any]:
        """One parameter's state from a state dict, seen to fit."""
        for key, value in s.items():
            shape = getattr(value, "shape", ())
            wrong = key in self._arrays and value is not None and shape != p.shape
            if wrong or shape not in ((), p.shape):
                raise ValueError(f"load_state_dict: state[{n}][{key!r}] has shape {shape}, not {p.shape}")
        missing = [key for key in self._needed if s and key not in s]
        if missing:
            raise ValueError(f"load_state_dict: state[{n}] lacks {', '.join(missing)}")
        return {key: _fitted(value, p, key in self._arrays) for key, value in s.items()}

    def __repr__(self) -> str:
        lines = [self._name + " ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {value}" for key, value in sorted(group.items()) if key != "params"]
        return "\n".join([*lines, ")"])


def _fitted(value: Any, p: Tensor, array: bool) -> Any:
    """A state array as a copy in the parameter's dtype and place; numbers as they are.

    C order, whatever the source had: an update walks flat views, and a flattened copy would be lost.
    """
    value = value._data if isinstance(value, Tensor) else value
    if value is None or (not array and getattr(value, "shape", ()) == ()):
        return value.item() if hasattr(value, "item") else value
    return xp_of(p._data).array(value, dtype=p.dtype, order="C")


def zeros_like(p: Any) -> Any:
    """A contiguous array of zeros for a parameter's state."""
    return np.zeros(p.shape, p.dtype) if isinstance(p, np.ndarray) else xp_of(p).zeros(p.shape, p.dtype)
