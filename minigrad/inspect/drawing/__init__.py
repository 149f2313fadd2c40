"""Pictures of graphs: a scene (data), its layout in plain Python, and SVG, PNG or PDF from it."""

from .draw import draw
from .picture import Picture

__all__ = ["Picture", "draw"]
