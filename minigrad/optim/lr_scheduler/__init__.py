"""Learning-rate schedules under PyTorch's names. A name is listed where it is defined."""

from .base import *
from .combine import *
from .cosine import *
from .cycles import *
from .factors import *
from .plateau import *
