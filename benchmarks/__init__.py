"""Benchmarks: `python -m benchmarks.vs_pytorch`, `python -m benchmarks.graph_limits`.

Threads and matrix kernels are chosen when NumPy and PyTorch load, so they are set here, first.
"""

import os

from minigrad_kernels.cpu.blas import choose_core

THREADS = 2

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, str(THREADS))
choose_core()
