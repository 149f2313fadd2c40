// An array as lines along one axis, each worked on by a team of threads: softmax and normalisation.
//
// Memory is (outer, n, inner). With inner = 1 a line is a row: a warp takes a short one, a block a long one.
// Otherwise 32 neighbouring columns share a block, so that its 32 lanes read 32 neighbours in memory, and
// the warps of the block walk down together. A thread holds HELD numbers of its line in registers: a line of
// no more than HELD numbers to a thread is read once.
#include "common.cuh"

enum Kind { IN_WARP, IN_BLOCK, IN_COLUMNS };
constexpr int HELD = 8;

#ifndef INFINITY  // NVRTC brings no <math.h>
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
#endif

// As many numbers as one access of 16 bytes moves.
template <typename T> using Whole = Pack<T, 16 / static_cast<int>(sizeof(T))>;

template <typename T> __device__ inline bool on_packs(const T* a) {
    return reinterpret_cast<unsigned long long>(a) % 16 == 0;
}

__device__ inline float exponential(float x) { return expf(x); }
__device__ inline double exponential(double x) { return exp(x); }
__device__ inline float logarithm_of(float x) { return logf(x); }
__device__ inline double logarithm_of(double x) { return log(x); }
template <typename S> __device__ inline bool finite(S x) { return x - x == S(0); }

template <int KIND> struct Line {
    long long number;  // which one
    long long start;   // where it begins
    long long step;    // from one of its numbers to the next
    int n;             // how many numbers it has: 0 for a team that is left without a line
    int me, width;     // this thread's number in its team, and how many there are

    // `block` stands for blockIdx.x where a block takes lines in several rounds.
    __device__ Line(long long lines, int length, long long inner, long long block = blockIdx.x) {
        if (KIND == IN_WARP) {
            number = (block * blockDim.x + threadIdx.x) / WARP, me = threadIdx.x % WARP, width = WARP;
        } else if (KIND == IN_BLOCK) {
            number = block, me = threadIdx.x, width = blockDim.x;
        } else {
            number = block * WARP + threadIdx.x % WARP;
            me = threadIdx.x / WARP, width = blockDim.x / WARP;
        }
        n = number < lines ? length : 0;
        start = KIND == IN_COLUMNS ? number / inner * inner * length + number % inner : number * length;
        step = KIND == IN_COLUMNS ? inner : 1;
    }

    // True in the one thread that writes what there is one of for the line.
    __device__ bool leads() const { return me == 0 && n > 0; }

    // How many numbers the team holds at once.
    __device__ int span() const { return width * HELD; }

    // True if a line is a whole number of packs.
    template <typename T> __device__ bool packs(int length) const {
        return KIND != IN_COLUMNS && length % (16 / static_cast<int>(sizeof(T))) == 0;
    }

    // Where in the span this thread's k-th number lies: lanes beside each other, single or in packs.
    template <typename T> __device__ int place(int k, bool packed) const {
        constexpr int V = 16 / sizeof(T);
        return packed ? (k / V * width + me) * V + k % V : k * width + me;
    }

    // v <- the line's numbers from, ..., end - 1 as far as they are this thread's; what is missing is `fill`.
    template <typename T>
    __device__ void load(const T* a, int from, int end, bool packed, Wide<T> fill, Wide<T> (&v)[HELD]) const {
        fetch(a + start, step, from, end, packed, fill, v);
    }

    // The same from another array that has a number for each of the line's, `step` apart.
    template <typename T>
    __device__ void fetch(const T* a, long long step, int from, int end, bool packed, Wide<T> fill, Wide<T> (&v)[HELD]) const {
        constexpr int V = 16 / sizeof(T);
        if (KIND != IN_COLUMNS && packed) {
#pragma unroll
            for (int p = 0; p < HELD / V; p++) {
                int at = from + (p * width + me) * V;
                Whole<T> pack;
                if (at < end) pack = *reinterpret_cast<const Whole<T>*>(a + at);
#pragma unroll
                for (int k = 0; k < V; k++) v[p * V + k] = at < end ? wide(pack.at[k]) : fill;
            }
        } else {
#pragma unroll
            for (int k = 0; k < HELD; k++) {
                int at = from + k * width + me;
                v[k] = at < end ? wide(a[at * step]) : fill;
            }
        }
    }

    // The other way.
    template <typename T>
    __device__ void store(T* a, int from, int end, bool packed, const Wide<T> (&v)[HELD]) const {
        constexpr int V = 16 / sizeof(T);
        a += start;
        if (KIND != IN_COLUMNS && packed) {
#pragma unroll
            for (int p = 0; p < HELD / V; p++) {
                int at = from + (p * width + me) * V;
                Whole<T> pack;
#pragma unroll
                for (int k = 0; k < V; k++) pack.at[k] = narrow<T>(v[p * V + k]);
                if (at < end) *reinterpret_cast<Whole<T>*>(a + at) = pack;
            }
        } else {
#pragma unroll
            for (int k = 0; k < HELD; k++) {
                int at = from + k * width + me;
                if (at < end) a[at * step] = narrow<T>(v[k]);
            }
        }
    }

    // Over the team: every thread of the block arrives, every one gets its own line's result.
    template <typename S> __device__ S sum(S x) const {
        if (KIND == IN_WARP) return warp_sum(x);
        if (KIND == IN_BLOCK) return block_sum(x);
        return down<S>(x, [](S a, S b) { return a + b; });
    }
    template <typename S> __device__ S max(S x) const {
        if (KIND == IN_WARP) return warp_max(x);
        if (KIND == IN_BLOCK) return block_max(x);
        return down<S>(x, [](S a, S b) { return larger(a, b); });
    }
    template <typename S, typename Join> __device__ S down(S x, Join join) const {
        __shared__ S parts[1024];
        if (width == 1) return x;
        __syncthreads();  // parts may still be read from the time before
        parts[threadIdx.x] = x;
        __syncthreads();
        S all = parts[threadIdx.x % WARP];
        for (int w = 1; w < width; w++) all = join(all, parts[w * WARP + threadIdx.x % WARP]);
        return all;
    }
};
