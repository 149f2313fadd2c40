"""The stand-in for CuPy and CUDA: what it refuses, what it records, and that kernels run as CUDA says."""

import numpy as np
import pytest

RELU = """
__global__ void relu(const float* x, float* y, long long n) {
    for (long long i = threadIdx.x; i < n; i += blockDim.x) y[i] = x[i] > 0 ? x[i] : 0.f;
}
"""


def test_a_kernel_text_runs(stand_in):
    import cupy

    f = cupy.RawModule(code=RELU, name_expressions=("relu",)).get_function("relu")
    x = cupy.array(np.linspace(-1, 1, 100, dtype="f"))
    y = cupy.empty_like(x)
    f((1,), (32,), (x, y, x.size))
    assert (y.get() == np.maximum(x.get(), 0)).all()
