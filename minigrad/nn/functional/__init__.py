"""PyTorch's nn.functional over the ops: one file a topic, each name listed where it is defined."""

from .activation import *
from .attention import *
from .class_loss import *
from .conv import *
from .ctc import *
from .distance import *
from .dropout import *
from .embedding import *
from .fold import *
from .linear import *
from .loss import *
from .margin_loss import *
from .mixture import *
from .norm import *
from .pad import *
from .pool import *
from .vision import *
