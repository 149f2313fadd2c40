"""Is this gradient right, and if not, where is it wrong? Numbers from outside against backprop's.

Analytic functions are differentiated by the complex step, Im f(x + ih) / h, which cancels nothing and is
exact to the last digits (Squire & Trapp 1998); others by central differences, extrapolated to h = 0
(Richardson 1911; Ridders 1982). At a kink the two sides differ, and the report says so.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad_kernels.cuda import precision

from .engine import backend
from .engine.backprop import grad
from .engine.random import Generator
from .engine.recording import enable_grad, no_grad
from .engine.tensor import Tensor, wrap

__all__ = ["gradcheck"]

STEP = 1e-30  # of the complex step: so small that h^2 vanishes, and nothing is subtracted
TOLERANCE = {"complex-step": 1e-12, "richardson": 1e-8, "central": 1e-6}


class Row(NamedTuple):
    """One input: how well backprop and the numbers from outside agree."""

    name: str
    order: int
    method: str
    error: float  # largest relative error over all elements
    index: tuple[int, ...]  # where that is
    analytic: float  # backprop's number there
    numeric: float  # the number from outside
    kinks: tuple[tuple[tuple[int, ...], float, float], ...]  # (index, slope from the left, from the right)
    errors: np.ndarray  # of every element

    def ok(self, tolerance: float | None) -> bool:
        """True if the worst element is within tolerance."""
        return self.error <= (TOLERANCE[self.method] if tolerance is None else tolerance)


class Report:
    """The outcome of a check: true if all rows are within tolerance; print it to see them."""

    def __init__(self, rows: list[Row], tolerance: float | None) -> None:
        self.rows, self.tolerance = rows, tolerance

    @property
    def ok(self) -> bool:
        """True if every row is within tolerance."""
        return all(row.ok(self.tolerance) for row in self.rows)

    def __bool__(self) -> bool:
        return self.ok

    def faults(self) -> list[str]:
        """One line for each row that is out of tolerance."""
        return [
            f"the gradient{' of second order' if r.order == 2 else ''} of {r.name} at {r.index} "
            f"is {r.analytic:.12g}, "
            f"{r.method} gives {r.numeric:.12g} (relative error {r.error:.1e}); "
            f"{int((r.errors > (self.tolerance or TOLERANCE[r.method])).sum())} of {r.errors.size} "
            "elements differ"
            for r in self.rows
            if not r.ok(self.tolerance)
        ]

    def __str__(self) -> str:
        head = f"{'input':<14}{'order':>5}  {'method':<13}{'worst error':>12}  {'at':<12}"
        lines = [f"{head}{'analytic':>16}{'numeric':>16}"]
        for r in self.rows:
            lines.append(
                f"{r.name:<14}{r.order:>5}  {r.method:<13}{r.error:>12.1e}  {r.index!s:<12}"
                f"{r.analytic:>16.9g}{r.numeric:>16.9g}{'' if r.ok(self.tolerance) else '  WRONG'}"
            )
            lines += [f"{'':>21}kink at {i}: one-sided slopes {a:.6g} | {b:.6g}" for i, a, b in r.kinks]
            if not r.ok(self.tolerance):
                lines += ["", _map_of(r, self.tolerance), ""]
        return "\n".join(lines)

    def plot(self, path: str) -> None:
        """A picture of log10 relative error, one panel a row (needs matplotlib)."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise ImportError("gradcheck: plot needs matplotlib; pip install 'minigrad[train]'") from None
        figure = Figure(figsize=(4 * len(self.rows), 3.2), layout="constrained")
        for row, axes in zip(self.rows, np.atleast_1d(figure.subplots(1, len(self.rows))), strict=True):
            image = axes.imshow(np.log10(_as_matrix(row.errors) + 1e-17), vmin=-17, vmax=0, cmap="cividis")
            axes.set_title(f"{row.name}, order {row.order}: {row.error:.1e}", fontsize=9)
            figure.colorbar(image, ax=axes, label="log10 relative error")
        figure.savefig(path)


def _as_matrix(errors: np.ndarray) -> np.ndarray:
    return errors.reshape(-1, errors.shape[-1]) if errors.ndim else errors.reshape(1, 1)


def _map_of(row: Row, tolerance: float | None, size: int = 24) -> str:
    """Where it is wrong: # beyond tolerance, . within, as a small matrix."""
    limit = TOLERANCE[row.method] if tolerance is None else tolerance
    wrong = _as_matrix(row.errors > limit)[:size, :size]
    return "\n".join("    " + "".join("#" if w else "." for w in line) for line in wrong)


# ---------------------------------------------------------------- what users call


@precision.full()  # TF32's rounding would be taken for a wrong gradient
def gradcheck(
    f: Callable[..., Tensor],
    inputs: Any,
    *,
    order: int = 1,
    method: str = "auto",
    tolerance: float | None = None,
    names: Sequence[str] | None = None,
    raise_exception: bool = True,
    seed: int = 0,
) -> Report:
    """Compare backprop through f with numbers from outside, for every element of every input.

    f: Tensors -> Tensor of any shape (a fixed random weighting makes it a scalar). inputs: float64
    tensors or arrays; f runs on the first tensor's device, or the default one. order 2 checks the gradient
    of the gradient too. method: complex-step, richardson, central, or auto (complex-step where f is
    analytic). The error of an element is
    |a - n| / max(|a|, |n|, sum of the magnitudes that were added up to it); tolerance is 1e-12,
    1e-8 and 1e-6 by method unless given. Raises ValueError with the first fault, unless
    raise_exception=False; TypeError for inputs that are not float64.

    >>> import minigrad as mg
    >>> a, b = mg.rand(3, dtype="float64"), mg.rand(3, dtype="float64")
    >>> bool(mg.gradcheck(lambda a, b: a * mg.sin(b), (a, b)))
    True
    """
    if order not in (1, 2):
        raise ValueError(f"gradcheck: expected order 1 or 2 (order={order})")
    if method not in ("auto", *TOLERANCE):
        raise ValueError(f"gradcheck: expected auto, {', '.join(TOLERANCE)} (method={method!r})")
    xs = _arrays(inputs)
    names = list(names) if names is not None else [f"inputs[{i}]" for i in range(len(xs))]
    with _device(inputs):
        rows = list(_first_order(f, xs, names, method, Generator(seed)))
        if order == 2:
            rows += _second_order(f, xs, names, Generator(seed + 1))
    report = Report(rows, tolerance)
    if raise_exception and not report.ok:
        raise ValueError(f"gradcheck: {report.faults()[0]}")
    return report


def _arrays(inputs: Any) -> list[np.ndarray]:
    """The inputs as float64 arrays of their own."""
    xs = []
    for i, x in enumerate(inputs if isinstance(inputs, tuple | list) else (inputs,)):
        raw = backend.to_numpy(x._data) if isinstance(x, Tensor) else np.asarray(x)
        if raw.dtype != np.float64:
            raise TypeError(
                f"gradcheck: expected float64 (inputs[{i}]), got {raw.dtype}; use .astype('float64')"
            )
        xs.append(raw.copy())
    return xs


def _device(inputs: Any) -> backend.Device:
    """Where f is to run: on the device of the first tensor, or the default one."""
    given = inputs if isinstance(inputs, tuple | list) else (inputs,)
    return next((x.device for x in given if isinstance(x, Tensor)), backend.default_device())


def _applied(f: Callable, xs: list[Tensor]) -> Tensor:
    """f(*xs), worked out on the default device; xs and the result are on the CPU, to be compared there."""
    device = backend.default_device()
    y = f(*xs) if device.kind == "cpu" else f(*[x.to(device) for x in xs])
    if not isinstance(y, Tensor):
        raise TypeError(f"gradcheck: f must return a Tensor, got {type(y).__name__}")
    return y if isinstance(y._data, np.ndarray) else y.to("cpu")


def _first_order(
    f: Callable, xs: list, names: Sequence[str], method: str, generator: Generator
) -> Iterator[Row]:
    y = _plain(f, xs)
    weights = generator.standard_normal(y.shape)
    analytic = gradients(f, xs, weights)
    numeric = "richardson" if method == "auto" else method
    if method == "complex-step" or (method == "auto" and is_analytic(f, xs, y)):
        numeric = "complex-step"
    for k, (x, a) in enumerate(zip(xs, analytic, strict=True)):
        if numeric == "complex-step":
            parts = complex_step(f, xs, k)
            n, scale = _weighted(parts, weights)
            yield _row(names[k], 1, numeric, a, n, scale, ())
        else:
            g = lambda z, k=k: float((_plain(f, [*xs[:k], z, *xs[k + 1 :]]) * weights).sum())
            n, scale, kinks = differences(g, x, numeric)
            yield _row(names[k], 1, numeric, a, n, scale, kinks)


def _second_order(f: Callable, xs: list, names: Sequence[str], generator: Generator) -> list[Row]:
    """The gradient of s(x, v) = sum_k <u_k, d<v, f>/dx_k>, in every x and in v itself."""
    v = generator.standard_normal(_plain(f, xs).shape)
    us = [generator.standard_normal(x.shape) for x in xs]
    analytic = second_gradients(f, xs, v, us)
    rows = []
    for k, (x, a) in enumerate(zip([*xs, v], analytic, strict=True)):
        if x.size == 0:
            continue

        def s(z: np.ndarray, k: int = k) -> float:
            at, w = ([*xs[:k], z, *xs[k + 1 :]], v) if k < len(xs) else (xs, z)
            return sum(float((u * g).sum()) for u, g in zip(us, gradients(f, at, w), strict=True))

        n, scale, kinks = differences(s, x, "richardson")
        rows.append(_row(names[k] if k < len(xs) else "weights", 2, "richardson", a, n, scale, kinks))
    return rows


def _row(name: str, order: int, method: str, a: np.ndarray, n: np.ndarray, scale: Any, kinks: tuple) -> Row:
    bottom = np.maximum(np.maximum(np.abs(a), np.abs(n)), scale)
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = np.where(a == n, 0.0, np.abs(a - n) / bottom)
    errors = np.where(np.isfinite(errors), errors, np.inf)  # NaN is never right
    for index, low, high in kinks:  # any slope between the two sides is a subgradient
        room = 1e-6 * max(abs(low), abs(high), 1.0)  # of a jump: any number will do
        errors[index] = 0.0 if min(low, high) - room <= a[index] <= max(low, high) + room else np.inf
    if not errors.size:
        return Row(name, order, method, 0.0, (), 0.0, 0.0, kinks, errors)
    worst = np.unravel_index(int(errors.argmax()), errors.shape)
    at = tuple(int(i) for i in worst)
    return Row(name, order, method, float(errors[at]), at, float(a[at]), float(n[at]), kinks, errors)


# ---------------------------------------------------------------- backprop's side


def gradients(f: Callable, xs: list[np.ndarray], weights: np.ndarray) -> list[np.ndarray]:
    """d<weights, f(*xs)>/dx for each x, by backprop."""
    with enable_grad():
        leaves = [wrap(np.array(x), None).requires_grad_() for x in xs]
        y = _applied(f, leaves)
        if y._node is None:
            return [np.zeros_like(x) for x in xs]
        found = grad(y, leaves, wrap(weights.astype(y.dtype), None), allow_unused=True)
    return [np.zeros_like(x) if g is None else g._data for g, x in zip(found, xs, strict=True)]


def second_gradients(
    f: Callable, xs: list[np.ndarray], v: np.ndarray, us: list[np.ndarray]
) -> list[np.ndarray]:
    """The gradient of sum_k <u_k, d<v, f>/dx_k> in each x and in v, by backprop through backprop."""
    with enable_grad():
        leaves = [wrap(np.array(x), None).requires_grad_() for x in xs]
        weights = wrap(v.copy(), None).requires_grad_()
        y = _applied(f, leaves)
        zeros = [np.zeros_like(x) for x in (*xs, v)]
        if y._node is None:
            return zeros
        first = grad(y, leaves, weights, create_graph=True, allow_unused=True)
        terms = [(g * wrap(u, None)).sum() for g, u in zip(first, us, strict=True) if g is not None]
        total = sum(terms[1:], start=terms[0]) if terms else None
        if total is None or total._node is None:
            return zeros
        found = grad(total, [*leaves, weights], allow_unused=True)
    return [z if g is None else g._data for g, z in zip(found, zeros, strict=True)]


def _plain(f: Callable, xs: list[np.ndarray]) -> np.ndarray:
    """f's value, recording nothing, on copies that f may keep."""
    with no_grad():
        return _applied(f, [wrap(np.array(x), None) for x in xs])._data


# ---------------------------------------------------------------- the complex step


def is_analytic(f: Callable, xs: list[np.ndarray], y: np.ndarray) -> bool:
    """True if f runs on complex numbers, keeps its real values there, and has its real slope there."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            z = _plain(f, [x.astype(np.complex128) for x in xs])
            if z.dtype != np.complex128 or not np.allclose(z.real, y, rtol=1e-9, atol=1e-12):
                return False
            directions = [np.cos(np.arange(x.size, dtype=float)).reshape(x.shape) for x in xs]
            h = 1e-5
            ahead, behind = (
                _plain(f, [x + s * h * d for x, d in zip(xs, directions, strict=True)]) for s in (1.0, -1.0)
            )
            slope = _plain(f, [x + 1j * STEP * d for x, d in zip(xs, directions, strict=True)]).imag / STEP
    except (TypeError, ValueError, FloatingPointError, np.exceptions.ComplexWarning):
        return False
    return bool(
        np.allclose(
            slope, (ahead - behind) / (2 * h), rtol=1e-3, atol=1e-5 * (1.0 + np.abs(slope).max(initial=0))
        )
    )


def complex_step(f: Callable, xs: list[np.ndarray], k: int) -> np.ndarray:
    """The whole Jacobian df/dx_k, (x.size, *y.shape), one element of x at a time."""
    rows = []
    zs = [x.astype(np.complex128) for x in xs]
    for i in range(xs[k].size):
        shifted = zs[k].copy()
        shifted.reshape(-1)[i] += 1j * STEP
        rows.append(_plain(f, [*zs[:k], shifted, *zs[k + 1 :]]).imag / STEP)
    if not rows:
        return np.zeros((*xs[k].shape, *_plain(f, xs).shape))
    return np.stack(rows).reshape((*xs[k].shape, *rows[0].shape))


def _weighted(jacobian: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """<weights, J> per element of x, and the sum of the magnitudes of its terms."""
    terms = jacobian * weights
    axes = tuple(range(terms.ndim - weights.ndim, terms.ndim))
    return terms.sum(axis=axes), np.abs(terms).sum(axis=axes)


# ---------------------------------------------------------------- differences


def differences(
    g: Callable[[np.ndarray], float], x: np.ndarray, method: str
) -> tuple[np.ndarray, float, tuple]:
    """The gradient of a scalar g at x, the scale that errors are relative to, and the kinks on the way."""
    slopes, kinks = np.zeros(x.shape), []
    here = g(x)
    for i in np.ndindex(*x.shape):

        def along(t: float, i: tuple = i) -> float:
            z = x.copy()
            z[i] += t
            return g(z)

        sides = _kink(along, here)
        if sides is not None:
            kinks.append((i, *sides))
            slopes[i] = (sides[0] + sides[1]) / 2 if math.isfinite(sides[1]) else 0.0
        elif method == "central":
            slopes[i] = (along(1e-6) - along(-1e-6)) / 2e-6
        else:
            slopes[i] = _ridders(along, 0.02 * max(1.0, abs(x[i])))
    scale = float(np.abs(slopes).max(initial=0.0))
    return slopes, max(1e-3 * scale, 1e-6 * abs(here), 1e-12), tuple(kinks)


def _kink(along: Callable[[float], float], here: float) -> tuple[float, float] | None:
    """One-sided slopes (left, right) if they stay apart as the step shrinks; None where g is smooth."""

    def slopes(h: float) -> tuple[float, float]:
        return (here - along(-h)) / h, (along(h) - here) / h

    wide, narrow = slopes(1e-4), slopes(1e-6)
    if any(abs(n) > 10.0 * abs(w) + 1.0 for w, n in zip(wide, narrow, strict=True)):
        return -math.inf, math.inf  # a jump: the shorter the step, the steeper
    gap, closer = abs(wide[1] - wide[0]), abs(narrow[1] - narrow[0])
    size = max(abs(narrow[0]), abs(narrow[1]), 1e-3)
    # A smooth g closes the gap a hundredfold; noise of about 1e-16/1e-6 is far below the limit.
    return narrow if closer > 1e-3 * size and closer > 0.5 * gap else None


def _ridders(along: Callable[[float], float], h: float, levels: int = 7, shrink: float = 2.0) -> float:
    """Central differences at h, h/2, ..., extrapolated to 0; the entry with the least estimated error.

    It ends early where that error is far below what is asked, or below the rounding of a difference.
    """

    def slope(h: float) -> tuple[float, float]:
        right, left = along(h), along(-h)
        return (right - left) / (2 * h), 1e-15 * max(abs(right), abs(left)) / h

    value, _ = slope(h)
    table, best, error = [[value]], value, math.inf
    for _ in range(1, levels):
        h /= shrink
        value, rounding = slope(h)
        row, factor = [value], 1.0
        for j in range(len(table)):
            factor *= shrink * shrink
            row.append((factor * row[j] - table[-1][j]) / (factor - 1.0))
            guess = max(abs(row[-1] - row[-2]), abs(row[-1] - table[-1][j]))
            if guess <= error:
                best, error = row[-1], guess
        if error <= max(1e-11 * abs(best), rounding):
            break
        table.append(row)
    return best


# ---------------------------------------------------------------- float32, and linear ops


def float32_error(f: Callable, xs: list[np.ndarray], seed: int = 0) -> float:
    """Largest error of float32 gradients, relative to the largest float64 gradient of the same input."""
    weights = Generator(seed).standard_normal(_plain(f, xs).shape)
    exact = gradients(f, xs, weights)
    rough = gradients(f, [x.astype(np.float32) for x in xs], weights)
    worst = 0.0
    for a, b in zip(exact, rough, strict=True):
        if a.size:
            worst = max(worst, float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30)))
    return worst


def adjoint_error(f: Callable, x: np.ndarray, seed: int = 0) -> float:
    """|<f(u), w> - <u, J^T w>| for a linear f, relative to the sum of the products' magnitudes."""
    generator = Generator(seed)
    u = generator.standard_normal(x.shape)
    fu = _plain(f, [u])
    w = generator.standard_normal(fu.shape)
    back = gradients(f, [u], w)[0]
    size = float(np.abs(fu * w).sum() + np.abs(u * back).sum())
    return abs(float((fu * w).sum()) - float((u * back).sum())) / size if size else 0.0
