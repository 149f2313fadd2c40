// Attention of 16-bit numbers on tensor cores: the tiles of attention.cu and attention_backward.cu, 128 threads each.
//
// While a tile is worked on, the next one is on its way past the registers (cp.async). Weights are rounded to 16
// bits before they are multiplied; all sums are float32. Powers are of 2: scores come multiplied by log2 e.
#include "attention_mma.cuh"

template <int D> constexpr int WALKED = D > 64 ? 32 : 64;  // rows of a tile that comes by

template <typename T, int D>
__global__ void __launch_bounds__(128) mma_forward(
    const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v, const T* __restrict__ bias,
    const bool* __restrict__ mask, T* __restrict__ y, float* __restrict__ lse,
    const unsigned long long* __restrict__ seed, Layout at, float scale, bool causal) {
#if HAS_MMA
    constexpr int MT = 2, M = WARPS * 16 * MT, N = WALKED<D>;
    SHARED(T, queries);
    __shared__ unsigned char kept[M * N / 8];
    T *keys = queries + M * PITCH<D>, *values = keys + N * PITCH<D>;
    Job job(at.lead, at.queries, M, causal);
    Scores<T> scores(at, job.item, bias, mask, scale, causal, LOG2_E);
    Dropout dropout(at, job.item, seed);
    k += at.k.of(job.item), v += at.v.of(job.item);
    copy_rows<T, M, D>(queries, q + at.q.of(job.item), at.q.row, job.first, at.queries, at.depth);
    copy_rows<T, N, D>(keys, k, at.k.row, 0, at.keys, at.depth);
    cp_async_commit();

    int row = threadIdx.x / WARP * 16 * MT;  // the warp's first
    float o[MT][D / 8][4] = {}, s[MT][N / 8][4], top[MT][2], sum[MT][2] = {};
    for (int m = 0; m < MT; m++) top[m][0] = top[m][1] = -infinity();
    int end = causal ? min(at.keys, job.first + M) : at.keys;
    for (int first = 0; first < end; first += N) {
        cp_async_wait<0>();
        __syncthreads();  // the keys have come, the values before have been read
        copy_rows<T, N, D>(values, v, at.v.row, first, at.keys, at.deep);
        cp_async_commit();
        if (dropout.limit) dropout.draw<M, N>(kept, job.first, first);
        row_products<T, MT, N, D>(s, queries, row, keys);
#pragma unroll
        for (int m = 0; m < MT; m++) {
            int own = job.first + row + 16 * m;
            scores(s[m], [&](int, int i) { return own + group() + i / 2 * 8; },
                   [&](int n, int i) { return first + 8 * n + pair() + i % 2; }, scores.cuts(own, first, N));
#pragma unroll
            for (int h = 0; h < 2; h++) {
                float largest = top[m][h];
#pragma unroll
                for (int n = 0; n < N / 8; n++) largest = fmaxf(largest, fmaxf(s[m][n][2 * h], s[m][n][2 * h + 1]));
                largest = fmaxf(largest, __shfl_xor_sync(ALL, largest, 1));
                largest = fmaxf(largest, __shfl_xor_sync(ALL, largest, 2));
                float shift = finite_or_0(largest), shrink = exp2_approx(top[m][h] - shift);
                top[m][h] = largest, sum[m][h] *= shrink;
#pragma unroll
                for (int n = 0; n < D / 8; n++) o[m][n][2 * h] *= shrink, o[m][n][2 * h + 1] *= shrink;
#pragma unroll
                for (int n = 0; n < N / 8; n++)
#pragma unroll
                    for (int i = 2 * h; i < 2 * h + 2; i++) sum[m][h] += s[m][n][i] = exp2_approx(s[m][n][i] - shift);
            }
        }
        cp_async_wait<0>();
        __syncthreads();  // the values have come, the keys have been read
        if (first + N < end) copy_rows<T, N, D>(keys, k, at.k.row, first + N, at.keys, at.depth);
        cp_async_commit();
        if (dropout.limit)
#pragma unroll
            for (int m = 0; m < MT; m++)
#pragma unroll
                for (int n = 0; n < N / 8; n++)
#pragma unroll
                    for (int i = 0; i < 4; i++) {
                        int high = row + 16 * m + group() + i / 2 * 8;
                        s[m][n][i] *= dropout.keeps<N>(kept, high, 8 * n + pair() + i % 2);
                    }
        add_weighted<T, MT, N, D>(o, s, values);
    }
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float whole = sum[m][h];
            whole += __shfl_xor_sync(ALL, whole, 1);
            whole += __shfl_xor_sync(ALL, whole, 2);
            whole = whole == 0 ? 1.0f : whole;  // a row without keys is 0
#pragma unroll
            for (int n = 0; n < D / 8; n++) o[m][n][2 * h] /= whole, o[m][n][2 * h + 1] /= whole;
            int own = job.first + row + 16 * m + group() + 8 * h;
            if (pair() == 0 && own < at.queries)
                lse[job.item.number * at.queries + own] = finite_or_0(top[m][h]) * LN_2 + logf(whole);
        }
    store_rows<T, MT, D>(y + at.y.of(job.item), at.y.row, job.first + row, at.queries, at.deep, o, at.up);
#endif
}

// ---- gradients: some rows are kept, and pairs of tiles come by through two places in turn

template <int D> constexpr int FRAGMENTS = D > 64 ? 1 : 2;  // of 16 rows that a warp keeps
constexpr int PASSING = 32;                                 // rows of a tile that comes by

template <typename T, int D>
__global__ void __launch_bounds__(128) mma_query_gradient(
    const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v, const T* __restrict__ bias,
    const bool* __restrict__ mask, const T* __restrict__ g, const float* __restrict__ lse,
    const float* __restrict__ along, const unsigned long long* __restrict__ seed, T* __restrict__ dq,
    Layout at, float scale, bool causal) {
#if HAS_MMA
    constexpr int MT = FRAGMENTS<D>, M = WARPS * 16 * MT, N = PASSING;
    SHARED(T, queries);
    __shared__ unsigned char kept[2][M * N / 8];
    T *slopes = queries + M * PITCH<D>, *places = slopes + M * PITCH<D>;
    Job job(at.lead, at.queries, M, causal);
    Scores<T> scores(at, job.item, bias, mask, scale, causal, LOG2_E);
    Dropout dropout(at, job.item, seed);
    k += at.k.of(job.item), v += at.v.of(job.item);
    auto fetch = [&](int turn, int first) {
        T* keys = places + turn * 2 * N * PITCH<D>;
        copy_rows<T, N, D>(keys, k, at.k.row, first, at.keys, at.depth);
        copy_rows<T, N, D>(keys + N * PITCH<D>, v, at.v.row, first, at.keys, at.deep);
        cp_async_commit();
        if (dropout.limit) dropout.draw<M, N>(kept[turn], job.first, first);
    };
    copy_rows<T, M, D>(queries, q + at.q.of(job.item), at.q.row, job.first, at.queries, at.depth);
    copy_rows<T, M, D>(slopes, g + at.g.of(job.item), at.g.row, job.first, at.queries, at.deep);
    fetch(0, 0);

    int row = threadIdx.x / WARP * 16 * MT;
    int own = job.first + row;
    float sums[MT][D / 8][4] = {}, s[MT][N / 8][4], dp[MT][N / 8][4], shift[MT][2], less[MT][2];
    for (int m = 0; m < MT; m++)
        for (int h = 0; h < 2; h++) {
            int i = own + 16 * m + group() + 8 * h;
            shift[m][h] = i < at.queries ? lse[job.item.number * at.queries + i] * LOG2_E : 0.0f;
            less[m][h] = i < at.queries ? along[job.item.number * at.queries + i] : 0.0f;
        }
    int end = causal ? min(at.keys, job.first + M) : at.keys;
    int turn = 0;
    for (int first = 0; first < end; first += N, turn ^= 1) {
        T *keys = places + turn * 2 * N * PITCH<D>, *values = keys + N * PITCH<D>;
        cp_async_wait<0>();
        __syncthreads();  // this pair has come, the one before has been read
        if (first + N < end) fetch(turn ^ 1, first + N);
        row_products<T, MT, N, D>(s, queries, row, keys);
        row_products<T, MT, N, D>(dp, slopes, row, values);
#pragma unroll
        for (int m = 0; m < MT; m++) {
            int high = row + 16 * m + group();
            scores(s[m], [&](int, int i) { return job.first + high + i / 2 * 8; },
                   [&](int n, int i) { return first + 8 * n + pair() + i % 2; }, scores.cuts(own + 16 * m, first, N));
#pragma unroll
            for (int n = 0; n < N / 8; n++)
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    float slope = dp[m][n][i];
                    if (dropout.limit)
                        slope *= at.up * dropout.keeps<N>(kept[turn], high + i / 2 * 8, 8 * n + pair() + i % 2);
                    s[m][n][i] = exp2_approx(s[m][n][i] - shift[m][i / 2]) * (slope - less[m][i / 2]);
                }
        }
        add_weighted<T, MT, N, D>(sums, s, keys);
    }
    store_rows<T, MT, D>(dq + at.dq.of(job.item), at.dq.row, own, at.queries, at.depth, sums, scale);
#endif
}

template <typename T, int D>
__global__ void __launch_bounds__(128) mma_key_gradients(
    const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v, const T* __restrict__ bias,
    const bool* __restrict__ mask, const T* __restrict__ g, const float* __restrict__ lse,
    const float* __restrict__ along, const unsigned long long* __restrict__ seed, T* __restrict__ dk, T* __restrict__ dv,
    Layout at, float scale, bool causal) {
#if HAS_MMA
    constexpr int MT = FRAGMENTS<D>, M = WARPS * 16 * MT, N = PASSING;
    SHARED(T, keys);
    __shared__ unsigned char kept[2][M * N / 8];
    T *values = keys + M * PITCH<D>, *places = values + M * PITCH<D>;
    float* rows = reinterpret_cast<float*>(places + 4 * N * PITCH<D>);  // lse and along of the queries, in turns
    Job job(at.lead, at.keys, M, false);
    Scores<T> scores(at, job.item, bias, mask, scale, causal, LOG2_E);
    Dropout dropout(at, job.item, seed);
    q += at.q.of(job.item), g += at.g.of(job.item);
    lse += job.item.number * at.queries, along += job.item.number * at.queries;
    auto fetch = [&](int turn, int first) {
        T* queries = places + turn * 2 * N * PITCH<D>;
        copy_rows<T, N, D>(queries, q, at.q.row, first, at.queries, at.depth);
        copy_rows<T, N, D>(queries + N * PITCH<D>, g, at.g.row, first, at.queries, at.deep);
        cp_async_commit();
        if (dropout.limit) dropout.draw<N, M>(kept[turn], first, job.first);
    };
    // Thread i < N brings lse of row i, thread N + i `along`: into a register first, as memory takes its time.
    auto number = [&](int first) {
        int i = threadIdx.x % N;
        if (threadIdx.x >= 2 * N || first + i >= at.queries) return 0.0f;
        return threadIdx.x < N ? lse[first + i] * LOG2_E : along[first + i];
    };
    int start = causal ? job.first : 0;
    copy_rows<T, M, D>(keys, k + at.k.of(job.item), at.k.row, job.first, at.keys, at.depth);
    copy_rows<T, M, D>(values, v + at.v.of(job.item), at.v.row, job.first, at.keys, at.deep);
    fetch(0, start);
    if (threadIdx.x < 2 * N) rows[threadIdx.x] = number(start);

    int row = threadIdx.x / WARP * 16 * MT, turn = 0;
    int own = job.first + row;
    float key_sums[MT][D / 8][4] = {}, value_sums[MT][D / 8][4] = {}, s[MT][N / 8][4], dp[MT][N / 8][4];
    for (int first = start; first < at.queries; first += N, turn ^= 1) {
        T *queries = places + turn * 2 * N * PITCH<D>, *slopes = queries + N * PITCH<D>;
        cp_async_wait<0>();
        __syncthreads();  // this pair has come, the one before has been read
        if (first + N < at.queries) fetch(turn ^ 1, first + N);
        float next = number(first + N);
        row_products<T, MT, N, D>(s, keys, row, queries);
        row_products<T, MT, N, D>(dp, values, row, slopes);
        const float *shift = rows + turn * 2 * N, *less = shift + N;
#pragma unroll
        for (int m = 0; m < MT; m++) {
            int high = row + 16 * m + group();
            scores(s[m], [&](int n, int i) { return first + 8 * n + pair() + i % 2; },
                   [&](int, int i) { return job.first + high + i / 2 * 8; }, scores.cuts(first, own + 16 * m, 16));
#pragma unroll
            for (int n = 0; n < N / 8; n++)
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    int j = 8 * n + pair() + i % 2;
                    float keeps = dropout.limit ? dropout.keeps<M>(kept[turn], j, high + i / 2 * 8) : 1.0f;
                    float weight = exp2_approx(s[m][n][i] - shift[j]);
                    dp[m][n][i] = weight * (at.up * keeps * dp[m][n][i] - less[j]);
                    s[m][n][i] = weight * keeps;
                }
        }
        add_weighted<T, MT, N, D>(value_sums, s, slopes);
        add_weighted<T, MT, N, D>(key_sums, dp, queries);
        if (threadIdx.x < 2 * N) rows[(turn ^ 1) * 2 * N + threadIdx.x] = next;
    }
    cp_async_wait<0>();
    store_rows<T, MT, D>(dk + at.dk.of(job.item), at.dk.row, own, at.keys, at.depth, key_sums, scale);
    store_rows<T, MT, D>(dv + at.dv.of(job.item), at.dv.row, own, at.keys, at.deep, value_sums, at.up);
#endif
}
