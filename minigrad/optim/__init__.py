"""Optimisers and learning-rate schedules under PyTorch's names. A name is listed where it is defined."""

from . import lr_scheduler, swa_utils
from .adafactor import *
from .adagrad import *
from .adam import *
from .adam_variants import *
from .asgd import *
from .groups import *
from .lbfgs import *
from .muon import *
from .optimizer import *
from .rmsprop import *
from .sgd import *
