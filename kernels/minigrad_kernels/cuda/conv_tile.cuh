// A product of matrices by blocks, whose operands are fetched by any rule: the middle of every convolution here.
//
// A block of threads makes a tile of BM x BN sums. BK of the depth at a time, both operands are fetched into
// shared memory (a tile of rows, a tile of columns); while one such pair is multiplied, the next is on its way
// from memory in registers. Each thread holds TM x TN sums (or its share of tensor-core fragments), so a number
// fetched from shared memory is used many times.
#include "common.cuh"
#include "ptx.cuh"

constexpr int BORDER = 8;  // numbers between the lines of a tile in shared memory: neighbours begin in other banks

template <typename T, bool TENSOR, int ROWS, int COLUMNS, int DOWN, int ACROSS> struct Shape {
    using Number = T;
    static constexpr bool tensor = TENSOR;
    static constexpr int BM = ROWS, BN = COLUMNS, TM = DOWN, TN = ACROSS, THREADS = BM / TM * (BN / TN);
    static constexpr int BK = sizeof(T) == 2 ? 32 : TENSOR ? 16 : 8;
};

// A number as it lies in shared memory: for TF32 rounded, else as it is.
template <class S, typename T> __device__ inline T staged(T x) { return x; }
#if HAS_MMA
template <class S> __device__ inline float staged(float x) { return S::tensor ? __uint_as_float(to_tf32(x)) : x; }
#endif

// W rows (or columns) by BK of the depth in shared memory. Depth first is what ordinary sums read 16 bytes of.
template <class S, int W> struct alignas(16) ByDepth { typename S::Number at[S::BK][W + BORDER]; };

// Lines first: 16-bit numbers that come along the depth stay as they come, and ldmatrix reads them as they are.
template <class S, int W> struct alignas(16) ByLine { typename S::Number at[W][S::BK + BORDER]; };

template <class S, int W, bool by_line> struct TileOf { using type = ByDepth<S, W>; };
template <class S, int W> struct TileOf<S, W, true> { using type = ByLine<S, W>; };

// ---- fetching

// How threads share out a tile of W rows (or columns) by BK of the depth: each has LINES x STEPS packs of V numbers,
// of lines line(i) and depths step(j), and put writes them into the tile.

// V neighbours in depth: threads stand pairwise (or by eights, one number each) along the depth.
template <class S, int W, int V> struct AlongDepth {
    using T = typename S::Number;
    using Numbers = Pack<T, V>;
    using Tile = typename TileOf<S, W, HAS_MMA && S::tensor && sizeof(T) == 2 && V == 8>::type;
    static constexpr int P = V > 1 ? 2 : 8, LINES = (W * P + S::THREADS - 1) / S::THREADS, STEPS = S::BK / (P * V);

    __device__ static int line(int i) { return threadIdx.x / P + i * (S::THREADS / P); }
    __device__ static int step(int j) { return (threadIdx.x % P + j * P) * V; }
    __device__ static void put(ByDepth<S, W>& tile, int i, int j, const Numbers& numbers) {
#pragma unroll
        for (int v = 0; v < V; v++)
            if (line(i) < W) tile.at[step(j) + v][line(i)] = staged<S>(numbers.at[v]);
    }
    __device__ static void put(ByLine<S, W>& tile, int i, int j, const Numbers& numbers) {
        if (line(i) < W) *reinterpret_cast<Numbers*>(&tile.at[line(i)][step(j)]) = numbers;
    }
};

// V neighbouring lines.
template <class S, int W, int V> struct AcrossLines {
    using T = typename S::Number;
    using Numbers = Pack<T, V>;
    using Tile = ByDepth<S, W>;
    static constexpr int GROUPS = W / V, LINES = (GROUPS + S::THREADS - 1) / S::THREADS;
    static constexpr int DOWN = LINES > 1 ? 1 : S::THREADS / GROUPS, STEPS = (S::BK + DOWN - 1) / DOWN;

    __device__ static int line(int i) { return (threadIdx.x % GROUPS + i * S::THREADS) * V; }
    __device__ static int step(int j) { return (LINES > 1 ? 0 : threadIdx.x / GROUPS) + j * DOWN; }
    __device__ static void put(Tile& tile, int i, int j, Numbers numbers) {
#pragma unroll
        for (int v = 0; v < V; v++) numbers.at[v] = staged<S>(numbers.at[v]);
        if (step(j) < S::BK) *reinterpret_cast<Numbers*>(&tile.at[step(j)][line(i)]) = numbers;
    }
};

// One operand. A source has line(i), what is known of row or column i; step(k), what is known of depth k; and
// read(line, step, numbers), which gives zeros outside. Lines stay in a thread's registers. Steps are worked out
// by a few threads for all, one tile ahead, and lie in shared memory.
template <class S, class Layout, class Source> struct Operand {
    using Step = typename Source::Step;
    using Tile = typename Layout::Tile;
    const Source& source;
    typename Source::Line lines[Layout::LINES];
    typename Layout::Numbers numbers[Layout::LINES][Layout::STEPS];

    __device__ Operand(const Source& from, int first) : source(from) {
#pragma unroll
        for (int i = 0; i < Layout::LINES; i++) lines[i] = source.line(first + Layout::line(i));
    }
    __device__ void fetch(const Step (&steps)[S::BK]) {
#pragma unroll
        for (int j = 0; j < Layout::STEPS; j++) {
            Step at = steps[min(Layout::step(j), S::BK - 1)];
#pragma unroll
            for (int i = 0; i < Layout::LINES; i++) source.read(lines[i], at, numbers[i][j]);
        }
    }
    __device__ void put(Tile& tile) const {
#pragma unroll
        for (int i = 0; i < Layout::LINES; i++)
#pragma unroll
            for (int j = 0; j < Layout::STEPS; j++) Layout::put(tile, i, j, numbers[i][j]);
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

    __device__ void add(const ByDepth<S, S::BM>& a, const ByDepth<S, S::BN>& b) {
#pragma unroll
        for (int k = 0; k < S::BK; k++) {
            float left[S::TM], right[S::TN];
#pragma unroll
            for (int i = 0; i < S::TM; i += 4) read(&a.at[k][row(i)], left + i);
#pragma unroll
            for (int j = 0; j < S::TN; j += 4) read(&b.at[k][column(j)], right + j);
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

#if HAS_MMA
__device__ inline void mma(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], const __half*) { mma_m16n8k16_f16(d, a, b); }
__device__ inline void mma(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], const __nv_bfloat16*) { mma_m16n8k16_bf16(d, a, b); }
__device__ inline void mma(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], const float*) { mma_m16n8k8_tf32(d, a, b); }

// Products on the tensor cores: each warp has a part of the tile, made of 16 x 8 fragments. Lane l holds rows
// l / 4 and l / 4 + 8 of a fragment, columns 2 (l % 4) and the next.
template <class S> struct TensorSums {
    using T = typename S::Number;
    static constexpr int WIDTH = 2, BELOW = S::BM >= 64 ? 2 : 1, BESIDE = S::THREADS / WARP / BELOW;  // warps
    static constexpr int HEIGHT = S::BM / BELOW, LENGTH = S::BN / BESIDE, DOWN = HEIGHT / 16, ACROSS = LENGTH / 8;
    static constexpr int DEPTH = 32 / sizeof(T);  // of one product
    float sums[DOWN][ACROSS][4] = {};

    __device__ static int lane() { return threadIdx.x % WARP; }
    __device__ static int row() { return threadIdx.x / WARP / BESIDE * HEIGHT; }
    __device__ static int column() { return threadIdx.x / WARP % BESIDE * LENGTH; }

    template <class A, class B> __device__ void add(const A& a, const B& b) {
#pragma unroll
        for (int k = 0; k < S::BK; k += DEPTH) {
            unsigned left[DOWN][4], right[ACROSS][2];
#pragma unroll
            for (int i = 0; i < DOWN; i++) fragment(left[i], a, k, row() + 16 * i);
#pragma unroll
            for (int j = 0; j < ACROSS; j += 2) pair(right[j], right[j + 1], b, k, column() + 8 * j);
#pragma unroll
            for (int i = 0; i < DOWN; i++)
#pragma unroll
                for (int j = 0; j < ACROSS; j++) mma(sums[i][j], left[i], right[j], static_cast<const T*>(nullptr));
        }
    }

    // 16 rows of a by the depth of one product.
    __device__ static void fragment(unsigned (&to)[4], const ByDepth<S, S::BM>& a, int k, int row) {
        if constexpr (sizeof(T) == 4) {
#pragma unroll
            for (int part = 0; part < 4; part++)
                to[part] = __float_as_uint(a.at[k + lane() % 4 + part / 2 * 4][row + lane() / 4 + part % 2 * 8]);
        } else {
            ldmatrix_x4_trans(to, &a.at[k + lane() / 16 * 8 + lane() % 8][row + lane() / 8 % 2 * 8]);
        }
    }
    __device__ static void fragment(unsigned (&to)[4], const ByLine<S, S::BM>& a, int k, int row) {
        ldmatrix_x4(to, &a.at[row + lane() % 16][k + lane() / 16 * 8]);
    }
    // Two fragments of b side by side.
    __device__ static void pair(unsigned (&to)[2], unsigned (&next)[2], const ByDepth<S, S::BN>& b, int k, int column) {
        if constexpr (sizeof(T) == 4) {
#pragma unroll
            for (int part = 0; part < 2; part++) {
                const T* from = &b.at[k + lane() % 4 + part * 4][column + lane() / 4];
                to[part] = __float_as_uint(from[0]), next[part] = __float_as_uint(from[8]);
            }
        } else {
            unsigned all[4];
            ldmatrix_x4_trans(all, &b.at[k + lane() / 8 % 2 * 8 + lane() % 8][column + lane() / 16 * 8]);
            to[0] = all[0], to[1] = all[1], next[0] = all[2], next[1] = all[3];
        }
    }
    __device__ static void pair(unsigned (&to)[2], unsigned (&next)[2], const ByLine<S, S::BN>& b, int k, int column) {
        unsigned all[4];
        ldmatrix_x4(all, &b.at[column + lane() / 16 * 8 + lane() % 8][k + lane() / 8 % 2 * 8]);
        to[0] = all[0], to[1] = all[1], next[0] = all[2], next[1] = all[3];
    }

    template <class Target> __device__ void give(const Target& target, int first_row, int first_column) const {
#pragma unroll
        for (int j = 0; j < ACROSS; j++) {
            auto to = target.template column<WIDTH>(first_column + column() + 8 * j + lane() % 4 * 2);
#pragma unroll
            for (int i = 0; i < DOWN; i++)
#pragma unroll
                for (int below = 0; below < 2; below++)
                    target.put(to, first_row + row() + 16 * i + lane() / 4 + 8 * below, sums[i][j] + 2 * below);
        }
    }
};
template <class S, bool tensor = S::tensor> struct SumsOf { using type = PlainSums<S>; };
template <class S> struct SumsOf<S, true> { using type = TensorSums<S>; };
#else
template <class S> struct SumsOf { using type = PlainSums<S>; };
#endif

// ---- the loop

// The tile of sums over depths [k, end). `end` need not be a whole number of BK: sources give zeros beyond it.
template <class S, class A, class B, class Sums> __device__ inline void multiply(A& a, B& b, Sums& sums, int k, int end) {
    __shared__ typename A::Tile rows[2];
    __shared__ typename B::Tile columns[2];
    __shared__ typename A::Step row_steps[2][S::BK];
    __shared__ typename B::Step column_steps[2][S::BK];
    auto prepare = [&](int which, int from) {
        int i = threadIdx.x % S::BK, part = threadIdx.x / S::BK;
        if (part == 0) column_steps[which][i] = b.source.step(from + i);
        if (part == 1) row_steps[which][i] = a.source.step(from + i);
    };
    prepare(0, k), prepare(1, k + S::BK);
    __syncthreads();
    a.fetch(row_steps[0]), b.fetch(column_steps[0]);
    a.put(rows[0]), b.put(columns[0]);
    __syncthreads();
    for (int now = 0; k < end; k += S::BK, now ^= 1) {  // what was `now` before the last barrier is free
        bool more = k + S::BK < end;
        if (more) {
            a.fetch(row_steps[now ^ 1]), b.fetch(column_steps[now ^ 1]);
            prepare(now, k + 2 * S::BK);
        }
        sums.add(rows[now], columns[now]);
        if (more) a.put(rows[now ^ 1]), b.put(columns[now ^ 1]);
        __syncthreads();
    }
}
