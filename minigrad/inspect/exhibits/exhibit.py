"""An exhibit: a wrong backward pass, the right one and the engine's on one graph, and where they part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ...engine.backprop import grad
from ...engine.tensor import Tensor
from ..drawing import Picture
from . import view
from .micro import Event, Value, backward, watching

__all__ = ["Exhibit", "Run", "WrongEdge", "run"]


class WrongEdge(NamedTuple):
    """The edge from `user` back to its `position`-th input `source`, and what `source` had after it.

    `expected` is the sum of the true contributions of all edges that have run by then. `got` is None
    where the edge never runs at all.
    """

    user: str
    source: str
    position: int
    expected: Any
    got: Any

    def __str__(self) -> str:
        return f"{self.user} → {self.source}"


class Run(NamedTuple):
    """One run over a graph: the graph by names, its gradients, all writes to them in order, the error."""

    data: dict[str, np.ndarray]
    ops: dict[str, str]
    inputs: dict[str, list[str]]
    grads: dict[str, np.ndarray]
    writes: list[tuple[str, str, int, Any, Any]]  # user, source, position, before, after; '' is nobody
    error: str


@dataclass(frozen=True, eq=False)
class Exhibit:
    """One misconception: what people write, the right and the wrong numbers, and where they part.

    name; claim (what people say); code (the wrong lines, as they run); why (one sentence).
    right, wrong: gradients by name; engine: the same from minigrad. first_wrong_edge: see WrongEdge.
    """

    name: str
    claim: str
    why: str
    graph: Callable[[Any], dict[str, Any]]
    walk: Callable[[Value], None] = backward
    kind: type[Value] = Value
    wrong_graph: Callable[[Any], dict[str, Any]] | None = None
    shown: tuple[str, ...] = ()  # of a large graph the values to show
    runs: Callable[[Value], None] | None = None  # what runs `walk`, under some condition
    code_of: tuple[Any, ...] = ()  # what to show, where it is more than the walk, the kind and the graph
    writes: str = "+"  # how the wrong code writes to a gradient: '+' adds, '=' assigns

    # ------------------------------------------------------------ the three answers

    @cached_property
    def right(self) -> dict[str, np.ndarray]:
        """The gradients of the right algorithm, by name."""
        return self.right_run.grads

    @cached_property
    def wrong(self) -> dict[str, np.ndarray]:
        """The gradients of the wrong one, as far as it came."""
        return self.wrong_run.grads

    @cached_property
    def engine(self) -> dict[str, np.ndarray]:
        """The truth: minigrad's gradients of the same graph."""
        values = self.graph(lambda data: Tensor(np.asarray(data, np.float64)).requires_grad_())
        found = grad(list(values.values())[-1], list(values.values()))
        return {name: g.numpy() for name, g in zip(values, found)}

    @property
    def error(self) -> str:
        """The message that ended the wrong run; '' if it came to its end."""
        return self.wrong_run.error

    @cached_property
    def right_run(self) -> Run:
        return run(self.graph, Value, backward)

    @cached_property
    def wrong_run(self) -> Run:
        return run(self.wrong_graph or self.graph, self.kind, self.runs or self.walk)

    @cached_property
    def first_wrong_edge(self) -> WrongEdge:
        """The first edge, in the order of the wrong run, after which a gradient is not right."""
        true = {(user, source, position): after - before
                for user, source, position, before, after in self.right_run.writes if user}  # fmt: skip
        arrived: set[tuple[str, str, int]] = set()
        for user, source, position, _, got in self.wrong_run.writes:
            if not user:
                if source == self.root:
                    arrived = set()  # a seed: a new pass begins
                continue
            arrived.add((user, source, position))
            expected = sum(true[edge] for edge in arrived if edge[1] == source)
            if not same(got, expected):
                return WrongEdge(user, source, position, expected, got)
        missing = next(edge for edge in true if edge not in arrived)
        return WrongEdge(*missing, true[missing], None)

    @property
    def root(self) -> str:
        """The name of the result."""
        return list(self.right)[-1]

    # ------------------------------------------------------------ what a reader sees

    @cached_property
    def code(self) -> str:
        """The wrong lines as they run, and the graph."""
        return view.source_of(self)

    @cached_property
    def pictures(self) -> tuple[Picture, Picture]:
        """The graph with the wrong numbers, its first wrong edge highlighted, and with the right ones."""
        return (
            view.picture(self, self.wrong_run, self.first_wrong_edge),
            view.picture(self, self.right_run, None),
        )

    def names(self) -> list[str]:
        """The values to show: all of them, or a large graph's first and last."""
        return list(self.shown or self.right)

    def __str__(self) -> str:
        return view.as_text(self)

    def __repr__(self) -> str:
        return f"<Exhibit {self.name!r}: print() it, or let a notebook show it>"

    def _repr_html_(self) -> str:
        return view.with_style(view.as_html(self))


# ---------------------------------------------------------------- running one


def run(graph: Callable, kind: type[Value], walk: Callable[[Value], None]) -> Run:
    """Build the graph of watched values, walk it, and name what happened."""
    watched = watching(kind)
    values = graph(watched)
    watched.events.clear()
    error = ""
    try:
        walk(list(values.values())[-1])
    except RecursionError as stopped:
        error = f"RecursionError: {stopped}"
    names: dict[Any, str] = {}
    for name, value in values.items():
        names.setdefault(value, name)
    writes = list(_named(watched.events, names))
    return Run(
        {name: value.data for name, value in values.items()},
        {name: value.op for name, value in values.items()},
        {name: [names[source] for source in value.inputs] for name, value in values.items()},
        {name: np.asarray(value.grad) for name, value in values.items()},
        writes,
        error,
    )


def _named(events: list[Event], names: dict[Any, str]) -> Iterator[tuple[str, str, int, Any, Any]]:
    """Every write by the names of its edge; the k-th write of a call to one input is the k-th edge to it."""
    count: dict[tuple[Any, Any], int] = {}
    for user, source, before, after in events:
        if user is None:
            count.clear()
            yield "", names[source], 0, before, after
            continue
        places = [i for i, given in enumerate(user.inputs) if given is source]
        k = count.get((user, source), 0)
        count[user, source] = k + 1
        yield names[user], names[source], places[k % len(places)], before, after


def same(a: Any, b: Any) -> bool:
    """True for equal shapes and equal numbers, up to rounding."""
    return np.shape(a) == np.shape(b) and bool(np.allclose(a, b, rtol=1e-12, atol=1e-12))
