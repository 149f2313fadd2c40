"""Module: a thing with parameters and a forward.

Its parts have a file each: tree.py finds what it holds, hooks.py calls forward and the hooks around it,
state.py saves, loads and converts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engine.recording import version
from .hooks import Hooked
from .state import Stateful
from .tree import Tree

__all__ = ["Module"]


class Module(Hooked, Stateful):
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
        self._buffers = {}
        self._hooks = {}

    def forward(self, *args: Any, **kw: Any) -> Any:
        """What the module computes; every subclass writes its own."""
        raise NotImplementedError(f"{type(self).__name__}: has no forward(); define one")

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
            raise ValueError(f"train: expected a bool (mode={mode!r})")
        version[0] += self.training is not mode
        self.training = mode
        for child in self.children():
            child.train(mode)
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

    # -- looks

    def extra_repr(self) -> str:
        """What stands between the brackets of its repr."""
        return ""

    def __repr__(self) -> str:
        parts = [(name, child) for name, child in self._members() if isinstance(child, Tree)]
        inside = [f"({name}): " + repr(child).replace("\n", "\n  ") for name, child in parts]
        extra = self.extra_repr()
        if not inside:
            return f"{self._get_name()}({extra})"
        lines = (extra.split("\n") if extra else []) + inside
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"

    def _get_name(self) -> str:
        return type(self).__name__
