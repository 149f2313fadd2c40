// LSTM, GRU and RNN through time, in two forms over the same cells; a third is in recurrent_tiles.cu.
//
// Stepwise (step_*): cuBLAS makes the product of a step, one kernel does all the rest of it: every number is
// read once and written once. Persistent (walk_*): one launch for many steps. Sequences of a batch never meet,
// so a block takes R of them and walks through time alone, without waiting for other blocks; the recurrent
// weights stay on the chip, each thread holding a column in registers and, from KEPT numbers on, in shared
// memory (after Diamos et al. 2016, who let blocks wait for one another to hold larger weights).
#include "cells.cuh"

#define KEPT 64     // numbers of a column of weights in registers
#define CHUNK 16    // columns are padded to whole chunks
#define MOST 512    // threads of a walking block: 128 registers for each

// ---- stepwise: a thread per unit of a sequence

// gates: the sums of x, in place of which come the gates. sums: those of the state; null where they are in
// `gates` already. h: the states after the step, for the next product; c: those of an LSTM's cells.
template <typename Cell, typename T>
__global__ void step_forward(T* gates, const T* __restrict__ sums, const T* __restrict__ b_ih,
                             const T* __restrict__ b_hh, T* h, float* c, T* y, T* keeps, T* cells, long long at,
                             int n, int width) {
    for (long long e = first(); e < (long long)n * width; e += stride()) {
        int i = static_cast<unsigned>(e) / unsigned(width), u = e - (long long)i * width;  // a 64-bit division is slow
        float x[Cell::GATES], add[Cell::GATES], of_h[Cell::GATES], kept;
        load_gates(x, gates, at + i, u, width);
        load_bias(add, b_ih, u, width);
        load_bias(of_h, b_hh, u, width);
#pragma unroll
        for (int g = 0; g < Cell::GATES; ++g) {
            x[g] += add[g];
            if (sums) of_h[g] += wide(sums[((long long)i * Cell::GATES + g) * width + u]);
        }
        float state = c ? c[e] : wide(h[e]);
        float now = Cell::forward(x, of_h, state, kept);
        store_unit(x, now, state, kept, at + i, u, width, gates, y, keeps, cells);
        h[e] = narrow<T>(now);
        if (c) c[e] = state;
    }
}

// dh: the gradients of the states after the step, from later ones; what goes past the product replaces them.
template <typename Cell, typename T>
__global__ void step_backward(const T* __restrict__ g, const T* __restrict__ gates, const T* __restrict__ keeps,
                              const T* __restrict__ states, const T* __restrict__ initial, T* d_ih, T* d_hh,
                              float* dh, float* dc, long long at, long long before, int carried, int n, int width) {
    for (long long e = first(); e < (long long)n * width; e += stride()) {
        int i = static_cast<unsigned>(e) / unsigned(width), u = e - (long long)i * width;  // a 64-bit division is slow
        auto past = load_past<Cell::GATES>(g, gates, keeps, states, initial, at, before, i, carried, u, width);
        float d[Cell::GATES], last, of_c = dc ? dc[e] : 0.0f;
        float through = Cell::backward(past.a, past.kept, past.before, dh[e] + past.g, of_c, d, last);
        store_gates(d, d_ih, at + i, u, width);
        if (d_hh) {
            d[Cell::GATES - 1] = last;
            store_gates(d, d_hh, at + i, u, width);
        }
        dh[e] = through;
        if (dc) dc[e] = of_c;
    }
}

// ---- persistent: thread (slice, u) = slice * width + u of a block holds a column of weights

// A number of each of the R sequences of a block, side by side: one load for all of them.
template <int R> struct alignas(4 * R) Rows { float at[R]; };

// Four of them, read 16 bytes at a time: all threads read the same, so what counts is how often.
template <int R> struct alignas(16) Four { Rows<R> at[4]; };

__host__ __device__ constexpr int padded(int width) { return (width + CHUNK - 1) / CHUNK * CHUNK; }

// A column of the matrix at `from`, down numbers apart: `kept` in registers, the rest at `rest`, threads apart.
__device__ inline void load_column(float (&kept)[KEPT], float* rest, const float* from, int down, int width,
                                   int threads) {
#pragma unroll
    for (int k = 0; k < KEPT; ++k) kept[k] = k < width ? from[(long long)k * down] : 0.0f;
    for (int k = KEPT; k < (width + 3) / 4 * 4; ++k)
        rest[(k - KEPT) * threads] = k < width ? from[(long long)k * down] : 0.0f;
}

// The column's product with v (padded with zeros), for R sequences at a time.
template <int R>
__device__ inline Rows<R> dot(const float (&kept)[KEPT], const float* rest, const Rows<R>* v, int width, int threads) {
    const Four<R>* fours = reinterpret_cast<const Four<R>*>(v);
    Rows<R> sum;
#pragma unroll
    for (int r = 0; r < R; ++r) sum.at[r] = 0.0f;
#pragma unroll
    for (int start = 0; start < KEPT; start += CHUNK) {
        if (start < width) {  // the same for all threads
#pragma unroll
            for (int k = start; k < start + CHUNK; k += 4) {
                Four<R> here = fours[k / 4];
#pragma unroll
                for (int j = 0; j < 4; ++j)
#pragma unroll
                    for (int r = 0; r < R; ++r) sum.at[r] += kept[k + j] * here.at[j].at[r];
            }
        }
    }
#pragma unroll 2
    for (int k = KEPT; k < width; k += 4) {
        Four<R> here = fours[k / 4];
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            float w = rest[(k - KEPT + j) * threads];
#pragma unroll
            for (int r = 0; r < R; ++r) sum.at[r] += w * here.at[j].at[r];
        }
    }
    return sum;
}

// w: W_hh transposed, (width, GATES * width). Rows of a step lie `jump` after those of the step before it.
// In the pointwise half of a step thread (slice, u) has unit u of the block's sequences slice, slice + GATES, ...
template <typename Cell, int R>
__global__ void __launch_bounds__(MOST)
walk_forward(float* gates, const float* __restrict__ w, const float* __restrict__ b_ih, const float* __restrict__ b_hh,
             float* h, float* c, float* y, float* keeps, float* cells, long long at, int jump, int steps, int n,
             int width) {
    constexpr int GATES = Cell::GATES, OWN = (R + GATES - 1) / GATES;
    const int t = threadIdx.x, threads = GATES * width, slice = t / width, u = t % width, from = blockIdx.x * R;
    SHARED(Rows<R>, v);  // the states of the block's sequences
    Rows<R>* sums = v + padded(width);
    float* rest = reinterpret_cast<float*>(sums + threads) + t;
    float kept[KEPT], add[GATES], add_h[GATES], state[OWN], next[OWN][GATES];
    load_column(kept, rest, w + t, threads, width, threads);
    load_bias(add, b_ih, u, width);
    load_bias(add_h, b_hh, u, width);
    for (int k = t; k < padded(width) * R; k += threads) v[k / R].at[k % R] = 0.0f;
    __syncthreads();
#pragma unroll
    for (int j = 0; j < OWN; ++j) {
        int r = slice + j * GATES, i = from + r;
        if (r < R && i < n) {
            v[u].at[r] = h[(long long)i * width + u];
            state[j] = c ? c[(long long)i * width + u] : v[u].at[r];
            load_gates(next[j], gates, at + i, u, width);
        }
    }
    __syncthreads();
    for (int s = 0; s < steps; ++s, at += jump) {
        float x[OWN][GATES];
#pragma unroll
        for (int j = 0; j < OWN; ++j) {  // the next step's sums are on their way while this one's are made
            int r = slice + j * GATES, i = from + r;
            if (r < R && i < n) {
#pragma unroll
                for (int g = 0; g < GATES; ++g) x[j][g] = next[j][g] + add[g];
                if (s + 1 < steps) load_gates(next[j], gates, at + jump + i, u, width);
            }
        }
        sums[t] = dot<R>(kept, rest, v, width, threads);
        __syncthreads();
#pragma unroll
        for (int j = 0; j < OWN; ++j) {
            int r = slice + j * GATES, i = from + r;
            if (r < R && i < n) {
                float of_h[GATES], keep;
#pragma unroll
                for (int g = 0; g < GATES; ++g) of_h[g] = sums[g * width + u].at[r] + add_h[g];
                float now = Cell::forward(x[j], of_h, state[j], keep);
                store_unit(x[j], now, state[j], keep, at + i, u, width, gates, y, keeps, cells);
                v[u].at[r] = now;
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int j = 0; j < OWN; ++j) {
        int r = slice + j * GATES, i = from + r;
        if (r < R && i < n) {
            h[(long long)i * width + u] = v[u].at[r];
            if (c) c[(long long)i * width + u] = state[j];
        }
    }
}

// Back from the step whose rows begin at `at`, `jump` rows from one to the next, to the first of the run, before
// which come `before` and `carried`. Here thread (slice, u) adds up the gate `slice`'s part of unit u's gradient.
template <typename Cell, int R>
__global__ void __launch_bounds__(MOST)
walk_backward(const float* __restrict__ g, const float* __restrict__ gates, const float* __restrict__ keeps,
              const float* __restrict__ states, const float* __restrict__ initial, const float* __restrict__ w,
              float* d_ih, float* d_hh, float* dh, float* dc, long long at, int jump, int steps, long long before,
              int carried, int n, int width) {
    constexpr int GATES = Cell::GATES, OWN = (R + GATES - 1) / GATES;
    const int t = threadIdx.x, threads = GATES * width, slice = t / width, u = t % width, from = blockIdx.x * R;
    const int room = padded(width);
    SHARED(Rows<R>, v);  // the gradients of the gates' sums, `room` for each gate
    Rows<R>* sums = v + GATES * room;
    float* rest = reinterpret_cast<float*>(sums + threads) + t;
    float kept[KEPT], through[OWN], of_c[OWN];
    Past<GATES> next[OWN];
    load_column(kept, rest, w + (long long)slice * width * width + u, width, width, threads);
    for (int k = t; k < GATES * room * R; k += threads) v[k / R].at[k % R] = 0.0f;
    for (int r = 0; r < R; ++r) sums[t].at[r] = 0.0f;
#pragma unroll
    for (int j = 0; j < OWN; ++j) {
        int r = slice + j * GATES, i = from + r;
        if (r < R && i < n) {
            long long here = (long long)i * width + u;
            through[j] = dh[here];
            of_c[j] = dc ? dc[here] : 0.0f;
            next[j] = load_past<GATES>(g, gates, keeps, states, initial, at, steps > 1 ? at + jump : before, i,
                                       steps > 1 ? n : carried, u, width);
        }
    }
    __syncthreads();
    for (int s = 0; s < steps; ++s, at += jump) {
#pragma unroll
        for (int j = 0; j < OWN; ++j) {
            int r = slice + j * GATES, i = from + r;
            if (r < R && i < n) {
                Past<GATES> past = next[j];
                bool more = s + 2 < steps;
                if (s + 1 < steps)
                    next[j] = load_past<GATES>(g, gates, keeps, states, initial, at + jump,
                                               more ? at + 2 * jump : before, i, more ? n : carried, u, width);
                float d[GATES], last, of_h = past.g + through[j];
#pragma unroll
                for (int k = 0; k < GATES; ++k) of_h += sums[k * width + u].at[r];
                through[j] = Cell::backward(past.a, past.kept, past.before, of_h, of_c[j], d, last);
                store_gates(d, d_ih, at + i, u, width);
                d[GATES - 1] = last;
                if (d_hh) store_gates(d, d_hh, at + i, u, width);
#pragma unroll
                for (int k = 0; k < GATES; ++k) v[k * room + u].at[r] = d[k];
            }
        }
        __syncthreads();
        sums[t] = dot<R>(kept, rest, v + slice * room, width, threads);
        __syncthreads();
    }
#pragma unroll
    for (int j = 0; j < OWN; ++j) {
        int r = slice + j * GATES, i = from + r;
        if (r < R && i < n) {
            float all = through[j];
#pragma unroll
            for (int k = 0; k < GATES; ++k) all += sums[k * width + u].at[r];
            dh[(long long)i * width + u] = all;
            if (dc) dc[(long long)i * width + u] = of_c[j];
        }
    }
}
