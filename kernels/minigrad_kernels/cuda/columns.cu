// Windows as columns and back (fold, unfold): both gather, 16 bytes of neighbouring images to a thread.
//
// Columns lie as (channel, tap, place, image). im2col writes each number once; col2im sums, for every place of x,
// the columns that it was copied to: nothing is scattered, so nothing is added in an order that may change.
#include "conv_geometry.cuh"

constexpr int THREADS = 256;

// Rows are pairs of channel and tap.
template <typename T, int V>
__global__ void __launch_bounds__(THREADS) im2col_forward(const T* __restrict__ x, T* __restrict__ columns, Field field) {
    int i = (blockIdx.x * THREADS + threadIdx.x) * V;
    if (i >= field.columns) return;
    Spot at = field.column(i);
    for (int row = blockIdx.y; row < field.depth; row += gridDim.y)
        *reinterpret_cast<Pack<T, V>*>(columns + row * field.result_volume + i) = field.template read<V>(x, at, field.tap(row));
}

// Rows are channels; places of one class, which meet the same taps (conv_plan.py).
template <typename T, int V>
__global__ void __launch_bounds__(THREADS) col2im_forward(const T* __restrict__ columns, T* __restrict__ result, Field field) {
    int i = (blockIdx.x * THREADS + threadIdx.x) * V;
    if (i >= field.columns) return;
    const Reach &z = field.z, &y = field.y, &x = field.x;
    Spot at = field.column(i);
    long long target = field.target(i);
    for (int row = blockIdx.y; row < field.rows; row += gridDim.y) {
        Wide<T> sums[V] = {};
        for (int jz = 0; jz < z.taps; jz++)
            for (int jy = 0; jy < y.taps; jy++)
                for (int jx = 0; jx < x.taps; jx++) {
                    Spot tap = {0, jz * z.reach, jy * y.reach, jx * x.reach};
                    long long line = row * field.row_step + ((z.tap + jz * z.skip) * field.kernel_y + y.tap + jy * y.skip) * field.kernel_x + x.tap + jx * x.skip;
                    tap.at = line * field.volume + field.offset(tap.z, tap.y, tap.x);
                    Pack<T, V> numbers = field.template read<V>(columns, at, tap);
#pragma unroll
                    for (int v = 0; v < V; v++) sums[v] += wide(numbers.at[v]);
                }
        Pack<T, V> all;
#pragma unroll
        for (int v = 0; v < V; v++) all.at[v] = narrow<T>(sums[v]);
        *reinterpret_cast<Pack<T, V>*>(result + row * field.result_volume + target) = all;
    }
}
