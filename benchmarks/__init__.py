"""Benchmarks: `python -m benchmarks.vs_pytorch`, `python -m benchmarks.graph_limits`.

Threads and matrix kernels are chosen when NumPy and PyTorch load, so they are set here, first;
and the memory that is freed is kept, for both.
"""

import os

from minigrad_kernels.cpu.blas import choose_core, rest_when_idle
from minigrad_kernels.cpu.memory import keep_freed_memory

THREADS = 2

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, str(THREADS))
choose_core()
rest_when_idle()
keep_freed_memory()  # PyTorch allocates from the same C library, and gains by it too
