"""Making a module without drawing its first weights."""

from __future__ import annotations

import inspect
from typing import Any

from ..module import Module

__all__ = ["skip_init"]


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Module:
    """module_cls(*args, **kwargs) with unset parameters: for weights that are about to be loaded.

    Its own reset_parameters() is not called; those of modules inside it are. As in PyTorch the class
    must take `device`, by which its layers are told from wrappers.
    """
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise TypeError(f"skip_init: expected a Module class (module_cls={module_cls!r})")
    if "device" not in inspect.signature(module_cls).parameters:
        raise ValueError(
            f"skip_init: expected a class that takes `device` (module_cls={module_cls.__name__})"
        )
    quiet = type(module_cls.__name__, (module_cls,), {"reset_parameters": lambda self: None})
    module = quiet(*args, **kwargs)
    module.__class__ = module_cls
    return module
