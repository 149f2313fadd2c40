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
    "tanh": ("activation", 1 << 15, "f"), "tanh.x": ("activation", 1 << 15, "f"),
    "sigmoid": ("activation", 1 << 15, "f"), "sigmoid.x": ("activation", 1 << 15, "f"),
    "gelu_erf": ("activation", 1 << 15, "f"), "gelu_erf.x": ("activation", 1 << 15, "f"),
    "silu": ("activation", 1 << 15, "f"), "silu.x": ("activation", 1 << 15, "f"),
    "leaky_relu": ("activation", 1 << 15, "f"), "leaky_relu.x": ("activation", 1 << 15, "f"),
    "elu": ("activation", 1 << 15, "f"), "elu.x": ("activation", 1 << 15, "f"),
    "softplus": ("activation", 1 << 15, "f"), "softplus.x": ("activation", 1 << 15, "f"),
    "normalise": ("norm", 1 << 13, "f"), "normalise.joint": ("norm", 1 << 13, "f"),
    "rms_norm": ("norm", 1 << 13, "f"), "rms_norm.joint": ("norm", 1 << 13, "f"),
    "matmul": ("linalg", 1 << 12, "fd"), "linear": ("linalg", 1 << 12, "fd"),
    "linear.bias": ("linalg", 1 << 18, "fd"),
    "adam": ("optim", 1 << 12, "f"), "sgd": ("optim", 1 << 12, "f"),
    "conv": ("conv", 1 << 10, "f"), "conv_grad_x": ("conv", 1 << 10, "f"),
    "conv_grad_w": ("conv_weights", 1 << 13, "f"),
    "max_pool": ("pool", 1 << 12, "f"), "window_put": ("pool", 1 << 12, "f"),
    "window_sum": ("pool", 1 << 12, "f"), "window_spread": ("pool", 1 << 8, "f"),
    "attention": ("attention", 1 << 12, "f"), "attention.joint": ("attention", 1 << 12, "f"),
    "packed_attention": ("attention", 1 << 12, "f"), "packed_attention.joint": ("attention", 1 << 12, "f"),
    "lstm_sequence": ("recurrent", 1 << 12, "f"), "lstm_sequence.joint": ("recurrent", 1 << 12, "f"),
    "gru_sequence": ("recurrent", 1 << 12, "f"), "gru_sequence.joint": ("recurrent", 1 << 12, "f"),
    "rnn_sequence": ("recurrent", 1 << 12, "f"), "rnn_sequence.joint": ("recurrent", 1 << 12, "f"),
    "softmax": ("softmax", 1 << 13, "f"), "softmax.x": ("softmax", 1 << 14, "f"),
    "log_softmax": ("softmax", 1 << 13, "f"), "log_softmax.x": ("softmax", 1 << 13, "f"),
    "cross_entropy": ("softmax", 1 << 13, "f"),
}  # fmt: skip


def find(name: str) -> Callable:
    """The kernel of that name; ImportError without Numba."""
    file, _, _ = TABLE[name]
    return getattr(importlib.import_module(f"{__name__}.{file}"), name.replace(".", "_"))
