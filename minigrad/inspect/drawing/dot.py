"""Where each box stands according to Graphviz's `dot`, for those who have it and ask for it.

We hand it boxes of fixed size and take back their places and the splines between them; the drawing is ours.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable

from .scene import Arrow, Box, Piece, Scene

__all__ = ["lay_out_by_dot"]

INCH, MARGIN = 72.0, 12.0


def lay_out_by_dot(scene: Scene) -> Scene:
    """Give every box its place and every arrow its way by `dot`, in the scene itself; returns the scene.

    Raises ValueError if there is no program `dot`, or it fails.
    """
    program = shutil.which("dot")
    if program is None:
        raise ValueError(
            "draw: no program 'dot' on this machine (layout='dot'); install Graphviz, or use layout='layers'"
        )
    import subprocess

    arrows = {(i, k): arrow for i, box in enumerate(scene.boxes) for k, arrow in enumerate(box.inputs)}
    done = subprocess.run([program, "-Tplain"], input=_source(scene, arrows), capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"draw: dot failed (layout='dot'): {done.stderr.strip().splitlines()[-1:]}")
    _read(done.stdout, scene, list(arrows.values()))
    return scene


def _source(scene: Scene, arrows: dict[tuple[int, int], Arrow]) -> str:
    """The graph in dot's language: a name and a size per box, edges in our order."""
    number = {box: i for i, box in enumerate(scene.boxes)}
    lines = ['digraph { rankdir=LR; nodesep=0.22; ranksep=0.75; node [shape=box fixedsize=true label=""];']
    for box, i in number.items():
        lines.append(f"n{i} [width={box.width / INCH:.4f} height={box.height / INCH:.4f}];")
    for (i, _), arrow in arrows.items():
        label = f' [label="{"x" * len(arrow.label)}" fontsize=10 fontname=Courier]' if arrow.label else ""
        lines.append(f"n{number[arrow.source]} -> n{i}{label};")
    return "\n".join([*lines, "}"])


def _read(text: str, scene: Scene, arrows: list[Arrow]) -> None:
    """Its plain answer: 'node name x y ...' with the centre in inches, 'edge from to n x1 y1 ...'."""
    rows = [line.split() for line in text.splitlines()]
    height = float(next(row for row in rows if row[0] == "graph")[3])

    def at(x: str, y: str) -> tuple[float, float]:  # its y grows upwards
        return float(x) * INCH + MARGIN, (height - float(y)) * INCH

    for row in rows:
        if row[0] == "node":
            box = scene.boxes[int(row[1][1:])]
            x, y = at(row[2], row[3])
            box.x, box.y = x - box.width / 2, y - box.height / 2
    waiting: dict[tuple[int, int], list[Arrow]] = {}
    number = {box: i for i, box in enumerate(scene.boxes)}
    for arrow, target in zip(arrows, (box for box in scene.boxes for _ in box.inputs)):
        waiting.setdefault((number[arrow.source], number[target]), []).append(arrow)
    for row in rows:
        if row[0] == "edge":
            arrow = waiting[int(row[1][1:]), int(row[2][1:])].pop(0)
            _edge(arrow, scene, row[4:], int(row[3]), at)
    scene.enclose(MARGIN)


def _edge(arrow: Arrow, scene: Scene, row: list[str], count: int, at: Callable) -> None:
    """One spline, as far as the box that it points to, and where its label goes."""
    points = [at(row[2 * i], row[2 * i + 1]) for i in range(count)]
    target = next(box for box in scene.boxes if arrow in box.inputs)
    arrow.pieces = [Piece(points, curved=True), Piece([points[-1], _entry(target, points[-1])])]
    x, y = points[-1]
    arrow.label_at = (x - 4, y - 3)


def _entry(box: Box, end: tuple[float, float]) -> tuple[float, float]:
    """Where a spline that ends before the box, for its arrow's head, meets it."""
    return box.x, min(max(end[1], box.y), box.y + box.height)
