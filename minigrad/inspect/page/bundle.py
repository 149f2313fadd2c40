"""bundle(page): the stepper as one HTML file, with styles, scripts and numbers inside and nothing outside."""

from __future__ import annotations

import json
import re
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

__all__ = ["bundle"]

FOLDER = Path(__file__).parent
# The order of the scripts. They define functions and tables; only start.js runs anything.
SCRIPTS = (
    "dagre-*.min.js",
    "arrays.js",
    "moments.js",
    "app.js",
    "dom.js",
    "math_*.js",
    "sentences.js",
    "heatmap.js",
    "interpreter*.js",
    "ops_*.js",
    "folding*.js",
    "layout*.js",
    "graph_*.js",
    "*_panel.js",
    "time_grid.js",
    "controls*.js",
    "*.js",  # whatever else a panel needs
    "start.js",
)
STYLES = ("style*.css", "*.css")


def bundle(page: dict[str, Any]) -> str:
    """The whole HTML of a page's JSON: opens from a file, in an iframe, without a network.

    Raises ValueError for a page with a nan or an infinity outside its arrays.
    """
    parts = {
        "title": escape(page.get("title") or "minigrad"),
        "styles": _joined(STYLES),
        "scripts": _scripts(),
        # Inside a string of JSON \u003c is a "<" that cannot close the script element it stands in.
        "page": json.dumps(page, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
    }
    template = (FOLDER / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], template)


@cache
def _scripts() -> str:
    """All scripts in order, dagre's licence before it and the link to its source map taken off."""
    licence = (FOLDER / "dagre-LICENSE.txt").read_text(encoding="utf-8").strip()
    text = re.sub(r"(?m)^//# sourceMappingURL=.*\n?", "", _joined(SCRIPTS))
    comment = "\n".join(f"// {line}".rstrip() for line in licence.splitlines())
    return f'"use strict";\n// dagre 3.1.3, whose licence follows.\n{comment}\n{text}'


def _joined(patterns: tuple[str, ...]) -> str:
    """The files that match, each once: in the order of the patterns, then by name. start.js comes last."""
    last = patterns[-1]
    early = [f for p in patterns for f in sorted(FOLDER.glob(p)) if f.name != last or p == last]
    return "\n".join(file.read_text(encoding="utf-8") for file in dict.fromkeys(early))
