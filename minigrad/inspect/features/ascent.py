"""What a unit looks for: the input that excites it most, found by climbing its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...engine.backend import xp_of
from ...engine.backprop import grad
from ...engine.random import Generator
from ...engine.recording import enable_grad
from ...engine.tensor import Tensor, wrap
from ...nn.module import Module
from ...ops.shape import stack
from ..layers import check_model, layer_named, on_model, output_of, run

__all__ = ["Maximised", "maximise"]

BLUR_EVERY = 4  # steps


class Maximised(NamedTuple):
    """What maximise found."""

    image: Tensor  # `shape`, or (U, *shape) for U units
    activations: np.ndarray  # (steps + 1,) or (steps + 1, U): before each step, and of the image returned


def maximise(
    model: Module,
    layer: Any,
    unit: Any,
    shape: Sequence[int],
    steps: int = 200,
    lr: float = 0.05,
    *,
    l2: float = 0.0,
    tv: float = 0.0,
    blur: float = 0.0,
    jitter: int = 0,
    norm: float | None = None,
    limits: tuple[float, float] | None = None,
    start: Any = None,
    seed: int = 0,
) -> Maximised:
    """argmax_x a_u(x) - l2 mean(x^2) - tv mean(|D x|^2), by gradient ascent: Erhan et al. 2009.

    layer: dotted name, or the layer. unit: a channel, whose mean over places is a_u, or a place such as
    (c, i, j); a list of units gives one image each, all at once. shape: of one input, without the batch.
    A step is x + lr g / rms(g), and shrinks to nothing towards the end, so lr is in units of x.

    l2 keeps values small; tv (squared differences of neighbours; Mahendran & Vedaldi 2015) and blur
    (Gaussian, sigma in pixels, every 4th step; Yosinski et al. 2015) keep the image smooth; jitter moves it
    by up to so many pixels before each step (Mordvintsev et al. 2015); norm holds ||x|| (as Erhan et al. do)
    and limits the values, as those of real images are. start: the first x; else noise, drawn from `seed`.

    Raises ValueError for an unknown layer or unit, for settings out of range, and for a unit whose gradient
    is zero at the start, as that of a ReLU which is off.

    >>> import minigrad as mg
    >>> from minigrad import inspect, nn
    >>> net = nn.Sequential(nn.Linear(2, 1, bias=False))
    >>> net[0].weight.data = [[3.0, -4.0]]
    >>> found = inspect.maximise(net, "0", 0, (2,), norm=1.0)
    >>> found.image.round(decimals=2), round(float(found.activations[-1]), 2)
    (tensor([ 0.6, -0.8]), 5.0)
    """
    _check(steps, lr, l2=l2, tv=tv, blur=blur, jitter=jitter, norm=norm, limits=limits)
    check_model("maximise", model)
    which = layer_named("maximise", model, layer)
    several = isinstance(unit, list)
    units = [u if isinstance(u, tuple) else (u,) for u in (unit if several else [unit])]
    climb = _Climb(model, which, layer, units)
    stream = Generator(seed)
    x = _first(model, start, len(units), tuple(shape), limits, stream)
    x = _held(x, norm, limits)
    history = []
    for t in range(steps):
        shift = tuple(stream.integers(-jitter, jitter + 1, x.ndim - 2)) if jitter else ()
        values, g = climb.slope(_rolled(x, shift), l2, tv)
        history.append(values)
        rms = (g * g).mean(axis=tuple(range(1, g.ndim)), keepdims=True) ** 0.5
        if t == 0:
            _check_alive(units, rms)
        x = x + lr * (1 - t / steps) * _rolled(g / (rms + 1e-30), tuple(-s for s in shift))
        if blur and (t + 1) % BLUR_EVERY == 0:
            x = blurred(x, blur)
        x = _held(x, norm, limits)
    history.append(climb.values(wrap(x, None))[1])
    found = np.stack(history)
    return Maximised(wrap(x if several else x[0], None), found if several else found[:, 0])


class _Climb:
    """A unit's activation, and the way up."""

    def __init__(self, model: Module, layer: Module, name: Any, units: list[tuple]) -> None:
        self.model, self.layer, self.name, self.units = model, layer, name, units

    def values(self, x: Tensor) -> tuple[Tensor, np.ndarray]:
        """Activations (U,), to differentiate and as numbers."""
        with enable_grad():
            _, calls = run(self.model, x)
            y = output_of("maximise", calls, self.layer, self.name)
            sizes = y.shape[1:]
            for unit in self.units:
                if len(unit) not in (1, len(sizes)) or not all(
                    isinstance(i, int | np.integer) and -n <= i < n for i, n in zip(unit, sizes)
                ):
                    raise ValueError(
                        f"maximise: expected a unit of {sizes}, as a channel or a whole index (unit={unit})"
                    )
            found = stack([y[(u, *unit)].mean() for u, unit in enumerate(self.units)])
        return found, found.detach().cpu().numpy().astype(float)

    def slope(self, x: Any, l2: float, tv: float) -> tuple[np.ndarray, Any]:
        """(activations, d (activation - penalties) / d x), both of raw arrays."""
        leaf = wrap(x, None).requires_grad_()
        found, values = self.values(leaf)
        with enable_grad():
            goal = found.sum()
            size = leaf[0].size
            if l2:
                goal = goal - l2 / size * (leaf * leaf).sum()
            if tv:
                goal = goal - tv / size * _roughness(leaf)
        return values, grad(goal, leaf)._data


def _roughness(x: Tensor) -> Tensor:
    """The sum of squared differences between neighbours, along every axis but batch and channel."""
    total: Any = 0.0
    for axis in range(2, x.ndim):
        here = (slice(None),) * axis
        d = x[(*here, slice(1, None))] - x[(*here, slice(None, -1))]
        total = total + (d * d).sum()
    return total


def blurred(x: Any, sigma: float) -> Any:
    """Each value the mean of its neighbours with weights exp(-d^2 / 2 sigma^2), along every place axis."""
    xp = xp_of(x)
    for axis in range(2, x.ndim):
        at = xp.arange(x.shape[axis], dtype=x.dtype)
        kernel = xp.exp(-((at[:, None] - at[None]) ** 2) / (2 * sigma**2))
        kernel = kernel / kernel.sum(1, keepdims=True)  # at the border, the weights inside add up to 1
        x = xp.moveaxis(xp.moveaxis(x, axis, -1) @ kernel.T, -1, axis)
    return x


def _rolled(x: Any, shift: tuple) -> Any:
    return xp_of(x).roll(x, [int(s) for s in shift], tuple(range(2, 2 + len(shift)))) if shift else x


def _held(x: Any, norm: float | None, limits: tuple[float, float] | None) -> Any:
    """Within the limits, and of the norm."""
    x = x if limits is None else x.clip(*limits)
    if norm is None:
        return x
    length = (x * x).sum(axis=tuple(range(1, x.ndim)), keepdims=True) ** 0.5
    return x * (norm / (length + 1e-30))


def _first(model: Module, start: Any, n: int, shape: tuple, limits: Any, stream: Generator) -> Any:
    """The first images, one per unit."""
    if start is not None:
        given = on_model(model, start)
        if given.shape not in (shape, (n, *shape)) or given.dtype.kind != "f":
            raise ValueError(f"maximise: expected start {shape} of floats, got {given.shape} {given.dtype}")
        xp = xp_of(given._data)
        return xp.broadcast_to(given._data, (n, *shape)).copy()
    low, high = limits if limits is not None else (-1.0, 1.0)
    noise = stream.standard_normal((n, *shape))
    return on_model(model, (low + high) / 2 + 0.1 * (high - low) * noise)._data


def _check(steps: int, lr: float, **settings: Any) -> None:
    if steps < 1 or lr <= 0:
        raise ValueError(f"maximise: expected steps >= 1 and lr > 0 (steps={steps}, lr={lr})")
    limits, norm = settings.pop("limits"), settings.pop("norm")
    for name, value in settings.items():
        if value < 0:
            raise ValueError(f"maximise: expected a number >= 0 ({name}={value})")
    if limits is not None and not (len(limits) == 2 and limits[0] < limits[1]):
        raise ValueError(f"maximise: expected (low, high) with low < high (limits={limits})")
    if norm is not None and norm <= 0:
        raise ValueError(f"maximise: expected a number > 0 (norm={norm})")


def _check_alive(units: list[tuple], rms: Any) -> None:
    """A flat start leads nowhere, and the picture would be noise that looks like an answer."""
    dead = [
        u[0] if len(u) == 1 else u for u, size in zip(units, rms.ravel().tolist(), strict=True) if size == 0
    ]
    if dead:
        raise ValueError(
            f"maximise: the gradient of unit {dead[0]} is zero at the start; give start=, another seed=, "
            "or the layer before its ReLU"
        )
