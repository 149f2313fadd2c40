"""Modules made of modules, and lists and dicts of parameters."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from ..engine.tensor import Tensor
from .flatten import Flatten
from .linear import Linear, wrong_width
from .module import Module
from .parameter import Parameter, as_parameter

__all__ = [
    "ModuleDict",
    "ModuleList",
    "ParameterDict",
    "ParameterList",
    "Sequential",
]


class _List(Module):
    """Children named "0", "1", ...: what Sequential, ModuleList and ParameterList share."""

    def _holds(self, name: str, value: Any) -> bool:
        """Whether an attribute is one of the list's items."""
        return isinstance(value, Module)

    def _items(self) -> list[tuple[str, Any]]:
        return [(k, v) for k, v in vars(self).items() if self._holds(k, v)]

    def _checked(self, item: Any) -> Any:
        """The item as it is to be kept, or an error."""
        if not isinstance(item, Module):
            raise TypeError(f"{type(self).__name__}: expected a Module, got {type(item).__name__}")
        return item

    def _place(self, index: Any, end: int) -> int:
        """A position from 0 to end - 1; negative ones count from the end."""
        if not hasattr(index, "__index__"):
            raise TypeError(f"{type(self).__name__}: expected a whole number (index={index!r})")
        place = operator.index(index)
        if not -len(self) <= place < end:
            raise IndexError(f"{type(self).__name__}: index {place} is out of range for {len(self)} items")
        return place % len(self) if place < 0 else place

    def _become(self, values: list) -> None:
        """These items, numbered anew."""
        for name, _ in self._items():
            delattr(self, name)
        for i, value in enumerate(values):
            setattr(self, str(i), value)

    def append(self, item: Any) -> Any:
        """Add one at the end."""
        setattr(self, str(len(self)), self._checked(item))
        return self

    def extend(self, items: Iterable[Any]) -> Any:
        """Add several at the end."""
        if not isinstance(items, Iterable):
            raise TypeError(f"{type(self).__name__}: expected an iterable, got {type(items).__name__}")
        for i, item in enumerate([self._checked(i) for i in items], len(self)):  # all or none
            setattr(self, str(i), item)
        return self

    def insert(self, index: int, item: Any) -> Any:
        """Put one before position `index`; the later ones move up."""
        values = list(self)
        values.insert(self._place(index, len(values) + 1), self._checked(item))
        self._become(values)
        return self

    def pop(self, key: int | slice = -1) -> Any:
        """Take one out (the last); the later ones move down."""
        item = self[key]
        del self[key]
        return item

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[Any]:
        return iter([v for _, v in self._items()])

    def __getitem__(self, index: int | slice) -> Any:
        items = self._items()
        if isinstance(index, slice):
            return self._from_items(items[index])
        return items[self._place(index, len(items))][1]

    def __setitem__(self, index: int, item: Any) -> None:
        setattr(self, self._items()[self._place(index, len(self))][0], self._checked(item))

    def __delitem__(self, index: int | slice) -> None:
        values = list(self)
        del values[index if isinstance(index, slice) else self._place(index, len(values))]
        self._become(values)

    def _from_items(self, items: list[tuple[str, Any]]) -> Any:
        return type(self)([v for _, v in items])  # type: ignore[call-arg]

    __iadd__ = extend


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
        super().__init__()
        named = len(args) == 1 and isinstance(args[0], Mapping)
        for name, module in args[0].items() if named else enumerate(args):
            setattr(self, str(name), self._checked(module))

    def _from_items(self, items: list[tuple[str, Any]]) -> Any:
        return type(self)(OrderedDict(items))

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, Sequential):
            raise TypeError(f"Sequential: expected a Sequential to add, got {type(other).__name__}")
        return Sequential(*self, *other)

    def __mul__(self, times: int) -> Any:
        if not isinstance(times, int) or times < 1:
            raise (ValueError if isinstance(times, int) else TypeError)(
                f"Sequential: expected a whole number >= 1 to repeat by, got {times!r}"
            )
        return Sequential(*list(self) * times)

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Any:
        return self.extend(list((self * times)[len(self) :]))

    def forward(self, x: Any) -> Any:
        """module_n(... module_1(x))."""
        before = None
        for module in self:
            try:
                y = module(x)
            except ValueError as error:
                raise _explain_flatten(before, module, x, error) from error
            before = (module, x)
            x = y
        return x


def _explain_flatten(before: tuple | None, module: Module, x: Tensor, error: ValueError) -> ValueError:
    """A Linear of the wrong width after a Flatten: say out of which lengths the width came."""
    if before is None or not isinstance(before[0], Flatten) or not isinstance(module, Linear):
        return error
    flat, whole = before
    joined = whole.shape[flat.start_dim : (flat.end_dim % whole.ndim) + 1]
    return error if x.shape[-1] == module.in_features else wrong_width(x, module.in_features, joined)


class ModuleList(_List):
    """A list of modules whose parameters are found."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(() if modules is None else modules)

    def __add__(self, other: Iterable[Module]) -> Any:
        return ModuleList([*self, *other])

    def __repr__(self) -> str:
        """Neighbours that look the same share a line: "(0-2): 3 x Linear(...)"."""
        if not len(self):
            return f"{self._get_name()}()"
        runs = [list(run) for _, run in groupby(enumerate(map(repr, self)), key=lambda pair: pair[1])]
        lines = []
        for run in runs:
            first, last, text = run[0][0], run[-1][0], run[0][1].replace("\n", "\n  ")
            lines.append(f"({first}): {text}" if first == last else f"({first}-{last}): {len(run)} x {text}")
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


class ParameterList(_List):
    """A list whose tensors are parameters; other tensors become parameters, other values stay."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(() if values is None else values)

    def _holds(self, name: str, value: Any) -> bool:
        return name.isdigit()

    def _checked(self, item: Any) -> Any:
        return as_parameter(item)

    def __repr__(self) -> str:
        return _listed("ParameterList", self._items())


class _Dict(Module):
    """Attributes by name, with a dict's methods: what ModuleDict and ParameterDict share."""

    def __init__(self, items: Any = None) -> None:
        super().__init__()
        self._names: list[str] = []
        self.update({} if items is None else items)

    def _checked(self, name: str, value: Any) -> Any:
        """The value as it is to be kept, or an error."""
        return value

    def update(self, items: Any) -> None:
        """Add or replace several: a dict, another of this kind, or (name, value) pairs."""
        if not isinstance(items, Iterable):
            raise TypeError(f"{type(self).__name__}: expected a dict or pairs, got {type(items).__name__}")
        pairs = items.items() if isinstance(items, _Dict | Mapping) else list(items)
        for pair in pairs:
            if not isinstance(pair, Iterable) or len(tuple(pair)) != 2:
                raise ValueError(f"{type(self).__name__}: expected (name, value) pairs, got {pair!r}")
        for name, value in pairs:
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{type(self).__name__}: expected a string (name={name!r})")
        value = self._checked(name, value)
        if name not in self._names:
            self._new_name(type(self).__name__, name, None)
            self._names.append(name)
        setattr(self, name, value)

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(f"{type(self).__name__}: has {', '.join(self._names)}, not {name!r}")
        return getattr(self, name)

    def __delitem__(self, name: str) -> None:
        _ = self[name]
        self._names.remove(name)
        delattr(self, name)

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._names))

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def keys(self) -> list[str]:
        """The names."""
        return list(self._names)

    def values(self) -> list[Any]:
        """The values."""
        return [self[name] for name in self._names]

    def items(self) -> list[tuple[str, Any]]:
        """Names and values."""
        return [(name, self[name]) for name in self._names]

    def pop(self, key: str) -> Any:
        """Take one out."""
        value = self[key]
        del self[key]
        return value

    def clear(self) -> None:
        """Take all out."""
        for name in list(self._names):
            del self[name]


class ModuleDict(_Dict):
    """A dict of modules whose parameters are found."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__(modules)

    def _checked(self, name: str, value: Any) -> Any:
        if not isinstance(value, Module):
            raise TypeError(f"ModuleDict: expected a Module ({name}), got {type(value).__name__}")
        return value


class ParameterDict(_Dict):
    """A dict whose tensors are parameters; other tensors become parameters, other values stay."""

    def __init__(self, parameters: Any = None) -> None:
        super().__init__(parameters)

    def _checked(self, name: str, value: Any) -> Any:
        return as_parameter(value)

    def get(self, key: str, default: Any = None) -> Any:
        """self[key], or the default."""
        return self[key] if key in self._names else default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """self[key], set to the default first if it is not there."""
        if key not in self:
            self[key] = default
        return self[key]

    def popitem(self) -> tuple[str, Any]:
        """Take the last one out: (name, value)."""
        if not self._names:
            raise KeyError("ParameterDict: popitem() of an empty dict")
        name = self._names[-1]
        return name, self.pop(name)

    def copy(self) -> ParameterDict:
        """Another dict of the same parameters."""
        return ParameterDict(self.items())

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A new dict with the default at every key."""
        return ParameterDict((k, default) for k in keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self._names))

    def __or__(self, other: ParameterDict) -> ParameterDict:
        return ParameterDict([*self.items(), *other.items()])

    def __ior__(self, other: ParameterDict) -> ParameterDict:
        self.update(other)
        return self

    def __repr__(self) -> str:
        return _listed("ParameterDict", self.items())


def _listed(name: str, items: list[tuple[str, Any]]) -> str:
    """PyTorch's repr of parameters in a container: a line each."""

    def line(key: str, v: Any) -> str:
        if not isinstance(v, Tensor):
            return f"  ({key}): Object of type: {type(v).__name__}"
        kind = "Parameter" if isinstance(v, Parameter) else "Tensor"
        size = "x".join(map(str, v.shape))
        return f"  ({key}): {kind} containing: [{v.dtype} of size {size}]"

    return f"{name}(" + ("\n" + "\n".join(line(k, v) for k, v in items) + "\n" if items else "") + ")"
