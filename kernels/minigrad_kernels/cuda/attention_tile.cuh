// What the attention kernels without tensor cores share: tiles in shared memory, and products of them.
//
// 128 threads stand as 8 x 16 over a tile of M x N: thread (down, across) has rows down + 8 i and columns
// across + 16 j in its registers. The 16 threads of a row are half a warp, so a row's sums need no barrier.
// Tiles lie by rows, 4 numbers apart from each other, so that 16 bytes at a time are read without bank conflicts.
#include "attention_layout.cuh"

constexpr int ACROSS = 16, DOWN = 8, THREADS = ACROSS * DOWN;
template <int D> constexpr int PITCH = D + 4;        // of a tile of vectors with D numbers
template <int N> constexpr int WEIGHT_PITCH = N + 16;  // of a tile of weights: two rows of a warp in other banks

__device__ inline int across() { return threadIdx.x % ACROSS; }
__device__ inline int down() { return threadIdx.x / ACROSS; }

// Rows first .. first + N - 1 of a matrix as float32; zeros beyond its `rows` and its `width`.
template <typename T, int N, int D>
__device__ inline void load_rows(float* tile, const T* x, long long pitch, int first, int rows, int width) {
    for (int i = threadIdx.x; i < N * D; i += THREADS) {
        int r = i / D, c = i % D;
        tile[r * PITCH<D> + c] = first + r < rows && c < width ? wide(x[(first + r) * pitch + c]) : 0.0f;
    }
}

// s = a b^T: rows of a (M) against rows of b (N), each D long.
template <int M, int N, int D>
__device__ inline void row_products(float (&s)[M / DOWN][N / ACROSS], const float* a, const float* b) {
    for (int i = 0; i < M / DOWN; i++)
        for (int j = 0; j < N / ACROSS; j++) s[i][j] = 0;
#pragma unroll 2
    for (int d = 0; d < D; d += 4) {
        Pack<float, 4> x[M / DOWN], z;
#pragma unroll
        for (int i = 0; i < M / DOWN; i++)
            x[i] = *reinterpret_cast<const Pack<float, 4>*>(a + (down() + DOWN * i) * PITCH<D> + d);
#pragma unroll
        for (int j = 0; j < N / ACROSS; j++) {
            z = *reinterpret_cast<const Pack<float, 4>*>(b + (across() + ACROSS * j) * PITCH<D> + d);
#pragma unroll
            for (int i = 0; i < M / DOWN; i++)
#pragma unroll
                for (int t = 0; t < 4; t++) s[i][j] += x[i].at[t] * z.at[t];
        }
    }
}

// A thread's share of D columns: CHUNKS times VECTOR neighbours.
template <int D> constexpr int VECTOR = D / ACROSS < 4 ? D / ACROSS : 4;
template <int D> __device__ inline int column(int c) {
    return c / VECTOR<D> * VECTOR<D> * ACROSS + across() * VECTOR<D> + c % VECTOR<D>;
}

// o += w b: weights (M x N) times vectors (N x D). A row of w was written by the half-warp that reads it.
template <int M, int N, int D>
__device__ inline void add_weighted(float (&o)[M / DOWN][D / ACROSS], const float* w, const float* b) {
#pragma unroll 2
    for (int n = 0; n < N; n += 4) {
        Pack<float, 4> x[M / DOWN];
#pragma unroll
        for (int i = 0; i < M / DOWN; i++)
            x[i] = *reinterpret_cast<const Pack<float, 4>*>(w + (down() + DOWN * i) * WEIGHT_PITCH<N> + n);
#pragma unroll
        for (int t = 0; t < 4; t++)
#pragma unroll
            for (int c = 0; c < D / ACROSS; c += VECTOR<D>) {
                auto z = *reinterpret_cast<const Pack<float, VECTOR<D>>*>(b + (n + t) * PITCH<D> + column<D>(c));
#pragma unroll
                for (int i = 0; i < M / DOWN; i++)
#pragma unroll
                    for (int u = 0; u < VECTOR<D>; u++) o[i][c + u] += x[i].at[t] * z.at[u];
            }
    }
}

// What this thread has of a tile of weights, to where add_weighted reads it.
template <int M, int N>
__device__ inline void put_weights(float* w, const float (&s)[M / DOWN][N / ACROSS]) {
    __syncwarp();  // the tile before has been read
    for (int i = 0; i < M / DOWN; i++)
        for (int j = 0; j < N / ACROSS; j++)
            w[(down() + DOWN * i) * WEIGHT_PITCH<N> + across() + ACROSS * j] = s[i][j];
    __syncwarp();
}

// Rows of sums that are no larger than the matrix, times `factor`.
template <typename T, int M, int D>
__device__ inline void store_rows(T* x, long long pitch, int first, int rows, int width,
                                  const float (&o)[M / DOWN][D / ACROSS], float factor) {
    for (int i = 0; i < M / DOWN; i++)
        for (int c = 0; c < D / ACROSS; c++) {
            int row = first + down() + DOWN * i;
            if (row < rows && column<D>(c) < width) x[row * pitch + column<D>(c)] = narrow<T>(o[i][c] * factor);
        }
}
