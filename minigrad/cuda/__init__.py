"""GPUs by PyTorch's names: devices, streams, memory; and a ledger of what goes over.

>>> import minigrad as mg
>>> device = mg.device("cuda" if mg.cuda.is_available() else "cpu")
"""

from __future__ import annotations

from ..engine import random as _random
from ..engine.gpu import OutOfMemoryError
from ..engine.gpu import cuda_is_available as is_available
from . import amp
from .devices import (
    DeviceProperties,
    current_device,
    device,
    device_count,
    get_device_capability,
    get_device_name,
    get_device_properties,
    is_bf16_supported,
    set_device,
    synchronize,
)
from .ledgers import ledger
from .memory import (
    empty_cache,
    max_memory_allocated,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_reserved,
    memory_stats,
    memory_summary,
    reset_peak_memory_stats,
    set_per_process_memory_fraction,
)
from .streams import Event, Stream, StreamContext, current_stream, default_stream, stream

# One stream of random numbers serves every device.
manual_seed = manual_seed_all = _random.manual_seed
initial_seed, seed = _random.initial_seed, _random.seed


def get_rng_state(device: object = None) -> dict[str, int]:
    """Where the random stream stands: a dict of whole numbers, the same for every device."""
    return _random.get_state()


def set_rng_state(new_state: dict[str, int], device: object = None) -> None:
    """Put the random stream where get_rng_state found it."""
    _random.set_state(new_state)


__all__ = [
    "DeviceProperties", "Event", "OutOfMemoryError", "Stream", "StreamContext", "current_device",
    "current_stream", "default_stream", "device", "device_count", "empty_cache", "get_device_capability",
    "get_device_name", "get_device_properties", "get_rng_state", "initial_seed", "is_available",
    "is_bf16_supported", "ledger", "manual_seed", "manual_seed_all", "max_memory_allocated",
    "max_memory_reserved", "mem_get_info", "memory_allocated", "memory_reserved", "memory_stats",
    "memory_summary", "reset_peak_memory_stats", "seed", "set_device", "set_per_process_memory_fraction",
    "set_rng_state", "stream", "synchronize",
]  # fmt: skip
