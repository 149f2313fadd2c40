"""Optimizer: parameter groups, their settings, state, and step()."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from numbers import Real
from typing import Any

import numpy as np

from ..engine.backend import is_float, xp_of
from ..engine.live import capturing
from ..engine.node import mutated
from ..engine.recording import effect, enable_grad
from ..engine.tensor import Tensor
from .blocks import Scratch, blocks
from .hooks import Hooked, hooked
from .scaling import Scaling

__all__ = ["Optimizer"]

INF = float("inf")
# PyTorch's choices of implementation. Here there is one, so that only their defaults can be meant.
CHOICES = ("foreach", "fused", "capturable", "differentiable")
NOTES = {"initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum", "swa_lr"}  # of schedules


class Optimizer(Hooked):
    """Base class: `defaults` for each group's settings; subclasses write `_update`, or step() itself.

    params: tensors, or (name, tensor) pairs, or dicts {"params": either, **settings} for groups with
    settings of their own. A setting out of range raises ValueError and names itself.
    """

    _limits: dict[str, tuple[float, float]] = {  # setting -> smallest and largest value
        "lr": (0.0, INF), "weight_decay": (0.0, INF), "momentum": (0.0, INF), "eps": (0.0, INF),
        "dampening": (-INF, INF),
    }  # fmt: skip
    _arrays: tuple[str, ...] = ()  # state entries of the parameter's shape
    _needed: tuple[str, ...] = ()  # what a state that is not empty must hold

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._scratch, self._hooks, self._scaling = Scratch(), {}, Scaling()
        for group in self._as_groups(params):
            self.add_param_group(group)

    def __init_subclass__(cls, **kw: Any) -> None:
        super().__init_subclass__(**kw)
        if "step" in vars(cls):  # one that a user wrote, say: its hooks are called too
            cls.step = hooked(cls.step)  # type: ignore[method-assign]

    @property
    def _name(self) -> str:
        return type(self).__name__

    # -- groups

    def _as_groups(self, params: Iterable[Any]) -> list[dict[str, Any]]:
        if isinstance(params, Tensor):
            raise TypeError(f"{self._name}: expected an iterable of tensors or dicts (params), got a Tensor")
        if not isinstance(params, Iterable):
            raise TypeError(f"{self._name}: expected tensors or dicts (params), got {type(params).__name__}")
        self._refuse_sets(params)
        groups = list(params)
        if not groups:
            raise ValueError(f"{self._name}: expected at least one parameter, got an empty list")
        return groups if isinstance(groups[0], dict) else [{"params": groups}]

    def _refuse_sets(self, params: Any) -> None:
        if isinstance(params, set | frozenset):
            raise TypeError(
                f"{self._name}: expected parameters in a fixed order (params), got a set; use a list"
            )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """One more group of parameters, with settings of its own."""
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise TypeError(f"{self._name}: expected a dict with 'params' (param_group), got {param_group!r}")
        unknown = set(param_group) - {"params", "param_names"} - NOTES - set(self.defaults)
        if unknown:
            raise ValueError(
                f"{self._name}: unknown setting {sorted(unknown)[0]!r}, expected {', '.join(self.defaults)}"
            )
        given = param_group["params"]
        self._refuse_sets(given)
        params, names = self._named([given] if isinstance(given, Tensor) else list(given))
        self._check_params(params)
        named = {"param_names": names} if names else {}
        if self.param_groups and bool(names) != ("param_names" in self.param_groups[0]):
            raise ValueError(f"{self._name}: expected names for the parameters of all groups or of none")
        group = _plain({**self.defaults, **param_group, **named, "params": params})
        self._check(group)
        self.param_groups.append(group)

    def _named(self, params: list[Any]) -> tuple[list[Any], list[str]]:
        """Tensors, and their names if these are (name, tensor) pairs, as named_parameters() gives."""
        names = [p[0] for p in params if isinstance(p, tuple)]
        if names and len(names) != len(params):
            raise ValueError(
                f"{self._name}: expected names for all parameters of a group or for none (params)"
            )
        return [p[1] if isinstance(p, tuple) else p for p in params], names

    def _check_params(self, params: list[Any]) -> None:
        known = {id(p) for group in self.param_groups for p in group["params"]}
        for i, p in enumerate(params):
            if not isinstance(p, Tensor):
                raise TypeError(f"{self._name}: expected tensors (params[{i}]), got {type(p).__name__}")
            if not is_float(p.dtype):
                raise TypeError(
                    f"{self._name}: expected floating tensors (params[{i}]), got {p.dtype} (no gradient)"
                )
            if not p.is_leaf:
                raise ValueError(
                    f"{self._name}: expected leaf tensors (params[{i}]), got one computed by an op"
                )
            if id(p) in known:
                raise ValueError(f"{self._name}: the same parameter appears twice (params[{i}])")
            known.add(id(p))

    # -- settings

    def _check(self, group: dict[str, Any]) -> None:
        """Refuse settings out of range, before anything is changed."""
        for name in CHOICES:
            if group.get(name):
                raise ValueError(
                    f"{self._name}: there is one implementation here, {name} cannot be chosen "
                    f"({name}={group[name]!r}); leave it out"
                )
        limits = self._limits
        if "initial_lr" in group:  # a schedule's: OneCycleLR's straight lines end below 0
            limits = {**limits, "lr": (-INF, INF)}
        for name in limits.keys() & group.keys():
            self._check_number(name, group[name], *limits[name])
        if "betas" in group:
            self._check_pair("betas", group["betas"])
            for i, beta in enumerate(group["betas"]):
                if not isinstance(beta, Real) or not 0.0 <= beta < 1.0:
                    raise ValueError(f"{self._name}: expected a number in [0, 1) (betas[{i}]={beta!r})")

    def _check_number(self, name: str, value: Any, low: float, high: float) -> None:
        if isinstance(value, Tensor):
            raise ValueError(
                f"{self._name}: expected a number ({name}), got a Tensor; write .item() after it"
            )
        if not isinstance(value, Real) or not low <= value <= high:
            sizes = {(-INF, INF): "", (0.0, INF): " >= 0"}
            wanted = sizes.get((low, high), f" from {low:g} to {high:g}")
            raise ValueError(f"{self._name}: expected a number{wanted} ({name}={value!r})")

    def _check_pair(self, name: str, value: Any) -> None:
        if not isinstance(value, tuple | list) or len(value) != 2:
            raise ValueError(f"{self._name}: expected two numbers ({name}={value!r})")

    # -- steps

    @effect
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients (or fill them with zeros)."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    if set_to_none:
                        p._node.sink.grad = None
                    else:
                        p.grad._data[...] = 0

    @hooked
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient. `closure` recomputes the loss first, if given."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            moving = [(p._data, p.grad._data, self.state[p]) for p in group["params"] if p.grad is not None]
            if moving and not self._update_all(moving, group):
                self._refuse_capture()
                for p, g, state in moving:
                    self._update(p, g, state, group)
            for p, _, _ in moving:
                mutated(p)
        self._scaling.count(self)
        return loss

    def _has_kernel(self) -> bool:
        """Whether there is a fused kernel for what `_update` says."""
        return False

    def _update_all(self, moving: list[tuple[Any, Any, dict[str, Any]]], group: dict[str, Any]) -> bool:
        """A kernel's chance to update all (p, g, state) of a group in one pass; False if none did."""
        return False

    def _scaled(self, params: list[Any]) -> dict[str, Any]:
        """What a kernel has to know of a scaled step (mg.amp.GradScaler), so that the device decides."""
        return self._scaling.words(self, params)

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """Whether a GradScaler may leave it to a kernel to divide gradients, or to leave the step out."""
        return self._scaling.possible(self)

    def _refuse_capture(self) -> None:
        """An update in plain arrays has its rates in the launches, and a graph would keep them."""
        if capturing():
            raise ValueError(
                f"capture: {self._name} has no CUDA kernel for these settings, so a graph would keep this "
                "step's rates; use Adam, AdamW (without amsgrad) or SGD, or call step() outside the capture"
            )

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        raise NotImplementedError(f"{self._name}: has no _update() and no step(); define one")

    # -- what subclasses use

    def _blocks(self, *arrays: Any) -> Iterator[tuple[Any, ...]]:
        """The arrays a cache-sized stretch at a time, and two scratch arrays of that size."""
        return blocks(self._scratch, *arrays)

    @staticmethod
    def _downhill(xp: Any, group: dict[str, Any], w: Any, d: Any, s: Any, t: Any, decay: float) -> Any:
        """A block's gradient d, negated for maximize, and decay w added: in s, for d is the user's."""
        if group["maximize"]:
            d = xp.negative(d, out=s)
        return xp.add(xp.multiply(w, decay, out=t), d, out=s) if decay else d

    # -- state

    def state_dict(self) -> dict[str, Any]:
        """PyTorch's layout: state by parameter number, groups with numbers for tensors."""
        self._call("saving")
        self._scaling.settle(self)
        number = {id(p): i for i, p in enumerate(p for g in self.param_groups for p in g["params"])}
        groups = [{**g, "params": [number[id(p)] for p in g["params"]]} for g in self.param_groups]
        saved = {
            "state": {number[id(p)]: dict(s) for p, s in self.state.items() if s},
            "param_groups": groups,
        }
        for handle in list(self._hooks.get("saved", ())):
            changed = handle.hook(self, saved)
            saved = saved if changed is None else changed
        return saved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state, ours or PyTorch's; it must fit these parameters, or nothing is changed.

        What a saved group says of foreach, fused, capturable and differentiable stays behind.
        """
        for handle in list(self._hooks.get("loading", ())):
            changed = handle.hook(self, state_dict := dict(state_dict))
            state_dict = state_dict if changed is None else changed
        if not isinstance(state_dict, dict) or not {"state", "param_groups"} <= set(state_dict):
            raise ValueError("load_state_dict: expected a dict with 'state' and 'param_groups' (state_dict)")
        saved = state_dict["param_groups"]
        sizes = [len(g["params"]) for g in saved], [len(g["params"]) for g in self.param_groups]
        if sizes[0] != sizes[1]:
            raise ValueError(f"load_state_dict: expected groups of {sizes[1]} parameters, got {sizes[0]}")
        params = [p for g in self.param_groups for p in g["params"]]
        by_number = dict(zip([n for g in saved for n in g["params"]], params, strict=True))
        state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        for n, s in state_dict["state"].items():
            if int(n) not in by_number:
                raise ValueError(f"load_state_dict: expected states of {sorted(by_number)}, got state[{n}]")
            state[by_number[int(n)]] = self._entry(n, s, by_number[int(n)])
        groups = [_merged(mine, theirs) for mine, theirs in zip(self.param_groups, saved, strict=True)]
        for group in groups:
            self._check(group)
        self._scaling = Scaling()
        self.state = state
        for mine, new in zip(self.param_groups, groups, strict=True):
            mine.update(new)
        self._call("loaded")

    def _shape_of(self, key: str, p: Tensor) -> tuple[int, ...] | None:
        """The shape that a state entry has to have; None if it may be a number or an array like p."""
        return p.shape if key in self._arrays else None

    def _entry(self, n: Any, s: dict[str, Any], p: Tensor) -> dict[str, Any]:
        """One parameter's state from a state dict, seen to fit."""
        for key, value in s.items():
            shape, wanted = tuple(getattr(value, "shape", ())), self._shape_of(key, p)
            fits = shape in ((), p.shape) if wanted is None or value is None else shape == wanted
            if not fits:
                wanted = p.shape if wanted is None else wanted
                raise ValueError(f"load_state_dict: state[{n}][{key!r}] has shape {shape}, not {wanted}")
        missing = [key for key in self._needed if s and key not in s]
        if missing:
            raise ValueError(f"load_state_dict: state[{n}] lacks {', '.join(missing)}")
        return {key: _fitted(value, p, self._shape_of(key, p) is not None) for key, value in s.items()}

    def __repr__(self) -> str:
        text = self._name + " ("
        for i, group in enumerate(self.param_groups):
            settings = sorted((key, value) for key, value in group.items() if key != "params")
            text += f"\nParameter Group {i}\n" + "".join(f"    {key}: {value}\n" for key, value in settings)
        return text + ")"


def _plain(group: dict[str, Any]) -> dict[str, Any]:
    """The settings with NumPy's numbers made Python's: np.float64(0.1) x float32 would be float64."""
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in group.items()}


def _merged(mine: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """A group's settings after loading; a pair that went through JSON is a tuple again."""
    new = {key: value for key, value in theirs.items() if key != "params" and key not in CHOICES}
    pairs = {
        key: tuple(v) for key, v in new.items() if isinstance(v, list) and isinstance(mine.get(key), tuple)
    }
    return _plain({**mine, **new, **pairs})


def _fitted(value: Any, p: Tensor, array: bool) -> Any:
    """A state entry of a parameter: an array as a copy, a number as a number."""
    if value is None or (not array and tuple(getattr(value, "shape", ())) == ()):
        return value.item() if hasattr(value, "item") else value
    return owned(value, p)


def owned(value: Any, p: Tensor) -> Any:
    """A state array, ours or PyTorch's, as a copy in the parameter's dtype and place.

    C order, whatever the source had: an update walks flat views, and a flattened copy would be lost.
    """
    xp, raw = xp_of(p._data), value._data if isinstance(value, Tensor) else value
    if not (isinstance(raw, xp.ndarray) or getattr(raw, "is_cuda", False)):
        raw = np.asarray(raw)  # PyTorch's on the CPU: NumPy can read it, CuPy cannot
    return xp.array(xp.asarray(raw), dtype=p.dtype, order="C")


def zeros_like(p: Any) -> Any:
    """A contiguous array of zeros for a parameter's state."""
    return xp_of(p).zeros(p.shape, p.dtype)
