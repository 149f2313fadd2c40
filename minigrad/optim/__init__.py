"""Optimisers and learning-rate schedules under PyTorch's names. A name is listed where it is defined."""

from . import lr_scheduler
from .adam import *
from .optimizer import *
from .sgd import *
