"""Pictures of training runs and of what is inside a network, one line each.

Each function draws a Matplotlib figure, writes it to `path` if one is given (the suffix chooses PNG, SVG
or PDF), and returns it, so that a notebook shows it. Needs the extra `train`.
"""

from . import confusion, images, training
from .confusion import *
from .images import *
from .training import *

__all__ = [*confusion.__all__, *images.__all__, *training.__all__]
