"""Loss scaling, which mixed precision in float16 needs beside autocast.

float16 ends below 6e-8, and many gradients are smaller. So the loss is multiplied by a large number
before backward(), and the gradients are divided by it in float32, where the parameters live. If the
number was too large, some gradient is infinite or NaN: that step is left out and the number halved. After
many good steps in a row it is doubled again (Micikevicius et al. 2018, "Mixed precision training", 3.2).

    scaler = mg.amp.GradScaler()
    for x, t in batches:
        optimizer.zero_grad()
        with mg.autocast("cuda"):
            loss = criterion(model(x), t)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)                     # only to look at the gradients, or to clip them
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()

The scale, the count of good steps and the flag of overflow stay on the device.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from ..engine.autocast import usable
from ..engine.backend import Array, Device, stack, xp_of
from ..engine.live import capturing
from ..engine.node import mutated
from ..engine.recording import effect, reading
from ..engine.tensor import Tensor

__all__ = ["GradScaler"]


class _Seen(NamedTuple):
    """What this step has done with an optimiser."""

    stage: str  # "unscaled" or "stepped"
    overflow: Array  # float32 on the device: 1 if a gradient was infinite or NaN, else 0


class GradScaler:
    """Scales losses so that float16 gradients do not vanish, and leaves out the steps that overflow.

    init_scale: the first factor. After growth_interval good steps in a row it is multiplied by
    growth_factor, after an overflow by backoff_factor. With enabled=False every method lets things pass.
    bfloat16 has float32's range and needs no scaler. Raises ValueError for settings out of range.

    >>> import minigrad as mg
    >>> w = mg.tensor([1.0], requires_grad=True)
    >>> opt, scaler = mg.optim.SGD([w], lr=0.5), mg.amp.GradScaler("cpu", init_scale=8.0)
    >>> for loss in (w * mg.inf, w * w):
    ...     opt.zero_grad()
    ...     scaler.scale(loss.sum()).backward()
    ...     _ = scaler.step(opt)
    ...     scaler.update()
    ...     print(w.item(), scaler.get_scale())
    1.0 4.0
    0.0 4.0
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device, self._enabled = Device(device), bool(enabled)
        if enabled and not usable(device):
            warnings.warn("GradScaler: there is no GPU here: disabled", UserWarning, stacklevel=2)
            self._enabled = False
        self._factors = {"growth_factor": growth_factor, "backoff_factor": backoff_factor}
        self._interval = growth_interval
        _check(growth_factor, backoff_factor, growth_interval)
        if self._enabled:
            self._scale = Tensor(np.float32(init_scale), device=self._device)
            self._good_steps = Tensor(np.int32(0), device=self._device)
        self._seen: dict[int, _Seen] = {}  # by the optimiser's id

    # -- a step

    def scale(self, outputs: Any) -> Any:
        """A loss times the scale, or a list or tuple of losses."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale.to(outputs.device)
        if isinstance(outputs, list | tuple):
            return type(outputs)([self.scale(loss) for loss in outputs])
        raise TypeError(f"GradScaler.scale: expected Tensors (outputs), got {type(outputs).__name__}")

    @effect
    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of the optimiser's parameters by the scale, in place; once in a step."""
        if not self._enabled:
            return
        self._refuse_again("unscale_", optimizer)
        self._seen[id(optimizer)] = _Seen("unscaled", self._unscaled(optimizer, write=True))

    @effect
    def step(self, optimizer: Any, *args: Any, **kw: Any) -> Any:
        """optimizer.step(*args, **kw) on unscaled gradients, unless one of them is infinite or NaN.

        An optimiser that says `_step_supports_amp_scaling` decides on the device: it finds the flag in its
        attribute `found_inf`, and in `grad_scale` what it still has to divide by, or None. For any other one
        the flag is read by the host, which waits for the device: one number, once in a step.
        """
        if not self._enabled:
            return optimizer.step(*args, **kw)
        if args or kw.get("closure") is not None:
            raise ValueError("GradScaler.step: a closure cannot be scaled (closure); call step() without")
        seen = self._seen.get(id(optimizer))
        if seen is not None and seen.stage == "stepped":
            raise ValueError("GradScaler.step: called twice for an optimizer; call update() after the first")
        decides = getattr(optimizer, "_step_supports_amp_scaling", False)
        if seen is None:
            seen = _Seen("unscaled", self._unscaled(optimizer, write=not decides))
            left = self._scale if decides else None
        else:
            left = None
        self._seen[id(optimizer)] = _Seen("stepped", seen.overflow)
        if decides:
            optimizer.found_inf, optimizer.grad_scale = seen.overflow, None if left is None else left._data
            try:
                return optimizer.step(**kw)
            finally:
                del optimizer.found_inf, optimizer.grad_scale
        if capturing():
            raise ValueError(
                "capture: GradScaler.step() reads on the host whether gradients overflowed; a graph cannot: "
                "capture the step up to backward(), and call scaler.step() and update() after it"
            )
        return None if bool(seen.overflow) else optimizer.step(**kw)  # the one read of the host

    @effect
    def update(self, new_scale: float | Tensor | None = None) -> None:
        """The scale of the next step, by what this one's steps have found; or `new_scale`."""
        if not self._enabled:
            return
        if new_scale is not None:
            new = Tensor(new_scale, np.float32, device=self._device)._data
            if new.size != 1:
                raise ValueError(f"GradScaler.update: expected one number (new_scale), got shape {new.shape}")
            self._put(new.reshape(()), self._good_steps._data)
        else:
            self._follow()
        self._seen = {}

    # -- on the device

    def _unscaled(self, optimizer: Any, write: bool) -> Array:
        """The flag of overflow of an optimiser's gradients, which are divided by the scale if `write`."""
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not grads:
            raise ValueError(
                "GradScaler: no parameter of this optimizer has a gradient; "
                "call scaler.scale(loss).backward() first"
            )
        half = [g for g in grads if g.dtype == np.float16]
        if half:
            raise ValueError(
                "GradScaler: expected gradients of float32 parameters, got float16, which overflow before "
                "they are looked at; keep the model in float32 and use autocast"
            )
        xp = xp_of(grads[0]._data)
        bad = stack(xp, [xp.logical_not(xp.isfinite(g._data).all()) for g in grads]).any()
        if write:
            inverse = (1.0 / self._scale._data.astype(np.float64)).astype(np.float32)
            with np.errstate(invalid="ignore"):
                for g in grads:
                    xp.multiply(g._data, inverse, out=g._data)
                    mutated(g._data)
        return xp.asarray(bad).astype(np.float32)

    def _follow(self) -> None:
        """Back off after an overflow, grow after enough good steps, all by selection on the device."""
        if not any(seen.stage == "stepped" or seen.stage == "unscaled" for seen in self._seen.values()):
            raise ValueError("GradScaler.update: no step to judge by; call step(optimizer) first")
        scale, good = self._scale._data, self._good_steps._data
        xp, wide = xp_of(scale), scale.astype(np.float64)
        bad = stack(xp, [xp.asarray(seen.overflow) for seen in self._seen.values()]).any()
        count = xp.where(bad, 0, good + 1)
        full = count == self._interval
        with np.errstate(over="ignore"):
            grown = (wide * self._factors["growth_factor"]).astype(np.float32)
            lower = (wide * self._factors["backoff_factor"]).astype(np.float32)
        new = xp.where(full & xp.isfinite(grown), grown, scale)
        self._put(xp.where(bad, lower, new), xp.where(full, 0, count))

    def _put(self, scale: Array, good_steps: Array) -> None:
        """Write both numbers where they are: a captured step reads them there."""
        for t, value in ((self._scale, scale), (self._good_steps, good_steps)):
            t._data[...] = value
            mutated(t._data)

    def _refuse_again(self, name: str, optimizer: Any) -> None:
        seen = self._seen.get(id(optimizer))
        if seen is not None:
            before = "unscale_()" if seen.stage == "unscaled" else "step()"
            raise ValueError(
                f"GradScaler.{name}: after {before} the gradients are unscaled already; "
                "call update() between two steps"
            )

    # -- questions and settings

    def is_enabled(self) -> bool:
        """True if it scales."""
        return self._enabled

    def get_scale(self) -> float:
        """The scale, read from the device; 1 if disabled."""
        reading("GradScaler.get_scale()")
        return float(self._scale._data) if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """What a long run of good steps multiplies the scale by."""
        return self._factors["growth_factor"]

    def set_growth_factor(self, new_factor: float) -> None:
        """Another growth factor, above 1."""
        _check(new_factor, self._factors["backoff_factor"], self._interval)
        self._factors["growth_factor"] = new_factor

    def get_backoff_factor(self) -> float:
        """What an overflow multiplies the scale by."""
        return self._factors["backoff_factor"]

    def set_backoff_factor(self, new_factor: float) -> None:
        """Another backoff factor, between 0 and 1."""
        _check(self._factors["growth_factor"], new_factor, self._interval)
        self._factors["backoff_factor"] = new_factor

    def get_growth_interval(self) -> int:
        """How many good steps in a row make the scale grow."""
        return self._interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Another number of good steps."""
        _check(*self._factors.values(), new_interval)
        self._interval = new_interval

    # -- state

    def state_dict(self) -> dict[str, Any]:
        """PyTorch's entries, read from the device; empty if disabled. Take it after update()."""
        if not self._enabled:
            return {}
        good = int(self._good_steps._data)
        interval = {"growth_interval": self._interval, "_growth_tracker": good}
        return {"scale": self.get_scale(), **self._factors, **interval}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state, ours or PyTorch's; nothing happens if disabled."""
        if not self._enabled:
            return
        wanted = {"scale", *self._factors, "growth_interval", "_growth_tracker"}
        if not isinstance(state_dict, dict) or not wanted <= set(state_dict):
            given = sorted(state_dict) if isinstance(state_dict, dict) else type(state_dict).__name__
            raise ValueError(
                f"GradScaler.load_state_dict: expected {', '.join(sorted(wanted))}, got {given}; "
                "a disabled scaler saves an empty one"
            )
        factors = {name: state_dict[name] for name in self._factors}
        _check(*factors.values(), state_dict["growth_interval"])
        self._factors, self._interval = factors, state_dict["growth_interval"]
        self._put(np.float32(state_dict["scale"]), np.int32(state_dict["_growth_tracker"]))

    def __repr__(self) -> str:
        return f"GradScaler(device={str(self._device)!r}, enabled={self._enabled})"


def _check(growth_factor: float, backoff_factor: float, growth_interval: int) -> None:
    if not growth_factor > 1.0:
        raise ValueError(f"GradScaler: expected a number above 1 (growth_factor={growth_factor})")
    if not 0.0 < backoff_factor < 1.0:
        raise ValueError(f"GradScaler: expected a number between 0 and 1 (backoff_factor={backoff_factor})")
    if growth_interval < 1:
        raise ValueError(f"GradScaler: expected a whole number >= 1 (growth_interval={growth_interval})")
