"""The rows of `benchmarks.roofline`: for each CUDA kernel a job that fills a card.

Counting functions say what must be moved and computed: what a kernel is given is read once, what it returns
(with what backward needs of it) is written once; an addition, a multiplication and a function such as exp are
one operation each, as often as the formula needs them. Functions named make_... build the job on the GPU.
"""

from __future__ import annotations

from .base import Job, Row, Traffic, count, job, listed
from .elements import activation_rows, other_rows
from .lines import line_rows
from .matrices import product_rows
from .sequences import attention_rows, recurrent_rows
from .windows import convolution_rows, window_rows

__all__ = ["ROWS", "WITHOUT", "Job", "Row", "Traffic", "count", "job", "listed"]

ROWS: list[Row] = [
    *activation_rows(), *other_rows(), *line_rows(), *window_rows(), *convolution_rows(), *product_rows(),
    *attention_rows(), *recurrent_rows(),
]  # fmt: skip

# Kernels that have no row, and why.
WITHOUT: dict[str, str] = {
    "follow_moments": "two numbers for each channel: it takes as long as its launch, whatever it does",
}
