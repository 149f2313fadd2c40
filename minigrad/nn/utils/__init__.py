"""Tools around modules: PyTorch's nn.utils. A name is listed where it is defined."""

from .clip_grad import *
from .convert_parameters import *
from .rnn import *
