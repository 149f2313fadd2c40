// Activations and their gradients: one read of each operand, one write, 16 bytes at a time where that fits.
#include "common.cuh"

template <typename T> __global__ void relu_forward(const T* __restrict__ x, T* __restrict__ y, long long n) {
    for (long long i = first(); i < n; i += stride()) {
        Wide<T> v = wide(x[i]);
        y[i] = narrow<T>(v > 0 || v != v ? v : Wide<T>(0));
    }
}

template <typename T>
__global__ void relu_backward(const T* __restrict__ g, const T* __restrict__ y, T* __restrict__ dx, long long n) {
    for (long long i = first(); i < n; i += stride()) dx[i] = wide(y[i]) > 0 ? g[i] : narrow<T>(0);
}
