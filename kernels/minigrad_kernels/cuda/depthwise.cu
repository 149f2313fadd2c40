// Convolution where each group has one channel: there is nothing to multiply as a matrix, only memory to read.
//
// A thread makes 16 bytes of neighbouring images at one place. Its windows overlap those of its neighbours in the
// same block, so of all its reads but about one per number come from the first cache. The gradient in w keeps
// sums for TAPS elements of the kernel in registers while it walks over the places.
#include "conv_geometry.cuh"

constexpr int TAPS = 9, THREADS = 256;  // a kernel of 3 x 3 takes one walk

// Forward, and the gradient in x for one class of its places (conv_plan.py). A block has one row: one channel of
// the result, which sums over `others` channels of the source.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS) depthwise_gather(const T* __restrict__ source, const T* __restrict__ w,
                                                            const T* __restrict__ bias, T* __restrict__ result, Field field) {
    int row = blockIdx.y, group = row / field.rows, i = (blockIdx.x * THREADS + threadIdx.x) * V;
    if (i >= field.columns) return;
    const Reach &z = field.z, &y = field.y, &x = field.x;
    Spot at = field.column(i);
    source += group * field.others * field.volume + at.at;
    w += 1ll * group * field.group_step + row % field.rows * field.row_step;
    float sums[V];
#pragma unroll
    for (int v = 0; v < V; v++) sums[v] = bias ? wide(bias[row]) : 0.0f;
    for (int other = 0; other < field.others; other++)
        for (int jz = 0; jz < z.taps; jz++) {
            if (static_cast<unsigned>(at.z + jz * z.reach) >= static_cast<unsigned>(z.length)) continue;
            for (int jy = 0; jy < y.taps; jy++) {
                if (static_cast<unsigned>(at.y + jy * y.reach) >= static_cast<unsigned>(y.length)) continue;
                const T* from = source + other * field.volume + field.offset(jz * z.reach, jy * y.reach, 0);
                const T* weights = w + other * field.other_step + ((z.tap + jz * z.skip) * field.kernel_y + y.tap + jy * y.skip) * field.kernel_x + x.tap;
                for (int jx = 0; jx < x.taps; jx++) {
                    if (static_cast<unsigned>(at.x + jx * x.reach) >= static_cast<unsigned>(x.length)) continue;
                    Pack<T, V> numbers = *reinterpret_cast<const Pack<T, V>*>(from + 1ll * jx * x.reach * field.batch);
                    float weight = wide(weights[jx * x.skip]);
#pragma unroll
                    for (int v = 0; v < V; v++) sums[v] += weight * wide(numbers.at[v]);
                }
            }
        }
    Pack<T, V> all;
#pragma unroll
    for (int v = 0; v < V; v++) all.at[v] = narrow<T>(sums[v]);
    *reinterpret_cast<Pack<T, V>*>(result + row * field.result_volume + field.target(i)) = all;
}

// shares[share][filter][tap]: the gradient in w over columns [share number * share, + share).
template <typename T, int V>
__global__ void __launch_bounds__(THREADS) depthwise_weights(const T* __restrict__ gy, const T* __restrict__ x,
                                                             float* __restrict__ shares, Field field, int share) {
    int filter = blockIdx.y, first = blockIdx.x * share, end = min(field.columns - first, share) + first;
    gy += filter * field.result_volume;
    x += filter / field.rows * field.volume;
    shares += (1ll * blockIdx.x * gridDim.y + filter) * field.depth;
    for (int k = 0; k < field.depth; k += TAPS) {
        Spot taps[TAPS];
        float sums[TAPS] = {};
#pragma unroll
        for (int t = 0; t < TAPS; t++) taps[t] = k + t < field.depth ? field.tap(k + t) : Spot{0, NOWHERE, 0, 0};
        for (int i = first + threadIdx.x * V; i < end; i += THREADS * V) {
            Spot at = field.column(i);
            Pack<T, V> g = *reinterpret_cast<const Pack<T, V>*>(gy + i);
#pragma unroll
            for (int t = 0; t < TAPS; t++) {
                Pack<T, V> numbers = field.template read<V>(x, at, taps[t]);
#pragma unroll
                for (int v = 0; v < V; v++) sums[t] += wide(g.at[v]) * wide(numbers.at[v]);
            }
        }
#pragma unroll
        for (int t = 0; t < TAPS; t++) {
            float sum = block_sum(sums[t]);
            if (threadIdx.x == 0 && k + t < field.depth) shares[k + t] = sum;
        }
    }
}
