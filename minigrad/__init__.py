"""minigrad: reverse-mode automatic differentiation by hand, on NumPy and CuPy.

>>> import minigrad as mg
>>> x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4., 6.])

A name is listed where it is defined, in the `__all__` of its file.
"""

from . import amp as amp
from . import autograd as autograd
from . import cuda as cuda
from . import data as data
from . import inspect as inspect
from . import nn as nn
from . import optim as optim
from .capture import *
from .early_stopping import *
from .engine.adjoint import *
from .engine.anomaly import *
from .engine.autocast import *
from .engine.backend import *
from .engine.backprop import *
from .engine.derivatives import *
from .engine.kernels import *
from .engine.node import *
from .engine.op import *
from .engine.random import *
from .engine.recording import *
from .engine.tensor import *
from .gradcheck import *
from .inspect.drawing import *
from .inspect.trace import *
from .ops.activation import *
from .ops.constants import *
from .ops.convert import *
from .ops.create import *
from .ops.diagonal import *
from .ops.elementwise import *
from .ops.index import *
from .ops.linalg import *
from .ops.logic import *
from .ops.pad import *
from .ops.pytorch_names import *
from .ops.random import *
from .ops.reduce import *
from .ops.shape import *
from .ops.softmax import *
from .ops.sort import *
from .ops.trig import *
from .precision import *

__version__ = "0.1.0"
