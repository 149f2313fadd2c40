"""CUDA kernels: texts (`*.cu`), the wrappers that launch them, and the table that says which there are.

Nothing here imports an array library. A kernel takes GPU arrays and finds their library through them;
`source("softmax")` is the text of softmax.cu as the compiler gets it, its own headers pasted in.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable
from importlib.resources import files

__all__ = ["TABLE", "find", "names", "source"]

# What it replaces -> (the file here, the size of the largest array from which on it pays, float dtypes:
# e float16, E bfloat16, f float32, d float64). The same names as in the CPU's table, which explains them.
TABLE: dict[str, tuple[str, int, str]] = {
    "relu": ("activation", 0, "efEd"), "relu.x": ("activation", 0, "efEd"),
    "tanh": ("activation", 0, "efEd"), "tanh.x": ("activation", 0, "efEd"),
    "sigmoid": ("activation", 0, "efEd"), "sigmoid.x": ("activation", 0, "efEd"),
    "gelu_erf": ("activation", 0, "efEd"), "gelu_erf.x": ("activation", 0, "efEd"),
    "silu": ("activation", 0, "efEd"), "silu.x": ("activation", 0, "efEd"),
    "leaky_relu": ("activation", 0, "efEd"), "leaky_relu.x": ("activation", 0, "efEd"),
    "elu": ("activation", 0, "efEd"), "elu.x": ("activation", 0, "efEd"),
    "put_add": ("index", 0, "efEd"),
    "matmul": ("linalg", 0, "efEd"), "linear": ("linalg", 0, "efEd"), "linear.x": ("linalg", 0, "efEd"),
    "linear.weight": ("linalg", 0, "efEd"), "linear.bias": ("linalg", 0, "efEd"),
    "einsum": ("einsum", 0, "efEd"),
    "adam": ("optim", 0, "efE"), "sgd": ("optim", 0, "efE"),
    "softplus": ("activation", 0, "efEd"), "softplus.x": ("activation", 0, "efEd"),
    "attention": ("attention", 0, "efE"), "attention.joint": ("attention", 0, "efE"),
    "packed_attention": ("attention", 0, "efE"), "packed_attention.joint": ("attention", 0, "efE"),
    "lstm_sequence": ("recurrent", 0, "efE"), "lstm_sequence.joint": ("recurrent", 0, "efE"),
    "gru_sequence": ("recurrent", 0, "efE"), "gru_sequence.joint": ("recurrent", 0, "efE"),
    "rnn_sequence": ("recurrent", 0, "efE"), "rnn_sequence.joint": ("recurrent", 0, "efE"),
    "softmax": ("softmax", 0, "efEd"), "softmax.x": ("softmax", 0, "efEd"),
    "log_softmax": ("softmax", 0, "efEd"), "log_softmax.x": ("softmax", 0, "efEd"),
    "cross_entropy": ("softmax", 0, "efEd"),
    "erf": ("special", 0, "efEd"), "erfc": ("special", 0, "efEd"),
    "check_range": ("check", 0, "efEd"),
    "random_words": ("random", 0, ""), "random_uniform": ("random", 0, "efEd"),
    "dropout": ("random", 0, "efEd"),
    "conv": ("conv", 0, "efE"), "conv_grad_x": ("conv", 0, "efE"), "conv_grad_w": ("conv", 0, "efE"),
    "conv.bias": ("conv", 0, "efE"),
    "normalise": ("norm", 0, "efEd"), "normalise.joint": ("norm", 0, "efEd"),
    "rms_norm": ("norm", 0, "efEd"), "rms_norm.joint": ("norm", 0, "efEd"),
    "follow_moments": ("norm", 0, "fd"),
    "im2col": ("columns", 0, "efEd"), "col2im": ("columns", 0, "efEd"),
    "max_pool": ("pool", 0, "efEd"), "window_put": ("pool", 0, "efEd"),
    "window_sum": ("pool", 0, "efEd"), "window_spread": ("pool", 0, "efEd"),
}  # fmt: skip


def find(name: str) -> Callable:
    """The kernel of that name."""
    file, _, _ = TABLE[name]
    return getattr(importlib.import_module(f"{__name__}.{file}"), name.replace(".", "_"))


@functools.cache
def source(name: str) -> str:
    """The text of `<name>.cu`, our own headers in place; ValueError naming the known ones for another name.

    >>> source("nothing")
    Traceback (most recent call last):
    ValueError: cuda source: expected one of ..., got 'nothing'
    """
    file = files(__name__) / f"{name}.cu"
    if not file.is_file():
        raise ValueError(f"cuda source: expected one of {', '.join(names()) or '(none)'}, got {name!r}")
    return _pasted(file.read_text(encoding="utf-8"), set())


def _pasted(text: str, seen: set[str]) -> str:
    """The text with each `#include "x.cuh"` replaced by that file, once: caches then see every change."""

    def paste(found: re.Match) -> str:
        header = found[1]
        if header in seen:
            return ""
        seen.add(header)
        return _pasted((files(__name__) / header).read_text(encoding="utf-8"), seen)

    return re.sub(r'^#include "(\w+\.cuh)"$', paste, text, flags=re.MULTILINE)


def names() -> list[str]:
    """Names of the sources that the installed package holds, sorted."""
    return sorted(entry.name[:-3] for entry in files(__name__).iterdir() if entry.name.endswith(".cu"))
