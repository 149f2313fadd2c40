"""Mixed precision by PyTorch's names: regions of `autocast`, and GradScaler for float16."""

from ..engine.autocast import autocast, get_autocast_dtype, is_autocast_cache_enabled, is_autocast_enabled
from .grad_scaler import GradScaler

__all__ = [
    "GradScaler", "autocast", "get_autocast_dtype", "is_autocast_cache_enabled", "is_autocast_enabled",
]  # fmt: skip
