"""Numba kernels for the CPU. None has earned its place by a benchmark row yet."""
