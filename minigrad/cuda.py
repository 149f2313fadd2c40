"""PyTorch's questions about GPUs, with which most listings begin.

>>> import minigrad as mg
>>> device = mg.device("cuda" if mg.cuda.is_available() else "cpu")
"""

from __future__ import annotations

from .engine import backend, gpu
from .engine import random as stream

is_available, synchronize = gpu.cuda_is_available, backend.synchronize
manual_seed = manual_seed_all = stream.manual_seed  # one stream serves every device
