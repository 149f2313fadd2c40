// A step of LSTM, GRU or RNN in one launch, for batches whose products are too small for cuBLAS to fill a card.
//
// A block owns a tile of the step's product, TALL sequences by COLUMNS columns, and finishes it: forwards the
// columns are all gates of some units, so the gates follow in the same launch. Backwards the product that a step
// needs is that of the step after it, so it comes first and the gates' gradients after it: one launch per step
// again. The sum of each number of a tile is made by SLICES threads, a part each, added in one fixed order.
// Operands are read from the L2 cache 16 bytes at a time, without a detour: each block reads them just once.
// Memory is as cells.cuh says; width is a multiple of 4, and rows begin at multiples of 16 bytes.
#include "cells.cuh"

#define TALL 8
#define COLUMNS 16
#define SLICES 32  // with the tile's 2 x 4 patches of 4 x 4 numbers: 256 threads

// Gates of a unit lie in as many columns of the forward product: 4 for 3, so that no patch has parts of two units.
template <int GATES> struct Columns { static constexpr int OF_UNIT = GATES == 3 ? 4 : GATES; };

// Row i of a packed matrix from row `at` on, for i < there; else that of `other`, if there is one.
__device__ inline const float* row_of(const float* packed, long long at, int i, int there, const float* other, int n,
                                      int inner) {
    if (i < there) return packed + (at + i) * inner;
    return other && i < n ? other + static_cast<long long>(i) * inner : nullptr;
}

__device__ inline void fma4(float4& sum, float a, float4 b) {
    sum.x += a * b.x, sum.y += a * b.y, sum.z += a * b.z, sum.w += a * b.w;
}

// The tile from column `column` on of the product of 4 rows a thread (null: zeros) and w (inner, all). Thread
// (b, c) of the first TALL * COLUMNS gets its number.
__device__ inline float tile_product(const float* const (&rows)[4], const float* __restrict__ w, int inner, int all,
                                     int column) {
    __shared__ __align__(16) float parts[SLICES][TALL][COLUMNS];
    const int t = threadIdx.x, patch = t % 4, high = t / 4 % 2, slice = t / 8;
    const float4 zero = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    const bool inside = column + 4 * patch < all;
    float4 sum[4] = {zero, zero, zero, zero};
#pragma unroll 2
    for (int k = 4 * slice; k < inner; k += 4 * SLICES) {
        float4 b[4];
#pragma unroll
        for (int j = 0; j < 4; ++j)
            b[j] = inside ? *reinterpret_cast<const float4*>(w + static_cast<long long>(k + j) * all + column + 4 * patch)
                          : zero;
#pragma unroll
        for (int r = 0; r < 4; ++r) {
            float4 a = rows[r] ? *reinterpret_cast<const float4*>(rows[r] + k) : zero;
            fma4(sum[r], a.x, b[0]), fma4(sum[r], a.y, b[1]), fma4(sum[r], a.z, b[2]), fma4(sum[r], a.w, b[3]);
        }
    }
#pragma unroll
    for (int r = 0; r < 4; ++r) *reinterpret_cast<float4*>(&parts[slice][4 * high + r][4 * patch]) = sum[r];
    __syncthreads();
    float total = 0.0f;
    if (t < TALL * COLUMNS)
        for (int s = 0; s < SLICES; ++s) total += parts[s][t / COLUMNS][t % COLUMNS];
    return total;
}

// gates: the sums of x, in place of which come the gates. w: W_hh as (width, units, Columns::OF_UNIT). states: where
// the y of the steps before lies. c: the cells of an LSTM by sequence, before and after.
template <typename Cell>
__global__ void tile_forward(float* gates, const float* __restrict__ w, const float* __restrict__ b_ih,
                             const float* __restrict__ b_hh, const float* states, const float* __restrict__ initial,
                             float* c, float* y, float* keeps, float* cells, long long at, long long before,
                             int carried, int n, int width) {
    constexpr int GATES = Cell::GATES, OF_UNIT = Columns<GATES>::OF_UNIT, UNITS = COLUMNS / OF_UNIT;
    __shared__ float sums[TALL][COLUMNS];
    const int t = threadIdx.x, from = blockIdx.y * TALL, i = from + t / UNITS, u = blockIdx.x * UNITS + t % UNITS;
    const bool mine = t < TALL * UNITS && i < n && u < width;  // one unit of one sequence, after the product
    const long long e = static_cast<long long>(i) * width + u;
    float x[GATES], add[GATES], of_h[GATES], state, keep;
    if (mine) {  // on its way while the product is made
        load_gates(x, gates, at + i, u, width);
        load_bias(add, b_ih, u, width);
        load_bias(of_h, b_hh, u, width);
        state = c ? c[e] : row_of(states, before, i, carried, initial, n, width)[u];
    }
    const float* rows[4];
#pragma unroll
    for (int r = 0; r < 4; ++r) rows[r] = row_of(states, before, from + t / 4 % 2 * 4 + r, carried, initial, n, width);
    float sum = tile_product(rows, w, width, width * OF_UNIT, blockIdx.x * COLUMNS);
    if (t < TALL * COLUMNS) sums[t / COLUMNS][t % COLUMNS] = sum;
    __syncthreads();
    if (!mine) return;
#pragma unroll
    for (int g = 0; g < GATES; ++g) {
        x[g] += add[g];
        of_h[g] += sums[t / UNITS][t % UNITS * OF_UNIT + g];
    }
    float now = Cell::forward(x, of_h, state, keep);
    store_unit(x, now, state, keep, at + i, u, width, gates, y, keeps, cells);
    if (c) c[e] = state;
}

// d_ih, d_hh: gradients of the sums of all steps (d_hh null: they are the same); those of the step after lie from
// row `after` on, of the first `following` sequences. dh: what went past that step's product, and past this one's.
template <typename Cell>
__global__ void tile_backward(const float* __restrict__ g, const float* __restrict__ gates,
                              const float* __restrict__ keeps, const float* __restrict__ states,
                              const float* __restrict__ initial, const float* __restrict__ w, float* d_ih, float* d_hh,
                              float* dh, float* dc, long long at, long long before, int carried, long long after,
                              int following, int n, int width) {
    constexpr int GATES = Cell::GATES;
    const int t = threadIdx.x, from = blockIdx.y * TALL, i = from + t / COLUMNS, u = blockIdx.x * COLUMNS + t % COLUMNS;
    const bool mine = t < TALL * COLUMNS && i < n && u < width;
    const long long e = static_cast<long long>(i) * width + u;
    Past<GATES> past;
    float through, of_c;
    if (mine) {
        past = load_past<GATES>(g, gates, keeps, states, initial, at, before, i, carried, u, width);
        through = dh[e];
        of_c = dc ? dc[e] : 0.0f;
    }
    const float* rows[4];
#pragma unroll
    for (int r = 0; r < 4; ++r)
        rows[r] = row_of(d_hh ? d_hh : d_ih, after, from + t / 4 % 2 * 4 + r, following, nullptr, n, width * GATES);
    float sum = tile_product(rows, w, width * GATES, width, blockIdx.x * COLUMNS);
    if (!mine) return;
    float d[GATES], last;
    dh[e] = Cell::backward(past.a, past.kept, past.before, sum + through + past.g, of_c, d, last);
    store_gates(d, d_ih, at + i, u, width);
    if (d_hh) {
        d[GATES - 1] = last;
        store_gates(d, d_hh, at + i, u, width);
    }
    if (dc) dc[e] = of_c;
}
