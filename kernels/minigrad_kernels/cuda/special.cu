// The error function and its complement, by CUDA's own: one read, one write.
//
// The readable text sorts elements into ranges, each with an expansion of its own; how many there are of each
// the host would have to ask. float16 and bfloat16 are computed in float32.
#include "common.cuh"

template <typename T> __global__ void erf_forward(const T* __restrict__ x, T* __restrict__ y, long long n) {
    for (long long i = first(); i < n; i += stride()) y[i] = narrow<T>(erf(wide(x[i])));
}

template <typename T> __global__ void erfc_forward(const T* __restrict__ x, T* __restrict__ y, long long n) {
    for (long long i = first(); i < n; i += stride()) y[i] = narrow<T>(erfc(wide(x[i])));
}
