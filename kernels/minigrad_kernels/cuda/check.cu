// Whether all numbers of an array lie in a range: one read, and nothing is written where they do.
//
// What does not belong is told in one 64-bit word: its place in the upper half, its value in the lower, all
// bits turned round, so that 0 means nothing. The largest word wins (an atomic maximum of whole numbers, the
// same result in any order): the first bad element. The host reads the words when it next waits anyway.
#include "common.cuh"

#define LARGEST 2147483647LL

// The value in 32 bits: whole numbers held to them, floats as they are in float32.
__device__ inline unsigned told(long long x) {
    return static_cast<unsigned>(static_cast<int>(x > LARGEST ? LARGEST : x < -LARGEST - 1 ? -LARGEST - 1 : x));
}
__device__ inline unsigned told(double x) { return __float_as_uint(static_cast<float>(x)); }

__device__ inline void tell(unsigned long long* word, long long place, unsigned value) {
    atomicMax(word, ~(static_cast<unsigned long long>(place) << 32 | value));
}

template <typename I>
__global__ void whole_in_range(const I* __restrict__ x, unsigned long long* __restrict__ words, int slot, long long low,
                               long long high, long long ignored, bool ignoring, long long n) {
    for (long long i = first(); i < n; i += stride()) {
        long long v = static_cast<long long>(x[i]);
        if ((v >= low && v <= high) || (ignoring && v == ignored)) continue;
        tell(words + slot, i, told(v));
        return;  // the elements this thread has not seen yet stand behind this one
    }
}

// NaN is in no range.
template <typename T>
__global__ void float_in_range(const T* __restrict__ x, unsigned long long* __restrict__ words, int slot, double low,
                               double high, long long n) {
    for (long long i = first(); i < n; i += stride()) {
        double v = wide(x[i]);
        if (v >= low && v <= high) continue;
        tell(words + slot, i, told(v));
        return;
    }
}
