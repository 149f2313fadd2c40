"""Pictures of training runs and of what is inside a network, one line each.

Each function draws a Matplotlib figure, writes it to `path` if one is given (the suffix chooses PNG, SVG
or PDF), and returns it, so that a notebook shows it. Needs the extra `train`.
"""

from . import confusion, general, heat, images, planes, series, signals, training, words
from .confusion import *
from .general import *
from .heat import *
from .images import *
from .planes import *
from .series import *
from .signals import *
from .training import *
from .words import *

__all__ = [
    *confusion.__all__,
    *general.__all__,
    *heat.__all__,
    *images.__all__,
    *planes.__all__,
    *series.__all__,
    *signals.__all__,
    *training.__all__,
    *words.__all__,
]
