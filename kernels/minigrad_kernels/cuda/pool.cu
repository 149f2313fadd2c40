// Pooling: each result is gathered from its window, and on the way back from the windows that hold it.
//
// Memory is (channel, z, y, x, image), the images last: threads beside each other read neighbours whatever
// kernel and stride, 16 bytes each. A block stays in one row of the result, so that only the column and the
// image need a division. Nothing is filled with zeros first, nothing is scattered: every result is
// written once, its terms added in the order of the window.
#include "common.cuh"

#ifndef INFINITY  // NVRTC brings no <math.h>
#define INFINITY __int_as_float(0x7f800000)
#endif

__device__ inline int smaller(int a, int b) { return a < b ? a : b; }

// One axis: lengths before and after pooling, and how its windows lie.
struct Axis {
    int n, out, kernel, stride, border, dilation;

    // The elements begin(o), ..., end(o) - 1 of window o are no border.
    __device__ int begin(int o) const {
        int missing = border - o * stride;
        return missing > 0 ? (missing + dilation - 1) / dilation : 0;
    }
    __device__ int end(int o) const {
        int room = n - 1 + border - o * stride;
        return room < 0 ? 0 : smaller(kernel, room / dilation + 1);
    }

    // Where element k of window o lies.
    __device__ int place(int o, int k) const { return o * stride - border + k * dilation; }

    // The windows that place i may be in are first(i), ..., last(i); as which element of it: -1 if it is in a gap.
    __device__ int first(int i) const {
        int before = i + border - (kernel - 1) * dilation;
        return before > 0 ? (before + stride - 1) / stride : 0;
    }
    __device__ int last(int i) const { return smaller((i + border) / stride, out - 1); }
    __device__ int element(int i, int o) const {
        int apart = i + border - o * stride;
        return dilation == 1 ? apart : apart % dilation ? -1 : apart / dilation;
    }
};

// Passed by value. tiles: blocks to a row of the result; pool.py fills it in.
struct Windows { Axis z, y, x; int images, tiles; };

// The result that this thread makes, V images of it, and where it lies.
template <int V> struct Result {
    int channel, z, y, x, image;
    bool there;
    long long at;

    __device__ Result(const Windows& w, int depth, int height, int width) {
        int row = blockIdx.x / w.tiles, packs = w.images / V;
        int column = (blockIdx.x - row * w.tiles) * blockDim.x + threadIdx.x;
        there = column < width * packs;
        x = column / packs, image = (column - x * packs) * V;
        at = 1ll * row * width * w.images + 1ll * column * V;
        channel = row / height, y = row - channel * height;
        z = channel % depth, channel /= depth;
    }
};

template <typename T, int V>
__global__ void max_pool_forward(const T* __restrict__ x, T* __restrict__ y, unsigned char* __restrict__ chosen, Windows w) {
    using S = Wide<T>;
    Result<V> to(w, w.z.out, w.y.out, w.x.out);
    if (!to.there) return;
    int begin_z = w.z.begin(to.z), begin_y = w.y.begin(to.y), begin_x = w.x.begin(to.x);
    int end_z = w.z.end(to.z), end_y = w.y.end(to.y), end_x = w.x.end(to.x);
    S best[V];
    unsigned char who[V];
    for (int v = 0; v < V; v++)  // the first that is no border wins where all is -inf
        best[v] = -INFINITY, who[v] = (begin_z * w.y.kernel + begin_y) * w.x.kernel + begin_x;
    for (int i = begin_z; i < end_z; i++)
        for (int j = begin_y; j < end_y; j++) {
            long long line = (1ll * to.channel * w.z.n + w.z.place(to.z, i)) * w.y.n + w.y.place(to.y, j);
            for (int k = begin_x; k < end_x; k++) {
                const T* at = x + (line * w.x.n + w.x.place(to.x, k)) * w.images + to.image;
                Pack<T, V> here = *reinterpret_cast<const Pack<T, V>*>(at);
                int number = (i * w.y.kernel + j) * w.x.kernel + k;
#pragma unroll
                for (int v = 0; v < V; v++) {
                    S a = wide(here.at[v]);
                    if (a > best[v] || a != a) best[v] = larger(best[v], a), who[v] = number;  // the last NaN
                }
            }
        }
    Pack<T, V> result;
    Pack<unsigned char, V> numbers;
#pragma unroll
    for (int v = 0; v < V; v++) result.at[v] = narrow<T>(best[v]), numbers.at[v] = who[v];
    *reinterpret_cast<Pack<T, V>*>(y + to.at) = result;
    *reinterpret_cast<Pack<unsigned char, V>*>(chosen + to.at) = numbers;
}

template <typename T, int V>
__global__ void window_sums(const T* __restrict__ x, T* __restrict__ y, Windows w) {
    Result<V> to(w, w.z.out, w.y.out, w.x.out);
    if (!to.there) return;
    int begin_y = w.y.begin(to.y), begin_x = w.x.begin(to.x);
    int end_z = w.z.end(to.z), end_y = w.y.end(to.y), end_x = w.x.end(to.x);
    Wide<T> sum[V] = {};
    for (int i = w.z.begin(to.z); i < end_z; i++)
        for (int j = begin_y; j < end_y; j++) {
            long long line = (1ll * to.channel * w.z.n + w.z.place(to.z, i)) * w.y.n + w.y.place(to.y, j);
            for (int k = begin_x; k < end_x; k++) {
                const T* at = x + (line * w.x.n + w.x.place(to.x, k)) * w.images + to.image;
                Pack<T, V> here = *reinterpret_cast<const Pack<T, V>*>(at);
#pragma unroll
                for (int v = 0; v < V; v++) sum[v] += wide(here.at[v]);
            }
        }
    Pack<T, V> result;
#pragma unroll
    for (int v = 0; v < V; v++) result.at[v] = narrow<T>(sum[v]);
    *reinterpret_cast<Pack<T, V>*>(y + to.at) = result;
}

// The adjoints: each place of x adds up g of the windows that hold it - or, with `chosen`, that chose it.
template <typename T, int V>
__global__ void window_adjoint(const T* __restrict__ g, const unsigned char* __restrict__ chosen, T* __restrict__ y, Windows w) {
    Result<V> to(w, w.z.n, w.y.n, w.x.n);
    if (!to.there) return;
    int first_z = w.z.first(to.z), first_y = w.y.first(to.y), first_x = w.x.first(to.x);
    int last_y = w.y.last(to.y), last_x = w.x.last(to.x);
    Wide<T> sum[V] = {};
    for (int i = w.z.last(to.z); i >= first_z; i--)  // later windows hold it as an earlier element
        for (int j = last_y; j >= first_y; j--)
            for (int k = last_x; k >= first_x; k--) {
                int a = w.z.element(to.z, i), b = w.y.element(to.y, j), c = w.x.element(to.x, k);
                if (a < 0 || b < 0 || c < 0) continue;
                long long window = ((1ll * to.channel * w.z.out + i) * w.y.out + j) * w.x.out + k;
                Pack<T, V> here = *reinterpret_cast<const Pack<T, V>*>(g + window * w.images + to.image);
                Pack<unsigned char, V> who = {};
                if (chosen) who = *reinterpret_cast<const Pack<unsigned char, V>*>(chosen + window * w.images + to.image);
                int number = chosen ? (a * w.y.kernel + b) * w.x.kernel + c : 0;
#pragma unroll
                for (int v = 0; v < V; v++) sum[v] += wide(here.at[v]) * (who.at[v] == number ? 1 : 0);
            }
    Pack<T, V> result;
#pragma unroll
    for (int v = 0; v < V; v++) result.at[v] = narrow<T>(sum[v]);
    *reinterpret_cast<Pack<T, V>*>(y + to.at) = result;
}
