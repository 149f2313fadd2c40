"""Layers: PyTorch's names, arguments, defaults and state_dict keys. A name is listed where it is defined."""

from . import functional, init, utils
from .activation import *
from .adaptive import *
from .attention import *
from .cells import *
from .containers import *
from .conv import *
from .distance import *
from .dropout import *
from .embedding import *
from .finetune import *
from .flatten import *
from .fold import *
from .linear import *
from .losses import *
from .margin_losses import *
from .mixture import *
from .module import *
from .norm import *
from .padding import *
from .parameter import *
from .penalties import *
from .pool import *
from .positions import *
from .recurrent import *
from .shapes import *
from .sizes import *
from .transformer import *
from .vision import *
