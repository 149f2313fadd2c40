"""Hooks on modules: functions called before and after forward, and when gradients pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
from typing import Any

from ..engine.tensor import Tensor
from ..ops.shape import concatenate


class ModuleHook:
    """Handle of a registered hook; `remove()` takes it off, and so does leaving a `with` block."""

    def __init__(self, hooks: list, hook: Callable, prepend: bool = False, **how: bool) -> None:
        if not callable(hook):
            raise TypeError(f"hook: expected a function, got {type(hook).__name__}")
        self.hook, self.how, self._hooks = hook, how, hooks
        hooks.insert(0 if prepend else len(hooks), self)

    def remove(self) -> None:
        """Take the hook off; a second call does nothing."""
        if self in self._hooks:
            self._hooks.remove(self)

    def __enter__(self) -> ModuleHook:
        return self

    def __exit__(self, *error: Any) -> None:
        self.remove()


class Hooked:
    """The part of Module that calls forward, and the hooks around it."""

    _hooks: dict[str, list[ModuleHook]]
    forward: Callable

    def __call__(self, *args: Any, **kw: Any) -> Any:
        try:
            hooks = self._hooks
        except AttributeError:
            raise TypeError(f"{type(self).__name__}: call super().__init__() in its __init__") from None
        return self._with_hooks(args, kw) if hooks else self.forward(*args, **kw)

    def _with_hooks(self, args: tuple, kw: dict) -> Any:
        args, kw = self._before(args, kw)
        watch = _Gradients(self) if {"gradient", "gradient before"} & set(self._hooks) else None
        args = watch.inputs(args) if watch else args
        y, done = None, False
        try:
            y = self.forward(*args, **kw)
            y, done = self._after(args, kw, y, always=False), True
        finally:
            if not done:  # an error: those that asked to be called always still are
                self._after(args, kw, y, always=True)
        return watch.outputs(y) if watch else y

    def _before(self, args: tuple, kw: dict) -> tuple[tuple, dict]:
        for hook in list(self._hooks.get("before", ())):
            if hook.how.get("with_kwargs"):
                changed = hook.hook(self, args, kw)
                if changed is not None:
                    args, kw = changed
            else:
                changed = hook.hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        return args, kw

    def _after(self, args: tuple, kw: dict, y: Any, always: bool) -> Any:
        for hook in list(self._hooks.get("after", ())):
            if always and not hook.how.get("always_call"):
                continue
            given = (self, args, kw, y) if hook.how.get("with_kwargs") else (self, args, y)
            changed = hook.hook(*given)
            y = y if changed is None else changed
        return y

    def _hook(self, kind: str, hook: Callable, prepend: bool = False, **how: bool) -> ModuleHook:
        return ModuleHook(self._hooks.setdefault(kind, []), hook, prepend, **how)

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> ModuleHook:
        """hook(module, args) before forward; what it returns replaces the arguments."""
        return self._hook("before", hook, prepend, with_kwargs=with_kwargs)

    def register_forward_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> ModuleHook:
        """hook(module, args, output) after forward; what it returns replaces the output."""
        return self._hook("after", hook, prepend, with_kwargs=with_kwargs, always_call=always_call)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> ModuleHook:
        """hook(module, grad_input, grad_output) when the gradients of its inputs are known.

        Tuples, one entry a positional argument or output, None where it takes no gradient; what the hook
        returns replaces grad_input. Without an input that requires grad it is called when the gradients of
        the outputs are known, and has nothing to replace.
        """
        return self._hook("gradient", hook, prepend)

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> ModuleHook:
        """hook(module, grad_output) before the gradient enters; what it returns replaces grad_output."""
        return self._hook("gradient before", hook, prepend)

    def register_state_dict_pre_hook(self, hook: Callable) -> ModuleHook:
        """hook(module, prefix, keep_vars) before state_dict()."""
        return self._hook("saving", hook)

    def register_state_dict_post_hook(self, hook: Callable) -> ModuleHook:
        """hook(module, state_dict, prefix, local_metadata) after state_dict(); may change the dict."""
        return self._hook("saved", hook)

    def register_load_state_dict_pre_hook(self, hook: Callable) -> ModuleHook:
        """hook(module, state_dict, prefix, metadata, strict, missing, unexpected, errors) before loading."""
        return self._hook("loading", hook)

    def register_load_state_dict_post_hook(self, hook: Callable) -> ModuleHook:
        """hook(module, incompatible_keys) after loading; may change the two lists."""
        return self._hook("loaded", hook)


class _Gradients:
    """One call's gradients: those of all outputs as they enter the module, those of all inputs as they leave.

    The tensors pass through one joint vector, so that their gradients are there at one moment, and are only
    this module's share of them. A tensor that the result does not depend on has gradient 0.
    """

    def __init__(self, module: Hooked) -> None:
        self.module = module
        self.grad_output: tuple | None = None  # from the moment they enter until the hooks have seen them
        self.nothing: tuple | None = None  # in place of the inputs' gradients where no input will have one

    def inputs(self, args: tuple) -> tuple:
        if not any(isinstance(a, Tensor) and a.requires_grad for a in args):
            self.nothing = (None,) * len(args)
        return tuple(_gated(args, self._leaving))

    def outputs(self, y: Any) -> Any:
        many = isinstance(y, tuple | list)
        gated = _gated(y if many else (y,), self._entering)
        return type(y)(gated) if many else gated[0]

    def _entering(self, grads: tuple) -> tuple:
        for hook in list(self.module._hooks.get("gradient before", ())):
            changed = hook.hook(self.module, grads)
            grads = grads if changed is None else _as_tuple(changed)
        self.grad_output = grads
        if self.nothing is not None and any(g is not None for g in self._leaving(self.nothing)):
            raise ValueError("backward hook: expected None, as no input of the module requires grad")
        return grads

    def _leaving(self, grads: tuple) -> tuple:
        if self.grad_output is None:  # a gradient's gradient, which came by an input alone
            return grads
        for hook in list(self.module._hooks.get("gradient", ())):
            changed = hook.hook(self.module, grads, self.grad_output)
            grads = grads if changed is None else _as_tuple(changed)
        self.grad_output = None
        return grads


def _as_tuple(value: Any) -> tuple:
    return value if isinstance(value, tuple) else (value,)


def _gated(values: Any, seen: Callable[[tuple], tuple]) -> list[Any]:
    """The values, their tensors by way of one vector; `seen` gets all their gradients and returns them."""
    values = list(values)
    places = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
    if not places:
        return values
    joint = concatenate([values[i].reshape(-1) for i in places])
    shapes = [values[i].shape for i in places]
    ends = list(accumulate(math.prod(shape) for shape in shapes))
    cut = lambda v: [v[b - math.prod(s) : b].reshape(s) for s, b in zip(shapes, ends, strict=True)]

    def passing(g: Tensor) -> Tensor:
        full: list[Any] = [None] * len(values)
        for i, part in zip(places, cut(g), strict=True):
            full[i] = part
        changed = seen(tuple(full))
        if len(changed) != len(full):
            raise ValueError(f"backward hook: expected {len(full)} gradients, got {len(changed)}")
        return concatenate([(full if changed[i] is None else changed)[i].reshape(-1) for i in places])

    joint.register_hook(passing)
    for i, part in zip(places, cut(joint), strict=True):
        values[i] = part if part.dtype == values[i].dtype else part.astype(values[i].dtype)
    return values
