"""PyTorch's questions about GPUs, with which most listings begin; and a ledger of what goes over.

>>> import minigrad as mg
>>> device = mg.device("cuda" if mg.cuda.is_available() else "cpu")
"""

from __future__ import annotations

from ..engine import random as stream
from ..engine.backend import synchronize
from ..engine.gpu import OutOfMemoryError
from ..engine.gpu import cuda_is_available as is_available
from .ledgers import ledger

manual_seed = manual_seed_all = stream.manual_seed  # one stream serves every device

__all__ = ["OutOfMemoryError", "is_available", "ledger", "manual_seed", "manual_seed_all", "synchronize"]
