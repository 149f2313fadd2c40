"""Hooks on optimisers: functions called around step(), state_dict() and load_state_dict()."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ..engine.recording import effect
from ..nn.hooks import ModuleHook


class Hooked:
    """The part of Optimizer that keeps hooks. Each register_ method returns a handle with remove()."""

    _hooks: dict[str, list[ModuleHook]]

    def _hook(self, kind: str, hook: Callable, prepend: bool = False) -> ModuleHook:
        return ModuleHook(self._hooks.setdefault(kind, []), hook, prepend)

    def _call(self, kind: str, *args: Any) -> list[Any]:
        return [handle.hook(self, *args) for handle in list(self._hooks.get(kind, ()))]

    def register_step_pre_hook(self, hook: Callable) -> ModuleHook:
        """hook(optimizer, args, kwargs) before step(); returns None or a new (args, kwargs).

        As in PyTorch, args begins with the optimiser itself.
        """
        return self._hook("before", hook)

    def register_step_post_hook(self, hook: Callable) -> ModuleHook:
        """hook(optimizer, args, kwargs) after step()."""
        return self._hook("after", hook)

    def register_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> ModuleHook:
        """hook(optimizer) before state_dict()."""
        return self._hook("saving", hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> ModuleHook:
        """hook(optimizer, state_dict) after state_dict(); may change it or return another."""
        return self._hook("saved", hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> ModuleHook:
        """hook(optimizer, state_dict) before loading; may change its copy or return another."""
        return self._hook("loading", hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> ModuleHook:
        """hook(optimizer) after loading."""
        return self._hook("loaded", hook, prepend)


def hooked(step: Callable) -> Callable:
    """A step() with the hooks around it."""

    @effect
    @wraps(step)
    def stepping(self: Any, *args: Any, **kw: Any) -> Any:
        if not self._hooks:
            return step(self, *args, **kw)
        args, kw = _before(self, (self, *args), kw)
        result = step(*args, **kw)
        self._call("after", args, kw)
        return result

    return stepping


def _before(optimizer: Any, args: tuple, kw: dict) -> tuple[tuple, dict]:
    """The arguments of step() after the hooks before it, each of which may change them."""
    for handle in list(optimizer._hooks.get("before", ())):
        changed = handle.hook(optimizer, args, kw)
        if changed is None:
            continue
        if not isinstance(changed, tuple) or len(changed) != 2:
            name = type(optimizer).__name__
            raise ValueError(f"{name}: expected None or (args, kwargs) of a step hook, got {changed!r}")
        args, kw = changed
    return args, kw
