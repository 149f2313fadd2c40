"""Module: a thing with parameters and a forward. Parameters are found by walking its attributes.

No `__getattr__`, no registration: whatever a module holds, in attributes, lists, tuples or dicts,
in the order it was set, each object once, so a tied weight counts once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..engine.backend import Device, as_dtype, is_float, to_device
from ..engine.node import mutated
from ..engine.tensor import Tensor, wrap

__all__ = [
    "LoadResult",
    "Module",
    "ModuleHook",
    "Parameter",
]


class Parameter(Tensor):
    """A Tensor that a module learns: a leaf that requires grad."""

    __slots__ = ()

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        super().__init__(np.zeros(0, np.float32) if data is None else data)
        self._node = None
        if requires_grad:
            self.requires_grad_()

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Module:
    """Base class of layers and models: subclass it, set attributes, write forward().

    >>> from minigrad import nn
    >>> class Twice(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.inner = nn.Linear(2, 2)
    ...     def forward(self, x):
    ...         return self.inner(self.inner(x))
    >>> [name for name, _ in Twice().named_parameters()]
    ['inner.weight', 'inner.bias']
    """

    training = True

    def __init__(self) -> None:
        self._buffers: dict[str, bool] = {}  # name -> persistent? The tensor itself is an attribute.
        self._hooks: dict[str, list] = {"before": [], "after": []}

    def forward(self, *args: Any, **kw: Any) -> Any:
        """What the module computes; every subclass writes its own."""
        raise TypeError(f"{type(self).__name__}: has no forward(); define one")

    def __call__(self, *args: Any, **kw: Any) -> Any:
        hooks = self._hooks_of()
        for hook in hooks["before"]:
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        y = self.forward(*args, **kw)
        for hook in hooks["after"]:
            changed = hook(self, args, y)
            y = y if changed is None else changed
        return y

    def _hooks_of(self) -> dict[str, list]:
        try:
            return self._hooks
        except AttributeError:
            raise TypeError(f"{type(self).__name__}: call super().__init__() in its __init__") from None

    # -- what it holds

    def _members(self) -> Iterator[tuple[str, Any]]:
        """Names and values of attributes, entering lists, tuples and dicts: "layers.0"."""
        self._hooks_of()
        for name, value in vars(self).items():
            if not name.startswith("_"):
                yield from _walk(name, value)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside, by name."""
        for name, value in self._members():
            if isinstance(value, Module):
                yield name, value

    def children(self) -> Iterator[Module]:
        """The modules directly inside."""
        return (child for _, child in self.named_children())

    def named_modules(self, memo: set | None = None, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all inside it, each once."""
        memo = set() if memo is None else memo
        if id(self) in memo:
            return
        memo.add(id(self))
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Module]:
        """This module and all inside it."""
        return (module for _, module in self.named_modules())

    def _own_tensors(self) -> Iterator[tuple[str, Tensor, bool]]:
        """(name, tensor, is a parameter) of this module alone."""
        for name, value in self._members():
            if isinstance(value, Parameter):
                yield name, value, True
            elif name in self._buffers and isinstance(value, Tensor):
                yield name, value, False

    def _all_tensors(self, keep_twins: bool = False) -> Iterator[tuple[str, Tensor, bool, bool]]:
        """(full name, tensor, is a parameter, persistent) of the whole tree."""
        seen: set[int] = set()
        for prefix, module in self._all_modules() if keep_twins else self.named_modules():
            for name, value, is_parameter in module._own_tensors():
                if keep_twins or id(value) not in seen:
                    seen.add(id(value))
                    full = f"{prefix}.{name}" if prefix else name
                    yield full, value, is_parameter, is_parameter or module._buffers[name]

    def _all_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Like named_modules, but a shared module appears under each of its names."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child._all_modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names, each once."""
        return ((name, value) for name, value, is_parameter, _ in self._all_tensors() if is_parameter)

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, each once."""
        return (value for _, value in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their dotted names."""
        return ((name, value) for name, value, is_parameter, _ in self._all_tensors() if not is_parameter)

    def buffers(self) -> Iterator[Tensor]:
        """All buffers."""
        return (value for _, value in self.named_buffers())

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """A tensor that belongs to the state but is not learned, such as a running mean."""
        self._hooks_of()
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"register_buffer: expected a Tensor or None ({name}), got {type(tensor).__name__}"
            )
        self._buffers[name] = persistent
        setattr(self, name, tensor)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Set an attribute that is a parameter, or None where the layer goes without."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"register_parameter: expected a Parameter or None ({name}), got {type(param).__name__}"
            )
        setattr(self, name, param)

    # -- doing something to all of it

    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """fn(module) for every module inside, then for this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Module:
        """Behave as in training: dropout drops, batch norm uses the batch."""
        if not isinstance(mode, bool):
            raise TypeError(f"train: expected a bool (mode={mode!r})")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Behave as at test time."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Freeze (False) or free every parameter."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters."""
        for p in self.parameters():
            if p.grad is not None:
                p.grad = None if set_to_none else p.grad * 0.0

    def to(self, *args: Any, dtype: Any = None, device: Any = None) -> Module:
        """Move parameters and buffers: to("cuda"), to("float64"), to(device=..., dtype=...).

        A dtype changes floating tensors only. The tensors stay the same objects.
        """
        for arg in args:
            if isinstance(arg, Device) or (isinstance(arg, str) and arg.partition(":")[0] in ("cpu", "cuda")):
                device = arg
            else:
                dtype = arg
        dtype = None if dtype is None else as_dtype(dtype)
        target = None if device is None else Device(device)
        if target is not None:
            _ = target.xp  # refuse before anything has moved
        for _, t, _, _ in self._all_tensors():
            _replace(t, t._data if target is None else to_device(t._data, target), dtype)
        return self

    def cpu(self) -> Module:
        """to("cpu")."""
        return self.to("cpu")

    def cuda(self, device: Any = "cuda") -> Module:
        """to("cuda")."""
        return self.to(device=device)

    def float(self) -> Module:
        """to("float32")."""
        return self.to("float32")

    def double(self) -> Module:
        """to("float64")."""
        return self.to("float64")

    def half(self) -> Module:
        """to("float16")."""
        return self.to("float16")

    # -- hooks

    def register_forward_pre_hook(self, hook: Callable) -> ModuleHook:
        """hook(module, args) before forward; what it returns replaces the arguments."""
        return ModuleHook(self._hooks_of()["before"], hook)

    def register_forward_hook(self, hook: Callable) -> ModuleHook:
        """hook(module, args, output) after forward; what it returns replaces the output."""
        return ModuleHook(self._hooks_of()["after"], hook)

    # -- state

    def state_dict(self) -> OrderedDict[str, Tensor]:
        """Parameters and persistent buffers by dotted name, detached; they share memory with the module."""
        return OrderedDict(
            (name, value.detach())
            for name, value, _, persistent in self._all_tensors(keep_twins=True)
            if persistent
        )

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> LoadResult:
        """Copy values in. All missing, extra and misshapen keys are told at once, and nothing changed.

        strict=False allows missing and extra keys, which are returned; shapes must always agree.
        Values are cast to the module's own dtype.
        """
        own = {name: value for name, value, _, persistent in self._all_tensors(keep_twins=True) if persistent}
        given = {name: getattr(value, "_data", value) for name, value in state_dict.items()}
        missing = [name for name in own if name not in given]
        extra = [name for name in given if name not in own]
        wrong = [
            f"{name} expected {own[name].shape}, got {np.shape(given[name])}"
            for name in own
            if name in given and np.shape(given[name]) != own[name].shape
        ]
        faults = [f"misshapen: {'; '.join(wrong)}"] if wrong else []
        if strict:
            faults += [f"missing: {', '.join(missing)}"] if missing else []
            faults += [f"extra: {', '.join(extra)}"] if extra else []
        if faults:
            raise ValueError(
                f"load_state_dict: {type(self).__name__} was left as it was; {'; '.join(faults)}"
            )
        for name, t in own.items():
            if name in given:
                xp = t.device.xp
                t._data[...] = xp.asarray(given[name]).astype(t.dtype, copy=False)
                mutated(t._data)
        return LoadResult(missing, extra)

    # -- looks

    def extra_repr(self) -> str:
        """What stands between the brackets of its repr."""
        return ""

    def __repr__(self) -> str:
        inside = [f"({name}): " + repr(child).replace("\n", "\n  ") for name, child in self.named_children()]
        extra = self.extra_repr()
        lines = ([extra] if extra else []) + inside
        if not inside:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"

    def _get_name(self) -> str:
        return type(self).__name__


def _walk(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _walk(f"{name}.{i}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(f"{name}.{key}", item)
    else:
        yield name, value


def _replace(t: Tensor, data: Any, dtype: np.dtype | None) -> None:
    """Give a leaf another array, of another dtype or device, keeping the Tensor itself."""
    if dtype is not None and is_float(data.dtype) and is_float(dtype):
        data = data.astype(dtype, copy=False)
    if data is t._data:
        return
    needs, grad = t.requires_grad, t.grad
    t._data, t._node = data, None
    if needs:
        t.requires_grad_()
        if grad is not None:
            moved = grad._data if grad.device == t.device else to_device(grad._data, t.device)
            t.grad = wrap(moved.astype(t.dtype, copy=False), None)


class ModuleHook:
    """Handle of a registered hook; `remove()` takes it off."""

    def __init__(self, hooks: list, hook: Callable) -> None:
        self._hooks, self._hook = hooks, hook
        hooks.append(hook)

    def remove(self) -> None:
        """Take the hook off; a second call does nothing."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)


class LoadResult(tuple):
    """What load_state_dict(strict=False) left out: (missing_keys, unexpected_keys)."""

    def __new__(cls, missing: list[str], extra: list[str]) -> LoadResult:
        return super().__new__(cls, (missing, extra))

    missing_keys = property(lambda self: self[0])
    unexpected_keys = property(lambda self: self[1])

    def __repr__(self) -> str:
        return (
            "<All keys matched successfully>"
            if not any(self)
            else f"LoadResult(missing={self[0]}, extra={self[1]})"
        )
