"""What a module holds: parameters, buffers and modules, found by walking its attributes.

No `__getattr__`, no registration: whatever stands in attributes, lists, tuples or dicts, in the order it
was set, each object once, so a tied weight counts once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..engine.tensor import Tensor
from .parameter import Buffer, Parameter

if TYPE_CHECKING:
    from .module import Module

OWN = ("_buffers", "_hooks")  # a module's own records: not walked


def _walk(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _walk(f"{name}.{i}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(f"{name}.{key}", item)
    else:
        yield name, value


class Tree:
    """The part of Module that finds what is inside."""

    _buffers: dict[str, bool]  # names of tensors that are buffers -> saved with the state?

    def __setattr__(self, name: str, value: Any) -> None:
        """A parameter or module gives way to such or None only: a tensor in its place would not be learned.

        A name that was a buffer's once stays one.
        """
        buffers, held = vars(self).get("_buffers", {}), vars(self).get(name)
        fits = value is None or (name in buffers and isinstance(value, Tensor))
        if isinstance(value, Buffer):
            buffers[name] = value.persistent
        elif isinstance(value, Parameter | Tree):
            buffers.pop(name, None)
        elif not fits and (name in buffers or isinstance(held, Parameter | Tree)):
            kind = "Tensor" if name in buffers else "Parameter"
            raise TypeError(
                f"{type(self).__name__}: expected a {kind}, Module or None ({name}), "
                f"got {type(value).__name__}; or del it first"
            )
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._buffers.pop(name, None)

    # -- this module's own

    def _members(self) -> Iterator[tuple[str, Any]]:
        """Names and values of attributes, entering lists, tuples and dicts: "layers.0"."""
        if "_hooks" not in vars(self):
            raise TypeError(f"{type(self).__name__}: call super().__init__() in its __init__")
        for name, value in vars(self).items():
            if name not in OWN:
                yield from _walk(name, value)

    def _own_tensors(self) -> Iterator[tuple[str, Tensor, bool]]:
        """(name, tensor, is a parameter) of this module alone."""
        for name, value in self._members():
            if isinstance(value, Parameter):
                yield name, value, True
            elif isinstance(value, Buffer) or (name in self._buffers and isinstance(value, Tensor)):
                yield name, value, False

    def _persistent(self, name: str, value: Tensor) -> bool:
        return self._buffers[name] if name in self._buffers else getattr(value, "persistent", True)

    # -- modules

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside, by name, each once."""
        seen: set[int] = set()
        for name, value in self._members():
            if isinstance(value, Tree) and id(value) not in seen:
                seen.add(id(value))
                yield name, value  # type: ignore[misc]

    def children(self) -> Iterator[Module]:
        """The modules directly inside."""
        return (child for _, child in self.named_children())

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all inside it; each once, or a shared one under each of its names."""
        memo = set() if memo is None else memo
        if remove_duplicate and id(self) in memo:
            return
        memo.add(id(self))
        yield prefix, self  # type: ignore[misc]
        for name, child in self._members():
            if isinstance(child, Tree):
                yield from child.named_modules(memo, _joined(prefix, name), remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all inside it."""
        return (module for _, module in self.named_modules())

    # -- tensors

    def _all_tensors(
        self, keep_twins: bool = False, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Tensor, bool, bool]]:
        """(full name, tensor, is a parameter, persistent) of the whole tree."""
        seen: set[int] = set()
        modules = self.named_modules(None, prefix, not keep_twins) if recurse else [(prefix, self)]
        for at, module in modules:
            for name, value, is_parameter in module._own_tensors():
                if keep_twins or id(value) not in seen:
                    seen.add(id(value))
                    yield _joined(at, name), value, is_parameter, module._persistent(name, value)

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names, each once (or a tied one under each name)."""
        found = self._all_tensors(not remove_duplicate, prefix, recurse)
        return ((name, value) for name, value, is_parameter, _ in found if is_parameter)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once; recurse=False: this module's own."""
        return (value for _, value in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their dotted names."""
        found = self._all_tensors(not remove_duplicate, prefix, recurse)
        return ((name, value) for name, value, is_parameter, _ in found if not is_parameter)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers."""
        return (value for _, value in self.named_buffers(recurse=recurse))

    # -- by name

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """A tensor that belongs to the state but is not learned, such as a running mean."""
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"register_buffer: expected a Tensor or None ({name}), got {type(tensor).__name__}"
            )
        self._new_name("register_buffer", name, Tensor if name in self._buffers else None)
        setattr(self, name, tensor)
        self._buffers[name] = persistent

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Set an attribute that is a parameter, or None where the layer goes without."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"register_parameter: expected a Parameter or None ({name}), got {type(param).__name__}"
            )
        self._new_name("register_parameter", name, Parameter)
        setattr(self, name, param)

    def add_module(self, name: str, module: Module | None) -> None:
        """Set an attribute that is a module."""
        if module is not None and not isinstance(module, Tree):
            raise TypeError(f"add_module: expected a Module or None ({name}), got {type(module).__name__}")
        self._new_name("add_module", name, Tree)
        setattr(self, name, module)

    register_module = add_module

    def _new_name(self, what: str, name: str, kind: type | None) -> None:
        """Refuse names that are no names, that the class itself uses, or that another kind of thing has."""
        if not isinstance(name, str):
            raise TypeError(f"{what}: expected a string (name={name!r})")
        if not name or "." in name or hasattr(type(self), name):
            raise ValueError(
                f"{what}: expected a name without dots, not {type(self).__name__}'s own (name={name!r})"
            )
        held = vars(self).get(name)
        if held is not None and (kind is None or not isinstance(held, kind)):
            kind_held = type(held).__name__
            raise ValueError(f"{what}: {type(self).__name__} has a {kind_held} there (name={name!r})")

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted name; "" is this one."""
        found = dict(self.named_modules(remove_duplicate=False)).get(target)
        if found is None:
            raise AttributeError(f"get_submodule: {type(self).__name__} has no module {target!r}")
        return found

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module at a dotted name; strict: one must stand there already."""
        if not isinstance(module, Tree):
            raise TypeError(f"set_submodule: expected a Module ({target}), got {type(module).__name__}")
        if not target:
            raise ValueError("set_submodule: expected a dotted name (target='')")
        parent, _, name = target.rpartition(".")
        owner = self.get_submodule(parent)
        if strict and not isinstance(getattr(owner, name, None), Tree):
            raise AttributeError(f"set_submodule: {type(self).__name__} has no module {target!r}")
        setattr(owner, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted name."""
        return self._tensor_at("get_parameter", target, parameter=True)  # type: ignore[return-value]

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted name."""
        return self._tensor_at("get_buffer", target, parameter=False)

    def _tensor_at(self, what: str, target: str, parameter: bool) -> Tensor:
        for name, value, is_parameter, _ in self._all_tensors(keep_twins=True):
            if name == target and is_parameter == parameter:
                return value
        kind = "parameter" if parameter else "buffer"
        raise AttributeError(f"{what}: {type(self).__name__} has no {kind} {target!r}")


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
