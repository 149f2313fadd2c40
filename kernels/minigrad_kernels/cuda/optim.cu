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

// The row that this block works on.
__device__ inline const Row& row_of_block(const Table& table, int& i) {
    for (i = 0; i + 1 < table.count && blockIdx.x >= table.rows[i + 1].first_block; ++i) {}
    return table.rows[i];
}

// Gradients that overflowed (found_inf is not 0) leave everything as it was.
__device__ inline bool skipped(const float* found_inf) { return found_inf != nullptr && *found_inf != 0; }

template <typename T>
__global__ void adam_update(Table table, Numbers given, const float* live, int first_row, const float* found_inf,
                            const float* inv_scale) {
    if (skipped(found_inf)) return;
    int i;
    const Row& row = row_of_block(table, i);
    const float* own = live ? live + 8 + 2 * (first_row + i) : given.own[i];
    const float* group = live ? live : given.group;
    using S = Wide<T>;
    S size = own[0], eps = own[1], shrink = group[0], decay = group[1];
    S b1 = group[2], rest1 = group[3], b2 = group[4], rest2 = group[5], sign = group[6];
    if (inv_scale != nullptr) sign *= *inv_scale;
    T *p = reinterpret_cast<T*>(row.p), *m = reinterpret_cast<T*>(row.a), *v = reinterpret_cast<T*>(row.b);
    const T* g = reinterpret_cast<const T*>(row.g);
    long long start = (blockIdx.x - row.first_block) * CHUNK, end = start + CHUNK < row.size ? start + CHUNK : row.size;
#pragma unroll 4
    for (long long k = start + threadIdx.x; k < end; k += blockDim.x) {
        S w = wide(p[k]), d = sign * wide(g[k]) + decay * w;
        S mean = b1 * wide(m[k]) + rest1 * d, square = b2 * wide(v[k]) + rest2 * (d * d);
        m[k] = narrow<T>(mean);
        v[k] = narrow<T>(square);
        p[k] = narrow<T>(shrink * w - size * (mean / (sqrt(square) + eps)));
    }
}

template <typename T>
__global__ void sgd_update(Table table, Numbers given, const float* live, int first_row, const float* found_inf,
                           const float* inv_scale) {
    if (skipped(found_inf)) return;
    int i;
    const Row& row = row_of_block(table, i);
    const float* own = live ? live + 8 + 2 * (first_row + i) : given.own[i];
    const float* group = live ? live : given.group;
    using S = Wide<T>;
    S part = own[0], lr = group[0], momentum = group[1], decay = group[2], sign = group[3];
    bool nesterov = group[4] != 0;
    if (inv_scale != nullptr) sign *= *inv_scale;
    T *p = reinterpret_cast<T*>(row.p), *v = reinterpret_cast<T*>(row.a);
    const T* g = reinterpret_cast<const T*>(row.g);
    long long start = (blockIdx.x - row.first_block) * CHUNK, end = start + CHUNK < row.size ? start + CHUNK : row.size;
#pragma unroll 4
    for (long long k = start + threadIdx.x; k < end; k += blockDim.x) {
        S w = wide(p[k]), d = sign * wide(g[k]) + decay * w;
        if (v != nullptr) {
            S speed = momentum * wide(v[k]) + part * d;
            v[k] = narrow<T>(speed);
            d = nesterov ? d + momentum * speed : speed;
        }
        p[k] = narrow<T>(w - lr * d);
    }
}
