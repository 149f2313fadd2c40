"""Numba kernels for the CPU (extra `fast`), and what OpenBLAS needs to be told before NumPy loads.

`TABLE` says which there are; nothing here imports NumPy or Numba until one is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

__all__ = ["TABLE", "find"]

# What it replaces -> (the file here, the size of the largest array from which on it pays, float dtypes).
# "conv" is the forward of the op conv; "relu.x" the VJP of relu's argument x; "normalise.joint" the joint
# backward of normalise. The function is called the same, with "_" for the dot.
TABLE: dict[str, tuple[str, int, str]] = {
    "relu": ("activation", 1 << 16, "f"), "relu.x": ("activation", 1 << 16, "f"),
    "matmul": ("linalg", 1 << 12, "fd"), "linear": ("linalg", 1 << 12, "fd"),
    "linear.bias": ("linalg", 1 << 16, "fd"),
    "conv": ("conv", 1 << 12, "f"), "conv_grad_x": ("conv", 1 << 12, "f"),
    "conv_grad_w": ("conv_weights", 1 << 13, "f"),
    "attention": ("attention", 1 << 12, "f"), "attention.joint": ("attention", 1 << 12, "f"),
}  # fmt: skip


def find(name: str) -> Callable:
    """The kernel of that name; ImportError without Numba."""
    file, _, _ = TABLE[name]
    return getattr(importlib.import_module(f"{__name__}.{file}"), name.replace(".", "_"))
