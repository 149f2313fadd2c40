// Attention without its matrix: softmax(q k^T scale + bias) v, a tile of 64 queries x 64 keys at a time.
//
// Dao et al. 2022: a block of threads keeps 64 queries and walks over the keys. A tile of scores is made in
// registers, becomes weights under a running maximum and a running sum (Milakov & Gimelshein 2018), passes
// through shared memory and is multiplied with its values at once. Memory sees queries, keys and values, never
// the scores; of each row only log sum e^s is kept. Tiles above the diagonal of a causal call are not visited.
#include "attention_tile.cuh"

template <typename T, int D>
__global__ void __launch_bounds__(128) forward(
    const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v, const T* __restrict__ bias,
    const bool* __restrict__ mask, T* __restrict__ y, float* __restrict__ lse,
    const unsigned long long* __restrict__ seed, Layout at, float scale, bool causal) {
    constexpr int M = 64, N = 64, I = M / DOWN, J = N / ACROSS;
    SHARED(float, queries);
    __shared__ unsigned char kept[M * N / 8];
    float *walked = queries + M * PITCH<D>, *weights = walked + N * PITCH<D>;
    Job job(at.lead, at.queries, M, causal);
    Scores<T> scores(at, job.item, bias, mask, scale, causal);
    k += at.k.of(job.item), v += at.v.of(job.item);
    Dropout dropout(at, job.item, seed);
    load_rows<T, M, D>(queries, q + at.q.of(job.item), at.q.row, job.first, at.queries, at.depth);

    float o[I][D / ACROSS] = {}, s[I][J], top[I], sum[I];
    for (int i = 0; i < I; i++) top[i] = -infinity(), sum[i] = 0;
    int end = causal ? min(at.keys, job.first + M) : at.keys;
    for (int first = 0; first < end; first += N) {
        __syncthreads();  // the values before have been read
        load_rows<T, N, D>(walked, k, at.k.row, first, at.keys, at.depth);
        if (dropout.limit) dropout.draw<M, N>(kept, job.first, first);
        __syncthreads();
        row_products<M, N, D>(s, queries, walked);
        scores(s, [&](int i, int) { return job.first + down() + DOWN * i; },
               [&](int, int j) { return first + across() + ACROSS * j; }, scores.cuts(job.first, first, N));
#pragma unroll
        for (int i = 0; i < I; i++) {
            float largest = top[i];
#pragma unroll
            for (int j = 0; j < J; j++) largest = fmaxf(largest, s[i][j]);
            for (int reach = ACROSS / 2; reach > 0; reach /= 2)
                largest = fmaxf(largest, __shfl_xor_sync(ALL, largest, reach));
            float shift = finite_or_0(largest), shrink = expf(top[i] - shift);
            top[i] = largest, sum[i] *= shrink;
#pragma unroll
            for (int c = 0; c < D / ACROSS; c++) o[i][c] *= shrink;
#pragma unroll
            for (int j = 0; j < J; j++) sum[i] += s[i][j] = expf(s[i][j] - shift);
        }
        if (dropout.limit)
            for (int i = 0; i < I; i++)
                for (int j = 0; j < J; j++) s[i][j] *= dropout.keeps<N>(kept, down() + DOWN * i, across() + ACROSS * j);
        put_weights<M, N>(weights, s);
        __syncthreads();  // the keys have been read
        load_rows<T, N, D>(walked, v, at.v.row, first, at.keys, at.deep);
        __syncthreads();
        add_weighted<M, N, D>(o, weights, walked);
    }
    for (int i = 0; i < I; i++) {
        for (int reach = ACROSS / 2; reach > 0; reach /= 2) sum[i] += __shfl_xor_sync(ALL, sum[i], reach);
        float whole = sum[i] == 0 ? 1.0f : sum[i];  // a row without keys is 0
        for (int c = 0; c < D / ACROSS; c++) o[i][c] /= whole;
        int row = job.first + down() + DOWN * i;
        if (across() == 0 && row < at.queries) lse[job.item.number * at.queries + row] = finite_or_0(top[i]) + logf(whole);
    }
    store_rows<T, M, D>(y + at.y.of(job.item), at.y.row, job.first, at.queries, at.deep, o, at.up);
}
