// What the attention kernels on tensor cores share: tiles of 16-bit numbers, and products of them by a warp.
//
// A warp owns rows of the tile that stays, 16 to a fragment; all four read the tile that comes by. A product
// leaves a warp's 16 x 8 sums in registers as two neighbours of row `group` and two of row group + 8. That
// is, pair by pair, how the next product wants its left factor: scores become weights where they are, and are
// multiplied with values without passing through shared memory.
#include "attention_layout.cuh"
#include "ptx.cuh"

constexpr int WARPS = 4, THREADS = WARPS * WARP;
constexpr float LOG2_E = 1.4426950408889634f, LN_2 = 0.6931471805599453f;
template <int D> constexpr int PITCH = D + 8;  // 16 bytes further a row: eight rows lie in different banks

#if HAS_MMA
__device__ inline int lane() { return threadIdx.x % WARP; }
__device__ inline int group() { return lane() / 4; }       // of the rows, in what a product leaves
__device__ inline int pair() { return lane() % 4 * 2; }    // of the columns

__device__ inline void multiply(__half, float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    mma_m16n8k16_f16(d, a, b);
}
__device__ inline void multiply(__nv_bfloat16, float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    mma_m16n8k16_bf16(d, a, b);
}

// Two numbers in one register, the first in its lower half.
template <typename T> __device__ inline unsigned both(float x, float y);
template <> __device__ inline unsigned both<__half>(float x, float y) {
    __half2 z = __floats2half2_rn(x, y);
    return *reinterpret_cast<unsigned*>(&z);
}
template <> __device__ inline unsigned both<__nv_bfloat16>(float x, float y) {
    __nv_bfloat162 z = __floats2bfloat162_rn(x, y);
    return *reinterpret_cast<unsigned*>(&z);
}

// Rows first .. first + N - 1 of a matrix, on their way: zeros beyond its `rows` and its `width` (a multiple of 8).
template <typename T, int N, int D>
__device__ inline void copy_rows(T* tile, const T* x, long long pitch, int first, int rows, int width) {
    for (int i = threadIdx.x; i < N * D / 8; i += THREADS) {
        int r = i / (D / 8), c = i % (D / 8) * 8;
        bool inside = first + r < rows && c < width;
        cp_async_16(tile + r * PITCH<D> + c, inside ? x + (first + r) * pitch + c : x, inside);
    }
}

// The two right factors that an ldmatrix of four brings, for columns n and n + 8 of the result.
template <typename T, int MT, int N>
__device__ inline void multiply_two(float (&s)[MT][N][4], int n, const unsigned (&a)[MT][4], const unsigned (&b)[4]) {
    const unsigned left[2] = {b[0], b[1]}, right[2] = {b[2], b[3]};
#pragma unroll
    for (int m = 0; m < MT; m++) {
        multiply(T(), s[m][n / 8], a[m], left);
        multiply(T(), s[m][n / 8 + 1], a[m], right);
    }
}

// s = a b^T: 16 MT rows of a, from `row` on, against N rows of b, each D long.
template <typename T, int MT, int N, int D>
__device__ inline void row_products(float (&s)[MT][N / 8][4], const T* a, int row, const T* b) {
    unsigned x[MT][4], z[4];
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int n = 0; n < N / 8; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) s[m][n][i] = 0;
#pragma unroll
    for (int d = 0; d < D; d += 16) {
#pragma unroll
        for (int m = 0; m < MT; m++)
            ldmatrix_x4(x[m], a + (row + 16 * m + lane() % 16) * PITCH<D> + d + lane() / 16 * 8);
#pragma unroll
        for (int n = 0; n < N; n += 16) {
            ldmatrix_x4(z, b + (n + lane() % 8 + lane() / 16 * 8) * PITCH<D> + d + lane() / 8 % 2 * 8);
            multiply_two<T>(s, n, x, z);
        }
    }
}

// o += w b: the weights that this warp has in registers (16 MT x N) times vectors (N x D).
template <typename T, int MT, int N, int D>
__device__ inline void add_weighted(float (&o)[MT][D / 8][4], const float (&w)[MT][N / 8][4], const T* b) {
    unsigned x[MT][4], z[4];
#pragma unroll
    for (int n = 0; n < N; n += 16) {
#pragma unroll
        for (int m = 0; m < MT; m++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float* two = &w[m][n / 8 + i / 2][i % 2 * 2];
                x[m][i] = both<T>(two[0], two[1]);
            }
#pragma unroll
        for (int d = 0; d < D; d += 16) {
            ldmatrix_x4_trans(z, b + (n + lane() % 16) * PITCH<D> + d + lane() / 16 * 8);
            multiply_two<T>(o, d, x, z);
        }
    }
}

// A warp's sums, times `factor`, to rows from `first` on.
template <typename T, int MT, int D>
__device__ inline void store_rows(T* x, long long pitch, int first, int rows, int width,
                                  const float (&o)[MT][D / 8][4], float factor) {
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int n = 0; n < D / 8; n++)
#pragma unroll
            for (int h = 0; h < 2; h++) {
                int row = first + 16 * m + group() + 8 * h;
                if (row >= rows || 8 * n >= width) continue;
                unsigned* to = reinterpret_cast<unsigned*>(x + row * pitch + 8 * n + pair());
                *to = both<T>(o[m][n][2 * h] * factor, o[m][n][2 * h + 1] * factor);
            }
}
#endif
