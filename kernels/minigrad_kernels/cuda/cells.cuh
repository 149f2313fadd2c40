// Cells of LSTM, GRU and RNN: what a step does to one unit of one sequence, and where its numbers lie.
//
// Memory is packed: the step's rows begin at row `at`, row i is sequence i. Arrays (P, GATES * width) hold the
// gates beside one another in a row. Row i of the state before a step is row i of the step before it (from row
// `before` on) for i < carried, and row i of `initial` for the sequences that begin here.
#include "common.cuh"

__device__ inline float sigmoid(float z) { return 1.0f / (1.0f + expf(-z)); }

// ---- cells: a step of one unit of one sequence
//
// forward: x are the sums of x with their bias and become the gates, h those of the state before; `state` is
// c of an LSTM, h of a GRU; `kept` is what backward needs beside them. Returns h.
// backward: of a unit's gates, `kept` and the state before, with dh the gradient of its h and, of an LSTM, dc
// that of c, which becomes that of the c before. d are the gradients of the sums of x; those of the sums of h
// are the same but for the last, `last`. Returns what the h before gets past the product.

struct Lstm {
    static constexpr int GATES = 4;

    static __device__ float forward(float (&x)[4], const float (&h)[4], float& state, float& kept) {
        float i = sigmoid(x[0] + h[0]), f = sigmoid(x[1] + h[1]), g = tanhf(x[2] + h[2]), o = sigmoid(x[3] + h[3]);
        x[0] = i, x[1] = f, x[2] = g, x[3] = o;
        state = f * state + i * g;
        kept = tanhf(state);
        return o * kept;
    }

    static __device__ float backward(const float (&a)[4], float kept, float before, float dh, float& dc,
                                     float (&d)[4], float& last) {
        float i = a[0], f = a[1], g = a[2], o = a[3];
        dc += dh * o * (1.0f - kept * kept);
        d[0] = dc * g * i * (1.0f - i);
        d[1] = dc * before * f * (1.0f - f);
        d[2] = dc * i * (1.0f - g * g);
        d[3] = last = dh * kept * o * (1.0f - o);
        dc *= f;
        return 0.0f;
    }
};

struct Gru {
    static constexpr int GATES = 3;

    static __device__ float forward(float (&x)[3], const float (&h)[3], float& state, float& kept) {
        float r = sigmoid(x[0] + h[0]), z = sigmoid(x[1] + h[1]), n = tanhf(x[2] + r * h[2]);
        kept = h[2];
        x[0] = r, x[1] = z, x[2] = n;
        return state = n + z * (state - n);
    }

    static __device__ float backward(const float (&a)[3], float kept, float before, float dh, float& dc,
                                     float (&d)[3], float& last) {
        float r = a[0], z = a[1], n = a[2];
        d[2] = dh * (1.0f - z) * (1.0f - n * n);
        d[1] = dh * (before - n) * z * (1.0f - z);
        d[0] = d[2] * kept * r * (1.0f - r);
        last = d[2] * r;
        return dh * z;
    }
};

struct RnnTanh {
    static constexpr int GATES = 1;

    static __device__ float forward(float (&x)[1], const float (&h)[1], float& state, float& kept) {
        return x[0] = tanhf(x[0] + h[0]);
    }

    static __device__ float backward(const float (&a)[1], float kept, float before, float dh, float& dc,
                                     float (&d)[1], float& last) {
        d[0] = last = dh * (1.0f - a[0] * a[0]);
        return 0.0f;
    }
};

struct RnnRelu {
    static constexpr int GATES = 1;

    static __device__ float forward(float (&x)[1], const float (&h)[1], float& state, float& kept) {
        return x[0] = larger(x[0] + h[0], 0.0f);
    }

    // A product, not a choice: a gradient of NaN or inf stays NaN where the slope is 0, as in the readable text.
    static __device__ float backward(const float (&a)[1], float kept, float before, float dh, float& dc,
                                     float (&d)[1], float& last) {
        d[0] = last = dh * (a[0] > 0.0f ? 1.0f : 0.0f);
        return 0.0f;
    }
};

// ---- a unit's numbers in memory

// from[row, gate * width + u] for every gate.
template <int GATES, typename T>
__device__ inline void load_gates(float (&x)[GATES], const T* from, long long row, int u, int width) {
#pragma unroll
    for (int g = 0; g < GATES; ++g) x[g] = wide(from[(row * GATES + g) * width + u]);
}

template <int GATES, typename T>
__device__ inline void store_gates(const float (&x)[GATES], T* to, long long row, int u, int width) {
#pragma unroll
    for (int g = 0; g < GATES; ++g) to[(row * GATES + g) * width + u] = narrow<T>(x[g]);
}

template <int GATES, typename T>
__device__ inline void load_bias(float (&x)[GATES], const T* bias, int u, int width) {
#pragma unroll
    for (int g = 0; g < GATES; ++g) x[g] = bias ? wide(bias[g * width + u]) : 0.0f;
}

// What a step of a unit left for backward; gates of an RNN are its y, so that is not written twice.
template <int GATES, typename T>
__device__ inline void store_unit(const float (&x)[GATES], float h, float state, float kept, long long row, int u,
                                  int width, T* gates, T* y, T* keeps, T* cells) {
    long long here = row * width + u;
    store_gates(x, gates, row, u, width);
    if (y) y[here] = narrow<T>(h);
    if (keeps) keeps[here] = narrow<T>(kept);
    if (cells) cells[here] = narrow<T>(state);
}

// What backward needs of a unit's step.
template <int GATES> struct Past { float a[GATES], kept, before, g; };

template <int GATES, typename T>
__device__ inline Past<GATES> load_past(const T* g, const T* gates, const T* keeps, const T* states, const T* initial,
                                        long long at, long long before, int i, int carried, int u, int width) {
    Past<GATES> past;
    long long row = at + i, here = row * width + u;
    load_gates(past.a, gates, row, u, width);
    past.g = wide(g[here]);
    past.kept = keeps ? wide(keeps[here]) : 0.0f;
    past.before = 0.0f;
    if (states) past.before = wide(i < carried ? states[(before + i) * width + u] : initial[(long long)i * width + u]);
    return past;
}
