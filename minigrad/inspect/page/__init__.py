"""The stepper: one HTML page of a trace that needs nothing else, offline or inside a notebook."""

from __future__ import annotations

import gzip
from base64 import b64encode
from pathlib import Path
from typing import Any

from ...io import write_atomically
from .bundle import bundle
from .encode import encode

__all__ = ["Frame", "save", "show"]

# Written into the frame: unpacks the page and puts it in its own place. No single quote, no name left behind.
UNPACK = """<script>(() => {
const bytes = Uint8Array.from(atob("PACKED"), (c) => c.charCodeAt(0));
new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text().then((page) => {
document.open(); document.write(page); document.close(); });
})();</script>"""


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
        """The page in a frame, packed: a notebook keeps its outputs, and the page itself is large."""
        packed = b64encode(gzip.compress(self.text.encode(), mtime=0)).decode()
        style = f"width: 100%; height: {self.height}px; border: 1px solid #cbd5e1; border-radius: 6px"
        page = UNPACK.replace("PACKED", packed)
        return f'<iframe title="minigrad stepper" style="{style}" srcdoc=\'{page}\'></iframe>'

    def __repr__(self) -> str:
        return f"<the stepper: {len(self.text):,} characters of HTML; trace.save(path) writes it to a file>"
