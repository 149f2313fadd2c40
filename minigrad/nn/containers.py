"""Modules made of modules, and those that only change shape."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..engine.tensor import Tensor
from ..ops.shape import flatten, reshape
from .module import Module, Parameter

__all__ = [
    "Flatten",
    "Identity",
    "ModuleDict",
    "ModuleList",
    "ParameterList",
    "Sequential",
    "Unflatten",
]


class _List(Module):
    """Children named "0", "1", ...: what Sequential and ModuleList share."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    def _items(self) -> list[tuple[str, Any]]:
        return [(k, v) for k, v in vars(self).items() if not k.startswith("_") and k != "training"]

    def append(self, module: Any) -> Any:
        """Add one at the end."""
        self._check(module)
        setattr(self, str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Any]) -> Any:
        """Add several at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Any) -> None:
        """Put one before position `index`; the later ones move up."""
        self._check(module)
        values = [v for _, v in self._items()]
        values.insert(index, module)
        self._become(values)

    def _become(self, values: list) -> None:
        for name, _ in self._items():
            delattr(self, name)
        for i, value in enumerate(values):
            setattr(self, str(i), value)

    def _check(self, module: Any) -> None:
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}: expected a Module, got {type(module).__name__}")

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[Any]:
        return iter([v for _, v in self._items()])

    def _name_at(self, index: int) -> str:
        names = [k for k, _ in self._items()]
        if not -len(names) <= index < len(names):
            raise IndexError(f"{type(self).__name__}: index {index} is out of range for {len(names)} modules")
        return names[index]

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)._from_items(self._items()[index])
        return getattr(self, self._name_at(index))

    def __setitem__(self, index: int, module: Any) -> None:
        self._check(module)
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index: int) -> None:
        name = self._name_at(index)
        self._become([v for k, v in self._items() if k != name])

    @classmethod
    def _from_items(cls, items: list[tuple[str, Any]]) -> Any:
        return cls(v for _, v in items)


class Sequential(_List):
    """Each module on the output of the one before.

    >>> from minigrad import nn
    >>> nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    Sequential(
      (0): Linear(in_features=4, out_features=3, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *args: Any) -> None:
        if len(args) == 1 and isinstance(args[0], Mapping):
            super().__init__()
            for name, module in args[0].items():
                self._check(module)
                setattr(self, name, module)
        else:
            super().__init__(args)

    @classmethod
    def _from_items(cls, items: list[tuple[str, Any]]) -> Any:
        return cls(OrderedDict(items))

    def forward(self, x: Any) -> Any:
        """module_n(... module_1(x))."""
        before = None
        for module in self:
            try:
                y = module(x)
            except ValueError as error:
                raise _explain_flatten(before, error) from error
            before = (module, x)
            x = y
        return x


def _explain_flatten(before: tuple | None, error: ValueError) -> ValueError:
    """A Linear of the wrong size after a Flatten: say where the size came from."""
    if (
        before is None
        or not isinstance(before[0], Flatten)
        or "Linear: expected in_features=" not in str(error)
    ):
        return error
    layer, x = before
    joined = x.shape[layer.start_dim : (layer.end_dim % x.ndim) + 1]
    wanted = str(error).split("in_features=")[1].split(",")[0]
    return ValueError(
        f"Flatten gives {math.prod(joined)} = {'*'.join(map(str, joined))}, Linear expects {wanted}; "
        f"set in_features={math.prod(joined)}"
    )


class ModuleList(_List):
    """A list of modules whose parameters are found."""

    __iadd__ = _List.extend


class ModuleDict(Module):
    """A dict of modules whose parameters are found."""

    def __init__(self, modules: Mapping[str, Module] | Iterable | None = None) -> None:
        super().__init__()
        self._names: list[str] = []
        self.update(modules or {})

    def update(self, modules: Mapping[str, Module] | Iterable) -> None:
        """Add or replace several."""
        for name, module in dict(modules).items():
            self[name] = module

    def __setitem__(self, name: str, module: Module) -> None:
        if not isinstance(module, Module):
            raise TypeError(f"ModuleDict: expected a Module ({name}), got {type(module).__name__}")
        if not name or "." in name or name.startswith("_") or hasattr(Module, name):
            raise ValueError(f"ModuleDict: expected a plain name that is not Module's own (name={name!r})")
        if name not in self._names:
            self._names.append(name)
        setattr(self, name, module)

    def __getitem__(self, name: str) -> Module:
        if name not in self._names:
            raise KeyError(f"ModuleDict: has {', '.join(self._names)}, not {name!r}")
        return getattr(self, name)

    def __delitem__(self, name: str) -> None:
        self._names.remove(name)
        delattr(self, name)

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def keys(self) -> list[str]:
        """The names."""
        return list(self._names)

    def values(self) -> list[Module]:
        """The modules."""
        return [self[name] for name in self._names]

    def items(self) -> list[tuple[str, Module]]:
        """Names and modules."""
        return [(name, self[name]) for name in self._names]


class ParameterList(_List):
    """A list of parameters; other tensors become parameters."""

    def _check(self, module: Any) -> None:
        if not isinstance(module, Tensor):
            raise TypeError(f"ParameterList: expected a Tensor, got {type(module).__name__}")

    def append(self, module: Any) -> Any:
        """Add one at the end."""
        self._check(module)
        return super().append(module if isinstance(module, Parameter) else Parameter(module))


class Identity(Module):
    """y = x; arguments of any kind are taken and mean nothing, as in PyTorch."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__()

    def forward(self, x: Any) -> Any:
        """x."""
        return x


class Flatten(Module):
    """Axes start_dim to end_dim joined: (N, C, H, W) becomes (N, C*H*W)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        """flatten(x)."""
        return flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The two axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Axis `dim` cut up into `unflattened_size`."""

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, x: Tensor) -> Tensor:
        """reshape(x)."""
        dim = self.dim % x.ndim
        return reshape(x, (*x.shape[:dim], *self.unflattened_size, *x.shape[dim + 1 :]))

    def extra_repr(self) -> str:
        """Axis and sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
