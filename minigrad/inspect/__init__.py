"""Look inside a computation: `draw(y)` is a picture of its graph with values and gradients."""

from .draw import Picture, draw

__all__ = ["Picture", "draw"]
