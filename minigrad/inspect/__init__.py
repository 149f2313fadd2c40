"""Look inside a computation: step through backprop, draw it, plot it, and ask a trained network what it sees.

A name is listed where it is defined, in the `__all__` of its file.
"""

from .drawing import *
from .edges import *
from .explain import *
from .features import *
from .frames import *
from .gallery import *
from .layers import *
from .memory import *
from .plots import *
from .record import *
from .trace import *
from .verdict import *
