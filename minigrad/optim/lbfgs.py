"""L-BFGS: steps by a curvature that is learnt from the last gradients, and a line search."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..engine.backend import concatenate, xp_of
from ..engine.node import mutated
from ..engine.recording import enable_grad
from ..engine.tensor import Tensor
from .optimizer import INF, Optimizer, owned

__all__ = ["LBFGS"]

ARRAYS, LISTS = ("d", "prev_flat_grad"), ("old_dirs", "old_stps")


class LBFGS(Optimizer):
    """p <- p + t d, d = -H g: H approximates the inverse Hessian from past (step, change of g) pairs.

    step(closure) makes up to max_iter of these moves; the closure zeroes gradients, calls backward() and
    returns the loss. t is lr, or with line_search_fn="strong_wolfe" searched for from there. One group of
    parameters only. A step allocates vectors of the parameters' size: history_size pairs of them stay.
    Nocedal & Wright 2006, algorithms 7.4 and 7.5, 3.5 and 3.6.

    >>> import minigrad as mg
    >>> p = mg.tensor([3.0], requires_grad=True)
    >>> opt = mg.optim.LBFGS([p], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     opt.zero_grad()
    ...     loss = ((p - 1) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> opt.step(closure).item(), round(p.item(), 6)
    (4.0, 1.0)
    """

    _limits = {"lr": (0.0, INF), "tolerance_grad": (0.0, INF), "tolerance_change": (0.0, INF)}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """The one group; a second raises ValueError."""
        if self.param_groups:
            raise ValueError("LBFGS: expected one group of parameters (params), got several")
        super().add_param_group(param_group)

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        for name in ("max_iter", "max_eval", "history_size"):
            if not isinstance(group[name], int) or group[name] < 1:
                raise ValueError(f"LBFGS: expected a whole number >= 1 ({name}={group[name]!r})")
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(
                f"LBFGS: expected None or 'strong_wolfe' (line_search_fn={group['line_search_fn']!r})"
            )

    # -- all parameters as one vector

    def _flat_gradient(self) -> Any:
        params = self.param_groups[0]["params"]
        xp = xp_of(params[0]._data)
        parts = [(xp.zeros(p.shape, p.dtype) if p.grad is None else p.grad._data).reshape(-1) for p in params]
        return concatenate(xp, parts)

    def _move(self, t: float, d: Any, start: list[Any] | None = None) -> None:
        """p <- p + t d, from `start` if given."""
        at = 0
        for i, p in enumerate(self.param_groups[0]["params"]):
            part = d[at : at + p.size].reshape(p.shape)
            p._data[...] = (p._data if start is None else start[i]) + t * part
            mutated(p._data)
            at += p.size

    # -- the step

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to max_iter moves; returns the loss before them."""
        if closure is None:
            raise TypeError("LBFGS: step expected a function that recomputes the loss (closure), got None")
        group, state = self.param_groups[0], self.state[self.param_groups[0]["params"][0]]
        with enable_grad():
            first = closure()
        loss, g, evals = float(first), self._flat_gradient(), 1
        state["func_evals"] = state.get("func_evals", 0) + 1
        state.setdefault("n_iter", 0)
        if _largest(g) <= group["tolerance_grad"]:
            return first
        for i in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            d = state["d"] = self._direction(g, state)
            state["prev_flat_grad"], state["prev_loss"] = g, loss
            state["t"] = float(group["lr"])
            if state["n_iter"] == 1:  # no curvature yet: the first move is short
                state["t"] *= min(1.0, 1.0 / float(abs(g).sum()))
            slope = float(g @ d)
            if slope > -group["tolerance_change"]:
                break
            last = i == group["max_iter"]
            found, spent = self._advance(closure, Point(0.0, loss, g, slope), evals, last)
            loss, g, state["t"] = found.f, found.g, found.t
            evals += spent
            state["func_evals"] += spent
            if last or evals >= group["max_eval"] or self._converged(loss, g, state):
                break
        return first

    def _direction(self, g: Any, state: dict[str, Any]) -> Any:
        """-H g by the two-loop recursion, after the newest pair has joined the history."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -g
        changes, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        y, s = g - state["prev_flat_grad"], state["d"] * state["t"]
        curvature = float(y @ s)
        if curvature > 1e-10:
            if len(steps) == self.param_groups[0]["history_size"]:
                del changes[0], steps[0], ro[0]
            changes.append(y)
            steps.append(s)
            ro.append(1.0 / curvature)
            state["H_diag"] = curvature / float(y @ y)
        q, back = -g, []
        for y, s, r in zip(reversed(changes), reversed(steps), reversed(ro), strict=True):
            back.append(float(s @ q) * r)
            q -= back[-1] * y
        q *= state["H_diag"]
        for y, s, r, a in zip(changes, steps, ro, reversed(back), strict=True):
            q += (a - float(y @ q) * r) * s
        return q

    def _advance(self, closure: Callable, start: Point, evals: int, last: bool) -> tuple[Point, int]:
        """Move along d; the point reached, and how often the loss was computed."""
        group, state = self.param_groups[0], self.state[self.param_groups[0]["params"][0]]
        d, before = state["d"], [p._data.copy() for p in self.param_groups[0]["params"]]

        def at(t: float) -> Point:
            self._move(t, d, before)
            with enable_grad():
                f = float(closure())
            g = self._flat_gradient()
            return Point(t, f, g, float(g @ d))

        if group["line_search_fn"] is None:
            if not last:  # after the last move nobody asks
                return at(state["t"]), 1
            self._move(state["t"], d)
            return start._replace(t=state["t"]), 0
        found, spent = strong_wolfe(
            at, start, state["t"], _largest(d), group["tolerance_change"], group["max_eval"] - evals
        )
        self._move(found.t, d, before)
        return found, spent

    def _converged(self, loss: float, g: Any, state: dict[str, Any]) -> bool:
        small = self.param_groups[0]["tolerance_change"]
        return (
            _largest(g) <= self.param_groups[0]["tolerance_grad"]
            or _largest(state["d"]) * abs(state["t"]) <= small
            or abs(loss - state["prev_loss"]) < small
        )

    def _entry(self, n: Any, s: dict[str, Any], p: Tensor) -> dict[str, Any]:
        """The state of all parameters, kept with the first; vectors as copies, the rest as numbers."""
        size = sum(q.size for q in self.param_groups[0]["params"])
        vectors = [s[k] for k in ARRAYS if s.get(k) is not None] + [v for k in LISTS for v in s.get(k) or ()]
        for v in vectors:
            if tuple(v.shape) != (size,):
                raise ValueError(
                    f"load_state_dict: state[{n}] has a vector of {tuple(v.shape)}, not ({size},)"
                )
        new = {}
        for key, value in s.items():
            if key in (*ARRAYS, *LISTS) and value is not None:
                new[key] = [owned(v, p) for v in value] if key in LISTS else owned(value, p)
            elif key != "al":  # PyTorch's scratch
                new[key] = [float(v) for v in value] if key == "ro" and value is not None else _number(value)
        return new


def _largest(x: Any) -> float:
    return float(abs(x).max()) if x.size else 0.0


def _number(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


# ---------------------------------------------------------------- line search


class Point(NamedTuple):
    """A point on the line: step t, loss f, gradient g, and its slope along the line."""

    t: float
    f: float
    g: Any
    slope: float


def strong_wolfe(
    at: Callable[[float], Point], start: Point, t: float, reach: float, tolerance: float, most: int
) -> tuple[Point, int]:
    """A step whose loss and slope have fallen enough, and how often `at` was called.

    Enough: f <= f0 + 1e-4 t slope0, and |slope| <= 0.9 |slope0|. First ever longer steps until one lies
    beyond such a point, then the bracket shrinks. reach: the largest change that t = 1 makes.
    """
    too_high = lambda p: p.f > start.f + 1e-4 * p.t * start.slope
    flat = lambda p: abs(p.slope) <= -0.9 * start.slope
    before, new, count = start, at(t), 0
    ends = [start, new]
    while count < most:
        if too_high(new) or (count > 1 and new.f >= before.f) or (new.slope >= 0 and not flat(new)):
            ends = [before, new]
            break
        if flat(new):
            return new, count + 1
        longer = new.t + 0.01 * (new.t - before.t), new.t * 10
        before, new = new, at(cubic_minimum(before, new, *longer))
        count += 1
        ends = [start, new]
    return _zoom(at, ends, too_high, flat, reach, tolerance, count, most)


def _zoom(
    at: Callable[[float], Point],
    ends: list[Point],
    too_high: Callable[[Point], bool],
    flat: Callable[[Point], bool],
    reach: float,
    tolerance: float,
    count: int,
    most: int,
) -> tuple[Point, int]:
    """Shrink the bracket, whose lower end is always the best point so far."""
    low = 0 if ends[0].f <= ends[1].f else 1
    stuck = done = False
    while not done and count < most and abs(ends[1].t - ends[0].t) * reach >= tolerance:
        left, right = sorted(p.t for p in ends)
        t, stuck = _away_from_ends(cubic_minimum(ends[0], ends[1], left, right), left, right, stuck)
        new = at(t)
        count += 1
        if too_high(new) or new.f >= ends[low].f:
            ends[1 - low] = new
            low = 0 if ends[0].f <= ends[1].f else 1
            continue
        done = flat(new)
        if not done and new.slope * (ends[1 - low].t - ends[low].t) >= 0:
            ends[1 - low] = ends[low]
        ends[low] = new
    return ends[low], count + 1


def _away_from_ends(t: float, left: float, right: float, stuck: bool) -> tuple[float, bool]:
    """t, but not near an end of the bracket for a second time, or the bracket would hardly shrink."""
    margin = 0.1 * (right - left)
    if min(right - t, t - left) >= margin:
        return t, False
    if not stuck and left < t < right:
        return t, True
    return (right - margin if right - t < t - left else left + margin), False


def cubic_minimum(a: Point, b: Point, low: float, high: float) -> float:
    """Where the cubic through two points with their slopes is least, within [low, high].

    Nocedal & Wright, equation 3.59; the middle if the cubic has no minimum.
    """
    a, b = (a, b) if a.t <= b.t else (b, a)
    d1 = a.slope + b.slope - 3.0 * (a.f - b.f) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0.0:
        return (low + high) / 2.0
    d2 = math.sqrt(square)
    below = b.slope - a.slope + 2.0 * d2
    if below == 0.0:
        return (low + high) / 2.0
    return min(max(b.t - (b.t - a.t) * (b.slope + d2 - d1) / below, low), high)
