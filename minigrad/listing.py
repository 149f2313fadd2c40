"""What `minigrad recipes` prints: all recipes in columns, or everything of one."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .recipes import BY_GROUP, Recipe, find, measured

COLUMNS = {"recipe": 25, "data": 16, "device": 8, "minutes": 9, "expected": 11, "measured": 10}
Measured = Mapping[str, Mapping[str, Any]]


def overview(
    device: str | None = None,
    width: int = 80,
    groups: Mapping[str, list[Recipe]] = BY_GROUP,
    known: Measured | None = None,
) -> str:
    """The recipes (of one device), two lines or more each: columns, then the figure and what it is."""
    known = measured() if known is None else known
    lines = [columns(list(COLUMNS))]
    for group, recipes in groups.items():
        chosen = [r for r in recipes if device in (None, r.device)]
        lines += ["", group.upper()] if chosen else []
        for r in chosen:
            last = known.get(f"{r.name}_{r.data}")
            told = "not yet" if last is None else f"{last['value']:.4g}"
            lines.append(columns([r.name, r.data, r.device, f"{r.minutes:g}", r.expected, told]))
            lines += folded(f"{r.metric}: {r.summary}", width)
    return "\n".join(lines)


def columns(cells: list[str]) -> str:
    """Cells in the widths of COLUMNS; one that is too long pushes the others on."""
    padded = (f"{cell} ".ljust(width) for cell, width in zip(cells, COLUMNS.values(), strict=True))
    return "".join(padded).rstrip()


def folded(text: str, width: int, indent: int = 4) -> list[str]:
    """Text in lines of that width, moved in."""
    room = " " * indent
    return textwrap.wrap(text, max(width, 40), initial_indent=room, subsequent_indent=room)


def about(
    name: str, width: int = 80, groups: Mapping[str, list[Recipe]] = BY_GROUP, known: Measured | None = None
) -> str:
    """Everything of one recipe, on each of its data. Raises ValueError for an unknown name."""
    known = measured() if known is None else known
    every = [r for recipes in groups.values() for r in recipes]
    first = find(every, name)
    parts = []
    for r in (r for r in every if r.name == name):
        rows = details(r, command(r, every), known.get(f"{r.name}_{r.data}"))
        lines = [line for label, text in rows for line in labelled(label, text, width)]
        parts.append("\n".join([f"{r.name} on {r.data}", *folded(r.summary, width, 2), "", *lines]))
    doc = inspect.getdoc(inspect.getmodule(getattr(first.run, "func", first.run)))
    return "\n\n".join([*parts, doc.rstrip()] if doc else parts)


def labelled(label: str, text: str, width: int) -> list[str]:
    """A label, and a text beside it."""
    lines = folded(text, width, 14) or [""]
    return [f"  {label:<12}{lines[0].lstrip()}", *lines[1:]]


def command(recipe: Recipe, every: Iterable[Recipe]) -> str:
    """What measures a recipe; of several with its name the first needs no --data."""
    first = next((r for r in every if r.name == recipe.name), recipe)
    data = "" if first.data == recipe.data else f" --data {recipe.data}"
    return f"minigrad train {recipe.name}{data}{' --device cuda' if recipe.device == 'gpu' else ''}"


def details(r: Recipe, run: str, last: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """(label, text) of all there is to tell of a recipe on its data."""
    yield "to reach", f"{r.metric} {r.expected}"
    yield from (("", f"{name} {sign} {limit:g}") for name, (sign, limit) in r.also.items())
    yield "published", r.paper
    yield "measured", "not yet" if last is None else spread(last, r.metric)
    if last is not None:
        yield from (("", spread(last, name)) for name in last["figures"] if name != r.metric)
        yield "", f"{last['device']}, {last['minutes']:.1f} minutes, commit {last['commit']}"
    yield "takes", f"about {r.minutes:g} minutes on a {r.device.upper()}, {r.seeds} seed{'s' * (r.seeds > 1)}"
    yield "settings", words(dataclasses.asdict(r.settings))
    if r.options:
        yield "options", words(r.options)
    if r.short:
        yield "--short", words(r.short)
    yield "run", run


def spread(last: Mapping[str, Any], name: str) -> str:
    """A measured figure, with its deviation where several seeds were run."""
    found, n = last["figures"][name], len(last["seeds"])
    over = f" +- {found['deviation']:.2g} over {n} seeds" if n > 1 else ""
    return f"{name} {found['mean']:.4g}{over}"


def words(settings: Mapping[str, Any]) -> str:
    """As --set takes them."""
    return " ".join(f"{k}={v}" for k, v in settings.items())
