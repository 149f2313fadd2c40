// What stands around a matrix product: a bias and an activation added in place, and the sums of columns.
//
// Neighbouring threads hold neighbouring columns, so every load is coalesced and a thread keeps its column's
// bias (or sum) in a register while it walks down the rows. Each array is read once. Sums are made in float
// (double for double), in one fixed order: rows are cut into parts, a second launch adds the parts.
#include "common.cuh"

enum { NONE = 0, RELU = 1, GELU_TANH = 2 };

// max(x, 0), with NaN kept; GELU by tanh (Hendrycks and Gimpel 2016).
template <int ACTIVATION, typename S> __device__ inline S activated(S x) {
    if (ACTIVATION == RELU) return x > S(0) || x != x ? x : S(0);
    if (ACTIVATION == GELU_TANH) {
        S inner = S(0.7978845608028654) * (x + S(0.044715) * x * x * x);
        return S(0.5) * x * (S(1) + tanh(inner));
    }
    return x;
}

// y[r, c] = activation(y[r, c] + bias[c]); blocks of (32, 8) threads.
template <typename T, int ACTIVATION>
__global__ void add_bias(T* __restrict__ y, const T* __restrict__ bias, long long rows, int columns) {
    int column = blockIdx.x * WARP + threadIdx.x;
    if (column >= columns) return;
    Wide<T> b = wide(bias[column]);
    long long step = static_cast<long long>(gridDim.y) * blockDim.y;
    for (long long row = static_cast<long long>(blockIdx.y) * blockDim.y + threadIdx.y; row < rows; row += step) {
        T* here = y + row * columns + column;
        *here = narrow<T>(activated<ACTIVATION>(wide(*here) + b));
    }
}

// sums[p, c] = the sum of g[r, c] over part p of the rows; blocks of (32, 8) threads, one part per blockIdx.y.
template <typename In, typename Out>
__global__ void column_sums(const In* __restrict__ g, Out* __restrict__ sums, long long rows, int columns) {
    __shared__ Wide<In> partial[8][WARP];
    int column = blockIdx.x * WARP + threadIdx.x;
    long long share = ceil_div(rows, gridDim.y), begin = share * blockIdx.y;
    long long end = begin + share < rows ? begin + share : rows;
    Wide<In> sum = 0;
    if (column < columns)
        for (long long row = begin + threadIdx.y; row < end; row += blockDim.y) sum += wide(g[row * columns + column]);
    partial[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y > 0 || column >= columns) return;
    for (int i = 1; i < blockDim.y; i++) sum += partial[i][threadIdx.x];
    sums[static_cast<long long>(blockIdx.y) * columns + column] = narrow<Out>(sum);
}
