"""Parametrisation: a tensor of a module that is computed from others each time it is read.

`register_parametrization(layer, "weight", P)` turns `layer.weight` into P(original): the layer gets a class
of its own, a subclass in which `weight` is a property, and its learned tensors move to
`layer.parametrizations.weight`. Names are reached through this module: nn.utils.parametrize.cached.

>>> import minigrad as mg
>>> from minigrad import nn
>>> class Symmetric(nn.Module):
...     def forward(self, w):
...         return mg.triu(w) + mg.triu(w, 1).T
>>> layer = nn.utils.parametrize.register_parametrization(nn.Linear(2, 2, bias=False), "weight", Symmetric())
>>> bool((layer.weight == layer.weight.T).all())
True
>>> list(layer.state_dict())
['parametrizations.weight.original']
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from ...engine.node import mutated
from ...engine.recording import no_grad
from ...engine.tensor import Tensor
from ..containers import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter
from ..state import _replace


class _Cache(threading.local):
    """What was computed inside `with cached()`, by the list that computed it."""

    def __init__(self) -> None:
        self.depth = 0
        self.values: dict[int, tuple[ParametrizationList, Tensor]] = {}


_cache = _Cache()


@contextlib.contextmanager
def cached() -> Iterator[None]:
    """Inside, each parametrised tensor is computed once, at its first reading, or after an assignment."""
    _cache.depth += 1
    try:
        yield
    finally:
        _cache.depth -= 1
        if not _cache.depth:
            _cache.values.clear()


def _write(t: Tensor, value: Tensor) -> None:
    """New contents for a leaf, which stays the same object (an optimiser may hold it)."""
    if t.shape == value.shape and t.dtype == value.dtype:
        t._data[...] = value._data
        mutated(t._data)
    else:
        _replace(t, value._data.copy(), None)


class ParametrizationList(ModuleList):
    """The functions that a tensor passes through, and the tensors it is computed from.

    Those are `original`, or `original0`, `original1`, ... where the first function takes several.
    """

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if not len(modules):
            raise ValueError("ParametrizationList: expected at least one parametrization (modules)")
        super().__init__(modules)
        self.unsafe = unsafe
        with no_grad():
            start = self._inverted(original, assigning=False)
            self.is_tensor = isinstance(start, Tensor)
            parts = _parts(start)
            if self.is_tensor and start.dtype != original.dtype:
                raise ValueError(
                    f"register_parametrization: right_inverse() gives {start.dtype} for {original.dtype}"
                )
            if not unsafe:
                _check_like(original, self._through(parts))
            self.ntensors = len(parts)
            for name, part in zip(self._names(), parts, strict=True):
                self._hold(name, part, original)

    def _names(self) -> list[str]:
        return ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]

    def _hold(self, name: str, part: Tensor, original: Tensor) -> None:
        """Keep `part`: as a parameter if the original was one, and in the same object if there is one."""
        if self.is_tensor:
            _write(original, part)
            part = original
        elif isinstance(original, Parameter):
            part = Parameter(part, original.requires_grad)
        if isinstance(original, Parameter):
            self.register_parameter(name, part)  # type: ignore[arg-type]
        else:
            self.register_buffer(name, part)

    def _through(self, parts: Sequence[Tensor]) -> Tensor:
        first, *others = self
        y = first(*parts)
        for function in others:
            y = function(y)
        return y

    def forward(self) -> Tensor:
        """f_n(... f_1(original)), or f_1(original0, original1, ...)."""
        return self._through([getattr(self, name) for name in self._names()])

    def _inverted(self, value: Any, assigning: bool) -> Any:
        """Back through every right_inverse(). At registration a function may lack one."""
        for function in reversed(list(self)):
            if hasattr(function, "right_inverse"):
                try:
                    value = function.right_inverse(value)
                except NotImplementedError:
                    if assigning:
                        raise
            elif assigning:
                raise ValueError(
                    f"{type(function).__name__}: cannot be assigned to; it has no right_inverse()"
                )
        return value

    def right_inverse(self, value: Tensor) -> None:
        """Set the originals such that forward() gives `value`."""
        with no_grad():
            parts = _parts(self._inverted(value, assigning=True))
            held = [getattr(self, name) for name in self._names()]
            if _dtypes(parts) != _dtypes(held):
                raise ValueError(
                    f"right_inverse: expected {_dtypes(held)} for the originals, got {_dtypes(parts)}"
                )
            for t, part in zip(held, parts, strict=True):
                _write(t, part)
        _cache.values.pop(id(self), None)


def _dtypes(tensors: Sequence[Tensor]) -> str:
    return ", ".join(str(t.dtype) for t in tensors)


def _parts(start: Any) -> list[Tensor]:
    """What right_inverse() gave, as a list of tensors."""
    parts = [start] if isinstance(start, Tensor) else start
    if not isinstance(parts, Sequence) or not all(isinstance(p, Tensor) for p in parts):
        raise ValueError(f"right_inverse: expected a Tensor or several, got {type(start).__name__}")
    return list(parts)


def _check_like(original: Tensor, new: Any) -> None:
    """A parametrisation gives a tensor of the same shape and dtype, unless it is declared unsafe."""
    if not isinstance(new, Tensor):
        raise ValueError(
            f"register_parametrization: expected forward() to give a Tensor, got {type(new).__name__}"
        )
    if new.shape != original.shape or new.dtype != original.dtype:
        raise ValueError(
            f"register_parametrization: expected a tensor as before, {original.shape} {original.dtype}, "
            f"got {new.shape} {new.dtype}; if that is meant, use unsafe=True"
        )


# ---------------------------------------------------------------- the class of a parametrised module


def _computed(name: str) -> property:
    def read(self: Module) -> Tensor:
        held = self.parametrizations[name]  # type: ignore[attr-defined]
        if not _cache.depth:
            return held()
        if id(held) not in _cache.values:
            _cache.values[id(held)] = (held, held())
        return _cache.values[id(held)][1]

    def write(self: Module, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)  # type: ignore[attr-defined]

    return property(read, write, doc=f"{name}, computed anew at each reading.")


@functools.cache
def _class_with(base: type, names: tuple[str, ...]) -> type:
    """A subclass in which these names are computed. It never changes, so modules may share it."""
    body: dict[str, Any] = {name: _computed(name) for name in names}
    body["__reduce__"] = lambda self: (_blank, (base, names), vars(self))  # pickles know no made-up class
    return type(f"Parametrized{base.__name__}", (base,), body)


def _blank(base: type, names: tuple[str, ...]) -> Any:
    """An instance without its attributes, which pickle and copy fill in."""
    return object.__new__(_class_with(base, names))


def _settle_class(module: Module, base: type) -> None:
    """Give the module the class for what is parametrised now."""
    held = vars(module)["parametrizations"]
    if not len(held):
        del module.parametrizations
    module.__class__ = _class_with(base, tuple(held)) if len(held) else base


def type_before_parametrizations(module: Module) -> type:
    """The module's class without its parametrisations."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """True if the tensor of that name (or any) is parametrised."""
    held = vars(module).get("parametrizations")
    if not isinstance(held, ModuleDict):
        return False
    return len(held) > 0 if tensor_name is None else tensor_name in held


# ---------------------------------------------------------------- on and off


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Compute a parameter or buffer of `module` by `parametrization`, a module; returns `module`.

    A second one is applied to the result of the first. Its right_inverse(value), if it has one, gives
    the first original, and makes `module.weight = value` possible. unsafe: the shape or dtype may change.
    Raises ValueError otherwise, and then nothing has changed.
    """
    if not isinstance(parametrization, Module):
        raise TypeError(f"register_parametrization: expected a Module, got {type(parametrization).__name__}")
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        held = module.parametrizations[tensor_name]  # type: ignore[attr-defined]
        if not unsafe:
            _check_further(getattr(module, tensor_name), parametrization)
        held.append(parametrization)
        held.unsafe |= unsafe
        return module
    original = {name: t for name, t, _ in module._own_tensors()}.get(tensor_name)
    if original is None or tensor_name not in vars(module):
        raise ValueError(
            f"register_parametrization: {type(module).__name__} has no parameter or buffer {tensor_name!r}"
        )
    held = ParametrizationList([parametrization], original, unsafe)
    base = type_before_parametrizations(module)
    if not module._persistent(tensor_name, original):
        held._buffers["original"] = False
    delattr(module, tensor_name)
    if not is_parametrized(module):
        module.parametrizations = ModuleDict()  # type: ignore[attr-defined]
    module.parametrizations[tensor_name] = held  # type: ignore[attr-defined]
    _settle_class(module, base)
    return module


def _check_further(value: Tensor, parametrization: Any) -> None:
    """A further parametrisation leads from tensors like this one to such, and back."""
    with no_grad():
        new = parametrization(value)
        _check_like(value, new)
        if hasattr(parametrization, "right_inverse"):
            with contextlib.suppress(NotImplementedError):
                _check_like(value, parametrization.right_inverse(new))


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make it a plain tensor again: with the value it has now, or (leave_parametrized=False) the original.

    Where there is one original, the tensor is that object, so an optimiser that holds it goes on.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"remove_parametrizations: {tensor_name} of {type(module).__name__} has none")
    held = module.parametrizations[tensor_name]  # type: ignore[attr-defined]
    if not held.is_tensor and not leave_parametrized:
        raise ValueError(
            f"remove_parametrizations: {tensor_name} has {held.ntensors} originals, it cannot be one; "
            "use leave_parametrized=True"
        )
    original = held.original if held.is_tensor else None
    if leave_parametrized:
        with no_grad():
            value = getattr(module, tensor_name)
            if original is not None:
                _write(original, value)
            else:
                learned = isinstance(held.original0, Parameter)
                original = Parameter(value, held.original0.requires_grad) if learned else value
    base = type_before_parametrizations(module)
    del module.parametrizations[tensor_name]  # type: ignore[attr-defined]
    _settle_class(module, base)
    if isinstance(original, Parameter):
        module.register_parameter(tensor_name, original)
    else:
        module.register_buffer(tensor_name, original, held._buffers[held._names()[0]])
    return module


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Parametrise `to_module` as `from_module` is (all, or one tensor): same functions, same originals."""
    if not is_parametrized(from_module, tensor_name):
        return to_module
    for name in list(from_module.parametrizations) if tensor_name is None else [tensor_name]:  # type: ignore
        source = from_module.parametrizations[name]  # type: ignore[attr-defined]
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach()))
        for function in source:
            register_parametrization(to_module, name, function, unsafe=source.unsafe)
        for part in source._names():
            setattr(to_module.parametrizations[name], part, getattr(source, part))  # type: ignore[attr-defined]
    return to_module
