"""Weight norm by a hook before forward: the older form; nn.utils.parametrizations has the newer."""

from __future__ import annotations

from typing import Any

from ...engine.recording import no_grad
from ...engine.tensor import Tensor
from ...ops.reduce import norm
from ..module import Module
from ..parameter import Parameter

__all__ = ["remove_weight_norm", "weight_norm"]


def norm_except(v: Tensor, dim: int) -> Tensor:
    """The length of v over all axes but `dim`, axes kept; over all, without axes, for dim = -1."""
    if dim == -1:
        return norm(v)
    if not 0 <= dim < v.ndim:
        raise ValueError(
            f"weight_norm: expected an axis of the weight, -1 or None (dim={dim}), got {v.shape}"
        )
    return norm(v, 2, tuple(a for a in range(v.ndim) if a != dim), True) if v.ndim > 1 else abs(v)


def weigh(g: Tensor, v: Tensor, dim: int) -> Tensor:
    """g v / |v|: Salimans & Kingma 2016, equation 2."""
    return v * (g / norm_except(v, dim))


class _WeightNorm:
    """The hook: module.weight anew from module.weight_g and module.weight_v."""

    def __init__(self, name: str, dim: int) -> None:
        self.name, self.dim = name, dim

    def compute(self, module: Any) -> Tensor:
        return weigh(getattr(module, self.name + "_g"), getattr(module, self.name + "_v"), self.dim)

    def __call__(self, module: Module, args: Any) -> None:
        setattr(module, self.name, self.compute(module))


def found(module: Module, kind: type, name: str) -> Any:
    """The handle of the hook of this kind for this tensor, or None."""
    handles = module._hooks.get("before", ())
    return next((h for h in handles if isinstance(h.hook, kind) and h.hook.name == name), None)


def plain_again(module: Module, handle: Any, weight: Tensor, *ends: str) -> Module:
    """The weight as a parameter in place of the hook and of what it kept under the name's endings."""
    name = handle.hook.name
    for end in ("", *ends):
        delattr(module, name + end)
    module.register_parameter(name, Parameter(weight))
    handle.remove()
    return module


def own_parameter(what: str, module: Module, name: str) -> Parameter:
    """The module's parameter of that name."""
    weight = vars(module).get(name)
    if not isinstance(weight, Parameter):
        raise ValueError(f"{what}: {type(module).__name__} has no parameter {name!r} of its own")
    return weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """w = g v / |v|, set before each forward: `weight_g` and `weight_v` are learned. dim=None: one g.

    Salimans & Kingma 2016. nn.utils.parametrizations.weight_norm does the same without a hook.
    """
    if found(module, _WeightNorm, name):
        raise ValueError(f"weight_norm: {name} of {type(module).__name__} has it already")
    weight = own_parameter("weight_norm", module, name)
    hook = _WeightNorm(name, -1 if dim is None else dim)
    with no_grad():
        g = norm_except(weight, hook.dim)
    delattr(module, name)
    module.register_parameter(name + "_g", Parameter(g))
    module.register_parameter(name + "_v", Parameter(weight.detach()))
    setattr(module, name, hook.compute(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make it a plain parameter again, of the same value."""
    handle = found(module, _WeightNorm, name)
    if handle is None:
        raise ValueError(f"remove_weight_norm: {name} of {type(module).__name__} has none")
    with no_grad():
        weight = handle.hook.compute(module)
    return plain_again(module, handle, weight, "_g", "_v")
