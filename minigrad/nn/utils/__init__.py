"""Tools around modules: PyTorch's nn.utils. A name is listed where it is defined."""

from . import parametrizations, parametrize, stateless
from .clip_grad import *
from .convert_parameters import *
from .fusion import *
from .init import *
from .rnn import *
from .spectral_norm import *
from .weight_norm import *
