"""The signal's health from layer to layer: activations on the way forward, gradients on the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ... import nn
from ...engine.recording import no_grad
from ...engine.tensor import Tensor
from ..layers import Call, check_model, on_model, run
from .figure import BLUE, GREY, INK, PALE, VERMILLION, as_array, finish, new_figure, plain

__all__ = ["activations", "gradient_flow"]

MOST_ROWS = 40  # more do not fit on a page
BINS = 61
HEADINGS = ("mean", "spread", "zero", "dead", "saturated")


@dataclass
class Signal:
    """One layer's activations over a batch."""

    name: str
    kind: str
    values: np.ndarray  # (N, units, places)
    bounds: tuple[float, float] | None

    @property
    def dead(self) -> int:
        """Units that are zero at every place, for every sample: no gradient ever passes them."""
        return int((self.values == 0).all(axis=(0, 2)).sum())

    @property
    def saturated(self) -> float | None:
        """The share of values within 1 % of a bound, where the slope has almost gone; None if unbounded."""
        if self.bounds is None:
            return None
        low, high = self.bounds
        edge = 0.01 * (high - low)
        return float(((self.values < low + edge) | (self.values > high - edge)).mean())

    def cells(self) -> tuple[str, ...]:
        """Mean, spread, share of zeros, dead units and share of saturated values, as text."""
        zero, units = float((self.values == 0).mean()), self.values.shape[1]
        saturated = "" if self.saturated is None else f"{100 * self.saturated:.0f} %"
        dead = f"{self.dead} of {units}" if zero else ""
        shown = "" if zero == 0 else "< 1 %" if zero < 0.005 else f"{100 * zero:.0f} %"
        return f"{self.values.mean():.3g}", f"{self.values.std():.3g}", shown, dead, saturated


def activations(model: nn.Module, x: Any, path: str | Path | None = None) -> Any:
    """How the values of each layer are spread over a batch x (N, ...), with what is dead or saturated.

    A row per layer, in the order in which they run: a histogram of the values that are not zero, mean and
    standard deviation, the share of zeros, the dead units (zero for every sample; a unit is a channel of an
    image layer, else one element) and, after tanh, sigmoid and the like, the share within 1 % of a bound.
    Of a layer that gives a tuple, such as nn.LSTM, the first counts. The model runs in eval mode. Raises
    ValueError if a layer gives infinity or NaN, or if no layer runs.
    """
    check_model("activations", model)
    with no_grad():
        _, calls = run(model, on_model(model, x))
    signals = [_signal(call) for call in calls if call.innermost and _is_real(_first_of(call.output))]
    if not signals:
        raise ValueError(f"activations: no layer of {type(model).__name__} gave real numbers")
    for signal in signals:
        if not np.isfinite(signal.values).all():
            raise ValueError(
                f"activations: layer {signal.name!r} gives NaN or infinity; the training diverged"
            )
    shown = signals[:MOST_ROWS]
    figure = new_figure(9.4, 0.44 * len(shown) + 1.25)
    grid = figure.subplots(len(shown), 2, squeeze=False, sharex="col", width_ratios=[5, 3.4])
    low, high = np.percentile(np.concatenate([_sample(s.values) for s in shown]), [0.5, 99.5])
    edges = np.linspace(low, max(high, low + 1e-6), BINS)
    columns = [i for i in range(len(HEADINGS)) if any(signal.cells()[i] for signal in shown)]
    for i, ((left, right), signal) in enumerate(zip(grid, shown)):
        _ridge(left, signal, edges, last=i == len(shown) - 1)
        _numbers(right, signal, columns, first=i == 0)
    grid[-1, 0].set_xlabel("activation without zeros; the outermost bars hold what lies beyond", fontsize=8)
    rest = f"; the first {len(shown)} of {len(signals)}" if len(shown) < len(signals) else ""
    return finish(figure, f"Activations per layer, {len(signals[0].values)} samples{rest}", path)


def _first_of(output: Any) -> Any:
    """A recurrent or attention layer's own output, without its states and weights."""
    return output[0] if isinstance(output, tuple) and output else output


def _is_real(y: Any) -> bool:
    return isinstance(y, Tensor) and y.dtype.kind == "f" and y.ndim >= 2 and y.size > 0


def _signal(call: Call) -> Signal:
    values = as_array(_first_of(call.output)).astype(np.float64)
    channels = values.shape[1] if values.ndim >= 4 else int(np.prod(values.shape[1:]))
    values = values.reshape(len(values), channels, -1)
    return Signal(call.name, type(call.module).__name__, values, _bounds(call.module))


def _bounds(module: nn.Module) -> tuple[float, float] | None:
    """Between which values a layer's slope goes to zero on both sides."""
    if isinstance(module, nn.Hardtanh):
        return float(module.min_val), float(module.max_val)
    if isinstance(module, nn.Tanh | nn.Softsign):
        return -1.0, 1.0
    return (0.0, 1.0) if isinstance(module, nn.Sigmoid | nn.Hardsigmoid) else None


def _sample(values: np.ndarray) -> np.ndarray:
    """Values that are not zero; for the limits, 10,000 of a layer are enough."""
    flat = values[values != 0]
    return flat[:: max(1, len(flat) // 10_000)] if len(flat) else np.zeros(1)


def _ridge(axes: Any, signal: Signal, edges: np.ndarray, last: bool) -> None:
    """One histogram, as high as its row."""
    counts, _ = np.histogram(np.clip(signal.values[signal.values != 0], edges[0], edges[-1]), edges)
    axes.stairs(counts / max(counts.max(), 1), edges, fill=True, color=BLUE, alpha=0.85)
    axes.axvline(0.0, color=GREY, linewidth=0.7)
    axes.set_ylim(0, 1.08)
    axes.set_yticks([])
    axes.tick_params(labelsize=8, bottom=last)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#c9d0d8")
    label = f"{signal.name}  {signal.kind}"
    axes.set_ylabel(label, fontsize=8, rotation=0, ha="right", va="center", labelpad=6)


def _numbers(axes: Any, signal: Signal, columns: list[int], first: bool) -> None:
    """The numbers beside a histogram; bad news stands out by weight and colour."""
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    troubled = {"dead": signal.dead > 0, "saturated": (signal.saturated or 0) > 0.1}
    for i, column in enumerate(columns):
        heading, text = HEADINGS[column], signal.cells()[column]
        bad = troubled.get(heading, False)
        place = {"x": 0.2 * (i + 1), "ha": "right", "va": "center", "fontsize": 8}
        axes.text(
            y=0.42, s=text, color=VERMILLION if bad else INK, fontweight="bold" if bad else "normal", **place
        )
        if first:
            axes.text(y=1.3, s=heading, color=GREY, **place)


# ---------------------------------------------------------------- gradients


def gradient_flow(source: Any, path: str | Path | None = None) -> Any:
    """Mean and largest |gradient| of each layer's parameters, on a logarithmic scale, in the model's order.

    source: a Module after backward(), a Trace, or {name: gradient}. A mean that falls from the output to the
    input is a vanishing gradient, one that rises an exploding one. Layers without gradient, and with
    gradient zero, say so. Raises ValueError if nothing has a gradient, or one is NaN or infinite.
    """
    layers = _by_layer(_gradients(source))
    kinds = _kinds(source)
    if all(g is None for g in layers.values()):
        raise ValueError("gradient_flow: no parameter has a gradient; call backward() on the loss first")
    for name, g in layers.items():
        if g is not None and not np.isfinite(g).all():
            raise ValueError(f"gradient_flow: the gradient of {name!r} holds NaN or infinity")
    shown = list(layers.items())[:MOST_ROWS]
    figure = new_figure(7.2, 0.32 * len(shown) + 1.6)
    axes = figure.subplots()
    rows = [(i, g.mean(), g.max()) for i, (_, g) in enumerate(shown) if g is not None and g.max() > 0]
    low = min((float(mean) for _, mean, _ in rows), default=1e-3) / 4
    if rows:
        at, means, peaks = (np.array(column) for column in zip(*rows))
        axes.hlines(at, means, peaks, color=PALE, linewidth=5, zorder=1)
        axes.plot(means, at, "o-", color=VERMILLION, label="mean |gradient|", ms=6, lw=1.6)
        axes.plot(
            peaks, at, "D--", color=INK, markerfacecolor="white", ms=5, lw=1, label="largest |gradient|"
        )
        axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        axes.set_xlim(low, 2 * float(peaks.max()))
    axes.set_xscale("log")
    for i, (_, g) in enumerate(shown):
        if g is None or g.max() == 0:
            text = "no gradient" if g is None else "gradient 0"
            axes.text(low * 1.15, i, text, va="center", fontsize=8, color=GREY, fontstyle="italic")
    axes.set_yticks(
        range(len(shown)), [f"{name}  {kinds.get(name, '')}".strip() for name, _ in shown], fontsize=8
    )
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel("|gradient|, log scale")
    plain(axes, grid="x")
    rest = f"; the first {len(shown)} of {len(layers)}" if len(shown) < len(layers) else ""
    return finish(figure, f"Gradient flow, input above, output below{rest}", path)


def _gradients(source: Any) -> dict[str, np.ndarray | None]:
    """{name: gradient or None} of a model's parameters, of a trace's, or as given."""
    if isinstance(source, nn.Module):
        return {name: None if p.grad is None else as_array(p.grad) for name, p in source.named_parameters()}
    if isinstance(source, Mapping):
        return {str(name): None if g is None else as_array(g) for name, g in source.items()}
    if hasattr(source, "grads") and hasattr(source, "values"):  # a Trace
        mine = {v.name: v.grad for v in source.values if v.kind == "parameter"}
        return mine or dict(source.grads)
    raise TypeError(
        f"gradient_flow: expected a Module, Trace or {{name: gradient}}, got {type(source).__name__}"
    )


def _kinds(source: Any) -> dict[str, str]:
    """{layer: class name}, where known."""
    if isinstance(source, nn.Module):
        return {name: type(module).__name__ for name, module in source.named_modules()}
    return dict(getattr(source, "classes", {}))


def _by_layer(gradients: dict[str, np.ndarray | None]) -> dict[str, np.ndarray | None]:
    """{layer: |gradients| of all its parameters, flat}: `fc1.weight` and `fc1.bias` are one layer's."""
    layers: dict[str, list] = {}
    for name, g in gradients.items():
        layer, _, _ = name.rpartition(".")
        layers.setdefault(layer or name, []).append(g)
    joined: dict[str, np.ndarray | None] = {}
    for layer, parts in layers.items():
        there = [np.abs(np.asarray(g, np.float64)).ravel() for g in parts if g is not None]
        joined[layer] = np.concatenate(there) if there else None
    return joined
