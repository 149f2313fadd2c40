"""explain_shapes: run a model once and tell, layer by layer, its shapes, costs and receptive fields.

The layers are seen through hooks, products and windows through the ops that run (tracing.py), so it works
for any model, whatever stands between its layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.backend import as_dtype, default_dtype, is_float, to_device
from ..engine.recording import enter, leave
from ..engine.tensor import Tensor
from .formulas import count_formula, size_formula
from .module import Module
from .tracing import Tracer

__all__ = [
    "LayerRow",
    "ShapeTable",
    "explain_shapes",
]


@dataclass
class LayerRow:
    """One call of one layer. `receptive_field` and `jump` are None where they make no sense."""

    name: str
    kind: str
    input_shape: Any
    output_shape: Any = None
    parameters: int = 0
    multiply_adds: int = 0
    receptive_field: tuple[int, ...] | None = None
    jump: tuple[int, ...] | None = None
    formula: str = ""

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        number = lambda n: f"{n:,}" if n else "-"
        seen = "-"
        if self.receptive_field and self.jump:
            seen = f"{_by(self.receptive_field)} step {_by(self.jump)}"
        costs = number(self.parameters), number(self.multiply_adds)
        return self.name or "(model)", self.kind, str(self.output_shape), *costs, seen, self.formula


def _by(numbers: tuple[int, ...]) -> str:
    return "x".join(map(str, numbers))


HEAD = ("layer", "kind", "output", "parameters", "multiply-adds", "receptive field", "formula")


@dataclass
class ShapeTable:
    """What explain_shapes found: `rows` in the order the layers ran, and the totals of the whole model."""

    rows: list[LayerRow]
    parameters: int = 0
    multiply_adds: int = 0

    def __str__(self) -> str:
        table = [HEAD, *[row.cells() for row in self.rows]]
        wide = [max(len(cells[i]) for cells in table) for i in range(len(HEAD))]
        lines = []
        for cells in table:
            told = [
                c.rjust(w) if i in (3, 4) else c.ljust(w)
                for i, (c, w) in enumerate(zip(cells, wide, strict=True))
            ]
            lines.append("  ".join(told).rstrip())
        lines.append(f"{self.parameters:,} parameters, {self.multiply_adds:,} multiply-adds")
        outside = self.parameters - sum(row.parameters for row in self.rows)
        between = self.multiply_adds - sum(row.multiply_adds for row in self.rows)
        if outside or between:
            lines.append(f"of these outside the layers above: {outside:,} and {between:,}")
        return "\n".join(lines)

    __repr__ = __str__


def explain_shapes(model: Module, input_shape: Any, dtype: Any = None) -> ShapeTable:
    """A table of the layers of `model` in the order they run: shapes, parameters, multiply-adds, fields.

    input_shape: the whole shape, batch and all; or a Tensor; or a list of either, for several inputs. Shapes
    become zeros of `dtype`, by default that of the parameters (give "int64" for labels and tokens). The model
    runs once, in eval mode, and is left as it was.

    A layer is a module without modules inside, or with parameters of its own. Each parameter counts once.
    Multiply-adds are those of convolutions and matrix products. A receptive field has a size and a step (how
    far apart neighbours look), border included: r' = r + d(k - 1) j, j' = j s; '-' where places have mixed.

    Raises ValueError naming the layer where the shapes do not fit.

    >>> from minigrad import nn
    >>> table = nn.explain_shapes(nn.Sequential(nn.Conv2d(1, 6, 5), nn.MaxPool2d(2)), (1, 1, 32, 32))
    >>> table.rows[0].formula
    "H' = floor((32 + 2*0 - 1*(5 - 1) - 1)/1) + 1 = 28, W' the same; 6*(1*5*5 + 1) = 156 parameters"
    >>> table.rows[1].output_shape, table.rows[1].receptive_field, table.rows[1].jump
    ((1, 6, 14, 14), (6, 6), (2, 2))
    """
    if not isinstance(model, Module):
        raise TypeError(f"explain_shapes: expected a Module (model={model!r})")
    several = isinstance(input_shape, list) and any(not isinstance(s, int) for s in input_shape)
    inputs = [_input(model, s, dtype) for s in (input_shape if several else [input_shape])]
    run = _Run(model, inputs)
    with _watched(run):
        run.go()
    return run.table()


def _input(model: Module, given: Any, dtype: Any) -> Tensor:
    """Zeros of a shape, or a Tensor, as a fresh leaf."""
    like = next(iter(model.parameters()), None)
    if isinstance(given, Tensor):
        x = given.detach()
    else:
        whole = lambda n: isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 0
        if not isinstance(given, tuple | list) or not all(map(whole, given)):
            raise ValueError(
                f"explain_shapes: expected a tuple of lengths or a Tensor (input_shape={given!r})"
            )
        kind = as_dtype(dtype) if dtype is not None else default_dtype() if like is None else like.dtype
        x = Tensor(np.zeros(tuple(given), kind))
        x = x if like is None else Tensor(to_device(x._data, like.device))
    return x.requires_grad_() if is_float(x.dtype) else x


class _Run:
    """One forward pass: its hooks, and the rows they write."""

    def __init__(self, model: Module, inputs: list[Tensor]) -> None:
        self.model, self.inputs, self.total = model, inputs, 0
        self.rows: list[tuple[Module, LayerRow]] = []
        self.open: list[LayerRow] = []  # the layers that are running now, the innermost last
        self.tracer = Tracer(inputs)
        self.tracer.count = self._count

    def _count(self, n: int) -> None:
        self.total += n
        if self.open:
            self.open[-1].multiply_adds += n

    def hook(self, name: str, module: Module) -> Iterator[Any]:
        """The handles of two hooks, if the module is a layer."""
        if any(True for _ in module.children()) and not any(True for _ in module.parameters(recurse=False)):
            return

        def before(module: Module, args: tuple) -> None:
            row = LayerRow(name, type(module).__name__, _shape(args[0] if len(args) == 1 else args))
            self.rows.append((module, row))
            self.open.append(row)

        def after(module: Module, args: tuple, y: Any) -> None:
            row = self.open.pop()
            row.output_shape, seen = _shape(y), self.tracer.field(y)
            if seen:
                row.receptive_field, row.jump = tuple(r for r, _ in seen), tuple(j for _, j in seen)

        yield module.register_forward_pre_hook(before)
        yield module.register_forward_hook(after)

    def go(self) -> None:
        """Run the model; an error tells in which layer."""
        try:
            self.model(*self.inputs)
        except (ValueError, TypeError, IndexError) as error:
            if not self.open:
                raise
            row = self.open[-1]
            where = f"{row.name or 'the model'} ({row.kind})"
            raise ValueError(
                f"explain_shapes: {where} cannot take shape {row.input_shape}: {error}"
            ) from error

    def table(self) -> ShapeTable:
        """Count each parameter in the first row that holds it, and write the formulas."""
        seen: set[int] = set()
        for inner in (False, True):  # a layer's own; then those of modules inside it that did not run
            for module, row in self.rows:
                for p in module.parameters(recurse=inner):
                    row.parameters += p.size * (id(p) not in seen)
                    seen.add(id(p))
        for module, row in self.rows:
            parts = [
                size_formula(module, row.input_shape, row.output_shape),
                count_formula(module, row.parameters),
            ]
            row.formula = "; ".join(p for p in parts if p)
        parameters = sum(p.size for p in self.model.parameters())
        return ShapeTable([row for _, row in self.rows], parameters, self.total)


def _shape(y: Any) -> Any:
    """The shape of a tensor, or of each in a tuple, list or dictionary."""
    if isinstance(y, dict):
        return {key: _shape(part) for key, part in y.items()}
    if isinstance(y, tuple | list):
        return tuple(_shape(part) for part in y)
    return y.shape if isinstance(y, Tensor) else None


@contextmanager
def _watched(run: _Run) -> Iterator[None]:
    """Hooks on, eval mode, every parameter recorded; afterwards the model is as it was."""
    modules = list(run.model.modules())
    modes = [module.training for module in modules]
    frozen = [p for p in run.model.parameters() if not p.requires_grad and is_float(p.dtype)]
    handles = [h for name, module in run.model.named_modules() for h in run.hook(name, module)]
    enter(run.tracer)
    try:
        run.model.eval()
        for p in frozen:
            p.requires_grad_()
        yield
    finally:
        leave()
        for p in frozen:
            p.requires_grad_(False)
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        for handle in handles:
            handle.remove()
