"""A picture: SVG text that a notebook shows, and that saves itself as SVG, PNG or PDF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...io import write_atomically
from .scene import Scene
from .svg import svg

__all__ = ["Picture"]

SUFFIXES = (".svg", ".png", ".pdf")


class Picture(str):
    """The text of an SVG file; `scene` is what it shows, as data."""

    scene: Scene

    def __new__(cls, scene: Scene) -> Picture:
        picture = super().__new__(cls, svg(scene))
        picture.scene = scene
        return picture

    def _repr_svg_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"<Picture: {len(self.scene.boxes)} boxes, {len(self):,} characters of SVG>"

    def __reduce__(self) -> Any:
        return Picture, (self.scene,)

    def save(self, path: str | Path) -> None:
        """Write it whole or not at all, in the format that the suffix says: .svg, .png or .pdf.

        PNG and PDF need Matplotlib. Raises ValueError for another suffix.
        """
        path = Path(path)
        write_atomically(path, self.data(path.suffix.lower()))

    def data(self, suffix: str) -> bytes:
        """The bytes of a file with this suffix. Raises ValueError unless it is .svg, .png or .pdf."""
        if suffix not in SUFFIXES:
            raise ValueError(f"draw: expected a file name that ends in .svg, .png or .pdf ({suffix!r})")
        if suffix == ".svg":
            return self.encode()
        from .raster import image_bytes

        return image_bytes(self.scene, suffix)
