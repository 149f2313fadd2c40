"""The path view: a gradient as the sum over all paths of the products of their edges.

Chain rule, written out: dL/dw = Σ over paths w → ... → L of Π of the local derivatives on the way. Backprop
computes the same sum without walking each path (Bauer 1974). Here each is walked, element by element.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .edges import jacobian
from .record import Edge, Value

__all__ = ["Path", "Paths", "element", "element_index", "paths"]


@dataclass(frozen=True)
class Path:
    """One way from an element to the result: `factors` are the local derivatives, `number` their product.

    steps: (name, index) of each element on the way, the asked one first.
    """

    steps: tuple[tuple[str, tuple[int, ...]], ...]
    factors: tuple[float, ...]
    number: float

    def __str__(self) -> str:
        way = " → ".join(element(name, index) for name, index in self.steps)
        return f"{way}:  {' · '.join(f'{x:.6g}' for x in self.factors)} = {self.number:.9g}"


@dataclass(frozen=True)
class Paths:
    """All paths from one element to the result. `total` is their sum, `gradient` what backprop found."""

    name: str
    paths: list[Path]
    gradient: float

    @property
    def total(self) -> float:
        """The sum over the paths, rounded once."""
        return math.fsum(path.number for path in self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Path]:
        return iter(self.paths)

    def __str__(self) -> str:
        ways = f"{len(self.paths)} path{'s' * (len(self.paths) != 1)}"
        lines = [f"∂L/∂{self.name} = {self.gradient:.12g} is the sum over {ways}:"]
        lines += [f"  {path}" for path in self.paths]
        return "\n".join([*lines, f"  together {self.total:.12g}"])


def element(name: str, index: tuple[int, ...]) -> str:
    """'w[0, 2]', or 'w' of a single number."""
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def paths(trace: Any, value: Value, index: Any, limit: int) -> Paths:
    """trace.paths(name, index): every path from one element of a value to the result.

    index: of the element; needed unless the value is a single number. Edges with a local derivative of
    exactly 0 are left out. A fused op is one edge from each input. The sum equals the gradient to rounding.

    Raises ValueError if no gradient arrives there, the index is not one element's, the trace has a
    checkpoint, or there are more than `limit` paths (a network of three layers of 100 has a million).

    >>> import minigrad as mg
    >>> t = mg.trace(lambda a: (a + a) * a, 3.0)
    >>> print(t.paths("a"))
    ∂L/∂a = 12 is the sum over 3 paths:
      a → loss:  6 = 6
      a → add → loss:  3 · 1 = 3
      a → add → loss:  3 · 1 = 3
      together 12
    """
    where = element_index(value, index)
    if value.grad is None:
        raise ValueError(f"paths: no gradient arrives at {value.name}; the result does not depend on it")
    if any(f.op == "checkpoint" for f in trace.forward):
        raise ValueError("paths: expected a graph without checkpoints; trace it without checkpoint()")
    walk = _Walk(trace, limit)
    found = [walk.path(way, trace.backward[0].g) for way in walk.ways(value, where)]
    name = element(value.name, where)
    return Paths(name, found, float(value.grad[where]))


def element_index(value: Value, index: Any) -> tuple[int, ...]:
    where = tuple(index) if isinstance(index, tuple | list) else (index,)
    if len(where) != value.data.ndim and value.data.size == 1:
        where = (0,) * value.data.ndim
    fits = len(where) == value.data.ndim and all(
        isinstance(i, int | np.integer) and -n <= i < n for i, n in zip(where, value.shape)
    )
    if not fits:
        raise ValueError(
            f"{value.name}: expected the index of one element of shape {value.shape} (index={index!r})"
        )
    return tuple(int(i) % n for i, n in zip(where, value.shape))


class _Walk:
    """Depth first over elements, without recursion; the Jacobian of each edge is computed once."""

    def __init__(self, trace: Any, limit: int) -> None:
        self.trace, self.limit = trace, limit
        self.columns: dict[tuple[Edge, int], list[tuple[int, float]]] = {}
        self.jacobians: dict[Edge, np.ndarray] = {}

    def ways(self, value: Value, where: tuple[int, ...]) -> Iterator[list]:
        """Each way as [(value, element, local derivative that led there), ...]."""
        start = int(np.ravel_multi_index(where, value.shape)) if where else 0
        stack = [[(value, start, 1.0)]]
        found = 0
        while stack:
            way = stack.pop()
            here, at, _ = way[-1]
            if here is self.trace.output:
                found += 1
                if found > self.limit:
                    raise ValueError(
                        f"paths: expected at most {self.limit:,} paths (limit={self.limit}), there are more; "
                        "ask in a smaller network, or raise the limit"
                    )
                yield way
                continue
            for edge in reversed(here.contributions):
                for to, factor in reversed(self.column(edge, at)):
                    stack.append([*way, (edge.step.value, to, factor)])

    def column(self, edge: Edge, at: int) -> list[tuple[int, float]]:
        """The elements of the op's result that this one element moves, and how fast."""
        key = (edge, at)
        if key not in self.columns:
            if edge not in self.jacobians:
                self.jacobians[edge] = jacobian(edge)
            column = self.jacobians[edge][:, at]
            self.columns[key] = [(int(i), float(column[i])) for i in np.flatnonzero(column)]
        return self.columns[key]

    def path(self, way: list, seed: np.ndarray) -> Path:
        names = [(v.name, tuple(int(i) for i in np.unravel_index(at, v.shape))) for v, at, _ in way]
        factors = [factor for _, _, factor in way[:0:-1]]
        last = float(np.ravel(seed)[way[-1][1]])
        if last != 1.0:
            factors.insert(0, last)
        return Path(tuple(names), tuple(factors), math.prod(factors))
