"""How an exhibit is shown: its code, its pictures, as text and as HTML."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from ..drawing.layout import lay_out
from ..drawing.picture import Picture
from ..drawing.scene import Arrow, Box, Scene, number
from . import micro

if TYPE_CHECKING:
    from .exhibit import Exhibit, Run, WrongEdge

__all__ = ["as_html", "as_text", "page", "picture", "source_of", "with_style"]

MARK = "# !"  # in the code: here it goes wrong
STYLE = """
.mg-exhibit { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2.5rem 0; }
.mg-exhibit h2 { margin: 0 0 .2rem; font-size: 1.25rem; }
.mg-exhibit blockquote { margin: .2rem 0 .8rem; padding-left: .8rem; border-left: 4px solid #D55E00;
  font-style: italic; }
.mg-exhibit pre { background: #f4f6f8; color: #1b2430; padding: .7rem 1rem; border-radius: 6px;
  overflow-x: auto; font-size: .82rem; line-height: 1.45; }
.mg-exhibit mark { background: #fbdcc4; color: inherit; font-weight: bold; }
.mg-pair { display: flex; flex-wrap: wrap; gap: .5rem 2rem; align-items: flex-start; }
.mg-pair pre { flex: 1 1 30rem; margin: .5rem 0; min-width: 0; }
.mg-pair svg { height: auto; zoom: 1.05; }
.mg-pair caption { text-align: left; font-weight: bold; padding-bottom: .3rem; }
.mg-pair figure { margin: 0; flex: 0 1 auto; max-width: 100%; overflow-x: auto; }
.mg-pair figcaption { font-weight: bold; }
.mg-exhibit table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
.mg-exhibit th, .mg-exhibit td { padding: .15rem .9rem .15rem 0; text-align: left;
  border-bottom: 1px solid #c9d0d8; }
.mg-exhibit .mg-wrong { color: #a84300; font-weight: bold; }
@media (prefers-color-scheme: dark) { .mg-page { background: #14181d; color: #e6eaee; }
  .mg-page .mg-exhibit pre { background: #1f262e; color: #e6eaee; }
  .mg-page .mg-exhibit mark { background: #6b2f00; }
  .mg-page .mg-exhibit .mg-wrong { color: #f0a060; } }
"""


def source_of(exhibit: Exhibit) -> str:
    """The wrong lines as they run, and the graph that they run on."""
    parts: list[Any] = [exhibit.walk] if exhibit.walk not in (micro.backward,) else []
    parts = (
        [exhibit.kind] * (exhibit.kind is not micro.Value) + parts + [exhibit.wrong_graph or exhibit.graph]
    )
    return "\n\n".join(inspect.getsource(part).strip() for part in parts)


# ---------------------------------------------------------------- pictures


def picture(exhibit: Exhibit, run: Run, wrong: WrongEdge | None) -> Picture:
    """The graph with what this run left in it; on each edge what was written, in order."""
    graph = exhibit.right_run
    boxes: dict[str, Box] = {}
    made: list[Box] = []
    skipped: Box | None = None
    for name in graph.inputs:
        if name not in exhibit.names():
            if skipped is None:
                skipped = Box(
                    "constant", [(f"… {len(graph.inputs) - len(exhibit.names()):,} more …", "note")]
                )
                skipped.inputs.append(Arrow(made[-1]))
                made.append(skipped)
            continue
        boxes[name] = _box(name, graph, run)
        for i, source in enumerate(graph.inputs[name]):
            written = _written(exhibit, run, name, source, i)
            arrow = Arrow(boxes.get(source) or skipped or made[-1], written, "done" if written else "")
            if wrong is not None and (name, source, i) == wrong[:3]:
                arrow.mark = "wrong" if arrow.label else "missing"
                arrow.label = arrow.label or "never sent"
            boxes[name].inputs.append(arrow)
        made.append(boxes[name])
    if wrong is not None:
        boxes[wrong.source].mark = "wrong"
    return Picture(lay_out(Scene(made)))


def _box(name: str, graph: Run, run: Run) -> Box:
    op = {"+": "add", "*": "mul"}.get(graph.ops[name], graph.ops[name])
    kind = "output" if name == list(graph.inputs)[-1] else "op" if op else "leaf"
    lines = [(f"{name} = {op}" if op else name, "title"), (number(run.data[name]), "value")]
    return Box(kind, [*lines, (f"gradient {number(run.grads[name])}", "gradient")])


def _written(exhibit: Exhibit, run: Run, user: str, source: str, position: int) -> str:
    """What went along an edge, in order: '+1, then +2', or '=1' where the code assigns."""
    assigns = exhibit.writes == "=" and run is exhibit.wrong_run
    found = [
        f"={number(np.asarray(after))}" if assigns else _signed(after - before)
        for u, s, i, before, after in run.writes
        if (u, s, i) == (user, source, position)
    ]
    return ", then ".join(found)


def _signed(x: Any) -> str:
    text = number(np.asarray(x))
    return text if text.startswith(("-", "[")) else f"+{text}"


# ---------------------------------------------------------------- text


def as_text(exhibit: Exhibit) -> str:
    """Name, claim, code, numbers, the first wrong edge, why."""
    header = ("", "value", "engine", "right", "wrong")
    rows = [header, *_rows(exhibit)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    table = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows]
    lines = [
        exhibit.name, "-" * len(exhibit.name), f'"{exhibit.claim}"', "",
        textwrap.indent(exhibit.code, "    "), "", *table, "",
        f"first wrong edge: {_edge_text(exhibit)}", textwrap.fill(f"why: {exhibit.why}", 100),
    ]  # fmt: skip
    return "\n".join(lines)


def _rows(exhibit: Exhibit) -> Iterator[tuple[str, ...]]:
    for name in exhibit.names():
        numbers = (
            exhibit.right_run.data[name],
            exhibit.engine[name],
            exhibit.right[name],
            exhibit.wrong[name],
        )
        yield (name, *(number(np.asarray(x)) for x in numbers))


def _edge_text(exhibit: Exhibit) -> str:
    edge = exhibit.first_wrong_edge
    expected = number(np.asarray(edge.expected))
    if exhibit.error:
        return f"{edge}, where {expected} is never sent: {exhibit.error}"
    if edge.got is None:
        return f"{edge}, where {expected} is never sent"
    return (
        f"{edge}, after which {edge.source} has {number(np.asarray(edge.got))} and ought to have {expected}"
    )


# ---------------------------------------------------------------- HTML


def as_html(exhibit: Exhibit) -> str:
    """One exhibit: claim, code, two pictures side by side, numbers, why."""
    wrong, right = exhibit.pictures
    head = "".join(f'<th scope="col">{title}</th>' for title in ("", "value", "engine", "right", "wrong"))
    return f"""<section class="mg-exhibit" id="{exhibit.name}">
<h2>{escape(exhibit.name.replace("_", " ").capitalize())}</h2>
<blockquote>{escape(exhibit.claim)}</blockquote>
<div class="mg-pair">
<pre><code>{_marked(exhibit.code)}</code></pre>
<table><caption>gradients of {exhibit.root}</caption>
<tr>{head}</tr>
{"".join(_row(row) for row in _rows(exhibit))}</table>
</div>
<div class="mg-pair">
<figure><figcaption class="mg-wrong">✗ as written above</figcaption>{wrong}</figure>
<figure><figcaption>✓ as it should be</figcaption>{right}</figure>
</div>
<p><strong>First wrong edge:</strong> {escape(_edge_text(exhibit))}.</p>
<p>{escape(exhibit.why)}</p>
</section>"""


def _row(row: tuple[str, ...]) -> str:
    name, value, engine, right, wrong = (escape(cell) for cell in row)
    look = "" if wrong == right else ' class="mg-wrong"'
    cross = "" if wrong == right else " ✗"
    return (
        f'<tr><th scope="row">{name}</th><td>{value}</td><td>{engine}</td><td>{right}</td>'
        f"<td{look}>{wrong}{cross}</td></tr>\n"
    )


def _marked(code: str) -> str:
    """The lines that go wrong stand out."""
    lines = (escape(line) for line in code.splitlines())
    return "\n".join(f"<mark>{line}</mark>" if MARK in line else line for line in lines)


def with_style(html: str) -> str:
    """A piece of HTML with the stylesheet before it."""
    return f"<style>{STYLE}</style>\n{html}"


def page(exhibits: list[Exhibit]) -> str:
    """All exhibits as one page that refers to nothing outside itself."""
    contents = "".join(
        f'<li><a href="#{e.name}">{escape(e.name.replace("_", " "))}</a>: {escape(e.claim)}</li>\n'
        for e in exhibits
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Backprop: where people go wrong</title>
<style>body {{ margin: 1.5rem; }} a {{ color: inherit; }}{STYLE}</style></head>
<body class="mg-page"><main class="mg-exhibit"><h1>Backprop: where people go wrong</h1>
<p>Each of these is a backward pass that somebody has proposed. It runs here on the smallest graph where it
fails, beside the right one; the first edge at which the two part is marked ✗. On an edge stands what was
written to the gradient of its input, in order. The engine's column is minigrad's own answer.</p>
<ol>
{contents}</ol>
<details><summary>The little engine that all of them use</summary>
<pre><code>{escape(inspect.getsource(micro.Value).strip())}

{escape(inspect.getsource(micro.unbroadcast).strip())}

{escape(inspect.getsource(micro.topological_order).strip())}

{escape(inspect.getsource(micro.backward).strip())}</code></pre></details>
{"".join(as_html(exhibit) for exhibit in exhibits)}
</main></body></html>
"""
