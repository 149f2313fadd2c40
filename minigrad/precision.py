"""How exactly float32 products are computed on a GPU: PyTorch's switch for TF32."""

from __future__ import annotations

from minigrad_kernels.cuda import precision as switch

__all__ = ["get_float32_matmul_precision", "set_float32_matmul_precision"]


def set_float32_matmul_precision(precision: str) -> None:
    """Choose between exact and fast float32 products on GPUs, for the whole process.

    "highest", the default: float32 throughout. "high" and "medium": tensor cores may round the factors to
    TF32 (10 bits of fraction for 23; sums stay float32), several times as fast from NVIDIA's Ampere
    generation on, with errors of about 1e-3. As in PyTorch, "medium" would allow bfloat16 and is "high"
    today. float64, halves, the CPU and `gradcheck` are not touched. ValueError for another name.

    >>> import minigrad as mg
    >>> mg.set_float32_matmul_precision("high")
    >>> mg.get_float32_matmul_precision()
    'high'
    >>> mg.set_float32_matmul_precision("highest")
    """
    if precision not in switch.LEVELS:
        known = ", ".join(switch.LEVELS)
        raise ValueError(f"set_float32_matmul_precision: expected one of {known} (precision={precision!r})")
    switch.put(precision)


def get_float32_matmul_precision() -> str:
    """The level that `set_float32_matmul_precision` chose: "highest" unless it was called."""
    return switch.get()
