"""Scaled steps that the device decides about: a gradient that overflowed leaves the step out, unread.

GradScaler puts `found_inf` and `grad_scale`, device floats, on the optimiser while it calls step(). A kernel
divides by the one and obeys the other. The host counts every step, and learns how many were left out only
when somebody asks for the count: until then a kernel takes `skips` away from it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_kernels.layout import on_gpu

from ..engine.backend import xp_of

__all__: list[str] = []


class Scaling:
    """What an optimiser keeps for scaled steps."""

    def __init__(self) -> None:
        self.skips: Any = None  # device int32: steps that were counted and left out
        self.params: dict[int, list[int]] = {}  # of each group, those that moved in the last scaled step

    def possible(self, optimiser: Any) -> bool:
        """Parameters that the fused kernels take, and settings under which a skipped step leaves no trace."""
        groups = optimiser.param_groups
        arrays = [p._data for group in groups for p in group["params"]]
        fits = all(on_gpu(a) and a.dtype == np.float32 and a.flags.c_contiguous for a in arrays)
        settings = not any(group.get("amsgrad") or group.get("dampening") for group in groups)
        return bool(arrays) and fits and settings and optimiser._has_kernel()

    def words(self, optimiser: Any, params: list[Any]) -> dict[str, Any]:
        """found_inf, scale and skips for the kernels; nothing in a step that is not scaled."""
        found = getattr(optimiser, "found_inf", None)
        moved, key = [id(p) for p in params], id(params[0])
        if self.skips is not None and (found is None or self.params.get(key, moved) != moved):
            self.settle(optimiser)
        if found is None:
            return {}
        if self.skips is None:
            self.skips = xp_of(found).zeros(1, np.int32)
        self.params[key] = moved
        return {"found_inf": found, "scale": optimiser.grad_scale, "skips": self.skips}

    def count(self, optimiser: Any) -> None:
        """After a step: one more was left out, if so it was."""
        found = getattr(optimiser, "found_inf", None)
        if found is not None and self.skips is not None:
            self.skips += found.astype(np.int32)

    def settle(self, optimiser: Any) -> None:
        """Correct the counts of the host: it waits for the device."""
        left_out = 0 if self.skips is None else int(self.skips[0])
        for state in optimiser.state.values() if left_out else ():
            if "step" in state:
                state["step"] -= left_out
        if left_out:
            self.skips[...] = 0
