// Adam and SGD over all parameters of a group in one launch.
//
// A table that travels with the launch says where up to MOST parameters, gradients and averages lie. A block
// takes CHUNK elements of one of them and does for an element at once all that is to be done, so memory is
// read and written once. The numbers that change from step to step (rates, decay, betas) come with the
// launch, or from `live`, their place on the device, when the step is replayed as a graph.
#include "common.cuh"

constexpr int MOST = 64, CHUNK = 4096;

struct Row {
    unsigned long long p, g, a, b;  // addresses: parameter, gradient, and its averages (Adam m, v; SGD v)
    long long size, first_block;
};

struct Table {
    Row rows[MOST];
    long long count;
};

// Rows' own numbers, two each, then those of the group.
struct Numbers {
    float own[MOST][2], group[8];
};

// What this block works on: elements [start, end) of a row's arrays, with the row's numbers and the group's.
template <typename T> struct Job {
    T *p, *a, *b;
    const T* g;
    long long start, end;
    const float *own, *group;

    __device__ Job(const Table& table, const Numbers& given, const float* live, int first_row) {
        int i = 0;
        while (i + 1 < table.count && blockIdx.x >= table.rows[i + 1].first_block) ++i;
        const Row& row = table.rows[i];
        p = reinterpret_cast<T*>(row.p), a = reinterpret_cast<T*>(row.a), b = reinterpret_cast<T*>(row.b);
        g = reinterpret_cast<const T*>(row.g);
        start = (blockIdx.x - row.first_block) * CHUNK;
        end = start + CHUNK < row.size ? start + CHUNK : row.size;
        own = live ? live + 8 + 2 * (first_row + i) : given.own[i];
        group = live ? live : given.group;
    }
};

// A gradient scaler's words (null without one): found_inf, which if not 0 leaves everything as it was; what
// gradients are to be divided by; and how many of the steps that the host counted were left out so far.
__device__ inline bool skipped(const float* found_inf) { return found_inf != nullptr && *found_inf != 0; }
__device__ inline float unscaled(float sign, const float* scale) { return scale != nullptr ? sign / *scale : sign; }

// b^t from 1 - b, of which float32 keeps more digits.
__device__ inline double power(float rest, double t) { return exp(t * log1p(-static_cast<double>(rest))); }

template <typename T>
__global__ void adam_update(Table table, Numbers given, const float* live, int first_row, const float* found_inf,
                            const float* scale, const int* skips) {
    if (skipped(found_inf)) return;
    Job<T> job(table, given, live, first_row);
    const float *own = job.own, *group = job.group;
    using S = Wide<T>;
    S size = own[0], eps = own[1], shrink = group[0], decay = group[1];
    S b1 = group[2], rest1 = group[3], b2 = group[4], rest2 = group[5], sign = unscaled(group[6], scale);
    if (skips != nullptr) {  // own numbers are lr and the host's count: the correction of m and v is made here
        double t = own[1] - *skips, root = sqrt(1 - power(group[5], t));
        size = own[0] * root / (1 - power(group[3], t));
        eps = group[7] * root;
    }
    T *p = job.p, *m = job.a, *v = job.b;
    const T* g = job.g;
#pragma unroll 4
    for (long long k = job.start + threadIdx.x; k < job.end; k += blockDim.x) {
        S w = wide(p[k]), d = sign * wide(g[k]) + decay * w;
        S mean = b1 * wide(m[k]) + rest1 * d, square = b2 * wide(v[k]) + rest2 * (d * d);
        m[k] = narrow<T>(mean);
        v[k] = narrow<T>(square);
        p[k] = narrow<T>(shrink * w - size * (mean / (sqrt(square) + eps)));
    }
}

template <typename T>
__global__ void sgd_update(Table table, Numbers given, const float* live, int first_row, const float* found_inf,
                           const float* scale, const int* skips) {
    if (skipped(found_inf)) return;
    Job<T> job(table, given, live, first_row);
    const float *own = job.own, *group = job.group;
    using S = Wide<T>;
    S part = own[0], lr = group[0], momentum = group[1], decay = group[2], sign = unscaled(group[3], scale);
    bool nesterov = group[4] != 0;
    T *p = job.p, *v = job.a;
    const T* g = job.g;
#pragma unroll 4
    for (long long k = job.start + threadIdx.x; k < job.end; k += blockDim.x) {
        S w = wide(p[k]), d = sign * wide(g[k]) + decay * w;
        if (v != nullptr) {
            S speed = momentum * wide(v[k]) + part * d;
            v[k] = narrow<T>(speed);
            d = nesterov ? d + momentum * speed : speed;
        }
        p[k] = narrow<T>(w - lr * d);
    }
}
