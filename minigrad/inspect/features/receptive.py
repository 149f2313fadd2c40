"""What a unit sees: its receptive field, measured by gradients and compared with the formula."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.backprop import grad
from ...engine.random import Generator
from ...engine.recording import enable_grad
from ...nn.conv import _Conv
from ...nn.module import Module
from ...nn.padding import _Pad
from ...nn.shapes import explain_shapes
from ...nn.sizes import Field, widen, window_of
from ...ops.windows import per_axis
from ..layers import Call, check_model, layer_named, on_model, output_of, run

__all__ = ["UnitField", "receptive_field_of"]

Box = tuple[tuple[int, int], ...]  # per axis: the first place, and the one after the last


@dataclass
class UnitField:
    """What a unit sees: half-open ranges per axis, measured (`box`) and by the formula (`expected`)."""

    layer: str
    unit: tuple[int, ...]
    box: Box
    expected: Box | None  # None where layers before mix places, or branches meet
    formula: tuple[int, ...] | None  # the receptive field's size per axis, border included
    influence: (
        np.ndarray
    )  # the shape of the input's places: mean |d unit / d input| over samples and channels

    @property
    def size(self) -> tuple[int, ...]:
        """Places seen, per axis."""
        return tuple(stop - start for start, stop in self.box)

    def __repr__(self) -> str:
        by = lambda numbers: " x ".join(map(str, numbers))
        at = lambda box: ", ".join(f"{a}..{b - 1}" for a, b in box)
        told = f"{self.layer} unit {self.unit}: sees {by(self.size)} at {at(self.box)}"
        if self.formula is not None:
            told += f"; formula {by(self.formula)}"
        if self.expected is not None:
            told += f" at {at(self.expected)} inside the input"
        return told

    def draw(self, image: Any = None, path: str | Path | None = None) -> Any:
        """The picture: influence as heat, measured box solid, the formula's dashed, over an image (H, W)."""
        from ..plots.heat import field_picture

        return field_picture(self, image, path)


def receptive_field_of(
    model: Module, layer: Any, unit: Any, shape: Sequence[int], samples: int = 64, seed: int = 0
) -> UnitField:
    """{(i, j) : d y_u / d x(., i, j) != 0 for some x}: the places of the input that a unit depends on.

    layer: dotted name, or the layer. unit: its index in the output without the batch, (c, i, j), or a
    channel, for the unit in the middle of that map. shape: of one input, (C, H, W) or (C, L). The gradients
    of `samples` random inputs are united, as a ReLU that is off or a maximum hides inputs from one of them.
    Their mean is the effective field of Luo et al. 2016, which is smaller than the box. Compared with
    r' = r + d(k - 1) j (nn.receptive_field), where that says where the field lies, cut off at the border.
    Raises ValueError for an unknown layer or unit, and for one that depends on none of these inputs.

    >>> from minigrad import inspect, nn
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(2, 4, 3))
    >>> inspect.receptive_field_of(net, "2", (0, 1, 2), (1, 12, 12))
    2 unit (0, 1, 2): sees 8 x 8 at 1..8, 3..10; formula 8 x 8 at 1..8, 3..10 inside the input
    """
    where = "receptive_field_of"
    check_model(where, model)
    if len(shape) not in (2, 3) or samples < 1:
        raise ValueError(
            f"{where}: expected a shape (C, H, W) or (C, L) and samples >= 1 "
            f"(shape={tuple(shape)}, samples={samples})"
        )
    which = layer_named(where, model, layer)
    name = next(n for n, m in model.named_modules() if m is which)
    x = on_model(model, Generator(seed).standard_normal((samples, *shape))).requires_grad_()
    with enable_grad():
        _, calls = run(model, x)
        y = output_of(where, calls, which, layer)
        unit = _whole_index(where, unit, y.shape[1:])
        seen = y[(slice(None), *unit)].sum()
        slope = grad(seen, [x], allow_unused=True)[0] if seen.requires_grad else None
    influence = (
        np.zeros(shape[1:]) if slope is None else abs(slope).astype("float64").mean((0, 1)).cpu().numpy()
    )
    if not influence.any():
        raise ValueError(
            f"{where}: unit {unit} of {name!r} depends on none of {samples} random inputs: a dead ReLU? "
            "Try another unit, or the layer before it"
        )
    field, start = _by_formula(model, name, calls, x[:1])
    formula = None if field is None else tuple(r for r, _ in field)
    expected = None
    if field is not None and start is not None and len(unit) == len(field) + 1:
        first = [a + i * j for a, i, (_, j) in zip(start, unit[1:], field, strict=True)]
        expected = tuple(
            (max(a, 0), min(a + r, n)) for a, (r, _), n in zip(first, field, shape[1:], strict=True)
        )
    return UnitField(name, unit, _box(influence), expected, formula, influence)


def _whole_index(where: str, unit: Any, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """A unit's index (c, i, j): of a channel, the one in the middle."""
    index = unit if isinstance(unit, tuple) else (unit, *(n // 2 for n in sizes[1:]))
    whole = all(isinstance(i, int | np.integer) and not isinstance(i, bool) for i in index)
    if (
        not whole
        or len(index) != len(sizes)
        or not all(-n <= i < n for i, n in zip(index, sizes, strict=True))
    ):
        raise ValueError(f"{where}: expected an index into {sizes}, or a channel (unit={unit!r})")
    return tuple(int(i) % n for i, n in zip(index, sizes, strict=True))


def _box(influence: np.ndarray) -> Box:
    """The smallest that holds all places with influence."""
    places = np.nonzero(influence)
    return tuple((int(p.min()), int(p.max()) + 1) for p in places)


def _by_formula(
    model: Module, name: str, calls: list[Call], x: Any
) -> tuple[Field | None, tuple[int, ...] | None]:
    """(size and step per axis, where unit 0's field begins), None for what the layers before do not tell."""
    rows = [row for row in explain_shapes(model, x).rows if row.name == name]
    if not rows or rows[0].receptive_field is None or rows[0].jump is None:
        return None, None
    field = tuple(zip(rows[0].receptive_field, rows[0].jump, strict=True))
    chain: Field = ((1, 1),) * len(field)
    start = (0,) * len(field)
    for call in calls:
        if isinstance(call.module, _Pad):
            return field, None
        window = window_of(call.module)
        if window is not None and len(window[0]) == len(field):
            start = tuple(a - p * j for a, p, (_, j) in zip(start, _before(call.module), chain, strict=True))
            chain = widen(chain, *window)
        if call.name == name:
            break
    return field, start if chain == field else None  # branches: a chain of all windows is not what happened


def _before(module: Any) -> tuple[int, ...]:
    """The border that a window layer puts before its input, per axis."""
    if isinstance(module, _Conv):
        return tuple(before for before, _ in module._pairs)
    return per_axis(type(module).__name__, "padding", getattr(module, "padding", 0), module._dims, least=0)
