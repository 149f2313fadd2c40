// A product of matrices by blocks, whose operands are fetched by any rule: the middle of every convolution here.
//
// A block of threads makes a tile of BM x BN sums. BK of the depth at a time, both operands are fetched into
// shared memory as [depth][row] and [depth][column]; while one such pair is multiplied, the next is on its way
// from memory in registers. Each thread holds TM x TN sums (or its share of tensor-core fragments), so a number
// fetched from shared memory is used many times.
#include "common.cuh"
#include "ptx.cuh"

constexpr int BORDER = 8;  // numbers between the rows of a tile: neighbours in depth begin in other banks

template <typename T, bool TENSOR, int ROWS, int COLUMNS, int DOWN, int ACROSS> struct Shape {
    using Number = T;
    static constexpr bool tensor = TENSOR;
    static constexpr int BM = ROWS, BN = COLUMNS, TM = DOWN, TN = ACROSS, THREADS = BM / TM * (BN / TN);
    static constexpr int BK = sizeof(T) == 2 ? 32 : TENSOR ? 16 : 8;
};

// A number as it lies in shared memory: for TF32 rounded, else as it is.
template <class S> __device__ inline typename S::Number staged(typename S::Number x) { return x; }

// ---- fetching. A source has line(i), what is known of row or column i; step(k), what is known of depth k; and
// read(line, step, numbers), which gives zeros outside.

// Neighbours in depth: threads stand pairwise (or by eights, one number each) along the depth.
template <class S, int W, int V, class Source> struct AlongDepth {
    using T = typename S::Number;
    static constexpr int P = V > 1 ? 2 : 8, LINES = (W * P + S::THREADS - 1) / S::THREADS, STEPS = S::BK / (P * V);
    const Source& source;
    typename Source::Line lines[LINES];
    Pack<T, V> numbers[LINES][STEPS];

    __device__ static int line(int i) { return threadIdx.x / P + i * (S::THREADS / P); }
    __device__ static int step(int j) { return (threadIdx.x % P + j * P) * V; }

    __device__ AlongDepth(const Source& from, int first) : source(from) {
#pragma unroll
        for (int i = 0; i < LINES; i++) lines[i] = source.line(first + line(i));
    }
    __device__ void fetch(int k) {
#pragma unroll
        for (int j = 0; j < STEPS; j++) {
            auto at = source.step(k + step(j));
#pragma unroll
            for (int i = 0; i < LINES; i++) source.read(lines[i], at, numbers[i][j]);
        }
    }
    __device__ void put(T (&tile)[S::BK][W + BORDER]) const {
#pragma unroll
        for (int i = 0; i < LINES; i++)
#pragma unroll
            for (int j = 0; j < STEPS; j++)
#pragma unroll
                for (int v = 0; v < V; v++)
                    if (line(i) < W) tile[step(j) + v][line(i)] = staged<S>(numbers[i][j].at[v]);
    }
};

// Neighbours in memory are neighbouring columns: each thread fetches V of them at once.
template <class S, int W, int V, class Source> struct AcrossColumns {
    using T = typename S::Number;
    static constexpr int GROUPS = W / V, LINES = (GROUPS + S::THREADS - 1) / S::THREADS;
    static constexpr int DOWN = LINES > 1 ? 1 : S::THREADS / GROUPS, STEPS = S::BK / DOWN;
    const Source& source;
    typename Source::Line lines[LINES];
    Pack<T, V> numbers[LINES][STEPS];

    __device__ static int line(int i) { return (threadIdx.x % GROUPS + i * S::THREADS) * V; }
    __device__ static int step(int j) { return (LINES > 1 ? 0 : threadIdx.x / GROUPS) + j * DOWN; }

    __device__ AcrossColumns(const Source& from, int first) : source(from) {
#pragma unroll
        for (int i = 0; i < LINES; i++) lines[i] = source.line(first + line(i));
    }
    __device__ void fetch(int k) {
#pragma unroll
        for (int j = 0; j < STEPS; j++) {
            auto at = source.step(k + step(j));
#pragma unroll
            for (int i = 0; i < LINES; i++) source.read(lines[i], at, numbers[i][j]);
        }
    }
    __device__ void put(T (&tile)[S::BK][W + BORDER]) const {
#pragma unroll
        for (int i = 0; i < LINES; i++)
#pragma unroll
            for (int j = 0; j < STEPS; j++) {
                Pack<T, V> y = numbers[i][j];
#pragma unroll
                for (int v = 0; v < V; v++) y.at[v] = staged<S>(y.at[v]);
                *reinterpret_cast<Pack<T, V>*>(&tile[step(j)][line(i)]) = y;
            }
    }
};

// ---- sums

// Products on the ordinary units: a thread's sums lie by fours, 4 rows of each BM / TM * 4 and columns likewise.
template <class S> struct PlainSums {
    using T = typename S::Number;
    static constexpr int WIDTH = 4;  // neighbouring columns that a thread holds
    float sums[S::TM][S::TN] = {};

    __device__ static int row(int i) { return i / 4 * (S::BM / S::TM * 4) + threadIdx.x / (S::BN / S::TN) * 4 + i % 4; }
    __device__ static int column(int j) { return j / 4 * (S::BN / S::TN * 4) + threadIdx.x % (S::BN / S::TN) * 4 + j % 4; }

    __device__ void add(const T (&a)[S::BK][S::BM + BORDER], const T (&b)[S::BK][S::BN + BORDER]) {
#pragma unroll
        for (int k = 0; k < S::BK; k++) {
            float left[S::TM], right[S::TN];
#pragma unroll
            for (int i = 0; i < S::TM; i += 4) read(&a[k][row(i)], left + i);
#pragma unroll
            for (int j = 0; j < S::TN; j += 4) read(&b[k][column(j)], right + j);
#pragma unroll
            for (int i = 0; i < S::TM; i++)
#pragma unroll
                for (int j = 0; j < S::TN; j++) sums[i][j] += left[i] * right[j];
        }
    }
    __device__ static void read(const T* from, float* to) {
        Pack<T, 4> x = *reinterpret_cast<const Pack<T, 4>*>(from);
#pragma unroll
        for (int v = 0; v < 4; v++) to[v] = wide(x.at[v]);
    }

    // Hands all sums on, WIDTH neighbouring columns at a time: target.put(target.column(j), row, sums).
    template <class Target> __device__ void give(const Target& target, int first_row, int first_column) const {
#pragma unroll
        for (int j = 0; j < S::TN; j += WIDTH) {
            auto to = target.template column<WIDTH>(first_column + column(j));
#pragma unroll
            for (int i = 0; i < S::TM; i++) target.put(to, first_row + row(i), sums[i] + j);
        }
    }
};

template <class S> struct SumsOf { using type = PlainSums<S>; };

// ---- the loop

// The tile of sums over depths [k, end). `end` need not be a whole number of BK: sources give zeros beyond it.
template <class S, class A, class B, class Sums> __device__ inline void multiply(A& a, B& b, Sums& sums, int k, int end) {
    using T = typename S::Number;
    __shared__ __align__(16) T rows[2][S::BK][S::BM + BORDER];
    __shared__ __align__(16) T columns[2][S::BK][S::BN + BORDER];
    a.fetch(k), b.fetch(k);
    a.put(rows[0]), b.put(columns[0]);
    __syncthreads();
    for (int now = 0; k < end; k += S::BK, now ^= 1) {
        bool more = k + S::BK < end;  // the other pair is free: the barrier below came after its last use
        if (more) a.fetch(k + S::BK), b.fetch(k + S::BK);
        sums.add(rows[now], columns[now]);
        if (more) a.put(rows[now ^ 1]), b.put(columns[now ^ 1]);
        __syncthreads();
    }
}
