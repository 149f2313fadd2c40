// Gradients of attention without its matrix: every tile of weights is made once more, as e^(score - lse).
//
// With P the weights and G the gradient of Y = P V: dV = P^T G, dP = G V^T, dS = P (dP - sum_j dP_j P_j), where the
// sum is G . Y of each row (`along`), dq = dS k and dk = dS^T q (Dao et al. 2022, section 3.1 and appendix B.4).
// Two kernels: one keeps a block of queries and walks over keys (dq), the other keeps keys and walks over
// queries (dk, dv). Tiles are made twice that way, but every sum has one owner: no atomics, the same bits always.
#include "attention_tile.cuh"

// Tile sizes that fit 96 KB of shared memory: rows kept, rows walked over.
template <int D> constexpr int KEPT = D > 64 ? 32 : 64;
constexpr int WALKED = 32;

// along = g . y, a warp to a row.
template <typename T>
__global__ void along_rows(const T* __restrict__ g, const T* __restrict__ y, float* __restrict__ along, Layout at) {
    long long row = blockIdx.x * static_cast<long long>(blockDim.x / WARP) + threadIdx.x / WARP;
    if (row >= static_cast<long long>(at.lead.items) * at.queries) return;  // the whole warp
    Item item(at.lead, row / at.queries);
    long long i = row % at.queries;
    g += at.g.of(item) + i * at.g.row, y += at.y.of(item) + i * at.y.row;
    float sum = 0;
    for (int c = threadIdx.x % WARP; c < at.deep; c += WARP) sum += wide(g[c]) * wide(y[c]);
    sum = warp_sum(sum);
    if (threadIdx.x % WARP == 0) along[row] = sum;
}

template <typename T, int D>
__global__ void __launch_bounds__(128) query_gradient(
    const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v, const T* __restrict__ bias,
    const bool* __restrict__ mask, const T* __restrict__ g, const float* __restrict__ lse,
    const float* __restrict__ along, const unsigned long long* __restrict__ seed, T* __restrict__ dq,
    Layout at, float scale, bool causal) {
    constexpr int M = KEPT<D>, N = WALKED, I = M / DOWN, J = N / ACROSS;
    SHARED(float, queries);
    __shared__ unsigned char kept[M * N / 8];
    float *slopes = queries + M * PITCH<D>, *keys = slopes + M * PITCH<D>;
    float *values = keys + N * PITCH<D>, *weights = values + N * PITCH<D>;
    Job job(at.lead, at.queries, M, causal);
    Scores<T> scores(at, job.item, bias, mask, scale, causal);
    Dropout dropout(at, job.item, seed);
    k += at.k.of(job.item), v += at.v.of(job.item);
    load_rows<T, M, D>(queries, q + at.q.of(job.item), at.q.row, job.first, at.queries, at.depth);
    load_rows<T, M, D>(slopes, g + at.g.of(job.item), at.g.row, job.first, at.queries, at.deep);

    float sums[I][D / ACROSS] = {}, s[I][J], dp[I][J], shift[I], less[I];
    for (int i = 0; i < I; i++) {
        int row = job.first + down() + DOWN * i;
        shift[i] = row < at.queries ? lse[job.item.number * at.queries + row] : 0.0f;
        less[i] = row < at.queries ? along[job.item.number * at.queries + row] : 0.0f;
    }
    int end = causal ? min(at.keys, job.first + M) : at.keys;
    for (int first = 0; first < end; first += N) {
        __syncthreads();  // the keys before have been read
        load_rows<T, N, D>(keys, k, at.k.row, first, at.keys, at.depth);
        load_rows<T, N, D>(values, v, at.v.row, first, at.keys, at.deep);
        if (dropout.limit) dropout.draw<M, N>(kept, job.first, first);
        __syncthreads();
        row_products<M, N, D>(s, queries, keys);
        row_products<M, N, D>(dp, slopes, values);
        scores(s, [&](int i, int) { return job.first + down() + DOWN * i; },
               [&](int, int j) { return first + across() + ACROSS * j; }, scores.cuts(job.first, first, N));
#pragma unroll
        for (int i = 0; i < I; i++)
#pragma unroll
            for (int j = 0; j < J; j++) {
                if (dropout.limit) dp[i][j] *= at.up * dropout.keeps<N>(kept, down() + DOWN * i, across() + ACROSS * j);
                s[i][j] = expf(s[i][j] - shift[i]) * (dp[i][j] - less[i]);
            }
        put_weights<M, N>(weights, s);
        add_weighted<M, N, D>(sums, weights, keys);
    }
    store_rows<T, M, D>(dq + at.dq.of(job.item), at.dq.row, job.first, at.queries, at.depth, sums, scale);
}

template <typename T, int D>
__global__ void __launch_bounds__(128) key_gradients(
    const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v, const T* __restrict__ bias,
    const bool* __restrict__ mask, const T* __restrict__ g, const float* __restrict__ lse,
    const float* __restrict__ along, const unsigned long long* __restrict__ seed, T* __restrict__ dk, T* __restrict__ dv,
    Layout at, float scale, bool causal) {
    constexpr int M = KEPT<D>, N = WALKED, I = M / DOWN, J = N / ACROSS;
    SHARED(float, keys);
    __shared__ unsigned char kept[M * N / 8];
    float *values = keys + M * PITCH<D>, *queries = values + M * PITCH<D>;
    float *slopes = queries + N * PITCH<D>, *weights = slopes + N * PITCH<D>;
    Job job(at.lead, at.keys, M, false);
    Scores<T> scores(at, job.item, bias, mask, scale, causal);
    Dropout dropout(at, job.item, seed);
    q += at.q.of(job.item), g += at.g.of(job.item);
    lse += job.item.number * at.queries, along += job.item.number * at.queries;
    load_rows<T, M, D>(keys, k + at.k.of(job.item), at.k.row, job.first, at.keys, at.depth);
    load_rows<T, M, D>(values, v + at.v.of(job.item), at.v.row, job.first, at.keys, at.deep);

    float key_sums[I][D / ACROSS] = {}, value_sums[I][D / ACROSS] = {}, s[I][J], dp[I][J];
    for (int first = causal ? job.first : 0; first < at.queries; first += N) {
        __syncthreads();  // the queries before have been read
        load_rows<T, N, D>(queries, q, at.q.row, first, at.queries, at.depth);
        load_rows<T, N, D>(slopes, g, at.g.row, first, at.queries, at.deep);
        if (dropout.limit) dropout.draw<N, M>(kept, first, job.first);
        __syncthreads();
        row_products<M, N, D>(s, keys, queries);
        row_products<M, N, D>(dp, values, slopes);
        scores(s, [&](int, int j) { return first + across() + ACROSS * j; },
               [&](int i, int) { return job.first + down() + DOWN * i; }, scores.cuts(first, job.first, M));
#pragma unroll
        for (int j = 0; j < J; j++) {
            int row = first + across() + ACROSS * j;
            float shift = row < at.queries ? lse[row] : 0.0f, less = row < at.queries ? along[row] : 0.0f;
#pragma unroll
            for (int i = 0; i < I; i++) {
                float keeps = dropout.limit ? dropout.keeps<M>(kept, across() + ACROSS * j, down() + DOWN * i) : 1.0f;
                s[i][j] = expf(s[i][j] - shift);
                dp[i][j] = s[i][j] * (at.up * keeps * dp[i][j] - less);
                s[i][j] *= keeps;
            }
        }
        put_weights<M, N>(weights, s);
        add_weighted<M, N, D>(value_sums, weights, slopes);
        put_weights<M, N>(weights, dp);
        add_weighted<M, N, D>(key_sums, weights, queries);
    }
    store_rows<T, M, D>(dk + at.dk.of(job.item), at.dk.row, job.first, at.keys, at.depth, key_sums, scale);
    store_rows<T, M, D>(dv + at.dv.of(job.item), at.dv.row, job.first, at.keys, at.deep, value_sums,
                        at.up);
}
