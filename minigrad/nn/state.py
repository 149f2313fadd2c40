"""The state of a module: out as a dict, in from a dict, and moved to another dtype or device."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..engine.backend import Device, as_dtype, is_float, to_device
from ..engine.node import mutated
from ..engine.tensor import Tensor, wrap
from .tree import Tree, _joined

EXTRA = "_extra_state"


class LoadResult(tuple):
    """What load_state_dict(strict=False) left out: (missing_keys, unexpected_keys)."""

    def __new__(cls, missing: list[str], extra: list[str]) -> LoadResult:
        return super().__new__(cls, (missing, extra))

    missing_keys = property(lambda self: self[0])
    unexpected_keys = property(lambda self: self[1])

    def __repr__(self) -> str:
        told = f"_IncompatibleKeys(missing_keys={self[0]}, unexpected_keys={self[1]})"
        return told if any(self) else "<All keys matched successfully>"


class Stateful(Tree):
    """The part of Module that saves, loads and converts."""

    _hooks: dict[str, list]

    # -- out

    def state_dict(
        self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> OrderedDict[str, Any]:
        """Parameters and persistent buffers by dotted name, detached; they share memory with the module.

        destination: a dict to add to; prefix: put before every name; keep_vars: the Parameters themselves.
        """
        state = OrderedDict() if destination is None else destination
        modules = [(at, m) for at, m in self.named_modules(None, prefix.rstrip("."), remove_duplicate=False)]
        for at, module in modules:
            for hook in module._hooks.get("saving", ()):
                hook.hook(module, at and at + ".", keep_vars)
        for at, module in modules:
            for name, value, _ in module._own_tensors():
                if module._persistent(name, value):
                    state[_joined(at, name)] = value if keep_vars else value.detach()
            if _has_extra_state(module):
                state[_joined(at, EXTRA)] = module.get_extra_state()
        for at, module in reversed(modules):
            for hook in module._hooks.get("saved", ()):
                hook.hook(module, state, at and at + ".", {})
        return state

    def get_extra_state(self) -> Any:
        """Overridden: something that is not a tensor, for state_dict()."""
        raise TypeError(f"{type(self).__name__}: has no get_extra_state(); define one")

    def set_extra_state(self, state: Any) -> None:
        """Overridden: take back what get_extra_state() gave."""
        raise TypeError(f"{type(self).__name__}: has no set_extra_state(); define one")

    # -- in

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> LoadResult:
        """Copy values in. All missing, extra and misshapen keys are told at once, and nothing changed.

        strict=False allows missing and extra keys, which are returned; shapes must always agree. Values
        are cast to the module's own dtype; with assign=True the module takes the values' dtype instead.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected a dict (state_dict), got {type(state_dict).__name__}")
        given = OrderedDict(state_dict)
        modules = list(self.named_modules(remove_duplicate=False))
        missing, extra, faults = self._before_loading(modules, given, strict)
        own = {name: t for name, t, _, kept in self._all_tensors(keep_twins=True) if kept}
        extras = {_joined(at, EXTRA): m for at, m in modules if _has_extra_state(m)}
        missing += [name for name in (*own, *extras) if name not in given]
        extra += [name for name in given if name not in own and name not in extras]
        result = LoadResult(missing, extra)
        for _, module in reversed(modules):
            for hook in module._hooks.get("loaded", ()):
                hook.hook(module, result)
        faults += _misfits(own, given)
        if strict:
            faults += [f"missing: {', '.join(missing)}"] if missing else []
            faults += [f"extra: {', '.join(extra)}"] if extra else []
        if faults:
            raise ValueError(
                f"load_state_dict: {type(self).__name__} was left as it was; {'; '.join(faults)}"
            )
        values = [(t, _read(t, given[name], assign)) for name, t in own.items() if name in given]
        for t, value in values:  # all of them could be read
            _take(t, value)
        for name, module in extras.items():
            if name in given:
                module.set_extra_state(given[name])
        return result

    def _before_loading(
        self, modules: list[tuple[str, Any]], given: OrderedDict, strict: bool
    ) -> tuple[list, list, list]:
        """The lists of faults, after the hooks have had their say."""
        lists: tuple[list, list, list] = ([], [], [])
        for at, module in modules:
            for hook in module._hooks.get("loading", ()):
                hook.hook(module, given, at and at + ".", {}, strict, *lists)
        return lists

    # -- elsewhere

    def to(self, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False) -> Any:
        """Move parameters and buffers: to("cuda"), to("float64"), to(tensor), to(device=..., dtype=...).

        A dtype changes floating tensors only. The tensors stay the same objects. Copies are ordered with
        the work on the device, so non_blocking changes nothing that can be seen.
        """
        for arg in args:
            if isinstance(arg, Tensor):
                device, dtype = arg.device, arg.dtype
            elif isinstance(arg, Device) or (
                isinstance(arg, str) and arg.partition(":")[0] in ("cpu", "cuda")
            ):
                device = arg
            else:
                dtype = arg
        dtype = None if dtype is None else as_dtype(dtype)
        if dtype is not None and not is_float(dtype):
            raise TypeError(f"to: a module's dtype must be floating (dtype={dtype})")
        target = None if device is None else Device(device)
        if target is not None:
            _ = target.xp  # refuse before anything has moved
        for t in self._tensors():
            _replace(t, t._data if target is None else to_device(t._data, target), dtype)
        return self

    def _tensors(self) -> Iterator[Tensor]:
        return (t for _, t, _, _ in self._all_tensors())

    def type(self, dst_type: Any) -> Any:
        """to(dst_type)."""
        return self.to(dtype=dst_type)

    def cpu(self) -> Any:
        """to("cpu")."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Any:
        """to("cuda"), or to("cuda:1") for device=1."""
        return self.to(
            device="cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device
        )

    def float(self) -> Any:
        """to("float32")."""
        return self.to("float32")

    def double(self) -> Any:
        """to("float64")."""
        return self.to("float64")

    def half(self) -> Any:
        """to("float16")."""
        return self.to("float16")

    def bfloat16(self) -> Any:
        """to("bfloat16")."""
        return self.to("bfloat16")

    def to_empty(self, *, device: Any, recurse: bool = True) -> Any:
        """Move to a device without the values: new memory, unset."""
        target = Device(device if device is not None else "cpu")
        for _, t, _, _ in self._all_tensors(recurse=recurse):
            _replace(t, target.xp.empty(t.shape, t.dtype), None)
        return self


def _has_extra_state(module: Any) -> bool:
    return type(module).get_extra_state is not Stateful.get_extra_state


def _misfits(own: dict[str, Tensor], given: Mapping[str, Any]) -> list[str]:
    """One line of all tensors whose shape differs."""
    wrong = [
        f"{name} expected {t.shape}, got {np.shape(getattr(given[name], '_data', given[name]))}"
        for name, t in own.items()
        if name in given and np.shape(getattr(given[name], "_data", given[name])) != t.shape
    ]
    return [f"misshapen: {'; '.join(wrong)}"] if wrong else []


def _read(t: Tensor, value: Any, assign: bool) -> Any:
    """A value as an array on the tensor's device, in the tensor's dtype or (assign) the value's."""
    raw = t.device.xp.asarray(getattr(value, "_data", value))
    return raw if assign and is_float(raw.dtype) else raw.astype(t.dtype, copy=False)


def _take(t: Tensor, raw: Any) -> None:
    """Copy an array into a tensor's memory, or into new memory of another dtype."""
    if raw.dtype != t.dtype:
        _replace(t, raw.copy(), raw.dtype)
    else:
        t._data[...] = raw
        mutated(t._data)


def _replace(t: Tensor, data: Any, dtype: np.dtype | None) -> None:
    """Give a leaf another array, of another dtype or device, keeping the Tensor itself."""
    if dtype is not None and is_float(data.dtype):
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
