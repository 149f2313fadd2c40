"""The stepper: one HTML page of a trace that needs nothing else, offline or inside a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...io import write_atomically
from .bundle import bundle
from .encode import encode

__all__ = ["Frame", "save", "show"]


def save(trace: Any, path: str | Path, title: str | None = None) -> Path:
    """Write the page of a trace; ValueError unless the path ends in .html."""
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(
            f"save: expected a path that ends in .html, got {str(path)!r}; export() writes pictures"
        )
    write_atomically(path, html(trace, title).encode())
    return path


def show(trace: Any, height: int = 720, title: str | None = None) -> Frame:
    """The page inside a notebook."""
    if not isinstance(height, int) or height < 100:
        raise ValueError(f"show: expected a height in pixels, at least 100 (height={height!r})")
    return Frame(html(trace, title), height)


def html(trace: Any, title: str | None = None) -> str:
    """The page's text."""
    return bundle(encode(trace, title or f"minigrad: backprop of {trace.output.name}, step by step"))


class Frame:
    """A page that a notebook shows; as text, a line."""

    def __init__(self, text: str, height: int) -> None:
        self.text, self.height = text, height

    def _repr_html_(self) -> str:
        # Between single quotes only & and ' need escaping: the page is full of <, > and double quotes.
        page = self.text.replace("&", "&amp;").replace("'", "&#39;")
        return (
            f'<iframe style="width: 100%; height: {self.height}px; border: 1px solid #cbd5e1; '
            f'border-radius: 6px" title="minigrad stepper" srcdoc=\'{page}\'></iframe>'
        )

    def __repr__(self) -> str:
        return f"<the stepper: {len(self.text):,} characters of HTML; trace.save(path) writes it to a file>"
